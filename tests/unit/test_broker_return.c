/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_broker_return.c: a broker is killed and another one takes its group over: same memory, IDs
 * and incarnations, nobody misses a change and nobody is told twice; and who may not come back.
 */
#include <check.h>
#include <sys/stat.h>

#include "ivshmem/log.h"
#include "ivshmem/state.h"
#include "tests/legacy_client.h"
#include "tests/restart_fixture.h"
#include "tests/suite.h"

#define LEFT 0u
#define RIGHT 1u
#define THIRD 2u
#define WORD(state, incarnation) IST_PEER_WORD(IST_PEER_##state, incarnation)

static struct restart r;
static struct raw left, right;

/* Two live peers. */
static void setup(void)
{
	ivshm_log_level = IVSHM_LOG_ERROR;
	fixture_configure(&r.f);
	r.f.instance[THIRD].kind = IST_KIND_QEMU; /* has a socket of QEMU's, too */
	restart_two(&r, ivshm_broker_create, &left, &right);
}

static void take_over(void)
{
	restart_kill(&r);
	must(restart_begin(&r, ivshm_broker_attach) == 0);
}

static void both_return(void)
{
	raw_return(&r.f, &left, "left");
	raw_return(&r.f, &right, "right");
}

/* What is shown is what is. */
static void finish(void)
{
	raw_rings(&left, &right, 1);
	raw_rings(&right, &left, 2);
	raw_close(&left);
	raw_close(&right);
	restart_end(&r);
}

/* BYE, and the broker has heard it. */
static void leave(struct raw *raw)
{
	raw_send(raw->socket, IST_WIRE_BYE, "");
	shutdown(raw->socket, SHUT_RDWR);
	raw_await_word(&r.f, raw, raw->id, WORD(ABSENT, raw->incarnation));
	raw_close(raw);
}

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

/* ---- Who may not ---- */

/* A connection that begins as left's would. */
static int begin(int memory)
{
	struct ist_wire wire = raw_reattach_wire(&left, "left");
	int fd = raw_connect(&r.f);

	raw_send_fds(fd, &wire, &memory, memory >= 0);
	return fd;
}

static void expect_refused(const struct ist_wire *wire, int memory, int code, const char *text)
{
	int fd = raw_connect(&r.f);

	raw_send_fds(fd, wire, &memory, memory >= 0);
	raw_expect_error(&r.f, fd, code, text);
}

