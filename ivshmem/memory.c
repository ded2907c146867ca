/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c: creates a group's memory: a memfd of fixed size on the configured pages and nodes. */
#include "memory.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NODES_MAX 1024u /* what a kernel can be built for */
#define NODE_BITS (8 * sizeof(unsigned long))

static unsigned huge_flags(uint64_t page_size)
{
	switch (page_size) {
	case 2ull << 20:
		return MFD_HUGETLB | MFD_HUGE_2MB;
	case 1ull << 30:
		return MFD_HUGETLB | MFD_HUGE_1GB;
	default:
		return 0;
	}
}

/* The policy sticks to the memfd, whoever maps it: pages go where it says when first touched. */
static int bind_to_nodes(void *map, uint64_t size, const struct ivshm_numa *numa)
{
	static const int mode[] = {
		[IVSHM_NUMA_DEFAULT] = MPOL_DEFAULT,
		[IVSHM_NUMA_BIND] = MPOL_BIND,
		[IVSHM_NUMA_INTERLEAVE] = MPOL_INTERLEAVE,
		[IVSHM_NUMA_PREFERRED] = MPOL_PREFERRED,
	};
	unsigned long mask[NODES_MAX / NODE_BITS] = {0};

	if (numa->policy == IVSHM_NUMA_DEFAULT)
		return 0;
	for (unsigned i = 0; i < numa->nodes_count; i++) {
		if (numa->nodes[i] >= NODES_MAX)
			return -EINVAL;
		mask[numa->nodes[i] / NODE_BITS] |= 1ul << numa->nodes[i] % NODE_BITS;
	}
	/* The kernel takes the number of bits plus one. */
	if (mbind(map, size, mode[numa->policy], mask, NODES_MAX + 1, 0))
		return -errno;
	return 0;
}

/* Creates and maps the memfd. What it has made when it fails is the caller's to undo. */
static int create(struct ivshm_memory *memory, const struct ivshm_group_config *group,
		  const char **step)
{
	uint64_t size = memory->layout.total_size;
	unsigned huge = huge_flags(group->page_size);
	char name[IST_NAME_SIZE + 16];
	void *map;
	int r;

	snprintf(name, sizeof(name), "isthmus:%s", group->name);
	*step = "cannot create";
	memory->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
	if (memory->fd < 0)
		return -errno;
	*step = "cannot set the size of";
	if (ftruncate(memory->fd, (off_t)size))
		return -errno;
	*step = huge ? "not enough free huge pages for" : "cannot map";
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	memory->map = map;
	*step = "no such NUMA nodes for";
	r = bind_to_nodes(map, size, &group->numa);
	if (r)
		return r;
	/* A huge page that is not there when it is touched would be a SIGBUS. */
	*step = "not enough huge pages on these nodes for";
	if (huge && fallocate(memory->fd, 0, 0, (off_t)size))
		return -errno;
	*step = "cannot seal";
	if (fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	return 0;
}

int ivshm_memory_create(struct ivshm_memory *memory, const struct ivshm_config *config,
			const struct ivshm_group_config *group, char *error, size_t error_size)
{
	const char *step;
	int r;

	memory->fd = -1;
	memory->map = NULL;
	memory->changes = 0;
	r = ivshm_layout_compute(group, &memory->layout);
	if (r)
		return ivshm_fail(error, error_size, r, "group '%s': its regions do not fit it",
				  group->name);
	r = create(memory, group, &step);
	if (r) {
		ivshm_memory_destroy(memory);
		return ivshm_fail(error, error_size, r, "group '%s': %s its %llu bytes: %s",
				  group->name, step, (unsigned long long)memory->layout.total_size,
				  strerror(-r));
	}
	ivshm_roster_write(memory, config, group);
	return 0;
}

void ivshm_memory_destroy(struct ivshm_memory *memory)
{
	if (memory->map)
		munmap(memory->map, memory->layout.total_size);
	if (memory->fd >= 0)
		close(memory->fd);
	memory->map = NULL;
	memory->fd = -1;
}
