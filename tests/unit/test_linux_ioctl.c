/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_linux_ioctl.c: what libisthmus asks of our module in a Linux guest: to ring, to wait, to
 * hold what its process leaves behind; and that the device may go meanwhile.
 */
#include <check.h>
#include <pthread.h>

#include "tests/linux_driver.h"
#include "tests/suite.h"

#include "guestlib/core/group.h"

static struct ist_group *group;
static const struct ist_channel_options polling = {"shared", 8, IST_CHANNEL_POLL, 1};
static const struct ist_channel_options sleeping = {"shared", 8, 0, 1};

/* ---- Doorbells ---- */

START_TEST(rings_by_register)
{
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(driver.registers[DOORBELL / 4], IST_DOORBELL(2, 1));
	ck_assert_int_eq(ist_doorbell_ring(group, TREE_ID, 2), 0); /* another process, perhaps */
	ck_assert_uint_eq(driver.registers[DOORBELL / 4], IST_DOORBELL(TREE_ID, 2));
	ck_assert_int_eq(ist_doorbell_ring(group, 3, 1), -EPIPE);
	ck_assert_uint_eq(driver.rings, 0);
	ist_group_close(group);
}
END_TEST

START_TEST(rings_by_the_driver)
{
	driver.info.registers = 0;
	driver.info.doorbell = 77777; /* nobody's */
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(driver.rings, 1);
	ck_assert_uint_eq(driver.ring.peer, 2);
	ck_assert_uint_eq(driver.ring.incarnation, 5);
	ck_assert_uint_eq(driver.ring.vector, 1);
	ck_assert_uint_eq(driver.ring.reserved, 0);
	driver.error[1] = EPIPE;
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -EPIPE);
	driver.error[1] = EINVAL;
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -EPIPE);
	driver.error[1] = ENODEV;
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -ENODEV);
	ist_group_close(group);
}
END_TEST

static void *deliver_later(void *argument)
{
	ist_sleep_ns(20000000);
	deliver(*(const uint32_t *)argument);
	return NULL;
}

START_TEST(waits)
{
	uint32_t seen = 0, vector = 2;
	pthread_t thread;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 0), -ETIMEDOUT);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 1000000), -ETIMEDOUT);
	deliver(1);
	deliver(1);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), 0);
	ck_assert_uint_eq(seen, 2);
	seen = 0;
	ck_assert(!pthread_create(&thread, NULL, deliver_later, &vector));
	ck_assert_int_eq(ist_doorbell_wait(group, 2, &seen, IST_FOREVER), 0);
	ck_assert_uint_eq(seen, 1);
	ck_assert(!pthread_join(thread, NULL));
	ck_assert_uint_gt(driver.waits, 2); /* one was interrupted */
	ist_group_close(group);
}
END_TEST

/* A device with too few interrupts: who waits looks again and again. */
START_TEST(deaf)
{
	uint32_t seen = 0;

	driver.info.vectors = _i ? FIXTURE_VECTORS - 1 : 0;
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_group_interrupts(group), 0);
	ck_assert_uint_eq(ist_group_vectors(group), FIXTURE_VECTORS);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), -ENOSYS);
	ck_assert_int_eq(ist_peer_wait(group, "none", 10000000, NULL), -ETIMEDOUT);
	ck_assert_uint_ge(driver.waits, 2);
	ck_assert_uint_le(driver.last_wait_ns, 1000000);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(driver.registers[DOORBELL / 4], IST_DOORBELL(2, 1));
	ist_group_close(group);
}
END_TEST

/* ---- Holding ---- */

