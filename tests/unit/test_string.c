/* SPDX-License-Identifier: BSD-2-Clause */
/* test_string.c: the app VM's memory functions, all small sizes and overlaps, against libc's. */
#include <check.h>
#include <string.h>

#include "tests/suite.h"

/* Ours under other names, beside libc's. */
#define memcpy bare_memcpy
#define memmove bare_memmove
#define memset bare_memset
#define memcmp bare_memcmp
#define strlen bare_strlen
#define strcmp bare_strcmp
#include "guestlib/platform/bare/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strcmp

#define ROOM 4096u
#define EDGE 64u /* what surrounds the target must stay */

static const size_t sizes[] = {0,   1,   2,   3,   4,   5,   7,   8,   9,   15,  16,   17,  24,
			       31,  32,  33,  47,  48,  56,  63,  64,  65,  95,  96,   100, 127,
			       128, 129, 255, 256, 300, 510, 511, 512, 513, 777, 1024, 1500};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static uint8_t expected[ROOM], actual[ROOM];

static void fill(void)
{
	for (unsigned i = 0; i < ROOM; i++)
		expected[i] = actual[i] = (uint8_t)(i * 167 + (i >> 8) * 13);
}

START_TEST(copies)
{
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t from = 0; from < 17; from++) {
			for (size_t to = 2048; to < 2048 + 17; to++) {
				fill();
				memcpy(expected + to, expected + from, sizes[s]);
				ck_assert_ptr_eq(bare_memcpy(actual + to, actual + from, sizes[s]),
						 actual + to);
				ck_assert(!memcmp(expected, actual, ROOM));
			}
		}
	}
}
END_TEST

START_TEST(moves)
{
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t to = 2048 - 80; to < 2048 + 80; to++) {
			fill();
			memmove(expected + to, expected + 2048, sizes[s]);
			ck_assert_ptr_eq(bare_memmove(actual + to, actual + 2048, sizes[s]),
					 actual + to);
			ck_assert(!memcmp(expected, actual, ROOM));
		}
	}
}
END_TEST

START_TEST(sets)
{
	for (size_t s = 0; s < SIZES; s++) {
		for (size_t to = EDGE; to < EDGE + 17; to++) {
			fill();
			memset(expected + to, 0x1f3, sizes[s]);
			ck_assert_ptr_eq(bare_memset(actual + to, 0x1f3, sizes[s]), actual + to);
			ck_assert(!memcmp(expected, actual, ROOM));
		}
	}
}
END_TEST

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

START_TEST(comparisons)
{
	for (size_t s = 0; s < SIZES; s++) {
		fill();
		ck_assert_int_eq(bare_memcmp(expected, actual, sizes[s]), 0);
		for (size_t at = 0; at < sizes[s]; at++) {
			fill();
			actual[at] ^= 0x81;
			actual[at + 1] ^= 0x42;
			ck_assert_int_eq(sign(bare_memcmp(expected, actual, sizes[s])),
					 sign(memcmp(expected, actual, sizes[s])));
			ck_assert_int_eq(bare_memcmp(expected, actual, at), 0);
		}
	}
}
END_TEST

START_TEST(strings)
{
	static const char *const texts[] = {"", "a", "b", "ab", "abc", "abd", "\xff", "a\xff"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_uint_eq(bare_strlen(texts[i]), strlen(texts[i]));
		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
			ck_assert_int_eq(sign(bare_strcmp(texts[i], texts[k])),
					 sign(strcmp(texts[i], texts[k])));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("string");
	TCase *tests = tcase_create("string");

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, copies);
	tcase_add_test(tests, moves);
	tcase_add_test(tests, sets);
	tcase_add_test(tests, comparisons);
	tcase_add_test(tests, strings);
	return suite_run(suite);
}
