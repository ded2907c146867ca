/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spin.c: how long alice spins for bob, by what the run-state page says of him, until she
 * sleeps; by a clock that this file makes, and sleep that it counts (the Makefile wraps the
 * library's: WRAP_test_spin). Things happen when the clock is looked at.
 */
#include "cell_pair.h"
#include "channel.h"
#include "run_state.h"
#include "tests/suite.h"

#define LOOK_NS 1000u /* a look at the clock, of which each is one at the page too */
#define LOOKS_OFF 4u  /* channel_wait.c */
#define TIMEOUT_NS 100000000u
#define NEVER UINT64_MAX

uint64_t __wrap_ist_time_ns(void);
void __wrap_ist_platform_wait(struct ist_group *group, uint32_t seen, uint64_t deadline);

static struct ist_run_state page;
static uint64_t clock_ns, begun, slept_after; /* NEVER: she did not */
static uint64_t changes_after, lets_go_after; /* ns after the beginning; NEVER: not */
static uint32_t changes_to;
static int flickers; /* he is on at every other look */
static struct ist_channel *s, *r;

static uint64_t since(void)
{
	return clock_ns - begun;
}

uint64_t __wrap_ist_time_ns(void)
{
	clock_ns += LOOK_NS;
	if (since() >= changes_after)
		page.peer[1].running = changes_to;
	if (flickers)
		page.peer[1].running ^= 1;
	if (since() >= lets_go_after) {
		lets_go_after = NEVER;
		ck_assert_int_eq(ist_cell_write_end(b), 0);
	}
	return clock_ns;
}

void __wrap_ist_platform_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	(void)seen;
	ck_assert_ptr_eq(group, alice);
	if (slept_after == NEVER)
		slept_after = since();
	if (clock_ns < deadline)
		clock_ns = deadline;
}

static void setup_page(void)
{
	setup();
	page = (struct ist_run_state){
		.magic = IST_RUN_STATE_MAGIC, .abi_major = IST_ABI_MAJOR, .max_peers = MEM_PEERS};
	page.peer[1] = (struct ist_run_peer){.incarnation = 1, .threads = 1};
	ist_run_state_set(alice, &page);
	ck_assert_ptr_eq(alice->run, &page);
	changes_after = lets_go_after = NEVER;
	clock_ns = 0;
	flickers = 0;
}

static void begin(uint32_t running)
{
	page.peer[1].running = running;
	begun = clock_ns;
	slept_after = NEVER;
}

/* ---- Channels -------------------------------------------------------------------------------- */

static void open_channel(void)
{
	static const struct ist_channel_options may_sleep = {"main", 8, 0, 1024};

	ck_assert_int_eq(ist_channel_open(bob, "c", IST_SENDER, &may_sleep, &s), 0);
	ck_assert_int_eq(ist_channel_open(alice, "c", IST_RECEIVER, &may_sleep, &r), 0);
}

static void close_channel(void)
{
	ist_channel_close(r);
	ist_channel_close(s);
}

/* She waits for a message, in vain. After how long she slept. */
static uint64_t receiver_sleeps(uint32_t running, uint32_t wake)
{
	char byte;

	s->own->wake = IST_WAKE(wake, 0, s->generation);
	begin(running);
	ck_assert_int_eq(ist_channel_recv(r, &byte, 1, TIMEOUT_NS), -ETIMEDOUT);
	ck_assert_uint_ne(slept_after, NEVER);
	return slept_after;
}

START_TEST(channel_of_one_that_is_off)
{
	uint64_t spin;

	open_channel();
	spin = r->spin_ns;
	/* Soon, not at once; and she learns nothing of how long to spin. */
	for (uint32_t wake = IST_WAKE_POLL; wake <= IST_WAKE_AWAKE; wake++) {
		uint64_t after = receiver_sleeps(0, wake);

		ck_assert_uint_gt(after, LOOKS_OFF * LOOK_NS);
		ck_assert_uint_lt(after, 2 * LOOKS_OFF * LOOK_NS);
		ck_assert_uint_eq(r->spin_ns, spin);
	}
	/* He was off for an interrupt's sake, and is back. */
	changes_after = LOOKS_OFF * LOOK_NS / 2;
	changes_to = 1;
	ck_assert_uint_ge(receiver_sleeps(0, IST_WAKE_AWAKE), spin);
	/* And so again and again. */
	changes_after = NEVER;
	flickers = 1;
	r->spin_ns = spin;
	ck_assert_uint_ge(receiver_sleeps(0, IST_WAKE_AWAKE), spin);
	close_channel();
}
END_TEST

START_TEST(channel_of_one_that_is_not)
{
	uint64_t spin;

	open_channel();
	spin = r->spin_ns;
	/* He runs, or sleeps of his own accord, or nothing is known: as long as it pays, and in
	   vain: half as long the next time. */
	ck_assert_uint_ge(receiver_sleeps(1, IST_WAKE_AWAKE), spin);
	ck_assert_uint_lt(r->spin_ns, spin);
	r->spin_ns = spin;
	ck_assert_uint_ge(receiver_sleeps(0, IST_WAKE_ARMED), spin);
	ck_assert_uint_lt(r->spin_ns, spin);
	r->spin_ns = spin;
	alice->run = NULL;
	ck_assert_uint_ge(receiver_sleeps(0, IST_WAKE_AWAKE), spin);
	ck_assert_uint_lt(r->spin_ns, spin);
	close_channel();
}
END_TEST

