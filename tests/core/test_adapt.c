/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_adapt.c: adaptive cells: what is done with them makes them what fits, and back; what they
 * are can be seen; and what others do to their counts harms nobody.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cell_requests.h"
#include "platform/memory.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

#define REGION (1u << 20)
#define ENOUGH 100000u /* turns, a millisecond and more each: the suite's time is over before */

static struct ist_group *alice, *bob;
static struct ist_cell *a, *b;
static struct ist_cell_options options = {.region = "main", .seats = 4, .flags = IST_CELL_POLL};
static const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1}, none[IST_CELL_ARGUMENTS] = {0, 0};
static const size_t sizes[] = {8, 1000};
#define SIZES 2

static uint64_t done; /* what the sum is to be */

static void setup(void)
{
	mem_create(REGION);
	alice = mem_join(0);
	bob = mem_join(1);
	done = 0;
}

static void teardown(void)
{
	ist_cell_close(a);
	ist_cell_close(b);
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static void open_both(size_t size)
{
	options.size = size;
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", NULL, &b), 0);
}

static enum ist_policy now(void)
{
	struct ist_cell_info info;

	ck_assert_int_eq(ist_cell_info(a, &info), 0);
	ck_assert_int_eq(info.policy, IST_ADAPTIVE);
	return info.now;
}

static void readings(struct ist_cell *cell)
{
	uint64_t content[125];
	unsigned i;

	for (i = 0; i < 100; i++)
		ck_assert_int_eq(ist_cell_read(cell, content, NULL, 0), 0);
	ck_assert_uint_eq(content[0], done);
}

static void read_mostly(void)
{
	readings(a);
	readings(b);
}

static void by_turns(struct ist_cell *cell)
{
	uint64_t content[125];
	void *place;
	unsigned i;

	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(ist_cell_read(cell, content, NULL, 0), 0);
		ck_assert_int_eq(ist_cell_write_begin(cell, 0, 0, &place), 0);
		++*(uint64_t *)place;
		ck_assert_int_eq(ist_cell_write_end(cell), 0);
		ck_assert_uint_eq(content[0], done++);
	}
}

static void migratory(void)
{
	by_turns(a);
	by_turns(b);
}

/* Operations submitted several at a time. */
static void together(struct ist_cell *cell)
{
	uint64_t tickets[20];
	int64_t result;
	unsigned i;

	for (i = 0; i < 20; i++)
		ck_assert_int_eq(ist_cell_submit(cell, IST_OPERATION_ADD, one, 0, &tickets[i]), 0);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(ist_cell_collect(cell, tickets[i], &result, 0), 0);
		ck_assert_uint_eq((uint64_t)result, done++);
	}
}

/* Operations that find the cell held. They may be done all the same, later. */
static void contended(struct ist_cell *cell, struct ist_cell *holder)
{
	unsigned i, done_now;
	void *place;
	int n;

	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(ist_cell_begin_held(holder, 0, 0, &place), 0);
		n = ist_cell_operate(cell, IST_OPERATION_ADD, one, NULL, 1);
		ck_assert_int_eq(n, -ETIMEDOUT);
		ck_assert_int_eq(ist_cell_end_held(holder), 0);
	}
	done_now = (unsigned)(cell->requests.asked - cell->requests.done);
	ck_assert_uint_le(done_now, 20);
	/* What was asked for comes first. */
	ck_assert_int_eq(ist_cell_operate(cell, IST_OPERATION_ADD, one, NULL, 0), 0);
	done += done_now + 1;
}

static void delegated(void)
{
	/* Little content is as soon moved as shipped to: unless it is for several at a time. */
	if (a->words > 16) {
		contended(a, b);
		contended(b, a);
	} else {
		together(a);
		together(b);
	}
}

/* Until the next trial of the other policy begins, or ends. */
static void contend_until(uint32_t trying)
{
	unsigned i;

	for (i = 0; i < ENOUGH && IST_CELL_TRIAL_TRYING(a->memory->trial) != trying; i++) {
		contended(a, b);
		contended(b, a);
		ist_sleep_ns(100000);
	}
	ck_assert_uint_eq(IST_CELL_TRIAL_TRYING(a->memory->trial), trying);
}

/* What a trial that is on is judged by: what anything, or nothing, is better than. The next one
   comes soon. */
static void compare_with(uint64_t cost)
{
	a->memory->trial = IST_CELL_TRIAL(1, 1, 0, cost);
}

/*
 * Contention for little content: whether it is faster to ship operations depends on the machine,
 * and is tried: kept if it was, given up if not, either way.
 */
