/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_delegate.c: what a delegated cell does beside what every cell does (test_cell.c): operations
 * left for others, done together, in order, once; refusals and timeouts; hostile requests.
 */
#include <pthread.h>

#include "delegate_trio.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

/* Everybody's in one pass: each one's in order, as one version; the results are where they belong.
 */
START_TEST(combined)
{
	const uint64_t two[4] = {1, 1, 0, 0}, four[4] = {1, 1, 1, 1}, five[4] = {5, 0, 0, 0};
	uint64_t tickets[3], version;
	uint8_t content[4096];

	open_all(sizes[_i]);
	define_all();
	ck_assert_int_eq(operate(a, APPEND, five), 5);
	tickets[0] = submit(b, APPEND, two);
	tickets[1] = submit(c, APPEND, four);
	tickets[2] = submit(b, APPEND, five);
	ck_assert_uint_eq(pending(b), 2);
	/* The own one is done first, then each seat's. */
	ck_assert_int_eq(operate(a, APPEND, (uint64_t[4]){9, 0, 0, 0}), 59);
	ck_assert_uint_eq(pending(b) + pending(c), 0);
	ck_assert_int_eq(ist_cell_read(c, content, &version, 0), 0);
	ck_assert_uint_eq(version, 2);
	collect(b, tickets[2], 5925);
	collect(b, tickets[0], 592);
	collect(c, tickets[1], 59254);
	ck_assert_int_eq(ist_cell_collect(b, tickets[0], NULL, 0), -EINVAL);
	/* Nobody does it: who asked does it itself. */
	tickets[0] = submit(c, APPEND, two);
	collect(c, tickets[0], 592542);
}
END_TEST

/* A pass is bounded, and nobody is left out for ever. */
START_TEST(bounded_passes)
{
	uint64_t of_b[IST_CELL_REQUESTS], of_c[IST_CELL_REQUESTS], of_d[IST_CELL_REQUESTS];
	struct ist_group *dave = mem_join(3);
	struct ist_cell *d;
	unsigned i, round, left;
	int64_t before = 0;

	open_all(4096);
	ck_assert_int_eq(ist_cell_open(dave, "c", &options, &d), 0);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < IST_CELL_REQUESTS; i++) {
			of_b[i] = submit(b, IST_OPERATION_ADD, one);
			of_c[i] = submit(c, IST_OPERATION_ADD, one);
			of_d[i] = submit(d, IST_OPERATION_ADD, one);
		}
		left = 3 * IST_CELL_REQUESTS;
		ck_assert_int_eq(operate(a, IST_OPERATION_ADD, none), before);
		left -= (unsigned)(operate(a, IST_OPERATION_ADD, none) - before);
		ck_assert_uint_eq(left, 3 * IST_CELL_REQUESTS - IST_CELL_LOG_MAX);
		ck_assert_uint_eq(pending(b) + pending(c) + pending(d), 0);
		before += 3 * IST_CELL_REQUESTS;
		ck_assert_int_eq(operate(a, IST_OPERATION_ADD, none), before);
		for (i = 0; i < IST_CELL_REQUESTS; i++) {
			ck_assert_int_eq(ist_cell_collect(b, of_b[i], NULL, 0), 0);
			ck_assert_int_eq(ist_cell_collect(c, of_c[i], NULL, 0), 0);
			ck_assert_int_eq(ist_cell_collect(d, of_d[i], NULL, 0), 0);
		}
	}
	ist_cell_close(d);
	mem_forget(dave);
}
END_TEST

/* Many on a short content are left to who asked: handing the cell over is cheaper. */
START_TEST(many_on_little)
{
	uint64_t tickets[IST_CELL_REQUESTS];
	unsigned i;

	open_all(8);
	for (i = 0; i < IST_CELL_REQUESTS; i++)
		tickets[i] = submit(b, IST_OPERATION_ADD, one);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), 0);
	ck_assert_uint_eq(pending(b), IST_CELL_REQUESTS);
	for (i = 0; i < IST_CELL_REQUESTS; i++)
		collect(b, tickets[i], 1 + i);
}
END_TEST

/* What is not known to who holds the cell is left, and so is what comes behind it. */
START_TEST(unknown_here)
{
	uint64_t tickets[3];

	open_all(8);
	ck_assert_int_eq(ist_cell_define(b, APPEND, append), 0);
	tickets[0] = submit(b, IST_OPERATION_ADD, one);
	tickets[1] = submit(b, APPEND, one);
	tickets[2] = submit(b, IST_OPERATION_ADD, one);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), 0);
	ck_assert_uint_eq(pending(b), 2);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), 2);
	collect(b, tickets[0], 1);
	collect(b, tickets[1], 31);
	collect(b, tickets[2], 31);
}
END_TEST

