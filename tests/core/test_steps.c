/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_steps.c: what the tests of deaths stand on (steps.h, tests/stops.h): no state that the
 * memory goes through is left out, and none is made up.
 */
#include <stdio.h>

#include "steps.h"
#include "tests/suite.h"

#define REGION 65536u
#define GROUP (IST_REGIONS_OFFSET + REGION)
#define WORDS 8u
#define BYTES 48u

static uint8_t *states[STEPS_MAX];
static unsigned ahead, loaded;

static volatile uint64_t *word(unsigned i)
{
	return (volatile uint64_t *)(void *)(mem_region() + i * 2 * IST_PAGE);
}

static void do_words(void)
{
	unsigned i;

	for (i = 0; i < WORDS; i++) {
		*word(i) = i + 1;
		*word(i) = i + 1; /* changes nothing: no state */
		loaded += *word(i) == i + 1;
	}
	if (loaded % WORDS)
		_exit(1);
}

START_TEST(each_store_is_a_state)
{
	unsigned i, k, count;

	mem_create(REGION);
	count = steps_collect(do_words, GROUP, states);
	ck_assert_uint_eq(count, WORDS + 1);
	for (i = 0; i < count; i++) {
		memcpy(mem_base(), states[i], GROUP);
		for (k = 0; k < WORDS; k++)
			ck_assert_uint_eq(*word(k), k < i ? k + 1 : 0);
		free(states[i]);
	}
	mem_destroy();
}
END_TEST

/* One instruction, many stores; over the end of a page. */
static void do_string(void)
{
	uint8_t *to = mem_region() + IST_PAGE - BYTES / 2;
	uint64_t left = BYTES;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(left) : "a"(7) : "memory");
}

START_TEST(each_store_of_an_instruction_is_a_state)
{
	unsigned i, count;

	mem_create(REGION);
	count = steps_collect(do_string, GROUP, states);
	ck_assert_uint_eq(count, BYTES + 1);
	for (i = 0; i < count; i++) {
		if (i)
			ck_assert_uint_eq(
				states[i][mem_region() - mem_base() + IST_PAGE - BYTES / 2 + i - 1],
				7);
		free(states[i]);
	}
	mem_destroy();
}
END_TEST

static void count_ahead(void)
{
	ahead++;
}

START_TEST(loads_are_stopped_where_they_are_wanted)
{
	mem_create(REGION);
	stops_begin(mem_base(), GROUP, STOPS_ACCESSES, count_ahead);
	do_words();
	stops_end();
	ck_assert_uint_eq(ahead, 3 * WORDS);
	do_words();
	ck_assert_uint_eq(ahead, 3 * WORDS);
	mem_destroy();
}
END_TEST

/* What is not the group's is still a crash. */
START_TEST(a_fault_elsewhere_is_one)
{
	mem_create(REGION);
	stops_begin(mem_base(), GROUP, STOPS_STORES, count_ahead);
	mem_base()[-1] = 1;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("steps");
	TCase *test = tcase_create("steps");

#ifdef __SANITIZE_THREAD__
	printf("TSan does not live with a process that is stopped at its accesses\n");
	return 77;
#endif
	tcase_add_test(test, each_store_is_a_state);
	tcase_add_test(test, each_store_of_an_instruction_is_a_state);
	tcase_add_test(test, loads_are_stopped_where_they_are_wanted);
#ifdef __SANITIZE_ADDRESS__
	tcase_add_exit_test(test, a_fault_elsewhere_is_one, 1); /* with a report */
#else
	tcase_add_test_raise_signal(test, a_fault_elsewhere_is_one, SIGSEGV);
#endif
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