START_TEST(little_content)
{
	struct ist_cell_info info;

	open_both(8);
	contend_until(1);
	ck_assert_int_eq(now(), IST_DELEGATED);
	compare_with(1); /* no use takes less than a 256th of a ns */
	contend_until(0);
	ck_assert_int_eq(now(), IST_MIGRATORY);
	contend_until(1);
	compare_with((1ull << 48) - 1);
	contend_until(0);
	ck_assert_int_eq(now(), IST_DELEGATED);
	contend_until(1);
	ck_assert_int_eq(now(), IST_MIGRATORY);
	compare_with(1);
	contend_until(0);
	ck_assert_int_eq(now(), IST_DELEGATED);
	ck_assert_int_eq(ist_cell_info(a, &info), 0);
	ck_assert_uint_eq(info.switches, 5);
	/* Another pattern ends that, and what was learnt. */
	while (now() != IST_READ_MOSTLY)
		read_mostly();
	ck_assert_uint_eq(a->memory->trial, 0);
}
END_TEST

static const struct {
	void (*use)(void);
	enum ist_policy fits;
} patterns[] = {
	{read_mostly, IST_READ_MOSTLY}, {delegated, IST_DELEGATED},     {migratory, IST_MIGRATORY},
	{delegated, IST_DELEGATED},     {read_mostly, IST_READ_MOSTLY}, {migratory, IST_MIGRATORY},
};
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

START_TEST(becomes_what_fits)
{
	struct ist_cell_info info;
	unsigned i, k;
	uint64_t since = 0;

	open_both(sizes[_i]);
	ck_assert_int_eq(now(), IST_MIGRATORY);
	for (i = 0; i < PATTERNS; i++) {
		for (k = 0; k < ENOUGH && now() != patterns[i].fits; k++) {
			patterns[i].use();
			ist_sleep_ns(1000000);
		}
		ck_assert_int_eq(ist_cell_info(b, &info), 0);
		ck_assert_int_eq(info.now, patterns[i].fits);
		ck_assert_uint_eq(info.switches, i + 1);
		ck_assert_uint_gt(info.since_ns, since);
		since = info.since_ns;
		/* And stays that, while the pattern does. */
		for (k = 0; k < 40; k++) {
			patterns[i].use();
			ist_sleep_ns(1000000);
		}
		ck_assert_int_eq(now(), patterns[i].fits);
	}
	readings(a);
}
END_TEST

/* What a handle has counted so far belongs to the last window. */
static void say_all(struct ist_cell *cell)
{
	uint64_t content[125];

	cell->watch.left = 1;
	ck_assert_int_eq(ist_cell_read(cell, content, NULL, 0), 0);
	memcpy(cell->own->judged, cell->own->counts, sizeof(cell->own->judged));
}

/* A window of another pattern changes nothing: more than one must agree. */
START_TEST(one_window)
{
	struct ist_cell_info info;
	uint64_t judged;

	open_both(8);
	while (now() != IST_READ_MOSTLY)
		read_mostly();
	judged = a->memory->judged;
	while (a->memory->judged == judged)
		read_mostly();
	/* A window begins, and everything before it has been said. */
	say_all(a);
	say_all(b);
	a->memory->leaning = 0;
	a->memory->judged = judged = ist_time_ns();
	migratory();
	while (a->memory->judged == judged)
		migratory();
	ck_assert_int_eq(ist_cell_info(a, &info), 0);
	ck_assert_int_eq(info.now, IST_READ_MOSTLY);
	ck_assert_uint_eq(a->memory->leaning, IST_CELL_LEANING(IST_CELL_MIGRATORY, 1));
}
END_TEST

/* Who would judge and finds the cell held does so when it next holds it, not a window later. */
START_TEST(held_at_first)
{
	uint64_t judged;
	unsigned i;
	void *place;

	open_both(8);
	/* As if the last window were long over, and enough were done in this one. */
	a->memory->judged = judged = 1;
	b->own->counts[IST_CELL_COUNT_READS] += 1000;
	a->watch.left = 1;
	ck_assert_int_eq(ist_cell_begin_held(b, 0, 0, &place), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, NULL, 1), -ETIMEDOUT);
	ck_assert_uint_eq(a->memory->judged, judged);
	ck_assert_int_eq(ist_cell_end_held(b), 0);
	ck_assert_uint_eq(a->memory->judged, judged);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, NULL, 0), 0);
	ck_assert_uint_ne(a->memory->judged, judged);
}
END_TEST

