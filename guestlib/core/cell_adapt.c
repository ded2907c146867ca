/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_adapt.c: the policy adaptive: each seat counts what it does, in a line of its own; once in a
 * while one of them holds the cell, looks at all counts, and lets coherence/ say which of the
 * linearizable policies fits. All of these are right at any time, whatever others take the cell
 * for: the cell is laid out as a delegated one, and what is asked for and not served is done by who
 * asked.
 */
#include "cell_requests.h"

#include "coherence/policy.h"

#include <isthmus/app.h>

#define WINDOW_NS 10000000u /* between two judgements, at least */
#define WINDOWS 2u          /* that must agree */
#define EVENTS 64u          /* a window with less goes on */
#define LOOK_NS 1000000u    /* between two looks at the clock, about */
#define COST_USES 256u      /* what so many uses take, in ns, is the cost of a policy */
#define LOOK_EVERY_MAX 256u /* uses: one that slows down soon sees that it does */

/* What holds now. */
static uint32_t now_of(const struct ist_cell *cell)
{
	return __atomic_load_n(&cell->memory->policy, __ATOMIC_RELAXED);
}

static int is_delegated(const struct ist_cell *cell)
{
	/* What is asked for comes first: operations are done in their order. */
	return now_of(cell) == IST_CELL_DELEGATED || ist_cell_pending(cell) != 0;
}

static uint32_t load32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* What a judge has seen of a seat. */
struct seen {
	uint32_t counts[IST_CELL_COUNTS];
	uint32_t busy;
};

/* What one seat has done since the last judgement, and what its counts are now; how often
   altogether. */
static uint64_t sum_up(const struct ist_cell_seat *seat, uint64_t bit, struct seen *seen,
		       struct coh_counts *counts, uint64_t *busy)
{
	uint32_t since[IST_CELL_COUNTS] = {0};
	uint64_t writes;
	unsigned i;

	for (i = 0; i < IST_CELL_COUNTS; i++) {
		seen->counts[i] = load32(&seat->counts[i]);
		since[i] = seen->counts[i] - load32(&seat->judged[i]);
	}
	seen->busy = load32(&seat->busy);
	*busy += seen->busy - load32(&seat->busy_judged);
	writes = (uint64_t)since[IST_CELL_COUNT_WRITES] + since[IST_CELL_COUNT_OPERATIONS];
	counts->reads += since[IST_CELL_COUNT_READS];
	counts->writes += since[IST_CELL_COUNT_WRITES];
	counts->operations += since[IST_CELL_COUNT_OPERATIONS];
	counts->together += since[IST_CELL_COUNT_TOGETHER];
	counts->waits += since[IST_CELL_COUNT_WAITS];
	if (since[IST_CELL_COUNT_READS])
		counts->readers |= bit;
	if (writes)
		counts->writers |= bit;
	return writes + since[IST_CELL_COUNT_READS];
}

/* The next one begins with what this one has seen. */
static void begin_window(struct ist_cell *cell, const struct seen *seen, uint64_t now)
{
	uint32_t i, k;

	for (i = 0; i < cell->seats; i++) {
		for (k = 0; k < IST_CELL_COUNTS; k++)
			ist_store32(&cell->all[i].judged[k], seen[i].counts[k]);
		ist_store32(&cell->all[i].busy_judged, seen[i].busy);
	}
	ist_store_release(&cell->memory->judged, now);
}

/* Where no rule decides: what is to hold, by what the uses of this window cost. */
static uint32_t try_other(struct ist_cell *cell, uint32_t policy, uint64_t cost)
{
	uint32_t other = policy == IST_CELL_DELEGATED ? IST_CELL_MIGRATORY : IST_CELL_DELEGATED;
	uint64_t word = ist_load(&cell->memory->trial);
	struct coh_trial trial = {
		.trying = IST_CELL_TRIAL_TRYING(word),
		.wait = IST_CELL_TRIAL_WAIT(word),
		.patience = IST_CELL_TRIAL_PATIENCE(word),
		.before = IST_CELL_TRIAL_BEFORE(word),
	};

	/* Nobody has used it fast enough to tell: the next window may. */
	if (!cost)
		return policy;
	policy = coh_trial(&trial, policy, other, cost);
	ist_store_release(&cell->memory->trial,
			  IST_CELL_TRIAL(trial.trying, trial.patience, trial.wait, trial.before));
	return policy;
}

