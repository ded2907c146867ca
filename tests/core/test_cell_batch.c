/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_batch.c: operations submitted and collected several at a time: as one by one, up to
 * the first that cannot be; in one timeout, by a clock that this file makes (the Makefile wraps
 * the library's: WRAP_test_cell_batch).
 */
#include "cell_pair.h"
#include "tests/suite.h"

#define ALL IST_CELL_IN_FLIGHT
#define MILLISECOND 1000000ull

uint64_t __wrap_ist_time_ns(void);

static uint64_t clock_ns, intrude_at; /* a millisecond a look; bob takes the cell, 0: never */
static int intruded, dies; /* he has; and is gone then */
static uint64_t arguments[ALL + 1][IST_CELL_ARGUMENTS], tickets[ALL + 1];
static int64_t results[ALL + 1];

uint64_t __wrap_ist_time_ns(void)
{
	void *content;

	clock_ns += MILLISECOND;
	if (intrude_at && clock_ns >= intrude_at) {
		intrude_at = 0;
		clock_ns += 6 * MILLISECOND;
		intruded = ist_cell_write_begin(b, 0, 0, &content) == 0;
		if (dies)
			mem_die(1);
	}
	return clock_ns;
}

static void open_word(int policy)
{
	unsigned i;

	options.policy = policies[policy];
	options.size = 8;
	options.flags = IST_CELL_POLL;
	clock_ns = intrude_at = 0;
	intruded = dies = 0;
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", NULL, &b), 0);
	memset(arguments, 0, sizeof(arguments));
	for (i = 0; i <= ALL; i++)
		arguments[i][1] = i + 1;
}

static int begin(unsigned first, unsigned count)
{
	return ist_cell_submit_batch(a, IST_OPERATION_STORE, arguments[first], count, 0,
				     tickets + first);
}

static int end(unsigned first, unsigned count)
{
	return ist_cell_collect_batch(a, tickets + first, count, results + first, 0);
}

/* Each stores its number and finds the number before: so they were done once, and in this order. */
static void expect_results(unsigned first, unsigned count, uint64_t before)
{
	unsigned i;

	for (i = first; i < first + count; i++) {
		ck_assert_int_eq(results[i], (int64_t)before);
		before = arguments[i][1];
	}
}

/* All there can be, in batches of several sizes; twice, as who did many at a time keeps the next
   ones back. */
START_TEST(all_in_order)
{
	static const unsigned counts[] = {1, 2, 33, 988};
	uint64_t before = 0;
	unsigned round, i, first;

	open_word(_i);
	for (round = 0; round < 3; round++) {
		for (i = first = 0; i < 4; first += counts[i++])
			ck_assert_int_eq(begin(first, counts[i]), (int)counts[i]);
		ck_assert_uint_eq(first, ALL);
		ck_assert_int_eq(begin(ALL, 1), -EAGAIN);
		for (i = first = 0; i < 4; first += counts[3 - i++])
			ck_assert_int_eq(end(first, counts[3 - i]), (int)counts[3 - i]);
		expect_results(0, ALL, before);
		before = ALL;
		ck_assert_int_eq(end(0, ALL), -EINVAL);
	}
	close_both();
}
END_TEST

/* As many as there is room for, where there is: between others that are not collected. */
START_TEST(where_there_is_room)
{
	uint64_t before, others[ALL + 1];
	int64_t found[ALL];
	unsigned i, round, free_ones;

	open_word(_i);
	for (round = 0; round < 3; round++) {
		ck_assert_int_eq(begin(0, ALL), ALL);
		/* The last first, so that all are done. */
		ck_assert_int_eq(end(ALL - 1, 1), 1);
		for (i = 0, free_ones = 1; i < ALL - 1; i++)
			if (i % 3) {
				ck_assert_int_eq(end(i, 1), 1);
				free_ones++;
			}
		before = arguments[ALL - 1][1];
		for (i = 0; i <= free_ones; i++)
			arguments[i][1] = 10000 * (round + 1) + i;
		ck_assert_int_eq(ist_cell_submit_batch(a, IST_OPERATION_STORE, arguments[0],
						       free_ones + 1, 0, others),
				 (int)free_ones);
		ck_assert_int_eq(ist_cell_submit_batch(a, IST_OPERATION_STORE, arguments[0], 1, 0,
						       others + free_ones),
				 -EAGAIN);
		ck_assert_int_eq(ist_cell_collect_batch(a, others, free_ones, found, 0),
				 (int)free_ones);
		for (i = 0; i < free_ones; i++) {
			ck_assert_int_eq(found[i], (int64_t)before);
			before = arguments[i][1];
		}
		for (i = 0; i < ALL - 1; i += 3)
			ck_assert_int_eq(end(i, 1), 1);
	}
	close_both();
}
END_TEST

START_TEST(up_to_the_first_that_cannot_be)
{
	uint64_t more[3];
	void *content;
	unsigned round;

	open_word(_i);
	for (round = 0; round < 2; round++) {
		ck_assert_int_eq(begin(0, 0), 0);
		ck_assert_int_eq(end(0, 0), 0);
		ck_assert_int_eq(begin(0, (unsigned)INT32_MAX + 1), -EINVAL);
		ck_assert_int_eq(end(0, (unsigned)INT32_MAX + 1), -EINVAL);
		ck_assert_int_eq(ist_cell_submit_batch(a, IST_CELL_OPERATIONS - 1, arguments[0], 2, 0,
						       tickets),
				 -EINVAL);
		ck_assert_int_eq(ist_cell_submit_batch(a, UINT32_MAX, arguments[0], 2, 0, tickets),
				 -EINVAL);
		ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
		ck_assert_int_eq(begin(0, 2), -EBUSY);
		ck_assert_int_eq(ist_cell_write_abort(a), 0);
		ck_assert_int_eq(begin(0, 4), 4);
		more[0] = tickets[1];
		more[1] = 0;
		more[2] = tickets[2];
		ck_assert_int_eq(ist_cell_collect_batch(a, more, 3, NULL, 0), 1);
		ck_assert_int_eq(ist_cell_collect_batch(a, more + 1, 2, results, 0), -EINVAL);
		more[1] = tickets[3] + 1; /* not given out */
		ck_assert_int_eq(ist_cell_collect_batch(a, more + 1, 2, results, 0), -EINVAL);
		more[1] = more[2];
		ck_assert_int_eq(ist_cell_collect_batch(a, more + 1, 2, results, 0), 1);
		ck_assert_int_eq(results[0], 2);
		ck_assert_int_eq(end(3, 1), 1);
		ck_assert_int_eq(end(0, 1), 1);
		/* Once more with operations that are kept back. */
		ck_assert_int_eq(begin(0, ALL), ALL);
		ck_assert_int_eq(end(0, ALL), ALL);
	}
	close_both();
}
END_TEST

/* Another takes the cell when the first is done: the second waits for what is left of the time. */
START_TEST(time_of_all_of_them)
{
	int n;

	open_word(1);
	ck_assert_int_eq(policies[1], IST_MIGRATORY);
	intrude_at = 2 * MILLISECOND; /* the first look is before the first operation */
	n = ist_cell_submit_batch(a, IST_OPERATION_STORE, arguments[0], 3, 10 * MILLISECOND, tickets);
	ck_assert_int_eq(intruded, 1);
	ck_assert_int_eq(n, 1);
	/* And what it looks at before it waits at all. */
	ck_assert_uint_ge(clock_ns, 10 * MILLISECOND);
	ck_assert_uint_lt(clock_ns, 16 * MILLISECOND);
	ck_assert_int_eq(begin(1, 2), -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_write_end(b), 0);
	ck_assert_int_eq(begin(1, 2), 2);
	ck_assert_int_eq(end(0, 3), 3);
	expect_results(0, 3, 0);
	close_both();
}
END_TEST

/* A death that was met behind the first one is told by the next call. */
START_TEST(a_death_between_them)
{
	open_word(1);
	intrude_at = 2 * MILLISECOND;
	dies = 1;
	ck_assert_int_eq(ist_cell_submit_batch(a, IST_OPERATION_STORE, arguments[0], 3,
					       10 * MILLISECOND, tickets),
			 1);
	ck_assert_int_eq(intruded, 1);
	ck_assert_int_eq(begin(1, 2), -EOWNERDEAD);
	ck_assert_int_eq(begin(1, 2), 2);
	ck_assert_int_eq(end(0, 3), 3);
	expect_results(0, 3, 0);
	ist_cell_close(a);
	mem_forget_cell(b);
}
END_TEST

/* So is one that was to be told when the first result was there, and the second was not. */
START_TEST(a_death_still_to_be_told)
{
	open_word(3);
	ck_assert_int_eq(begin(0, 1), 1);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_STORE, arguments[1], NULL, 0), 0);
	ck_assert_int_eq(begin(2, 1), 1);
	tickets[1] = tickets[2];
	a->error = -EOWNERDEAD;
	ck_assert_int_eq(end(0, 2), 1);
	ck_assert_int_eq(end(1, 1), -EOWNERDEAD);
	ck_assert_int_eq(end(1, 1), 1);
	ck_assert_int_eq(results[0], 0);
	ck_assert_int_eq(results[1], 2);
	close_both();
}
END_TEST

