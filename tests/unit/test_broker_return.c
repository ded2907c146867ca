/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_broker_return.c: a broker is killed and another one takes its group over: same memory, IDs
 * and incarnations, nobody misses a change and nobody is told twice.
 */
#include <check.h>
#include <sys/stat.h>

#include "ivshmem/state.h"
#include "tests/legacy_client.h"
#include "tests/suite.h"
#include "tests/taken_over.h"

START_TEST(a_group_goes_on)
{
	uint64_t changes = raw_changes(&left);
	struct raw third;

	left.map[r.f.region[0].size] = 42; /* somewhere in "shared" */
	for (unsigned round = 0; round < 3; round++) {
		take_over();
		both_return();
		ck_assert_uint_eq(raw_word(&left, LEFT), WORD(LIVE, 1));
		ck_assert_uint_eq(raw_word(&right, RIGHT), WORD(LIVE, 1));
		ck_assert_uint_gt(raw_changes(&left), changes);
		changes = raw_changes(&left);
		raw_rings(&left, &right, 1);
	}
	ck_assert_uint_eq(right.map[r.f.region[0].size], 42);
	/* A newcomer meets everybody, and everybody him. */
	third = raw_live(&r.f, "third");
	ck_assert_uint_eq(third.told[LEFT], 1);
	ck_assert_uint_eq(third.told[RIGHT], 1);
	raw_rings(&third, &left, 1);
	raw_rings(&third, &right, 2);
	raw_expect_peer(&r.f, &left, THIRD, 1);
	raw_expect_peer(&r.f, &right, THIRD, 1);
	raw_rings(&left, &third, 1);
	/* Vector 0 of who is back, when something changes. */
	raw_await_word(&r.f, &left, THIRD, WORD(LIVE, 1));
	raw_leave(&r.f, &third);
	raw_expect_gone(&r.f, &left, THIRD, 1, IST_PEER_ABSENT);
	raw_expect_gone(&r.f, &right, THIRD, 1, IST_PEER_ABSENT);
	ck_assert_uint_gt(rings(left.own[IST_VECTOR_ROSTER]), 0);
	finish();
}
END_TEST

/* Who was not told before the end is told after it; who was told is not told again. */
START_TEST(nobody_misses_or_hears_twice)
{
	struct raw third = raw_live(&r.f, "third");

	raw_await_word(&r.f, &third, THIRD, WORD(LIVE, 1));
	raw_expect_peer(&r.f, &right, THIRD, 1); /* left has not read of it */
	take_over();
	both_return();
	raw_return(&r.f, &third, "third");
	raw_expect_peer(&r.f, &left, THIRD, 1);
	raw_rings(&left, &third, 1);
	raw_leave(&r.f, &third);
	raw_expect_gone(&r.f, &left, THIRD, 1, IST_PEER_ABSENT);
	raw_expect_gone(&r.f, &right, THIRD, 1, IST_PEER_ABSENT);
	finish();
}
END_TEST

/* It dies while nobody is there to see it, or before the next broker knows more than its pid. */
START_TEST(a_peer_dies_meanwhile)
{
	pid_t third = raw_idle_process(&r, "third");

	raw_expect_peer(&r.f, &left, THIRD, 1);
	raw_expect_peer(&r.f, &right, THIRD, 1);
	if (_i == 0) {
		restart_kill(&r);
		raw_kill_process(third);
		must(restart_begin(&r, ivshm_broker_attach) == 0);
	} else {
		take_over();
		raw_kill_process(third);
	}
	both_return();
	raw_expect_gone(&r.f, &left, THIRD, 1, IST_PEER_DEAD);
	raw_expect_gone(&r.f, &right, THIRD, 1, IST_PEER_DEAD);
	ck_assert_uint_eq(raw_word(&left, THIRD), WORD(DEAD, 1));
	third = raw_idle_process(&r, "third");
	raw_expect_peer(&r.f, &left, THIRD, 2);
	raw_expect_peer(&r.f, &right, THIRD, 2);
	raw_kill_process(third);
	raw_expect_gone(&r.f, &left, THIRD, 2, IST_PEER_DEAD);
	raw_expect_gone(&r.f, &right, THIRD, 2, IST_PEER_DEAD);
	finish();
}
END_TEST

/* The state file as the killed broker left it, changed. */
static void change_state(uint32_t id, void (*change)(struct ivshm_state_peer *peer))
{
	struct ivshm_state state;
	struct ivshm_state_peer peer;
	char path[128], error[256];

	snprintf(path, sizeof(path), "%s/ping.state", r.f.dir);
	must(ivshm_state_open(&state, path, error, sizeof(error)) == 0);
	peer = *ivshm_state_peer(&state, id);
	change(&peer);
	ivshm_state_set_peer(&state, id, &peer);
	ivshm_state_close(&state);
}

