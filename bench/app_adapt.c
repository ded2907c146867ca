/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_adapt.c: how soon does an adaptive cell fit, when the pattern becomes another?
 *
 *   adapt [size=BYTES] [rounds=N] [ms=N] [spoil=1]
 *
 * Two instances use one cell, for `ms` milliseconds in each of the patterns below, one after the
 * other without a pause; then the same with a cell of each policy that an adaptive one can be. The
 * first instance prints a "change" line for each pattern: what was done in each BIN_MS, by both,
 * and when the cell was switched last; bench/adapt.py makes figures of them.
 *
 * Each operation adds 1 to a word, so the words add up to the operations; a cell where they do not
 * says so in `wrong`. `spoil=1` adds one more to each, for tests of that.
 */
#include "script.h"

#include <isthmus/cell.h>

int main(int argc, char **argv);

#define BIN_MS 5u
#define PHASES 7u
#define BINS_MAX 64u
#define WORDS_MAX 512u
#define IN_FLIGHT 32u
#define STRIDE 16u /* operations between two looks at the clock */
#define ADD_AND_SUM IST_OPERATION_OWN
#define START_NS 1000000u
#define ROUNDS_MAX 30u /* an arena has room for 127 cells */

enum pattern { READS, FLIGHT, OWN, PATTERNS };

static const char *const patterns[PATTERNS] = {"reads", "flight", "own"};
/* Each of the six changes once. */
static const enum pattern phases[PHASES] = {READS, FLIGHT, OWN, FLIGHT, READS, OWN, READS};

static const struct {
	const char *name;
	enum ist_policy policy;
} policies[] = {
	{"adaptive", IST_ADAPTIVE},
	{"read-mostly", IST_READ_MOSTLY},
	{"migratory", IST_MIGRATORY},
	{"delegated", IST_DELEGATED},
};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

/* What an instance has done. Written by it alone; read after the barrier. */
struct report {
	uint64_t updates;
	uint64_t back; /* readings of a version older than the one before */
	uint32_t done[PHASES][BINS_MAX];
} __attribute__((aligned(128)));

struct shared {
	struct bare_line barrier[2], start;
	struct bare_line bare[2][BARE_PAIRS];
	struct report report[2];
};

/* What the first instance sees at the end of a phase. */
struct seen {
	uint64_t began_ns, since_ns, switches;
	enum ist_policy now;
};

struct bench {
	struct ist_group *group;
	struct shared *shared;
	struct report *report;
	struct steps steps;
	struct ist_cell *cell;
	unsigned me, words, rounds, bins, spoil;
	uint64_t random, last; /* version read */
	uint64_t tickets[IN_FLIGHT];
	unsigned submitted, collected;
	uint64_t bin_ticks;
	struct seen seen[PHASES];
	double bracket;
};

/* Reads all of the record, and adds 1 to one word. */
static int64_t add_and_sum(void *content, size_t size, const uint64_t *arguments)
{
	uint64_t *words = content, sum = 0;
	size_t count = size / sizeof(*words);

	/* An argument comes from shared memory. */
	if (arguments[0] >= count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		sum += words[i];
	words[arguments[0]]++;
	return (int64_t)sum;
}

static unsigned random_below(struct bench *b, unsigned below)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (unsigned)(b->random >> 32) % below;
}

static int add(struct bench *b, unsigned word)
{
	const uint64_t arguments[IST_CELL_ARGUMENTS] = {word};

	b->report->updates++;
	return ist_cell_operate(b->cell, ADD_AND_SUM, arguments, NULL, IST_FOREVER);
}

static int collect_one(struct bench *b)
{
	return ist_cell_collect(b->cell, b->tickets[b->collected++ % IN_FLIGHT], NULL, IST_FOREVER);
}

static int collect_all(struct bench *b)
{
	int error = 0;

	while (error == 0 && b->collected != b->submitted)
		error = collect_one(b);
	return error;
}

