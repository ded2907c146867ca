/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_broker_processes.c: peers of a broker in processes that die, hang up and leave; and that
 * nothing is left of them.
 */
#include <check.h>

#include "ivshmem/log.h"
#include "tests/process_peer.h"
#include "tests/suite.h"

static struct fixture f;

static void start(void)
{
	fixture_start(&f);
}

static void stop(void)
{
	fixture_stop(&f);
}

START_TEST(a_process_dies)
{
	struct process left, right;
	struct raw third;

	fixture_configure(&f);
	left = process_start(&f);
	right = process_start(&f);
	ck_assert_int_eq(fixture_serve(&f), 0);
	third = raw_live(&f, "third");
	ck_assert_str_eq(process_ask(&f, &left, "join left"), "0 +0.1 +2.1");
	ck_assert_str_eq(process_ask(&f, &left, "ready"), "0");
	ck_assert_str_eq(process_ask(&f, &right, "join right"), "0 +1.1 +0.1 +2.1");
	ck_assert_str_eq(process_ask(&f, &left, "dispatch"), "0"); /* right is not ready yet */
	ck_assert_str_eq(process_ask(&f, &right, "ready"), "0");
	ck_assert_str_eq(process_ask(&f, &left, "dispatch"), "0 +1.1");
	ck_assert_str_eq(process_ask(&f, &left, "ring 1 2"), "0");
	ck_assert_str_eq(process_ask(&f, &right, "count 2"), "1");

	process_ask(&f, &left, "count 0");
	process_kill(&right);
	raw_await_word(&f, &third, 1, IST_PEER_WORD(IST_PEER_DEAD, 1));
	ck_assert_str_eq(process_ask(&f, &left, "dispatch"), "0 -1.1/4");
	ck_assert_str_ne(process_ask(&f, &left, "count 0"), "0");
	ck_assert_str_eq(process_ask(&f, &left, "leave"), "0");
	ck_assert_uint_eq(raw_word(&third, 0), IST_PEER_WORD(IST_PEER_ABSENT, 1));
	process_kill(&left);
	raw_leave(&f, &third);
	fixture_stop(&f);
}
END_TEST

/* A process that can be left, beside right, which looks on. */
static struct process start_beside(struct raw *right)
{
	struct process left;

	fixture_configure(&f);
	left = process_start(&f);
	ck_assert_int_eq(fixture_serve(&f), 0);
	*right = raw_live(&f, "right");
	return left;
}

/* Who hangs up but lives may still use the memory: not dead before its process is. */
START_TEST(a_process_hangs_up)
{
	struct raw right;
	struct process left = start_beside(&right);
	struct ivshm_packet p;
	int fd;

	ck_assert_str_eq(process_ask(&f, &left, "join left"), "0 +0.1 +1.1");
	ck_assert_str_eq(process_ask(&f, &left, "ready"), "0");
	p = raw_expect(&f, right.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&p);
	ck_assert_str_eq(process_ask(&f, &left, "close"), "0");
	ck_assert_uint_eq(raw_word(&right, 0), IST_PEER_WORD(IST_PEER_LEAVING, 1));
	ck_assert_int_eq(ivshm_wire_receive(right.socket, &p), -EAGAIN);
	fd = raw_connect(&f);
	raw_send(fd, IST_WIRE_HELLO, "left");
	p = raw_expect(&f, fd, IST_WIRE_ERROR);
	ck_assert_uint_eq(p.wire.code, EBUSY);
	close(fd);
	rings(right.own[0]);

	process_kill(&left);
	raw_await_word(&f, &right, 0, IST_PEER_WORD(IST_PEER_DEAD, 1));
	p = raw_expect(&f, right.socket, IST_WIRE_GONE);
	ck_assert_uint_eq(p.wire.state, IST_PEER_DEAD);
	ck_assert_uint_eq(rings(right.own[0]), 1);
	raw_leave(&f, &right);
	fixture_stop(&f);
}
END_TEST

/* Its child keeps the connection open: the process's end counts, not the socket's. */
START_TEST(a_process_dies_connected)
{
	struct raw right;
	struct process left = start_beside(&right);

	process_ask(&f, &left, "join left");
	process_ask(&f, &left, "ready");
	process_ask(&f, &left, "fork");
	must(kill(left.pid, SIGKILL) == 0 && waitpid(left.pid, NULL, 0) == left.pid);
	raw_await_word(&f, &right, 0, IST_PEER_WORD(IST_PEER_DEAD, 1));
	close(left.control); /* ends its child */
	raw_leave(&f, &right);
	fixture_stop(&f);
}
END_TEST