static void start_earlier(struct ivshm_state_peer *peer)
{
	peer->start--;
}

/* A process with the pid of a peer that has ended is not that peer. */
START_TEST(a_pid_used_again)
{
	struct ist_wire wire = raw_reattach_wire(&right, "right");
	int fd;

	restart_kill(&r);
	change_state(RIGHT, start_earlier);
	must(restart_begin(&r, ivshm_broker_attach) == 0);
	fd = raw_connect(&r.f);
	raw_send_fds(fd, &wire, &right.memory, 1);
	raw_expect_error(&r.f, fd, ESTALE, "instance 'right' has no incarnation 1 to come back to");
	raw_return(&r.f, &left, "left");
	raw_expect_gone(&r.f, &left, RIGHT, 1, IST_PEER_DEAD);
	ck_assert_uint_eq(raw_word(&left, RIGHT), WORD(DEAD, 1));
	raw_close(&left);
	raw_close(&right);
	restart_end(&r);
}
END_TEST

/* Nobody is admitted to a group whose memory is not there. */
START_TEST(a_newcomer_waits_for_the_memory)
{
	struct ivshm_packet packet;
	struct pollfd p = {.events = POLLIN};
	int third, qemu = -1;

	take_over();
	third = raw_connect(&r.f);
	raw_send(third, IST_WIRE_HELLO, "third");
	p.fd = third;
	ck_assert_int_eq(poll(&p, 1, 100), 0);
	raw_send(third, IST_WIRE_HELLO, "third");
	raw_expect_error(&r.f, third, EPROTO, "HELLO is out of order here");

	third = _i == 0 ? raw_connect(&r.f) : -1;
	if (third >= 0)
		raw_send(third, IST_WIRE_HELLO, "third");
	else
		qemu = legacy_connect(&r.f, "third");
	p.fd = third < 0 ? qemu : third;
	ck_assert_int_eq(poll(&p, 1, 100), 0);
	both_return();
	if (third >= 0) {
		packet = raw_expect(&r.f, third, IST_WIRE_WELCOME);
		ivshm_wire_close_fds(&packet);
	} else {
		ck_assert_int_eq(poll(&p, 1, FIXTURE_PATIENCE_MS), 1);
		raw_await_word(&r.f, &left, THIRD, WORD(LIVE, 1));
		raw_expect_peer(&r.f, &left, THIRD, 1);
		raw_expect_peer(&r.f, &right, THIRD, 1);
	}
	close(p.fd);
	finish();
}
END_TEST

START_TEST(a_newcomer_does_not_wait_for_ever)
{
	int third;

	take_over();
	third = raw_connect(&r.f);
	raw_send(third, IST_WIRE_HELLO, "third");
	raw_expect_error(&r.f, third, EAGAIN, "group 'ping' waits for its memory");
	both_return();
	finish();
}
END_TEST

/* Its BYE met no broker: its HELLO says as much. */
START_TEST(who_left_meanwhile_joins_again)
{
	take_over();
	raw_return(&r.f, &left, "left");
	raw_close(&right);
	right = raw_live(&r.f, "right");
	ck_assert_uint_eq(right.incarnation, 2);
	raw_expect_gone(&r.f, &left, RIGHT, 1, IST_PEER_ABSENT);
	raw_expect_peer(&r.f, &left, RIGHT, 2);
	finish();
}
END_TEST

/* In between: it has all, and its READY was not heard; or it has said BYE. */
START_TEST(half_way)
{
	struct raw third = raw_join(&r.f, "third");

	raw_await_word(&r.f, &left, THIRD, WORD(JOINING, 1));
	if (_i == 0) {
		take_over();
		both_return();
		raw_return(&r.f, &third, "third");
		raw_expect_peer(&r.f, &left, THIRD, 1);
		raw_expect_peer(&r.f, &right, THIRD, 1);
		raw_await_word(&r.f, &left, THIRD, WORD(LIVE, 1));
		raw_leave(&r.f, &third);
		raw_expect_gone(&r.f, &left, THIRD, 1, IST_PEER_ABSENT);
		raw_expect_gone(&r.f, &right, THIRD, 1, IST_PEER_ABSENT);
	} else {
		raw_send(third.socket, IST_WIRE_BYE, "");
		raw_await_word(&r.f, &left, THIRD, WORD(LEAVING, 1));
		take_over();
		both_return();
		raw_await_word(&r.f, &left, THIRD, WORD(ABSENT, 1));
		raw_close(&third);
	}
	finish();
}
END_TEST

