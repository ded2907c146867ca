/* SPDX-License-Identifier: BSD-2-Clause */
/* test_broker_bad.c: peers that send garbage, do not read, do not speak, or come in crowds. */
#include <check.h>
#include <sys/resource.h>
#include <time.h>

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

/* A peer in good order still gets what is its due. */
static void check_good(struct raw *good)
{
	struct raw third = raw_live(&f, "third");
	struct ivshm_packet p = raw_expect(&f, good->socket, IST_WIRE_PEER);

	ck_assert_uint_eq(p.wire.id, 2);
	ck_assert_uint_eq(p.wire.incarnation, third.incarnation);
	ivshm_wire_close_fds(&p);
	ck_assert_uint_ge(rings(good->own[0]), 1);
	raw_leave(&f, &third);
	p = raw_expect(&f, good->socket, IST_WIRE_GONE);
	ck_assert_uint_eq(p.wire.id, 2);
	ck_assert_int_eq(ivshm_wire_receive(good->socket, &p), -EAGAIN);
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void send_bytes(int fd, size_t size, unsigned descriptors)
{
	static char bytes[1024];

	((struct ist_wire *)(void *)bytes)->type = IST_WIRE_HELLO;
	((struct ist_wire *)(void *)bytes)->abi = IVSHM_WIRE_ABI;
	strcpy(((struct ist_wire *)(void *)bytes)->name, "left");
	ck_assert_int_eq(raw_send_bytes(fd, bytes, size, descriptors, 0), (ssize_t)size);
}

START_TEST(not_a_packet)
{
	static const size_t size[] = {0, 1, 255, 257, 1024};
	static const unsigned descriptors[] = {1, 16, 17, 18, 200};
	struct raw good = raw_live(&f, "right");
	int fd;

	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		fd = raw_connect(&f);
		send_bytes(fd, size[i], 0);
		raw_expect_error(&f, fd, EMSGSIZE, "a message is 256 bytes, no more and no less");
	}
	for (unsigned i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
		unsigned before = count_descriptors();

		fd = raw_connect(&f);
		send_bytes(fd, sizeof(struct ist_wire), descriptors[i]);
		raw_expect_error(&f, fd, EPROTO, "a peer sends no descriptors");
		ck_assert_uint_eq(count_descriptors(), before);
	}
	fd = raw_connect(&f);
	send_bytes(fd, 16, 3);
	raw_expect_error(&f, fd, EMSGSIZE, "a message is 256 bytes, no more and no less");
	check_good(&good);
	raw_leave(&f, &good);
}
END_TEST

/* The first packet on a connection, refused with this. */
static void expect_refusal(const struct ist_wire *wire, int code, const char *text)
{
	struct ivshm_packet packet = {.wire = *wire};
	int fd = raw_connect(&f);

	ck_assert_int_eq(ivshm_wire_send(fd, &packet), 0);
	raw_expect_error(&f, fd, code, text);
}

START_TEST(not_a_hello)
{
	struct raw good = raw_live(&f, "right");
	struct ist_wire hello = {.type = IST_WIRE_HELLO, .abi = IVSHM_WIRE_ABI, .name = "left"};
	struct ist_wire wire = hello;
	struct raw left;
	int fd;

	wire.abi = 2u << 16;
	expect_refusal(&wire, EPROTONOSUPPORT,
		       "isthmus ABI 2.0 is not spoken here (this broker: 1.3)");
	wire.abi = 0xffffffff;
	expect_refusal(&wire, EPROTONOSUPPORT,
		       "isthmus ABI 65535.65535 is not spoken here (this broker: 1.3)");
	wire = hello;
	wire.kind = 4;
	expect_refusal(&wire, EINVAL, "4 is not a kind of instance");
	wire = hello;
	memset(wire.name, 'x', sizeof(wire.name));
	expect_refusal(&wire, EBADMSG, "a name or text is not terminated");
	wire = hello;
	memset(wire.text, 'x', sizeof(wire.text));
	expect_refusal(&wire, EBADMSG, "a name or text is not terminated");
	wire = hello;
	wire.type = 0;
	expect_refusal(&wire, EPROTO, "unknown message type 0");
	wire.type = 22;
	expect_refusal(&wire, EPROTO, "unknown message type 22");
	wire.type = 0xffffffff;
	expect_refusal(&wire, EPROTO, "unknown message type 4294967295");
	wire.type = IST_WIRE_READY;
	expect_refusal(&wire, EPROTO, "READY is out of order here");
	wire.type = IST_WIRE_WELCOME;
	expect_refusal(&wire, EPROTO, "WELCOME is out of order here");
	check_good(&good);

	/* A newer minor number is welcome. */
	wire = hello;
	wire.abi = (IST_ABI_MAJOR << 16) | 0xffff;
	fd = raw_connect(&f);
	ck_assert_int_eq(ivshm_wire_send(fd, &(struct ivshm_packet){.wire = wire}), 0);
	ck_assert_uint_eq(raw_word(&good, 0), 0);
	for (unsigned i = 0; i < 6; i++) {
		struct ivshm_packet p;

		ck_assert_int_eq(raw_receive(&f, fd, &p), 0);
		ivshm_wire_close_fds(&p);
	}
	raw_send(fd, IST_WIRE_BYE, "");
	close(fd);
	fixture_settle(&f);
	left = raw_live(&f, "left");
	raw_leave(&f, &left);
	raw_close(&good);
}
END_TEST