START_TEST(declares_what_it_holds)
{
	struct ist_channel *s, *r, *other;
	struct ist_group *second;
	char byte;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_group_open(NULL, &second), 0);
	ck_assert_int_eq(ist_channel_open(group, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_uint_eq(driver.holds, 1);
	/* The directory's lock, taken and given back, and the end. */
	ck_assert_uint_eq(driver.hold_calls, 3);
	ck_assert_uint_eq(*held_word(0), ist_group_owner(group));
	ck_assert_int_eq(ist_channel_open(second, "c", IST_SENDER, &polling, &other), -EBUSY);
	ck_assert_uint_eq(driver.holds, 1);
	ck_assert_int_eq(ist_channel_open(second, "c", IST_RECEIVER, &polling, &r), 0);
	ck_assert_uint_eq(driver.holds, 2);
	ck_assert_int_eq(ist_channel_try_send(s, "x", 1), 0);
	ck_assert_int_eq(ist_channel_try_recv(r, &byte, 1), 1);
	die(group);
	ck_assert_int_eq(ist_channel_try_recv(r, &byte, 1), -EOWNERDEAD);
	ck_assert_int_eq(ist_channel_open(second, "c", IST_SENDER, &polling, &other), 0);
	ck_assert_int_eq(ist_channel_wait_peer(r, SECOND), 0);
	ist_channel_close(other);
	ist_channel_close(r);
	ist_group_close(second);
	/* The dead one's end was never given back. */
	ck_assert_uint_eq(driver.holds, 1);
	ist_channel_close(s);
	ck_assert_uint_eq(driver.holds, 0);
	ist_group_close(group);
}
END_TEST

START_TEST(no_more_to_hold)
{
	struct ist_channel *channel;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	driver.error[4] = ENOSPC;
	ck_assert_int_eq(ist_channel_open(group, "c", IST_SENDER, &polling, &channel), -ENOSPC);
	driver.error[4] = 0;
	ck_assert_int_eq(ist_channel_open(group, "c", IST_SENDER, &polling, &channel), 0);
	ist_channel_close(channel);
	ck_assert_uint_eq(driver.holds, 0);
	ist_group_close(group);
}
END_TEST

static bool is_held(uint64_t owner)
{
	bool held = false;

	pthread_mutex_lock(&driver.lock);
	for (unsigned i = 0; i < driver.holds; i++)
		held |= *held_word(i) == owner;
	pthread_mutex_unlock(&driver.lock);
	return held;
}

/* Threads that hand an end to one another: never two declarations of a word, never one too few. */
static void *open_and_close(void *unused)
{
	struct ist_channel *channel;

	(void)unused;
	for (unsigned i = 0; i < 2000; i++) {
		int err = ist_channel_open(group, "c", IST_SENDER, &polling, &channel);

		if (err == -EBUSY)
			continue;
		ck_assert_int_eq(err, 0);
		/* It is declared as long as it is ours. */
		ck_assert(is_held(ist_group_owner(group)));
		ist_channel_close(channel);
	}
	return NULL;
}

START_TEST(threads_share_a_word)
{
	pthread_t thread[2];

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(!pthread_create(&thread[i], NULL, open_and_close, NULL));
	for (unsigned i = 0; i < 2; i++)
		ck_assert(!pthread_join(thread[i], NULL));
	ck_assert_uint_eq(driver.holds, 0);
	ist_group_close(group);
}
END_TEST

/* ---- The device is taken away ---- */

static void *unbind_later(void *unused)
{
	ist_sleep_ns(20000000);
	unbind();
	return unused;
}

START_TEST(unbound_asleep)
{
	struct ist_region_info region;
	struct ist_channel *r, *s;
	pthread_t thread;
	uint32_t seen = 0;
	char byte;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_region_get(group, 0, &region), 0);
	ck_assert_int_eq(ist_channel_open(group, "c", IST_RECEIVER, &sleeping, &r), 0);
	ck_assert_int_eq(ist_channel_open(group, "d", IST_SENDER, &sleeping, &s), 0);
	ck_assert(!pthread_create(&thread, NULL, unbind_later, NULL));
	ck_assert_int_eq(ist_channel_recv(r, &byte, 1, IST_FOREVER), -ENODEV);
	ck_assert(!pthread_join(thread, NULL));
	ck_assert_int_eq(ist_channel_send(s, &byte, 1, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -ENODEV);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_peer_wait(group, "third", IST_FOREVER, NULL), -ENODEV);
	ck_assert_int_eq(ist_channel_open(group, "e", IST_SENDER, &sleeping, &s), -ENODEV);
	/* The application's pointers point to memory still: its own now, zeros. */
	ck_assert_uint_eq(*(volatile uint64_t *)region.address, 0);
	*(volatile uint64_t *)region.address = 1;
	ck_assert_uint_ne(*(uint64_t *)(void *)(tree.memory.map +
						tree.memory.layout.region_offset[0] +
						sizeof(uint64_t)),
			  0); /* the arena is there as it was */
	ist_channel_close(r);
	ist_channel_close(s);
	ist_group_close(group);
	ck_assert_int_eq(ist_group_open(NULL, &group), -ENODEV);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linux_ioctl");
	TCase *tests = tcase_create("linux_ioctl");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, rings_by_register);
	tcase_add_test(tests, rings_by_the_driver);
	tcase_add_test(tests, waits);
	tcase_add_loop_test(tests, deaf, 0, 2);
	tcase_add_test(tests, declares_what_it_holds);
	tcase_add_test(tests, no_more_to_hold);
	tcase_add_test(tests, threads_share_a_word);
	tcase_add_test(tests, unbound_asleep);
	return suite_run(suite);
}
