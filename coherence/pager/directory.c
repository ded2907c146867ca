// SPDX-License-Identifier: BSD-2-Clause
/* directory.c: a page directory: its words, and whose attention is drawn to them. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "../trace.h"

#include "internal.h"

#define TRIES_MAX 10000 /* a word that never stays as it was is not changed by pagers */

static size_t size_of(const struct coh_paged *paged)
{
	return IST_PAGE_DIRECTORY_SIZE(paged->pages, paged->pager->group.max_peers);
}

int coh_directory_open(struct coh_paged *paged, char *error, size_t error_size)
{
	const struct coh_pager_group *group = &paged->pager->group;
	struct ist_page_directory head;
	void *map;

	if (paged->region->directory % IST_PAGE != 0 || paged->region->directory > group->size ||
	    size_of(paged) > group->size - paged->region->directory)
		return coh_pager_fail(error, error_size, -EPROTO,
				      "the page directory of region '%s' is not in the memory",
				      paged->region->name);
	map = mmap(NULL, size_of(paged), PROT_READ | PROT_WRITE, MAP_SHARED, group->memory,
		   (off_t)paged->region->directory);

	if (map == MAP_FAILED)
		return coh_pager_fail(error, error_size, -errno,
				      "cannot map the page directory of region '%s': %s",
				      paged->region->name, strerror(errno));
	paged->directory = map;
	paged->entry = (void *)((uint8_t *)map + sizeof(head));
	paged->attention = (void *)((uint8_t *)map + IST_PAGE_ATTENTION_OFFSET(paged->pages));
	memcpy(&head, map, sizeof(head));
	if (head.magic != IST_PAGE_DIRECTORY_MAGIC || head.pages != paged->pages ||
	    head.page_size != IST_PAGE || head.recall_ns == 0 || head.tenure_ns > head.recall_ns)
		return coh_pager_fail(error, error_size, -EPROTO,
				      "the page directory of region '%s' makes no sense",
				      paged->region->name);
	paged->tenure_ns = head.tenure_ns;
	paged->recall_ns = head.recall_ns;
	return 0;
}

void coh_directory_close(struct coh_paged *paged)
{
	if (paged->directory != NULL)
		munmap(paged->directory, size_of(paged));
}

struct ist_directory coh_directory_look(struct coh_paged *paged, uint32_t index)
{
	struct ist_directory *shared = &paged->entry[index].directory;
	struct ist_directory word = coh_load(shared);

	coh_confirm(shared, &word);
	return word;
}

int coh_directory_step(struct coh_paged *paged, uint32_t index, unsigned type, uint64_t epoch,
		       struct coh_result *result)
{
	const struct coh_pager_group *group = &paged->pager->group;
	struct ist_directory *shared = &paged->entry[index].directory;
	struct coh_event event = {.type = type, .peer = group->id, .epoch = epoch};
	struct ist_directory word = coh_directory_look(paged, index);

	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		int n = coh_step(word, &event, group->max_peers, result);

		if (n == -EPROTO)
			break;
		if (n != 0) {
			/* An answer that is refused is one: whoever gave it has dropped. */
			if (type == COH_ACK_INV || type == COH_ACK_DOWN || type == COH_EVICT)
				COH_TRACE(shared, type, group->id, word, word);
			return n;
		}
		COH_AT(shared, type, group->id, word);
		/* On failure the word is what it was at that instant: it is decided on anew. */
		if (coh_cas(shared, &word, result->word)) {
			COH_TRACE(shared, type, group->id, word, result->word);
			return 0;
		}
	}
	coh_pager_break(paged->pager, "a page directory has words that no pager writes");
	return -EPROTO;
}

void coh_directory_draw(struct coh_paged *paged, uint32_t index, uint64_t peers)
{
	struct coh_pager *pager = paged->pager;
	size_t words = IST_PAGE_ATTENTION_SIZE(paged->pages) / sizeof(uint64_t);

	for (; peers != 0; peers &= peers - 1) {
		unsigned id = (unsigned)__builtin_ctzll(peers);

		if (id >= pager->group.max_peers)
			return;
		/* What the peer is to find is there before (release). Partner: its exchange. */
		__atomic_fetch_or(&paged->attention[id * words + index / 64], 1ull << index % 64,
				  __ATOMIC_SEQ_CST);
		/* Who has no bell yet finds the bit when it looks for the first time. */
		pthread_mutex_lock(&pager->lock);
		if (pager->peer[id].incarnation != 0)
			eventfd_write(pager->peer[id].bell, 1);
		pthread_mutex_unlock(&pager->lock);
	}
}

void coh_directory_wake(struct coh_paged *paged, uint32_t index)
{
	uint64_t *waiters = &paged->entry[index].waiters;

	/*
	 * The swap before this was a full barrier. Partner: who sets its bit, a full barrier too,
	 * then looks at the word once more: either it sees the release, or this sees the bit.
	 */
	if (__atomic_load_n(waiters, __ATOMIC_SEQ_CST) != 0)
		coh_directory_draw(paged, index, __atomic_exchange_n(waiters, 0, __ATOMIC_SEQ_CST));
}
