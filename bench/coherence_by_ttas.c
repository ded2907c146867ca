/* SPDX-License-Identifier: BSD-2-Clause */
/* coherence_by_ttas.c: a test-and-set lock that looks before it tries, with bounded back-off. */
#include "coherence_lock.h"

#define BACKOFF_MAX 64u

struct ttas {
	uint64_t taken;
};

static inline int ttas_lock(struct ttas *lock, struct object *o)
{
	unsigned backoff = 1;

	(void)o;
	/* Acquire: with the release in ttas_unlock(). */
	while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE) != 0) {
		do {
			for (unsigned i = 0; i < backoff; i++)
				__builtin_ia32_pause();
			if (backoff < BACKOFF_MAX)
				backoff *= 2;
		} while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED) != 0);
	}
	return 0;
}

static inline int ttas_unlock(struct ttas *lock, struct object *o)
{
	(void)o;
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
	return 0;
}

LOCK_FUNCTIONS(ttas, struct ttas, ttas_lock, ttas_unlock)
const struct strategy by_ttas = LOCK_STRATEGY(ttas, "ttas", struct ttas);
/* Lock and record in one line: it comes in one piece, and who waits for the lock takes it away. */
const struct strategy by_ttas_packed = LOCK_STRATEGY(ttas, "ttas-packed", struct ttas, .packed = 1);
