// SPDX-License-Identifier: BSD-2-Clause
/* request.c: a guest that faulted: claim, ask, set, install, release, as far as it goes now. */
#include <errno.h>

#include "../trace.h"

#include "internal.h"

#define LOOKS_A_RECALL 4u /* who waits looks by itself so often */
#define BUSY_RECALLS 4u   /* who is busy may itself be waiting: it has so many times as long */

static int install(struct coh_paged *paged, uint32_t index, enum coh_permission permission)
{
	struct coh_page *page = &paged->page[index];
	uint64_t offset = (uint64_t)index * IST_PAGE;
	int n = coh_permission_set(
		&paged->pager->permissions, paged->base + offset, paged->region->offset + offset,
		paged->region->right == IST_RIGHT_WRITE,
		page->have < permission ? page->have : COH_PAGE_NONE, permission);

	if (n != 0)
		coh_pager_break(paged->pager, "cannot give a permission");
	return n;
}

/* The broker looks at the word itself, and ends whom it finds at fault. */
static void complain(struct coh_paged *paged, uint32_t index, uint64_t peers)
{
	struct coh_pager *pager = paged->pager;

	for (; peers != 0; peers &= peers - 1) {
		unsigned id = (unsigned)__builtin_ctzll(peers);
		uint32_t incarnation;

		pthread_mutex_lock(&pager->lock);
		incarnation = pager->peer[id].incarnation;
		pthread_mutex_unlock(&pager->lock);
		if (incarnation == 0)
			continue;
		coh_pager_count(&pager->stats.recalls);
		pager->ops->stalled(pager->context, id, incarnation,
				    paged->region->offset + (uint64_t)index * IST_PAGE);
	}
}

/* What is asked is there before anybody's attention is drawn to it. */
static void ask(struct coh_paged *paged, uint32_t index, struct ist_directory word,
		uint64_t holders)
{
	const struct coh_page *page = &paged->page[index];
	struct ist_page *shared = &paged->entry[index];
	uint64_t question = page->claim == COH_CLAIM_X ? IST_PAGE_ASK_INV : IST_PAGE_ASK_DOWN;

	COH_AT(&shared->directory, COH_ASK, paged->pager->group.id, word);
	/* Release: partner of the acquire in who hears it. */
	__atomic_store_n(&shared->asked, IST_PAGE_ASK(question, page->epoch), __ATOMIC_RELEASE);
	coh_directory_draw(paged, index, holders);
	COH_TRACE(&shared->directory, COH_ASK, paged->pager->group.id, word, word);
	(void)word;
}

/* Looks again often, and when `limit` after page->since_ns has come. */
static void look_later(struct coh_paged *paged, uint32_t index, uint64_t now, uint64_t limit)
{
	uint64_t often = now + paged->recall_ns / LOOKS_A_RECALL;
	uint64_t last = paged->page[index].since_ns + limit;

	coh_page_due(paged, index, last > now && last < often ? last : often);
}

/* Another's transition is in progress. True: not any more, so try again. */
static bool wait_turn(struct coh_paged *paged, uint32_t index, uint64_t now)
{
	struct coh_page *page = &paged->page[index];
	struct ist_directory word;

	/* Full barriers: partner of the exchange in coh_directory_wake(). */
	__atomic_fetch_or(&paged->entry[index].waiters, coh_bit(paged->pager->group.id),
			  __ATOMIC_SEQ_CST);
	coh_page_reap(paged, index);
	word = coh_directory_look(paged, index);
	if (IST_DIR_BUSY(word.control) == 0)
		return true;
	if (page->awaited != word.control) {
		page->awaited = word.control;
		page->since_ns = now;
	} else if (now - page->since_ns >= BUSY_RECALLS * paged->recall_ns) {
		page->since_ns = now;
		complain(paged, index, coh_bit(IST_DIR_BUSY(word.control) - 1));
	}
	look_later(paged, index, now, BUSY_RECALLS * paged->recall_ns);
	return false;
}

