# SPDX-License-Identifier: BSD-2-Clause
#
# isthmus-app.mk: a rule for applications of Isthmus, for your own Makefile:
#
#   all: ping.app
#   include $(shell pkg-config --variable=appmk isthmus)
#
# NAME.app is the image for an app VM; NAME, made beside it, the same program as a host process, which
# `isthmus up --no-kvm` runs instead. CFLAGS and CPPFLAGS are passed on. Programs of several files:
# call $(ISTHMUS_CC) as you would $(CC).

ISTHMUS_CC ?= $(abspath $(dir $(lastword $(MAKEFILE_LIST)))../../bin/isthmus-cc)

%.app: %.c
	$(ISTHMUS_CC) $(CPPFLAGS) $(CFLAGS) -o $@ $<
	$(ISTHMUS_CC) --host $(CPPFLAGS) $(CFLAGS) -o $* $<
