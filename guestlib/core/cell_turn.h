/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_turn.h: to hold a cell, waiting for it, in one piece: what is between the look that finds
 * the cell free and what the caller does next is what a hand-over takes longer.
 */
#ifndef IST_CORE_CELL_TURN_H
#define IST_CORE_CELL_TURN_H

#include "cell.h"

/* cell_take.c: before the first look, and after these, in vain. 0 the cell is held; -EAGAIN look
   (again); or what ist_cell_take() returns. */
int ist_cell_turn_begin(struct ist_cell *cell, struct ist_cell_wait *wait, uint64_t timeout_ns);
int ist_cell_turn_on(struct ist_cell *cell, struct ist_cell_wait *wait, uint32_t looks);

/*
 * As ist_cell_take(). Looks at the word often, at its holder now and then. A word that is free, but
 * not as the last owner leaves it, is for the slower loop: what is in this one is what a hand-over
 * takes (docs/benchmarks.md, "Hand-over").
 */
static ist_inline int ist_cell_turn(struct ist_cell *cell, uint64_t timeout_ns)
{
	struct ist_directory *shared = &cell->memory->directory, word, next;
	struct ist_cell_wait wait;
	int error = ist_cell_turn_begin(cell, &wait, timeout_ns);
	uint32_t looks = 0;

	if (error != -EAGAIN)
		return error;
	for (;;) {
		word.control = ist_load_acquire(&shared->control);
		/* As its last owner has let it go, in memory that is there: what is gone is zeros.
		 */
		if (coh_at_rest(word.control)) {
			word.sharers = ist_load_acquire(&shared->sharers);
			if (ist_unlikely(!coh_retaken(word, cell->seat, cell->seats, &next)))
				return ist_cell_look_on(cell, &wait);
			COH_AT(shared, COH_TAKE, cell->seat, word);
			if (coh_cas(shared, &word, next))
				break;
		} else if (!IST_DIR_BUSY(word.control)) {
			return ist_cell_look_on(cell, &wait);
		}
		ist_relax();
		if (ist_unlikely(++looks % IST_SPINS_A_LOOK == 0)) {
			error = ist_cell_turn_on(cell, &wait, looks);
			if (error != -EAGAIN)
				return error;
		}
	}
	COH_TRACE(shared, COH_TAKE, cell->seat, word, next);
	cell->control = next.control;
	cell->waited = looks + 1;
	IST_CELL_TRACE(cell, COH_INSTALL);
	return 0;
}

#endif
