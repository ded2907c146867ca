/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pager.c: pagers that hand pages to each other, by both ways that kernels have. */
#include "tests/pager_members.h"
#include "tests/suite.h"

START_TEST(handed_over)
{
	struct member *a = &g.member[0], *b = &g.member[1], *c = &g.member[2];

	start(_i, 3);
	expect_word(0, IST_DIR_NONE, -1, 0);
	ck_assert_uint_eq(get(a, 0), 0);
	expect_word(0, IST_DIR_SHARED, -1, 1);
	put(a, 0, 11);
	expect_word(0, IST_DIR_MODIFIED, 0, 1);
	ck_assert_uint_eq(get(b, 0), 11);
	expect_word(0, IST_DIR_SHARED, -1, 3);
	ck_assert_uint_eq(get(c, 0), 11);
	expect_word(0, IST_DIR_SHARED, -1, 7);
	put(b, 0, 12);
	expect_word(0, IST_DIR_MODIFIED, 1, 2);
	put(c, 0, 13);
	expect_word(0, IST_DIR_MODIFIED, 2, 4);
	ck_assert_uint_eq(get(a, 0), 13);
	expect_word(0, IST_DIR_SHARED, -1, 5);
	put(a, 0, 14);
	expect_word(0, IST_DIR_MODIFIED, 0, 1);
	ck_assert_uint_eq(g.entry[0].moves, 4);
	/* Other pages are nobody's business. */
	for (unsigned page = 1; page < PAGER_PAGES; page++)
		expect_word(page, IST_DIR_NONE, -1, 0);
	stop(3);
}
END_TEST

/* Who has what it needs does not fault, and whoever reads takes nothing from other readers. */
START_TEST(quiet)
{
	struct member *a = &g.member[0], *b = &g.member[1];
	struct coh_pager_stats before, after;

	start(_i, 2);
	put(a, 0, 1);
	put(b, 1, 1);
	ck_assert_uint_eq(get(a, 2) + get(b, 2), 0);
	before = stats_of(a);
	for (unsigned i = 0; i < 100000; i++) {
		put(a, 0, i);
		put(b, 1, i);
		ck_assert_uint_eq(get(a, 2) + get(b, 2), 0);
	}
	after = stats_of(a);
	ck_assert_uint_eq(before.read_faults + before.write_faults, 2);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(after)), 0);
	stop(2);
}
END_TEST

/* Two threads a member, all on the same pages. A tenure lets each do much. */
START_TEST(nothing_is_lost)
{
	pthread_t thread[6];
	struct adder adder[6];
	uint64_t sum = 0;

	start(_i, 3);
	for (unsigned i = 0; i < 6; i++)
		thread[i] = background(&adder[i], &g.member[i % 3], 3, 50000);
	for (unsigned i = 0; i < 6; i++)
		must(pthread_join(thread[i], NULL) == 0);
	for (unsigned page = 0; page < 3; page++)
		sum += get(&g.member[0], page);
	ck_assert_uint_eq(sum, 300000);
	for (unsigned i = 0; i < 3; i++) {
		struct coh_pager_stats stats = stats_of(&g.member[i]);

		ck_assert_uint_eq(stats.recalls, 0);
		ck_assert_uint_ge(stats.requests, 1);
		/* No storm: two threads fault for each permission at most twice. */
		ck_assert_uint_le(stats.read_faults + stats.write_faults, 4 * stats.requests + 8);
	}
	stop(3);
}
END_TEST

/* Memory that an application has locked is given up like any. */
START_TEST(locked)
{
	struct member *a = &g.member[0], *b = &g.member[1];

	start(_i, 2);
	must(mlock(a->page, PAGER_PAGES * IST_PAGE) == 0);
	for (uint64_t i = 1; i < 20; i++) {
		put(b, 0, i);
		ck_assert_uint_eq(get(a, 0), i);
		put(a, 0, i + 100);
		ck_assert_uint_eq(get(b, 0), i + 100);
	}
	stop(2);
}
END_TEST

