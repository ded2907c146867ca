/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_seqlock.c: a sequence lock: a writer makes the number odd, a reader reads until the
 * number was even and the same before and after. Its word is the writers' lock too.
 */
#include "coherence_lock.h"

struct seqlock {
	uint64_t sequence;
};

static inline int seqlock_lock(struct seqlock *lock, struct object *o)
{
	uint64_t s;

	(void)o;
	for (;;) {
		s = __atomic_load_n(&lock->sequence, __ATOMIC_RELAXED);
		/* Acquire: with the release in seqlock_unlock(). */
		if (s % 2 == 0 && __atomic_compare_exchange_n(&lock->sequence, &s, s + 1, 0,
							      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			break;
		__builtin_ia32_pause();
	}
	/* The odd number before the words; partner: the acquire fence in seqlock_read(). */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return 0;
}

static inline int seqlock_unlock(struct seqlock *lock, struct object *o)
{
	(void)o;
	__atomic_store_n(&lock->sequence, lock->sequence + 1, __ATOMIC_RELEASE);
	return 0;
}

LOCK_WRITE_FUNCTIONS(seqlock, struct seqlock, seqlock_lock, seqlock_unlock)

static int seqlock_read(struct object *o, uint64_t *copy)
{
	struct seqlock *lock = o->head;
	uint64_t before;

	for (;;) {
		/* Acquire: with the release in seqlock_unlock(). */
		before = __atomic_load_n(&lock->sequence, __ATOMIC_ACQUIRE);
		if (before % 2 == 0) {
			copy_words(copy, o->data, o->words);
			/* Partner: the release fence in seqlock_lock(). */
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			if (__atomic_load_n(&lock->sequence, __ATOMIC_RELAXED) == before)
				return 0;
		}
		__builtin_ia32_pause();
	}
}

const struct strategy by_seqlock = LOCK_STRATEGY(seqlock, "seqlock", struct seqlock, .packed = 1);
