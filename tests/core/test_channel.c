/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel.c: channels between two peers: messages, room, waiting, coming and going. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "tests/suite.h"

#define SECOND 1000000000ull

static struct ist_group *alice, *bob;

static void setup(void)
{
	mem_create(1 << 20);
	alice = mem_join(0);
	bob = mem_join(1);
}

static void teardown(void)
{
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static struct ist_channel *open_end(struct ist_group *group, const char *name, enum ist_role role,
				    uint32_t lines, uint64_t bytes)
{
	struct ist_channel_options options = {NULL, lines, IST_CHANNEL_POLL, bytes};
	struct ist_channel *channel;

	ck_assert_int_eq(ist_channel_open(group, name, role, &options, &channel), 0);
	return channel;
}

/* A message's bytes follow from its number and length, so that a torn or swapped one shows. */
static void fill(uint8_t *data, size_t size, uint64_t number)
{
	size_t i;

	for (i = 0; i < size; i++)
		data[i] = (uint8_t)(number * 31 + i * 7 + size);
}

static void expect(const uint8_t *data, size_t size, uint64_t number)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (data[i] != (uint8_t)(number * 31 + i * 7 + size))
			ck_abort_msg("message %lu of %zu bytes differs at byte %zu",
				     (unsigned long)number, size, i);
}

static void send_one(struct ist_channel *channel, uint64_t number, size_t size)
{
	uint8_t data[8192];

	fill(data, size, number);
	ck_assert_int_eq(ist_channel_try_send(channel, data, size), 0);
}

static void recv_one(struct ist_channel *channel, uint64_t number, size_t size)
{
	uint8_t data[8192];

	ck_assert_int_eq(ist_channel_try_recv(channel, data, sizeof(data)), (int64_t)size);
	expect(data, size, number);
}

static int64_t recv_any(struct ist_channel *channel)
{
	uint8_t data[8192];

	return ist_channel_try_recv(channel, data, sizeof(data));
}

START_TEST(every_size)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 4096);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 4096);
	size_t size;

	ck_assert_uint_eq(ist_channel_max_message(s), 4096);
	for (size = 0; size <= 4096; size++) {
		send_one(s, size, size);
		recv_one(r, size, size);
	}
	ck_assert_int_eq(recv_any(r), -EAGAIN);
	ck_assert_int_eq(ist_channel_try_send(s, "", 4097), -EMSGSIZE);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

/* Random bursts of random sizes over many laps of lines and ring. */
START_TEST(bursts)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 16, 8192);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 16, 8192);
	size_t sizes[64];
	uint64_t sent = 0, received = 0;
	uint8_t data[8192];
	int step, burst, error;

	srand(1);
	for (step = 0; step < 50000; step++) {
		for (burst = rand() % 20; burst; burst--) {
			size_t size = rand() % 3 ? (size_t)rand() % 57 : (size_t)rand() % 8193;

			fill(data, size, sent);
			error = ist_channel_try_send(s, data, size);
			if (error == -EAGAIN)
				break;
			ck_assert_int_eq(error, 0);
			sizes[sent++ % 64] = size;
		}
		for (burst = rand() % 20; burst && received < sent; burst--, received++)
			recv_one(r, received, sizes[received % 64]);
		if (received == sent)
			ck_assert_int_eq(recv_any(r), -EAGAIN);
	}
	ck_assert_uint_gt(received, 100000);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

START_TEST(lines_run_out_and_come_back)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 1);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 1);
	uint64_t i;

	ck_assert_uint_eq(ist_channel_max_message(s), 56);
	for (i = 0; i < 8; i++)
		send_one(s, i, 8);
	ck_assert_int_eq(ist_channel_try_send(s, "x", 1), -EAGAIN);
	ck_assert_int_eq(ist_channel_send(s, "x", 1, 1000), -ETIMEDOUT);
	ck_assert_int_eq(ist_channel_send(s, "x", 1, 0), -ETIMEDOUT);
	for (i = 0; i < 8; i++)
		recv_one(r, i, 8);
	ck_assert_int_eq(recv_any(r), -EAGAIN); /* an empty ring gives all credit back */
	for (i = 8; i < 16; i++)
		send_one(s, i, 8);
	for (i = 8; i < 16; i++)
		recv_one(r, i, 8);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

/* The whole ring, from every place the ring can be at. */
START_TEST(message_of_the_whole_ring)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 1024);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 1024);
	size_t shift;

	for (shift = 57; shift < 1024; shift += 64) {
		send_one(s, shift, shift);
		ck_assert_int_eq(ist_channel_try_send(s, mem_base(), 1024), -EAGAIN);
		recv_one(r, shift, shift);
		ck_assert_int_eq(recv_any(r), -EAGAIN);
		send_one(s, 1, 1024);
		recv_one(r, 1, 1024);
		ck_assert_int_eq(recv_any(r), -EAGAIN);
	}
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