static int one_in_flight(struct bench *b)
{
	const uint64_t arguments[IST_CELL_ARGUMENTS] = {random_below(b, b->words)};
	int error = b->submitted - b->collected == IN_FLIGHT ? collect_one(b) : 0;

	if (error != 0)
		return error;
	b->report->updates++;
	return ist_cell_submit(b->cell, ADD_AND_SUM, arguments, IST_FOREVER,
			       &b->tickets[b->submitted++ % IN_FLIGHT]);
}

/* 99 in 100 read. Whether versions come whole is what the coherence bench looks at. */
static int one_reading(struct bench *b)
{
	static uint64_t copy[WORDS_MAX];
	uint64_t number = 0;
	int error;

	if (random_below(b, 100) == 0)
		return add(b, random_below(b, b->words));
	error = ist_cell_read(b->cell, copy, &number, IST_FOREVER);
	b->report->back += number < b->last;
	b->last = number;
	return error;
}

static inline int operation(struct bench *b, enum pattern pattern)
{
	switch (pattern) {
	case READS:
		return one_reading(b);
	case FLIGHT:
		return one_in_flight(b);
	default: /* each instance has a half of the words for itself */
		return add(b, b->me * (b->words / 2));
	}
}

/* Who had no processor in all of a phase does one stride of it, late. */
static int run_phase(struct bench *b, unsigned phase, uint64_t start)
{
	uint64_t bin = (__builtin_ia32_rdtsc() - start) / b->bin_ticks;
	int error = 0;

	b->seen[phase].began_ns = ist_time_ns();
	do {
		unsigned i;

		for (i = 0; i < STRIDE && error == 0; i++)
			error = operation(b, phases[phase]);
		b->report->done[phase][bin < b->bins ? bin : b->bins - 1] += i;
		bin = (__builtin_ia32_rdtsc() - start) / b->bin_ticks;
	} while (error == 0 && bin < b->bins);
	return error != 0 ? error : collect_all(b);
}

static void look(struct bench *b, struct seen *seen)
{
	struct ist_cell_info info;

	if (ist_cell_info(b->cell, &info) == 0) {
		seen->since_ns = info.since_ns;
		seen->switches = info.switches;
		seen->now = info.now;
	}
}

static int run_phases(struct bench *b)
{
	uint64_t start;
	int error;

	if (b->me == 0)
		b->shared->start.value =
			__builtin_ia32_rdtsc() + (uint64_t)(START_NS / ns_per_tick());
	error = step(&b->steps);
	start = b->shared->start.value;
	while (__builtin_ia32_rdtsc() < start)
		__builtin_ia32_pause();
	for (unsigned i = 0; i < PHASES && error == 0; i++) {
		error = run_phase(b, i, start + i * b->bins * b->bin_ticks);
		look(b, &b->seen[i]);
	}
	return error != 0 ? error : step(&b->steps);
}

/* In the first instance, when all is done: what the words do not add up to. */
static uint64_t check(struct bench *b)
{
	static uint64_t words[WORDS_MAX];
	const struct report *report = b->shared->report;
	uint64_t sum = 0;

	if (ist_cell_read(b->cell, words, NULL, IST_FOREVER) != 0)
		return 1;
	for (unsigned i = 0; i < b->words; i++)
		sum += words[i];
	return (sum != report[0].updates + report[1].updates) + report[0].back + report[1].back;
}

/* How long after the pattern's begin the cell was switched last, in ns; 0: it was not. */
static uint64_t switched_after(const struct bench *b, unsigned phase)
{
	const struct seen *seen = &b->seen[phase];
	uint64_t before = phase == 0 ? 0 : b->seen[phase - 1].switches;

	return seen->switches == before || seen->since_ns < seen->began_ns
		       ? 0
		       : seen->since_ns - seen->began_ns;
}

