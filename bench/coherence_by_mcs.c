/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_mcs.c: the queue lock of Mellor-Crummey and Scott (1991): everybody spins on a line
 * of its own. Its nodes are in the strategy's common memory, one an instance, and are named by
 * number: addresses differ between instances. An instance holds one lock at a time.
 */
#include "coherence_lock.h"

struct mcs {
	uint64_t tail; /* instance + 1; 0: free */
};

struct mcs_node {
	uint64_t next; /* instance + 1; 0: nobody yet */
	uint64_t waits;
	uint64_t reserved[14];
};

static inline struct mcs_node *mcs_node(struct object *o, uint64_t number)
{
	return (struct mcs_node *)o->site->common + number - 1;
}

static inline int mcs_lock(struct mcs *lock, struct object *o)
{
	uint64_t me = o->site->me + 1, before;
	struct mcs_node *node = mcs_node(o, me);

	__atomic_store_n(&node->next, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&node->waits, 1, __ATOMIC_RELAXED);
	/* Release: the node is ready before others find it. Acquire: with the release of `tail`. */
	before = __atomic_exchange_n(&lock->tail, me, __ATOMIC_ACQ_REL);
	if (before == 0)
		return 0;
	if (before > INSTANCES_MAX)
		return -EPROTO;
	__atomic_store_n(&mcs_node(o, before)->next, me, __ATOMIC_RELEASE);
	/* Acquire: with the release in mcs_unlock(). */
	while (__atomic_load_n(&node->waits, __ATOMIC_ACQUIRE) != 0)
		__builtin_ia32_pause();
	return 0;
}

static inline int mcs_unlock(struct mcs *lock, struct object *o)
{
	uint64_t me = o->site->me + 1, expected = me, next;
	struct mcs_node *node = mcs_node(o, me);

	/* Acquire: the next one's node is ready; with the release of `next` in mcs_lock(). */
	next = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE);
	if (next == 0) {
		if (__atomic_compare_exchange_n(&lock->tail, &expected, 0, 0, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return 0;
		while ((next = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE)) == 0)
			__builtin_ia32_pause();
	}
	if (next > INSTANCES_MAX)
		return -EPROTO;
	__atomic_store_n(&mcs_node(o, next)->waits, 0, __ATOMIC_RELEASE);
	return 0;
}

LOCK_FUNCTIONS(mcs, struct mcs, mcs_lock, mcs_unlock)
const struct strategy by_mcs =
	LOCK_STRATEGY(mcs, "mcs", struct mcs, .common = INSTANCES_MAX * sizeof(struct mcs_node));
