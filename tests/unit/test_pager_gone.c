/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pager_gone.c: pagers whose peers do not answer, are gone, or write what no pager does; and
 * what is left of one that ends or may have less.
 */
#include "tests/pager_members.h"
#include "tests/suite.h"

/* What a peer without a process left: as owner, as reader, amid a transition. */
START_TEST(remains_of_the_dead)
{
	static const struct {
		uint32_t state, busy, owner;
		uint64_t sharers;
	} left[] = {
		{IST_DIR_MODIFIED, 0, 3, 4}, {IST_DIR_SHARED, 0, 0, 4}, {IST_DIR_SHARED, 0, 0, 5},
		{IST_DIR_NONE, 3, 0, 0},     {IST_DIR_SHARED, 3, 0, 1}, {IST_DIR_MODIFIED, 3, 3, 4},
		{IST_DIR_MODIFIED, 3, 1, 1},
	};

	group_create(TENURE, RECALL);
	ivshm_roster_admit(&g.memory, 2, 5, "c", 1, IST_KIND_APP);
	ivshm_roster_set_state(&g.memory, 2, 5, IST_PEER_DEAD);
	for (unsigned page = 0; page < sizeof(left) / sizeof(left[0]); page++) {
		/* What there is of member 0 has no pager yet either: its own, from before. */
		g.entry[page].directory.control =
			IST_DIR_CONTROL(left[page].state, left[page].busy, left[page].owner, 77);
		g.entry[page].directory.sharers = left[page].sharers;
		g.content[page * PAGE_WORDS] = 100 + page;
	}
	members_start(2);
	for (unsigned page = 0; page < sizeof(left) / sizeof(left[0]); page++) {
		/* Nobody has wanted it since: the dead one's transition is still there. */
		struct ist_directory word = coh_load(&g.entry[page].directory);

		ck_assert_msg((word.sharers & 1) == 0, "own remains of page %u", page);
		ck_assert_uint_eq(get(&g.member[1], page), 100 + page);
		put(&g.member[0], page, 200 + page);
		expect_word(page, IST_DIR_MODIFIED, 0, 1);
	}
	ck_assert_uint_ge(stats_of(&g.member[1]).reaped, 5);
	stop(2);
}
END_TEST

/* The holder lives and says nothing: it is complained of, and when it is dead all goes on. */
START_TEST(a_holder_that_does_not_answer)
{
	struct adder adder;
	pthread_t thread;

	group_create(TENURE, 50 * MS);
	ivshm_roster_admit(&g.memory, 3, 1, "d", 1, IST_KIND_APP);
	members_start(1);
	introduce(&g.member[0], 3, 1);
	g.entry[0].directory.control = _i == 0 ? IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, 4, 7)
					       : IST_DIR_CONTROL(IST_DIR_NONE, 4, 0, 7);
	g.entry[0].directory.sharers = _i == 0 ? 8 : 0;
	thread = background(&adder, &g.member[0], 1, 1);
	for (int i = 0; i < 2000 && !__atomic_load_n(&g.member[0].stalled, __ATOMIC_ACQUIRE); i++)
		usleep(5000);
	ck_assert_int_eq(g.member[0].stalled, 4);
	ck_assert_uint_eq(g.content[0], 0);
	ivshm_roster_set_state(&g.memory, 3, 1, IST_PEER_DEAD);
	coh_pager_gone(g.member[0].pager, 3, 1);
	must(pthread_join(thread, NULL) == 0);
	ck_assert_uint_eq(get(&g.member[0], 0), 1);
	ck_assert_uint_ge(stats_of(&g.member[0]).recalls, 1);
	stop(1);
}
END_TEST

/* A holder that is told of late: its bell was unknown when it was asked. */
START_TEST(a_holder_without_a_bell)
{
	struct member *a, *b;
	struct adder adder;
	pthread_t thread;

	group_create(TENURE, RECALL);
	a = member_prepare(0, 1, IST_RIGHT_WRITE);
	b = member_prepare(1, 1, IST_RIGHT_WRITE);
	must(member_start(a) == 0 && member_start(b) == 0);
	introduce(b, 0, 1);
	ivshm_roster_set_state(&g.memory, 1, 1, IST_PEER_LIVE);
	put(b, 0, 5);
	thread = background(&adder, a, 1, 1);
	while (IST_DIR_BUSY(coh_load(&g.entry[0].directory).control) == 0)
		usleep(1000);
	introduce(a, 1, 1);
	must(pthread_join(thread, NULL) == 0);
	ck_assert_uint_eq(get(a, 0), 6);
	stop(2);
}
END_TEST

/* Words that no pager writes: the pager says so, once, and stops. */
START_TEST(hostile_words)
{
	static const struct ist_directory words[] = {
		{IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, 1, 3), 6},
		{IST_DIR_CONTROL(IST_DIR_SHARED, 0, 0, 3), 0},
		{IST_DIR_CONTROL(IST_DIR_NONE, 0, 9, 3), 0},
		{IST_DIR_CONTROL(IST_DIR_POISONED, 0, 0, 3), 0},
		{UINT64_MAX, UINT64_MAX},
	};
	struct adder adder;
	pthread_t thread;

	start(0, 1);
	coh_load(&g.entry[0].directory);
	g.entry[0].directory = words[_i];
	thread = background(&adder, &g.member[0], 1, 1);
	for (int i = 0; i < 2000 && !__atomic_load_n(&g.member[0].broken, __ATOMIC_ACQUIRE); i++)
		usleep(5000);
	ck_assert_int_eq(g.member[0].broken, 1);
	g.member[0].broken = 0;
	coh_pager_destroy(g.member[0].pager); /* userfaultfd lets who waits there go */
	must(pthread_join(thread, NULL) == 0);
	munmap(g.member[0].page, PAGER_PAGES * IST_PAGE);
	group_destroy();
}
END_TEST

