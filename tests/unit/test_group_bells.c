/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_group_bells.c: doorbells of libisthmus in processes: rung, waited for by one and by many,
 * while peers and the broker die, and by one who means harm.
 */
#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "tests/joined_group.h"
#include "tests/suite.h"

/* ---- Doorbells ------------------------------------------------------------------------------- */

START_TEST(own_doorbell)
{
	uint32_t seen = 0, all = 0;

	ck_assert_int_eq(ist_doorbell_wait(group, FIXTURE_VECTORS, &seen, 0), -EINVAL);
	ck_assert_int_eq(ist_doorbell_ring(group, 0, FIXTURE_VECTORS), -EINVAL);
	ck_assert_int_eq(ist_doorbell_ring(group, FIXTURE_PEERS, 1), -EINVAL);
	ck_assert_int_eq(ist_doorbell_ring(group, UINT32_MAX, 1), -EINVAL);
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), -EPIPE);

	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 0), -ETIMEDOUT);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 2000000), -ETIMEDOUT);
	ck_assert_uint_eq(seen, 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 0, 1), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 0, 1), 0);
	ck_assert_int_eq(ist_doorbell_wait(group, 2, &all, 0), -ETIMEDOUT);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 0), 0); /* it has arrived */
	ck_assert_uint_eq(seen, 1);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 0), -ETIMEDOUT);
	seen = 0;
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), 0);
	ck_assert_uint_eq(seen, 1);
}
END_TEST

/* Answers every doorbell on vector 1 with one on vector 2. */
static void echo(struct ist_group *mine)
{
	uint32_t seen = 0;

	for (uint32_t i = 1; i <= 200; i++) {
		must(ist_doorbell_wait(mine, 1, &seen, PATIENCE_NS) == 0);
		must(get(flags(mine)) == i); /* the doorbell is a barrier */
		set(flags(mine) + 1, i);
		must(ist_doorbell_ring(mine, 0, 2) == 0);
	}
}

START_TEST(doorbells_between_peers)
{
	pid_t right = peer_start("right", echo);
	uint32_t seen = 0;

	ck_assert_int_eq(ist_peer_wait(group, "right", PATIENCE_NS, NULL), 0);
	for (uint32_t i = 1; i <= 200; i++) {
		flags(group)[0] = i;
		ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), 0);
		ck_assert_int_eq(ist_doorbell_wait(group, 2, &seen, PATIENCE_NS), 0);
		ck_assert_uint_eq(get(flags(group) + 1), i);
	}
	peer_join(right);
}
END_TEST

static void *follow(void *argument)
{
	uint32_t seen = 0, *told = argument;

	while (seen < 200 && ist_doorbell_wait(group, 1, &seen, PATIENCE_NS) == 0)
		set(told, seen);
	return NULL;
}

/* Who only looks in takes a doorbell that another thread sleeps for: that one must hear of it. */
START_TEST(look_in)
{
	uint32_t seen = 0, told = 0;
	pthread_t thread;

	must(!pthread_create(&thread, NULL, follow, &told));
	for (uint32_t i = 1; i <= 200; i++) {
		ist_sleep_ns(100000); /* it sleeps by now, mostly */
		ck_assert_int_eq(ist_doorbell_ring(group, 0, 1), 0);
		ist_doorbell_wait(group, 1, &seen, 0);
		await(&told, i);
	}
	must(!pthread_join(thread, NULL));
}
END_TEST

#define WAITERS 6
#define ROUNDS 100u

/* Threads that wait for different vectors, and for the same; each tells what it has seen. */
static uint32_t waiter_round[WAITERS];
static uint32_t waiters_stop;

static void *waiter(void *argument)
{
	uint32_t *round = argument, vector = (uint32_t)(round - waiter_round) % 3, seen = 0;

	while (!get(&waiters_stop)) {
		/* Some wait long, some look in: these must not swallow the others' doorbells. */
		uint64_t timeout = round - waiter_round < 3 ? PATIENCE_NS : 10000;

		if (ist_doorbell_wait(group, vector, &seen, timeout) == 0)
			set(round, seen);
	}
	return NULL;
}

START_TEST(many_waiters)
{
	pthread_t threads[WAITERS];
	uint32_t before[WAITERS];

	for (unsigned i = 0; i < WAITERS; i++)
		must(!pthread_create(&threads[i], NULL, waiter, &waiter_round[i]));
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t vector = round % 3;
		uint64_t deadline = ist_time_ns() + PATIENCE_NS;

		for (unsigned i = 0; i < WAITERS; i++)
			before[i] = get(&waiter_round[i]);
		ck_assert_int_eq(ist_doorbell_ring(group, 0, vector), 0);
		for (unsigned i = vector; i < WAITERS; i += 3) {
			while (get(&waiter_round[i]) == before[i]) {
				ck_assert(ist_time_ns() < deadline);
				ist_sleep_ns(10000);
			}
		}
	}
	set(&waiters_stop, 1);
	for (uint32_t vector = 0; vector < 3; vector++)
		ck_assert_int_eq(ist_doorbell_ring(group, 0, vector), 0);
	for (unsigned i = 0; i < WAITERS; i++)
		must(!pthread_join(threads[i], NULL));
}
END_TEST

