/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_adapt.c: the policy adaptive: each seat counts what it does, in a line of its own; once in a
 * while one of them holds the cell, looks at all counts, and lets coherence/ say which of the
 * linearizable policies fits. All of these are right at any time, whatever others take the cell
 * for: the cell is laid out as a delegated one, and what is asked for and not served is done by who
 * asked.
 */
#include "cell.h"

#include "coherence/policy.h"

#include <isthmus/app.h>

#define WINDOW_NS 10000000u /* between two judgements, at least */
#define WINDOWS 2u          /* that must agree */
#define EVENTS 64u          /* a window with less goes on */
#define LOOK_NS 1000000u    /* between two looks at the clock, about */
#define LOOK_EVERY_MAX 256u /* uses: one that slows down soon sees that it does */

/* What holds now. */
static uint32_t now_of(const struct ist_cell *cell)
{
	return __atomic_load_n(&cell->memory->policy, __ATOMIC_RELAXED);
}

static uint32_t load32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* What one seat has done since the last judgement; how often altogether. */
static uint64_t sum_up(const struct ist_cell_seat *seat, uint64_t bit, struct coh_counts *counts)
{
	uint32_t since[IST_CELL_COUNTS];
	uint64_t writes;
	unsigned i;

	for (i = 0; i < IST_CELL_COUNTS; i++)
		since[i] = load32(&seat->counts[i]) - load32(&seat->judged[i]);
	writes = (uint64_t)since[IST_CELL_COUNT_WRITES] + since[IST_CELL_COUNT_OPERATIONS];
	counts->reads += since[IST_CELL_COUNT_READS];
	counts->writes += since[IST_CELL_COUNT_WRITES];
	counts->operations += since[IST_CELL_COUNT_OPERATIONS];
	counts->waits += since[IST_CELL_COUNT_WAITS];
	if (since[IST_CELL_COUNT_READS])
		counts->readers |= bit;
	if (writes)
		counts->writers |= bit;
	return writes + since[IST_CELL_COUNT_READS];
}

static void begin_window(struct ist_cell *cell, uint64_t now)
{
	struct ist_cell_seat *seat;
	uint32_t i, k;

	for (i = 0; i < cell->seats; i++) {
		seat = &cell->all[i];
		for (k = 0; k < IST_CELL_COUNTS; k++)
			ist_store32(&seat->judged[k], load32(&seat->counts[k]));
	}
	ist_store_release(&cell->memory->judged, now);
}

/* The cell is held: decides on a policy, if enough was seen. */
static void judge(struct ist_cell *cell, uint64_t now)
{
	struct ist_cell_memory *memory = cell->memory;
	uint64_t leaning = ist_load(&memory->leaning), events = 0;
	struct coh_counts counts = {.reads = 0};
	struct coh_adapt adapt = {
		.policy = now_of(cell),
		.candidate = leaning & 0xff,
		.agreed = leaning >> 8 & 0xff,
		.windows = WINDOWS,
	};
	uint32_t was = adapt.policy, i;

	for (i = 0; i < cell->seats; i++)
		events += sum_up(&cell->all[i], coh_bit(i), &counts);
	if (events < EVENTS)
		return;
	begin_window(cell, now);
	if (coh_adapt(&adapt, &counts) != was) {
		__atomic_store_n(&memory->policy, adapt.policy, __ATOMIC_RELAXED);
		ist_store_release(&memory->since, now);
		ist_store_release(&memory->switches, ist_load(&memory->switches) + 1);
	}
	ist_store_release(&memory->leaning, IST_CELL_LEANING(adapt.candidate, adapt.agreed));
}

void ist_cell_watch(struct ist_cell *cell)
{
	struct ist_cell_watch *watch = &cell->watch;
	uint64_t now = ist_time_ns(), judged = ist_load(&cell->memory->judged);
	int error;

	/* Seldom when used a lot: it costs more than a use. */
	if (now - watch->looked >= LOOK_NS)
		watch->every = 1;
	else if (watch->every < LOOK_EVERY_MAX)
		watch->every *= 2;
	watch->looked = now;
	watch->uses = 0;
	/* A time yet to come is no correct peer's, or another clock's: it does not count. */
	if (now - watch->tried < WINDOW_NS || (judged <= now && now - judged < WINDOW_NS))
		return;
	error = ist_cell_try_take(cell);
	/* Somebody holds it: the next use tries again. Where many contend it is seldom free. */
	if (error == -EAGAIN)
		watch->every = 1;
	else
		watch->tried = now;
	if (error == -EOWNERDEAD)
		cell->error = error; /* to be told */
	if (error)
		return;
	judge(cell, now);
	IST_CELL_TRACE(cell, COH_DROP);
	ist_cell_release(cell);
}

static int is_delegated(const struct ist_cell *cell)
{
	/* What is asked for comes first: operations are done in their order. */
	return now_of(cell) == IST_CELL_DELEGATED || cell->requests.asked != cell->requests.done;
}

static int operate(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
		   int64_t *value, uint64_t timeout_ns)
{
	if (is_delegated(cell))
		return ist_cell_delegate.operate(cell, number, arguments, value, timeout_ns);
	return ist_cell_operate_held(cell, number, arguments, value, timeout_ns);
}

static int submit(struct ist_cell *cell, uint32_t number, const uint64_t *arguments, uint32_t place,
		  uint64_t timeout_ns)
{
	if (is_delegated(cell))
		return ist_cell_delegate.submit(cell, number, arguments, place, timeout_ns);
	return ist_cell_operate_held(cell, number, arguments, &cell->results[place].value,
				     timeout_ns);
}

static int settle(struct ist_cell *cell, uint32_t place, uint64_t timeout_ns)
{
	return ist_cell_delegate.settle(cell, place, timeout_ns);
}

static uint64_t common_size(uint64_t size)
{
	return ist_cell_delegate.common(size);
}

static uint64_t area_size(uint64_t size)
{
	return ist_cell_delegate.area(size);
}

static void seated(struct ist_cell *cell)
{
	cell->watch.every = 1;
	cell->watch.looked = ist_time_ns();
	ist_cell_delegate.seated(cell);
}

const struct ist_cell_policy ist_cell_adaptive = {
	.common = common_size,
	.area = area_size,
	.seated = seated,
	.published = ist_cell_deliver,
	.operate = operate,
	.submit = submit,
	.settle = settle,
};
