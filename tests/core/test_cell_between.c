/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_between.c: a reader is stopped ahead of each of its accesses to the shared memory
 * (tests/stops.h), and meanwhile another goes on: writes versions, or ends the section that the
 * reader found open and begins the next one. What is read is whole, of the version that it is said
 * to be, and no older than when the reading began.
 */
#include <stdio.h>

#include "cell.h"
#include "platform/memory.h"
#include "tests/must.h"
#include "tests/stops.h"
#include "tests/suite.h"

#define REGION 65536u
#define GROUP (IST_REGIONS_OFFSET + REGION)
#define WORDS_MAX 125u
#define BEFORE 3u /* versions */

static const struct {
	enum ist_policy policy;
	size_t size;
} kinds[] = {
	{IST_MIGRATORY, 8},    {IST_MIGRATORY, 36},     {IST_MIGRATORY, 40}, {IST_READ_MOSTLY, 36},
	{IST_READ_MOSTLY, 40}, {IST_READ_MOSTLY, 1000}, {IST_DELEGATED, 40}, {IST_DELEGATED, 1000},
	{IST_ADAPTIVE, 40},    {IST_ADAPTIVE, 1000},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static struct ist_group *alice, *bob;
static struct ist_cell *a, *b;
static unsigned words, ahead, stop_at;
static uint64_t *content;
static void (*meanwhile)(void);

static uint64_t value(uint64_t number, unsigned i)
{
	return number * 1000003 + i;
}

/* Bob's section: half of it, and the rest. Who reads an adaptive cell may hold it, to judge it. */
static void begin_next(void)
{
	void *place;
	unsigned i;
	int error = ist_cell_write_begin(b, 0, 0, &place);

	content = NULL;
	if (error == -ETIMEDOUT && a->kind == IST_CELL_ADAPTIVE)
		return;
	must(error == 0);
	content = place;
	for (i = 0; i < (words + 1) / 2; i++)
		__atomic_store_n(&content[i], value(IST_CELL_NUMBER(b->version) + 1, i),
				 __ATOMIC_RELAXED);
}

static void end_it(void)
{
	unsigned i;

	if (!content)
		return;
	for (i = (words + 1) / 2; i < words; i++)
		__atomic_store_n(&content[i], value(IST_CELL_NUMBER(b->version) + 1, i),
				 __ATOMIC_RELAXED);
	must(ist_cell_write_end(b) == 0);
}

static void write_one(void)
{
	begin_next();
	end_it();
}

static void write_two(void)
{
	write_one();
	write_one();
}

static void end_and_begin(void)
{
	end_it();
	begin_next();
}

static void count_ahead(void)
{
	if (++ahead == stop_at)
		meanwhile();
}

/* Alice reads, stopped there. Whether there was such an access. */
static int read_once(unsigned at, int may_wait)
{
	uint64_t read[WORDS_MAX], number = 0, oldest = IST_CELL_NUMBER(a->memory->version);
	unsigned i;
	int error;

	ahead = 0;
	stop_at = at;
	stops_begin(mem_base(), GROUP, STOPS_ACCESSES, count_ahead);
	error = ist_cell_read(a, read, &number, 0);
	stops_end();
	if (may_wait && error == -ETIMEDOUT)
		return ahead >= at;
	ck_assert_int_eq(error, 0);
	ck_assert_uint_ge(number, oldest);
	for (i = 0; i < words; i++)
		ck_assert_uint_eq(read[i], value(number, i));
	return ahead >= at;
}

static void start(int kind)
{
	struct ist_cell_options options = {.region = "main",
					   .policy = kinds[kind].policy,
					   .size = kinds[kind].size,
					   .seats = 4,
					   .flags = IST_CELL_POLL};
	unsigned i;

	words = (unsigned)(options.size / sizeof(uint64_t));
	mem_create(REGION);
	alice = mem_join(0);
	bob = mem_join(1);
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", NULL, &b), 0);
	for (i = 0; i < BEFORE; i++)
		write_one();
}

static void finish(void)
{
	ist_cell_close(a);
	ist_cell_close(b);
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static void read_while(int kind, void (*what)(void), int is_open)
{
	unsigned at = 1;

	start(kind);
	meanwhile = what;
	if (is_open)
		begin_next();
	while (read_once(at, is_open))
		at++;
	/* The version, each word or many at a time, and the version again. */
	ck_assert_uint_gt(at, words <= IST_CELL_WORDS ? words + 2 : 8);
	if (is_open)
		end_it();
	finish();
}

START_TEST(a_version_is_written)
{
	read_while(_i, write_one, 0);
}
END_TEST

/* So that the slot, or the line, that is read is written again. */
START_TEST(two_are)
{
	read_while(_i, write_two, 0);
}
END_TEST

START_TEST(a_section_ends_and_another_begins)
{
	read_while(_i, end_and_begin, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell, between");
	TCase *test = tcase_create("reading");

#ifdef IST_TSAN
	printf("TSan does not live with a process that is stopped at its accesses\n");
	return 77;
#endif
	tcase_add_loop_test(test, a_version_is_written, 0, KINDS);
	tcase_add_loop_test(test, two_are, 0, KINDS);
	tcase_add_loop_test(test, a_section_ends_and_another_begins, 0, KINDS);
	tcase_set_timeout(test, 60);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
