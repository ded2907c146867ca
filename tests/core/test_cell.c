/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell.c: what cells do for those who share one: sections, versions, waiting, all policies and
 * sizes.
 */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "cell_pair.h"
#include "tests/suite.h"

START_TEST(versions)
{
	unsigned number;
	void *content;

	open_both(_i);
	expect(a, 0);
	expect(b, 0);
	for (number = 1; number < 20; number++) {
		struct ist_cell *writer = number % 3 ? a : b;

		if (number % 2) {
			write_number(writer, number);
		} else {
			ck_assert_int_eq(ist_cell_write_begin(writer, 0, 0, &content), 0);
			ck_assert(whole(content, number - 1));
			expect(writer == a ? b : a, number - 1);
			fill(content, number);
			expect(writer == a ? b : a, number - 1); /* not before the end */
			ck_assert_int_eq(ist_cell_write_end(writer), 0);
		}
		expect(a, number);
		expect(b, number);
	}
	close_both();
	ck_assert_int_eq(ist_cell_open(bob, "c", NULL, &b), 0);
	expect(b, 19);
	ist_cell_close(b);
}
END_TEST

START_TEST(aborted_sections)
{
	void *content;

	open_both(_i);
	write_number(a, 1);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	memset(content, 0x55, options.size);
	expect(b, 1);
	ck_assert_int_eq(ist_cell_write_abort(a), 0);
	undone += ist_cell_opens(a);
	expect(a, 1);
	expect(b, 1);
	/* The next section finds what is published, not what was left. */
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	ck_assert(whole(content, 1));
	memset(content, 0x55, options.size);
	/* Closing gives up the section. */
	undone += ist_cell_opens(a);
	ist_cell_close(a);
	expect(b, 1);
	write_number(b, 2);
	expect(b, 2);
	ist_cell_close(b);
}
END_TEST

START_TEST(one_writer)
{
	static uint8_t any[4096];
	void *content;

	open_both(_i);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	ck_assert_int_eq(ist_cell_write_begin(b, 0, 0, &content), -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_write(b, any, SECOND / 1000), -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_write_end(b), -EINVAL);
	ck_assert_int_eq(ist_cell_write_end(a), 0);
	ck_assert_int_eq(ist_cell_write(b, any, 0), 0);
	close_both();
}
END_TEST

START_TEST(one_section_a_handle)
{
	static uint8_t any[4096];
	const void *place;
	void *content;

	open_both(_i);
	ck_assert_int_eq(ist_cell_read_end(a), -EINVAL);
	ck_assert_int_eq(ist_cell_write_end(a), -EINVAL);
	ck_assert_int_eq(ist_cell_write_abort(a), -EINVAL);
	ck_assert_int_eq(ist_cell_write_begin(a, 2, 0, &content), -EINVAL);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), -EBUSY);
	ck_assert_int_eq(ist_cell_write(a, any, 0), -EBUSY);
	ck_assert_int_eq(ist_cell_read(a, any, NULL, 0), -EBUSY);
	ck_assert_int_eq(ist_cell_read_begin(a, 0, &place), -EBUSY);
	ck_assert_int_eq(ist_cell_read_end(a), -EINVAL);
	ck_assert_int_eq(ist_cell_write_end(a), 0);
	ck_assert_int_eq(ist_cell_read_begin(a, 0, &place), 0);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), -EBUSY);
	ck_assert_int_eq(ist_cell_write_end(a), -EINVAL);
	ck_assert_int_eq(ist_cell_read_end(a), 0);
	close_both();
}
END_TEST

/* In place, a content may be overwritten under its reader, who is told; in the end it has its way.
 */
START_TEST(overwritten_readers)
{
	const void *place;
	unsigned number = 0, refused = 0;
	int n;

	open_both(_i);
	for (;;) {
		ck_assert_int_eq(ist_cell_read_begin(b, 0, &place), 0);
		if (refused == 8) {
			/* It holds the cell: this would wait for it. */
			static uint8_t any[4096];

			ck_assert_int_eq(ist_cell_write(a, any, 0), -ETIMEDOUT);
			ck_assert(whole(place, number));
			ck_assert_int_eq(ist_cell_read_end(b), 0);
			break;
		}
		write_number(a, ++number);
		n = ist_cell_read_end(b);
		if (options.size <= 40) { /* a private copy */
			ck_assert_int_eq(n, 0);
			ck_assert(whole(place, number - 1));
			break;
		}
		ck_assert_int_eq(n, -EAGAIN);
		refused++;
	}
	write_number(a, number + 1);
	expect(b, number + 1);
	close_both();
}
END_TEST