/* Somebody stays in a section: what was asked for is done later, once, and nobody's result. */
START_TEST(timeouts)
{
	void *content;
	int64_t result;
	unsigned i;

	open_all(8);
	ck_assert_int_eq(ist_cell_write_begin(c, 0, 0, &content), 0);
	/* Tries, and asks for nothing. */
	ck_assert_int_eq(ist_cell_operate(b, IST_OPERATION_ADD, one, &result, 0), -ETIMEDOUT);
	ck_assert_uint_eq(pending(b), 0);
	for (i = 0; i < IST_CELL_REQUESTS + 3; i++) {
		ck_assert_int_eq(ist_cell_operate(b, IST_OPERATION_ADD, one, &result, 1000),
				 -ETIMEDOUT);
		ck_assert_uint_eq(pending(b), i < IST_CELL_REQUESTS ? i + 1 : IST_CELL_REQUESTS);
	}
	ck_assert_uint_eq(a->memory->waiters, 0);
	ck_assert_int_eq(ist_cell_write_end(c), 0);
	ck_assert_int_eq(operate(b, IST_OPERATION_ADD, one), IST_CELL_REQUESTS);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), IST_CELL_REQUESTS + 1);
}
END_TEST

START_TEST(refusals)
{
	void *content;
	uint64_t ticket, another;
	int64_t result;

	open_all(8);
	ck_assert_int_eq(ist_cell_operate(a, APPEND, one, &result, 0), -EINVAL);
	ck_assert_int_eq(ist_cell_submit(a, APPEND, one, 0, &another), -EINVAL);
	ticket = submit(a, IST_OPERATION_ADD, one);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, &result, 0), -EBUSY);
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &another), -EBUSY);
	ck_assert_int_eq(ist_cell_collect(a, ticket, &result, 0), -EBUSY);
	ck_assert_int_eq(ist_cell_write_end(a), 0);
	collect(a, ticket, 0);
}
END_TEST

/* Who repairs while it waits gets its result first, and is told by the next call. */
START_TEST(told_of_a_death)
{
	void *content;
	uint64_t ticket;
	int64_t result;

	open_all(sizes[_i]);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	memset(content, 0x55, 8);
	ticket = submit(b, IST_OPERATION_ADD, one);
	mem_die(0);
	ck_assert_int_eq(ist_cell_collect(b, ticket, &result, MILLISECOND * 1000), 0);
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(ist_cell_operate(b, IST_OPERATION_ADD, one, &result, 0), -EOWNERDEAD);
	ck_assert_int_eq(operate(b, IST_OPERATION_ADD, one), 1);
	mem_forget_cell(a);
	a = NULL;
}
END_TEST

/* Nobody does what one of the dead has asked for, nor its seat's next owner's twice. */
START_TEST(requests_of_the_dead)
{
	uint64_t ticket;
	struct ist_cell *old, *d;
	unsigned i;

	open_all(8);
	for (i = 0; i < 5; i++)
		submit(b, IST_OPERATION_ADD, one);
	old = b;
	mem_die(1);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), 0);
	mem_forget(bob);
	bob = mem_join(1);
	/* The seat of one that is dead is taken when no other is free. */
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &d), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), 0);
	ck_assert_uint_eq(b->seat, old->seat);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), 1);
	ticket = submit(b, IST_OPERATION_ADD, one);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), 2);
	ck_assert_uint_eq(pending(b), 0);
	collect(b, ticket, 3);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one), 4);
	ist_cell_close(d);
	mem_forget_cell(old);
}
END_TEST

/* Who sleeps for a result is rung by who did it. */
START_TEST(sleepers)
{
	uint64_t ticket, before = mem_rings(1);

	open_all(8);
	ticket = submit(b, IST_OPERATION_ADD, one);
	a->memory->waiters = coh_bit(b->seat); /* as if it slept */
	operate(a, IST_OPERATION_ADD, one);
	ck_assert_uint_eq(a->memory->waiters, 0);
	ck_assert_uint_eq(mem_rings(1), before + 1);
	collect(b, ticket, 1);
}
END_TEST

static void *end_later(void *argument)
{
	while (!__atomic_load_n(&c->memory->waiters, __ATOMIC_ACQUIRE))
		ist_sleep_ns(100000);
	ck_assert_int_eq(ist_cell_write_end(argument), 0);
	return NULL;
}

