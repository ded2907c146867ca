/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.h: what the core of libisthmus needs from where it runs: map, doorbell, wait, time.
 * Implemented twice: platform/bare (app VMs) and platform/process, which finds out at run time
 * whether the process is on a host (platform/host) or in a Linux guest (platform/linux). The core
 * is freestanding and calls nothing else.
 */
#ifndef IST_CORE_PLATFORM_H
#define IST_CORE_PLATFORM_H

#include "group.h"

/*
 * Joins group `name` (NULL: the only one) and fills in group's base, size, name, id, incarnation,
 * vectors, max_peers, and the regions with their rights. The state table and roster are mapped
 * readable, each region as its right says, all at base + offset. The caller has zeroed *group.
 * Returns as ist_group_open().
 */
int ist_platform_open(const char *name, struct ist_group *group);

/* Unmaps and leaves. */
void ist_platform_close(struct ist_group *group);

/* Rings (peer, vector) of that incarnation. 0, or -EPIPE when it is not reachable. No barrier. */
int ist_platform_ring(struct ist_group *group, uint32_t peer, uint32_t incarnation,
		      uint32_t vector);

/* How many doorbells have arrived: on one vector, on all of the group. Modulo 2^32. */
uint32_t ist_platform_count(struct ist_group *group, uint32_t vector);
uint32_t ist_platform_count_all(struct ist_group *group);

/*
 * Sleeps until ist_platform_count_all() is no longer `seen`, or ist_time_ns() >= deadline
 * (IST_FOREVER: no deadline). May wake early. No doorbell that arrives after `seen` was read is
 * missed.
 */
void ist_platform_wait(struct ist_group *group, uint32_t seen, uint64_t deadline);

/*
 * Declares that the word at `offset` in the group may come to hold ist_group_owner() (on), or no
 * longer (off): as often off as on. Where one peer has several clients, who can die alone, somebody
 * then sets IST_OWNER_DIED in what a dead one held. Returns 0; -ENOSPC; -ENODEV; -ENOMEM. Off
 * always works.
 */
int ist_platform_hold(struct ist_group *group, uint64_t offset, int on);

/* Zeroed memory, or NULL. */
void *ist_platform_alloc(size_t size);
void ist_platform_free(void *memory);

/* ist_time_ns(), ist_sleep_ns(), ist_print() and ist_exits() are the platform's too. */

#endif
