/* SPDX-License-Identifier: BSD-2-Clause */
/* layout.c: where everything of a group is, computed from its configuration. */
#include "layout.h"

#include <errno.h>

#define LAYOUT_SIZE_MAX (1ull << 46)

/* Puts `size` bytes at the next multiple of `align` from `*end`; `*end` is behind them then. */
static int place(uint64_t *end, uint64_t size, uint64_t align, uint64_t *offset)
{
	/* `*end` and `align` are at most 2^46 each, so that the sum cannot wrap. */
	uint64_t start = (*end + align - 1) & ~(align - 1);

	if (start > LAYOUT_SIZE_MAX || size > LAYOUT_SIZE_MAX - start)
		return -ERANGE;
	*offset = start;
	*end = start + size;
	return 0;
}

int ivshm_layout_compute(const struct ivshm_group_config *group, struct ivshm_layout *out)
{
	struct ivshm_layout layout = {.total_size = group->page_size};
	uint64_t end = IST_REGIONS_OFFSET;

	if (group->page_size > LAYOUT_SIZE_MAX || group->size > LAYOUT_SIZE_MAX)
		return -ERANGE;
	for (unsigned i = 0; i < group->regions_count; i++) {
		if (place(&end, group->regions[i].size, group->page_size, &layout.region_offset[i]))
			return -ERANGE;
	}
	if (group->output_size) {
		if (group->output_size > LAYOUT_SIZE_MAX / IST_PEERS_MAX ||
		    place(&end, group->output_size * group->max_peers, group->page_size,
			  &layout.output_offset))
			return -ERANGE;
	}
	for (unsigned i = 0; i < group->regions_count; i++) {
		uint64_t pages = group->regions[i].size / IST_PAGE;

		if (group->regions[i].coherence != IST_COHERENCE_PAGE)
			continue;
		if (place(&end, IST_PAGE_DIRECTORY_SIZE(pages, group->max_peers), IST_PAGE,
			  &layout.directory_offset[i]))
			return -ERANGE;
	}
	layout.used_size = end;
	while (layout.total_size < layout.used_size)
		layout.total_size *= 2;
	if (group->size) {
		if (group->size < layout.total_size) {
			*out = layout;
			return -ENOSPC;
		}
		layout.total_size = group->size;
	}
	*out = layout;
	return 0;
}
