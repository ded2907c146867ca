/* SPDX-License-Identifier: BSD-2-Clause */
/* suite.h: how a program of Check's tests ends. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>

/* Runs all of it, as the environment says (CK_RUN_CASE, CK_TAP_LOG_FILE_NAME ...). main()'s result.
 */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
