/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel_wait.c: a channel's ends in threads of their own, which wait for each other. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "channel_pair.h"
#include "tests/suite.h"

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
	Suite *suite = suite_create("channel, waiting");
	TCase *threads = tcase_create("waiting");

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