START_TEST(sleeping_for_a_result)
{
	pthread_t thread;
	void *content;
	int64_t result;

	open_all(sizes[_i]);
	ck_assert_int_eq(ist_cell_write_begin(c, 0, 0, &content), 0);
	memset(content, 0, 8);
	ck_assert_int_eq(pthread_create(&thread, NULL, end_later, c), 0);
	ck_assert_int_eq(ist_cell_operate(b, IST_OPERATION_ADD, one, &result, IST_FOREVER), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(result, 0);
	ck_assert_uint_eq(a->memory->waiters, 0);
}
END_TEST

/* Threads, so that ThreadSanitizer sees both sides of a request. */
#define ROUNDS 400u
static void *add_many(void *argument)
{
	uint64_t tickets[IST_CELL_IN_FLIGHT];
	int64_t last = -1, result;
	unsigned i, k, many;

	for (i = 0; i < ROUNDS; i++) {
		/* By turns as many as others do, and more: some of which are kept back. */
		many = i / 4 % 2 ? IST_CELL_IN_FLIGHT : 7;
		for (k = 0; k < many; k++)
			ck_assert_int_eq(ist_cell_submit(argument, IST_OPERATION_ADD, one,
							 IST_FOREVER, &tickets[k]),
					 0);
		for (k = 0; k < many; k++) {
			ck_assert_int_eq(
				ist_cell_collect(argument, tickets[k], &result, IST_FOREVER), 0);
			ck_assert_int_gt(result, last);
			last = result;
		}
		ck_assert_int_eq(
			ist_cell_operate(argument, IST_OPERATION_ADD, one, &result, IST_FOREVER),
			0);
		ck_assert_int_gt(result, last);
		last = result;
	}
	return NULL;
}

START_TEST(threads)
{
	pthread_t thread[3];
	struct ist_cell *cells[3];
	unsigned i;

	open_all(sizes[_i]);
	cells[0] = a;
	cells[1] = b;
	cells[2] = c;
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, add_many, cells[i]), 0);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, one),
			 3 * ROUNDS / 2 * (1 + 7 + 1 + IST_CELL_IN_FLIGHT));
}
END_TEST

/* Words that look right here and there, and any words, wherever requests and logs are. */
START_TEST(hostile_requests)
{
	uint64_t state = 88172645463325252u + (unsigned)_i, *word, ticket, i;
	int64_t result;
	int n;

	open_all(_i % 2 ? 8 : 1000);
	ck_assert_int_eq(ist_cell_define(a, APPEND, append), 0);
	for (i = 0; i < 20000; i++) {
		uint64_t from = (uint64_t)(a->common - (uint8_t *)a->memory), at;

		xorshift(&state);
		/* Up to the end of the areas of all seats; or any of the head. */
		at = from + (state >> 8) % (uint64_t)(ist_cell_area(a, 4) - a->common);
		if (i % 64 == 0)
			at = (state >> 8) % sizeof(struct ist_cell_memory);
		word = (uint64_t *)(void *)((uint8_t *)a->memory + (at & ~7ull));
		if (state % 5 == 0)
			*word = state * 0x9e3779b97f4a7c15ull;
		else if (state % 5 < 3)
			*word += state % 7 - 3;
		else
			*word = IST_CELL_OPERATION(b->requests.asked, state >> 32 & 0x3f);
		if (!a->error && ist_cell_submit(b, IST_OPERATION_ADD, one, 1000, &ticket) == 0)
			ist_cell_collect(b, ticket, NULL, 1000);
		n = ist_cell_operate(a, IST_OPERATION_ADD, one, &result, 1000);
		ck_assert(n == 0 || n == -EPROTO || n == -ETIMEDOUT || n == -EOWNERDEAD);
		if (n == -EPROTO) {
			ist_cell_close(a);
			ist_cell_close(b);
			ist_cell_close(c);
			open_all(options.size);
			ck_assert_int_eq(ist_cell_define(a, APPEND, append), 0);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("delegate");
	TCase *test = tcase_create("operations");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, combined, 0, SIZES);
	tcase_add_test(test, bounded_passes);
	tcase_add_test(test, many_on_little);
	tcase_add_test(test, unknown_here);
	tcase_add_test(test, timeouts);
	tcase_add_test(test, refusals);
	tcase_add_loop_test(test, told_of_a_death, 0, SIZES);
	tcase_add_test(test, requests_of_the_dead);
	tcase_add_test(test, sleepers);
	tcase_add_loop_test(test, sleeping_for_a_result, 0, SIZES);
	tcase_add_loop_test(test, threads, 0, SIZES);
	tcase_add_loop_test(test, hostile_requests, 0, 6);
	tcase_set_timeout(test, 120);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
