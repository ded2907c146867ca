// SPDX-License-Identifier: BSD-2-Clause
/* host.c: a group's memory in the VM's process: with the guest's own rights, and no more. */
#include <sys/mman.h>

#include "vm.h"

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Address space for all of it, aligned so that huge pages fit. */
static int reserve(struct vmm_group *group, struct vmm_error *error)
{
	uint64_t page = group->client.page_size, size = group->client.size;
	uint64_t length = size + page - IST_PAGE, head;
	uint8_t *start =
		mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return vmm_fail(error, errno, "no address space for group '%s': %m",
				group->client.group);
	head = round_up((uintptr_t)start, page) - (uintptr_t)start;
	if (head != 0)
		munmap(start, head);
	if (length - head - size != 0)
		munmap(start + head + size, length - head - size);
	group->host = start + head;
	return 0;
}

static int protection(uint32_t right)
{
	return right == IST_RIGHT_WRITE  ? PROT_READ | PROT_WRITE
	       : right == IST_RIGHT_READ ? PROT_READ
					 : PROT_NONE;
}

int vmm_host_map(struct vmm_group *group, struct vmm_error *error)
{
	struct ivshm_client_range range[IVSHM_CLIENT_RANGES_MAX];
	unsigned count = ivshm_client_ranges(&group->client, range);
	int result = reserve(group, error);

	group->slot = group->vm->memory.slots;
	group->vm->memory.slots += IVSHM_CLIENT_RANGES_MAX;
	for (unsigned i = 0; result == 0 && i < count; i++) {
		/* Whole pages of the memfd only can be mapped; a slot is exact. */
		uint64_t size = round_up(range[i].size, group->client.page_size);

		if (mmap(group->host + range[i].offset, size, protection(range[i].right),
			 MAP_SHARED | MAP_FIXED, group->client.memory,
			 (off_t)range[i].offset) == MAP_FAILED)
			result = vmm_fail(error, errno,
					  "cannot map group '%s' at offset 0x%" PRIx64 ": %m",
					  group->client.group, range[i].offset);
	}
	return result;
}

int vmm_host_allow(struct vmm_group *group, unsigned region, uint32_t right,
		   struct vmm_error *error)
{
	const struct ivshm_client_region *part = &group->client.region[region];
	uint8_t *host = group->host + part->offset;
	bool done;

	/* Where there was no right there may be no mapping of the memory yet. */
	if (part->right == IST_RIGHT_NONE)
		done = mmap(host, part->size, protection(right), MAP_SHARED | MAP_FIXED,
			    group->client.memory, (off_t)part->offset) != MAP_FAILED;
	else
		done = mprotect(host, part->size, protection(right)) == 0;
	return done ? 0
		    : vmm_fail(error, errno, "cannot map region '%s' of group '%s': %m", part->name,
			       group->client.group);
}

void vmm_host_unmap(struct vmm_group *group)
{
	if (group->host != NULL)
		munmap(group->host, group->client.size);
	group->host = NULL;
}
