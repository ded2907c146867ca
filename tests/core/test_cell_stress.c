/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_stress.c: processes that use one cell, killed and stopped at random moments, and their
 * history.
 *
 * Each writes down its operations in memory of its own: a moment (a ticket from one counter) at the
 * call, a moment at the return. This process plays the broker: it kills (and when the process is
 * gone, says so), starts another incarnation, stops, lets go on. After each episode the history is
 * checked: linearizable, with the content in the end, and no content was ever torn.
 *
 * Where the content is in incoherent memory, each process' cache moves lines as it likes while that
 * dawdles, and those of the dead go on.
 *
 * STRESS_EPISODES=n and STRESS_SEED=n in the environment make it longer, or the same again.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"
#include "platform/incoherent.h"
#include "platform/memory.h"
#include "tests/linearize.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

#define REGION (1u << 20)
#define POOL 16384u
#define WORKERS 4u
#define OPERATIONS 300u /* of each worker, in an episode */
#define MILLISECOND 1000000ull

struct log {
	uint32_t used;
	uint32_t torn;
	uint32_t back; /* versions that went back */
	uint32_t told; /* -EOWNERDEAD */
	struct lin_operation operations[OPERATIONS];
};

struct shared {
	uint64_t moment;
	uint64_t episode;
	struct log logs[WORKERS];
};

