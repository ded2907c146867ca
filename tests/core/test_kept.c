/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_kept.c: what a handle of a delegated cell keeps back: operations that are no requests, done
 * by its own next pass, in their order, or asked for after all.
 */
#include "delegate_trio.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

/* Has `cell`, which nobody has left an operation with, do many at a time. */
static void do_many(struct ist_cell *cell)
{
	uint64_t tickets[IST_CELL_IN_FLIGHT];
	unsigned i;

	for (i = 0; i < IST_CELL_IN_FLIGHT; i++)
		tickets[i] = submit(cell, IST_OPERATION_ADD, none);
	for (i = 0; i < IST_CELL_IN_FLIGHT; i++)
		ck_assert_int_eq(ist_cell_collect(cell, tickets[i], NULL, 0), 0);
}

/* Who did many at a time keeps the next ones back: nobody sees them before they are done, which is
   in their order, as one version, and leaves the lines of requests as they were. */
START_TEST(kept_back)
{
	uint64_t tickets[IST_CELL_IN_FLIGHT], before, after, content[5], round;
	uint8_t desks[4096];
	size_t area = (1 + IST_CELL_REQUESTS) * sizeof(struct ist_cell_request);
	int64_t digits;
	unsigned i;

	open_all(sizes[_i]);
	define_all();
	do_many(b);
	for (round = 0; round < 2; round++) {
		memcpy(desks, ist_cell_area(b, b->seat), area);
		tickets[0] = submit(b, IST_OPERATION_STORE, none);
		for (i = 1; i < IST_CELL_IN_FLIGHT; i++)
			tickets[i] = submit(b, APPEND, (uint64_t[4]){i % 10, 0, 0, 0});
		ck_assert_int_eq(ist_cell_submit(b, APPEND, one, 0, &before), -EAGAIN);
		ck_assert_int_eq(operate(a, IST_OPERATION_STORE, one), (int64_t)(round * 2));
		ck_assert_int_eq(ist_cell_read(c, content, &before, 0), 0);
		/* The last first: so all are done by then. */
		collect(b, tickets[10], 1234567890);
		ck_assert_int_eq(ist_cell_read(c, content, &after, 0), 0);
		ck_assert_uint_eq(after, before + 1);
		ck_assert_int_eq(memcmp(desks, ist_cell_area(b, b->seat), area), 0);
		collect(b, tickets[0], 1);
		for (i = 1, digits = 0; i < 10; i++) {
			digits = digits * 10 + i;
			collect(b, tickets[i], digits);
		}
		for (i = 11; i < IST_CELL_IN_FLIGHT; i++)
			ck_assert_int_eq(ist_cell_collect(b, tickets[i], NULL, 0), 0);
		ck_assert_int_eq(operate(c, IST_OPERATION_STORE, (uint64_t[4]){0, 2}),
				 (int64_t)content[0]);
	}
}
END_TEST

/* So does who has no more room for requests: what comes behind them is nobody else's yet. */
START_TEST(no_room_for_another)
{
	const unsigned more = 5;
	uint64_t tickets[IST_CELL_REQUESTS + 5];
	unsigned i;

	open_all(4096);
	define_all();
	for (i = 0; i < IST_CELL_REQUESTS; i++)
		tickets[i] = submit(b, IST_OPERATION_ADD, one);
	for (i = 0; i < more; i++)
		tickets[IST_CELL_REQUESTS + i] = submit(b, APPEND, one);
	ck_assert(!b->requests.keeps);
	ck_assert_uint_eq(ist_cell_kept(b), more);
	/* Others do what was asked for, and that is known only when it is looked for. */
	ck_assert_int_eq(operate(a, IST_OPERATION_ADD, none), 0);
	ck_assert_int_eq(operate(a, IST_OPERATION_STORE, one), IST_CELL_REQUESTS);
	ck_assert_uint_eq(pending(b), 0);
	ck_assert_uint_eq(ist_cell_kept(b), more);
	/* Now it is, and there is room: for what comes behind what is kept there is none yet. */
	collect(b, tickets[0], 0);
	ck_assert_uint_eq(b->requests.asked, b->requests.done);
	tickets[0] = submit(b, APPEND, (uint64_t[4]){2, 0, 0, 0});
	ck_assert_uint_eq(pending(b), 0);
	ck_assert_uint_eq(ist_cell_kept(b), more + 1);
	for (i = 0; i < more; i++)
		collect(b, tickets[IST_CELL_REQUESTS + i],
			(int64_t[]){11, 111, 1111, 11111, 111111}[i]);
	for (i = 1; i < IST_CELL_REQUESTS; i++)
		collect(b, tickets[i], (int64_t)i);
	collect(b, tickets[0], 1111112);
	ck_assert_uint_eq(ist_cell_pending(b), 0);
}
END_TEST

