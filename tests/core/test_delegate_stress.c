/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_delegate_stress.c: processes that do operations on one cell, singly and many at a time, and
 * are killed and stopped wherever they are. What they saw is linearizable, and what was done was
 * done once.
 */
#include <check.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cell.h"
#include "history.h"
#include "platform/memory.h"
#include "tests/suite.h"

#define REGION (1u << 20)
#define WORKERS 4u
#define DEATHS 120u
#define SPREE 300u /* what a worker begins at most between two deaths: the history is finite */

static struct history *history;
static uint32_t *spree; /* shared: the number of the present one */
static struct ist_cell_options options = {.region = "main", .flags = IST_CELL_POLL, .seats = 8};
static const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1};

static const struct {
	enum ist_policy policy;
	size_t size;
} kinds[] = {
	{IST_DELEGATED, 8}, {IST_DELEGATED, 1000}, {IST_MIGRATORY, 8},
	{IST_ADAPTIVE, 8},  {IST_ADAPTIVE, 1000},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

/* Goes on after it was told of a death. Not of its own operation: that has a result. */
static int is_told(int error)
{
	return error == -EOWNERDEAD;
}

static int add_one(struct ist_cell *cell)
{
	struct history_event *event = history_begin(history, 1);
	int64_t sum;
	int n;

	if (!event)
		return -ENOSPC;
	do
		n = ist_cell_operate(cell, IST_OPERATION_ADD, one, &sum, IST_FOREVER);
	while (is_told(n));
	if (!n)
		history_end(history, event, (uint64_t)sum);
	return n;
}

/* As add_many(), in batches. */
static int add_batch(struct ist_cell *cell, unsigned count)
{
	static uint64_t ones[IST_CELL_IN_FLIGHT][IST_CELL_ARGUMENTS];
	struct history_event *events[IST_CELL_IN_FLIGHT];
	uint64_t tickets[IST_CELL_IN_FLIGHT];
	int64_t sums[IST_CELL_IN_FLIGHT];
	unsigned i, begun, done;
	int n = 0;

	for (i = 0; i < count; i++) {
		memcpy(ones[i], one, sizeof(one));
		events[i] = history_begin(history, 1);
		if (!events[i])
			return -ENOSPC;
	}
	for (begun = 0; begun < count && (n >= 0 || is_told(n)); begun += n > 0 ? (unsigned)n : 0)
		n = ist_cell_submit_batch(cell, IST_OPERATION_ADD, ones[begun], count - begun,
					  IST_FOREVER, tickets + begun);
	for (done = 0; done < begun && (n >= 0 || is_told(n)); done += n > 0 ? (unsigned)n : 0) {
		n = ist_cell_collect_batch(cell, tickets + done, begun - done, sums + done,
					   IST_FOREVER);
		for (i = done; n > 0 && i < done + (unsigned)n; i++)
			history_end(history, events[i], (uint64_t)sums[i]);
	}
	return n < 0 ? n : 0;
}

static int add_many(struct ist_cell *cell, unsigned count)
{
	struct history_event *events[IST_CELL_IN_FLIGHT];
	uint64_t tickets[IST_CELL_IN_FLIGHT];
	unsigned i, k;
	int64_t sum;
	int n = 0;

	for (i = 0; i < count && !n; i++) {
		events[i] = history_begin(history, 1);
		if (!events[i])
			return -ENOSPC;
		do
			n = ist_cell_submit(cell, IST_OPERATION_ADD, one, IST_FOREVER, &tickets[i]);
		while (is_told(n));
	}
	for (i = 0; i < count && !n; i++) {
		k = (i + 3) % count; /* in any order */
		do
			n = ist_cell_collect(cell, tickets[k], &sum, IST_FOREVER);
		while (is_told(n));
		if (!n)
			history_end(history, events[k], (uint64_t)sum);
	}
	return n;
}

static int read_sum(struct ist_cell *cell)
{
	struct history_event *event = history_begin(history, 0);
	uint64_t content[125];
	int n;

	if (!event)
		return -ENOSPC;
	do
		n = ist_cell_read(cell, content, NULL, IST_FOREVER);
	while (is_told(n));
	if (!n)
		history_end(history, event, content[0]);
	return n;
}

static int work_on(struct ist_cell *cell, unsigned *state)
{
	uint32_t phase = __atomic_load_n(spree, __ATOMIC_RELAXED) / 8 % 3;

	*state = *state * 1103515245 + 12345;
	/* An adaptive cell is to have something to adapt to: by turns mostly readings, operations
	   that are waited for, and all kinds. */
	if (phase == 0 && *state >> 20 & 15)
		return read_sum(cell);
	if (phase == 1)
		return add_one(cell);
	switch (*state >> 16 & 7) {
	case 0:
	case 1:
		return read_sum(cell);
	case 2:
		return add_many(cell, 3);
	case 3:
		/* More than there are requests, seldom as many as there can be. */
		return (*state >> 26 & 1 ? add_many : add_batch)(
			cell, *state >> 20 & 63 ? IST_CELL_REQUESTS + 8 : IST_CELL_IN_FLIGHT);
	default:
		return add_one(cell);
	}
}

/* Never returns; ends with an exit status when something is wrong. */
static void work(uint32_t id, unsigned seed)
{
	struct ist_group *group = mem_join_client(id, 0);
	const struct timespec nap = {0, 100000};
	uint32_t number = 0, done = 0;
	struct ist_cell *cell;
	int n = ist_cell_open(group, "c", &options, &cell);

	while (!n) {
		if (__atomic_load_n(spree, __ATOMIC_ACQUIRE) != number) {
			number = __atomic_load_n(spree, __ATOMIC_ACQUIRE);
			done = 0;
		}
		if (done++ < SPREE)
			n = work_on(cell, &seed);
		else
			nanosleep(&nap, NULL);
	}
	fprintf(stderr, "worker %u: error %d\n", id, n);
	_exit(1);
}

static pid_t start(uint32_t id, unsigned seed)
{
	pid_t pid;

	mem_forget(mem_join(id)); /* a new incarnation */
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		work(id, seed);
	return pid;
}

static void stop(uint32_t id, pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	mem_die(id);
}

START_TEST(killed_and_stopped)
{
	struct timespec nap = {0, 0};
	struct ist_cell *cell;
	struct ist_group *judge;
	pid_t pids[WORKERS];
	unsigned seed = 1 + (unsigned)_i, i, id, round;
	uint64_t content[125], told = 0;
	struct ist_cell_info info;
	const char *wrong;
	int n;

	options.policy = kinds[_i].policy;
	options.size = kinds[_i].size;
	mem_create(REGION);
	history = mmap(NULL, sizeof(*history), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	spree = mmap(NULL, sizeof(*spree), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	ck_assert(history != MAP_FAILED && spree != MAP_FAILED);
	for (id = 0; id < WORKERS; id++)
		pids[id] = start(id, ++seed);
	for (round = 0; round < DEATHS; round++) {
		__atomic_store_n(spree, round + 1, __ATOMIC_RELEASE);
		seed = seed * 1103515245 + 12345;
		nap.tv_nsec = seed >> 8 & 0x1fffff; /* up to 2 ms */
		nanosleep(&nap, NULL);
		id = seed >> 4 & 3;
		if (round % 3 == 0) {
			kill(pids[id], SIGSTOP);
			nanosleep(&nap, NULL);
			kill(pids[id], SIGCONT);
		} else {
			stop(id, pids[id]);
			pids[id] = start(id, seed);
		}
	}
	for (id = 0; id < WORKERS; id++)
		stop(id, pids[id]);
	judge = mem_join(WORKERS);
	ck_assert_int_eq(ist_cell_open(judge, "c", &options, &cell), 0);
	for (i = 0; i < 3; i++) {
		n = ist_cell_read(cell, content, NULL, 0);
		told += n == -EOWNERDEAD;
		ck_assert(n == 0 || n == -EOWNERDEAD);
	}
	/* Whoever held it last is gone: a writer finds that out. */
	n = ist_cell_operate(cell, IST_OPERATION_ADD, (uint64_t[4]){0, 0}, NULL, 0);
	ck_assert(n == 0 || n == -EOWNERDEAD);
	ck_assert_int_eq(ist_cell_read(cell, content, NULL, 0), 0);
	ck_assert_uint_le(told, 1);
	wrong = history_check(history, content[0]);
	ck_assert_msg(!wrong, "%s", wrong);
	ck_assert_uint_gt(content[0], DEATHS);
	ck_assert_int_eq(ist_cell_info(cell, &info), 0);
	ck_assert(info.policy == IST_ADAPTIVE || info.switches == 0);
	printf("# %d: sum %llu, %u switches\n", _i, (unsigned long long)content[0],
	       (unsigned)info.switches);
	ist_cell_close(cell);
	mem_forget(judge);
	munmap(history, sizeof(*history));
	munmap(spree, sizeof(*spree));
	mem_destroy();
}
END_TEST

/* The judge of histories, judged. */
static const char *judge(const struct history_event *events, unsigned count, uint64_t sum)
{
	static struct history some;

	some.count = count;
	memcpy(some.events, events, count * sizeof(*events));
	return history_check(&some, sum);
}

START_TEST(wrong_histories)
{
	const struct history_event good[] = {{1, 4, 1}, {2, 3, 3}, {5, 6, 4}, {7, 0, 1}},
				   twice[] = {{1, 2, 1}, {3, 4, 1}},
				   back[] = {{1, 2, 3}, {3, 4, 1}}, old[] = {{1, 2, 1}, {3, 4, 0}},
				   future[] = {{1, 2, 2}, {3, 4, 1}};

	ck_assert_ptr_null(judge(good, 4, 2));
	ck_assert_ptr_null(judge(good, 4, 3));
	ck_assert_ptr_nonnull(judge(good, 4, 4));
	ck_assert_ptr_nonnull(judge(good, 4, 1));
	ck_assert_ptr_nonnull(judge(twice, 2, 2));
	ck_assert_ptr_nonnull(judge(back, 2, 2));
	ck_assert_ptr_nonnull(judge(old, 2, 1));
	ck_assert_ptr_nonnull(judge(future, 2, 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("delegate_stress");
	TCase *test = tcase_create("processes");

#ifdef __SANITIZE_THREAD__
	printf("TSan sees threads, not processes\n");
	return 77;
#endif
	tcase_add_test(test, wrong_histories);
	tcase_add_loop_test(test, killed_and_stopped, 0, KINDS);
	tcase_set_timeout(test, 240);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
