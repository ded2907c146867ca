/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell.c: what cells do for those who share one: sections, versions, refusals, waiting, all
 * policies and sizes alike.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "platform/memory.h"
#include "tests/suite.h"

#define REGION (4u << 20)
#define SECOND 1000000000ull

static struct ist_group *alice, *bob;
static struct ist_cell *a, *b;

static const enum ist_policy policies[] = {IST_READ_MOSTLY, IST_MIGRATORY, IST_PRODUCER_CONSUMER,
					   IST_DELEGATED, IST_ADAPTIVE};
#define POLICIES ((int)(sizeof(policies) / sizeof(policies[0])))
/* In the head; just in it; just not; odd; a page. */
static const size_t sizes[] = {1, 8, 40, 41, 100, 4096};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

static struct ist_cell_options options;

static void setup(void)
{
	mem_create(REGION);
	alice = mem_join(0);
	bob = mem_join(1);
	options = (struct ist_cell_options){.region = "main", .size = 40, .policy = IST_MIGRATORY};
}

static void teardown(void)
{
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static void open_both(int kind)
{
	options.policy = policies[kind / SIZES];
	options.size = sizes[kind % SIZES];
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", NULL, &b), 0);
	ck_assert_uint_eq(ist_cell_size(b), options.size);
}

static void close_both(void)
{
	ist_cell_close(a);
	ist_cell_close(b);
}

static void fill(uint8_t *content, unsigned number)
{
	size_t i;

	for (i = 0; i < options.size; i++)
		content[i] = (uint8_t)(number * 37 + i);
}

/* Whether it is the whole of version `number` as fill() makes it; 0 is all zeros. */
static int whole(const uint8_t *content, unsigned number)
{
	size_t i;

	for (i = 0; i < options.size; i++)
		if (content[i] != (number ? (uint8_t)(number * 37 + i) : 0))
			return 0;
	return 1;
}

static void write_number(struct ist_cell *cell, unsigned number)
{
	static uint8_t content[4096];

	fill(content, number);
	ck_assert_int_eq(ist_cell_write(cell, content, SECOND), 0);
}

static void expect(struct ist_cell *cell, unsigned number)
{
	static uint8_t content[4096 + 8];
	uint64_t version;
	const void *place;

	memset(content, 0xee, sizeof(content));
	ck_assert_int_eq(ist_cell_read(cell, content, &version, 0), 0);
	ck_assert_uint_eq(version, number);
	ck_assert(whole(content, number));
	ck_assert_uint_eq(content[options.size], 0xee); /* and not a byte more */
	ck_assert_int_eq(ist_cell_read_begin(cell, 0, &place), 0);
	ck_assert(whole(place, number));
	ck_assert_int_eq(ist_cell_read_end(cell), 0);
}

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
	ck_assert_int_eq(ist_cell_write_abort(a), 0);
	expect(a, 1);
	expect(b, 1);
	/* The next section finds what is published, not what was left. */
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	ck_assert(whole(content, 1));
	memset(content, 0x55, options.size);
	/* Closing gives up the section. */
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
	free(b);
	mem_forget(carol);
}
END_TEST

static int64_t reverse(void *content, size_t size, const uint64_t arguments[IST_CELL_ARGUMENTS])
{
	uint8_t *bytes = content, swapped;
	size_t i;

	for (i = 0; i < size / 2; i++) {
		swapped = bytes[i];
		bytes[i] = bytes[size - 1 - i];
		bytes[size - 1 - i] = swapped;
	}
	return (int64_t)(arguments[0] + arguments[3]);
}

static void operate(struct ist_cell *cell, uint32_t number, uint64_t value, uint64_t third,
		    uint64_t expected)
{
	uint64_t arguments[IST_CELL_ARGUMENTS] = {0, value, third, 0};
	int64_t result = -1;

	ck_assert_int_eq(ist_cell_operate(cell, number, arguments, &result, SECOND), 0);
	ck_assert_int_eq(result, (int64_t)expected);
}