/* What is kept is done as if one by one: additions to one word together, to others, to none. */
START_TEST(kept_additions)
{
	static const uint64_t places[] = {0, 0, 0, 8, 32, 40, 33, UINT64_MAX - 7};
	uint64_t tickets[IST_CELL_IN_FLIGHT], words[5] = {0}, content[5];
	int64_t expected[IST_CELL_IN_FLIGHT];
	uint64_t state = 88172645463325252u;
	unsigned i, round;

	open_all(40);
	do_many(b);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < IST_CELL_IN_FLIGHT; i++) {
			uint64_t value = xorshift(&state), place = places[value >> 8 & 7];
			uint32_t number = value >> 16 & 7 ? IST_OPERATION_ADD : IST_OPERATION_STORE;

			tickets[i] = submit(b, number, (uint64_t[4]){place, value, 0, 0});
			expected[i] = -EINVAL;
			if (place > 32 || place % 8)
				continue;
			expected[i] = (int64_t)words[place / 8];
			words[place / 8] =
				value + (number == IST_OPERATION_ADD ? words[place / 8] : 0);
		}
		ck_assert_uint_eq(ist_cell_kept(b), IST_CELL_IN_FLIGHT);
		for (i = 0; i < IST_CELL_IN_FLIGHT; i++)
			collect(b, tickets[i], expected[i]);
		ck_assert_int_eq(ist_cell_read(c, content, NULL, 0), 0);
		ck_assert_mem_eq(content, words, sizeof(words));
	}
}
END_TEST

/* A result that nobody collects keeps its place: its number is left out where others are kept. */
START_TEST(kept_around_a_place)
{
	uint64_t tickets[IST_CELL_IN_FLIGHT], last, round;
	unsigned i;

	open_all(8);
	define_all();
	do_many(b);
	last = submit(b, IST_OPERATION_STORE, none);
	tickets[0] = submit(b, IST_OPERATION_ADD, one);
	collect(b, tickets[0], 0);
	for (round = 0; round < 3; round++) {
		for (i = 1; i < IST_CELL_IN_FLIGHT; i++) {
			tickets[i] = submit(b, IST_OPERATION_ADD, one);
			ck_assert_uint_ne(tickets[i] % IST_CELL_IN_FLIGHT,
					  last % IST_CELL_IN_FLIGHT);
		}
		ck_assert_int_eq(ist_cell_submit(b, IST_OPERATION_ADD, one, 0, &tickets[0]),
				 -EAGAIN);
		/* The first time there is room for requests. */
		ck_assert_uint_eq(b->requests.asked - b->requests.done,
				  round == 0 ? IST_CELL_REQUESTS : 0);
		for (i = IST_CELL_IN_FLIGHT; --i > 0;)
			collect(b, tickets[i],
				(int64_t)(1 + round * (IST_CELL_IN_FLIGHT - 1) + i - 1));
		ck_assert_uint_eq(ist_cell_pending(b), 0);
	}
	collect(b, last, 0);
	/* As few that are waited for. */
	for (i = 0; i < 3; i++)
		tickets[i] = submit(b, IST_OPERATION_STORE, none);
	ck_assert_int_eq(ist_cell_collect(b, tickets[1], NULL, MILLISECOND * 1000), 0);
	collect(b, tickets[0], 1 + 3 * (IST_CELL_IN_FLIGHT - 1));
	collect(b, tickets[2], 0);
}
END_TEST

/* A number that means nothing any more when its turn has come: that is the result, of it alone. */
START_TEST(kept_and_undefined)
{
	uint64_t tickets[3];

	open_all(sizes[_i]);
	define_all();
	do_many(b);
	tickets[0] = submit(b, APPEND, one);
	tickets[1] = submit(b, IST_OPERATION_ADD, one);
	tickets[2] = submit(b, APPEND, one);
	ck_assert_uint_eq(ist_cell_kept(b), 3);
	ck_assert_int_eq(ist_cell_define(b, APPEND, NULL), 0);
	collect(b, tickets[0], -EINVAL);
	collect(b, tickets[1], 0);
	collect(b, tickets[2], -EINVAL);
	ck_assert_int_eq(operate(c, IST_OPERATION_STORE, none), 1);
}
END_TEST

/* Few that are waited for are left for others after all, in their order. */
START_TEST(kept_no_longer)
{
	uint64_t tickets[4];
	void *content;
	int64_t result;
	unsigned i;

	open_all(sizes[_i]);
	define_all();
	do_many(b);
	for (i = 0; i < 3; i++)
		tickets[i] = submit(b, APPEND, (uint64_t[4]){i + 1, 0, 0, 0});
	ck_assert_int_eq(ist_cell_write_begin(c, 0, 0, &content), 0);
	/* Tries, and asks for nothing. */
	ck_assert_int_eq(ist_cell_collect(b, tickets[1], &result, 0), -ETIMEDOUT);
	ck_assert_uint_eq(pending(b), 0);
	ck_assert_int_eq(ist_cell_collect(b, tickets[1], &result, 1000), -ETIMEDOUT);
	ck_assert_uint_eq(pending(b), 3);
	ck_assert_int_eq(ist_cell_write_abort(c), 0);
	tickets[3] = submit(b, APPEND, (uint64_t[4]){4, 0, 0, 0});
	ck_assert_uint_eq(pending(b), 4);
	ck_assert_int_eq(operate(a, APPEND, (uint64_t[4]){9, 0, 0, 0}), 9);
	ck_assert_uint_eq(pending(b), 0);
	collect(b, tickets[3], 91234);
	collect(b, tickets[0], 91);
	collect(b, tickets[2], 9123);
	collect(b, tickets[1], 912);
}
END_TEST

