/* SPDX-License-Identifier: BSD-2-Clause */
/* numa.h: which memory nodes pages come from. */
#ifndef IVSHM_NUMA_H
#define IVSHM_NUMA_H

#include <stdint.h>

enum ivshm_numa_policy {
	IVSHM_NUMA_DEFAULT,
	IVSHM_NUMA_BIND,
	IVSHM_NUMA_INTERLEAVE,
	IVSHM_NUMA_PREFERRED,
	IVSHM_NUMA_POLICIES,
};

/* As people write them. */
extern const char *const ivshm_numa_names[IVSHM_NUMA_POLICIES];

struct ivshm_numa {
	enum ivshm_numa_policy policy;
	unsigned *nodes;
	unsigned nodes_count;
};

/*
 * Pages of the mapping, which nobody has touched yet, come from where the policy says; of a shared
 * one, whoever touches them. 0 or -errno: -EINVAL for nodes that are not there.
 */
int ivshm_numa_bind(void *map, uint64_t size, const struct ivshm_numa *numa);

/*
 * The same for all memory that this thread touches first from now on, also when it has become
 * another program; mappings that have a policy of their own, as a group's, keep it. Safe between
 * fork and exec. 0 or -errno.
 */
int ivshm_numa_become(const struct ivshm_numa *numa);

#endif
