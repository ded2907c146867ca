/* SPDX-License-Identifier: BSD-2-Clause */
/* test_replica.c: cells whose content is in incoherent memory: openings, and what is refused. */
#include <check.h>
#include <stdlib.h>

#include <isthmus/isthmus.h>

#include "platform/memory.h"

#define REGION 262144u
#define POOL 65536u

static struct ist_group *alice, *bob;

static void setup(void)
{
	mem_create_pool(REGION, POOL);
	alice = mem_join(0);
	bob = mem_join(1);
}

static void teardown(void)
{
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

START_TEST(no_object_in_incoherent_memory)
{
	const struct ist_cell_options options = {.region = "pool", .size = 40};
	const struct ist_channel_options ends = {.region = "pool"};
	struct ist_region_info info;
	struct ist_channel *channel;
	struct ist_cell *cell;

	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &cell), -EOPNOTSUPP);
	ck_assert_int_eq(ist_channel_open(alice, "c", IST_SENDER, &ends, &channel), -EOPNOTSUPP);
	ck_assert_int_eq(ist_region_find(alice, "pool", &info), 0);
	ck_assert_uint_eq(info.coherence, IST_COHERENCE_INCOHERENT);
	/* Nobody has made an arena of it. */
	ck_assert_uint_eq(*(const uint64_t *)info.address, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replica");
	TCase *test = tcase_create("openings");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, no_object_in_incoherent_memory);
	suite_add_tcase(suite, test);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
