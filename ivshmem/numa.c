/* SPDX-License-Identifier: BSD-2-Clause */
/* numa.c: mbind(2), set_mempolicy(2). */
#include "numa.h"

#include <errno.h>
#include <numaif.h>

#define NODES_MAX 1024u /* what a kernel can be built for */
#define NODE_BITS (8 * sizeof(unsigned long))

const char *const ivshm_numa_names[IVSHM_NUMA_POLICIES] = {
	[IVSHM_NUMA_DEFAULT] = "default",
	[IVSHM_NUMA_BIND] = "bind",
	[IVSHM_NUMA_INTERLEAVE] = "interleave",
	[IVSHM_NUMA_PREFERRED] = "preferred",
};

static const int modes[] = {
	[IVSHM_NUMA_BIND] = MPOL_BIND,
	[IVSHM_NUMA_INTERLEAVE] = MPOL_INTERLEAVE,
	[IVSHM_NUMA_PREFERRED] = MPOL_PREFERRED,
};

/* The nodes, as the kernel takes them. 0; -EINVAL. */
static int mask_of(const struct ivshm_numa *numa, unsigned long mask[NODES_MAX / NODE_BITS])
{
	for (unsigned i = 0; i < numa->nodes_count; i++) {
		if (numa->nodes[i] >= NODES_MAX)
			return -EINVAL;
		mask[numa->nodes[i] / NODE_BITS] |= 1ul << numa->nodes[i] % NODE_BITS;
	}
	return 0;
}

int ivshm_numa_bind(void *map, uint64_t size, const struct ivshm_numa *numa)
{
	unsigned long mask[NODES_MAX / NODE_BITS] = {0};

	if (numa->policy == IVSHM_NUMA_DEFAULT)
		return 0;
	if (mask_of(numa, mask))
		return -EINVAL;
	/* The kernel takes the number of bits plus one. */
	return mbind(map, size, modes[numa->policy], mask, NODES_MAX + 1, 0) ? -errno : 0;
}

int ivshm_numa_become(const struct ivshm_numa *numa)
{
	unsigned long mask[NODES_MAX / NODE_BITS] = {0};

	if (numa->policy == IVSHM_NUMA_DEFAULT)
		return 0;
	if (mask_of(numa, mask))
		return -EINVAL;
	return set_mempolicy(modes[numa->policy], mask, NODES_MAX + 1) ? -errno : 0;
}
