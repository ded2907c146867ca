/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_delegate_kill.c: a delegated cell, and death at every instruction of who does others'
 * operations, of who asks, and of who repairs. Every operation adds 1 and has the sum before it as
 * its result: so the sum counts what was done, and two equal results are one too many.
 */
#include <stdio.h>

#include "cell.h"
#include "steps.h"
#include "tests/suite.h"

#define REGION 65536u
#define GROUP (IST_REGIONS_OFFSET + REGION)
#define ASKED 2u /* by Bob, before */

static struct ist_group *alice, *bob, *carol;
static struct ist_cell *a, *b, *c;
static uint64_t of_alice[ASKED], of_bob[ASKED];
static struct ist_cell_options options = {
	.region = "main", .policy = IST_DELEGATED, .flags = IST_CELL_POLL, .seats = 4};
static const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1}, none[IST_CELL_ARGUMENTS] = {0, 0};
static const size_t sizes[] = {8, 104};
#define SIZES 2

static void ask(struct ist_cell *cell, uint64_t *tickets)
{
	unsigned i;

	for (i = 0; i < ASKED; i++)
		ck_assert_int_eq(ist_cell_submit(cell, IST_OPERATION_ADD, one, 0, &tickets[i]), 0);
}

static void prepare(void)
{
	int64_t result;

	mem_create(REGION);
	alice = mem_join(0);
	bob = mem_join(1);
	carol = mem_join(2);
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), 0);
	ck_assert_int_eq(ist_cell_open(carol, "c", &options, &c), 0);
	/* So that Alice has room for results: keep(). */
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, none, 0, of_alice), 0);
	ck_assert_int_eq(ist_cell_collect(a, of_alice[0], &result, 0), 0);
	/* Not the first version: a log of the one before is there. */
	ask(b, of_bob);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, &result, 0), 0);
	ck_assert_int_eq(ist_cell_collect(b, of_bob[0], &result, 0), 0);
	ck_assert_int_eq(ist_cell_collect(b, of_bob[1], &result, 0), 0);
	ck_assert_int_eq(result, 2);
	/* Nor one that leaves alone the desk of who was just answered. */
	ck_assert_int_eq(ist_cell_operate(c, IST_OPERATION_ADD, one, &result, 0), 0);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, none, &result, 0), 0);
	ask(b, of_bob);
}

#define BEFORE 4u /* what the sum is then */

static int told(int error, unsigned *deaths)
{
	*deaths += error == -EOWNERDEAD;
	return error == -EOWNERDEAD;
}

/* One operation of `cell`, told of a death before it or not. */
static int add(struct ist_cell *cell, uint64_t *result, unsigned *deaths)
{
	int64_t value = -1;
	int n = ist_cell_operate(cell, IST_OPERATION_ADD, one, &value, 0);

	if (told(n, deaths))
		n = ist_cell_operate(cell, IST_OPERATION_ADD, one, &value, 0);
	must(n == 0);
	*result = (uint64_t)value;
	return 0;
}

static int collect(struct ist_cell *cell, uint64_t ticket, uint64_t *result, unsigned *deaths)
{
	int64_t value = -1;
	int n = ist_cell_collect(cell, ticket, &value, IST_FOREVER);

	if (told(n, deaths))
		n = ist_cell_collect(cell, ticket, &value, IST_FOREVER);
	must(n == 0);
	*result = (uint64_t)value;
	return 0;
}

static int sum(struct ist_cell *cell, uint64_t *out, unsigned *deaths)
{
	uint64_t content[16];
	int n = ist_cell_read(cell, content, NULL, 0);

	if (told(n, deaths))
		n = ist_cell_read(cell, content, NULL, 0);
	must(n == 0);
	*out = content[0];
	return 0;
}

/*
 * The victims are dead; they had at most `most` operations under way. Bob gets his results, an
 * other does one, both see one sum, and so it stays when the dead come back.
 */
static int survive(struct ist_cell *other, struct ist_group **victim, uint32_t id, unsigned most,
		   unsigned *deaths)
{
	uint64_t results[ASKED], last, total, again, i;
	struct ist_cell *new_one;
	int line;

	for (i = 0; i < ASKED; i++) {
		line = collect(b, of_bob[i], &results[i], deaths);
		must(line == 0);
	}
	line = add(other, &last, deaths);
	must(line == 0);
	must(results[0] >= BEFORE && results[1] > results[0] && last > results[1]);
	line = sum(b, &total, deaths);
	must(line == 0);
	must(total > last);
	must(total >= BEFORE + ASKED + 1 && total <= BEFORE + ASKED + 1 + most);
	*victim = mem_join(id);
	must(ist_cell_open(*victim, "c", &options, &new_one) == 0);
	/* What its predecessor asked for and nobody did, nobody does any more. */
	for (i = 0; i < 3; i++) {
		line = add(i % 2 ? new_one : b, &again, deaths);
		must(line == 0);
		must(again == total + i);
	}
	return 0;
}

/* The victim dies here; of its death, and of those before it, the others are told so often at most.
 */
static int after(struct ist_cell *other, struct ist_group **victim, uint32_t id, unsigned most,
		 unsigned told_most)
{
	unsigned deaths = 0;
	int line;

	mem_die(id);
	line = survive(other, victim, id, most, &deaths);
	if (line)
		return line;
	must(deaths <= told_most);
	return 0;
}

static void do_combine(void)
{
	ist_cell_operate(a, IST_OPERATION_ADD, one, NULL, 0);
}

static int after_combine(void)
{
	return after(c, &alice, 0, 1, 1);
}

static void do_ask(void)
{
	ask(a, of_alice);
}

