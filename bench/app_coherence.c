/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_coherence.c: instances contend for shared objects: what does each way to share them cost?
 *
 *   coherence of=N [rounds=N] [ms=N] [cases=LOAD[/STRATEGY],...] [crowded=1]
 *             [least=N] [untimed=1] [spoil=1]
 *
 * N instances of the group are given the same arguments and go through the cases in step (no list:
 * all that are possible). Every run is between two bare ping-pongs of the first two instances. The
 * first one prints "begin" and "end" while all sleep, so that the reader can look at their CPU
 * time, and one "run" line a run; bench/coherence.py reads them.
 *
 * A run whose result is wrong, or in which somebody read what nobody wrote, says so in `wrong` and
 * `torn`. For tests of that: `untimed=1` leaves out the ping-pongs and pauses, `least=N` is how
 * many operations each instance does in any case, and `spoil=1` puts a wrong word into each record:
 * then every run must say that it is wrong.
 */
#include "coherence.h"

int main(int argc, char **argv);

#define QUIET_NS 2000000u

static const struct strategy *const strategies[] = {
	&by_plain,        &by_private,        &by_atomic,
	&by_bound,        &by_ttas,           &by_ttas_packed,
	&by_ticket,       &by_ticket_packed,  &by_mcs,
	&by_seqlock,      &by_mutex,          &by_robust,
	&by_rwlock,       &by_doorbell,       &by_message,
	&by_cell_reads,   &by_cell_migratory, &by_cell_latest,
	&by_cell_merged,  &by_cell_delegated, &by_cell_adaptive,
	&by_cell_replica,
};
#define STRATEGIES (sizeof(strategies) / sizeof(strategies[0]))

static const struct load *const loads[] = {
	&load_alone_read,    &load_alone_write, &load_words_line,     &load_words_page,
	&load_record_40,     &load_record_64,   &load_record_4096,    &load_handover_40,
	&load_handover_4096, &load_latest,      &load_reads_90,       &load_reads_99,
	&load_reads_999,     &load_counter,     &load_counter_flight, &load_hot,
	&load_hot_flight,    &load_table,
};
#define LOADS (sizeof(loads) / sizeof(loads[0]))

struct script {
	const char *cases;
	unsigned rounds, ms, least, untimed, spoil;
	uint32_t exits_cost; /* of reading their number */
	double bracket;      /* the last one */
};

static struct object objects[OBJECTS_MAX];

/* ---- One run --------------------------------------------------------------------------------- */

static size_t lines(size_t bytes)
{
	return (bytes + 127) & ~(size_t)127;
}

/* Where the objects of a case are: the same in every instance. Returns the bytes they take. */
static size_t lay_out(struct bench *b)
{
	size_t record = b->load->words * sizeof(uint64_t), at = lines(b->by->common);
	unsigned copies = b->by->copies ? b->site.count : 1;
	uint8_t *memory = (uint8_t *)b->shared + CASE_OFFSET;

	b->site.common = memory;
	b->site.object_count = b->load->objects;
	for (unsigned i = 0; i < b->load->objects; i++) {
		size_t data = at + (b->by->packed ? b->by->head : lines(b->by->head));

		objects[i] = (struct object){
			.site = &b->site,
			.head = memory + at,
			.data = (uint64_t *)(void *)(memory + data),
			.copy = lines(record),
			.words = b->load->words,
			.index = i,
		};
		at = copies > 1 ? data + copies * lines(record) : lines(data + record);
	}
	return at;
}

/* A wrong last word in each record, in the way the strategy changes words. */
static int spoil(struct bench *b)
{
	uint64_t result;
	int error = 0;

	for (unsigned i = 0; i < b->load->objects && error == 0; i++) {
		error = b->by->apply(&objects[i], OP_OWN, b->load->words - 1, &result);
		if (error == 0 && b->by->reap != NULL)
			error = b->by->reap(&objects[i]);
	}
	return error;
}

