/* SPDX-License-Identifier: BSD-2-Clause */
/* test_broker.c: peers come, meet, leave and die. */
#include <check.h>
#include <sys/syscall.h>

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

/* ---- The order of events --------------------------------------------------------------------- */

/* What an observer could see at the moment the broker sent it a PEER or GONE. */
static struct {
	const struct raw *observer;
	unsigned seen;
	uint64_t word;
	uint64_t rung;
} moment;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	const struct ist_wire *wire = message->msg_iov[0].iov_base;

	if (moment.observer && (wire->type == IST_WIRE_PEER || wire->type == IST_WIRE_GONE) &&
	    wire->id != moment.observer->id) {
		moment.seen++;
		moment.word = raw_word(moment.observer, wire->id);
		moment.rung = rings(moment.observer->own[IST_VECTOR_ROSTER]);
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}

START_TEST(order_of_events)
{
	struct raw left = raw_live(&f, "left");
	struct raw right;

	ck_assert_uint_eq(rings(left.own[0]), 1); /* that it is live itself */
	right = raw_join(&f, "right");
	ck_assert_uint_eq(raw_word(&left, 1), IST_PEER_WORD(IST_PEER_JOINING, 1));
	ck_assert_uint_eq(rings(left.own[0]), 1);
	moment.observer = &left;

	raw_send(right.socket, IST_WIRE_READY, "");
	fixture_settle(&f);
	ck_assert_uint_eq(moment.seen, 1); /* PEER, before the roster, before the doorbell */
	ck_assert_uint_eq(moment.word, IST_PEER_WORD(IST_PEER_JOINING, 1));
	ck_assert_uint_eq(moment.rung, 0);
	ck_assert_uint_eq(raw_word(&left, 1), IST_PEER_WORD(IST_PEER_LIVE, 1));
	ck_assert_uint_eq(rings(left.own[0]), 1);

	raw_send(right.socket, IST_WIRE_BYE, "");
	fixture_settle(&f);
	ck_assert_uint_eq(moment.seen, 1);
	ck_assert_uint_eq(raw_word(&left, 1), IST_PEER_WORD(IST_PEER_LEAVING, 1));
	ck_assert_uint_eq(rings(left.own[0]), 1);

	raw_close(&right);
	fixture_settle(&f);
	ck_assert_uint_eq(moment.seen, 2); /* GONE, after the roster, before the doorbell */
	ck_assert_uint_eq(moment.word, IST_PEER_WORD(IST_PEER_ABSENT, 1));
	ck_assert_uint_eq(moment.rung, 0);
	ck_assert_uint_eq(rings(left.own[0]), 1);
	moment.observer = NULL;
	raw_leave(&f, &left);
}
END_TEST

/* What an observer could see at the moment the broker made doorbells for an ID: it is given away.
 */
static struct {
	const struct raw *observer;
	unsigned seen;
	uint64_t word;
	uint64_t rung;
} given;

int eventfd(unsigned count, int flags)
{
	if (given.observer && given.seen++ == 0) {
		given.word = raw_word(given.observer, 0);
		given.rung = rings(given.observer->own[IST_VECTOR_ROSTER]);
	}
	return (int)syscall(SYS_eventfd2, count, flags);
}

