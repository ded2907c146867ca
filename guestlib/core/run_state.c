/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_state.c: whether a peer runs, as the host's scheduler says: a hint, and nothing but a hint.
 * All loads are relaxed: what is read may be over by then, whatever the order.
 */
#include "run_state.h"

#include "words.h"

void ist_run_state_set(struct ist_group *group, const struct ist_run_state *page)
{
	if (__atomic_load_n(&page->magic, __ATOMIC_RELAXED) == IST_RUN_STATE_MAGIC &&
	    __atomic_load_n(&page->abi_major, __ATOMIC_RELAXED) == IST_ABI_MAJOR &&
	    ist_load32(&page->max_peers) >= group->max_peers &&
	    ist_load32(&page->max_peers) <= IST_PEERS_MAX)
		group->run = page;
}

int ist_run_state_of(const struct ist_group *group, uint32_t id, uint32_t incarnation)
{
	const struct ist_run_peer *entry;

	if (!group->run || id >= group->max_peers || !incarnation)
		return -ENODATA;
	entry = &group->run->peer[id];
	if (ist_load32(&entry->incarnation) != incarnation)
		return -ENODATA;
	return ist_load32(&entry->running) != 0;
}
