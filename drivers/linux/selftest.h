/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* selftest.h: the parts of isthmus_selftest.ko. */
#ifndef ISTHMUS_SELFTEST_H
#define ISTHMUS_SELFTEST_H

/* Writes where this peer may not, through its own mapping; device "": of each there is. */
int isthmus_selftest_violate(const char *device);

#endif
