/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_requests.h: the policy delegated, inside: a handle's operations on their way. They are asked
 * for, in lines that others see, or kept back, in private; whoever holds the cell does them.
 */
#ifndef IST_CORE_CELL_REQUESTS_H
#define IST_CORE_CELL_REQUESTS_H

#include "cell.h"

/* The sequence of what is no request yet: beyond all that are. */
#define IST_CELL_KEPT (UINT64_MAX - IST_CELL_OPERATIONS + 1) /* + number */

/* An operation that is waited for, and never was a request. */
struct ist_cell_operation {
	ist_cell_function *function;
	const uint64_t *arguments;
	int64_t value; /* out */
};

/* cell_combine.c */

/*
 * If the cell is free: holds it, does this handle's requests, then `own` (may be NULL), then some
 * of the others', publishes all of it as one version, and lets go. 0; -ETIMEDOUT somebody else
 * holds it; -EOWNERDEAD, and nothing was done; -EPROTO, -ENODEV.
 */
int ist_cell_pass(struct ist_cell *cell, struct ist_cell_operation *own);

/* cell_kept.c: what is kept back is done, in its order. The cell is held. */
void ist_cell_do_kept(struct ist_cell *cell, void *content);

/* Results that others have left become known. 0; -EPROTO. */
int ist_cell_harvest(struct ist_cell *cell);

/* So many requests at a time are as dear to do for another as to hand it the cell; more there
   cannot be. */
static inline uint64_t ist_cell_worth(const struct ist_cell *cell)
{
	uint64_t worth = 8u + cell->words / 2;

	return worth < IST_CELL_REQUESTS ? worth : IST_CELL_REQUESTS;
}

/* Operations that are kept back. Numbers of tickets that were left out count, too. */
static inline uint64_t ist_cell_kept(const struct ist_cell *cell)
{
	return cell->ticket - cell->requests.asks;
}

/* Operations of this handle that it has neither done nor knows to be done. */
static inline uint64_t ist_cell_pending(const struct ist_cell *cell)
{
	return cell->requests.asked - cell->requests.done + ist_cell_kept(cell);
}

/* There was a ticket, or there is where to have one. */
static inline struct ist_cell_result *ist_cell_result_at(struct ist_cell *cell, uint64_t ticket)
{
	return &cell->results[ticket % IST_CELL_IN_FLIGHT];
}

/* Keeps an operation back, as soon as its ticket is the last. */
static inline void ist_cell_keep(struct ist_cell_result *result, uint32_t number,
				 const uint64_t *arguments)
{
	_Static_assert(IST_CELL_ARGUMENTS == 4, "one by one");
	/* One by one, as they were stored just now: a load of two would wait until both have left
	   the store buffer. */
	result->arguments[0] = ist_load(&arguments[0]);
	result->arguments[1] = ist_load(&arguments[1]);
	result->arguments[2] = ist_load(&arguments[2]);
	result->arguments[3] = ist_load(&arguments[3]);
	result->sequence = IST_CELL_KEPT + number;
}

/* What is kept back, and its ticket is this one, or NULL: the number was left out. */
static inline struct ist_cell_result *ist_cell_kept_at(struct ist_cell *cell, uint64_t ticket)
{
	struct ist_cell_result *result = ist_cell_result_at(cell, ticket);

	return ist_likely(result->ticket == ticket) ? result : NULL;
}

/* Nothing is kept back any more: the uses that it was begin. */
static inline void ist_cell_kept_none(struct ist_cell *cell)
{
	uint32_t kept = (uint32_t)ist_cell_kept(cell);

	cell->requests.asks = cell->ticket;
	/* Under way with each other, but for one that was alone: too seldom to matter. */
	ist_cell_count(cell, IST_CELL_COUNT_TOGETHER, kept);
	ist_cell_use_many(cell, IST_CELL_COUNT_OPERATIONS, kept);
}

/* The first of a seat's requests, its desk. */
static inline struct ist_cell_request *ist_cell_desk(const struct ist_cell *cell, uint32_t seat)
{
	return (struct ist_cell_request *)(void *)ist_cell_area(cell, seat);
}

/* The policy's `published`. */
void ist_cell_deliver(struct ist_cell *cell, uint64_t number, const uint64_t *content);

#endif
