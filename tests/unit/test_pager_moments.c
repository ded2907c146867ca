/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pager_moments.c: faults that do not say whether they load or store: what a pager makes of
 * them, where a mapping may fail for a moment and where it may not.
 */
#include <sys/uio.h>

#include "tests/pager_members.h"
#include "tests/suite.h"

/* Where nothing of a mapping may fail for a moment, and the kernel is old: a load takes the page.
 */
START_TEST(whole)
{
	struct member *a, *b;

	pager_moments = false;
	setenv("ISTHMUS_PAGER_6_1", "1", 1);
	group_create(TENURE, RECALL);
	a = member_prepare(0, 1, IST_RIGHT_WRITE);
	must(member_start(a) == 0);
	unsetenv("ISTHMUS_PAGER_6_1");
	b = member_prepare(1, 1, IST_RIGHT_WRITE);
	must(member_start(b) == 0);
	introduce(a, 1, 1);
	introduce(b, 0, 1);
	put(b, 0, 11);
	ck_assert_uint_eq(get(a, 0), 11);
	expect_word(0, IST_DIR_MODIFIED, 0, 1);
	/* It can be left with reading, and come back to writing. */
	ck_assert_uint_eq(get(b, 0), 11);
	expect_word(0, IST_DIR_SHARED, -1, 3);
	ck_assert_uint_eq(get(a, 0), 11);
	expect_word(0, IST_DIR_SHARED, -1, 3);
	put(a, 0, 12);
	expect_word(0, IST_DIR_MODIFIED, 0, 1);
	ck_assert_uint_eq(get(b, 0), 12);
	stop(2);
}
END_TEST

struct mixer {
	struct member *member;
	uint64_t last;
	int stop; /* atomic */
};

static void *watch(void *argument)
{
	struct mixer *mixer = argument;

	while (!__atomic_load_n(&mixer->stop, __ATOMIC_RELAXED)) {
		uint64_t now = get(mixer->member, 0);

		must(now >= mixer->last);
		mixer->last = now;
	}
	return NULL;
}

/* Loads and stores of threads of the same member at the same time, as an application's are. */
START_TEST(loads_and_stores)
{
	pthread_t watcher[2], adding[2];
	struct adder adder[2];
	struct mixer mixer[2];

	start(_i == 0 ? 0 : 2, 2);
	for (unsigned i = 0; i < 2; i++) {
		mixer[i] = (struct mixer){&g.member[i], 0, 0};
		must(pthread_create(&watcher[i], NULL, watch, &mixer[i]) == 0);
		adding[i] = background(&adder[i], &g.member[i], 1, 20000);
	}
	for (unsigned i = 0; i < 2; i++)
		must(pthread_join(adding[i], NULL) == 0);
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&mixer[i].stop, 1, __ATOMIC_RELAXED);
		must(pthread_join(watcher[i], NULL) == 0);
	}
	ck_assert_uint_eq(get(&g.member[0], 0), 40000);
	stop(2);
}
END_TEST

/* Somebody else writes into this process, as KVM's threads of the kernel do. 0 or errno. */
static int poke(struct member *m, unsigned page, uint64_t value)
{
	struct iovec from = {&value, sizeof(value)}, to = {&m->page[page * PAGE_WORDS], 8};
	pid_t self = getpid(), child = fork();
	int status;

	must(child >= 0);
	if (child == 0)
		_exit(process_vm_writev(self, &from, 1, &to, 1, 0) == 8 ? 0 : errno);
	must(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int over; /* atomic */

static void *meet(void *argument)
{
	struct member *m = argument;

	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		if (coh_pager_moments(m->pager) % 2)
			coh_pager_met(m->pager);
	return NULL;
}

/* Whether a poke at a page that `a` has, where `b` was last seen to load, is declined. */
static int refused(struct member *a, struct member *b, unsigned page)
{
	int n;

	put(a, page, 7);
	ck_assert_uint_eq(get(b, page), 7);
	put(a, page, 7);
	n = poke(b, page, 8);
	ck_assert(n == 0 || n == EFAULT);
	return n == EFAULT;
}

/* A fault of the kernel's that is declined, and then turns out to be a store, or a load. */
START_TEST(declined)
{
	struct member *a = &g.member[0], *b = &g.member[1];
	pthread_t thread;
	unsigned i, k = 400;

	start(0, 2);
	__atomic_store_n(&over, 0, __ATOMIC_RELEASE);
	must(pthread_create(&thread, NULL, meet, b) == 0);
	/* Who pokes may be late for the moment, and then writes after all. */
	for (i = 0; i < 100; i++) {
		if (refused(a, b, 0))
			for (k = 0; k < 400 && IST_DIR_OWNER(word_of(0).control) != 2; k++)
				usleep(500);
		if (k < 400)
			break;
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	must(pthread_join(thread, NULL) == 0);
	expect_word(0, IST_DIR_MODIFIED, 1, 2);
	ck_assert_uint_eq(get(b, 0), 7);
	/* What others lately were, this is: there is nothing to find out. */
	put(a, 1, 9);
	ck_assert_int_eq(poke(b, 1, 10), 0);
	expect_word(1, IST_DIR_MODIFIED, 1, 2);
	ck_assert_uint_eq(get(a, 1), 10);
	/* Until a load is seen; nor where several have the page. */
	put(a, 2, 11);
	ck_assert_uint_eq(get(b, 2), 11);
	for (i = 0; i < 100 && !refused(a, b, 3); i++)
		;
	ck_assert_uint_eq(get(a, 3), 7);
	stop(2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pager, moments");
	TCase *tests = tcase_create("pager");

	tcase_add_test(tests, declined);
	tcase_add_test(tests, whole);
	tcase_add_loop_test(tests, loads_and_stores, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