START_TEST(operations)
{
	uint64_t arguments[IST_CELL_ARGUMENTS] = {0, 1, 2, 30}, word;
	static uint8_t content[4096];
	int64_t result;

	open_both(_i);
	ck_assert_int_eq(ist_cell_define(a, 15, reverse), -EINVAL);
	ck_assert_int_eq(ist_cell_define(a, 64, reverse), -EINVAL);
	ck_assert_int_eq(ist_cell_operate(a, 16, arguments, &result, 0), -EINVAL);
	ck_assert_int_eq(ist_cell_operate(a, 15, arguments, &result, 0), -EINVAL);
	ck_assert_int_eq(ist_cell_operate(a, 1000, arguments, &result, 0), -EINVAL);
	ck_assert_int_eq(ist_cell_define(a, 16, reverse), 0);
	write_number(a, 1);
	arguments[0] = 12;
	ck_assert_int_eq(ist_cell_operate(a, 16, arguments, &result, 0), 0);
	ck_assert_int_eq(result, 42);
	ck_assert_int_eq(ist_cell_read(b, content, NULL, 0), 0);
	ck_assert_uint_eq(content[0], (uint8_t)(37 + options.size - 1));

	/* A word that is not inside: refused, and it is still a version. */
	arguments[0] = (options.size + 7) & ~7ull;
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, arguments, &result, 0), 0);
	ck_assert_int_eq(result, -EINVAL);
	arguments[0] = UINT64_MAX - 7;
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, arguments, &result, 0), 0);
	ck_assert_int_eq(result, -EINVAL);
	arguments[0] = 1;
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_STORE, arguments, &result, 0), 0);
	ck_assert_int_eq(result, -EINVAL);
	if (options.size >= 8) {
		operate(a, IST_OPERATION_AND, 0, 0, *(uint64_t *)(void *)content);
		operate(b, IST_OPERATION_ADD, 5, 0, 0);
		operate(a, IST_OPERATION_ADD, UINT64_MAX, 0, 5);
		operate(a, IST_OPERATION_MIN, 9, 0, 4);
		operate(b, IST_OPERATION_MAX, 9, 0, 4);
		operate(b, IST_OPERATION_MAX, UINT64_MAX, 0, 9);
		operate(b, IST_OPERATION_MIN, 6, 0, UINT64_MAX);
		operate(a, IST_OPERATION_OR, 1, 0, 6);
		operate(a, IST_OPERATION_COMPARE, 6, 1, 7);
		operate(a, IST_OPERATION_COMPARE, 7, 1, 7);
		operate(b, IST_OPERATION_STORE, 77, 0, 1);
		ck_assert_int_eq(ist_cell_read(a, content, NULL, 0), 0);
		memcpy(&word, content, sizeof(word));
		ck_assert_uint_eq(word, 77);
	}
	close_both();
}
END_TEST

START_TEST(submitted_operations)
{
	uint64_t tickets[IST_CELL_IN_FLIGHT + 1], one[IST_CELL_ARGUMENTS] = {0, 1, 0, 0};
	int64_t result;
	unsigned i;

	options.size = 8;
	options.policy = policies[_i];
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	for (i = 0; i < IST_CELL_IN_FLIGHT; i++)
		ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[i]), 0);
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[i]), -EAGAIN);
	ck_assert_int_eq(ist_cell_collect(a, 0, &result, 0), -EINVAL);
	ck_assert_int_eq(ist_cell_collect(a, tickets[i - 1] + 1, &result, 0), -EINVAL);
	ck_assert_int_eq(ist_cell_collect(a, tickets[7], &result, 0), 0);
	ck_assert_int_eq(result, 7);
	ck_assert_int_eq(ist_cell_collect(a, tickets[7], &result, 0), -EINVAL);
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[7]), 0);
	for (i = IST_CELL_IN_FLIGHT; i-- > 0;) {
		ck_assert_int_eq(ist_cell_collect(a, tickets[i], &result, 0), 0);
		ck_assert_int_eq(result, i == 7 ? IST_CELL_IN_FLIGHT : i);
	}
	ist_cell_close(a);
}
END_TEST

