/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux.h: a group in a process of a Linux guest: through isthmus.ko's /dev/isthmusN (device.c),
 * or, without that module, through what sysfs shows of the PCI device (sysfs.c).
 */
#ifndef IST_LINUX_H
#define IST_LINUX_H

#include "../process/process.h"

#include <pthread.h>
#include <stdbool.h>

/* Where both are looked for: "/sys" and "/dev". Tests make their own. */
extern const char *ist_linux_sys;
extern const char *ist_linux_dev;

/* ---- attribute.c: small files ---- */

/* First line of the file DIRECTORY/NAME. Returns 0; -ENAMETOOLONG; -errno. */
int ist_linux_read(const char *directory, const char *name, char *line, size_t size);
/* The same, a number in C's notation. -EPROTO: it is none, or larger than `most`. */
int ist_linux_read_number(const char *directory, const char *name, uint64_t most, uint64_t *out);

/* ---- holds.c: the words that may hold our owner ---- */

struct ist_linux_holds {
	pthread_mutex_t lock;
	uint32_t used;
	uint32_t room;
	struct ist_linux_held *held;
};

void ist_linux_holds_init(struct ist_linux_holds *holds);
void ist_linux_holds_fini(struct ist_linux_holds *holds);
/*
 * Two threads may hold the same word: one gives up an end while the other takes it. The driver is
 * told of the first one to come and the last one to go. Returns 0 or -errno.
 */
int ist_linux_holds_change(struct ist_linux_holds *holds, int fd, uint64_t offset, bool on);

#endif