static const struct {
	enum ist_policy policy;
	size_t size;
	uint32_t flags;
	const char *pool;
} kinds[] = {
	{IST_MIGRATORY, 8, 0, NULL},          {IST_MIGRATORY, 40, IST_CELL_POLL, NULL},
	{IST_READ_MOSTLY, 40, 0, NULL},       {IST_READ_MOSTLY, 1000, 0, NULL},
	{IST_PRODUCER_CONSUMER, 40, 0, NULL}, {IST_PRODUCER_CONSUMER, 1000, 0, NULL},
	{IST_DELEGATED, 8, 0, NULL},          {IST_DELEGATED, 1000, 0, NULL},
	{IST_ADAPTIVE, 8, 0, NULL},           {IST_ADAPTIVE, 1000, IST_CELL_POLL, NULL},
	{IST_READ_MOSTLY, 40, 0, "pool"},     {IST_MIGRATORY, 1000, 0, "pool"},
	{IST_DELEGATED, 104, 0, "pool"},      {IST_READ_MOSTLY, 1000, IST_CELL_NEAR, NULL},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static struct shared *shared;
static struct ist_cell_options options;
static uint64_t state;

static uint64_t next_random(uint64_t below)
{
	return xorshift(&state) % below;
}

/* A cache does what it likes, for a moment. */
static void stir(uint32_t id)
{
	if (!options.content_region)
		return;
	incoherent_evict(id, next_random(UINT64_MAX));
	incoherent_refetch(id, next_random(UINT64_MAX) & next_random(UINT64_MAX));
}

/* This process' own. */
static uint32_t self;

/* Now and then for a while, in a section or out of it: so that death and others come in between. */
static void dawdle(void)
{
	if (next_random(4) == 0)
		stir(self);
	if (next_random(4) == 0)
		ist_sleep_ns(next_random(60000));
}

static uint64_t moment(void)
{
	return __atomic_add_fetch(&shared->moment, 1, __ATOMIC_SEQ_CST);
}

/* A value in every word of the content, each in its own way: 0 is all zeros. */
static void spread(uint64_t *words, uint64_t value)
{
	size_t i;

	for (i = 0; i < options.size / 8; i++)
		words[i] = value * (2 * i + 1);
}

static uint64_t gather(const uint64_t *words, struct log *log)
{
	size_t i;

	for (i = 0; i < options.size / 8; i++)
		if (words[i] != words[0] * (2 * i + 1))
			log->torn = 1;
	return words[0];
}

static int read_one(struct ist_cell *cell, struct lin_operation *operation, struct log *log)
{
	uint64_t words[125], version, before = cell->seen;
	const void *place;
	int n;

	if (next_random(2)) {
		n = ist_cell_read(cell, words, &version, MILLISECOND);
		if (!n && version < before)
			log->back = 1;
	} else {
		n = ist_cell_read_begin(cell, MILLISECOND, &place);
		if (!n) {
			memcpy(words, place, options.size);
			dawdle();
			n = ist_cell_read_end(cell);
		}
	}
	if (!n)
		operation->result = gather(words, log);
	return n;
}

static int write_one(struct ist_cell *cell, const struct lin_operation *operation)
{
	uint64_t words[125];
	void *content;
	int n;

	if (next_random(2)) {
		spread(words, operation->argument);
		return ist_cell_write(cell, words, MILLISECOND);
	}
	n = ist_cell_write_begin(cell, IST_CELL_REPLACE, MILLISECOND, &content);
	if (n)
		return n;
	spread(content, operation->argument);
	dawdle();
	return ist_cell_write_end(cell);
}

static int swap_one(struct ist_cell *cell, struct lin_operation *operation, struct log *log)
{
	void *content;
	int n = ist_cell_write_begin(cell, 0, MILLISECOND, &content);

	if (n)
		return n;
	operation->result = gather(content, log);
	dawdle();
	spread(content, operation->argument);
	/* Some give up half way. */
	if (next_random(8) == 0) {
		n = ist_cell_write_abort(cell);
		return n ? n : -EAGAIN;
	}
	return ist_cell_write_end(cell);
}

static const enum lin_type kinds_of[] = {LIN_READ, LIN_READ, LIN_WRITE, LIN_SWAP};

/* Everything this incarnation does. Its exit status is 0 when all was as documented. */
static int work(struct ist_group *group, uint32_t worker)
{
	struct log *log = &shared->logs[worker];
	struct ist_cell *cell;
	int n;

	do /* another may be stopped while it has the directory's lock */
		n = ist_cell_open(group, "c", &options, &cell);
	while (n == -ETIMEDOUT);
	if (n)
		return 2;
	while (log->used < OPERATIONS) {
		struct lin_operation *operation = &log->operations[log->used];
		struct lin_operation doing = {.type = kinds_of[next_random(4)]};

		/* Unique, also among episodes, so that a value tells who wrote it. */
		doing.argument =
			shared->episode << 40 | (uint64_t)(worker + 1) << 32 | (log->used + 1);
		dawdle();
		doing.call = moment();
		*operation = doing;
		__atomic_store_n(&log->used, log->used + 1, __ATOMIC_RELEASE);
		if (doing.type == LIN_READ)
			n = read_one(cell, &doing, log);
		else if (doing.type == LIN_WRITE)
			n = write_one(cell, &doing);
		else
			n = swap_one(cell, &doing, log);
		doing.returned = moment();
		/* Not done: not part of the history. Reads of the policy producer-consumer are no
		   part of an order of all. */
		if (n || (doing.type == LIN_READ && options.policy == IST_PRODUCER_CONSUMER))
			doing.type = LIN_NOTHING;
		*operation = doing;
		log->told += n == -EOWNERDEAD;
		if (n && n != -ETIMEDOUT && n != -EOWNERDEAD && n != -EAGAIN)
			return 3;
	}
	ist_cell_close(cell);
	return 0;
}

struct worker {
	struct ist_group *group;
	pid_t pid;
	int running;
};

static void launch(struct worker *worker, uint32_t i)
{
	worker->group = mem_join(i + 1);
	/* A new incarnation goes on with its own operations: what the last one was at stays open.
	 */
	worker->pid = fork();
	ck_assert_int_ge(worker->pid, 0);
	if (worker->pid == 0) {
		state = state * 31 + i + 1;
		self = i + 1;
		_exit(work(worker->group, i));
	}
	worker->running = 1;
}

/* Killed, and known to be gone, and only then told. */
static void bury(struct worker *worker, uint32_t i)
{
	int status;

	kill(worker->pid, SIGKILL);
	ck_assert_int_eq(waitpid(worker->pid, &status, 0), worker->pid);
	worker->running = 0;
	if (options.content_region) {
		incoherent_settle(i + 1);
		stir(i + 1);
	}
	if (WIFEXITED(status)) { /* it was through */
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		mem_leave(i + 1);
	} else {
		mem_die(i + 1);
	}
	mem_forget(worker->group);
}

static unsigned progress(void)
{
	unsigned sum = 0;
	uint32_t i;

	for (i = 0; i < WORKERS; i++)
		sum += __atomic_load_n(&shared->logs[i].used, __ATOMIC_ACQUIRE);
	return sum;
}

/* Kills, stops and starts until all have done their operations. Returns how many were killed. */
static unsigned disturb(struct worker *workers)
{
	/* By their operations, not by the clock: so that they get somewhere on any machine. */
	unsigned running = WORKERS, killed = 0, next = 0;

	while (running) {
		uint32_t i = (uint32_t)next_random(WORKERS);
		struct worker *worker = &workers[i];
		int status;

		if (!worker->running)
			continue;
		if (waitpid(worker->pid, &status, WNOHANG) == worker->pid) {
			ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
				      "worker %u: status 0x%x", i, (unsigned)status);
			worker->running = 0;
			mem_leave(i + 1);
			mem_forget(worker->group);
			stir(i + 1);
			running--;
			continue;
		}
		if (progress() < next) {
			usleep(50);
			continue;
		}
		next = progress() + 1 + (unsigned)next_random(40);
		usleep((useconds_t)next_random(100));
		if (next_random(3) == 0) {
			kill(worker->pid, SIGSTOP);
			usleep((useconds_t)next_random(2000));
			kill(worker->pid, SIGCONT);
		} else {
			bury(worker, i);
			killed++;
			launch(worker, i);
		}
	}
	return killed;
}

