/* SPDX-License-Identifier: BSD-2-Clause */
/* qemu.h: what QEMU is told on its command line so that its guest joins a group. */
#ifndef HV_CMD_QEMU_H
#define HV_CMD_QEMU_H

#include <stdio.h>

/*
 * The four words that give a guest the device of one group, of which `instance` is a member, with
 * `between` between them.
 */
void qemu_add_device(FILE *words, char between, const char *dir, const char *instance,
		     const char *group, unsigned vectors);

#endif