/* ---- Death ----------------------------------------------------------------------------------- */

static void *ringer(void *argument)
{
	uint32_t *count = argument;

	while (!get(&waiters_stop)) {
		int r = ist_doorbell_ring(group, 1, 1);

		must(r == 0 || r == -EPIPE);
		if (r == 0)
			__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* The table of peers changes under threads that ring; nothing waits in between. */
START_TEST(ring_while_peers_change)
{
	uint32_t counts[2] = {0, 0};
	pthread_t threads[2];
	unsigned fds = count_descriptors();

	for (unsigned i = 0; i < 2; i++)
		must(!pthread_create(&threads[i], NULL, ringer, &counts[i]));
	for (uint32_t i = 1; i <= 30; i++) {
		uint32_t before = get(&counts[0]);
		pid_t right = peer_start("right", forever);

		await_state(1, i, IST_STATE_LIVE);
		while (get(&counts[0]) == before)
			ist_sleep_ns(10000);
		peer_kill(right);
		await_state(1, i, IST_STATE_DEAD);
	}
	set(&waiters_stop, 1);
	for (unsigned i = 0; i < 2; i++)
		must(!pthread_join(threads[i], NULL));
	/* One more look at the socket, so that the last GONE is taken too. */
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), -EPIPE);
	ist_peer_wait(group, "nobody", 100000000, NULL);
	ck_assert_uint_eq(count_descriptors(), fds);
}
END_TEST

/* Every poll of the library comes by here. */
static uint32_t polls;

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left = timeout ? *timeout : (struct timespec){0};

	__atomic_fetch_add(&polls, 1, __ATOMIC_SEQ_CST);
	return (int)syscall(SYS_ppoll, fds, count, timeout ? &left : NULL, mask, _NSIG / 8);
}

START_TEST(broker_dies)
{
	struct ist_group *g;
	uint32_t seen = 0;
	pid_t right;

	start();
	right = peer_start("right", echo);
	ck_assert_int_eq(ist_peer_wait(group, "right", PATIENCE_NS, NULL), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 0), 0); /* it is known */
	served_kill(&served);
	for (uint32_t i = 1; i <= 200; i++) {
		flags(group)[0] = i;
		ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), 0);
		ck_assert_int_eq(ist_doorbell_wait(group, 2, &seen, PATIENCE_NS), 0);
		ck_assert_uint_eq(get(flags(group) + 1), i);
	}
	peer_join(right);
	polls = 0;
	ck_assert_int_eq(ist_peer_wait(group, "nobody", 300000000, NULL), -ETIMEDOUT);
	ck_assert_uint_lt(get(&polls), 50); /* it sleeps, though the socket is readable */
	ck_assert_int_eq(ist_group_open("ping", &g), -ENOENT);
	ist_group_close(group);
}
END_TEST

/* ---- A hostile peer -------------------------------------------------------------------------- */

/* Fills every eventfd it has, its own and left's, and makes them blocking. */
static void clog_all(struct ist_group *mine)
{
	eventfd_t most = UINT64_MAX - 1;
	char path[64], target[64];

	must(ist_doorbell_ring(mine, 0, 2) == 0);
	for (int fd = 0; fd < 256; fd++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target));
		if (length < 20 || memcmp(target, "anon_inode:[eventfd]", 20))
			continue;
		eventfd_read(fd, &(eventfd_t){0});
		must(write(fd, &most, sizeof(most)) == sizeof(most));
		must(fcntl(fd, F_SETFL, 0) == 0);
	}
	set(flags(mine), 1);
	forever(mine);
}

START_TEST(clogged_doorbells)
{
	pid_t right = peer_start("right", clog_all);
	uint32_t seen[FIXTURE_VECTORS] = {0};

	await(flags(group), 1);
	for (uint32_t vector = 0; vector < FIXTURE_VECTORS; vector++) {
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(ist_doorbell_ring(group, 1, vector), 0);
		ck_assert_int_eq(ist_doorbell_wait(group, vector, &seen[vector], 0), 0);
		while (!ist_doorbell_wait(group, vector, &seen[vector], 0))
			;
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(ist_doorbell_ring(group, 0, vector), 0);
		ck_assert_int_eq(ist_doorbell_wait(group, vector, &seen[vector], 0), 0);
	}
	peer_kill(right);
	await_state(1, 1, IST_STATE_DEAD);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group_bells");
	TCase *with = tcase_create("joined"), *without = tcase_create("alone");

	tcase_add_checked_fixture(with, start, stop);
	tcase_add_test(with, own_doorbell);
	tcase_add_test(with, doorbells_between_peers);
	tcase_add_test(with, look_in);
	tcase_add_test(with, many_waiters);
	tcase_add_test(with, ring_while_peers_change);
	tcase_add_test(with, clogged_doorbells);
	tcase_add_test(without, broker_dies);
	suite_add_tcase(suite, with);
	suite_add_tcase(suite, without);
	return suite_run(suite);
}