/* Who hangs up half way, or stops there, is away again and may try again. */
START_TEST(half_handed_back)
{
	struct ist_wire wire = raw_reattach_wire(&left, "left");

	take_over();
	close(left.socket);
	left.socket = raw_connect(&r.f);
	raw_send_fds(left.socket, &wire, &left.memory, 1);
	raw_send_bells(left.socket, LEFT, 1, left.own);
	if (_i == 1)
		raw_expect_error(&r.f, left.socket, ETIMEDOUT, "no READY in 5 seconds");
	else
		close(left.socket);
	left.socket = -1;
	both_return();
	ck_assert_uint_eq(raw_word(&left, LEFT), WORD(LIVE, 1));
	finish();
}
END_TEST

/* All that had the memory are gone: it is new, and incarnations go on. */
START_TEST(nobody_comes_back)
{
	struct raw last;
	pid_t third = raw_idle_process(&r, "third");
	struct stat was, is;

	raw_expect_peer(&r.f, &left, THIRD, 1);
	must(fstat(left.memory, &was) == 0);
	leave(&right);
	leave(&left);
	take_over();
	raw_kill_process(third);
	last = raw_live(&r.f, "third");
	ck_assert_uint_eq(last.incarnation, 2);
	must(fstat(last.memory, &is) == 0);
	ck_assert(is.st_ino != was.st_ino);
	/* And that one too can be taken over. */
	take_over();
	raw_return(&r.f, &last, "third");
	raw_await_word(&r.f, &last, THIRD, WORD(LIVE, 2));
	raw_leave(&r.f, &last);
	restart_end(&r);
}
END_TEST

/* ---- QEMU's ---- */

START_TEST(qemu_goes_on)
{
	struct legacy qemu = legacy_start(&r.f, "third");
	int bell[3][FIXTURE_VECTORS];
	struct raw again;

	close(legacy_welcome(&r.f, qemu.socket, THIRD));
	for (uint32_t id = 0; id < 3; id++)
		legacy_expect_bells(&r.f, qemu.socket, id, FIXTURE_VECTORS, bell[id]);

	raw_expect_peer(&r.f, &left, THIRD, 1);
	raw_expect_peer(&r.f, &right, THIRD, 1);
	raw_await_word(&r.f, &left, THIRD, WORD(LIVE, 1)); /* comes after PEER */
	take_over();
	raw_return(&r.f, &left, "left");
	ck_assert_uint_eq(raw_word(&left, THIRD), WORD(LIVE, 1));
	/* It does not come back; a newcomer has its doorbells from who has. */
	raw_close(&right);
	again = raw_live(&r.f, "right");
	ck_assert_uint_eq(again.incarnation, 2);
	ck_assert_uint_eq(again.told[THIRD], 1);
	must(eventfd_write(again.peer[THIRD][1], 1) == 0);
	ck_assert_uint_eq(rings(bell[THIRD][1]), 1);
	must(eventfd_write(bell[LEFT][2], 1) == 0);
	ck_assert_uint_eq(rings(left.own[2]), 1);
	raw_expect_gone(&r.f, &left, RIGHT, 1, IST_PEER_ABSENT);
	raw_expect_peer(&r.f, &left, RIGHT, 2);
	legacy_kill(&r.f, &qemu);
	raw_expect_gone(&r.f, &left, THIRD, 1, IST_PEER_DEAD);
	raw_await_word(&r.f, &left, THIRD, WORD(DEAD, 1));
	close(qemu.socket);
	right = again;
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker, taken over");
	TCase *tests = tcase_create("return");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_group_goes_on);
	tcase_add_test(tests, nobody_misses_or_hears_twice);
	tcase_add_loop_test(tests, a_peer_dies_meanwhile, 0, 2);
	tcase_add_test(tests, a_pid_used_again);
	tcase_add_loop_test(tests, a_newcomer_waits_for_the_memory, 0, 2);
	tcase_add_test(tests, who_left_meanwhile_joins_again);
	tcase_add_loop_test(tests, half_way, 0, 2);
	/* The five seconds are waited for where there is time. */
	tcase_add_loop_test(tests, half_handed_back, 0, getenv("SOAK") ? 2 : 1);
	if (getenv("SOAK"))
		tcase_add_test(tests, a_newcomer_does_not_wait_for_ever);
	tcase_add_test(tests, nobody_comes_back);
	tcase_add_test(tests, qemu_goes_on);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