/* The cell is held: decides on a policy, if enough was seen. */
static void judge(struct ist_cell *cell, uint64_t now)
{
	struct ist_cell_memory *memory = cell->memory;
	struct seen seen[IST_CELL_SEATS_MAX];
	uint64_t leaning = ist_load(&memory->leaning), events = 0, busy = 0;
	struct coh_counts counts = {.words = cell->words};
	struct coh_adapt adapt = {
		.policy = now_of(cell),
		.candidate = leaning & 0xff,
		.agreed = leaning >> 8 & 0xff,
		.windows = WINDOWS,
	};
	uint32_t was = adapt.policy, i;

	for (i = 0; i < cell->seats; i++)
		events += sum_up(&cell->all[i], coh_bit(i), &seen[i], &counts, &busy);
	if (events < EVENTS)
		return;
	begin_window(cell, seen, now);
	if (coh_adapt_undecided(&counts, was)) {
		adapt.policy = try_other(cell, was, busy * COST_USES / events);
		adapt.agreed = 0;
	} else {
		ist_store_release(&memory->trial, 0);
		coh_adapt(&adapt, &counts);
	}
	if (adapt.policy != was) {
		__atomic_store_n(&memory->policy, adapt.policy, __ATOMIC_RELAXED);
		ist_store_release(&memory->since, now);
		ist_store_release(&memory->switches, ist_load(&memory->switches) + 1);
	}
	ist_store_release(&memory->leaning, IST_CELL_LEANING(adapt.candidate, adapt.agreed));
}

/* A time yet to come is no correct peer's, or another clock's: it does not count. */
static int is_time(const struct ist_cell *cell, uint64_t now)
{
	uint64_t judged = ist_load(&cell->memory->judged);

	return judged > now || now - judged >= WINDOW_NS;
}

/* Who reads does not hold the cell: it tries to, once; what else it can wait for is the next look.
 */
static void judge_at_once(struct ist_cell *cell, uint64_t now)
{
	int error = ist_cell_try_take(cell);

	if (error == -EOWNERDEAD)
		cell->error = error; /* to be told */
	if (error)
		return;
	cell->watch.due = 0;
	judge(cell, now);
	IST_CELL_TRACE(cell, COH_DROP);
	ist_cell_release(cell);
}

void ist_cell_watch(struct ist_cell *cell, unsigned what)
{
	struct ist_cell_watch *watch = &cell->watch;
	uint64_t now;
	unsigned i;

	if (cell->kind != IST_CELL_ADAPTIVE) {
		watch->left = INT32_MAX;
		return;
	}
	for (i = 0; i < IST_CELL_COUNTS; i++)
		ist_store32(&cell->own->counts[i], watch->counts[i]);
	now = ist_time_ns();
	if (now - watch->looked < LOOK_NS)
		watch->busy += (uint32_t)(now - watch->looked);
	ist_store32(&cell->own->busy, watch->busy);
	/* Seldom when used a lot: it costs more than a use. */
	if (now - watch->looked >= LOOK_NS)
		watch->every = 1;
	else if (watch->every < LOOK_EVERY_MAX)
		watch->every *= 2;
	watch->looked = now;
	watch->left = watch->every;
	watch->migratory = now_of(cell) == IST_CELL_MIGRATORY;
	cell->noted = IST_CELL_NOTE_COUNT | (watch->migratory ? IST_CELL_NOTE_WRITE : 0);
	cell->here = !is_delegated(cell);
	if (cell->here)
		cell->requests.keeps = 0;
	watch->due = (uint32_t)is_time(cell, now);
	cell->tells |= watch->due;
	if (watch->due && what == IST_CELL_COUNT_READS)
		judge_at_once(cell, now);
}

/* The cell is held, so nothing stands in the way of a judgement. What was done comes first. */
static void published(struct ist_cell *cell, uint64_t number, const uint64_t *content)
{
	uint64_t now;

	if (cell->section != IST_SECTION_WRITE || cell->requests.served || cell->requests.logged)
		ist_cell_deliver(cell, number, content);
	if (cell->section != IST_SECTION_WRITE)
		return;
	cell->tells = 0;
	if (!cell->watch.due)
		return;
	now = ist_time_ns();
	cell->watch.due = 0;
	if (is_time(cell, now))
		judge(cell, now);
}

static int operate(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
		   int64_t *value, uint64_t timeout_ns)
{
	if (is_delegated(cell))
		return ist_cell_delegate.operate(cell, number, arguments, value, timeout_ns);
	return ist_cell_operate_held(cell, number, arguments, value, timeout_ns);
}

static int submit(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
		  struct ist_cell_result *result, uint64_t timeout_ns)
{
	if (is_delegated(cell))
		return ist_cell_delegate.submit(cell, number, arguments, result, timeout_ns);
	return ist_cell_operate_held(cell, number, arguments, &result->value, timeout_ns);
}

static int settle(struct ist_cell *cell, struct ist_cell_result *result, uint64_t timeout_ns)
{
	return ist_cell_delegate.settle(cell, result, timeout_ns);
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
	unsigned i;

	for (i = 0; i < IST_CELL_COUNTS; i++)
		cell->watch.counts[i] = load32(&cell->own->counts[i]);
	cell->watch.busy = load32(&cell->own->busy);
	cell->watch.every = cell->watch.left = 1;
	cell->watch.looked = ist_time_ns();
	ist_cell_delegate.seated(cell);
}

const struct ist_cell_policy ist_cell_adaptive = {
	.common = common_size,
	.area = area_size,
	.seated = seated,
	.published = published,
	.operate = operate,
	.submit = submit,
	.settle = settle,
};
