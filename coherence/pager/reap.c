// SPDX-License-Identifier: BSD-2-Clause
/* reap.c: what dead peers left in the directory. */
#include "../trace.h"

#include "internal.h"

/* The broker has said that its process and its mappings are gone. */
static bool is_gone(const struct coh_pager *pager, unsigned id)
{
	/* Acquire: partner of the broker's release. All that the peer has stored is visible. */
	uint64_t word = __atomic_load_n(&pager->roster[id].word, __ATOMIC_ACQUIRE);

	return IST_PEER_STATE(word) == IST_PEER_DEAD || IST_PEER_STATE(word) == IST_PEER_ABSENT;
}

/* One who has something there and is gone, or none. */
static unsigned find_dead(const struct coh_pager *pager, struct ist_directory word)
{
	uint64_t peers = word.sharers;
	uint32_t busy = IST_DIR_BUSY(word.control);

	if (busy != 0)
		peers |= coh_bit(busy - 1);
	peers &= ~coh_bit(pager->group.id);
	for (; peers != 0; peers &= peers - 1) {
		unsigned id = (unsigned)__builtin_ctzll(peers);

		if (is_gone(pager, id))
			return id;
	}
	return IST_PEERS_MAX;
}

/* One swap of that very word: if it has changed since, nothing is known of it. */
static bool reap(struct coh_paged *paged, uint32_t index, struct ist_directory word, unsigned id)
{
	struct ist_directory *shared = &paged->entry[index].directory;
	struct coh_event event = {.type = COH_REAP, .peer = id};
	struct coh_result result;

	if (coh_step(word, &event, paged->pager->group.max_peers, &result) != 0)
		return false;
	COH_AT(shared, COH_REAP, id, word);
	if (!coh_cas(shared, &word, result.word))
		return true;
	COH_TRACE(shared, COH_REAP, id, word, result.word);
	coh_pager_count(&paged->pager->stats.reaped);
	if (IST_DIR_BUSY(result.word.control) != 0)
		coh_directory_draw(paged, index, coh_bit(IST_DIR_BUSY(result.word.control) - 1));
	else
		coh_directory_wake(paged, index);
	return true;
}

void coh_page_reap(struct coh_paged *paged, uint32_t index)
{
	for (;;) {
		/* First the word, then the roster: the ID may be used again in between. */
		struct ist_directory word = coh_directory_look(paged, index);
		unsigned id = find_dead(paged->pager, word);

		if (id == IST_PEERS_MAX)
			return;
		COH_TRACE(&paged->entry[index].directory, COH_LOOK, id, word, word);
		if (!reap(paged, index, word, id))
			return;
	}
}

void coh_page_reap_own(struct coh_paged *paged)
{
	unsigned id = paged->pager->group.id;

	for (uint32_t i = 0; i < paged->pages; i++) {
		for (;;) {
			struct ist_directory word = coh_load(&paged->entry[i].directory);

			if (!(word.sharers & coh_bit(id)) && IST_DIR_BUSY(word.control) != id + 1)
				break;
			if (!reap(paged, i, coh_directory_look(paged, i), id))
				break;
		}
	}
}
