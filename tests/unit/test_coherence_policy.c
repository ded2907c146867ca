/* SPDX-License-Identifier: BSD-2-Clause */
/* test_coherence_policy.c: every rule of the policies. */
#include <check.h>
#include <stdlib.h>

#include "coherence/policy.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

START_TEST(migratory_after_two_hand_overs)
{
	struct coh_history h = {0};

	for (unsigned peer = 0; peer < 2; peer++) {
		ck_assert_int_eq(coh_history_read(&h, peer), 0);
		coh_history_write(&h, peer);
	}
	/* one has come over from another: not enough; the second is */
	ck_assert_int_eq(coh_history_read(&h, 0), 0);
	coh_history_write(&h, 0);
	ck_assert_int_eq(coh_history_read(&h, 1), 1);
	coh_history_write(&h, 1);
	ck_assert_int_eq(coh_history_read(&h, 0), 1);
}
END_TEST

START_TEST(readers_end_it)
{
	struct coh_history h = {.migratory = 3, .writer = 1};

	/* sure of it: one who only reads does not change the mind, two more do */
	ck_assert_int_eq(coh_history_read(&h, 1), 1);
	ck_assert_int_eq(coh_history_read(&h, 1), 1);
	ck_assert_int_eq(coh_history_read(&h, 2), 1);
	ck_assert_int_eq(coh_history_read(&h, 3), 0);
	ck_assert_int_eq(coh_history_read(&h, 4), 0);
	ck_assert_uint_eq(h.migratory, 0);
	ck_assert_int_eq(coh_history_read(&h, 5), 0);
}
END_TEST

START_TEST(one_writer_is_no_migration)
{
	struct coh_history h = {0};

	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(coh_history_read(&h, 7), 0);
		coh_history_write(&h, 7);
	}
	/* nor are writes that no read came before */
	for (unsigned i = 0; i < 10; i++)
		coh_history_write(&h, i % 2);
	ck_assert_uint_eq(h.migratory, 0);
}
END_TEST

START_TEST(history_packs)
{
	struct coh_history h = {.migratory = 2, .writer = 64, .reader = 1, .wrote = 1}, u;

	u = coh_history_unpack(coh_history_pack(h));
	ck_assert_mem_eq(&u, &h, sizeof(h));
	/* a hostile one is some history */
	u = coh_history_unpack(UINT32_MAX);
	ck_assert_uint_eq(u.migratory, 3);
	ck_assert_uint_eq(u.wrote, 1);
	ck_assert_int_eq(coh_history_read(&u, 63), 1);
	coh_history_write(&u, 63);
}
END_TEST

START_TEST(tenure_left)
{
	struct coh_tenure t = {.minimum_ns = 100, .maximum_ns = 1000, .now_ns = 400};

	ck_assert_uint_eq(coh_tenure_left(&t, 5000, 5000), 400);
	ck_assert_uint_eq(coh_tenure_left(&t, 5000, 5399), 1);
	ck_assert_uint_eq(coh_tenure_left(&t, 5000, 5400), 0);
	ck_assert_uint_eq(coh_tenure_left(&t, 0, UINT64_MAX), 0);
	/* since a time to come: one tenure and no more */
	ck_assert_uint_eq(coh_tenure_left(&t, UINT64_MAX, 0), 400);
	/* what is beyond the limits is within them */
	t.now_ns = UINT64_MAX;
	ck_assert_uint_eq(coh_tenure_left(&t, 0, 0), 1000);
	t.now_ns = 0;
	ck_assert_uint_eq(coh_tenure_left(&t, 0, 0), 100);
}
END_TEST

START_TEST(tenure_adapts)
{
	struct coh_tenure t = {.minimum_ns = 100, .maximum_ns = 1000, .now_ns = 100};
	struct coh_tenure huge = {.maximum_ns = UINT64_MAX};

	coh_tenure_adapt(&t, 100, 1);
	ck_assert_uint_eq(t.now_ns, 200);
	coh_tenure_adapt(&t, 201, 1); /* later than a tenure: as it was */
	ck_assert_uint_eq(t.now_ns, 200);
	for (unsigned i = 0; i < 3; i++)
		coh_tenure_adapt(&t, 0, 1);
	ck_assert_uint_eq(t.now_ns, 1000);
	coh_tenure_adapt(&t, 0, 0); /* not used */
	ck_assert_uint_eq(t.now_ns, 500);
	coh_tenure_adapt(&t, 3999, 1);
	ck_assert_uint_eq(t.now_ns, 500);
	coh_tenure_adapt(&t, 4000, 1); /* long away */
	ck_assert_uint_eq(t.now_ns, 250);
	for (unsigned i = 0; i < 3; i++)
		coh_tenure_adapt(&t, UINT64_MAX, 1);
	ck_assert_uint_eq(t.now_ns, 100);
	/* from nothing to everything, without a wrap */
	for (unsigned i = 0; i < 100; i++)
		coh_tenure_adapt(&huge, 0, 1);
	ck_assert_uint_eq(huge.now_ns, UINT64_MAX);
}
END_TEST

