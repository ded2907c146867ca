/* SPDX-License-Identifier: BSD-2-Clause */
/* coherence_by_ticket.c: a ticket lock: first come, first served. */
#include "coherence_lock.h"

struct ticket {
	uint32_t next, serving;
};

static inline int ticket_lock(struct ticket *lock, struct object *o)
{
	uint32_t mine = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	(void)o;
	/* Acquire: with the release in ticket_unlock(). */
	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != mine)
		__builtin_ia32_pause();
	return 0;
}

static inline int ticket_unlock(struct ticket *lock, struct object *o)
{
	(void)o;
	/* Only the holder writes it. */
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
	return 0;
}

LOCK_FUNCTIONS(ticket, struct ticket, ticket_lock, ticket_unlock)
const struct strategy by_ticket = LOCK_STRATEGY(ticket, "ticket", struct ticket);
const struct strategy by_ticket_packed =
	LOCK_STRATEGY(ticket, "ticket-packed", struct ticket, .packed = 1);
