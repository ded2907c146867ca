/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_take.c: holding a cell, letting it go, and taking it from one that is gone
 * (docs/protocol.md, "Cells"). Every change of the directory word is a step of coherence/.
 */
#include "cell_turn.h"

#include <isthmus/app.h>

#define TRIES 8u /* to take a cell that is free */
/* Between a waiter's first look and its second, if it stands back; and how many looks that is
   otherwise, about. */
#define APART_NS 350u
#define APART_LOOKS 13u
#define APART_SURE 16u /* times in a row in vain until it does so no more */
#define APART_TRY 256u /* but once in so many waits, to see whether it were of use by now */

/* One swap of the word by this step: 1 done; 0 it was another word, which is now in *word. */
static int swap(struct ist_cell *cell, struct ist_directory *word, const struct coh_result *result,
		unsigned step)
{
	struct ist_directory *shared = &cell->memory->directory;

	(void)step; /* for traces alone */
	COH_AT(shared, step, cell->seat, *word);
	if (!coh_cas(shared, word, result->word))
		return 0;
	COH_TRACE(shared, step, cell->seat, *word, result->word);
	return 1;
}

int ist_cell_spoil(struct ist_cell *cell)
{
	struct ist_directory *shared = &cell->memory->directory;
	struct ist_directory word = coh_load(shared);
	struct coh_event spoil = {.type = COH_BREAK, .peer = cell->seat};
	struct coh_result result;

	if (ist_group_gone(cell->group)) {
		cell->error = -ENODEV;
		return 1;
	}
	coh_confirm(shared, &word);
	/* The word is sound, and this seat holds the cell: then it is the content that is lost. */
	if (coh_check(word, cell->seats) == 0)
		spoil.type = COH_REAP_LOST;
	if ((spoil.type == COH_BREAK || IST_DIR_BUSY(word.control) == cell->seat + 1) &&
	    coh_step(word, &spoil, cell->seats, &result) == 0)
		swap(cell, &word, &result, spoil.type);
	cell->control = 0;
	cell->section = IST_SECTION_NONE;
	cell->error = -EPROTO;
	ist_cell_wake(cell);
	return 0;
}

static uint64_t next_in_head(uint64_t version)
{
	return IST_CELL_VERSION(IST_CELL_NUMBER(version) + 1, IST_CELL_HEAD);
}

/*
 * What the dead had committed, or what was there before its open section, becomes this seat's own
 * commitment, before it is busy: so whichever seat is busy, its `redo` says what is still to be
 * done, however many die over it. Until the swap nobody looks at it; if the swap fails, another has
 * done it, and the number is too old to count.
 */
static void inherit(struct ist_cell *cell, const struct ist_cell_seat *dead)
{
	uint64_t version = ist_load_acquire(&cell->memory->version);
	uint64_t redo = ist_load_acquire(&dead->redo);
	uint32_t i;

	if (!cell->in_head || !ist_cell_line_counts(version, redo))
		return;
	for (i = 0; i < cell->words; i++)
		ist_store_release(&cell->own->data[i], ist_load_acquire(&dead->data[i]));
	ist_store_release(&cell->own->redo, next_in_head(version));
}

/*
 * The cell is held in the place of one that is gone: does what it had committed. What an open
 * section has changed becomes what it was, as a version of its own: a reader that saw some of the
 * words could not tell, if it were the old one again.
 */
static int finish(struct ist_cell *cell)
{
	uint64_t version = ist_load_acquire(&cell->memory->version);
	uint64_t redo = ist_load_acquire(&cell->own->redo);
	const uint64_t *content;

	if (cell->in_head && ist_cell_line_counts(version, redo)) {
		ist_store_release(&cell->own->redo, next_in_head(version));
		ist_cell_move(cell, version, next_in_head(version));
		version = next_in_head(version);
	}
	if (cell->in_head ? IST_CELL_WHERE(version) != IST_CELL_HEAD
			  : IST_CELL_WHERE(version) >= IST_CELL_HEAD)
		return ist_cell_break(cell);
	content = cell->in_head ? cell->memory->data : ist_cell_published(cell, version);
	if (!content)
		return ist_cell_break(cell);
	if (cell->policy->published)
		cell->policy->published(cell, IST_CELL_NUMBER(version), content);
	__atomic_fetch_add(&cell->memory->repairs, 1, __ATOMIC_RELAXED);
	return 0;
}

int ist_cell_repair(struct ist_cell *cell, struct ist_directory word, uint32_t dead)
{
	const struct coh_event reap = {.type = COH_REAP, .peer = dead};
	const struct coh_event take = {.type = COH_TAKE, .peer = cell->seat};
	struct ist_directory *shared = &cell->memory->directory, expected = word;
	struct coh_result reaped, taken;
	int error;

	/* Both in one swap: between them another could write, and what was committed be done late.
	 */
	if (coh_step(word, &reap, cell->seats, &reaped) ||
	    coh_step(reaped.word, &take, cell->seats, &taken))
		return ist_cell_break(cell);
	cell->mine = IST_CELL_NOTHING;
	if (dead != cell->seat)
		inherit(cell, &cell->all[dead]);
	COH_AT(shared, COH_REAP, dead, word);
	if (!coh_cas(shared, &expected, taken.word))
		return -EAGAIN;
	COH_TRACE(shared, COH_REAP, dead, word, reaped.word);
	COH_TRACE(shared, COH_TAKE, cell->seat, reaped.word, taken.word);
	cell->control = taken.word.control;
	IST_CELL_TRACE(cell, COH_INSTALL);
	error = finish(cell);
	if (!error) {
		IST_CELL_TRACE(cell, COH_DROP);
		error = ist_cell_release(cell);
	}
	return error ? error : -EOWNERDEAD;
}