/* A single operation comes after what is kept back, by whichever way it is done. */
START_TEST(kept_before_one)
{
	uint64_t ticket;
	void *content;
	int64_t result;

	open_all(sizes[_i]);
	define_all();
	do_many(b);
	ticket = submit(b, APPEND, (uint64_t[4]){1, 0, 0, 0});
	ck_assert_int_eq(operate(b, APPEND, (uint64_t[4]){2, 0, 0, 0}), 12);
	collect(b, ticket, 1);
	do_many(b);
	ticket = submit(b, APPEND, (uint64_t[4]){3, 0, 0, 0});
	ck_assert_int_eq(ist_cell_write_begin(c, 0, 0, &content), 0);
	ck_assert_int_eq(ist_cell_operate(b, APPEND, (uint64_t[4]){4, 0, 0, 0}, &result, 1000),
			 -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_write_abort(c), 0);
	b->requests.usual = 1; /* as if others did what it asks for */
	ck_assert_int_eq(
		ist_cell_operate(b, APPEND, (uint64_t[4]){5, 0, 0, 0}, &result, MILLISECOND * 1000),
		0);
	ck_assert_int_eq(result, 1235);
	collect(b, ticket, 123);
	/* And after what was asked for, and is waited for no longer. */
	do_many(b);
	ck_assert_int_eq(ist_cell_write_begin(c, 0, 0, &content), 0);
	ck_assert_int_eq(ist_cell_operate(b, APPEND, (uint64_t[4]){6, 0, 0, 0}, &result, 1000),
			 -ETIMEDOUT);
	ticket = submit(b, APPEND, (uint64_t[4]){7, 0, 0, 0});
	ck_assert_uint_eq(pending(b), 1);
	ck_assert_int_eq(ist_cell_write_abort(c), 0);
	collect(b, ticket, 123567);
}
END_TEST

/* Many at a time that were each waited for in vain: nothing is kept back before there is where to,
   which is from the first submission on. */
START_TEST(nowhere_to_keep)
{
	uint64_t tickets[3];
	void *content;
	int64_t result;
	unsigned i, many;

	open_all(sizes[_i]);
	define_all();
	many = (unsigned)ist_cell_worth(b) + 1;
	ck_assert_int_eq(ist_cell_write_begin(c, 0, 0, &content), 0);
	for (i = 0; i < many; i++)
		ck_assert_int_eq(ist_cell_operate(b, IST_OPERATION_ADD, one, &result, 1),
				 -ETIMEDOUT);
	ck_assert_uint_eq(pending(b), many);
	ck_assert_int_eq(ist_cell_write_abort(c), 0);
	/* All of these, and then this one: by this handle, at once. */
	ck_assert_int_eq(operate(b, IST_OPERATION_STORE, one), (int64_t)many);
	ck_assert_int_eq(ist_cell_collect(b, 1, &result, 0), -EINVAL);
	for (i = 0; i < 3; i++)
		tickets[i] = submit(b, APPEND, (uint64_t[4]){i});
	ck_assert_uint_eq(pending(b), 3);
	for (i = 0; i < 3; i++)
		collect(b, tickets[i], (int64_t[]){10, 101, 1012}[i]);
}
END_TEST

/* Who repairs while it waits is told of that, and what it has kept back is done. */
START_TEST(kept_over_a_death)
{
	uint64_t tickets[12];
	void *content;
	int64_t result;
	unsigned i;

	open_all(8);
	do_many(b);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	memset(content, 0x55, 8);
	for (i = 0; i < 12; i++)
		tickets[i] = submit(b, IST_OPERATION_ADD, one);
	mem_die(0);
	ck_assert_int_eq(ist_cell_collect(b, tickets[11], &result, MILLISECOND * 1000), 0);
	ck_assert_int_eq(result, 11);
	ck_assert_int_eq(ist_cell_operate(b, IST_OPERATION_ADD, one, &result, 0), -EOWNERDEAD);
	for (i = 0; i < 11; i++)
		collect(b, tickets[i], i);
	mem_forget_cell(a);
	a = NULL;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kept");
	TCase *test = tcase_create("operations");

	tcase_add_checked_fixture(test, setup, teardown);
	/* Those of which 32 are too many to be done for another. */
	tcase_add_loop_test(test, kept_back, 0, 2);
	tcase_add_test(test, no_room_for_another);
	tcase_add_test(test, kept_additions);
	tcase_add_test(test, kept_around_a_place);
	tcase_add_loop_test(test, kept_and_undefined, 0, 3);
	tcase_add_loop_test(test, kept_no_longer, 0, 3);
	tcase_add_loop_test(test, kept_before_one, 0, 3);
	tcase_add_loop_test(test, nowhere_to_keep, 0, 3);
	tcase_add_test(test, kept_over_a_death);
	tcase_set_timeout(test, 120);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
