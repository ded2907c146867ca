/* SPDX-License-Identifier: BSD-2-Clause */
/* test_roster_read.c: what the core makes of a roster's words, sane and not. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

static _Alignas(4096) uint8_t memory[IST_REGIONS_OFFSET];
static struct ist_peer *const table = (struct ist_peer *)(void *)(memory + IST_PEER_TABLE_OFFSET);
static struct ist_group group = {.base = memory,
				 .size = sizeof(memory),
				 .id = 1,
				 .incarnation = 5,
				 .vectors = 2,
				 .max_peers = 3};

static void put(uint32_t id, uint32_t state, uint32_t incarnation, const char *name)
{
	table[id].word = IST_PEER_WORD(state, incarnation);
	table[id].vectors = 2;
	memset(table[id].name, 0, IST_NAME_SIZE);
	memcpy(table[id].name, name, strnlen(name, IST_NAME_SIZE));
}

START_TEST(words_and_owners)
{
	put(2, IST_PEER_LIVE, 9, "two");
	ck_assert_uint_eq(ist_group_peer_word(&group, 2), IST_PEER_WORD(IST_PEER_LIVE, 9));
	table[3].word = IST_PEER_WORD(IST_PEER_LIVE, 1);
	ck_assert_uint_eq(ist_group_peer_word(&group, 3), 0);
	ck_assert_uint_eq(ist_group_peer_word(&group, UINT32_MAX), 0);
	ck_assert_uint_eq(ist_group_owner(&group), IST_OWNER(1, 5, 0));
}
END_TEST

START_TEST(fates)
{
	static const enum ist_fate fate[] = {[IST_PEER_ABSENT] = IST_FATE_LEFT,
					     [IST_PEER_JOINING] = IST_FATE_HERE,
					     [IST_PEER_LIVE] = IST_FATE_HERE,
					     [IST_PEER_LEAVING] = IST_FATE_HERE,
					     [IST_PEER_DEAD] = IST_FATE_DIED};

	for (uint32_t state = 0; state < 256; state++) {
		put(2, state, 9, "two");
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 9, 0)),
				 state < 5 ? fate[state] : IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 9, 77)),
				 state < 5 ? fate[state] : IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 8, 0)), IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 10, 0)), IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 0, 0)), IST_FATE_DIED);
	}
	put(2, IST_PEER_ABSENT, 0, "");
	ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 0, 0)), IST_FATE_DIED);
	ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(3, 1, 0)), IST_FATE_DIED);
	ck_assert_int_eq(ist_group_fate(&group, 0), IST_FATE_DIED); /* no ID at all */
	ck_assert_int_eq(ist_group_fate(&group, UINT64_MAX), IST_FATE_DIED);
}
END_TEST

START_TEST(senseless_entries)
{
	struct ist_peer_info info, untouched;

	memset(&info, 0x5a, sizeof(info));
	untouched = info;
	put(0, 5, 1, "two");
	ck_assert_int_eq(ist_peer_get(&group, 0, &info), -EPROTO);
	put(0, IST_PEER_LIVE, 1, "two");
	table[0].vectors = IST_VECTORS_MAX + 1;
	ck_assert_int_eq(ist_peer_get(&group, 0, &info), -EPROTO);
	put(0, IST_PEER_LIVE, 1, "exactly-thirty-two-characters-xx");
	ck_assert_int_eq(ist_peer_get(&group, 0, &info), -EPROTO);
	ck_assert_int_eq(ist_peer_get(&group, 3, &info), -EINVAL);
	ck_assert_mem_eq(&info, &untouched, sizeof(info));

	/* They do not hide the others. */
	put(1, IST_PEER_ABSENT, 0, "two");
	put(2, IST_PEER_LEAVING, 9, "two");
	ck_assert_int_eq(ist_peer_find(&group, "two", &info), 0);
	ck_assert_uint_eq(info.id, 2);
	ck_assert_uint_eq(info.incarnation, 9);
	ck_assert_int_eq(info.state, IST_STATE_LEAVING);
	ck_assert_int_eq(ist_peer_find(&group, "exactly-thirty-two-characters-xx", &info), -ENOENT);
	ck_assert_int_eq(ist_peer_find(&group, "tw", &info), -ENOENT);
	ck_assert_int_eq(ist_peer_find(&group, "", &info), -ENOENT);
}
END_TEST

static int restless_stop;

static void *restless(void *argument)
{
	uint32_t incarnation = 0;

	(void)argument;
	while (!__atomic_load_n(&restless_stop, __ATOMIC_RELAXED))
		__atomic_store_n(&table[0].word, IST_PEER_WORD(IST_PEER_LIVE, ++incarnation),
				 __ATOMIC_RELEASE);
	return NULL;
}

/* A word that never rests keeps nobody for ever. */
START_TEST(restless_word)
{
	struct ist_peer_info info;
	pthread_t thread;

	put(0, IST_PEER_LIVE, 1, "zero");
	ck_assert(!pthread_create(&thread, NULL, restless, NULL));
	for (unsigned i = 0; i < 10000; i++) {
		int err = ist_peer_get(&group, 0, &info);

		ck_assert(err == 0 || err == -EPROTO);
	}
	__atomic_store_n(&restless_stop, 1, __ATOMIC_RELAXED);
	ck_assert(!pthread_join(thread, NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("roster_read");
	TCase *words = tcase_create("words");
	SRunner *runner;
	int failed;

	tcase_add_test(words, words_and_owners);
	tcase_add_test(words, fates);
	tcase_add_test(words, senseless_entries);
	tcase_add_test(words, restless_word);
	suite_add_tcase(suite, words);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
