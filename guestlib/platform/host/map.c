/* SPDX-License-Identifier: BSD-2-Clause */
/* map.c: the group's memory in a process: every part with this peer's right, the rest absent. */
#include "host.h"

#include <sys/mman.h>

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) & ~(unit - 1);
}

/* Address space for all of it, aligned so that huge pages fit. */
static int reserve(struct ist_group *group, uint64_t page_size)
{
	uint64_t length = group->size + (page_size - IST_PAGE), head, tail;
	uint8_t *start;

	start = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return -errno;
	head = round_up((uintptr_t)start, page_size) - (uintptr_t)start;
	tail = length - head - group->size;
	if (head)
		munmap(start, head);
	if (tail)
		munmap(start + head + group->size, tail);
	group->base = start + head;
	return 0;
}

static int map_part(const struct ist_group *group, int memory, uint64_t offset, uint64_t size,
		    uint32_t right)
{
	int protection = right == IST_RIGHT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;

	if (right == IST_RIGHT_NONE)
		return 0;
	return mmap(group->base + offset, size, protection, MAP_SHARED | MAP_FIXED, memory,
		    (off_t)offset) == MAP_FAILED
		       ? -errno
		       : 0;
}

static int map_outputs(const struct ist_group *group, int memory,
		       const struct ist_host_offer *offer)
{
	uint32_t id;
	int err = 0;

	for (id = 0; offer->output_offset && id < group->max_peers && !err; id++)
		err = map_part(group, memory, offer->output_offset + id * offer->output_size,
			       offer->output_size,
			       id == group->id ? IST_RIGHT_WRITE : IST_RIGHT_READ);
	return err;
}

/* The roster must say what the broker said. Nobody else writes it. */
static int check_roster(const struct ist_group *group, const struct ist_host_offer *offer)
{
	const struct ist_roster *roster = (const void *)(group->base + IST_ROSTER_OFFSET);

	if (roster->magic != IST_ROSTER_MAGIC || roster->abi_major != IST_ABI_MAJOR ||
	    roster->features_required & ~IST_FEATURES_KNOWN || roster->total_size != group->size ||
	    roster->page_size != offer->page_size ||
	    roster->output_offset != offer->output_offset ||
	    roster->output_size != offer->output_size || roster->max_peers != group->max_peers ||
	    roster->vectors != group->vectors || roster->regions != group->regions)
		return -EPROTO;
	return 0;
}

int ist_host_map(struct ist_group *group, int memory, const struct ist_host_offer *offer)
{
	uint32_t i;
	int err;

	err = reserve(group, offer->page_size);
	if (err)
		return err;
	err = map_part(group, memory, 0, round_up(IST_REGIONS_OFFSET, offer->page_size),
		       IST_RIGHT_READ);
	for (i = 0; i < group->regions && !err; i++)
		err = map_part(group, memory, group->region[i].offset, group->region[i].size,
			       group->region[i].right);
	if (!err)
		err = map_outputs(group, memory, offer);
	if (!err)
		err = check_roster(group, offer);
	if (err)
		ist_host_unmap(group);
	return err;
}

void ist_host_unmap(struct ist_group *group)
{
	munmap(group->base, group->size);
	group->base = NULL;
}