START_TEST(too_small_a_buffer_keeps_the_message)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 1024);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 1024);
	uint8_t data[100];

	send_one(s, 1, 100);
	send_one(s, 2, 10);
	ck_assert_int_eq(ist_channel_try_recv(r, data, 99), -EMSGSIZE);
	ck_assert_int_eq(ist_channel_recv(r, data, 99, SECOND), -EMSGSIZE);
	recv_one(r, 1, 100);
	ck_assert_int_eq(ist_channel_try_recv(r, data, 9), -EMSGSIZE);
	ck_assert_int_eq(ist_channel_recv(s, data, 9, SECOND), -EINVAL);
	ck_assert_int_eq(ist_channel_try_send(r, data, 9), -EINVAL);
	recv_one(r, 2, 10);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

START_TEST(in_place)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 4096);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 4096);
	const void *seen, *again;
	void *room;

	ck_assert_int_eq(ist_channel_commit(s, 0), -EINVAL);
	ck_assert_int_eq(ist_channel_release(r), -EINVAL);
	ck_assert_int_eq(ist_channel_try_reserve(s, 4096, &room), 0);
	ck_assert_int_eq(ist_channel_try_reserve(s, 3000, &room), 0); /* instead of the first */
	ck_assert_int_eq(ist_channel_commit(s, 3001), -EINVAL);
	fill(room, 2000, 5);
	ck_assert_int_eq(ist_channel_try_peek(r, &seen), -EAGAIN);
	ck_assert_int_eq(ist_channel_commit(s, 2000), 0);
	ck_assert_int_eq(ist_channel_commit(s, 2000), -EINVAL);
	ck_assert_int_eq(ist_channel_reserve(s, 20, SECOND, &room), 0);
	fill(room, 20, 6);
	ck_assert_int_eq(ist_channel_commit(s, 20), 0);

	ck_assert_int_eq(ist_channel_try_peek(r, &seen), 2000);
	ck_assert_int_eq(ist_channel_peek(r, SECOND, &again), 2000);
	ck_assert_ptr_eq(seen, again);
	expect(seen, 2000, 5);
	ck_assert_int_eq(ist_channel_release(r), 0);
	ck_assert_int_eq(ist_channel_peek(r, SECOND, &seen), 20);
	expect(seen, 20, 6);
	ck_assert_int_eq(ist_channel_release(r), 0);
	ck_assert_int_eq(ist_channel_release(r), -EINVAL);
	ck_assert_int_eq(ist_channel_try_peek(s, &seen), -EINVAL);
	ck_assert_int_eq(ist_channel_try_reserve(r, 1, &room), -EINVAL);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

START_TEST(batches)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 1024);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 1024);
	uint8_t out[12][64], in[12][64];
	struct ist_message messages[12];
	unsigned i;

	for (i = 0; i < 12; i++) {
		fill(out[i], 50 + i, i);
		messages[i] = (struct ist_message){out[i], 50 + i};
	}
	ck_assert_int_eq(ist_channel_try_send_batch(s, messages, 12), 8);
	ck_assert_int_eq(ist_channel_try_send_batch(s, messages, 12), -EAGAIN);
	for (i = 0; i < 12; i++)
		messages[i] = (struct ist_message){in[i], 64};
	ck_assert_int_eq(ist_channel_try_recv_batch(r, messages, 12), 8);
	ck_assert_int_eq(ist_channel_try_recv_batch(r, messages, 12), -EAGAIN);
	for (i = 0; i < 8; i++) {
		ck_assert_uint_eq(messages[i].size, 50 + i);
		expect(in[i], 50 + i, i);
	}
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

