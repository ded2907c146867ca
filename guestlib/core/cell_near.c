/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_near.c: a handle's copy of the version it read last, in memory of its own instance, which is
 * on the instance's NUMA node (docs/protocol.md, "Near copies"). One handle writes it and reads it,
 * so nothing about it is shared: no word says whether it is valid but its number, here.
 */
#include "cell.h"
#include "platform.h"

int ist_cell_near_init(struct ist_cell *cell)
{
	struct ist_cell_near *near = &cell->near;

	/* The head comes with the version; what is pushed is in lines of the consumer already. */
	if (!(cell->flags & IST_CELL_NEAR) || cell->in_head || cell->policy->read)
		return 0;
	near->number = IST_CELL_NOTHING;
	near->copy = ist_platform_alloc(cell->words * sizeof(*near->copy));
	return near->copy ? 0 : -ENOMEM;
}

void ist_cell_near_fini(struct ist_cell *cell)
{
	ist_platform_free(cell->near.copy);
}

int ist_cell_renew(struct ist_cell *cell, uint64_t timeout_ns)
{
	struct ist_cell_near *near = &cell->near;
	/* Acquire: a hit says that this is the latest version, so that what the caller looks at
	   next is not older. Partner: the release that publishes, in cell_write.c. */
	uint64_t version = ist_load_acquire(&cell->memory->version), number = 0;
	int error;

	if (ist_likely(IST_CELL_NUMBER(version) == near->number &&
		       ist_cell_where_valid(cell, IST_CELL_WHERE(version))))
		return ist_cell_see(cell, near->number);
	near->number = IST_CELL_NOTHING;
	error = ist_cell_read_core(cell, near->copy, &number, timeout_ns);
	if (!error)
		near->number = number;
	return error;
}