static void tell(struct bench *b, unsigned policy, unsigned round, double before)
{
	const struct report *report = b->shared->report;
	uint64_t wrong = check(b), switches = 0;

	for (unsigned i = 0; i < PHASES; i++) {
		const struct seen *seen = &b->seen[i];

		ist_print("change size=%u policy=%s round=%u phase=%u pattern=%s wrong=%lu "
			  "before=%u after=%u now=%u switches=%lu switched_ns=%lu bins=",
			  b->words * 8, policies[policy].name, round, i, patterns[phases[i]],
			  (unsigned long)wrong, (unsigned)before, (unsigned)b->bracket,
			  (unsigned)seen->now, (unsigned long)(seen->switches - switches),
			  (unsigned long)switched_after(b, i));
		switches = seen->switches;
		for (unsigned j = 0; j < b->bins; j++)
			ist_print("%s%u", j == 0 ? "" : ",",
				  report[0].done[i][j] + report[1].done[i][j]);
		ist_print("\n");
	}
}

static void take_bracket(struct bench *b)
{
	b->bracket = bracket_between(b->shared->bare, b->me);
}

/* Every run has a cell of its own, that knows no pattern. */
static int open_cell(struct bench *b, unsigned policy, unsigned round)
{
	const struct ist_cell_options options = {
		.region = "channels",
		.size = b->words * sizeof(uint64_t),
		.policy = policies[policy].policy,
		.flags = IST_CELL_POLL,
		.seats = 2,
	};
	char name[] = "c-0-00";
	int error;

	name[2] = (char)('0' + policy);
	name[4] = (char)('0' + round / 10);
	name[5] = (char)('0' + round % 10);
	b->last = 0;
	error = ist_cell_open(b->group, name, &options, &b->cell);
	return error != 0 ? error : ist_cell_define(b->cell, ADD_AND_SUM, add_and_sum);
}

static int run_policy(struct bench *b, unsigned policy, unsigned round)
{
	double before = b->bracket;
	int error = open_cell(b, policy, round);

	if (error != 0)
		return error;
	__builtin_memset(b->report, 0, sizeof(*b->report));
	if (b->spoil && b->me == 0) {
		error = add(b, 0);
		b->report->updates = 0;
	}
	if (error == 0)
		error = run_phases(b);
	if (error != 0)
		return error;
	take_bracket(b);
	if (b->me == 0)
		tell(b, policy, round, before);
	ist_cell_close(b->cell);
	return step(&b->steps);
}

static int join(struct bench *b)
{
	struct ist_region_info region;
	int error = ist_group_open(NULL, &b->group);

	if (error != 0)
		return error;
	error = ist_region_find(b->group, "raw", &region);
	if (error != 0)
		return error;
	b->me = ist_group_self(b->group);
	if (region.right != IST_WRITE || region.size < sizeof(*b->shared) || b->me >= 2)
		return -EINVAL;
	b->shared = region.address;
	b->report = &b->shared->report[b->me];
	b->random = 88172645463325252u * (b->me + 1);
	b->steps = (struct steps){
		.lines = b->shared->barrier, .me = b->me, .count = 2, .patience = 1000};
	return step(&b->steps);
}

int main(int argc, char **argv)
{
	static struct bench b;
	int error;

	b.words = number(argument(argc, argv, "size="), 40) / 8;
	b.rounds = number(argument(argc, argv, "rounds="), 1);
	b.bins = number(argument(argc, argv, "ms="), 150) / BIN_MS;
	b.spoil = number(argument(argc, argv, "spoil="), 0);
	if (b.words < 2 || b.words > WORDS_MAX || b.bins < 1 || b.bins > BINS_MAX ||
	    b.rounds > ROUNDS_MAX) {
		ist_print("adapt: a number that cannot be\n");
		return 2;
	}
	b.bin_ticks = (uint64_t)(BIN_MS * 1e6 / ns_per_tick());
	error = join(&b);
	if (error == 0)
		take_bracket(&b);
	for (unsigned round = 0; round < b.rounds && error == 0; round++)
		for (unsigned i = 0; i < POLICIES && error == 0; i++)
			error = run_policy(&b, i, round);
	if (error != 0)
		ist_print("adapt: error %d\n", error);
	ist_group_close(b.group);
	return error != 0;
}
