/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_memory.c: the memory of handles of cells: the n-th request for some fails, for every n,
 * and nothing is begun, and nothing kept; and a handle that submits no operation has no room for
 * results. The Makefile wraps the platform's allocator (WRAP_test_cell_memory).
 */
#include <check.h>
#include <string.h>

#include "cell.h"
#include "platform/memory.h"
#include "tests/suite.h"
#include "tests/wrap_call.h"

#define REGION (1u << 20)
#define SECOND 1000000000ull
#define SIZE 48u /* not in the head */

void *ist_platform_alloc(size_t size);
void __real_ist_platform_free(void *memory);
void __wrap_ist_platform_free(void *memory);

static unsigned fail_at, asked; /* 0: none; how often, since it was set */
static int held;                /* given, and not given back */

static int fails(void)
{
	if (++asked == fail_at)
		return 1;
	held++;
	return 0;
}

WRAP(void *, NULL, ist_platform_alloc, (size_t size), (size))

void __wrap_ist_platform_free(void *memory)
{
	held -= memory != NULL;
	__real_ist_platform_free(memory);
}

/* What a handle of each has when it is opened: itself; near copy or private copy. */
static const struct {
	enum ist_policy policy;
	uint32_t flags;
	int held;
} kinds[] = {
	{IST_READ_MOSTLY, 0, 1},  {IST_READ_MOSTLY, IST_CELL_NEAR, 2},
	{IST_MIGRATORY, 0, 1},    {IST_PRODUCER_CONSUMER, 0, 1},
	{IST_WRITE_SHARED, 0, 2}, {IST_DELEGATED, 0, 1},
	{IST_ADAPTIVE, 0, 1},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static struct ist_group *alice;
static struct ist_cell *a;
static struct ist_cell_options options;
static const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1};

static void setup(void)
{
	mem_create(REGION);
	alice = mem_join(0);
	options = (struct ist_cell_options){.region = "main", .size = SIZE, .seats = 4};
	fail_at = asked = 0;
	held = 0;
}

static void teardown(void)
{
	mem_forget(alice);
	mem_destroy();
}

static int open_kind(int i)
{
	options.policy = kinds[i].policy;
	options.flags = kinds[i].flags;
	return ist_cell_open(alice, "c", &options, &a);
}

static uint64_t sum_of(struct ist_cell *cell, uint64_t *version)
{
	uint64_t content[SIZE / 8];

	ck_assert_int_eq(ist_cell_read(cell, content, version, 0), 0);
	return content[0];
}

/* Submits and collects, with this error first. What was there, and one more. */
static void submit_one(int expected)
{
	uint64_t ticket = 77, sum, before, after;
	int64_t result;

	sum = sum_of(a, &before);
	ck_assert_int_eq(ist_cell_collect(a, 1, &result, 0), -EINVAL);
	if (expected) {
		ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &ticket), expected);
		ck_assert_uint_eq(ticket, 77);
		ck_assert_int_eq(ist_cell_collect(a, 1, &result, 0), -EINVAL);
		ck_assert_uint_eq(sum_of(a, &after), sum);
		ck_assert_uint_eq(after, before);
	}
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, &ticket), 0);
	ck_assert_int_eq(ist_cell_collect(a, ticket, &result, SECOND), 0);
	ck_assert_int_eq(result, (int64_t)sum);
	ck_assert_uint_eq(sum_of(a, NULL), sum + 1);
}

START_TEST(nth_allocation_fails)
{
	unsigned n = 0;
	int error;

	do {
		asked = 0;
		fail_at = ++n;
		error = open_kind(_i);
		if (error) {
			ck_assert_int_eq(error, -ENOMEM);
			ck_assert_int_eq(held, 0);
			continue;
		}
		submit_one(asked + 1 == n ? -ENOMEM : 0);
		ist_cell_close(a);
		ck_assert_int_eq(held, 0);
	} while (asked >= n);
	/* Those of the opening, the results, and then all was as ever. */
	ck_assert_int_eq((int)n, kinds[_i].held + 2);
}
END_TEST

/* Whatever else a handle does. And the results are allocated once. */
START_TEST(never_submitted)
{
	uint64_t content[SIZE / 8] = {7};
	int64_t result;
	unsigned i;

	ck_assert_int_eq(open_kind(_i), 0);
	ck_assert_int_eq(held, kinds[_i].held);
	ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_OWN, one, 0, content), -EINVAL);
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(ist_cell_write(a, content, SECOND), 0);
		ck_assert_int_eq(ist_cell_operate(a, IST_OPERATION_ADD, one, &result, SECOND), 0);
		ck_assert_int_eq(result, 7);
		ck_assert_uint_eq(sum_of(a, NULL), 8);
		ck_assert_int_eq(ist_cell_collect(a, i, &result, 0), -EINVAL);
	}
	ck_assert_int_eq(held, kinds[_i].held);
	ck_assert_uint_lt(sizeof(*a), 4096);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(ist_cell_submit(a, IST_OPERATION_ADD, one, 0, content), 0);
		ck_assert_int_eq(held, kinds[_i].held + 1);
	}
	ist_cell_close(a);
	ck_assert_int_eq(held, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell, memory");
	TCase *test = tcase_create("handles");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, nth_allocation_fails, 0, KINDS);
	tcase_add_loop_test(test, never_submitted, 0, KINDS);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
