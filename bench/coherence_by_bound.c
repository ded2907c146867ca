/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_bound.c: the least that a lock in the record's line has to do so that its holder may
 * die and leave nothing torn: one word is lock and version and names who holds it; before its first
 * store the holder copies the record into lines of its own, and says of which version it is. Nobody
 * waits but by looking, nothing is checked, and nobody repairs: no contestant, but what the
 * hand-over of one can be measured against.
 */
#include "coherence_lock.h"

struct bound {
	uint64_t word; /* holder + 1, 0: free; and, in the other bits, the version */
};

#define HOLDER 0xffu

struct undo {
	uint64_t version;
	uint64_t data[WORDS_MAX];
} __attribute__((aligned(128)));

static inline int bound_lock(struct bound *lock, struct object *o)
{
	struct undo *own = (struct undo *)(void *)o->site->common + o->site->me;
	uint64_t word;

	for (;;) {
		word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
		/* Acquire: with the release in bound_unlock(). */
		if (!(word & HOLDER) &&
		    __atomic_compare_exchange_n(&lock->word, &word, word + o->site->me + 1, 0,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			break;
		__builtin_ia32_pause();
	}
	copy_words(own->data, o->data, o->words);
	/* Release: who finds the version finds the copy. */
	__atomic_store_n(&own->version, word, __ATOMIC_RELEASE);
	/* Before the section's stores: who finds one of them finds what it was. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return 0;
}

static inline int bound_unlock(struct bound *lock, struct object *o)
{
	/* Only the holder changes it. */
	uint64_t word = word_get(&lock->word) - (o->site->me + 1);

	__atomic_store_n(&lock->word, word + HOLDER + 1, __ATOMIC_RELEASE);
	return 0;
}

LOCK_FUNCTIONS(bound, struct bound, bound_lock, bound_unlock)
const struct strategy by_bound = {
	.name = "bound",
	.can = NEED_SECTION,
	.head = sizeof(struct bound),
	.packed = 1,
	.common = INSTANCES_MAX * sizeof(struct undo),
	.apply = bound_apply,
	.read = bound_read,
	.enter = bound_enter,
	.leave = bound_leave,
};
