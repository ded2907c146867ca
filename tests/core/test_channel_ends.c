/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel_ends.c: a channel's ends: opened, closed, taken over, and left by the dead. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "channel_pair.h"
#include "tests/suite.h"

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

int main(void)
{
	Suite *suite = suite_create("channel, ends");
	TCase *test = tcase_create("messages");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, opening);
	tcase_add_test(test, sent_before_the_receiver_came);
	tcase_add_test(test, sender_dies);
	tcase_add_test(test, sender_replaced_unseen);
	tcase_add_test(test, receiver_dies);
	tcase_add_test(test, peer_leaves_the_group);
	tcase_set_timeout(test, 240); /* TSan on a busy machine */
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