START_TEST(recall)
{
	struct coh_recall r = {.deadline_ns = 1000, .again_ns = 300};

	ck_assert_int_eq(coh_recall(&r, 50, 50, 50), COH_RECALL_WAIT);
	ck_assert_int_eq(coh_recall(&r, 50, 50, 349), COH_RECALL_WAIT);
	ck_assert_int_eq(coh_recall(&r, 50, 50, 350), COH_RECALL_AGAIN);
	ck_assert_int_eq(coh_recall(&r, 50, 350, 351), COH_RECALL_WAIT);
	ck_assert_int_eq(coh_recall(&r, 50, 950, 1049), COH_RECALL_WAIT);
	ck_assert_int_eq(coh_recall(&r, 50, 950, 1050), COH_RECALL_FORCE);
	/* a clock that went back */
	ck_assert_int_eq(coh_recall(&r, 50, 50, 10), COH_RECALL_WAIT);
	r.again_ns = 0;
	ck_assert_int_eq(coh_recall(&r, 50, 50, 1049), COH_RECALL_WAIT);
	r.deadline_ns = 0;
	ck_assert_int_eq(coh_recall(&r, 50, 50, 50), COH_RECALL_FORCE);
}
END_TEST

START_TEST(next_in_turn)
{
	struct coh_next next = {.last = 63, .limit = 3};

	ck_assert_int_eq(coh_next(&next, 0, ~0ull), -1);
	ck_assert_int_eq(coh_next(&next, 0x8000000000000005, ~0ull), 0);
	ck_assert_int_eq(coh_next(&next, 0x8000000000000005, ~0ull), 2);
	ck_assert_int_eq(coh_next(&next, 0x8000000000000005, ~0ull), 63);
	ck_assert_int_eq(coh_next(&next, 0x8000000000000005, ~0ull), 0);
	/* nobody runs: in turn as well */
	ck_assert_int_eq(coh_next(&next, 0x8000000000000005, 0), 2);
	/* a hostile `last` is some place in the line */
	next.last = UINT32_MAX;
	ck_assert_int_eq(coh_next(&next, 2, 0), 1);
}
END_TEST

START_TEST(next_runs)
{
	struct coh_next next = {.last = 0, .limit = 3};

	/* 1 is first in line and off its processor: passed over three times, then it is its turn */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(coh_next(&next, 0xe, 0x8), 3);
	ck_assert_int_eq(coh_next(&next, 0xe, 0x8), 1);
	/* and 2 is the first now */
	ck_assert_int_eq(coh_next(&next, 0xe, 0x4), 2);
	ck_assert_uint_eq(next.passed, 0);
}
END_TEST

START_TEST(fits)
{
	struct coh_counts c = {.reads = 80, .writes = 10, .readers = 3, .writers = 3};

	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_MIGRATORY), IST_CELL_READ_MOSTLY);
	c.reads = 79;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_MIGRATORY), IST_CELL_MIGRATORY);
	/* staying takes less than coming */
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_READ_MOSTLY), IST_CELL_READ_MOSTLY);
	c.reads = 39;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_READ_MOSTLY), IST_CELL_MIGRATORY);
	c.reads = 0;
	c.writes = 0;
	c.operations = 100;
	c.words = 17;
	c.waits = 25;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_MIGRATORY), IST_CELL_DELEGATED);
	c.waits = 24;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_MIGRATORY), IST_CELL_MIGRATORY);
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_DELEGATED), IST_CELL_DELEGATED);
	/* little content moves as fast as a request, unless several travel together */
	c.words = 16;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_DELEGATED), IST_CELL_MIGRATORY);
	c.waits = 0;
	c.together = 49;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_MIGRATORY), IST_CELL_MIGRATORY);
	c.together = 50;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_MIGRATORY), IST_CELL_DELEGATED);
	c.together = 25;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_DELEGATED), IST_CELL_DELEGATED);
	c.together = 24;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_DELEGATED), IST_CELL_MIGRATORY);
	c.words = 17;
	c.waits = 11;
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_DELEGATED), IST_CELL_MIGRATORY);
	/* alone: what it is, is good */
	c = (struct coh_counts){.operations = 100, .writers = 4, .readers = 4};
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_READ_MOSTLY), IST_CELL_READ_MOSTLY);
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_ADAPTIVE), IST_CELL_MIGRATORY);
	/* readers alone write nothing shared */
	c = (struct coh_counts){.reads = 1, .readers = 3};
	ck_assert_uint_eq(coh_adapt_fits(&c, IST_CELL_MIGRATORY), IST_CELL_READ_MOSTLY);
}
END_TEST