static const uint32_t extreme[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
#define EXTREMES (sizeof(extreme) / sizeof(extreme[0]))

/* Every type, each field at its extremes, as the first packet. HELLO may be in order: BYE follows.
 */
START_TEST(garbage_first)
{
	struct raw good = raw_live(&f, "right");

	for (unsigned word = 1; word < sizeof(struct ist_wire) / 4; word++) {
		for (unsigned i = 0; i < EXTREMES; i++) {
			struct ivshm_packet p = {
				.wire = {.type = (uint32_t)_i,
					 .abi = IVSHM_WIRE_ABI,
					 .name = "left"},
			};
			struct ivshm_packet bye = {.wire = {.type = IST_WIRE_BYE}};
			int fd = raw_connect(&f);

			memcpy((char *)&p.wire + word * 4, &extreme[i], 4);
			ck_assert_int_eq(ivshm_wire_send(fd, &p), 0);
			ivshm_wire_send(fd, &bye);
			close(fd);
			fixture_settle(&f);
			ck_assert_uint_eq(raw_word(&good, 0) & 0xff, IST_PEER_ABSENT);
		}
	}
	check_good(&good);
	raw_leave(&f, &good);
}
END_TEST

/* The same when joining or live, all fields at once. Who is refused lives on: a fresh group each.
 */
static void attack(uint32_t type, uint32_t value, bool live)
{
	struct ivshm_packet p;
	struct raw good, bad;

	fixture_start(&f);
	good = raw_live(&f, "right");
	bad = live ? raw_live(&f, "left") : raw_join(&f, "left");
	for (unsigned word = 1; word < sizeof(p.wire) / 4; word++)
		memcpy((char *)&p.wire + word * 4, &value, 4);
	p.wire.type = type;
	p.wire.name[IST_NAME_SIZE - 1] = p.wire.text[sizeof(p.wire.text) - 1] = '\0';
	p.fds_count = 0;
	ck_assert_int_eq(ivshm_wire_send(bad.socket, &p), 0);
	fixture_settle(&f);
	if (type == IST_WIRE_BYE || (type == IST_WIRE_READY && !live))
		ck_assert_int_eq(ivshm_wire_receive(bad.socket, &p), -EAGAIN);
	else
		raw_expect(&f, bad.socket, IST_WIRE_ERROR);
	if (live || type == IST_WIRE_READY) {
		p = raw_expect(&f, good.socket, IST_WIRE_PEER);
		ivshm_wire_close_fds(&p);
	}
	check_good(&good);
	raw_close(&bad);
	raw_close(&good);
	fixture_stop(&f);
}

START_TEST(garbage_later)
{
	for (unsigned i = 0; i < EXTREMES; i++) {
		attack((uint32_t)_i, extreme[i], false);
		attack((uint32_t)_i, extreme[i], true);
	}
}
END_TEST

/* What goes wrong after joining ends the connection; the group keeps the ID for its process. */
START_TEST(out_of_order_when_live)
{
	struct raw good = raw_live(&f, "right");
	struct raw bad = raw_live(&f, "left");
	struct ivshm_packet p = raw_expect(&f, good.socket, IST_WIRE_PEER);

	ivshm_wire_close_fds(&p);
	raw_send(bad.socket, IST_WIRE_READY, "");
	raw_expect_error(&f, bad.socket, EPROTO, "READY is out of order here");
	bad.socket = dup(STDERR_FILENO); /* closed above */
	ck_assert_uint_eq(raw_word(&good, 0), IST_PEER_WORD(IST_PEER_LEAVING, 1));
	raw_close(&bad);
	check_good(&good);
	raw_leave(&f, &good);
}
END_TEST

/* After BYE its mappings are gone, whatever it says next. */
START_TEST(talks_after_bye)
{
	struct raw good = raw_live(&f, "right");
	struct raw bad = raw_live(&f, "left");

	raw_send(bad.socket, IST_WIRE_BYE, "");
	raw_send(bad.socket, IST_WIRE_BYE, "");
	fixture_settle(&f);
	ck_assert_uint_eq(raw_word(&good, 0), IST_PEER_WORD(IST_PEER_ABSENT, 1));
	raw_close(&bad);
	raw_close(&good);
}
END_TEST

/* ---- Slow ones ------------------------------------------------------------------------------- */

/* Reads what there is; what it says must make sense: in turn, one more incarnation each time. */
static unsigned read_all(struct raw *raw, uint32_t *present, uint32_t *last)
{
	struct ivshm_packet p;
	unsigned n = 0;

	for (;; n++) {
		fixture_settle(&f);
		if (ivshm_wire_receive(raw->socket, &p))
			return n;
		ck_assert_uint_eq(p.wire.id, 1);
		if (p.wire.type == IST_WIRE_PEER) {
			ck_assert_uint_eq(*present, 0);
			ck_assert_uint_gt(p.wire.incarnation, *last);
			*present = *last = p.wire.incarnation;
			ck_assert_uint_eq(p.fds_count, FIXTURE_VECTORS);
		} else {
			ck_assert_uint_eq(p.wire.type, IST_WIRE_GONE);
			ck_assert_uint_eq(p.wire.incarnation, *present);
			*present = 0;
		}
		ivshm_wire_close_fds(&p);
	}
}

START_TEST(slow_reader)
{
	struct raw slow = raw_live(&f, "left");
	struct raw good = raw_live(&f, "third");
	struct ivshm_packet p = raw_expect(&f, slow.socket, IST_WIRE_PEER);
	uint32_t slow_present = 0, slow_last = 0, good_present = 0, good_last = 0;
	unsigned told;
	struct raw right;

	ivshm_wire_close_fds(&p);
	for (unsigned i = 0; i < 1000; i++) {
		right = raw_live(&f, "right");
		ck_assert_uint_eq(read_all(&good, &good_present, &good_last), 1);
		raw_leave(&f, &right);
		ck_assert_uint_eq(read_all(&good, &good_present, &good_last), 1);
	}
	right = raw_live(&f, "right");
	read_all(&good, &good_present, &good_last);
	ck_assert_uint_eq(good_present, 1001);
	ck_assert_uint_eq(rings(slow.own[0]) > 1000, 1); /* the doorbell does not depend on it */

	told = read_all(&slow, &slow_present, &slow_last);
	ck_assert_uint_eq(slow_present, 1001);
	ck_assert_uint_lt(told, 200); /* what no longer mattered was left out */
	raw_leave(&f, &right);
	read_all(&slow, &slow_present, &slow_last);
	ck_assert_uint_eq(slow_present, 0);
	raw_leave(&f, &slow);
	raw_leave(&f, &good);
}
END_TEST

/* Does not even read what it needs to join. */
START_TEST(never_reads)
{
	struct ivshm_packet p;
	struct raw right;
	unsigned seen[9] = {0};
	int fd = raw_connect(&f);
	int size = 1;

	/* Its own receive buffer does not count; one packet at a time is taken below. */
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	raw_send(fd, IST_WIRE_HELLO, "left");
	fixture_settle(&f);
	for (unsigned i = 0; i < 50; i++) {
		right = raw_live(&f, "right");
		raw_leave(&f, &right);
	}
	right = raw_live(&f, "right");
	do {
		ck_assert_int_eq(raw_receive(&f, fd, &p), 0);
		seen[p.wire.type]++;
		ivshm_wire_close_fds(&p);
	} while (p.wire.type != IST_WIRE_READY);
	ck_assert_uint_eq(seen[IST_WIRE_WELCOME], 1);
	ck_assert_uint_eq(seen[IST_WIRE_REGION], 2);
	ck_assert_uint_ge(seen[IST_WIRE_PEER], 1);
	raw_send(fd, IST_WIRE_BYE, "");
	close(fd);
	raw_leave(&f, &right);
}
END_TEST

/* Its doorbell is full, and made to block who rings it with write(2). */
START_TEST(full_doorbell)
{
	struct raw bad = raw_live(&f, "left");
	struct raw good, third;
	eventfd_t count = 0;

	for (unsigned v = 0; v < FIXTURE_VECTORS; v++) {
		rings(bad.own[v]);
		ck_assert_int_eq(fcntl(bad.own[v], F_SETFL, 0), 0);
		ck_assert_int_eq(eventfd_write(bad.own[v], 0xfffffffffffffffeull), 0);
	}
	good = raw_live(&f, "right");
	third = raw_live(&f, "third");
	ck_assert_uint_eq(rings(good.own[0]), 3); /* live; third joining, live */
	ck_assert_int_eq(eventfd_read(bad.own[0], &count), 0);
	ck_assert_uint_eq(count, 0xffffffffffffffffull);
	raw_leave(&f, &third);
	raw_leave(&f, &good);
	raw_leave(&f, &bad);
}
END_TEST

/* ---- Strangers ------------------------------------------------------------------------------- */

START_TEST(says_nothing)
{
	struct raw good = raw_live(&f, "right");
	int silent = raw_connect(&f);

	raw_expect_error(&f, silent, ETIMEDOUT, "no HELLO in 5 seconds");
	check_good(&good);
	raw_leave(&f, &good);
}
END_TEST

START_TEST(a_crowd)
{
	enum { CROWD = IST_PEERS_MAX + 32 };
	struct raw good = raw_live(&f, "right");
	int fd[CROWD], more;

	for (unsigned i = 0; i < CROWD; i++) {
		fd[i] = raw_connect(&f);
		fixture_settle(&f);
	}
	more = raw_connect(&f);
	raw_expect_error(&f, more, EAGAIN, "96 connections have not said HELLO yet");
	for (unsigned i = 0; i < CROWD; i++)
		close(fd[i]);
	fixture_settle(&f);
	check_good(&good);
	raw_leave(&f, &good);
}
END_TEST

/* Out of descriptors: who comes is turned away, the broker neither stops nor spins. */
START_TEST(no_descriptors)
{
	struct raw good = raw_live(&f, "right");
	struct rlimit limit, none;
	struct ivshm_packet p;
	int fd[2];

	for (unsigned i = 0; i < 2; i++)
		fd[i] = raw_connect(&f);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	fixture_settle(&f); /* comes to an end */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned i = 0; i < 2; i++) {
		raw_send(fd[i], IST_WIRE_HELLO, i ? "third" : "left");
		ck_assert_int_eq(raw_receive(&f, fd[i], &p), 0);
		ck_assert_uint_eq(p.wire.type, IST_WIRE_WELCOME);
		ivshm_wire_close_fds(&p);
		raw_send(fd[i], IST_WIRE_BYE, "");
		close(fd[i]);
	}
	raw_leave(&f, &good);
}
END_TEST

