/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_requests.h: the policy delegated, inside: a handle's operations on their way. They are asked
 * for, in lines that others see, or kept back, in private; whoever holds the cell does them.
 */
#ifndef IST_CORE_CELL_REQUESTS_H
#define IST_CORE_CELL_REQUESTS_H

#include "cell.h"

/* Places of results beside those of tickets. */
#define IST_CELL_ALONE IST_CELL_IN_FLIGHT /* of the operation that is waited for */
#define IST_CELL_NOWHERE 0xffu            /* of what is not waited for any more */
/* The sequence of what is no request yet: beyond all that are. */
#define IST_CELL_KEPT UINT64_MAX

/* An operation of this handle that was never a request. */
struct ist_cell_operation {
	uint32_t number;
	uint32_t reserved;
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

/* Results that others have left become known. 0; -EPROTO. */
int ist_cell_harvest(struct ist_cell *cell);

/* So many requests at a time are as dear to do for another as to hand it the cell. */
static inline uint64_t ist_cell_worth(const struct ist_cell *cell)
{
	return 8u + cell->words / 2;
}

/* Operations of this handle that it has neither done nor knows to be done. */
static inline uint64_t ist_cell_pending(const struct ist_cell *cell)
{
	return cell->requests.asked - cell->requests.done + cell->requests.kept;
}

/* Keeps an operation back. One for each ticket that is not collected: there is room. */
static inline void ist_cell_keep(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
				 uint32_t place)
{
	struct ist_cell_kept *kept = &cell->kept[cell->requests.kept++];

	__builtin_memcpy(kept->arguments, arguments, sizeof(kept->arguments));
	kept->number = number;
	kept->place = place;
	cell->results[place].sequence = IST_CELL_KEPT;
}

/* The first of a seat's requests, its desk. */
static inline struct ist_cell_request *ist_cell_desk(const struct ist_cell *cell, uint32_t seat)
{
	return (struct ist_cell_request *)(void *)ist_cell_area(cell, seat);
}

/* The policy's `published`. */
void ist_cell_deliver(struct ist_cell *cell, uint64_t number, const uint64_t *content);

#endif
