/* SPDX-License-Identifier: BSD-2-Clause */
/* layout.h: where everything of a group is, computed from its configuration. */
#ifndef IVSHM_LAYOUT_H
#define IVSHM_LAYOUT_H

#include "config.h"

struct ivshm_layout {
	uint64_t region_offset[IST_REGIONS_MAX];
	uint64_t output_offset;                     /* of peer 0's output section; 0: none */
	uint64_t directory_offset[IST_REGIONS_MAX]; /* of page-coherent regions; 0: none */
	uint64_t used_size;                         /* end of the last thing */
	uint64_t total_size;                        /* a power of two */
};

/*
 * Regions are aligned to the group's page size; sizes are multiples of it. Returns 0; -ERANGE when
 * something does not fit 2^46 bytes; -ENOSPC when it does not fit the configured size (used_size
 * then says what is needed).
 */
int ivshm_layout_compute(const struct ivshm_group_config *group, struct ivshm_layout *out);

#endif