/* Nobody does what was left for others: a batch of them is there in the end, or its time is over,
   and their tickets are good. */
START_TEST(collected_late)
{
	uint64_t since;
	void *content;

	open_word(3);
	ck_assert_int_eq(policies[3], IST_DELEGATED);
	ck_assert_int_eq(ist_cell_write_begin(b, 0, 0, &content), 0);
	ck_assert_int_eq(begin(0, 3), 3);
	since = clock_ns;
	ck_assert_int_eq(ist_cell_collect_batch(a, tickets, 3, results, 10 * MILLISECOND),
			 -ETIMEDOUT);
	ck_assert_uint_ge(clock_ns - since, 10 * MILLISECOND);
	ck_assert_int_eq(ist_cell_write_end(b), 0);
	ck_assert_int_eq(ist_cell_collect_batch(a, tickets, 3, results, 10 * MILLISECOND), 3);
	expect_results(0, 3, 0);
	close_both();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell, operations in batches");
	TCase *test = tcase_create("batches");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, all_in_order, 0, POLICIES);
	tcase_add_loop_test(test, where_there_is_room, 0, POLICIES);
	tcase_add_loop_test(test, up_to_the_first_that_cannot_be, 0, POLICIES);
	tcase_add_test(test, time_of_all_of_them);
	tcase_add_test(test, a_death_between_them);
	tcase_add_test(test, a_death_still_to_be_told);
	tcase_add_test(test, collected_late);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
