/* SPDX-License-Identifier: BSD-2-Clause */
/* paging.h: identity page tables for an app VM, built in its RAM before it runs. */
#ifndef VMM_PAGING_H
#define VMM_PAGING_H

#include <stdint.h>

#include "image.h"

#define VMM_ADDRESS_LIMIT (1ull << 39) /* what one page directory pointer table maps */

struct vmm_paging {
	uint8_t *ram;
	uint64_t root; /* for CR3 */
	uint64_t next; /* free space for tables */
	uint64_t end;
};

/* Tables go to [start, end) of `ram`: zeroed, page-aligned. -ENOSPC when that is too small. */
int vmm_paging_init(struct vmm_paging *paging, uint8_t *ram, uint64_t start, uint64_t end);

/*
 * Maps [start, end), page-aligned and below VMM_ADDRESS_LIMIT, to itself with VMM_RIGHT_*, for all
 * rings; without rights: unmaps. The last call for a page counts. Returns 0 or -ENOSPC.
 */
int vmm_paging_map(struct vmm_paging *paging, uint64_t start, uint64_t end, uint32_t rights);

#endif