START_TEST(waiting_for_a_version)
{
	uint64_t version = 0;

	open_both(_i);
	ck_assert_int_eq(ist_cell_wait(b, &version, 0), -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_wait(b, &version, 1000000), -ETIMEDOUT);
	ck_assert_uint_eq(version, 0);
	write_number(a, 1);
	ck_assert_int_eq(ist_cell_wait(b, &version, 0), 0);
	ck_assert_uint_eq(version, 1);
	expect(b, 1);
	write_number(a, 2);
	write_number(a, 3);
	ck_assert_int_eq(ist_cell_wait(b, &version, SECOND), 0);
	ck_assert_uint_eq(version, 3);
	version = 1; /* whatever is not the latest */
	ck_assert_int_eq(ist_cell_wait(b, &version, 0), 0);
	ck_assert_uint_eq(version, 3);
	expect(b, 3);
	close_both();
}
END_TEST

/* One waits and sleeps, the other comes when it sleeps. */
static void *publish_later(void *argument)
{
	struct ist_cell *cell = argument;
	uint64_t *watchers = &cell->memory->watchers;

	while (!__atomic_load_n(watchers, __ATOMIC_ACQUIRE))
		ist_sleep_ns(100000);
	write_number(cell, 1);
	return NULL;
}

START_TEST(sleeping_for_a_version)
{
	uint64_t version = 0;
	pthread_t thread;

	open_both(_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, publish_later, a), 0);
	ck_assert_int_eq(ist_cell_wait(b, &version, IST_FOREVER), 0);
	ck_assert_uint_eq(version, 1);
	pthread_join(thread, NULL);
	expect(b, 1);
	ck_assert_uint_eq(a->memory->watchers, 0);
	close_both();
}
END_TEST

static void *leave_later(void *argument)
{
	struct ist_cell *cell = argument;

	while (!__atomic_load_n(&cell->memory->waiters, __ATOMIC_ACQUIRE))
		ist_sleep_ns(100000);
	ck_assert_int_eq(ist_cell_write_end(cell), 0);
	return NULL;
}

START_TEST(sleeping_for_the_turn)
{
	pthread_t thread;
	void *content;

	open_both(_i);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	fill(content, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, leave_later, a), 0);
	ck_assert_int_eq(ist_cell_write_begin(b, 0, IST_FOREVER, &content), 0);
	pthread_join(thread, NULL);
	ck_assert(whole(content, 1));
	fill(content, 2);
	ck_assert_int_eq(ist_cell_write_end(b), 0);
	expect(a, 2);
	ck_assert_uint_eq(a->memory->waiters, 0);
	close_both();
}
END_TEST

/* Who was rung for and came too late to wait passes the ring on. */
START_TEST(rings_passed_on)
{
	struct ist_cell *c;
	struct ist_group *carol = mem_join(2);
	uint64_t before;

	open_both(_i);
	ck_assert_int_eq(ist_cell_open(carol, "c", NULL, &c), 0);
	a->watch.every = 0; /* a judgement would ring, too */
	/* As if seats of b and c slept, and only c's will come. */
	a->memory->waiters = 1u << b->seat | 1u << c->seat;
	write_number(a, 1);
	ck_assert_uint_eq(a->memory->waiters, 1u << c->seat);
	before = mem_rings(2);
	ist_cell_wake(b);
	ck_assert_uint_eq(a->memory->waiters, 0);
	ck_assert_uint_eq(mem_rings(2), before + 1);
	/* The dead are not rung for, nor do they keep the ring. */
	a->memory->waiters = 1u << b->seat | 1u << c->seat;
	mem_die(1);
	before = mem_rings(2);
	write_number(a, 2);
	ck_assert_uint_eq(a->memory->waiters, 0);
	ck_assert_uint_eq(mem_rings(2), before + 1);
	ist_cell_close(a);
	ist_cell_close(c);
	mem_forget_cell(b);
	mem_forget(carol);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell");
	TCase *test = tcase_create("sections");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, versions, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, aborted_sections, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, one_writer, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, one_section_a_handle, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, overwritten_readers, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, waiting_for_a_version, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, sleeping_for_a_version, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, sleeping_for_the_turn, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, rings_passed_on, 0, POLICIES * SIZES);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
