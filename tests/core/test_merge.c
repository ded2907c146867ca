/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_merge.c: write-shared cells: sections side by side, what each sees, how words are merged,
 * and death at every instruction of a merge: all of it, once, or nothing.
 */
#include <pthread.h>
#include <stdio.h>

#include "cell.h"
#include "steps.h"
#include "tests/suite.h"

#define REGION 65536u
#define GROUP (IST_REGIONS_OFFSET + REGION)
#define SECOND 1000000000ull
#define WORDS_MAX 64u

static struct ist_group *alice, *bob;
static struct ist_cell *a, *b;
static struct ist_cell_options options;

/* In the head, and in slots. */
static const size_t sizes[] = {16, 40, 512};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

static void setup(void)
{
	mem_create(REGION);
	alice = mem_join(0);
	bob = mem_join(1);
	options = (struct ist_cell_options){
		.region = "main", .policy = IST_WRITE_SHARED, .flags = IST_CELL_POLL, .seats = 4};
}

static void teardown(void)
{
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static void open_both(size_t size, uint32_t merge)
{
	options.size = size;
	options.merge = merge;
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", NULL, &b), 0);
}

static void close_both(void)
{
	ist_cell_close(a);
	ist_cell_close(b);
}

static void *begin(struct ist_cell *cell)
{
	void *content;

	ck_assert_int_eq(ist_cell_write_begin(cell, 0, SECOND, &content), 0);
	return content;
}

static void end(struct ist_cell *cell)
{
	ck_assert_int_eq(ist_cell_write_end(cell), 0);
}

static uint64_t word(struct ist_cell *cell, unsigned i, uint64_t version)
{
	uint64_t content[WORDS_MAX], number;

	ck_assert_int_eq(ist_cell_read(cell, content, &number, 0), 0);
	ck_assert_uint_eq(number, version);
	return content[i];
}

START_TEST(side_by_side)
{
	uint64_t *of_a, *of_b;

	open_both(sizes[_i], IST_MERGE_REPLACE);
	of_a = begin(a);
	of_b = begin(b); /* nobody waits */
	of_a[0] = 1;
	of_b[1] = 2;
	ck_assert_uint_eq(of_b[0], 0);
	end(a);
	ck_assert_uint_eq(of_b[0], 0); /* not while the section lasts */
	ck_assert_uint_eq(word(a, 0, 1), 1);
	ck_assert_uint_eq(word(a, 1, 1), 0);
	end(b);
	ck_assert_uint_eq(word(a, 0, 2), 1);
	ck_assert_uint_eq(word(b, 1, 2), 2);
	of_a = begin(a);
	ck_assert_uint_eq(of_a[1], 2); /* from its begin on */
	end(a);                        /* nothing was changed: no version */
	ck_assert_uint_eq(word(b, 1, 2), 2);
	/* Given up: not merged, and not found by the next section. */
	of_a = begin(a);
	of_a[0] = 99;
	ck_assert_int_eq(ist_cell_write_abort(a), 0);
	of_a = begin(a);
	ck_assert_uint_eq(of_a[0], 1);
	of_a[0] = 98;
	ist_cell_close(a);
	ck_assert_uint_eq(word(b, 0, 2), 1);
	ist_cell_close(b);
}
END_TEST

/* Two in one word: bytes that were not changed are not touched. */
START_TEST(bytes_of_a_word)
{
	uint8_t *of_a, *of_b, content[13];

	open_both(13, IST_MERGE_REPLACE);
	of_a = begin(a);
	of_b = begin(b);
	of_a[0] = 0x80;
	of_a[12] = 7;
	of_b[1] = 1;
	of_b[8] = 0x10;
	end(b);
	end(a);
	ck_assert_int_eq(ist_cell_read(b, content, NULL, 0), 0);
	ck_assert_mem_eq(content, ((uint8_t[13]){0x80, 1, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 7}), 13);
	/* The same byte: the last one to end. */
	of_a = begin(a);
	of_b = begin(b);
	of_a[5] = 1;
	of_b[5] = 2;
	end(b);
	end(a);
	ck_assert_int_eq(ist_cell_read(b, content, NULL, 0), 0);
	ck_assert_uint_eq(content[5], 1);
	close_both();
}
END_TEST

static uint64_t multiply(uint64_t now, uint64_t was, uint64_t is)
{
	return was ? now * (is / was) : is;
}

static const struct {
	uint32_t merge;
	uint64_t first, of_a, of_b, both;
} merges[] = {
	{IST_MERGE_SUM, 10, 13, 9, 12},  {IST_MERGE_MIN, 10, 4, 6, 4},
	{IST_MERGE_MIN, 10, 11, 12, 10}, {IST_MERGE_MAX, 10, 14, 16, 16},
	{IST_MERGE_MAX, 10, 3, 2, 10},   {IST_MERGE_OR, 0x10, 0x12, 0x11, 0x13},
	{IST_MERGE_REPLACE, 1, 2, 3, 2}, {IST_MERGE_OWN + 5, 2, 4, 6, 12},
	{IST_MERGE_SUM, 0, ~0ull, 2, 1},
};

START_TEST(operators)
{
	uint64_t *of_a, *of_b, content[WORDS_MAX];

	open_both(sizes[1], merges[_i].merge);
	if (merges[_i].merge >= IST_MERGE_OWN) {
		/* A call that is wrong is not told of a death: the next one is. */
		a->error = -EOWNERDEAD;
		ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, (void *)&of_a), -EINVAL);
		ck_assert_int_eq(ist_cell_write_begin(a, 8, 0, (void *)&of_a), -EINVAL);
		ck_assert_int_eq(ist_cell_read(a, content, NULL, 0), -EOWNERDEAD);
		ck_assert_int_eq(ist_cell_define_merge(a, IST_MERGE_OWN, multiply), -EINVAL);
		ck_assert_int_eq(ist_cell_define_merge(a, merges[_i].merge, multiply), 0);
		ck_assert_int_eq(ist_cell_define_merge(b, merges[_i].merge, multiply), 0);
	} else {
		ck_assert_int_eq(ist_cell_define_merge(a, merges[_i].merge, multiply), -EINVAL);
	}
	/* Not by a merge: an operation holds the cell. */
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_STORE,
					  (uint64_t[4]){8, merges[_i].first}, NULL, 0),
			 0);
	of_a = begin(a);
	of_b = begin(b);
	of_a[1] = merges[_i].of_a;
	of_b[1] = merges[_i].of_b;
	of_b[2] = 1;
	end(b);
	end(a);
	ck_assert_uint_eq(word(a, 1, 3), merges[_i].both);
	ck_assert_uint_eq(word(b, 2, 3), merges[_i].merge != IST_MERGE_MIN);
	close_both();
}
END_TEST