START_TEST(adapts)
{
	const struct coh_counts read = {.reads = 100, .readers = 3, .writers = 1};
	const struct coh_counts write = {.reads = 10, .writes = 90, .readers = 3, .writers = 3};
	const struct coh_counts little = {.reads = 9, .readers = 3};
	struct coh_adapt a = {.policy = IST_CELL_MIGRATORY, .windows = 3, .events = 10};

	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(coh_adapt(&a, &read), IST_CELL_MIGRATORY);
	/* one window that disagrees, and it begins anew; one that says nothing does not count */
	ck_assert_uint_eq(coh_adapt(&a, &write), IST_CELL_MIGRATORY);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(coh_adapt(&a, &read), IST_CELL_MIGRATORY);
	ck_assert_uint_eq(coh_adapt(&a, &little), IST_CELL_MIGRATORY);
	ck_assert_uint_eq(coh_adapt(&a, &read), IST_CELL_READ_MOSTLY);
	ck_assert_uint_eq(coh_adapt(&a, &read), IST_CELL_READ_MOSTLY);
	/* patterns that alternate faster than windows agree move nothing */
	for (unsigned i = 0; i < 20; i++)
		ck_assert_uint_eq(coh_adapt(&a, i % 2 ? &read : &write), IST_CELL_READ_MOSTLY);
	for (unsigned i = 0; i < 3; i++)
		coh_adapt(&a, &write);
	ck_assert_uint_eq(a.policy, IST_CELL_MIGRATORY);
}
END_TEST

START_TEST(undecided)
{
	const struct coh_counts of = {.operations = 100, .words = 16, .waits = 25, .writers = 3};
	struct coh_counts c = of;

	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_MIGRATORY), 1);
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_DELEGATED), 1);
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_READ_MOSTLY), 0);
	c.waits = 24; /* staying takes less than coming */
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_MIGRATORY), 0);
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_DELEGATED), 1);
	c.waits = 11;
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_DELEGATED), 0);
	/* what a rule decides */
	c = of, c.words = 17;
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_MIGRATORY), 0);
	c = of, c.together = 25;
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_MIGRATORY), 0);
	c = of, c.writers = 2;
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_MIGRATORY), 0);
	/* what is mostly not shipped */
	c = of, c.reads = 60, c.writes = 41;
	ck_assert_int_eq(coh_adapt_undecided(&c, IST_CELL_MIGRATORY), 0);
}
END_TEST

/* How many windows pass until a trial begins. The policy is `policy` all the time. */
static unsigned until_trial(struct coh_trial *t, uint32_t policy, uint32_t other, uint64_t cost)
{
	unsigned windows = 1;

	while (coh_trial(t, policy, other, cost) == policy && windows < 1000) {
		ck_assert_uint_eq(t->trying, 0);
		windows++;
	}
	ck_assert_uint_eq(t->trying, 1);
	return windows;
}