/* Tickets from before a switch are good after it, and operations keep their order. */
START_TEST(across_a_switch)
{
	uint64_t tickets[3], i;
	int64_t result;

	open_both(8);
	while (now() != IST_DELEGATED)
		delegated();
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[i]), 0);
	ck_assert_uint_eq(ist_cell_pending(a), 2);
	a->memory->policy = IST_CELL_MIGRATORY;
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[2]), 0);
	for (i = 3; i-- > 0;) {
		ck_assert_int_eq(ist_cell_collect(a, tickets[i], &result, 0), 0);
		ck_assert_uint_eq((uint64_t)result, done + i);
	}
	ck_assert_uint_eq(ist_cell_pending(a), 0);
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[0]), 0);
	ck_assert_uint_eq(ist_cell_pending(a), 0); /* done at once */
	ck_assert_int_eq(ist_cell_collect(a, tickets[0], &result, 0), 0);
	ck_assert_uint_eq((uint64_t)result, done + 3);
}
END_TEST

/* Nor does their order change when a handle that keeps them back finds that at a look at the clock.
 */
START_TEST(kept_across_a_switch)
{
	uint64_t tickets[3], i;
	int64_t result;

	open_both(8);
	while (now() != IST_DELEGATED)
		delegated();
	together(a);
	ck_assert_uint_eq(ist_cell_pending(a), 0);
	ck_assert(a->requests.keeps);
	a->memory->policy = IST_CELL_MIGRATORY;
	a->watch.left = 1; /* the first of them is a look */
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &tickets[i]), 0);
	for (i = 3; i-- > 0;) {
		ck_assert_int_eq(ist_cell_collect(a, tickets[i], &result, 0), 0);
		ck_assert_uint_eq((uint64_t)result, done + i);
	}
	/* It is migratory, and nothing is pending: the next look ends it. */
	a->watch.left = 1;
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, &result, 0), 0);
	ck_assert_uint_eq((uint64_t)result, done + 3);
	ck_assert(!a->requests.keeps);
}
END_TEST

/* What was left for others comes first, though this handle does not know yet that it is shipped. */
START_TEST(in_order)
{
	uint64_t ticket;
	int64_t result;

	open_both(8);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, none, &result, 0), 0);
	ck_assert_uint_eq(a->here, 1);
	a->watch.left = 1000; /* no look at the clock in between */
	a->memory->policy = IST_CELL_DELEGATED;
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &ticket), 0);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, &result, 0), 0);
	ck_assert_int_eq(result, 1);
	ck_assert_int_eq(ist_cell_collect(a, ticket, &result, 0), 0);
	ck_assert_int_eq(result, 0);
	/* From its next look on it does know, until it is so no more. */
	a->watch.left = 1;
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, &result, 0), 0);
	ck_assert_uint_eq(a->here, 0);
	a->watch.left = 1;
	a->memory->policy = IST_CELL_MIGRATORY;
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, &result, 0), 0);
	ck_assert_uint_eq(a->here, 1);
}
END_TEST

/* At a look at the clock what was done is not under way. */
START_TEST(done_at_a_look)
{
	uint64_t ticket;
	int64_t result;

	open_both(8);
	a->watch.left = 1;
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &ticket), 0);
	ck_assert_uint_ne(a->watch.left, 0);
	ck_assert_uint_eq(a->here, 1);
	ck_assert_int_eq(ist_cell_collect(a, ticket, &result, 0), 0);
	ck_assert_int_eq(result, 0);
}
END_TEST

/* Any counts, times and policies: the cell goes on, and is one of those it can be. */
START_TEST(hostile_counts)
{
	uint64_t state = 88172645463325252u;
	unsigned i;

	open_both(8);
	for (i = 0; i < 20000; i++) {
		xorshift(&state);
		a->all[state >> 8 & 3].counts[(state >> 16) % IST_CELL_COUNTS] =
			(uint32_t)(state >> 32);
		a->all[state >> 10 & 3].judged[(state >> 18) % IST_CELL_COUNTS] =
			(uint32_t)(state >> 24);
		a->memory->leaning = state >> (state & 63);
		a->memory->trial = state >> (state >> 5 & 63);
		a->all[state >> 9 & 3].busy = (uint32_t)(state >> 13);
		a->memory->judged = state & 1 ? state : 0;
		a->memory->policy = state & 2 ? (uint32_t)state : state >> 12 & 7;
		a->watch.left = b->watch.left = 1;
		ck_assert_int_eq(
			ist_cell_operate(state & 4 ? a : b, IST_OPERATION_ADD, one, NULL, 0), 0);
		done++;
		if (i % 100 == 0)
			readings(state & 8 ? a : b);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("adapt");
	TCase *test = tcase_create("adaptive");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, becomes_what_fits, 0, SIZES);
	tcase_add_test(test, one_window);
	tcase_add_test(test, held_at_first);
	tcase_add_test(test, little_content);
	tcase_add_test(test, across_a_switch);
	tcase_add_test(test, kept_across_a_switch);
	tcase_add_test(test, in_order);
	tcase_add_test(test, done_at_a_look);
	tcase_add_test(test, hostile_counts);
	tcase_set_timeout(test, 120);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
