/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_wait.c: waiting for a cell, and waking who waits.
 *
 * Who waits spins while that pays: where the run-state page tells, as long as the holder runs, and
 * not at all while it does not (the adaptive mutex of Solaris; Mauro, McDougall, "Solaris
 * Internals", 1st ed., ch. 3); where it does not tell, about as long as sleeping would cost.
 *
 * Who spins is known to nobody. Who sleeps has its bit in a word that the releaser looks at: set
 * the bit, fence, look again, sleep; let go, look at the bits, ring. The releaser leaves its fence
 * out: a section would cost half as much again. So its look may be as old as a store takes to leave
 * a store buffer, and miss a bit set just then; after SETTLE_NS with the bit set, no releaser's
 * look can be that old any more, and until then the sleep is short.
 *
 * Who rings takes the bit away, so that nobody is rung for twice; who was rung for and does not
 * stay for the cell passes the ring on.
 */
#include "cell.h"
#include "platform.h"
#include "run_state.h"

#include <isthmus/app.h>

#define SETTLE_NS 1000000ull

static uint64_t seat_bit(const struct ist_cell *cell)
{
	return (uint64_t)1 << cell->seat;
}

/* Rings for whoever has a seat. 0, or -errno: nobody is there. */
static int ring(struct ist_cell *cell, uint32_t seat)
{
	uint64_t owner = ist_load(&cell->all[seat].owner);

	if (ist_group_fate(cell->group, owner) != IST_FATE_HERE)
		return -EPIPE;
	return ist_platform_ring(cell->group, IST_OWNER_ID(owner), IST_OWNER_INCARNATION(owner),
				 cell->vector);
}

/* Whose turn it is: the next seat after this one, round and round, so that each gets its own. */
static uint32_t next_of(const struct ist_cell *cell, uint64_t waiters)
{
	uint64_t behind = waiters & ~(seat_bit(cell) | (seat_bit(cell) - 1));

	return (uint32_t)__builtin_ctzll(behind ? behind : waiters);
}

void ist_cell_wake_seats(struct ist_cell *cell, uint64_t *mask, uint64_t seats)
{
	seats &= ist_load(mask);
	if (!seats)
		return;
	seats &= __atomic_fetch_and(mask, ~seats, __ATOMIC_SEQ_CST);
	for (; seats; seats &= seats - 1)
		ring(cell, (uint32_t)__builtin_ctzll(seats));
}

void ist_cell_wake(struct ist_cell *cell)
{
	struct ist_cell_memory *memory = cell->memory;
	uint64_t all = ist_cell_everybody(cell), waiters, bit;
	uint32_t seat, tries;

	/* As often as there are seats: a hostile peer may set bits as fast as they are taken. */
	for (tries = 0; tries < cell->seats; tries++) {
		waiters = ist_load(&memory->waiters) & all;
		if (!waiters)
			break;
		seat = next_of(cell, waiters);
		bit = (uint64_t)1 << seat;
		if (__atomic_fetch_and(&memory->waiters, ~bit, __ATOMIC_SEQ_CST) & bit &&
		    ring(cell, seat) == 0)
			break;
	}
	ist_cell_wake_seats(cell, &memory->watchers, all);
}

/* Whether who holds the cell has a processor: 1 it has, 0 it was taken off it. -ENODATA: nobody
   holds it, or nothing is known. */
static int holder_runs(const struct ist_cell *cell)
{
	uint32_t busy = IST_DIR_BUSY(ist_load(&cell->memory->directory.control));
	uint64_t owner;

	if (busy == 0 || busy > cell->seats)
		return -ENODATA;
	owner = ist_load(&cell->all[busy - 1].owner);
	return ist_run_state_of(cell->group, IST_OWNER_ID(owner), IST_OWNER_INCARNATION(owner));
}

/* Says that it sleeps, and sleeps, until ready, the deadline, or a ring that came to nothing. */
static int sleep_armed(struct ist_cell *cell, const struct ist_cell_wait *wait)
{
	uint64_t *mask = wait->mask, deadline = wait->deadline;
	uint64_t bit = seat_bit(cell), now = ist_time_ns(), settled = ist_later(now, SETTLE_NS);
	uint32_t seen;
	int result, rung;

	/* A locked instruction, so a fence: what is looked at below is looked at later. */
	__atomic_fetch_or(mask, bit, __ATOMIC_SEQ_CST);
	do {
		seen = ist_platform_count_all(cell->group);
		cell->looks = 63; /* this look is at the holder, too */
		result = wait->ready(cell);
		now = ist_time_ns();
		rung = !(ist_load(mask) & bit);
		if (result != -EAGAIN || rung || now >= deadline || ist_group_gone(cell->group))
			break;
		ist_platform_wait(cell->group, seen,
				  ist_earlier(deadline, now < settled
								? settled
								: ist_later(now, IST_SLEEP_NS)));
	} while (1);
	rung = !(__atomic_fetch_and(mask, ~bit, __ATOMIC_SEQ_CST) & bit);
	/* It is leaving without having held what it was rung for: a reader may. */
	if (rung && mask == &cell->memory->waiters && !cell->control &&
	    (result != -EAGAIN || now >= deadline))
		ist_cell_wake(cell);
	return result;
}

/* What a look did, or -EAGAIN: to look on. */
static int sleep_once(struct ist_cell *cell, struct ist_cell_wait *wait)
{
	int result = sleep_armed(cell, wait);
	uint64_t now;

	if (result != -EAGAIN)
		return result;
	if (ist_group_gone(cell->group))
		return ist_cell_break(cell);
	now = ist_time_ns();
	if (now >= wait->deadline)
		return -ETIMEDOUT;
	wait->until = ist_earlier(wait->deadline, ist_later(now, cell->spin_ns));
	return -EAGAIN;
}

static void begin(const struct ist_cell *cell, struct ist_cell_wait *wait)
{
	uint64_t now;

	wait->deadline = wait->until = IST_FOREVER;
	if (!(cell->flags & IST_CELL_POLL)) {
		now = ist_time_ns();
		wait->deadline = ist_later(now, wait->timeout_ns);
		wait->until = ist_earlier(wait->deadline, ist_later(now, cell->spin_ns));
	} else if (wait->timeout_ns != IST_FOREVER) {
		wait->until = ist_later(ist_time_ns(), wait->timeout_ns);
	}
}

int ist_cell_wait_on(struct ist_cell *cell, struct ist_cell_wait *wait)
{
	uint64_t now, until;
	int runs;

	/* Not before: who reads the clock before its first look comes late where sections are
	   short. */
	if (!wait->until)
		begin(cell, wait);
	until = wait->until;
	if (cell->flags & IST_CELL_POLL)
		return until == IST_FOREVER || ist_time_ns() < until ? -EAGAIN : -ETIMEDOUT;
	/* Not running, it lets go of nothing until it is back; and that says nothing of how long it
	   takes when it runs. */
	runs = holder_runs(cell);
	if (runs == 0)
		return sleep_once(cell, wait);
	now = ist_time_ns();
	if (runs > 0)
		until = ist_earlier(wait->deadline, ist_later(until, IST_SPIN_ON_NS));
	if (now < until)
		return -EAGAIN;
	if (cell->spin_ns > IST_SPIN_MIN_NS)
		cell->spin_ns /= 2;
	return sleep_once(cell, wait);
}

int ist_cell_look_on(struct ist_cell *cell, struct ist_cell_wait *wait)
{
	int result = -EAGAIN;
	unsigned i;

	for (i = 1; result == -EAGAIN; i++) {
		result = wait->ready(cell);
		if (result != -EAGAIN) {
			ist_cell_spun(cell);
			break;
		}
		ist_relax();
		if (i % IST_SPINS_A_LOOK == 0)
			result = ist_cell_wait_on(cell, wait);
	}
	return result;
}

int ist_cell_await(struct ist_cell *cell, int (*ready)(struct ist_cell *), uint64_t *mask,
		   uint64_t timeout_ns)
{
	struct ist_cell_wait wait = {.ready = ready, .mask = mask, .timeout_ns = timeout_ns};

	return timeout_ns ? ist_cell_look_on(cell, &wait) : -ETIMEDOUT;
}

/* The number of the latest version, without its content. */
static int latest(struct ist_cell *cell, uint64_t *number)
{
	uint64_t version = ist_load_acquire(&cell->memory->version);

	if (!ist_cell_where_valid(cell, IST_CELL_WHERE(version)))
		return ist_cell_break(cell);
	/* What is being moved is published. */
	*number = IST_CELL_NUMBER(version) + (IST_CELL_WHERE(version) == IST_CELL_MOVING);
	return 0;
}

static int ready_another(struct ist_cell *cell)
{
	uint64_t number = 0;
	int error;

	/* Memory that is gone reads as zeros: as a cell that nobody has written. */
	if (ist_unlikely(ist_group_gone(cell->group)))
		return cell->error = -ENODEV;
	error = cell->policy->latest ? cell->policy->latest(cell, &number) : latest(cell, &number);
	if (!error && number == cell->wanted)
		error = -EAGAIN;
	if (!error)
		cell->wanted = number;
	return error;
}

int ist_cell_wait(struct ist_cell *cell, uint64_t *version, uint64_t timeout_ns)
{
	int error;

	if (cell->error && cell->error != -EOWNERDEAD)
		return cell->error;
	cell->wanted = *version;
	error = ready_another(cell);
	if (error == -EAGAIN)
		error = ist_cell_await(cell, ready_another, &cell->memory->watchers, timeout_ns);
	if (!error)
		*version = cell->wanted;
	return error;
}
