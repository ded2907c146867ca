/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel.c: messages: of every size, in bursts, in place, and room for them. */
#include <check.h>
#include <stdlib.h>

#include "channel_pair.h"
#include "tests/suite.h"

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

int main(void)
{
	Suite *suite = suite_create("channel");
	TCase *test = tcase_create("messages");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, every_size);
	tcase_add_test(test, bursts);
	tcase_add_test(test, lines_run_out_and_come_back);
	tcase_add_test(test, message_of_the_whole_ring);
	tcase_add_test(test, too_small_a_buffer_keeps_the_message);
	tcase_add_test(test, in_place);
	tcase_add_test(test, batches);
	tcase_set_timeout(test, 240); /* TSan on a busy machine */
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