START_TEST(opening)
{
	struct ist_channel_options options = {0};
	struct ist_channel *c, *d, *many[IST_ARENA_SLOTS];
	char name[16];
	unsigned i;

	ck_assert_int_eq(ist_channel_open(alice, "", IST_SENDER, NULL, &c), -EINVAL);
	ck_assert_int_eq(ist_channel_open(alice, "a b", IST_SENDER, NULL, &c), -EINVAL);
	ck_assert_int_eq(
		ist_channel_open(alice, "12345678901234567890123456789012", IST_SENDER, NULL, &c),
		-EINVAL);
	ck_assert_int_eq(ist_channel_open(alice, "x", (enum ist_role)7, NULL, &c), -EINVAL);
	options.lines = 100;
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), -EINVAL);
	options.lines = 4;
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), -EINVAL);
	options.lines = 8;
	options.bytes = 3;
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), -EINVAL);
	options.bytes = 1;
	options.flags = 2;
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), -EINVAL);
	options.flags = 0;
	options.region = "nowhere";
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), -ENOENT);
	options.region = "view";
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), -EACCES);
	options.region = "main";
	options.bytes = 1 << 20;
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), -ENOSPC);

	options.bytes = 1;
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &c), 0);
	ck_assert_int_eq(ist_channel_open(alice, "x", IST_SENDER, &options, &d), -EBUSY);
	ck_assert_int_eq(ist_channel_open(bob, "x", IST_SENDER, &options, &d), -EBUSY);
	ck_assert_int_eq(ist_channel_wait_peer(c, 1000), -ETIMEDOUT);
	/* The first opener's sizes hold. */
	options.lines = 64;
	options.bytes = 4096;
	ck_assert_int_eq(ist_channel_open(bob, "x", IST_RECEIVER, &options, &d), 0);
	ck_assert_uint_eq(ist_channel_max_message(d), 56);
	ck_assert_int_eq(ist_channel_wait_peer(c, SECOND), 0);
	ck_assert_int_eq(ist_channel_wait_peer(d, SECOND), 0);
	ist_channel_close(c);
	ist_channel_close(d);

	options.lines = 8;
	options.bytes = 1;
	for (i = 0; i < IST_ARENA_SLOTS - 1; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		ck_assert_int_eq(ist_channel_open(alice, name, IST_SENDER, &options, &many[i]), 0);
	}
	ck_assert_int_eq(ist_channel_open(alice, "one-more", IST_SENDER, &options, &c), -ENOSPC);
	while (i--)
		ist_channel_close(many[i]);
}
END_TEST

START_TEST(sent_before_the_receiver_came)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 1024), *r;

	send_one(s, 1, 8);
	send_one(s, 2, 100);
	ist_channel_close(s);
	r = open_end(bob, "c", IST_RECEIVER, 8, 1024);
	recv_one(r, 1, 8);
	recv_one(r, 2, 100);
	ck_assert_int_eq(recv_any(r), -EAGAIN); /* it never knew that sender */
	ck_assert_int_eq(ist_channel_recv(r, NULL, 0, 0), -ETIMEDOUT);
	ck_assert_int_eq(ist_channel_recv(r, NULL, 0, 1000), -ETIMEDOUT);
	s = open_end(alice, "c", IST_SENDER, 8, 1024);
	send_one(s, 3, 8);
	recv_one(r, 3, 8);
	ist_channel_close(s);
	ck_assert_int_eq(recv_any(r), -EPIPE);
	ck_assert_int_eq(recv_any(r), -EPIPE);
	ck_assert_int_eq(ist_channel_wait_peer(r, 1000), -ETIMEDOUT);
	s = open_end(alice, "c", IST_SENDER, 8, 1024);
	ck_assert_int_eq(ist_channel_wait_peer(r, SECOND), 0);
	ck_assert_int_eq(recv_any(r), -EAGAIN);
	ist_channel_close(r);
	ck_assert_int_eq(ist_channel_try_send(s, "x", 1), -EPIPE);
	ist_channel_close(s);
}
END_TEST

START_TEST(sender_dies)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 4096), *dead = s;
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 4096);
	struct ist_group *dead_alice = alice;
	void *room;

	send_one(s, 1, 8);
	recv_one(r, 1, 8);
	send_one(s, 2, 8);
	send_one(s, 3, 1000);
	ck_assert_int_eq(ist_channel_try_reserve(s, 500, &room), 0);
	fill(room, 300, 9); /* never committed */
	mem_die(0);
	recv_one(r, 2, 8);
	recv_one(r, 3, 1000);
	ck_assert_int_eq(recv_any(r), -EOWNERDEAD);
	ck_assert_int_eq(recv_any(r), -EOWNERDEAD);
	ck_assert_int_eq(ist_channel_recv(r, room, 0, SECOND), -EOWNERDEAD);

	alice = mem_join(0);
	s = open_end(alice, "c", IST_SENDER, 8, 4096);
	ck_assert_int_eq(ist_channel_wait_peer(r, SECOND), 0);
	send_one(s, 4, 600);
	send_one(s, 5, 8);
	recv_one(r, 4, 600);
	recv_one(r, 5, 8);
	ck_assert_int_eq(recv_any(r), -EAGAIN);
	ist_channel_close(r);
	ist_channel_close(s);
	mem_forget_channel(dead);
	mem_forget(dead_alice);
}
END_TEST