/* The next of an ID asks until it is let in: after the end was in the roster, and rung for. */
START_TEST(an_end_comes_before_the_next)
{
	struct raw right = raw_live(&f, "right"), left = raw_live(&f, "left");
	struct ivshm_packet p = raw_expect(&f, right.socket, IST_WIRE_PEER);
	unsigned refused = 0;
	int next;

	ivshm_wire_close_fds(&p);
	rings(right.own[0]);
	given.observer = &right;
	raw_send(left.socket, IST_WIRE_BYE, "");
	raw_close(&left);
	for (;;) {
		next = raw_connect(&f);
		raw_send(next, IST_WIRE_HELLO, "left");
		must(raw_receive(&f, next, &p) == 0);
		if (p.wire.type == IST_WIRE_WELCOME)
			break;
		ck_assert_uint_eq(p.wire.code, EBUSY);
		ck_assert_uint_lt(refused++, 10);
		ck_assert_uint_eq(given.seen, 0);
		close(next);
	}
	given.observer = NULL;
	ivshm_wire_close_fds(&p);
	ck_assert_uint_eq(p.wire.incarnation, 2);
	ck_assert_uint_ge(given.seen, FIXTURE_VECTORS);
	ck_assert_uint_eq(given.word, IST_PEER_WORD(IST_PEER_ABSENT, 1));
	ck_assert_uint_ge(given.rung, 2); /* that it leaves, that it has left */
	p = raw_expect(&f, right.socket, IST_WIRE_GONE);
	ck_assert_uint_eq(p.wire.incarnation, 1);
	close(next);
	raw_leave(&f, &right);
}
END_TEST

/* Who has not heard yet, or does not care, rings nobody. */
START_TEST(late_doorbells)
{
	struct raw right = raw_live(&f, "right"), left = raw_live(&f, "left"), next;
	struct ivshm_packet p = raw_expect(&f, right.socket, IST_WIRE_PEER);

	raw_keep_peer(&right, &p);
	for (unsigned v = 0; v < FIXTURE_VECTORS; v++)
		ck_assert_int_eq(eventfd_write(right.peer[0][v], 1), 0);
	ck_assert_uint_eq(rings(left.own[1]), 1);
	raw_leave(&f, &left);
	next = raw_live(&f, "left");
	rings(next.own[0]);
	for (unsigned v = 0; v < FIXTURE_VECTORS; v++) {
		ck_assert_int_eq(eventfd_write(right.peer[0][v], 1), 0);
		for (unsigned i = 0; i < FIXTURE_VECTORS; i++)
			ck_assert_uint_eq(rings(next.own[i]), 0);
	}
	raw_expect(&f, right.socket, IST_WIRE_GONE);
	p = raw_expect(&f, right.socket, IST_WIRE_PEER);
	raw_keep_peer(&right, &p);
	ck_assert_int_eq(eventfd_write(right.peer[0][2], 1), 0);
	ck_assert_uint_eq(rings(next.own[2]), 1);
	raw_leave(&f, &next);
	raw_leave(&f, &right);
}
END_TEST

/* ---- Joining --------------------------------------------------------------------------------- */

