// SPDX-License-Identifier: BSD-2-Clause
/* answer.c: a holder gives up: asked, a page, and at its end, unasked, all of them. */
#include "../trace.h"

#include "internal.h"

#define SHORT_NS 100000u /* less than handing a page over and back takes */

/* The question that the page's word puts to this peer now, with what has to become of its own. */
static bool hear(struct coh_paged *paged, uint32_t index, struct ist_directory *word,
		 enum coh_permission *left)
{
	/* Acquire, before the word: partner of the release in who asks. */
	uint64_t asked = __atomic_load_n(&paged->entry[index].asked, __ATOMIC_ACQUIRE);
	unsigned id = paged->pager->group.id;
	uint32_t busy;

	*word = coh_directory_look(paged, index);
	busy = IST_DIR_BUSY(word->control);
	if (busy == 0 || busy == id + 1 || !(word->sharers & coh_bit(id)) ||
	    IST_PAGE_ASK_EPOCH(asked) != IST_DIR_EPOCH(word->control))
		return false;
	*left = IST_PAGE_ASK_QUESTION(asked) == IST_PAGE_ASK_DOWN ? COH_PAGE_READ : COH_PAGE_NONE;
	return *left == COH_PAGE_NONE || IST_DIR_OWNER(word->control) == id + 1;
}

/* Who waited for this permission has not had it long enough: true, and it is looked at later. */
static bool put_off(struct coh_paged *paged, uint32_t index, uint64_t question, uint64_t now)
{
	struct coh_page *page = &paged->page[index];
	struct coh_tenure tenure = coh_page_tenure(paged, index);
	uint64_t left = coh_tenure_left(&tenure, page->got_ns, now);

	if (page->have == COH_PAGE_NONE)
		return false;
	if (page->question != question) {
		bool short_one = now - page->got_ns < SHORT_NS + 4 * tenure.now_ns;

		page->question = question;
		page->bounces = short_one ? page->bounces + 1 : 0;
		if (left != 0)
			coh_pager_count(&paged->pager->stats.tenure_waits);
	}
	if (left != 0)
		coh_page_due(paged, index, now + left);
	return left != 0;
}

static int give_up(struct coh_paged *paged, uint32_t index, struct ist_directory word,
		   enum coh_permission left, uint64_t now)
{
	struct coh_pager *pager = paged->pager;
	struct coh_page *page = &paged->page[index];
	unsigned step = left == COH_PAGE_READ ? COH_REDUCE : COH_DROP;
	uint64_t offset = (uint64_t)index * IST_PAGE;
	int n = 0;

	COH_TRACE(&paged->entry[index].directory,
		  left == COH_PAGE_READ ? COH_HEAR_DOWN : COH_HEAR_INV, pager->group.id, word,
		  word);
	COH_AT(&paged->entry[index].directory, step, pager->group.id, word);
	if (page->have > left) {
		n = coh_permission_set(&pager->permissions, paged->base + offset,
				       paged->region->offset + offset,
				       paged->region->right == IST_RIGHT_WRITE, page->have, left);
		if (n != 0) {
			coh_pager_break(pager, "cannot take a permission away");
			return n;
		}
		if (page->have == COH_PAGE_WRITE)
			coh_sharing_end(paged, index);
		page->have = (uint8_t)left;
		page->lost_ns = now;
	}
	COH_TRACE(&paged->entry[index].directory, step, pager->group.id, word, word);
	(void)word;
	(void)step;
	return n;
}

void coh_page_answer(struct coh_paged *paged, uint32_t index, uint64_t now)
{
	struct coh_page *page = &paged->page[index];
	struct coh_result result;
	enum coh_permission left;
	struct ist_directory word;
	uint64_t epoch;

	if (!hear(paged, index, &word, &left))
		return;
	epoch = IST_DIR_EPOCH(word.control);
	if (put_off(paged, index, epoch, now) || give_up(paged, index, word, left, now) != 0)
		return;
	page->question = 0;
	/* What refuses it says that the question is over: the permission is asked for anew then. */
	if (coh_directory_step(paged, index, left == COH_PAGE_READ ? COH_ACK_DOWN : COH_ACK_INV,
			       epoch, &result) != 0)
		return;
	coh_pager_count(&paged->pager->stats.answers);
	if (IST_DIR_BUSY(result.word.control) != 0)
		coh_directory_draw(paged, index, coh_bit(IST_DIR_BUSY(result.word.control) - 1));
}

/* Of a page whose permission is gone for good: whatever the epoch is by now. */
static void evict(struct coh_paged *paged, uint32_t index)
{
	unsigned id = paged->pager->group.id;
	struct ist_directory word = coh_directory_look(paged, index);
	struct coh_result result;
	uint32_t busy;

	if (IST_DIR_BUSY(word.control) == id + 1 &&
	    coh_directory_step(paged, index, COH_RELEASE, IST_DIR_EPOCH(word.control), &result) ==
		    0) {
		coh_directory_wake(paged, index);
		word = result.word;
	}
	/* Another claim in between changes the epoch: the one after it has this bit to wait for. */
	while (word.sharers & coh_bit(id)) {
		COH_TRACE(&paged->entry[index].directory, COH_DROP, id, word, word);
		if (coh_directory_step(paged, index, COH_EVICT, IST_DIR_EPOCH(word.control),
				       &result) == 0) {
			busy = IST_DIR_BUSY(result.word.control);
			coh_directory_draw(paged, index, busy != 0 ? coh_bit(busy - 1) : 0);
			return;
		}
		if (paged->pager->broken)
			return;
		word = coh_directory_look(paged, index);
	}
}

int coh_pager_leave(struct coh_paged *paged)
{
	unsigned id = paged->pager->group.id;
	int n = coh_permissions_drop(paged->base, paged->region->size);

	if (n != 0)
		return n;
	for (uint32_t i = 0; i < paged->pages; i++) {
		/* Nobody but this peer sets its bit, or makes it busy: a look at each half does. */
		struct ist_directory word = coh_load(&paged->entry[i].directory);

		if (word.sharers & coh_bit(id) || IST_DIR_BUSY(word.control) == id + 1)
			evict(paged, i);
	}
	return 0;
}
