// SPDX-License-Identifier: BSD-2-Clause
/* test_driver_roster.c: the guest driver's logic (drivers/linux/roster.c), in user space. */
#include <check.h>
#include <stdlib.h>

/* The driver's files as they are: what runs in the kernel is what is tested here. */
#include "drivers/linux/roster.c"
#include "drivers/linux/roster_cases.c"

static unsigned int cases;

static void result(const char *what, int ok)
{
	cases++;
	ck_assert_msg(ok, "%s", what);
}

START_TEST(test_cases)
{
	isthmus_roster_cases(result);
	ck_assert_uint_gt(cases, 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("driver_roster");
	TCase *tcase = tcase_create("cases");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_cases);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_tap(runner, getenv("CK_TAP_LOG_FILE_NAME"));
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