START_TEST(refusals)
{
	struct ist_cell_options wrong = options;
	uint64_t *content;

	wrong.size = 13;
	wrong.merge = IST_MERGE_SUM;
	ck_assert_int_eq(ist_cell_open(alice, "d", &wrong, &a), -EINVAL);
	wrong.size = 16;
	wrong.merge = 5;
	ck_assert_int_eq(ist_cell_open(alice, "d", &wrong, &a), -EINVAL);
	wrong.merge = 64;
	ck_assert_int_eq(ist_cell_open(alice, "d", &wrong, &a), -EINVAL);
	open_both(16, 0);
	ck_assert_int_eq(ist_cell_write_end(a), -EINVAL);
	ck_assert_int_eq(ist_cell_write_abort(a), -EINVAL);
	ck_assert_int_eq(ist_cell_write_begin(a, 2, 0, (void *)&content), -EINVAL);
	content = begin(a);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, (void *)&content), -EBUSY);
	ck_assert_int_eq(ist_cell_read(a, content, NULL, 0), -EBUSY);
	ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, (uint64_t[4]){0, 1}, NULL, 0),
			 -EBUSY);
	end(a);
	close_both();
}
END_TEST

/* A write without a section leaves none behind when its turn does not come. */
START_TEST(write_in_vain)
{
	uint64_t words[125] = {3};
	void *content;

	open_both(sizes[_i], IST_MERGE_SUM);
	ck_assert_int_eq(ist_cell_begin_held(b, 0, 0, &content), 0);
	ck_assert_int_eq(ist_cell_write(a, words, 1000), -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_write(a, words, 0), -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_end_held(b), 0);
	/* Nothing of it is merged by a later one. */
	words[0] = 5;
	ck_assert_int_eq(ist_cell_write(a, words, IST_FOREVER), 0);
	ck_assert_uint_eq(word(b, 0, 2), 5);
}
END_TEST