/* ---- Cells ----------------------------------------------------------------------------------- */

static void open_cells(void)
{
	ck_assert_int_eq(ist_cell_open(bob, "record", &options, &b), 0);
	ck_assert_int_eq(ist_cell_open(alice, "record", &options, &a), 0);
}

static void hold(void)
{
	void *place;

	ck_assert_int_eq(ist_cell_write_begin(b, 0, 0, &place), 0);
}

/* She waits for her turn, in vain. After how long she slept. */
static uint64_t writer_sleeps(uint32_t running)
{
	void *place;

	begin(running);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, TIMEOUT_NS, &place), -ETIMEDOUT);
	return slept_after;
}

START_TEST(cell_whose_holder_is_off)
{
	uint64_t spin, content[5] = {2};

	open_cells();
	hold();
	/* When she first looks whether he runs, and she learns nothing. */
	spin = a->spin_ns;
	ck_assert_uint_lt(writer_sleeps(0), 5 * LOOK_NS);
	ck_assert_uint_eq(a->spin_ns, spin);
	/* As soon as he is off. */
	changes_after = 10 * spin;
	changes_to = 0;
	ck_assert_uint_ge(writer_sleeps(1), 10 * spin);
	ck_assert_uint_lt(slept_after, 10 * spin + 5 * LOOK_NS);
	ck_assert_uint_eq(a->spin_ns, spin);

	/* Only a hint: what is free is taken, whatever the page says. */
	ck_assert_int_eq(ist_cell_write_abort(b), 0);
	begin(0);
	ck_assert_int_eq(ist_cell_write(a, content, 0), 0);
	close_both();
}
END_TEST

START_TEST(cell_whose_holder_runs)
{
	uint32_t rings;
	uint64_t spin;
	void *place;

	open_cells();
	hold();
	spin = a->spin_ns;
	/* Longer than sleeping would cost, but not for ever: it may be another of his threads. */
	ck_assert_uint_ge(writer_sleeps(1), IST_SPIN_ON_NS);
	ck_assert_uint_lt(slept_after, IST_SPIN_ON_NS + 2 * spin);
	ck_assert_uint_lt(a->spin_ns, spin);
	/* He lets go, which costs him no doorbell. */
	begin(1);
	rings = mem_rings(0);
	lets_go_after = IST_SPIN_ON_NS / 2;
	ck_assert_int_eq(ist_cell_write_begin(a, 0, TIMEOUT_NS, &place), 0);
	ck_assert_uint_eq(slept_after, NEVER);
	ck_assert_uint_eq(mem_rings(0), rings);
	ck_assert_int_eq(ist_cell_write_end(a), 0);
	close_both();
}
END_TEST

START_TEST(cell_of_which_nothing_is_known)
{
	uint64_t spin, version = 0;

	open_cells();
	spin = a->spin_ns;
	/* Nobody holds it: who waits for a version spins no longer because others run. */
	begin(1);
	ck_assert_int_eq(ist_cell_wait(a, &version, TIMEOUT_NS), -ETIMEDOUT);
	ck_assert_uint_ge(slept_after, spin);
	ck_assert_uint_lt(slept_after, 2 * spin);
	a->spin_ns = spin;
	hold();
	alice->run = NULL;
	ck_assert_uint_ge(writer_sleeps(1), spin);
	ck_assert_uint_lt(slept_after, 2 * spin);
	ck_assert_uint_lt(a->spin_ns, spin);
	close_both();
}
END_TEST

/* The clock is read twice while she stands back, and he lets go; then she looks first. */
START_TEST(looks_before_the_clock)
{
	for (uint32_t flags = 0; flags <= IST_CELL_POLL; flags++) {
		void *place;

		options.flags = flags;
		open_cells();
		hold();
		a->apart = 1;
		begin(1);
		lets_go_after = 0;
		ck_assert_int_eq(ist_cell_write_begin(a, 0, TIMEOUT_NS, &place), 0);
		ck_assert_uint_eq(since(), 2 * LOOK_NS);
		ck_assert_int_eq(ist_cell_write_end(a), 0);
		close_both();
	}
}
END_TEST

START_TEST(who_polls_never_sleeps)
{
	for (uint32_t running = 0; running < 2; running++) {
		options.flags = IST_CELL_POLL;
		open_cells();
		hold();
		ck_assert_uint_eq(writer_sleeps(running), NEVER);
		ck_assert_uint_ge(since(), TIMEOUT_NS);
		close_both();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spin");
	TCase *tests = tcase_create("spin");

	tcase_add_checked_fixture(tests, setup_page, teardown);
	tcase_add_test(tests, channel_of_one_that_is_off);
	tcase_add_test(tests, channel_of_one_that_is_not);
	tcase_add_test(tests, cell_whose_holder_is_off);
	tcase_add_test(tests, cell_whose_holder_runs);
	tcase_add_test(tests, cell_of_which_nothing_is_known);
	tcase_add_test(tests, looks_before_the_clock);
	tcase_add_test(tests, who_polls_never_sleeps);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