static int after_ask(void)
{
	return after(c, &alice, 0, ASKED, 0);
}

/* Asks, and does it all herself, Bob's too. */
static void do_ask_and_collect(void)
{
	ask(a, of_alice);
	ist_cell_collect(a, of_alice[1], NULL, IST_FOREVER);
	ist_cell_collect(a, of_alice[0], NULL, IST_FOREVER);
}

static int after_ask_and_collect(void)
{
	return after(c, &alice, 0, ASKED, 1);
}

/* Keeps some back, and does them by a pass of her own, Bob's too. */
#define KEPT 3u
static void keep(uint64_t timeout_ns)
{
	uint64_t tickets[KEPT];
	unsigned i;

	a->requests.keeps = 1; /* as if it had just done many */
	for (i = 0; i < KEPT; i++)
		ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[i]);
	for (i = 0; i < KEPT; i++)
		ist_cell_collect(a, tickets[i], NULL, timeout_ns);
}

static void do_keep(void)
{
	keep(0);
}

/* All of them were done, or none. */
static int after_keep(void)
{
	unsigned deaths = 0;
	uint64_t total;
	int line;

	mem_die(0);
	line = survive(c, &alice, 0, KEPT, &deaths);
	if (line)
		return line;
	must(deaths <= 1);
	line = sum(b, &total, &deaths);
	if (line)
		return line;
	total -= BEFORE + ASKED + 1 + 3; /* the last are survive()'s */
	must(total == 0 || total == KEPT);
	return 0;
}

/* Makes requests of them after all. */
static void do_keep_and_ask(void)
{
	keep(IST_FOREVER);
}

static int after_keep_and_ask(void)
{
	unsigned deaths = 0;
	int line;

	mem_die(0);
	line = survive(c, &alice, 0, KEPT, &deaths);
	if (line)
		return line;
	must(deaths <= 1);
	return 0;
}

/* A new owner takes Alice's seat. */
static void do_open(void)
{
	ist_cell_open(alice, "c", &options, &a);
}

static const struct scene {
	const char *name;
	void (*operate)(void);
	int (*go_on)(void);
} scenes[] = {
	{"combine", do_combine, after_combine},
	{"ask", do_ask, after_ask},
	{"ask and collect", do_ask_and_collect, after_ask_and_collect},
	{"keep", do_keep, after_keep},
	{"keep and ask", do_keep_and_ask, after_keep_and_ask},
};
#define SCENES ((int)(sizeof(scenes) / sizeof(scenes[0])))

static uint8_t *states[STEPS_MAX], *later[STEPS_MAX];

START_TEST(at_every_instruction)
{
	const struct scene *scene = &scenes[_i / SIZES];
	unsigned i, count;

	options.size = sizes[_i % SIZES];
	prepare();
	count = steps_collect(scene->operate, GROUP, states);
	ck_assert_uint_gt(count, 5);
	for (i = 0; i < count; i++) {
		ck_assert_msg(steps_from(states[i], GROUP, scene->go_on) == 0, "%s: state %u of %u",
			      scene->name, i, count);
		free(states[i]);
	}
	mem_destroy();
}
END_TEST

/* Alice is dead, Carol repairs what she left, and dies over it. */
static void do_repair(void)
{
	ist_cell_operate(c, IST_OPERATION_ADD, one, NULL, 0);
	ist_cell_operate(c, IST_OPERATION_ADD, one, NULL, 0);
}

/* The same, by sections that make versions with no log of theirs. */
static void do_repair_and_write(void)
{
	uint64_t *content;
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (ist_cell_write_begin(c, 0, 0, (void *)&content))
			continue; /* it is told */
		++*content;
		ist_cell_write_end(c);
	}
}

static int after_repair(void)
{
	return after(b, &carol, 2, 2, 2);
}

static int after_writing(void)
{
	return after(b, &carol, 2, 3, 2);
}

static int after_open(void)
{
	return after(c, &alice, 0, 1, 2);
}

static const struct repair {
	const char *name;
	void (*operate)(void);
	int (*go_on)(void);
	int opening;
} ways[] = {
	{"repair", do_repair, after_repair, 0},
	{"repair and write", do_repair_and_write, after_writing, 0},
	{"open", do_open, after_open, 1},
};
#define WAYS ((int)(sizeof(ways) / sizeof(ways[0])))

START_TEST(repairs)
{
	const struct repair *way = &ways[_i / SIZES];
	unsigned i, k, count, more, tried = 0;

	options.size = sizes[_i % SIZES];
	prepare();
	count = steps_collect(do_combine, GROUP, states);
	for (i = 0; i < count; i++) {
		memcpy(mem_base(), states[i], GROUP);
		free(states[i]);
		if (!IST_DIR_BUSY(a->memory->directory.control))
			continue;
		tried++;
		mem_die(0);
		if (way->opening)
			alice = mem_join(0);
		more = steps_collect(way->operate, GROUP, later);
		for (k = 0; k < more; k++) {
			ck_assert_msg(steps_from(later[k], GROUP, way->go_on) == 0,
				      "%s: state %u of %u, after %u of %u", way->name, k, more, i,
				      count);
			free(later[k]);
		}
		if (way->opening)
			mem_forget(alice);
	}
	ck_assert_uint_gt(tried, 5);
	mem_destroy();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("delegate_kill");
	TCase *test = tcase_create("steps");

#ifdef __SANITIZE_THREAD__
	printf("TSan does not live with a process that is stopped at its accesses\n");
	return 77;
#endif
	tcase_add_loop_test(test, at_every_instruction, 0, SCENES * SIZES);
	tcase_add_loop_test(test, repairs, 0, WAYS * SIZES);
	tcase_set_timeout(test, 240);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
