/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pager.c: pagers that hand pages to each other, by both ways that kernels have. */
#include "tests/pager_group.h"
#include "tests/suite.h"

#include <sys/uio.h>

#define MS 1000000ull
#define TENURE 20000u
#define RECALL (10000 * MS)

static void start(int way, unsigned members)
{
	pager_moments = way != 2;
	if (way != 0)
		setenv("ISTHMUS_PAGER_6_1", "1", 1);
	else
		unsetenv("ISTHMUS_PAGER_6_1");
	group_create(TENURE, RECALL);
	members_start(members);
}

static void stop(unsigned members)
{
	members_stop(members);
	group_destroy();
}

static void expect_word(unsigned page, uint32_t state, int owner, uint64_t sharers)
{
	struct ist_directory word = word_of(page);

	ck_assert_uint_eq(IST_DIR_STATE(word.control), state);
	ck_assert_int_eq((int)IST_DIR_OWNER(word.control) - 1, owner);
	ck_assert_uint_eq(word.sharers, sharers);
}

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

struct adder {
	struct member *member;
	unsigned pages;
	unsigned times;
};

static void *add(void *argument)
{
	struct adder *adder = argument;

	for (unsigned i = 0; i < adder->times; i++)
		__atomic_fetch_add(&adder->member->page[i % adder->pages * PAGE_WORDS], 1,
				   __ATOMIC_SEQ_CST);
	return NULL;
}

/* Two threads a member, all on the same pages. A tenure lets each do much. */
START_TEST(nothing_is_lost)
{
	pthread_t thread[6];
	struct adder adder[6];
	uint64_t sum = 0;

	start(_i, 3);
	for (unsigned i = 0; i < 6; i++) {
		adder[i] = (struct adder){&g.member[i % 3], 3, 50000};
		must(pthread_create(&thread[i], NULL, add, &adder[i]) == 0);
	}
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
		adder[i] = (struct adder){&g.member[i], 1, 20000};
		must(pthread_create(&watcher[i], NULL, watch, &mixer[i]) == 0);
		must(pthread_create(&adding[i], NULL, add, &adder[i]) == 0);
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

/* ---- Those who do not answer, and those who are gone ---- */

static pthread_t background(struct adder *adder, struct member *member, unsigned times)
{
	pthread_t thread;

	*adder = (struct adder){member, 1, times};
	must(pthread_create(&thread, NULL, add, adder) == 0);
	return thread;
}

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
	thread = background(&adder, &g.member[0], 1);
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
	thread = background(&adder, a, 1);
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
	thread = background(&adder, &g.member[0], 1);
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

/* ---- False sharing ---- */

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

/* Who ends in good order leaves nothing, even what it was amid of. */
START_TEST(leaves)
{
	struct member *a = &g.member[0], *b = &g.member[1];
	struct adder adder;
	pthread_t thread;

	group_create(TENURE, RECALL);
	ivshm_roster_admit(&g.memory, 3, 1, "d", 1, IST_KIND_APP);
	members_start(2);
	put(a, 0, 1);
	ck_assert_uint_eq(get(a, 1) + get(b, 1), 0);
	/* A holder that lives and does not answer: a stays busy there. */
	g.entry[2].directory.control = IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, 4, 7);
	g.entry[2].directory.sharers = 8;
	adder = (struct adder){a, 3, 3};
	must(pthread_create(&thread, NULL, add, &adder) == 0);
	while (IST_DIR_BUSY(coh_load(&g.entry[2].directory).control) != 1)
		usleep(500);
	coh_pager_destroy(a->pager); /* userfaultfd lets the thread go */
	must(pthread_join(thread, NULL) == 0);
	for (unsigned page = 0; page < PAGER_PAGES; page++) {
		struct ist_directory word = coh_load(&g.entry[page].directory);

		ck_assert_uint_eq(word.sharers & 1, 0);
		ck_assert_uint_eq(IST_DIR_BUSY(word.control), 0);
	}
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

	group_create(TENURE, RECALL);
	ivshm_roster_admit(&g.memory, 3, 1, "d", 1, IST_KIND_APP);
	members_start(2);
	put(a, 0, 1);
	put(a, 1, 2);
	/* A holder that lives and does not answer: a stays busy there. */
	g.entry[2].directory.control = IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, 4, 7);
	g.entry[2].directory.sharers = 8;
	adder = (struct adder){a, 3, 3};
	must(pthread_create(&thread, NULL, add, &adder) == 0);
	while (IST_DIR_BUSY(coh_load(&g.entry[2].directory).control) != 1)
		usleep(500);
	coh_pager_limit(a->pager, g.memory.layout.region_offset[0], IST_RIGHT_NONE);
	for (unsigned page = 0; page < PAGER_PAGES; page++) {
		struct ist_directory word = coh_load(&g.entry[page].directory);

		ck_assert_uint_eq(word.sharers & 1, 0);
		ck_assert_uint_eq(IST_DIR_BUSY(word.control), 0);
	}
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
	Suite *suite = suite_create("pager");
	TCase *tests = tcase_create("pager");

	tcase_add_loop_test(tests, handed_over, 0, 2);
	tcase_add_test(tests, declined);
	tcase_add_loop_test(tests, quiet, 0, 2);
	tcase_add_loop_test(tests, nothing_is_lost, 0, 3);
	tcase_add_test(tests, whole);
	tcase_add_loop_test(tests, loads_and_stores, 0, 2);
	tcase_add_loop_test(tests, locked, 0, 3);
	tcase_add_test(tests, only_to_read);
	tcase_add_test(tests, remains_of_the_dead);
	tcase_add_loop_test(tests, a_holder_that_does_not_answer, 0, 2);
	tcase_add_test(tests, a_holder_without_a_bell);
	tcase_add_loop_test(tests, hostile_words, 0, 5);
	tcase_add_test(tests, leaves);
	tcase_add_loop_test(tests, limited, 0, 2);
	tcase_add_test(tests, closed);
	tcase_add_test(tests, without_privilege);
	tcase_add_loop_test(tests, false_sharing, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
