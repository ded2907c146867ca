/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_operate.c: operations on a cell, ours and the application's, done at once and
 * submitted.
 */
#include <check.h>
#include <string.h>

#include "cell_pair.h"
#include "tests/suite.h"

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

int main(void)
{
	Suite *suite = suite_create("cell, operations");
	TCase *test = tcase_create("sections");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, operations, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, submitted_operations, 0, POLICIES);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
