/* SPDX-License-Identifier: BSD-2-Clause */
/* platform.c: what the core asks of a process (core/platform.h), passed on to the back end. */
#include "process.h"

#include <stdlib.h>

int ist_platform_open(const char *name, struct ist_group *group)
{
	static const struct ist_backend *const places[] = {&ist_host_backend, &ist_device_backend,
							   &ist_sysfs_backend};
	/* Who has been told to be an instance of a host's group is in no other. */
	size_t i, count = ist_host_is_meant() ? 1 : sizeof(places) / sizeof(places[0]);
	int err = -ENOENT;

	for (i = 0; i < count && err == -ENOENT; i++) {
		group->backend = places[i];
		err = places[i]->open(name, group);
	}
	return err;
}

void ist_platform_close(struct ist_group *group)
{
	group->backend->close(group);
}

int ist_platform_ring(struct ist_group *group, uint32_t peer, uint32_t incarnation, uint32_t vector)
{
	return peer < group->max_peers ? group->backend->ring(group, peer, incarnation, vector)
				       : -EPIPE;
}

uint32_t ist_platform_count(struct ist_group *group, uint32_t vector)
{
	return group->backend->count(group, vector);
}

uint32_t ist_platform_count_all(struct ist_group *group)
{
	return group->backend->count_all(group);
}

void ist_platform_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	group->backend->wait(group, seen, deadline);
}

int ist_platform_hold(struct ist_group *group, uint64_t offset, int on)
{
	return group->backend->hold ? group->backend->hold(group, offset, on) : 0;
}

void *ist_platform_alloc(size_t size)
{
	return calloc(1, size);
}

void ist_platform_free(void *memory)
{
	free(memory);
}
