/* SPDX-License-Identifier: BSD-2-Clause */
/* test_coherence_tenure.c: how a tenure follows what happens. */
#include <check.h>
#include <stdlib.h>

#include "coherence/tenure.h"

START_TEST(figures)
{
	static const struct {
		uint64_t tenure, least, held, next;
	} cases[] = {
		{50, 50, 10, 100},
		{100, 50, 99, 200},
		{100, 50, 100, 100},
		{100, 50, 399, 100},
		{100, 50, 400, 50},
		{50, 50, 1000, 50},
		{800, 50, 0, 800},
		{700, 50, 0, 800},
		{0, 50, 0, 50},
		{5000, 50, 5000, 800},
		{0, 0, 0, 0},
		{0, 0, 9, 0},
		{10, 20, 90, 20},
		{UINT64_MAX, UINT64_MAX, 0, UINT64_MAX},
		{UINT64_MAX / 2 + 9, UINT64_MAX / 2, 0, UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_uint_eq(coh_tenure(cases[i].tenure, cases[i].least, cases[i].held),
				  cases[i].next);
}
END_TEST

/* Between the least and 16 times that, whatever comes. */
START_TEST(bounds)
{
	uint64_t tenure = 0, random = 88172645463325252ull;

	for (unsigned i = 0; i < 100000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		tenure = coh_tenure(tenure, 50000, random % (1ull << (random >> 58)));
		ck_assert_uint_ge(tenure, 50000);
		ck_assert_uint_le(tenure, 50000 * COH_TENURE_GROWTH);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coherence tenure");
	TCase *tests = tcase_create("coherence tenure");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, figures);
	tcase_add_test(tests, bounds);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