/* By the first instance, before and after: the others wait. */
static int make_objects(struct bench *b, size_t size)
{
	int error = 0;

	if (size > CASE_SIZE)
		return -ENOSPC;
	__builtin_memset((uint8_t *)b->shared + CASE_OFFSET, 0, size);
	for (unsigned i = 0; i < b->load->objects && error == 0 && b->by->init != NULL; i++)
		error = b->by->init(&b->site.objects[i]);
	b->shared->stopped.value = 0;
	return error;
}

/* Everybody sleeps; what the first one prints meanwhile tells the reader when. */
static int quiet(struct bench *b, const struct script *script, const char *what)
{
	int error = step(&b->steps);

	if (script->untimed)
		return error;
	if (error == 0 && b->site.me == 0)
		ist_print("%s case=%s/%s\n", what, b->load->name, b->by->name);
	if (error == 0)
		ist_sleep_ns(QUIET_NS);
	return error != 0 ? error : step(&b->steps);
}

/* While it waits for the others to finish, they may want something of it. */
static int serve(void *context)
{
	struct bench *b = context;

	return b->by->serve != NULL ? b->by->serve(&b->site) : 0;
}

static int work(struct bench *b, const struct script *script)
{
	struct shared *shared = b->shared;
	unsigned me = b->site.me;
	int64_t exits;
	int error;

	b->report = (struct report){.exits = -1};
	b->handover = (struct reservoir){.samples = shared->samples[0][me]};
	b->wait = (struct reservoir){.samples = shared->samples[1][me]};
	b->alone = (struct summary){0};
	exits = exits_now();
	b->report.start = b->looked = ticks();
	b->least = script->least;
	b->stride = 1;
	b->looks = 0;
	b->deadline = b->report.start + ns_to_ticks(script->ms * 1e6);
	error = b->load->run(b);
	b->report.end = ticks();
	if (exits >= 0)
		b->report.exits = (uint32_t)(exits_now() - exits) - script->exits_cost;
	b->report.handovers =
		(uint32_t)(b->handover.seen < SAMPLES_EACH ? b->handover.seen : SAMPLES_EACH);
	b->report.waits = (uint32_t)(b->wait.seen < SAMPLES_EACH ? b->wait.seen : SAMPLES_EACH);
	b->report.error = error;
	shared->report[me] = b->report;
	return error;
}

static void take_bracket(struct bench *b, struct script *script)
{
	if (b->site.me < 2 && !script->untimed)
		script->bracket = bracket_between(b->shared->bare, b->site.me);
}

static int attach(struct bench *b)
{
	int error = 0;

	for (unsigned i = 0; i < b->load->objects && error == 0 && b->by->attach != NULL; i++)
		error = b->by->attach(&objects[i]);
	return error;
}

static void detach(struct bench *b)
{
	for (unsigned i = 0; i < b->load->objects && b->by->detach != NULL; i++)
		b->by->detach(&objects[i]);
}

