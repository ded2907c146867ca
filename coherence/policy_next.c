/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* policy_next.c: hand-over to a waiter that runs, and that every waiter's turn comes all the same.
 */
#include "policy.h"

/* The first of a set, not empty, in the order of IDs that begins after `last`. */
static unsigned first_after(uint64_t set, unsigned last)
{
	unsigned from = (last + 1) % IST_PEERS_MAX;
	uint64_t later = set >> from << from;

	return (unsigned)__builtin_ctzll(later ? later : set);
}

int coh_next(struct coh_next *next, uint64_t waiters, uint64_t running)
{
	unsigned first, chosen;

	if (!waiters)
		return -1;
	chosen = first = first_after(waiters, next->last);
	if (waiters & running && next->passed < next->limit)
		chosen = first_after(waiters & running, next->last);
	if (chosen != first) {
		/* The line goes on from where it was: who was passed over stays its first. */
		next->passed++;
		return (int)chosen;
	}
	next->passed = 0;
	next->last = chosen;
	return (int)chosen;
}