START_TEST(only_to_read)
{
	struct member *a, *b;

	group_create(TENURE, RECALL);
	a = member_prepare(0, 1, IST_RIGHT_WRITE);
	b = member_prepare(1, 1, IST_RIGHT_READ);
	must(member_start(a) == 0 && member_start(b) == 0);
	introduce(a, 1, 1);
	introduce(b, 0, 1);
	for (uint64_t i = 1; i < 50; i++) {
		put(a, 3, i);
		ck_assert_uint_eq(get(b, 3), i);
		expect_word(3, IST_DIR_SHARED, -1, 3);
	}
	stop(2);
}
END_TEST

static bool everybody_may(void)
{
	FILE *file = fopen("/proc/sys/vm/unprivileged_userfaultfd", "re");
	int value = file != NULL ? fgetc(file) : '0';

	if (file != NULL)
		fclose(file);
	return value == '1';
}

/* Without the right to see the kernel's faults: one line says what it takes. */
START_TEST(without_privilege)
{
	struct member *m;
	pid_t child;
	int status;

	group_create(TENURE, RECALL);
	m = member_prepare(0, 1, IST_RIGHT_WRITE);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		int n = setgid(65534) != 0 || setuid(65534) != 0 ? 0 : member_start(m);

		if (n == 0) /* vm.unprivileged_userfaultfd: everybody may */
			_exit(!everybody_may());
		_exit((n != -EPERM && n != -EACCES) ||
		      strstr(m->error, "page coherence takes userfaultfd: be root, or give the "
				       "user /dev/userfaultfd: ") != m->error);
	}
	must(waitpid(child, &status, 0) == child);
	ck_assert_int_eq(status, 0);
	munmap(m->page, PAGER_PAGES * IST_PAGE);
	group_destroy();
}
END_TEST

struct writer {
	struct member *member;
	unsigned word;
	int stop;
};

static void *write_one(void *argument)
{
	struct writer *writer = argument;
	uint64_t *word = &writer->member->page[writer->word];

	while (!__atomic_load_n(&writer->stop, __ATOMIC_RELAXED))
		__atomic_store_n(word, *word + 1, __ATOMIC_RELAXED);
	return NULL;
}

START_TEST(false_sharing)
{
	struct writer writer[2];
	pthread_t thread[2];
	uint64_t found = 0;

	start(0, 2);
	for (unsigned i = 0; i < 2; i++) {
		writer[i] = (struct writer){&g.member[i], _i == 0 ? 8 * i : 3, 0};
		must(pthread_create(&thread[i], NULL, write_one, &writer[i]) == 0);
	}
	/* Until it is found; or for as many moves as it takes to be found, if there were any. */
	for (int i = 0;
	     i < 2000 &&
	     (_i == 0 ? found == 0 : __atomic_load_n(&g.entry[0].moves, __ATOMIC_RELAXED) < 60);
	     i++) {
		usleep(5000);
		found = stats_of(&g.member[0]).false_sharing + stats_of(&g.member[1]).false_sharing;
	}
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&writer[i].stop, 1, __ATOMIC_RELAXED);
		must(pthread_join(thread[i], NULL) == 0);
	}
	if (_i == 0)
		ck_assert_uint_ge(found, 1);
	else
		ck_assert_uint_eq(found, 0);
	ck_assert_int_eq(__atomic_load_n(&g.member[0].noticed, __ATOMIC_ACQUIRE) +
					 __atomic_load_n(&g.member[1].noticed, __ATOMIC_ACQUIRE) >
				 0,
			 _i == 0);
	stop(2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pager");
	TCase *tests = tcase_create("pager");

	tcase_add_loop_test(tests, handed_over, 0, 2);
	tcase_add_loop_test(tests, quiet, 0, 2);
	tcase_add_loop_test(tests, nothing_is_lost, 0, 3);
	tcase_add_loop_test(tests, locked, 0, 3);
	tcase_add_test(tests, only_to_read);
	tcase_add_test(tests, without_privilege);
	tcase_add_loop_test(tests, false_sharing, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