/* A new sender came before the receiver noticed the death: the change is told once, in its place.
 */
START_TEST(sender_replaced_unseen)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 4096), *dead = s;
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 4096);
	struct ist_group *dead_alice = alice;

	send_one(s, 1, 8);
	recv_one(r, 1, 8);
	send_one(s, 2, 100);
	mem_die(0);
	alice = mem_join(0);
	s = open_end(alice, "c", IST_SENDER, 8, 4096);
	send_one(s, 3, 200);
	recv_one(r, 2, 100);
	ck_assert_int_eq(recv_any(r), -EOWNERDEAD);
	recv_one(r, 3, 200);
	ck_assert_int_eq(recv_any(r), -EAGAIN);

	ist_channel_close(s);
	s = open_end(alice, "c", IST_SENDER, 8, 4096);
	ck_assert_int_eq(recv_any(r), -EPIPE); /* the old one had closed */
	ck_assert_int_eq(recv_any(r), -EAGAIN);
	send_one(s, 4, 8);
	recv_one(r, 4, 8);
	ist_channel_close(r);
	ist_channel_close(s);
	mem_forget_channel(dead);
	mem_forget(dead_alice);
}
END_TEST

START_TEST(receiver_dies)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 64, 4096);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 64, 4096), *dead = r;
	struct ist_group *dead_bob = bob;
	uint64_t i, first;
	uint8_t data[64];

	for (i = 0; i < 40; i++)
		send_one(s, i, i + 1);
	for (i = 0; i < 20; i++)
		recv_one(r, i, i + 1);
	mem_die(1);
	ck_assert_int_eq(ist_channel_try_send(s, "x", 1), -EOWNERDEAD);
	ck_assert_int_eq(ist_channel_try_send(s, "x", 1), -EOWNERDEAD);
	bob = mem_join(1);
	r = open_end(bob, "c", IST_RECEIVER, 64, 4096);
	ck_assert_int_eq(ist_channel_wait_peer(s, SECOND), 0);
	send_one(s, 40, 41);
	/* It takes up where the dead one had published: not later than it had got to. */
	first = (uint64_t)ist_channel_try_recv(r, data, sizeof(data)) - 1;
	ck_assert_uint_le(first, 20);
	expect(data, first + 1, first);
	for (i = first + 1; i <= 40; i++)
		recv_one(r, i, i + 1);
	ck_assert_int_eq(recv_any(r), -EAGAIN);
	ist_channel_close(r);
	ist_channel_close(s);
	mem_forget_channel(dead);
	mem_forget(dead_bob);
}
END_TEST

START_TEST(peer_leaves_the_group)
{
	struct ist_channel *s = open_end(alice, "c", IST_SENDER, 8, 1024);
	struct ist_channel *r = open_end(bob, "c", IST_RECEIVER, 8, 1024);

	send_one(s, 1, 8);
	mem_leave(0);
	recv_one(r, 1, 8);
	ck_assert_int_eq(recv_any(r), -EPIPE);
	ist_channel_close(r);
	mem_forget_channel(s);
}
END_TEST

/* ---- Waiting --------------------------------------------------------------------------------- */

struct worker {
	struct ist_channel *channel;
	uint64_t count;
	size_t largest;
	unsigned pause_us; /* now and then */
};

static void *sender_main(void *argument)
{
	struct worker *w = argument;
	unsigned seed = 7;
	uint8_t data[4096];
	uint64_t i;

	for (i = 0; i < w->count; i++) {
		size_t size = (size_t)rand_r(&seed) % (w->largest + 1);

		fill(data, size, i);
		if (ist_channel_send(w->channel, data, size, 20 * SECOND))
			return (void *)1;
		if (w->pause_us && i % 64 == 0)
			ist_sleep_ns(1000u * ((unsigned)rand_r(&seed) % w->pause_us));
	}
	return NULL;
}

static void run_threads(uint32_t flags, uint64_t count, size_t largest, unsigned pause_us,
			uint32_t lines)
{
	struct ist_channel_options options = {NULL, lines, flags, 4096};
	struct worker worker = {NULL, count, largest, pause_us};
	struct ist_channel *r;
	uint8_t data[4096];
	unsigned seed = 7;
	pthread_t thread;
	void *failed;
	uint64_t i;

	ck_assert_int_eq(ist_channel_open(alice, "c", IST_SENDER, &options, &worker.channel), 0);
	ck_assert_int_eq(ist_channel_open(bob, "c", IST_RECEIVER, &options, &r), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, sender_main, &worker), 0);
	for (i = 0; i < count; i++) {
		size_t size = (size_t)rand_r(&seed) % (largest + 1);

		ck_assert_int_eq(ist_channel_recv(r, data, sizeof(data), 20 * SECOND),
				 (int64_t)size);
		expect(data, size, i);
		if (pause_us && i % 64 == 0)
			(void)rand_r(&seed); /* the sender's seed moves there, too */
	}
	pthread_join(thread, &failed);
	ck_assert_ptr_null(failed);
	ist_channel_close(worker.channel);
	ist_channel_close(r);
}

