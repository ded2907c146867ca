/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_run.c: three instances that use one cell, by the library's own code in a trace build; what
 * each said of its steps is the output (tests/trace_log.h), for tests/model/trace_order.c.
 *
 *   cell_run POLICY SIZE SEED ENTRIES threads|random|planned|alone [OCCURRENCES]
 *
 * threads: of one process, none dies. random: processes, killed and stopped at any time. planned:
 * they die, and stop, at each step in turn: before it, after its effect and before that is said,
 * and after that; each at its first OCCURRENCES. alone: so does one, and its successor finds what
 * it left as it left it. ENTRIES is how long the log gets.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define COH_TRACING
#include "cell.h"
#include "tests/core/platform/memory.h"
#include "tests/trace_run.h"

#define REGION (1u << 20)
#define MILLISECOND 1000000ull
#define WORDS_MAX 512u

static const struct {
	const char *name;
	enum ist_policy policy;
} policies[] = {
	{"read-mostly", IST_READ_MOSTLY}, {"migratory", IST_MIGRATORY},
	{"push", IST_PRODUCER_CONSUMER},  {"write-shared", IST_WRITE_SHARED},
	{"delegated", IST_DELEGATED},     {"adaptive", IST_ADAPTIVE},
};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

static struct ist_cell_options options = {.region = "main", .seats = RUN_INSTANCES};
static struct ist_group *groups[RUN_INSTANCES];

/* ---- An instance ---- */

static int write_in_place(struct ist_cell *cell)
{
	uint64_t *content;
	void *place;
	int n = ist_cell_write_begin(cell, 0, MILLISECOND, &place);

	if (n)
		return n;
	content = place;
	content[0]++;
	run_dawdle();
	content[options.size / sizeof(*content) - 1]++;
	if (!run_chance(8)) {
		n = ist_cell_write_end(cell);
		/* A section in a private copy stays open when its turn does not come. */
		if (n != -ETIMEDOUT)
			return n;
	}
	return ist_cell_write_abort(cell);
}

static int read_in_place(struct ist_cell *cell)
{
	const void *place;
	int n = ist_cell_read_begin(cell, MILLISECOND, &place);

	if (n)
		return n;
	run_dawdle();
	return ist_cell_read_end(cell);
}

static int do_one(struct ist_cell *cell)
{
	static const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1};
	uint64_t content[WORDS_MAX] = {0};
	int64_t was;

	switch (run_random(&run_state, 5)) {
	case 0:
		return ist_cell_read(cell, content, NULL, MILLISECOND);
	case 1:
		return read_in_place(cell);
	case 2:
		return ist_cell_write(cell, content, MILLISECOND);
	case 3:
		return ist_cell_operate(cell, IST_OPERATION_ADD, one, &was, MILLISECOND);
	default:
		return write_in_place(cell);
	}
}

static int work(unsigned i)
{
	struct ist_cell *cell;
	int n;

	do /* another may have stopped while it has the lock that this takes */
		n = ist_cell_open(groups[i], "c", &options, &cell);
	while (n == -ETIMEDOUT);
	if (n)
		return -n;
	while (!run_over()) {
		n = do_one(cell);
		if (n && n != -ETIMEDOUT && n != -EOWNERDEAD && n != -EAGAIN)
			return -n;
		run_dawdle();
	}
	ist_cell_close(cell);
	return 0;
}

static void *work_thread(void *argument)
{
	unsigned i = (unsigned)(uintptr_t)argument;
	intptr_t n;

	run_thread_life = i + 1;
	run_state = run.random + i * 7919;
	n = work(i);
	return (void *)n;
}

static int run_threads(void)
{
	pthread_t threads[RUN_INSTANCES];
	void *said;
	int wrong = 0;

	for (uintptr_t i = 0; i < RUN_INSTANCES; i++) {
		groups[i] = mem_join((uint32_t)i + 1);
		if (pthread_create(&threads[i], NULL, work_thread, (void *)i))
			abort();
	}
	for (unsigned i = 0; i < RUN_INSTANCES; i++) {
		pthread_join(threads[i], &said);
		wrong |= (int)(intptr_t)said;
		mem_forget(groups[i]);
	}
	return wrong;
}

/* ---- The broker ---- */

static void admit(unsigned i, uint32_t life)
{
	(void)life; /* the cell itself says which seat it takes */
	groups[i] = mem_join(i + 1);
}

static void gone(unsigned i, int died)
{
	if (died)
		mem_die(i + 1);
	else
		mem_leave(i + 1);
	mem_forget(groups[i]);
}

static unsigned unit(const struct ist_directory *where)
{
	(void)where; /* there is one cell */
	return 0;
}

/* The cell, before anybody has it open. Its epoch wraps soon. */
static struct ist_directory *make_cell(void)
{
	struct ist_group *group = mem_join(0);
	struct ist_directory *directory;
	struct ist_cell *cell;
	int n = ist_cell_open(group, "c", &options, &cell);

	if (n) {
		fprintf(stderr, "cell_run: %s\n", strerror(-n));
		exit(1);
	}
	directory = &cell->memory->directory;
	ist_cell_close(cell);
	mem_leave(0);
	mem_forget(group);
	directory->control = IST_DIR_CONTROL(IST_DIR_NONE, 0, 0, IST_DIR_EPOCH_MASK - 99);
	return directory;
}

static void plan(unsigned occurrences)
{
	run_plan_faults(COH_JOIN, 0, 1); /* once in a life */
	run_plan_faults(COH_TAKE, 1, occurrences);
	run_plan_faults(COH_INSTALL, 0, occurrences);
	run_plan_faults(COH_DROP, 0, occurrences);
	run_plan_faults(COH_RELEASE, 1, occurrences);
	if (run.instances == 1)
		return;
	run_plan_faults(COH_LOOK, 0, 1);
	run_plan_faults(COH_REAP, 1, 1);
}

int main(int argc, char **argv)
{
	struct ist_directory *directory;
	unsigned i = 0;
	int wrong;

	while (argc > 5 && i < POLICIES && strcmp(argv[1], policies[i].name) != 0)
		i++;
	if (argc <= 5 || i == POLICIES) {
		fprintf(stderr, "usage: cell_run POLICY SIZE SEED ENTRIES "
				"threads|random|planned|alone [OCCURRENCES]\n");
		return 2;
	}
	options.policy = policies[i].policy;
	options.size = strtoul(argv[2], NULL, 0);
	run_create(strtoull(argv[4], NULL, 0), strtoull(argv[3], NULL, 0));
	run.admit = admit;
	run.gone = gone;
	run.work = work;
	run.unit = unit;
	mem_create(REGION);
	directory = make_cell();
	trace_print_word(stdout, 0, *directory);
	if (!strcmp(argv[5], "alone"))
		run.instances = 1;
	if (!strcmp(argv[5], "planned") || run.instances == 1)
		plan(argc > 6 ? (unsigned)strtoul(argv[6], NULL, 0) : 1);
	wrong = strcmp(argv[5], "threads") ? run_processes() : run_threads();
	trace_print_word(stdout, 0, *directory);
	return run_report("cell_run", wrong);
}
