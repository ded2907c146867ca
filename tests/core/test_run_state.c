/* SPDX-License-Identifier: BSD-2-Clause */
/* test_run_state.c: what the core makes of a run-state page. test_spin.c: what waiters do by it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "platform/memory.h"
#include "run_state.h"
#include "tests/suite.h"

static struct ist_run_state page;
static struct ist_group *me;
static struct ist_channel *s, *r;

static void setup(void)
{
	mem_create(65536);
	mem_forget(mem_join(1)); /* its handle; it stays live: incarnation 1 */
	me = mem_join(0);
	memset(&page, 0, sizeof(page));
	page.magic = IST_RUN_STATE_MAGIC;
	page.abi_major = IST_ABI_MAJOR;
	page.max_peers = MEM_PEERS;
}

static void teardown(void)
{
	mem_forget(me);
	mem_destroy();
}

static void show(uint32_t incarnation, uint32_t running)
{
	page.peer[1].incarnation = incarnation;
	page.peer[1].threads = 1;
	page.peer[1].running = running;
}

START_TEST(three_answers)
{
	ck_assert_int_eq(ist_peer_running(me, 1), -ENODATA); /* no page */
	ist_run_state_set(me, &page);
	ck_assert_int_eq(ist_peer_running(me, 1), -ENODATA); /* about nobody */
	show(1, 1);
	ck_assert_int_eq(ist_peer_running(me, 1), 1);
	show(1, 0);
	ck_assert_int_eq(ist_peer_running(me, 1), 0);
	show(1, 0xffffffff);
	ck_assert_int_eq(ist_peer_running(me, 1), 1);
	show(2, 1); /* about another incarnation */
	ck_assert_int_eq(ist_peer_running(me, 1), -ENODATA);
	ck_assert_int_eq(ist_peer_running(me, 2), -ENODATA); /* was never there */
	ck_assert_int_eq(ist_peer_running(me, MEM_PEERS), -EINVAL);
	ck_assert_int_eq(ist_peer_running(me, 0xffffffff), -EINVAL);
}
END_TEST

START_TEST(pages_that_make_no_sense)
{
	show(1, 1);
	page.magic++;
	ist_run_state_set(me, &page);
	ck_assert_ptr_null(me->run);
	page.magic--;
	page.abi_major++;
	ist_run_state_set(me, &page);
	ck_assert_ptr_null(me->run);
	page.abi_major--;
	page.max_peers = MEM_PEERS - 1;
	ist_run_state_set(me, &page);
	ck_assert_ptr_null(me->run);
	page.max_peers = IST_PEERS_MAX + 1;
	ist_run_state_set(me, &page);
	ck_assert_ptr_null(me->run);
	page.max_peers = IST_PEERS_MAX;
	ist_run_state_set(me, &page);
	ck_assert_ptr_eq(me->run, &page);
}
END_TEST

/* Whatever the page says, what is there is received. */
START_TEST(only_a_hint)
{
	static const struct ist_channel_options options = {"main", 8, 0, 1024};
	struct ist_group *other = mem_join(1);
	char byte;

	ck_assert_int_eq(ist_channel_open(other, "c", IST_SENDER, &options, &s), 0);
	ck_assert_int_eq(ist_channel_open(me, "c", IST_RECEIVER, &options, &r), 0);
	ist_run_state_set(me, &page);
	show(2, 0);
	for (char i = 0; i < 100; i++) {
		ck_assert_int_eq(ist_channel_send(s, &i, 1, 0), 0);
		ck_assert_int_eq(ist_channel_recv(r, &byte, 1, IST_FOREVER), 1);
		ck_assert_int_eq(byte, i);
	}
	ist_channel_close(r);
	ist_channel_close(s);
	mem_forget(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("run state");
	TCase *tests = tcase_create("run state");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, three_answers);
	tcase_add_test(tests, pages_that_make_no_sense);
	tcase_add_test(tests, only_a_hint);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