/* True: the claim is made, and whom it concerns is asked. */
static bool claim(struct coh_paged *paged, uint32_t index, uint64_t now)
{
	struct coh_page *page = &paged->page[index];
	unsigned type = page->want == COH_PAGE_WRITE ? COH_CLAIM_X : COH_CLAIM_S;
	struct coh_result result;
	int n;

	do
		n = coh_directory_step(paged, index, type, 0, &result);
	while (n == -EBUSY && wait_turn(paged, index, now));
	if (n == -EIO)
		coh_pager_break(paged->pager, "a page is poisoned");
	if (n != 0)
		return false;
	page->claim = (uint8_t)type;
	page->epoch = result.epoch;
	page->since_ns = page->drawn_ns = now;
	page->awaited = 0;
	if (result.holders != 0)
		ask(paged, index, result.word, result.holders);
	return true;
}

/* Holders have not all answered: some may never. */
static void insist(struct coh_paged *paged, uint32_t index, uint64_t now)
{
	struct coh_page *page = &paged->page[index];
	struct ist_directory word = coh_directory_look(paged, index);
	uint64_t holders = word.sharers & ~coh_bit(paged->pager->group.id);
	const struct coh_recall recall = {paged->recall_ns, paged->recall_ns / LOOKS_A_RECALL};

	switch (coh_recall(&recall, page->since_ns, page->drawn_ns, now)) {
	case COH_RECALL_FORCE:
		page->since_ns = page->drawn_ns = now;
		complain(paged, index, holders);
		break;
	case COH_RECALL_AGAIN:
		page->drawn_ns = now;
		coh_directory_draw(paged, index, holders);
		break;
	default:
		break;
	}
	look_later(paged, index, now, paged->recall_ns);
}

/* The word allows it: install, and let the next one go on. */
static void finish(struct coh_paged *paged, uint32_t index, struct ist_directory word, uint64_t now)
{
	struct coh_page *page = &paged->page[index];
	struct ist_page *shared = &paged->entry[index];
	unsigned id = paged->pager->group.id;
	bool owner = IST_DIR_STATE(word.control) == IST_DIR_MODIFIED;
	enum coh_permission permission = owner ? COH_PAGE_WRITE : COH_PAGE_READ;
	struct coh_tenure tenure;
	struct coh_result result;

	if (owner && page->have != COH_PAGE_WRITE) {
		coh_sharing_begin(paged, index);
		__atomic_store_n(&shared->moves,
				 __atomic_load_n(&shared->moves, __ATOMIC_RELAXED) + 1,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&shared->since, now, __ATOMIC_RELAXED);
	}
	COH_AT(&shared->directory, COH_INSTALL, id, word);
	if (install(paged, index, permission) != 0)
		return;
	COH_TRACE(&shared->directory, COH_INSTALL, id, word, word);
	(void)id;
	page->have = (uint8_t)permission;
	page->got_ns = now;
	/* It was asked for again, so it was used until it was taken. */
	tenure = coh_page_tenure(paged, index);
	if (page->lost_ns != 0)
		coh_tenure_adapt(&tenure, now - page->lost_ns, 1);
	page->tenure_ns = tenure.now_ns;
	page->claim = 0;
	coh_pager_count(&paged->pager->stats.requests);
	if (coh_directory_step(paged, index, COH_RELEASE, page->epoch, &result) == 0)
		coh_directory_wake(paged, index);
}

void coh_page_request(struct coh_paged *paged, uint32_t index, uint64_t now)
{
	struct coh_page *page = &paged->page[index];
	struct coh_result result;
	int n;

	while (page->want > page->have || page->claim != 0) {
		if (page->claim == 0 && !claim(paged, index, now))
			return;
		coh_page_reap(paged, index);
		n = coh_directory_step(paged, index,
				       page->claim == COH_CLAIM_X ? COH_SET_X : COH_SET_S,
				       page->epoch, &result);
		if (n == -EAGAIN)
			insist(paged, index, now);
		else if (n == -ESTALE) /* this peer was taken for dead: another claim, then */
			page->claim = 0;
		else if (n == 0)
			finish(paged, index, result.word, now);
		if (paged->pager->broken || n == -EAGAIN)
			return;
	}
	/* There already, or lost by the kernel: it is what the directory allows. */
	if (page->want != COH_PAGE_NONE)
		install(paged, index, page->have);
	page->want = COH_PAGE_NONE;
}
