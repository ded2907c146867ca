// SPDX-License-Identifier: BSD-2-Clause
/*
 * sharing.c: false sharing: owners that take a page from each other and write no word in common.
 *
 * Only pages that bounce are watched: a copy is kept of what there was when a tenure began.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define BOUNCES_WATCHED 4u /* tenures in a row that were cut short: then the next is watched */
#define MASKS (IST_PAGE_WORDS / 64)

static const uint64_t *content_of(const struct coh_paged *paged, uint32_t index)
{
	return paged->content + (size_t)index * IST_PAGE_WORDS;
}

void coh_sharing_begin(struct coh_paged *paged, uint32_t index)
{
	struct coh_page *page = &paged->page[index];
	const struct ist_page *shared = &paged->entry[index];
	struct coh_twin *twin;

	if (page->bounces < BOUNCES_WATCHED)
		return;
	twin = page->twin != NULL ? page->twin : malloc(sizeof(*twin));
	if (twin == NULL)
		return; /* it is not watched, then */
	paged->twins += page->twin == NULL;
	page->twin = twin;
	memcpy(twin->content, content_of(paged, index), sizeof(twin->content));
	/* Acquire: partner of the release in coh_sharing_end() of the owner before. */
	twin->before_writer = (uint32_t)__atomic_load_n(&shared->writer, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < MASKS; i++)
		twin->before[i] = __atomic_load_n(&shared->written[i], __ATOMIC_RELAXED);
}

static void report(struct coh_paged *paged, uint32_t index, uint32_t other)
{
	struct coh_page *page = &paged->page[index];
	struct coh_pager *pager = paged->pager;
	uint32_t count = ++page->reports;
	char text[COH_PAGER_TEXT];

	coh_pager_count(&pager->stats.false_sharing);
	if ((count & (count - 1)) != 0)
		return;
	snprintf(text, sizeof(text),
		 "false sharing: region '%s' at offset 0x%" PRIx64 ": peers %" PRIu32
		 " and %" PRIu32 " write different words (%" PRIu32 " so far)",
		 paged->region->name, (uint64_t)index * IST_PAGE, other, pager->group.id, count);
	pager->ops->noticed(pager->context, text);
}

void coh_sharing_end(struct coh_paged *paged, uint32_t index)
{
	struct coh_page *page = &paged->page[index];
	struct ist_page *shared = &paged->entry[index];
	const uint64_t *now = content_of(paged, index);
	struct coh_twin *twin = page->twin;
	uint64_t common = 0, own = 0, before = 0, mask[MASKS] = {0};
	unsigned id = paged->pager->group.id;

	/* Release: partner of the acquire above. Whoever comes next may not be watched. */
	if (__atomic_load_n(&shared->writer, __ATOMIC_RELAXED) != 0)
		__atomic_store_n(&shared->writer, 0, __ATOMIC_RELEASE);
	if (twin == NULL)
		return;
	for (unsigned i = 0; i < IST_PAGE_WORDS; i++)
		mask[i / 64] |= (uint64_t)(twin->content[i] != now[i]) << i % 64;
	for (unsigned i = 0; i < MASKS; i++) {
		own |= mask[i];
		before |= twin->before[i];
		common |= mask[i] & twin->before[i];
		__atomic_store_n(&shared->written[i], mask[i], __ATOMIC_RELAXED);
	}
	__atomic_store_n(&shared->writer, id + 1, __ATOMIC_RELEASE);
	if (own != 0 && before != 0 && common == 0 && twin->before_writer != 0 &&
	    twin->before_writer != id + 1 && twin->before_writer <= IST_PEERS_MAX)
		report(paged, index, twin->before_writer - 1);
	if (page->bounces < BOUNCES_WATCHED) {
		free(page->twin);
		page->twin = NULL;
		paged->twins--;
	}
}
