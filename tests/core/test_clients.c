/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_clients.c: several clients of one peer, as the processes of a Linux guest are: each holds
 * what it holds, and dies alone. And what is left to do when a guest's device is taken away.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "group.h"
#include "platform.h"
#include "platform/memory.h"
#include "tests/suite.h"

#define SECOND 1000000000ull

static const struct ist_channel_options polling = {"main", 8, IST_CHANNEL_POLL, 1024};
static const struct ist_channel_options sleeping = {"main", 8, 0, 1024};

static struct ist_group *one, *two, *far; /* two clients of peer 0; all of peer 1 */
static struct ist_channel *s, *r;

static void setup(void)
{
	mem_create(65536);
	mem_forget(mem_join(0));
	one = mem_join_client(0, 1);
	two = mem_join_client(0, 2);
	far = mem_join(1);
}

static void teardown(void)
{
	mem_forget(one);
	mem_forget(two);
	mem_forget(far);
	mem_destroy();
}

static int64_t try_recv(struct ist_channel *channel)
{
	uint8_t data[64];

	return ist_channel_try_recv(channel, data, sizeof(data));
}

START_TEST(both_ends_in_one_guest)
{
	struct ist_channel *other;

	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_int_eq(ist_channel_open(two, "c", IST_RECEIVER, &polling, &r), 0);
	ck_assert_uint_ne(ist_group_owner(one), ist_group_owner(two));
	ck_assert_int_eq(ist_channel_try_send(s, "hi", 2), 0);
	ck_assert_int_eq(try_recv(r), 2);

	/* An end is its holder's, whoever of the same peer asks. */
	ck_assert_int_eq(ist_channel_open(two, "c", IST_SENDER, &polling, &other), -EBUSY);
	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &other), -EBUSY);
	ck_assert_int_eq(ist_channel_open(far, "c", IST_RECEIVER, &polling, &other), -EBUSY);
	ck_assert_uint_eq(mem_holds(), 2);
	ist_channel_close(s);
	ck_assert_int_eq(try_recv(r), -EPIPE);
	ck_assert_int_eq(ist_channel_open(two, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_int_eq(ist_channel_wait_peer(r, SECOND), 0);
	ist_channel_close(s);
	ist_channel_close(r);
	ck_assert_uint_eq(mem_holds(), 0);
}
END_TEST

static int64_t learn(struct ist_channel *channel)
{
	uint8_t data[64];

	return channel == s ? ist_channel_try_send(channel, "x", 1)
			    : ist_channel_try_recv(channel, data, sizeof(data));
}

/* Either end dies alone; the other one is elsewhere, polls, and is told. */
START_TEST(one_dies_the_peer_lives)
{
	enum ist_role role = _i ? IST_RECEIVER : IST_SENDER;
	struct ist_channel **mine = _i ? &r : &s, **others = _i ? &s : &r;
	uint64_t changes = *ist_group_changes(far);

	ck_assert_int_eq(ist_channel_open(one, "c", role, &polling, mine), 0);
	ck_assert_int_eq(
		ist_channel_open(far, "c", _i ? IST_SENDER : IST_RECEIVER, &polling, others), 0);
	ck_assert_int_eq(ist_channel_wait_peer(*others, SECOND), 0);
	ck_assert_int_eq(learn(*others), _i ? 0 : -EAGAIN);
	mem_die_client(two); /* somebody else */
	ck_assert_int_eq(learn(*others), _i ? 0 : -EAGAIN);
	mem_die_client(one);
	mem_forget_channel(*mine);
	ck_assert_int_eq(learn(*others), -EOWNERDEAD);
	ck_assert_int_eq(learn(*others), -EOWNERDEAD);
	ck_assert_int_eq(ist_channel_wait_peer(*others, 0), -ETIMEDOUT);
	ck_assert_uint_eq(*ist_group_changes(far), changes); /* the roster knew nothing of it */

	ck_assert_int_eq(ist_channel_open(two, "c", role, &polling, mine), 0);
	ck_assert_int_eq(ist_channel_wait_peer(*others, SECOND), 0);
	ck_assert_int_eq(learn(*others), _i ? 0 : -EAGAIN);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

/* Replaced before anybody looked: that is said once. */
START_TEST(died_and_replaced_unseen)
{
	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_int_eq(ist_channel_open(far, "c", IST_RECEIVER, &polling, &r), 0);
	ck_assert_int_eq(ist_channel_try_send(s, "a", 1), 0);
	ck_assert_int_eq(try_recv(r), 1);
	ck_assert_int_eq(ist_channel_try_send(s, "ab", 2), 0);
	mem_die_client(one);
	mem_forget_channel(s);
	/* The number of a client that has died may be given again at once. */
	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_int_eq(ist_channel_try_send(s, "abc", 3), 0);
	ck_assert_int_eq(try_recv(r), 2);
	ck_assert_int_eq(try_recv(r), -EPIPE);
	ck_assert_int_eq(try_recv(r), 3);
	ck_assert_int_eq(try_recv(r), -EAGAIN);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

START_TEST(lock_of_a_dead_client)
{
	struct ist_arena *arena = (struct ist_arena *)(void *)mem_region();

	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &s), 0);
	arena->lock = ist_group_owner(two);
	ck_assert_int_eq(ist_channel_open(far, "d", IST_SENDER, &polling, &r), -ETIMEDOUT);
	arena->lock |= IST_OWNER_DIED;
	ck_assert_int_eq(ist_channel_open(far, "d", IST_SENDER, &polling, &r), 0);
	ck_assert_uint_eq(arena->lock, 0);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

/* Where there can be no other client now, one that is named has ended. */
START_TEST(alone)
{
	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_int_eq(ist_channel_open(two, "c", IST_SENDER, &polling, &r), -EBUSY);
	two->alone = 1;
	ck_assert_int_eq(ist_group_fate(two, ist_group_owner(far)), IST_FATE_HERE);
	ck_assert_int_eq(ist_group_fate(two, ist_group_owner(two)), IST_FATE_HERE);
	ck_assert_int_eq(ist_channel_open(two, "c", IST_SENDER, &polling, &r), 0);
	ist_channel_close(r);
	mem_forget_channel(s);
}
END_TEST

START_TEST(too_many_holds)
{
	struct ist_channel *ends[IST_ARENA_SLOTS];
	unsigned count, i, held;
	char name[8] = "000";
	int error = 0;

	/* Of 256 words these are left six. */
	for (i = 0; i < 250; i++)
		ck_assert_int_eq(ist_platform_hold(two, 8 * (i + 1), 1), 0);
	held = mem_holds();
	for (count = 0; !error; count++) {
		name[1] = (char)('0' + count);
		error = ist_channel_open(one, name, IST_SENDER, &sleeping, &ends[count]);
	}
	ck_assert_int_eq(error, -ENOSPC);
	ck_assert_uint_ge(--count, 4);
	ck_assert_uint_eq(mem_holds(), held + count);
	ist_channel_close(ends[0]);
	ck_assert_int_eq(ist_channel_open(one, name, IST_SENDER, &sleeping, &ends[0]), 0);
	for (i = 0; i < count; i++)
		ist_channel_close(ends[i]);
	ck_assert_uint_eq(mem_holds(), held);
}
END_TEST

/* ---- Asleep ---- */

static void *receive(void *result)
{
	uint8_t data[64];

	*(int64_t *)result = ist_channel_recv(r, data, sizeof(data), IST_FOREVER);
	return NULL;
}

static void until_asleep(void)
{
	const struct ist_end *end = &mem_channel("c")->receiver;

	while (IST_WAKE_STATE(__atomic_load_n(&end->wake, __ATOMIC_ACQUIRE)) != IST_WAKE_ARMED)
		ist_sleep_ns(100000);
}

START_TEST(asleep_when_a_client_dies)
{
	const struct ist_channel_options *options = _i ? &polling : &sleeping;
	int64_t result = 0;
	pthread_t thread;

	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_int_eq(ist_channel_open(far, "c", IST_RECEIVER, options, &r), 0);
	ck_assert_int_eq(ist_channel_wait_peer(r, SECOND), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, receive, &result), 0);
	if (!_i)
		until_asleep();
	mem_die_client(one);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(result, -EOWNERDEAD);
	mem_forget_channel(s);
	ist_channel_close(r);
}
END_TEST

/* ---- The device is taken away ---- */

START_TEST(lost)
{
	struct ist_channel *other;
	struct ist_peer_info info;
	uint32_t seen = 0;
	uint8_t data[64];

	ck_assert_int_eq(ist_channel_open(one, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_int_eq(ist_channel_open(one, "c", IST_RECEIVER, &sleeping, &r), 0);
	ck_assert_int_eq(ist_channel_try_send(s, "hi", 2), 0);
	mem_lose(one);
	ck_assert_int_eq(ist_channel_recv(r, data, sizeof(data), IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_channel_send(s, "x", 1, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_channel_try_send(s, "x", 1), -ENODEV);
	ck_assert_int_eq(ist_channel_wait_peer(s, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_channel_wait_peer(r, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_channel_open(one, "d", IST_SENDER, &polling, &other), -ENODEV);
	ck_assert_int_eq(ist_peer_wait(one, "peer1", IST_FOREVER, &info), -ENODEV);
	ck_assert_int_eq(ist_doorbell_ring(one, 1, 1), -ENODEV);
	ck_assert_int_eq(ist_doorbell_wait(one, 1, &seen, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_peer_get(one, 1, &info), 0);
	ck_assert_int_eq(info.state, IST_STATE_ABSENT);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

START_TEST(lost_asleep)
{
	int64_t result = 0;
	pthread_t thread;

	ck_assert_int_eq(ist_channel_open(one, "c", IST_RECEIVER, &sleeping, &r), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, receive, &result), 0);
	until_asleep();
	mem_lose(one);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(result, -ENODEV);
	ist_channel_close(r);
}
END_TEST

START_TEST(deaf)
{
	uint32_t seen = 0;

	ck_assert_int_eq(ist_group_interrupts(far), 1);
	far->deaf = 1;
	ck_assert_int_eq(ist_group_interrupts(far), 0);
	ck_assert_int_eq(ist_doorbell_wait(far, 1, &seen, IST_FOREVER), -ENOSYS);
	ck_assert_int_eq(ist_doorbell_wait(far, MEM_VECTORS, &seen, 0), -EINVAL);
	ck_assert_int_eq(ist_doorbell_ring(far, 0, 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clients");
	TCase *tests = tcase_create("clients");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, both_ends_in_one_guest);
	tcase_add_loop_test(tests, one_dies_the_peer_lives, 0, 2);
	tcase_add_test(tests, died_and_replaced_unseen);
	tcase_add_test(tests, lock_of_a_dead_client);
	tcase_add_test(tests, alone);
	tcase_add_test(tests, too_many_holds);
	tcase_add_loop_test(tests, asleep_when_a_client_dies, 0, 2);
	tcase_add_test(tests, lost);
	tcase_add_test(tests, lost_asleep);
	tcase_add_test(tests, deaf);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
