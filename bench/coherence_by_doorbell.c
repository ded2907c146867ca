/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_doorbell.c: a mutex that sleeps, made of what every instance has: the word of three
 * states that C libraries use over futexes (0 free, 1 taken, 2 taken and perhaps waited for), and
 * doorbells to sleep and wake by.
 */
#include "coherence_lock.h"

#define SPINS 100u /* before sleeping: a few microseconds, less than a doorbell takes */
#define NAP_NS 1000000000u

struct parking {
	uint64_t state;
	uint64_t parked; /* who sleeps, a bit an instance */
};

static uint32_t bells; /* this instance's doorbells so far */

/* Sleeps unless the lock was released meanwhile. Returns early at any doorbell. */
static __attribute__((noinline)) int parking_sleep(struct parking *lock, struct object *o)
{
	uint64_t mine = 1ull << o->site->me;
	int error = 0;

	/*
	 * A full barrier between the bit and the look; partner: the exchange in parking_unlock(),
	 * between the release and its look at the bits. One of the two sees the other's.
	 */
	__atomic_fetch_or(&lock->parked, mine, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&lock->state, __ATOMIC_SEQ_CST) == 2)
		error = ist_doorbell_wait(o->site->group, ist_group_vectors(o->site->group) - 1,
					  &bells, NAP_NS);
	__atomic_fetch_and(&lock->parked, ~mine, __ATOMIC_SEQ_CST);
	return error == -ETIMEDOUT ? 0 : error;
}

static inline int parking_lock(struct parking *lock, struct object *o)
{
	uint64_t state = 0;
	int error = 0;

	/* Acquire, here and below: with the exchange in parking_unlock(). */
	for (unsigned i = 0; i < SPINS; i++, state = 0) {
		if (__atomic_load_n(&lock->state, __ATOMIC_RELAXED) == 0 &&
		    __atomic_compare_exchange_n(&lock->state, &state, 1, 0, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return 0;
		__builtin_ia32_pause();
	}
	while (error == 0 && __atomic_exchange_n(&lock->state, 2, __ATOMIC_SEQ_CST) != 0)
		error = parking_sleep(lock, o);
	return error;
}

/* Wakes one of those who sleep, the next after this instance. */
static __attribute__((noinline)) int parking_wake(struct parking *lock, struct object *o)
{
	uint64_t parked = __atomic_load_n(&lock->parked, __ATOMIC_SEQ_CST);

	for (unsigned i = 1; i < o->site->count; i++) {
		unsigned who = (o->site->me + i) % o->site->count;

		/* Who clears the bit rings: a second release meanwhile wakes another one. */
		if ((parked >> who & 1) != 0 &&
		    (__atomic_fetch_and(&lock->parked, ~(1ull << who), __ATOMIC_SEQ_CST) >> who &
		     1) != 0)
			return ist_doorbell_ring(o->site->group, who,
						 ist_group_vectors(o->site->group) - 1);
	}
	return 0;
}

static inline int parking_unlock(struct parking *lock, struct object *o)
{
	if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_SEQ_CST) != 2)
		return 0;
	return parking_wake(lock, o);
}

LOCK_FUNCTIONS(parking, struct parking, parking_lock, parking_unlock)
const struct strategy by_doorbell = LOCK_STRATEGY(parking, "doorbell", struct parking);