/* BYE counts though the process was gone before the broker looked. */
START_TEST(a_process_leaves_and_ends)
{
	struct raw right;
	struct process left = start_beside(&right);

	process_ask(&f, &left, "join left");
	process_tell(&left, "ready");
	process_tell(&left, "bye-exit");
	ck_assert_int_eq(waitpid(left.pid, NULL, 0), left.pid);
	close(left.control);
	fixture_settle(&f);
	ck_assert_uint_eq(raw_word(&right, 0), IST_PEER_WORD(IST_PEER_ABSENT, 1));
	raw_leave(&f, &right);
	fixture_stop(&f);
}
END_TEST

/*
 * Another process has copies of the broker's descriptors for a while: it was forked and has not
 * executed its program yet. What the broker closes is closed for the broker all the same.
 */
START_TEST(forked_beside)
{
	struct raw left = raw_live(&f, "left"), right;
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
	}
	raw_send(left.socket, IST_WIRE_BYE, "");
	fixture_settle(&f);
	/* The child has a copy of this end too, so the broker hears no hang-up before that. */
	shutdown(left.socket, SHUT_RDWR);
	fixture_settle(&f);
	right = raw_live(&f, "right");
	ck_assert_uint_eq(raw_word(&right, 0), IST_PEER_WORD(IST_PEER_ABSENT, 1));
	raw_close(&left);
	left = raw_live(&f, "left");
	ck_assert_uint_eq(left.incarnation, 2);
	raw_leave(&f, &right);
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	raw_leave(&f, &left);
}
END_TEST

/* ---- Leaks ----------------------------------------------------------------------------------- */

START_TEST(two_hundred_lives)
{
	unsigned before = count_descriptors();
	struct raw right;

	fixture_start(&f);
	right = raw_live(&f, "right");
	for (unsigned i = 0; i < 200; i++) {
		struct raw left = raw_live(&f, "left");
		struct ivshm_packet p = raw_expect(&f, right.socket, IST_WIRE_PEER);

		ivshm_wire_close_fds(&p);
		raw_leave(&f, &left);
		raw_expect(&f, right.socket, IST_WIRE_GONE);
	}
	raw_leave(&f, &right);
	fixture_stop(&f);
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

/* Peers are there when the broker goes: they hear the hang-up, and their memory stays. */
START_TEST(the_broker_goes)
{
	unsigned before = count_descriptors();
	struct ivshm_packet p;
	struct raw left, right;

	fixture_start(&f);
	left = raw_live(&f, "left");
	right = raw_join(&f, "right");
	fixture_stop(&f);
	ck_assert_int_eq(ivshm_wire_receive(left.socket, &p), -EPIPE);
	ck_assert_uint_eq(raw_word(&left, 0), IST_PEER_WORD(IST_PEER_LIVE, 1));
	raw_close(&left);
	raw_close(&right);
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

/* Who leaves without having read all that it was told has said BYE all the same. */
START_TEST(leaves_with_news_unread)
{
	struct raw left = raw_live(&f, "left"), right = raw_live(&f, "right");
	uint64_t word;

	raw_send(left.socket, IST_WIRE_BYE, ""); /* right's PEER is unread */
	close(left.socket);
	fixture_settle(&f);
	word = raw_word(&right, 0);
	ck_assert_uint_eq(IST_PEER_STATE(word), IST_PEER_ABSENT);
	left.socket = dup(right.socket);
	raw_close(&left);
	raw_leave(&f, &right);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker, processes");
	TCase *plain = tcase_create("peers");
	TCase *own = tcase_create("brokers");

	ivshm_log_level = IVSHM_LOG_ERROR;

	tcase_add_checked_fixture(plain, start, stop);
	tcase_add_test(plain, leaves_with_news_unread);
	tcase_add_test(plain, forked_beside);
	suite_add_tcase(suite, plain);
	tcase_add_test(own, a_process_dies);
	tcase_add_test(own, a_process_hangs_up);
	tcase_add_test(own, a_process_dies_connected);
	tcase_add_test(own, a_process_leaves_and_ends);
	tcase_add_test(own, two_hundred_lives);
	tcase_add_test(own, the_broker_goes);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