static uint64_t content_of(struct ist_cell *cell, struct log *log)
{
	uint64_t words[125];
	int n;

	do
		n = ist_cell_read(cell, words, NULL, IST_FOREVER);
	while (n == -EOWNERDEAD);
	ck_assert_int_eq(n, 0);
	return gather(words, log);
}

static void episode(struct ist_cell *cell, unsigned *killed, unsigned *told)
{
	static struct lin_operation all[WORKERS * OPERATIONS + 1];
	struct worker workers[WORKERS] = {0};
	uint64_t before, after, number;
	struct log own = {0};
	size_t count = 0;
	uint32_t i, j;

	number = shared->episode + 1;
	memset(shared, 0, sizeof(*shared));
	shared->episode = number;
	before = content_of(cell, &own);
	for (i = 0; i < WORKERS; i++)
		launch(&workers[i], i);
	*killed += disturb(workers);
	after = content_of(cell, &own);
	for (i = 0; i < WORKERS; i++) {
		struct log *log = &shared->logs[i];

		ck_assert_uint_eq(log->used, OPERATIONS);
		ck_assert_msg(!log->torn, "a content was torn");
		ck_assert_msg(!log->back, "a version went back");
		*told += log->told;
		for (j = 0; j < OPERATIONS; j++)
			all[count++] = log->operations[j];
	}
	ck_assert(!own.torn);
	/* What is there in the end was read by one more. */
	all[count] = (struct lin_operation){.type = LIN_READ, .result = after, .call = moment()};
	all[count++].returned = moment();
	lin_settle(all, count);
	ck_assert_msg(lin_check(all, count, before), "the history is not linearizable");
	/* And the check would notice: nobody has written this. */
	all[count - 1].result++;
	ck_assert_msg(!lin_check(all, count, before), "the check takes anything");
}

static void create(void)
{
	if (options.content_region)
		incoherent_create(REGION, POOL, WORKERS + 1);
	else
		mem_create(REGION);
}