START_TEST(trials)
{
	const uint32_t M = IST_CELL_MIGRATORY, D = IST_CELL_DELEGATED;
	struct coh_trial t = {0};

	ck_assert_uint_eq(until_trial(&t, M, D, 800), 2);
	/* an eighth less is worth it: kept, and looked at again */
	ck_assert_uint_eq(coh_trial(&t, D, M, 700), D);
	ck_assert_uint_eq(coh_trial(&t, D, M, 700), D);
	ck_assert_uint_eq(until_trial(&t, D, M, 700), 17);
	/* less than that is not: back; each in vain makes the next one later */
	ck_assert_uint_eq(coh_trial(&t, M, D, 614), D);
	ck_assert_uint_eq(until_trial(&t, D, M, 700), 33);
	ck_assert_uint_eq(coh_trial(&t, M, D, 10000), D);
	ck_assert_uint_eq(until_trial(&t, D, M, 700), 65);
	ck_assert_uint_eq(coh_trial(&t, M, D, 10000), D);
	ck_assert_uint_eq(until_trial(&t, D, M, 700), 65);
	ck_assert_uint_eq(coh_trial(&t, M, D, 10000), D);
	ck_assert_uint_eq(until_trial(&t, D, M, 700), 65);
	/* nor is it once, and not again */
	ck_assert_uint_eq(coh_trial(&t, M, D, 612), M);
	ck_assert_uint_eq(coh_trial(&t, M, D, 614), D);
	ck_assert_uint_eq(until_trial(&t, D, M, 700), 65);
	ck_assert_uint_eq(coh_trial(&t, M, D, 612), M);
	ck_assert_uint_eq(coh_trial(&t, M, D, 612), M);
	ck_assert_uint_eq(until_trial(&t, M, D, 612), 17);
}
END_TEST

/* One window in which the processors had other things to do, even the one before the trial, is no
   reason to change; what a use costs from now on is. */
START_TEST(trials_after_bad_windows)
{
	const uint32_t M = IST_CELL_MIGRATORY, D = IST_CELL_DELEGATED;
	struct coh_trial t = {0};

	ck_assert_uint_eq(coh_trial(&t, M, D, 800), M);
	ck_assert_uint_eq(coh_trial(&t, M, D, 10000), D);
	ck_assert_uint_eq(coh_trial(&t, D, M, 800), M);
	ck_assert_uint_eq(until_trial(&t, M, D, 800), 17);
	ck_assert_uint_eq(coh_trial(&t, D, M, 10000), M);
	for (unsigned i = 0; i < 32; i++)
		ck_assert_uint_eq(coh_trial(&t, M, D, i % 2 ? 800 : 10000), M);
	ck_assert_uint_eq(coh_trial(&t, M, D, 10000), D);
	ck_assert_uint_eq(coh_trial(&t, D, M, 800), M);
	ck_assert_uint_eq(until_trial(&t, M, D, 4000), 65);
	ck_assert_uint_eq(coh_trial(&t, D, M, 3500), D);
	ck_assert_uint_eq(coh_trial(&t, D, M, 3500), D);
	/* What it was compared with is the new one's cost from here on. */
	ck_assert_uint_eq(until_trial(&t, D, M, 3500), 17);
	ck_assert_uint_eq(coh_trial(&t, M, D, 3100), D);
	/* A peer that says it cost nothing says so once. */
	t = (struct coh_trial){.patience = 3};
	ck_assert_uint_eq(coh_trial(&t, M, D, 800), D);
	ck_assert_uint_eq(coh_trial(&t, D, M, 700), D);
	ck_assert_uint_eq(coh_trial(&t, D, M, 700), D);
	ck_assert_uint_eq(t.trying, 0);
}
END_TEST

/* Whatever a peer has written there: one of the two, and the next trial is not far. */
START_TEST(hostile_trials)
{
	uint64_t state = 88172645463325252u;

	for (unsigned i = 0; i < 10000; i++) {
		struct coh_trial t;
		uint32_t policy;

		xorshift(&state);
		t = (struct coh_trial){.trying = state & 1,
				       .patience = state >> 1 & 0x7f,
				       .wait = state >> 8 & 0xff,
				       .before = state >> (state & 63)};
		policy = coh_trial(&t, IST_CELL_MIGRATORY, IST_CELL_DELEGATED, state >> 20);
		ck_assert(policy == IST_CELL_MIGRATORY || policy == IST_CELL_DELEGATED);
		ck_assert_uint_le(t.wait, 255);
		if (!t.trying && t.wait == 0)
			ck_assert_uint_ne(t.patience, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coherence policy");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, migratory_after_two_hand_overs);
	tcase_add_test(tcase, readers_end_it);
	tcase_add_test(tcase, one_writer_is_no_migration);
	tcase_add_test(tcase, history_packs);
	tcase_add_test(tcase, tenure_left);
	tcase_add_test(tcase, tenure_adapts);
	tcase_add_test(tcase, recall);
	tcase_add_test(tcase, next_in_turn);
	tcase_add_test(tcase, next_runs);
	tcase_add_test(tcase, fits);
	tcase_add_test(tcase, adapts);
	tcase_add_test(tcase, undecided);
	tcase_add_test(tcase, trials);
	tcase_add_test(tcase, trials_after_bad_windows);
	tcase_add_test(tcase, hostile_trials);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
