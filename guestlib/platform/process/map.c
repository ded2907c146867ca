/* SPDX-License-Identifier: BSD-2-Clause */
/* map.c: the group's memory in a process: every part with this peer's right, the rest absent. */
#include "process.h"

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

static int map_part(const struct ist_group *group, int fd, uint64_t offset, uint64_t size,
		    uint32_t right)
{
	int protection = right == IST_RIGHT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;

	if (right == IST_RIGHT_NONE)
		return 0;
	return mmap(group->base + offset, size, protection, MAP_SHARED | MAP_FIXED, fd,
		    (off_t)offset) == MAP_FAILED
		       ? -errno
		       : 0;
}

static int map_outputs(const struct ist_group *group, const struct ist_roster_head *head, int fd)
{
	uint32_t id;
	int err = 0;

	for (id = 0; head->output_offset && id < group->max_peers && !err; id++)
		err = map_part(group, fd, head->output_offset + id * head->output_size,
			       head->output_size,
			       id == group->id ? IST_RIGHT_WRITE : IST_RIGHT_READ);
	return err;
}

int ist_process_map(struct ist_group *group, const struct ist_roster_head *head, int fd,
		    uint64_t lead)
{
	uint32_t i;
	int err;

	err = reserve(group, head->page_size);
	if (err)
		return err;
	err = map_part(group, fd, 0, lead, IST_RIGHT_READ);
	for (i = 0; i < group->regions && !err; i++)
		err = map_part(group, fd, group->region[i].offset, group->region[i].size,
			       group->region[i].right);
	if (!err)
		err = map_outputs(group, head, fd);
	if (err)
		ist_process_unmap(group);
	return err;
}

void ist_process_unmap(struct ist_group *group)
{
	munmap(group->base, group->size);
	group->base = NULL;
}