START_TEST(what_a_peer_is_told)
{
	int fd = raw_connect(&f);
	struct ivshm_packet p;
	struct raw right;

	right = raw_live(&f, "right");
	raw_send(fd, IST_WIRE_HELLO, "third");
	p = raw_expect(&f, fd, IST_WIRE_WELCOME);
	ck_assert_uint_eq(p.wire.abi, IVSHM_WIRE_ABI);
	ck_assert_uint_eq(p.wire.id, 2);
	ck_assert_uint_eq(p.wire.incarnation, 1);
	ck_assert_uint_eq(p.wire.vectors, 3);
	ck_assert_uint_eq(p.wire.count, 4);
	ck_assert_uint_eq(p.wire.size, 0x20000);
	ck_assert_uint_eq(p.wire.page_size, 4096);
	ck_assert_uint_eq(p.wire.offset, 0x17000);
	ck_assert_uint_eq(p.wire.length, 4096);
	ck_assert_str_eq(p.wire.name, "ping");
	ck_assert_uint_eq(p.fds_count, 1);
	ck_assert_int_eq(fcntl(p.fds[0], F_GETFD), FD_CLOEXEC);
	ivshm_wire_close_fds(&p);

	p = raw_expect(&f, fd, IST_WIRE_REGION);
	ck_assert_uint_eq(p.wire.id, 0);
	ck_assert_uint_eq(p.wire.right, IST_RIGHT_WRITE);
	ck_assert_uint_eq(p.wire.coherence, IST_COHERENCE_HARDWARE);
	ck_assert_uint_eq(p.wire.offset, 0x5000);
	ck_assert_uint_eq(p.wire.size, 0x10000);
	ck_assert_str_eq(p.wire.name, "shared");
	p = raw_expect(&f, fd, IST_WIRE_REGION);
	ck_assert_uint_eq(p.wire.id, 1);
	ck_assert_uint_eq(p.wire.right, IST_RIGHT_NONE);
	ck_assert_uint_eq(p.wire.coherence, IST_COHERENCE_INCOHERENT);
	ck_assert_uint_eq(p.wire.offset, 0x15000);
	ck_assert_uint_eq(p.wire.size, 0x2000);
	ck_assert_str_eq(p.wire.name, "table");

	p = raw_expect(&f, fd, IST_WIRE_PEER); /* itself first, though right has a lower ID */
	ck_assert_uint_eq(p.wire.id, 2);
	ck_assert_uint_eq(p.fds_count, 3);
	ivshm_wire_close_fds(&p);
	p = raw_expect(&f, fd, IST_WIRE_PEER);
	ck_assert_uint_eq(p.wire.id, 1);
	ck_assert_uint_eq(p.wire.incarnation, 1);
	ck_assert_uint_eq(p.wire.vectors, 3);
	ck_assert_str_eq(p.wire.name, "right");
	ck_assert_uint_eq(p.fds_count, 3);
	ivshm_wire_close_fds(&p);
	raw_expect(&f, fd, IST_WIRE_READY);
	ck_assert_uint_eq(raw_word(&right, 2), IST_PEER_WORD(IST_PEER_JOINING, 1));
	raw_send(fd, IST_WIRE_BYE, "");
	close(fd);
	fixture_settle(&f);
	ck_assert_uint_eq(raw_word(&right, 2), IST_PEER_WORD(IST_PEER_ABSENT, 1));
	raw_leave(&f, &right);
}
END_TEST

/* Every doorbell of every peer reaches that vector of that peer and no other. */
START_TEST(doorbells_reach)
{
	static const char *const name[] = {"left", "right", "third"};
	struct raw peer[3];

	for (unsigned i = 0; i < 3; i++)
		peer[i] = raw_live(&f, name[i]);
	for (unsigned i = 0; i < 2; i++) { /* third has heard of both in joining */
		for (unsigned later = i + 1; later < 3; later++) {
			struct ivshm_packet p = raw_expect(&f, peer[i].socket, IST_WIRE_PEER);

			ck_assert_uint_eq(p.wire.id, later);
			raw_keep_peer(&peer[i], &p);
		}
		for (unsigned v = 0; v < 3; v++)
			rings(peer[i].own[v]);
	}
	rings(peer[2].own[0]);
	for (unsigned from = 0; from < 3; from++) {
		for (unsigned to = 0; to < 3; to++) {
			for (unsigned v = 0; v < 3 && from != to; v++) {
				ck_assert_int_eq(eventfd_write(peer[from].peer[to][v], 1), 0);
				for (unsigned i = 0; i < 9; i++)
					ck_assert_uint_eq(rings(peer[i / 3].own[i % 3]),
							  i / 3 == to && i % 3 == v);
			}
		}
	}
	for (unsigned i = 0; i < 3; i++)
		raw_leave(&f, &peer[i]);
}
END_TEST