/* Somebody is busy: whether it still is there. */
static int look_at_holder(struct ist_cell *cell, struct ist_directory word)
{
	uint32_t holder = IST_DIR_BUSY(word.control) - 1;
	uint64_t owner;

	/* Not in a section, and yet busy: nobody correct says so. */
	if (holder == cell->seat)
		return ist_cell_break(cell);
	/* After the word: if the seat has a new owner by now, it has changed the word too. Acquire:
	   pairs with the kernel that marks the word, or the broker that writes the roster. */
	owner = ist_load_acquire(&cell->all[holder].owner);
	if (ist_group_fate(cell->group, owner) == IST_FATE_HERE)
		return -EAGAIN;
	COH_TRACE(&cell->memory->directory, COH_LOOK, holder, word, word);
	return ist_cell_repair(cell, word, holder);
}

int ist_cell_try_take(struct ist_cell *cell)
{
	const struct coh_event take = {.type = COH_TAKE, .peer = cell->seat};
	struct ist_directory *shared = &cell->memory->directory, word = coh_load(shared);
	struct coh_result result;
	unsigned tries;
	int error;

	if (ist_group_gone(cell->group))
		return cell->error = -ENODEV;
	/* Not for ever: who takes a free cell from under this one is no reason to come back late.
	 */
	for (tries = 0; tries < TRIES; tries++) {
		error = coh_step(word, &take, cell->seats, &result);
		if (error == -EPROTO || error == -EAGAIN) {
			/* A snapshot is no proof. */
			coh_confirm(shared, &word);
			error = coh_step(word, &take, cell->seats, &result);
		}
		if (error == -EBUSY)
			return look_at_holder(cell, word);
		if (error)
			return ist_cell_break(cell);
		if (swap(cell, &word, &result, COH_TAKE)) {
			cell->control = result.word.control;
			IST_CELL_TRACE(cell, COH_INSTALL);
			return 0;
		}
	}
	return -EAGAIN;
}

/*
 * A look fetches the line that the holder stores into, which then fetches it back: who looks all
 * the time makes a short section several times as long. So a holder that has several of them to do
 * is left alone for some. Whether it has is seen by what it has done meanwhile: where it held the
 * cell once, and left it alone then, standing back only made the next one come late.
 */
static void stand_back(struct ist_cell *cell, uint64_t was, uint64_t timeout_ns)
{
	uint64_t until, is;

	cell->left_out = 0;
	if (!cell->apart && ++cell->waits % APART_TRY)
		return;
	cell->left_out = APART_LOOKS;
	until = ist_time_ns() + (timeout_ns < APART_NS ? timeout_ns : APART_NS);
	do
		ist_relax();
	while (ist_time_ns() < until);
	is = ist_load(&cell->memory->directory.control);
	if (IST_DIR_OWNER(is) == IST_DIR_OWNER(was) &&
	    ((IST_DIR_EPOCH(is) - IST_DIR_EPOCH(was)) & IST_DIR_EPOCH_MASK) > 1)
		cell->apart = APART_SURE;
	else if (cell->apart)
		cell->apart--;
}

/* It has waited: so many looks, and those that it left out at first. */
static void count_looks(struct ist_cell *cell, uint32_t looks)
{
	ist_cell_waited(cell, cell->left_out + looks, 1);
	cell->waited = 0;
}

int ist_cell_turn_begin(struct ist_cell *cell, struct ist_cell_wait *wait, uint64_t timeout_ns)
{
	uint64_t control;
	int error = cell->error;

	/* The last wait is counted now, when there is time for it. */
	if (cell->waited) {
		ist_cell_spun(cell);
		count_looks(cell, cell->waited);
	}
	if (error) {
		if (error == -EOWNERDEAD)
			cell->error = 0;
		return error;
	}
	/* Who waits looks at the holder later: that takes the holder's own line from it. */
	control = ist_load(&cell->memory->directory.control);
	if (!timeout_ns || !IST_DIR_BUSY(control)) {
		error = ist_cell_try_take(cell);
		if (error != -EAGAIN)
			return error;
	}
	if (!timeout_ns) /* who only tries says itself what it waits for */
		return -ETIMEDOUT;
	stand_back(cell, control, timeout_ns);
	*wait = (struct ist_cell_wait){.ready = ist_cell_try_take,
				       .mask = &cell->memory->waiters,
				       .timeout_ns = timeout_ns};
	return -EAGAIN;
}

int ist_cell_turn_on(struct ist_cell *cell, struct ist_cell_wait *wait, uint32_t looks)
{
	int error = ist_cell_try_take(cell);

	if (error == -EAGAIN)
		error = ist_cell_wait_on(cell, wait);
	if (error != -EAGAIN)
		count_looks(cell, looks);
	return error;
}

int ist_cell_take(struct ist_cell *cell, uint64_t timeout_ns)
{
	return ist_cell_turn(cell, timeout_ns);
}
