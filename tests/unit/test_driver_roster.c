// SPDX-License-Identifier: BSD-2-Clause
/* test_driver_roster.c: the guest driver's logic (drivers/linux/roster.c), in user space. */
#include <check.h>
#include <stdlib.h>

#include "tests/suite.h"

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

	tcase_add_test(tcase, test_cases);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
