# SPDX-License-Identifier: BSD-2-Clause
#
# isthmus-app.mk: rules for applications of Isthmus, for your own Makefile:
#
#   include $(shell pkg-config --variable=appmk isthmus)
#   all: ping.app ping.process
#
# NAME.app is the image for an app VM, NAME.process the same program for a host process. CFLAGS and
# CPPFLAGS are passed on. Programs of several files: call $(ISTHMUS_CC) as you would $(CC).

ISTHMUS_CC ?= $(abspath $(dir $(lastword $(MAKEFILE_LIST)))../../bin/isthmus-cc)

%.app: %.c
	$(ISTHMUS_CC) $(CPPFLAGS) $(CFLAGS) -o $@ $<

%.process: %.c
	$(ISTHMUS_CC) --host $(CPPFLAGS) $(CFLAGS) -o $@ $<