START_TEST(killed_and_stopped)
{
	const char *text = getenv("STRESS_EPISODES"), *seed = getenv("STRESS_SEED");
	unsigned episodes = text ? (unsigned)strtoul(text, NULL, 0) : 6, killed = 0, told = 0, i;
	struct ist_cell_info info;
	struct ist_group *group;
	struct ist_cell *cell;

	state = seed ? strtoull(seed, NULL, 0) : ist_time_ns() | 1;
	printf("# %d: STRESS_SEED=%lu\n", _i, (unsigned long)state);
	options = (struct ist_cell_options){.region = "main",
					    .size = kinds[_i].size,
					    .policy = kinds[_i].policy,
					    .flags = kinds[_i].flags,
					    .seats = 8,
					    .content_region = kinds[_i].pool};
	create();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	group = mem_join(0);
	ck_assert_int_eq(ist_cell_open(group, "c", &options, &cell), 0);
	for (i = 0; i < episodes; i++)
		episode(cell, &killed, &told);
	ck_assert_int_eq(ist_cell_info(cell, &info), 0);
	printf("# %d: %u killed, %lu of them holding the cell; %lu versions\n", _i, killed,
	       (unsigned long)info.repairs, (unsigned long)info.version);
	ck_assert_uint_gt(killed, 0);
	ck_assert_uint_le(told, info.repairs);
	ist_cell_close(cell);
	mem_forget(group);
	munmap(shared, sizeof(*shared));
	mem_destroy();
}
END_TEST

/* The same without deaths, by threads of one mapping, where a sanitizer can see. */
static struct ist_group *groups[WORKERS];

/* Whether one version can be several operations: where who holds the cell does those of others. */
static int combines(uint32_t policy)
{
	return policy == IST_DELEGATED || policy == IST_ADAPTIVE;
}

static void *work_thread(void *argument)
{
	uint32_t worker = *(uint32_t *)argument;
	struct log *log = &shared->logs[worker];
	uint64_t words[125], mine = 0;
	struct ist_cell *cell;
	int64_t was;
	unsigned i;

	ck_assert_int_eq(ist_cell_open(groups[worker], "t", &options, &cell), 0);
	for (i = 0; i < OPERATIONS; i++) {
		const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1};
		uint64_t version = 0;

		ck_assert_int_eq(ist_cell_operate(cell, IST_OPERATION_ADD, one, &was, IST_FOREVER),
				 0);
		ck_assert_uint_ge((uint64_t)was, mine);
		mine = (uint64_t)was + 1;
		ck_assert_int_eq(ist_cell_read(cell, words, &version, IST_FOREVER), 0);
		/* Its own write is there, whatever others did. */
		ck_assert_uint_ge(words[0], mine);
		/* One addition a version; where they are combined, several. */
		if (combines(options.policy))
			ck_assert_uint_ge(words[0], version);
		else
			ck_assert_uint_eq(words[0], version);
		log->used++;
	}
	ist_cell_close(cell);
	return NULL;
}

START_TEST(threads)
{
	pthread_t thread[WORKERS];
	uint32_t number[WORKERS], i;
	uint64_t words[125], version = 0;
	struct ist_cell_info info;
	struct ist_cell *cell;

	/* Long contents are written and read at once by design, in slots: see copy.h. */
	options = (struct ist_cell_options){.region = "main",
					    .size = 40,
					    .policy = kinds[_i].policy,
					    .flags = kinds[_i].flags,
					    .seats = 8,
					    .content_region = kinds[_i].pool};
	create();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	for (i = 0; i < WORKERS; i++) {
		groups[i] = mem_join(i);
		number[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work_thread, &number[i]), 0);
	}
	for (i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(ist_cell_open(groups[0], "t", &options, &cell), 0);
	ck_assert_int_eq(ist_cell_info(cell, &info), 0);
	ck_assert_int_eq(ist_cell_read(cell, words, &version, IST_FOREVER), 0);
	ck_assert_uint_eq(words[0], WORKERS * OPERATIONS);
	ck_assert_uint_eq(info.version, version);
	if (combines(options.policy))
		ck_assert_uint_le(version, WORKERS * OPERATIONS);
	else
		ck_assert_uint_eq(version, WORKERS * OPERATIONS);
	ist_cell_close(cell);
	for (i = 0; i < WORKERS; i++)
		mem_forget(groups[i]);
	munmap(shared, sizeof(*shared));
	mem_destroy();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell_stress");
	TCase *kill_test = tcase_create("deaths"), *test = tcase_create("threads");

	setvbuf(stdout, NULL, _IOLBF, 0);
	tcase_add_loop_test(kill_test, killed_and_stopped, 0, KINDS);
	tcase_set_timeout(kill_test, 3600);
	suite_add_tcase(suite, kill_test);
	tcase_add_loop_test(test, threads, 0, KINDS);
	tcase_set_timeout(test, 120);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
