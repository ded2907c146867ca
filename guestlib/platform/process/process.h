/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h: the platform of processes. The same program runs on a host and in a Linux guest: where
 * a group is found decides which back end serves it, when it is opened.
 */
#ifndef IST_PROCESS_H
#define IST_PROCESS_H

#include "platform.h"
#include "roster.h"

/* One way to reach a group; the calls are those of core/platform.h. */
struct ist_backend {
	/* -ENOENT: it knows no such group; another may. */
	int (*open)(const char *name, struct ist_group *group);
	void (*close)(struct ist_group *group);
	int (*ring)(struct ist_group *group, uint32_t peer, uint32_t incarnation, uint32_t vector);
	uint32_t (*count)(struct ist_group *group, uint32_t vector);
	uint32_t (*count_all)(struct ist_group *group);
	void (*wait)(struct ist_group *group, uint32_t seen, uint64_t deadline);
	int (*hold)(struct ist_group *group, uint64_t offset, int on); /* NULL: nobody asks */
};

extern const struct ist_backend ist_host_backend;   /* platform/host: a broker's socket */
extern const struct ist_backend ist_device_backend; /* platform/linux: /dev/isthmusN */
extern const struct ist_backend ist_sysfs_backend;  /* platform/linux: a bare PCI device */

/* platform/host: whether the environment says that this process is an instance of a host's. */
int ist_host_is_meant(void);

/* ---- map.c: the group's memory in a process ---- */

/*
 * Maps a group at group->base, at equal offsets in `fd`: its first `lead` bytes and the others'
 * output sections readable, its own writable, each region as its right says, the rest absent.
 */
int ist_process_map(struct ist_group *group, const struct ist_roster_head *head, int fd,
		    uint64_t lead);
void ist_process_unmap(struct ist_group *group);

#endif