static int run_case(struct bench *b, struct script *script)
{
	struct outcome outcome = {0};
	double before = script->bracket;
	size_t size = lay_out(b);
	int error;

	if (b->load->prepare != NULL)
		b->load->prepare(b);
	error = attach(b);
	if (error != 0)
		return error;
	if (b->site.me == 0) {
		error = make_objects(b, size);
		if (error == 0 && script->spoil)
			error = spoil(b);
		if (error != 0)
			return error;
	}
	b->steps.meanwhile = NULL;
	error = quiet(b, script, "begin");
	b->steps.meanwhile = serve;
	b->steps.context = b;
	if (error == 0)
		error = work(b, script);
	if (error == 0)
		error = quiet(b, script, "end");
	b->steps.meanwhile = NULL;
	if (error == 0 && b->site.me == 0 && script->spoil)
		error = spoil(b);
	if (error != 0)
		return error;
	if (b->site.me == 0)
		outcome_make(b, &outcome);
	take_bracket(b, script);
	if (b->site.me == 0)
		outcome_print(b, &outcome, before, script->bracket);
	detach(b);
	return step(&b->steps);
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static int wanted(const struct script *script, const struct load *load, const struct strategy *by)
{
	char name[64];
	unsigned n = 0;

	if ((by->can & load->needs) != load->needs)
		return 0;
	if (script->cases == NULL || listed(script->cases, load->name))
		return 1;
	for (const char *c = load->name; *c != 0; c++)
		name[n++] = *c;
	name[n++] = '/';
	for (const char *c = by->name; *c != 0; c++)
		name[n++] = *c;
	name[n] = 0;
	return listed(script->cases, name);
}

static int run_all(struct bench *b, struct script *script)
{
	int error = b->site.count < 2 ? -EINVAL : step(&b->steps);

	if (error == 0)
		take_bracket(b, script);
	for (unsigned round = 0; round < script->rounds; round++) {
		for (unsigned i = 0; i < LOADS; i++) {
			for (unsigned j = 0; j < STRATEGIES && error == 0; j++) {
				b->load = loads[i];
				b->site.load = i;
				b->by = strategies[j];
				if (!wanted(script, b->load, b->by))
					continue;
				error = run_case(b, script);
				if (error != 0)
					ist_print("coherence: %s/%s: error %d\n", b->load->name,
						  b->by->name, error);
			}
		}
	}
	return error;
}

/* Every instance of the file is one of ours: the first in it has ID 0. */
static int join(struct bench *b)
{
	struct ist_region_info region;
	int error = ist_group_open(NULL, &b->site.group);

	if (error != 0)
		return error;
	error = ist_region_find(b->site.group, "raw", &region);
	if (error != 0)
		return error;
	b->site.me = ist_group_self(b->site.group);
	if (region.right != IST_WRITE || region.size < CASE_OFFSET + CASE_SIZE ||
	    b->site.count > INSTANCES_MAX || b->site.me >= b->site.count)
		return -EINVAL;
	b->shared = region.address;
	b->random = 88172645463325252u * (b->site.me + 1);
	b->steps = (struct steps){
		.lines = b->shared->barrier,
		.me = b->site.me,
		.count = b->site.count,
		.patience = 1000,
	};
	error = step(&b->steps);
	for (unsigned i = 0; i < STRATEGIES && error == 0; i++) {
		if (strategies[i]->open != NULL)
			error = strategies[i]->open(&b->site);
		if (b->site.me == 0 && strategies[i]->why != NULL)
			ist_print("skip strategy %s: %s\n", strategies[i]->name,
				  strategies[i]->why);
	}
	return error;
}

static void leave(struct bench *b)
{
	for (unsigned i = 0; i < STRATEGIES; i++) {
		if (strategies[i]->close != NULL)
			strategies[i]->close(&b->site);
	}
	ist_group_close(b->site.group);
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct script script = {
		.cases = argument(argc, argv, "cases="),
		.rounds = number(argument(argc, argv, "rounds="), 3),
		.ms = number(argument(argc, argv, "ms="), 10),
		.least = number(argument(argc, argv, "least="), 0),
		.untimed = number(argument(argc, argv, "untimed="), 0),
		.spoil = number(argument(argc, argv, "spoil="), 0),
	};
	int64_t exits;
	int error;

	b.site.objects = objects;
	b.site.count = number(argument(argc, argv, "of="), 2);
	b.site.crowded = number(argument(argc, argv, "crowded="), 0) != 0;
	error = join(&b);
	if (error != 0) {
		ist_print("coherence: joining the group: error %d\n", error);
		return 1;
	}
	exits = exits_now();
	script.exits_cost = (uint32_t)(exits_now() - exits);
	/* Each part has a copy of that ratio, and takes 30 ms to find it: not in the first run. */
	ns_per_tick();
	ns_to_ticks(1);
	error = run_all(&b, &script);
	leave(&b);
	return error == 0 ? 0 : 1;
}
