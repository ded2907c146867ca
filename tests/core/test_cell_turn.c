/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_turn.c: a waiter stands back from a holder that has several sections to do, and from no
 * other; by a clock that this file makes (the Makefile wraps the library's: WRAP_test_cell_turn),
 * and in which others act.
 */
#include "cell_pair.h"
#include "tests/suite.h"

#define SURE 16u  /* cell_take.c: APART_SURE, */
#define TRY 256u  /* APART_TRY, */
#define LOOKS 13u /* APART_LOOKS */
#define LOOK_NS 200u
#define TIMEOUT_NS 100000u

uint64_t __wrap_ist_time_ns(void);

static uint64_t clock_ns;
static unsigned sections;      /* that bob does while alice waits; each with a look at the clock */
static struct ist_cell *takes; /* who takes the cell for the last of them, NULL: bob */
static struct ist_group *carol;
static struct ist_cell *c, *holds;

static void take(struct ist_cell *cell)
{
	void *content;

	ck_assert_int_eq(ist_cell_write_begin(cell, 0, 0, &content), 0);
	holds = cell;
}

uint64_t __wrap_ist_time_ns(void)
{
	clock_ns += LOOK_NS;
	if (sections) {
		sections--;
		ck_assert_int_eq(ist_cell_write_end(holds), 0);
		take(!sections && takes ? takes : holds);
	}
	return clock_ns;
}

static void setup_three(void)
{
	setup();
	carol = mem_join(2);
	options.flags = IST_CELL_POLL;
	clock_ns = sections = 0;
	takes = NULL;
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), 0);
	ck_assert_int_eq(ist_cell_open(carol, "c", &options, &c), 0);
	take(b);
}

static void teardown_three(void)
{
	close_both();
	ist_cell_close(c);
	mem_forget(carol);
	teardown();
}

/* Alice waits, in vain, while `count` sections are done. Whether she stood back. */
static int stands_back(unsigned count)
{
	void *content;

	sections = count;
	ck_assert_int_eq(ist_cell_write_begin(a, 0, TIMEOUT_NS, &content), -ETIMEDOUT);
	ck_assert(a->left_out == 0 || a->left_out == LOOKS);
	/* Only while she stands back are there so many looks at the clock; the rest is later. */
	while (sections)
		ist_time_ns();
	return a->left_out != 0;
}

/* Now and then she tries whether it is of use: not where one section lasts, or another follows. */
START_TEST(not_in_vain)
{
	unsigned i, round;

	for (round = 0; round < 2; round++) {
		for (i = 1; i < TRY; i++)
			ck_assert_int_eq(stands_back(0), 0);
		ck_assert_int_eq(stands_back(round), 1);
		ck_assert_uint_eq(a->apart, 0);
	}
}
END_TEST

/* Where the holder has several to do she does, until it has been in vain so many times in a row. */
START_TEST(where_it_is_of_use)
{
	unsigned i;

	for (i = 1; i < TRY; i++)
		ck_assert_int_eq(stands_back(0), 0);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(stands_back(2), 1);
	for (i = 0; i < SURE - 1; i++)
		ck_assert_int_eq(stands_back(0), 1);
	ck_assert_int_eq(stands_back(2), 1);
	for (i = 0; i < SURE; i++)
		ck_assert_int_eq(stands_back(i % 2), 1);
	ck_assert_int_eq(stands_back(2), 0);
}
END_TEST

/* Several sections of several are not what she leaves alone: it is her turn, too. */
START_TEST(not_from_others)
{
	unsigned i;

	for (i = 1; i < TRY; i++)
		ck_assert_int_eq(stands_back(0), 0);
	takes = c;
	ck_assert_int_eq(stands_back(2), 1);
	ck_assert_ptr_eq(holds, c);
	ck_assert_uint_eq(a->apart, 0);
	ck_assert_int_eq(stands_back(2), 0);
}
END_TEST

/* No longer than her time. */
START_TEST(no_longer_than_asked)
{
	uint64_t since = clock_ns;
	void *content;

	a->apart = SURE;
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 1, &content), -ETIMEDOUT);
	ck_assert_uint_le(clock_ns - since, 4 * LOOK_NS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell, whose turn it is");
	TCase *test = tcase_create("standing back");

	tcase_add_checked_fixture(test, setup_three, teardown_three);
	tcase_add_test(test, not_in_vain);
	tcase_add_test(test, where_it_is_of_use);
	tcase_add_test(test, not_from_others);
	tcase_add_test(test, no_longer_than_asked);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