START_TEST(an_id_is_used_again)
{
	struct raw right = raw_live(&f, "right");

	for (uint32_t n = 1; n < 20; n++) {
		struct raw left = raw_live(&f, "left");
		uint32_t *state_table = (uint32_t *)(void *)right.map;
		uint64_t changes = raw_changes(&right);
		struct ivshm_packet p = raw_expect(&f, right.socket, IST_WIRE_PEER);

		ivshm_wire_close_fds(&p);
		ck_assert_uint_eq(left.incarnation, n);
		ck_assert_uint_eq(p.wire.incarnation, n);
		ck_assert_uint_eq(raw_word(&right, 0), IST_PEER_WORD(IST_PEER_LIVE, n));
		ck_assert_uint_eq(state_table[0], 0);
		state_table[0] = 7;
		raw_leave(&f, &left);
		ck_assert_uint_eq(state_table[0], 0);
		ck_assert_uint_gt(raw_changes(&right), changes);
		p = raw_expect(&f, right.socket, IST_WIRE_GONE);
		ck_assert_uint_eq(p.wire.id, 0);
		ck_assert_uint_eq(p.wire.incarnation, n);
		ck_assert_uint_eq(p.wire.state, IST_PEER_ABSENT);
	}
	raw_leave(&f, &right);
}
END_TEST

START_TEST(one_at_a_time)
{
	struct raw left = raw_join(&f, "left");
	char text[144];
	int fd = raw_connect(&f);

	snprintf(text, sizeof(text), "instance 'left' is already in group 'ping' (pid %d)",
		 (int)getpid());
	raw_send(fd, IST_WIRE_HELLO, "left");
	raw_expect_error(&f, fd, EBUSY, text);
	raw_send(left.socket, IST_WIRE_READY, "");
	fixture_settle(&f);
	fd = raw_connect(&f);
	raw_send(fd, IST_WIRE_HELLO, "left");
	raw_expect_error(&f, fd, EBUSY, text);
	raw_leave(&f, &left);
	left = raw_live(&f, "left");
	ck_assert_uint_eq(left.incarnation, 2);
	raw_leave(&f, &left);
}
END_TEST

START_TEST(who_is_not_in_the_group)
{
	int fd = raw_connect(&f);

	raw_send(fd, IST_WIRE_HELLO, "nobody");
	raw_expect_error(&f, fd, EACCES, "instance 'nobody' is not in group 'ping'");
	fd = raw_connect(&f);
	raw_send(fd, IST_WIRE_HELLO, "");
	for (unsigned i = 0; i < 5; i++)
		raw_send(fd, IST_WIRE_READY, ""); /* left unread, which must not hide the reason */
	raw_expect_error(&f, fd, EACCES, "instance '' is not in group 'ping'");
}
END_TEST

/* ---- Processes ------------------------------------------------------------------------------- */

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

/* Who hangs up but lives may still use the memory: not dead before its process is. */
START_TEST(a_process_hangs_up)
{
	struct process left;
	struct raw right;
	struct ivshm_packet p;
	int fd;

	fixture_configure(&f);
	left = process_start(&f);
	ck_assert_int_eq(fixture_serve(&f), 0);
	right = raw_live(&f, "right");
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
	struct process left;
	struct raw right;

	fixture_configure(&f);
	left = process_start(&f);
	ck_assert_int_eq(fixture_serve(&f), 0);
	right = raw_live(&f, "right");
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
	struct process left;
	struct raw right;

	fixture_configure(&f);
	left = process_start(&f);
	ck_assert_int_eq(fixture_serve(&f), 0);
	right = raw_live(&f, "right");
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
	Suite *suite = suite_create("broker");
	TCase *plain = tcase_create("peers");
	TCase *own = tcase_create("brokers");

	ivshm_log_level = IVSHM_LOG_ERROR;

	tcase_add_checked_fixture(plain, start, stop);
	tcase_add_test(plain, order_of_events);
	tcase_add_test(plain, an_end_comes_before_the_next);
	tcase_add_test(plain, late_doorbells);
	tcase_add_test(plain, what_a_peer_is_told);
	tcase_add_test(plain, leaves_with_news_unread);
	tcase_add_test(plain, doorbells_reach);
	tcase_add_test(plain, an_id_is_used_again);
	tcase_add_test(plain, one_at_a_time);
	tcase_add_test(plain, who_is_not_in_the_group);
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