/* Member 3 lives, and has no pager that could answer. */
static void start_with_silent(void)
{
	group_create(TENURE, RECALL);
	ivshm_roster_admit(&g.memory, 3, 1, "d", 1, IST_KIND_APP);
	members_start(2);
}

/* Member 0 wants three pages, and stays busy at the third: that one is member 3's. */
static pthread_t stay_busy(struct adder *adder)
{
	pthread_t thread;

	g.entry[2].directory.control = IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, 4, 7);
	g.entry[2].directory.sharers = 8;
	thread = background(adder, &g.member[0], 3, 3);
	while (IST_DIR_BUSY(coh_load(&g.entry[2].directory).control) != 1)
		usleep(500);
	return thread;
}

/* Nothing is left of member 0. */
static void expect_left(void)
{
	for (unsigned page = 0; page < PAGER_PAGES; page++) {
		struct ist_directory word = coh_load(&g.entry[page].directory);

		ck_assert_uint_eq(word.sharers & 1, 0);
		ck_assert_uint_eq(IST_DIR_BUSY(word.control), 0);
	}
}

/* Who ends in good order leaves nothing, even what it was amid of. */
START_TEST(leaves)
{
	struct member *a = &g.member[0], *b = &g.member[1];
	struct adder adder;
	pthread_t thread;

	start_with_silent();
	put(a, 0, 1);
	ck_assert_uint_eq(get(a, 1) + get(b, 1), 0);
	thread = stay_busy(&adder);
	coh_pager_destroy(a->pager); /* userfaultfd lets the thread go */
	must(pthread_join(thread, NULL) == 0);
	expect_left();
	ck_assert_uint_eq(get(b, 0), 2);
	munmap(a->page, PAGER_PAGES * IST_PAGE);
	member_stop(b);
	group_destroy();
}
END_TEST

/* A right that becomes less: to reading. What it holds it keeps until it is asked. */
START_TEST(limited)
{
	struct member *a = &g.member[0], *b = &g.member[1];
	uint64_t region;

	start(_i, 2);
	region = g.memory.layout.region_offset[0];
	put(a, 0, 1);
	coh_pager_limit(a->pager, region + IST_PAGE, IST_RIGHT_NONE); /* there is none */
	coh_pager_limit(a->pager, region, IST_RIGHT_READ);
	must(mprotect(a->page, PAGER_PAGES * IST_PAGE, PROT_READ) == 0); /* as who calls it does */
	expect_word(0, IST_DIR_MODIFIED, 0, 1);
	ck_assert_uint_eq(get(a, 0), 1);
	ck_assert_uint_eq(get(b, 0), 1);
	expect_word(0, IST_DIR_SHARED, -1, 3);
	put(b, 0, 2);
	ck_assert_uint_eq(get(a, 0), 2);
	put(b, 3, 5);
	ck_assert_uint_eq(get(a, 3), 5);
	expect_word(3, IST_DIR_SHARED, -1, 3);
	stop(2);
}
END_TEST

/* To nothing: it gives up all, even what it was amid of, and takes no question and no fault then.
 */
START_TEST(closed)
{
	struct member *a = &g.member[0], *b = &g.member[1];
	struct adder adder;
	pthread_t thread;

	start_with_silent();
	put(a, 0, 1);
	put(a, 1, 2);
	thread = stay_busy(&adder);
	coh_pager_limit(a->pager, g.memory.layout.region_offset[0], IST_RIGHT_NONE);
	expect_left();
	put(b, 1, 9);
	expect_word(1, IST_DIR_MODIFIED, 1, 2);
	/* Its thread faults again and again, until there is nothing to fault for. */
	must(mmap(a->page, PAGER_PAGES * IST_PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	must(pthread_join(thread, NULL) == 0);
	ck_assert_int_eq(__atomic_load_n(&a->broken, __ATOMIC_ACQUIRE), 0);
	ck_assert_int_eq(__atomic_load_n(&b->stalled, __ATOMIC_ACQUIRE), 0);
	coh_pager_destroy(a->pager);
	munmap(a->page, PAGER_PAGES * IST_PAGE);
	member_stop(b);
	group_destroy();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pager, gone");
	TCase *tests = tcase_create("pager");

	tcase_add_test(tests, remains_of_the_dead);
	tcase_add_loop_test(tests, a_holder_that_does_not_answer, 0, 2);
	tcase_add_test(tests, a_holder_without_a_bell);
	tcase_add_loop_test(tests, hostile_words, 0, 5);
	tcase_add_test(tests, leaves);
	tcase_add_loop_test(tests, limited, 0, 2);
	tcase_add_test(tests, closed);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