/* Anybody can make the broker warn; few lines come of it. */
START_TEST(warnings_are_few)
{
	char name[] = "/tmp/brk.XXXXXX";
	int saved = dup(STDERR_FILENO);
	int file = mkstemp(name);
	unsigned lines = 0;
	char c;

	ck_assert_int_ge(file, 0);
	unlink(name);
	ivshm_log_level = IVSHM_LOG_WARN;
	dup2(file, STDERR_FILENO);
	for (unsigned i = 0; i < 500; i++) {
		int fd = raw_connect(&f);

		raw_send(fd, IST_WIRE_HELLO, "no\nbody\033[1m");
		fixture_settle(&f);
		close(fd);
	}
	dup2(saved, STDERR_FILENO);
	ivshm_log_level = IVSHM_LOG_ERROR;
	lseek(file, 0, SEEK_SET);
	while (read(file, &c, 1) == 1) {
		ck_assert(c == '\n' || c >= ' ');
		lines += c == '\n';
	}
	ck_assert_uint_ge(lines, 10);
	ck_assert_uint_lt(lines, 400); /* 10 a second, and however slow this machine is */
	close(file);
	close(saved);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker, bad peers");
	TCase *tcase = tcase_create("bad");
	TCase *own = tcase_create("garbage");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, not_a_packet);
	tcase_add_test(tcase, not_a_hello);
	tcase_add_loop_test(tcase, garbage_first, 0, IST_WIRE_ERROR + 2);
	tcase_set_timeout(own, 120);
	tcase_add_loop_test(own, garbage_later, 0, IST_WIRE_ERROR + 2);
	suite_add_tcase(suite, own);
	tcase_add_test(tcase, out_of_order_when_live);
	tcase_add_test(tcase, talks_after_bye);
	tcase_add_test(tcase, slow_reader);
	tcase_add_test(tcase, never_reads);
	tcase_add_test(tcase, full_doorbell);
	tcase_add_test(tcase, says_nothing);
	tcase_add_test(tcase, a_crowd);
	tcase_add_test(tcase, no_descriptors);
	tcase_add_test(tcase, warnings_are_few);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