START_TEST(threads_poll)
{
	run_threads(IST_CHANNEL_POLL, 30000, 56, 0, 8);
}
END_TEST

START_TEST(threads_poll_long)
{
	run_threads(IST_CHANNEL_POLL, 30000, 4096, 0, 8);
}
END_TEST

START_TEST(threads_adaptive)
{
	run_threads(0, 50000, 2000, 0, 8);
}
END_TEST

/* Both ends sleep all the time: one lost wake-up and the run times out. */
START_TEST(threads_sleepy)
{
	run_threads(0, 20000, 1000, 200, 8);
}
END_TEST

static void *late_sender(void *argument)
{
	ist_sleep_ns(50000000);
	return (void *)(intptr_t)ist_channel_try_send(argument, "late", 4);
}

START_TEST(asleep_and_woken)
{
	struct ist_channel_options options = {NULL, 8, 0, 1};
	struct ist_channel *s, *r;
	uint32_t rings;
	pthread_t thread;
	char data[4];
	void *result;

	ck_assert_int_eq(ist_channel_open(alice, "c", IST_SENDER, &options, &s), 0);
	ck_assert_int_eq(ist_channel_open(bob, "c", IST_RECEIVER, &options, &r), 0);
	rings = mem_rings(1);
	pthread_create(&thread, NULL, late_sender, s);
	ck_assert_int_eq(ist_channel_recv(r, data, 4, IST_FOREVER), 4);
	pthread_join(thread, &result);
	ck_assert_ptr_null(result);
	ck_assert_uint_eq(mem_rings(1), rings + 1); /* rung once, for a sleeper alone */
	ck_assert_int_eq(ist_channel_try_send(s, "a", 1), 0);
	ck_assert_uint_eq(mem_rings(1), rings + 1);
	ist_channel_close(s);
	ist_channel_close(r);
}
END_TEST

static void *late_death(void *argument)
{
	(void)argument;
	ist_sleep_ns(50000000);
	mem_die(0);
	return NULL;
}

START_TEST(asleep_when_the_sender_dies)
{
	struct ist_channel_options options = {NULL, 8, 0, 1};
	struct ist_channel *s, *r;
	pthread_t thread;
	char data[4];

	ck_assert_int_eq(ist_channel_open(alice, "c", IST_SENDER, &options, &s), 0);
	ck_assert_int_eq(ist_channel_open(bob, "c", IST_RECEIVER, &options, &r), 0);
	pthread_create(&thread, NULL, late_death, NULL);
	ck_assert_int_eq(ist_channel_recv(r, data, 4, IST_FOREVER), -EOWNERDEAD);
	pthread_join(thread, NULL);
	ist_channel_close(r);
	mem_forget_channel(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("channel");
	TCase *test = tcase_create("messages"), *threads = tcase_create("waiting");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, every_size);
	tcase_add_test(test, bursts);
	tcase_add_test(test, lines_run_out_and_come_back);
	tcase_add_test(test, message_of_the_whole_ring);
	tcase_add_test(test, too_small_a_buffer_keeps_the_message);
	tcase_add_test(test, in_place);
	tcase_add_test(test, batches);
	tcase_add_test(test, opening);
	tcase_add_test(test, sent_before_the_receiver_came);
	tcase_add_test(test, sender_dies);
	tcase_add_test(test, sender_replaced_unseen);
	tcase_add_test(test, receiver_dies);
	tcase_add_test(test, peer_leaves_the_group);
	tcase_set_timeout(test, 240); /* TSan on a busy machine */
	suite_add_tcase(suite, test);
	tcase_add_checked_fixture(threads, setup, teardown);
	tcase_add_test(threads, threads_poll);
	tcase_add_test(threads, threads_poll_long);
	tcase_add_test(threads, threads_adaptive);
	tcase_add_test(threads, threads_sleepy);
	tcase_add_test(threads, asleep_and_woken);
	tcase_add_test(threads, asleep_when_the_sender_dies);
	tcase_set_timeout(threads, 120);
	suite_add_tcase(suite, threads);
	return suite_run(suite);
}
