/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_broker_return_bad.c: who may not come back to a group that was taken over, and who may not
 * serve it.
 */
#include <check.h>

#include "tests/suite.h"
#include "tests/taken_over.h"

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
	Suite *suite = suite_create("broker, hostile returns");
	TCase *tests = tcase_create("return");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, hostile_reattachers);
	tcase_add_loop_test(tests, who_may_serve, 0, 2);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