START_TEST(hostile_reattachers)
{
	struct ist_wire wire = raw_reattach_wire(&left, "left");
	int memfd = memfd_create("isthmus:ping", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int other = eventfd(0, EFD_CLOEXEC), fd;
	int bells[FIXTURE_VECTORS];
	char text[144];
	pid_t child;
	int status;

	must(memfd >= 0 && ftruncate(memfd, (off_t)left.size) == 0);
	must(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	/* Nobody comes back to who never went. */
	expect_refused(&wire, left.memory, ESTALE, "instance 'left' is not away");
	take_over();

	wire = raw_reattach_wire(&left, "nobody");
	expect_refused(&wire, left.memory, ESTALE,
		       "instance 'nobody' has no incarnation 1 to come back to");
	wire = raw_reattach_wire(&left, "right"); /* another's name */
	expect_refused(&wire, left.memory, ESTALE,
		       "instance 'right' has no incarnation 1 to come back to");
	wire = raw_reattach_wire(&left, "left");
	wire.incarnation = 2;
	expect_refused(&wire, left.memory, ESTALE,
		       "instance 'left' has no incarnation 2 to come back to");
	wire = raw_reattach_wire(&left, "left");
	wire.kind = IST_KIND_PROCESS;
	expect_refused(&wire, left.memory, ESTALE,
		       "instance 'left' has no incarnation 1 to come back to");
	wire.kind = IST_KIND_APP;
	wire.abi = 2u << 16;
	expect_refused(&wire, left.memory, EPROTONOSUPPORT, "isthmus ABI 2.0 is not spoken here");
	wire = raw_reattach_wire(&left, "left");
	expect_refused(&wire, memfd, EBADF, "this is not the memory of group 'ping'");
	expect_refused(&wire, STDERR_FILENO, EBADF, "this is not the memory of group 'ping'");
	expect_refused(&wire, -1, EBADF, "this is not the memory of group 'ping'");

	/* Not the process. */
	child = fork();
	must(child >= 0);
	if (child == 0) {
		snprintf(text, sizeof(text), "instance 'left' is process %d, not %d",
			 (int)getppid(), (int)getpid());
		expect_refused(&wire, left.memory, EACCES, text);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && status == 0);

	/* Doorbells: another object, another vector's, another peer's, too few, twice, unknown. */
	memcpy(bells, left.own, sizeof(bells));
	bells[1] = other;
	fd = begin(left.memory);
	raw_send_bells(fd, LEFT, 1, bells);
	raw_expect_error(&r.f, fd, EBADF, "doorbell 1 of 'left' is another one");
	bells[1] = memfd;
	fd = begin(left.memory);
	raw_send_bells(fd, LEFT, 1, bells);
	raw_expect_error(&r.f, fd, EBADF, "doorbell 1 of 'left' is another one");
	bells[1] = left.own[2];
	fd = begin(left.memory);
	raw_send_bells(fd, LEFT, 1, bells);
	raw_expect_error(&r.f, fd, EBADF, "doorbell 1 of 'left' is another one");
	fd = begin(left.memory);
	raw_send_bells(fd, RIGHT, 1, left.own);
	raw_expect_error(&r.f, fd, EBADF, "doorbell 0 of 'right' is another one");
	fd = begin(left.memory);
	wire = (struct ist_wire){.type = IST_WIRE_BELLS, .id = RIGHT, .incarnation = 1};
	raw_send_fds(fd, &wire, left.peer[RIGHT], 2);
	raw_expect_error(&r.f, fd, EPROTO, "2 doorbells of 'right' instead of 3");
	fd = begin(left.memory);
	raw_send_bells(fd, LEFT, 1, left.own);
	raw_send_bells(fd, LEFT, 1, left.own);
	raw_expect_error(&r.f, fd, EPROTO, "BELLS of ID 0, incarnation 1, cannot be");
	fd = begin(left.memory);
	raw_send_bells(fd, RIGHT, 2, left.peer[RIGHT]);
	raw_expect_error(&r.f, fd, EPROTO, "BELLS of ID 1, incarnation 2, cannot be");
	fd = begin(left.memory);
	raw_send_bells(fd, 4000, 1, left.peer[RIGHT]);
	raw_expect_error(&r.f, fd, EPROTO, "BELLS of ID 4000, incarnation 1, cannot be");
	fd = begin(left.memory);
	raw_send(fd, IST_WIRE_READY, "");
	raw_expect_error(&r.f, fd, EPROTO, "its own doorbells are missing");
	fd = begin(left.memory);
	raw_send(fd, IST_WIRE_HELLO, "left");
	raw_expect_error(&r.f, fd, EPROTO, "HELLO is out of order here");
	fd = raw_connect(&r.f);
	raw_send_bells(fd, LEFT, 1, left.own);
	raw_expect_error(&r.f, fd, EPROTO, "a peer sends no descriptors");

	/* All that is forgotten when they come as they should. */
	both_return();
	fd = begin(left.memory);
	raw_expect_error(&r.f, fd, ESTALE, "instance 'left' is not away");
	raw_await_word(&r.f, &left, LEFT, WORD(LIVE, 1));
	close(memfd);
	close(other);
	finish();
}
END_TEST

/* ---- Who serves ---- */

START_TEST(who_may_serve)
{
	struct restart second = r;
	char text[256], path[128];
	FILE *file;

	restart_kill(&r);
	snprintf(text, sizeof(text),
		 "group 'ping': a broker that was killed has left 'left' running (pid %d): "
		 "--attach takes it over",
		 (int)getpid());
	ck_assert_int_eq(restart_begin(&r, ivshm_broker_create), -EBUSY);
	ck_assert_str_eq(r.f.error, text);
	/* Another configuration. */
	r.f.region[0].size *= 2;
	ck_assert_int_eq(restart_begin(&r, ivshm_broker_attach), -EINVAL);
	ck_assert_str_eq(r.f.error, "group 'ping' runs with another configuration: size of region "
				    "'shared' was 65536 and is 131072");
	r.f.region[0].size /= 2;
	r.f.group.members_count = 2;
	ck_assert_int_eq(restart_begin(&r, ivshm_broker_attach), -EINVAL);
	ck_assert_str_eq(r.f.error, "group 'ping' runs with another configuration: instance "
				    "'third' is gone");
	r.f.group.members_count = 3;
	r.f.group.member[THIRD] = 2;
	/* Who stays has the ID it had, in whatever order the file names them. */
	r.f.group.member[0] = 1;
	r.f.group.member[1] = 0;
	/* After all these it can still be taken over, by one of two. */
	ck_assert_int_eq(restart_begin(&r, ivshm_broker_attach), 0);
	ck_assert_int_eq(restart_begin(&second, ivshm_broker_attach), -EADDRINUSE);
	both_return();
	raw_rings(&left, &right, 1);
	leave(&left);
	leave(&right);
	/* Nobody is left: all is new. */
	restart_kill(&r);
	ck_assert_int_eq(restart_begin(&r, _i ? ivshm_broker_attach : ivshm_broker_create), 0);
	left = raw_live(&r.f, "left");
	ck_assert_uint_eq(left.incarnation, 1);
	/* What is no state file counts as none. */
	restart_kill(&r);
	snprintf(path, sizeof(path), "%s/ping.state", r.f.dir);
	file = fopen(path, "w");
	must(file && fputs("rubbish", file) >= 0 && fclose(file) == 0);
	ck_assert_int_eq(restart_begin(&r, ivshm_broker_attach), 0);
	raw_close(&left);
	restart_end(&r);
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
	tcase_add_test(tests, hostile_reattachers);
	tcase_add_loop_test(tests, who_may_serve, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