/* Somebody holds the cell and stays there: the section stays open, and ends later. */
START_TEST(end_in_vain)
{
	uint64_t *of_a;
	void *content;

	open_both(sizes[_i], IST_MERGE_SUM);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 1000, (void *)&of_a), 0);
	of_a[0] = 3;
	ck_assert_int_eq(ist_cell_begin_held(b, 0, 0, &content), 0);
	ck_assert_int_eq(ist_cell_write_end(a), -ETIMEDOUT);
	ck_assert_int_eq(ist_cell_write_end(a), -ETIMEDOUT);
	/* A reader is not in its way, nor is a section that changes nothing. */
	ck_assert_uint_eq(of_a[0], 3);
	((uint64_t *)content)[0] = 4;
	ck_assert_int_eq(ist_cell_end_held(b), 0);
	end(a);
	ck_assert_uint_eq(word(b, 0, 2), 7);
	/* Who holds it dies: what it did not publish is not there, and the next call is told. */
	ck_assert_int_eq(ist_cell_begin_held(b, 0, 0, &content), 0);
	((uint64_t *)content)[0] = 1000;
	of_a = begin(a);
	of_a[0] += 2;
	mem_die(1);
	end(a);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, (void *)&of_a), -EOWNERDEAD);
	ck_assert_uint_eq(word(a, 0, 3), 9);
	ist_cell_close(a);
	mem_forget(bob);
	bob = mem_join(1);
}
END_TEST

#define ROUNDS 3000u
static void *count_up(void *argument)
{
	struct ist_cell *cell = argument;
	unsigned i, k;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t *content = begin(cell);

		for (k = 0; k < 5; k++)
			content[k % 2]++;
		end(cell);
	}
	return NULL;
}

START_TEST(threads)
{
	pthread_t thread;

	open_both(sizes[_i], IST_MERGE_SUM);
	ck_assert_int_eq(pthread_create(&thread, NULL, count_up, a), 0);
	count_up(b);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(word(a, 0, 2 * ROUNDS), 2 * 3 * ROUNDS);
	ck_assert_uint_eq(word(b, 1, 2 * ROUNDS), 2 * 2 * ROUNDS);
	close_both();
}
END_TEST

#ifndef __SANITIZE_THREAD__ /* it does not live with a process that is stepped through it */
/* Death. Every section adds 1 to the first and the last word. */

static unsigned last_word;

static int add(struct ist_cell *cell, unsigned *told)
{
	uint64_t *content;
	int n = ist_cell_write_begin(cell, 0, 0, (void *)&content);

	if (n == -EOWNERDEAD) {
		++*told;
		n = ist_cell_write_begin(cell, 0, 0, (void *)&content);
	}
	must(n == 0);
	content[0]++;
	content[last_word]++;
	must(ist_cell_write_end(cell) == 0);
	return 0;
}

static int sum(struct ist_cell *cell, uint64_t *out, unsigned *told)
{
	uint64_t content[WORDS_MAX];
	int n = ist_cell_read(cell, content, NULL, 0);

	if (n == -EOWNERDEAD) {
		++*told;
		n = ist_cell_read(cell, content, NULL, 0);
	}
	must(n == 0);
	must(content[0] == content[last_word]);
	*out = content[0];
	return 0;
}

static void do_merge(void)
{
	unsigned told = 0;

	add(a, &told);
}

static int after_merge(void)
{
	struct ist_cell *again;
	uint64_t before, after;
	unsigned told = 0;

	mem_die(0);
	must(sum(b, &before, &told) == 0);
	must(before == 3 || before == 4);
	must(add(b, &told) == 0);
	must(sum(b, &after, &told) == 0);
	/* It may have been committed and not seen. */
	must(after == before + 1 || (before == 3 && after == 5));
	alice = mem_join(0);
	must(ist_cell_open(alice, "c", &options, &again) == 0);
	must(add(again, &told) == 0);
	must(add(b, &told) == 0);
	must(sum(again, &before, &told) == 0);
	must(before == after + 2);
	must(told <= 1);
	return 0;
}

START_TEST(death_at_every_instruction)
{
	static uint8_t *states[STEPS_MAX];
	unsigned i, count, told = 0;

	open_both(sizes[_i], IST_MERGE_SUM);
	last_word = (unsigned)(options.size / 8 - 1);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(add(i % 2 ? a : b, &told), 0);
	count = steps_collect(do_merge, GROUP, states);
	ck_assert_uint_gt(count, 5);
	for (i = 0; i < count; i++) {
		ck_assert_msg(steps_from(states[i], GROUP, after_merge) == 0, "state %u of %u", i,
			      count);
		free(states[i]);
	}
	close_both();
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("merge");
	TCase *test = tcase_create("write-shared");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, side_by_side, 0, SIZES);
	tcase_add_test(test, bytes_of_a_word);
	tcase_add_loop_test(test, operators, 0, (int)(sizeof(merges) / sizeof(merges[0])));
	tcase_add_test(test, refusals);
	tcase_add_loop_test(test, write_in_vain, 0, SIZES);
	tcase_add_loop_test(test, end_in_vain, 0, SIZES);
	tcase_add_loop_test(test, threads, 0, SIZES);
#ifndef __SANITIZE_THREAD__
	tcase_add_loop_test(test, death_at_every_instruction, 0, SIZES);
#endif
	tcase_set_timeout(test, 120);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
