/* SPDX-License-Identifier: BSD-2-Clause */
/* test_broker.c: peers come, meet and leave: who is told what, and when. */
#include <check.h>
#include <sys/syscall.h>

#include "ivshmem/log.h"
#include "tests/broker_fixture.h"
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

/* It has come, been ready and left before the broker heard any of that, but not before it was told of
   another: what it has sent counts all the same. */
START_TEST(left_before_it_was_heard)
{
	struct raw left = raw_join(&f, "left"), right = raw_join(&f, "right");

	raw_send(left.socket, IST_WIRE_READY, ""); /* heard first */
	raw_send(right.socket, IST_WIRE_READY, "");
	raw_send(right.socket, IST_WIRE_BYE, "");
	raw_close(&right);
	fixture_settle(&f);
	ck_assert_uint_eq(raw_word(&left, 1), IST_PEER_WORD(IST_PEER_ABSENT, 1));
	/* The same process may come again. */
	right = raw_live(&f, "right");
	ck_assert_uint_eq(raw_word(&left, 1), IST_PEER_WORD(IST_PEER_LIVE, 2));
	raw_leave(&f, &right);
	raw_leave(&f, &left);
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

int main(void)
{
	Suite *suite = suite_create("broker");
	TCase *plain = tcase_create("peers");

	ivshm_log_level = IVSHM_LOG_ERROR;

	tcase_add_checked_fixture(plain, start, stop);
	tcase_add_test(plain, order_of_events);
	tcase_add_test(plain, an_end_comes_before_the_next);
	tcase_add_test(plain, left_before_it_was_heard);
	tcase_add_test(plain, late_doorbells);
	tcase_add_test(plain, what_a_peer_is_told);
	tcase_add_test(plain, doorbells_reach);
	tcase_add_test(plain, an_id_is_used_again);
	tcase_add_test(plain, one_at_a_time);
	tcase_add_test(plain, who_is_not_in_the_group);
	suite_add_tcase(suite, plain);
	return suite_run(suite);
}
