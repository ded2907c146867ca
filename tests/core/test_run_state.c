/* SPDX-License-Identifier: BSD-2-Clause */
/* test_run_state.c: what the core makes of a run-state page, and what a waiting channel does. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
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

/* How this end spins the next time after it waited in vain, with the other end like this. */
static uint64_t spin_after(uint32_t running, uint32_t wake)
{
	char byte;

	show(2, running); /* peer 1 has joined anew for the channel */
	s->own->wake = IST_WAKE(wake, 0, s->generation);
	ck_assert_int_eq(ist_channel_recv(r, &byte, 1, 100000), -ETIMEDOUT);
	return r->spin_ns;
}

START_TEST(spins_no_longer_than_it_pays)
{
	static const struct ist_channel_options options = {"main", 8, 0, 1024};
	struct ist_group *other = mem_join(1);
	uint64_t spin;

	ck_assert_int_eq(ist_channel_open(other, "c", IST_SENDER, &options, &s), 0);
	ck_assert_int_eq(ist_channel_open(me, "c", IST_RECEIVER, &options, &r), 0);
	ist_run_state_set(me, &page);

	/* Preempted: it slept at once, and learnt nothing of how long to spin. */
	spin = r->spin_ns;
	ck_assert_uint_gt(spin, 2000);
	ck_assert_uint_eq(spin_after(0, IST_WAKE_AWAKE), spin);
	ck_assert_uint_eq(spin_after(0, IST_WAKE_POLL), spin);
	/* It runs, or sleeps of its own accord, or nothing is known: spun in vain, half as long. */
	ck_assert_uint_lt(spin_after(1, IST_WAKE_AWAKE), spin);
	r->spin_ns = spin;
	ck_assert_uint_lt(spin_after(0, IST_WAKE_ARMED), spin);
	r->spin_ns = spin;
	me->run = NULL;
	ck_assert_uint_lt(spin_after(0, IST_WAKE_AWAKE), spin);

	ist_channel_close(r);
	ist_channel_close(s);
	mem_forget(other);
}
END_TEST

/* How this one spins the next time after it waited in vain for a cell whose holder is like this. */
static uint64_t cell_spin_after(struct ist_cell *cell, uint32_t running)
{
	uint64_t content = 1;

	show(2, running);
	ck_assert_int_eq(ist_cell_write(cell, &content, 100000), -ETIMEDOUT);
	return cell->spin_ns;
}

START_TEST(waits_for_a_cell_as_its_holder_runs)
{
	static const struct ist_cell_options options = {
		.region = "main", .size = 8, .policy = IST_MIGRATORY, .seats = 4};
	struct ist_group *other = mem_join(1);
	struct ist_cell *theirs, *mine;
	uint64_t spin, content = 2;
	void *place;

	ck_assert_int_eq(ist_cell_open(other, "record", &options, &theirs), 0);
	ck_assert_int_eq(ist_cell_open(me, "record", &options, &mine), 0);
	ist_run_state_set(me, &page);
	ck_assert_int_eq(ist_cell_write_begin(theirs, IST_CELL_REPLACE, 0, &place), 0);

	/* Preempted: it slept at once, and learnt nothing of how long to spin. */
	spin = mine->spin_ns;
	ck_assert_uint_gt(spin, 2000);
	ck_assert_uint_eq(cell_spin_after(mine, 0), spin);
	ck_assert_uint_lt(cell_spin_after(mine, 1), spin);
	mine->spin_ns = spin;
	me->run = NULL;
	ck_assert_uint_lt(cell_spin_after(mine, 0), spin);

	/* Only a hint: what is free is taken, whatever the page says. */
	ist_run_state_set(me, &page);
	ck_assert_int_eq(ist_cell_write_abort(theirs), 0);
	ck_assert_int_eq(ist_cell_write(mine, &content, 0), 0);
	ist_cell_close(mine);
	ist_cell_close(theirs);
	mem_forget(other);
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
	tcase_add_test(tests, spins_no_longer_than_it_pays);
	tcase_add_test(tests, waits_for_a_cell_as_its_holder_runs);
	tcase_add_test(tests, only_a_hint);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
