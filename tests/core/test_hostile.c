/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hostile.c: a peer that writes whatever it may, wherever it may, while the victim works. The
 * victim never crashes, hangs or looks outside the group (nothing is mapped around it), and a link
 * that was spoiled can be closed and made anew.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

#define REGION 65536u
#define MILLISECOND 1000000ull

static struct ist_group *victim;
static int stop;

static void setup(void)
{
	mem_create(REGION);
	victim = mem_join(0);
	stop = 0;
}

static void teardown(void)
{
	mem_forget(victim);
	mem_destroy();
}

static void *scribble(void *argument)
{
	uint64_t state = 88172645463325252ull, random, *word;
	size_t mask = *(const size_t *)argument;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		random = xorshift(&state);
		word = (uint64_t *)(void *)(mem_region() + ((random >> 32) & mask & ~7ull));
		switch (random % 4) {
		case 0:
			__atomic_store_n(word, xorshift(&state), __ATOMIC_RELAXED);
			break;
		case 1:
			__atomic_store_n(word, 0, __ATOMIC_RELAXED);
			break;
		default:
			__atomic_fetch_add(word, random % 3 - 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

/* Everything the API allows, over and over; only documented results. */
static void work(enum ist_role role, unsigned rounds, unsigned *opened, unsigned *broken)
{
	struct ist_channel_options options = {"main", 8, 0, 4096};
	struct ist_channel *channel;
	static uint8_t data[4096];
	unsigned i, j;
	int64_t n;

	for (i = 0; i < rounds; i++) {
		n = ist_channel_open(victim, "c", role, &options, &channel);
		ck_assert_msg(n == 0 || n == -EPROTO || n == -ENOSPC || n == -EEXIST ||
				      n == -EBUSY || n == -ETIMEDOUT,
			      "open: %ld", (long)n);
		if (n) {
			/* What the directory became is nobody's arena any more: start anew. */
			memset(mem_region(), 0, sizeof(struct ist_arena));
			continue;
		}
		++*opened;
		for (j = 0; j < 200; j++) {
			if (role == IST_SENDER)
				n = ist_channel_send(channel, data, j * 20, MILLISECOND);
			else
				n = ist_channel_recv(channel, data, sizeof(data), MILLISECOND);
			ck_assert_msg((n >= 0 && n <= (int64_t)sizeof(data)) || n == -EPROTO ||
					      n == -ETIMEDOUT || n == -EPIPE || n == -EMSGSIZE ||
					      n == -EOWNERDEAD,
				      "%ld", (long)n);
			if (n == -EPROTO) {
				++*broken;
				break;
			}
		}
		ist_channel_close(channel);
	}
}

static void run(enum ist_role role, size_t mask)
{
	unsigned opened = 0, broken = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &mask), 0);
	work(role, 2000, &opened, &broken);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(opened, 0);
	ck_assert_uint_gt(broken, 0);
}

START_TEST(receiver_under_fire)
{
	run(IST_RECEIVER, REGION - 1);
}
END_TEST

START_TEST(sender_under_fire)
{
	run(IST_SENDER, REGION - 1);
}
END_TEST

/* A broken link: both ends are told, and when both are closed it starts afresh. */
START_TEST(broken_and_made_anew)
{
	struct ist_channel_options options = {"main", 8, IST_CHANNEL_POLL, 4096};
	struct ist_group *peer = mem_join(1);
	struct ist_channel *s, *r, *again;
	struct ist_line *line;
	struct ist_long where = {64, 4096};
	uint8_t data[4096];
	unsigned way;

	for (way = 0; way < 8; way++) {
		ck_assert_int_eq(ist_channel_open(victim, "c", IST_RECEIVER, &options, &r), 0);
		ck_assert_int_eq(ist_channel_open(peer, "c", IST_SENDER, &options, &s), 0);
		line = (struct ist_line *)(void *)(mem_channel("c") + 1);
		ck_assert_int_eq(ist_channel_try_send(s, data, 300), 0);
		ck_assert_int_eq(ist_channel_try_recv(r, data, sizeof(data)), 300);
		ck_assert_int_eq(ist_channel_try_send(s, data, 300), 0);
		switch (way) {
		case 0: /* a message from the future */
			line[1].header += (uint64_t)1 << 16;
			break;
		case 1: /* a length no line has */
			line[1].header = (line[1].header & ~0xffull) | 57;
			break;
		case 2: /* a long message beyond the ring's end */
			memcpy(line[1].payload, &where, sizeof(where));
			break;
		case 3: /* outside the ring */
			memset(line[1].payload, 0xff, 16);
			break;
		case 4: /* not on a line */
			line[1].payload[0] ^= 1;
			break;
		case 5: /* a sender that never was */
			line[1].header ^= 0x8000;
			break;
		case 6:
			mem_channel("c")->broken = 1;
			line[1].header = 0;
			break;
		default: /* more credit than was ever taken */
			mem_channel("c")->credit = 1000;
			while (!ist_channel_try_send(s, data, 300))
				;
			ck_assert_int_eq(ist_channel_try_send(s, data, 300), -EPROTO);
			line[1].header = 0;
		}
		ck_assert_msg(ist_channel_try_recv(r, data, sizeof(data)) == -EPROTO, "way %u",
			      way);
		ck_assert_int_eq(ist_channel_try_recv(r, data, sizeof(data)), -EPROTO);
		ck_assert_int_eq(ist_channel_wait_peer(r, 1), -EPROTO);
		ck_assert_int_eq(ist_channel_wait_peer(s, 1), -EPROTO);
		ist_channel_close(r);
		ck_assert_int_eq(ist_channel_open(victim, "c", IST_RECEIVER, &options, &again),
				 -EPROTO);
		ist_channel_close(s);
	}
	mem_forget(peer);
}
END_TEST

/* ---- The directory --------------------------------------------------------------------------- */

static int open_one(void)
{
	struct ist_channel_options options = {"main", 8, 0, 4096};
	struct ist_channel *channel;
	int error = ist_channel_open(victim, "c", IST_SENDER, &options, &channel);

	if (!error)
		ist_channel_close(channel);
	return error;
}

static struct ist_arena *arena(void)
{
	return (struct ist_arena *)(void *)mem_region();
}

START_TEST(lock_of_the_dead_and_of_the_living)
{
	struct ist_group *peer = mem_join(1);

	arena()->lock = IST_OWNER(1, 1, 0);
	ck_assert_int_eq(open_one(), -ETIMEDOUT);
	mem_die(1);
	ck_assert_int_eq(open_one(), 0);
	ck_assert_uint_eq(arena()->lock, 0);
	arena()->lock = IST_OWNER(1, 7, 0); /* an incarnation that never was */
	ck_assert_int_eq(open_one(), 0);
	arena()->lock = ~0ull;
	ck_assert_int_eq(open_one(), 0);
	mem_forget(peer);
}
END_TEST

START_TEST(corrupt_directory)
{
	struct ist_object *slot = (struct ist_object *)(void *)(arena() + 1);

	ck_assert_int_eq(open_one(), 0);
	slot->offset = REGION;
	ck_assert_int_eq(open_one(), -EPROTO);
	slot->offset = 0;
	ck_assert_int_eq(open_one(), -EPROTO);
	slot->offset = IST_ARENA_SIZE + 1;
	ck_assert_int_eq(open_one(), -EPROTO);
	slot->offset = IST_ARENA_SIZE;
	slot->size = ~0ull;
	ck_assert_int_eq(open_one(), -EPROTO);
	slot->size = 100; /* too small for the channel it says it is */
	ck_assert_int_eq(open_one(), -EPROTO);
	slot->size = REGION - IST_ARENA_SIZE;
	slot->parameters[0] = 65536;
	ck_assert_int_eq(open_one(), -EPROTO);
	slot->parameters[0] = 3;
	ck_assert_int_eq(open_one(), -EPROTO);
	slot->parameters[0] = 8;
	slot->parameters[1] = 0;
	ck_assert_int_eq(open_one(), 0);
	slot->type = 99;
	ck_assert_int_eq(open_one(), -EEXIST);
	memset(slot->name, 'x', sizeof(slot->name)); /* without an end */
	ck_assert_int_eq(open_one(), -ENOSPC);       /* its 48 KiB are taken */
	arena()->magic ^= 1;
	ck_assert_int_eq(open_one(), -EPROTO);
	ck_assert_uint_eq(arena()->lock, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *test = tcase_create("hostile");

	tcase_add_checked_fixture(test, setup, teardown);
#ifndef __SANITIZE_THREAD__ /* races are the point of these two */
	tcase_add_test(test, receiver_under_fire);
	tcase_add_test(test, sender_under_fire);
#else
	(void)receiver_under_fire;
	(void)sender_under_fire;
#endif
	tcase_add_test(test, broken_and_made_anew);
	tcase_add_test(test, lock_of_the_dead_and_of_the_living);
	tcase_add_test(test, corrupt_directory);
	tcase_set_timeout(test, 120);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