START_TEST(refused_openings)
{
	struct ist_cell_options wrong = options;
	struct ist_channel *channel;

	ck_assert_int_eq(ist_cell_open(alice, "c", NULL, &a), -ENOENT);
	ck_assert_int_eq(ist_cell_open(alice, "a b", &options, &a), -EINVAL);
	ck_assert_int_eq(ist_cell_open(alice, "", &options, &a), -EINVAL);
	ck_assert_int_eq(ist_cell_open(alice, NULL, &options, &a), -EINVAL);
	wrong.size = (16u << 20) + 1;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong.size = 8u << 20;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -ENOSPC);
	wrong = options, wrong.seats = 65;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.flags = 4;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.policy = (enum ist_policy)6;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.merge = (enum ist_merge)5;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.region = "nowhere";
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -ENOENT);
	wrong.region = "view";
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EACCES);
	ck_assert_int_eq(ist_channel_open(alice, "ch", IST_SENDER, NULL, &channel), 0);
	ck_assert_int_eq(ist_cell_open(alice, "ch", &options, &a), -EEXIST);
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_channel_open(bob, "c", IST_SENDER, NULL, &channel), -EEXIST);
	wrong = options, wrong.size++;
	ck_assert_int_eq(ist_cell_open(bob, "c", &wrong, &b), -EMSGSIZE);
	wrong = options, wrong.policy = IST_READ_MOSTLY; /* it keeps its own */
	ck_assert_int_eq(ist_cell_open(bob, "c", &wrong, &b), 0);
	ck_assert_uint_eq(b->kind, IST_MIGRATORY);
	close_both();
	ist_channel_close(channel);
	ist_cell_close(NULL);
}
END_TEST

START_TEST(seats)
{
	struct ist_cell *third;
	struct ist_cell_info info;

	options.seats = 2;
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &third), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), -ENOSPC);
	ck_assert_int_eq(ist_cell_info(a, &info), 0);
	ck_assert_uint_eq(info.seats, 2);
	ck_assert_uint_eq(info.seats_taken, 2);
	ck_assert_uint_eq(info.size, 40);
	ck_assert_int_eq(info.policy, IST_MIGRATORY);
	ck_assert_int_eq(info.now, IST_MIGRATORY);
	ck_assert_uint_eq(info.version, 0);
	ist_cell_close(third);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), 0);
	write_number(b, 1);
	ck_assert_int_eq(ist_cell_info(a, &info), 0);
	ck_assert_uint_eq(info.version, 1);
	ck_assert_uint_eq(info.repairs, 0);
	close_both();
}
END_TEST

START_TEST(sixty_four_peers)
{
	struct ist_group *groups[64] = {alice, bob};
	struct ist_cell *cells[64], *more;
	unsigned i, number = 0;

	options.policy = policies[_i / SIZES];
	options.size = sizes[_i % SIZES];
	for (i = 0; i < 64; i++) {
		if (i > 1)
			groups[i] = mem_join(i);
		ck_assert_int_eq(ist_cell_open(groups[i], "c", &options, &cells[i]), 0);
		expect(cells[i], 0);
	}
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &more), -ENOSPC);
	for (i = 0; i < 200; i++) {
		write_number(cells[i * 29 % 64], ++number);
		expect(cells[i * 37 % 64], number);
	}
	for (i = 0; i < 64; i++)
		expect(cells[i], number);
	/* Half die, one of them in a section, and come back. */
	for (i = 0; i < 64; i += 2) {
		void *content;

		if (i == 62) {
			ck_assert_int_eq(ist_cell_write_begin(cells[i], 0, 0, &content), 0);
			memset(content, 0x99, options.size);
		}
		mem_die(i);
		free(cells[i]);
	}
	for (i = 0; i < 64; i += 2) {
		mem_forget(groups[i]);
		groups[i] = mem_join(i);
		ck_assert_int_eq(ist_cell_open(groups[i], "c", &options, &cells[i]), 0);
	}
	alice = groups[0];
	/* Somebody is told, once. */
	for (i = 0, number = 0; i < 64; i++)
		number += ist_cell_read(cells[i], (uint8_t[4096]){0}, NULL, 0) == -EOWNERDEAD;
	ck_assert_uint_eq(number, 1);
	for (i = 0; i < 64; i++) {
		expect(cells[i], 200);
		ist_cell_close(cells[i]);
		if (i > 1)
			mem_forget(groups[i]);
	}
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
	tcase_add_loop_test(test, operations, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, submitted_operations, 0, POLICIES);
	tcase_add_test(test, refused_openings);
	tcase_add_test(test, seats);
	tcase_add_loop_test(test, sixty_four_peers, 0, POLICIES * SIZES);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
