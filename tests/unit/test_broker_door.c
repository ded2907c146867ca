/* SPDX-License-Identifier: BSD-2-Clause */
/* test_broker_door.c: the group's socket: who may join there, and one broker at a time behind it.
 */
#include <check.h>
#include <sys/file.h>
#include <sys/stat.h>

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

/* ---- Who may join ---------------------------------------------------------------------------- */

/* Connects as another user, and says HELLO. */
static void as_user(uid_t uid, int *result)
{
	int pair[2];
	pid_t pid;

	must(pipe(pair) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		struct ivshm_packet p;
		struct pollfd wait;
		int fd, code = 0;

		must(setresuid(uid, uid, uid) == 0);
		fd = raw_connect(&f);
		p = (struct ivshm_packet){
			.wire = {.type = IST_WIRE_HELLO, .abi = IVSHM_WIRE_ABI, .name = "left"}};
		ivshm_wire_send(fd, &p); /* may be refused already */
		wait = (struct pollfd){.fd = fd, .events = POLLIN};
		must(poll(&wait, 1, FIXTURE_PATIENCE_MS) == 1);
		must(ivshm_wire_receive(fd, &p) == 0);
		if (p.wire.type == IST_WIRE_ERROR)
			code = (int)p.wire.code;
		must(write(pair[1], &code, sizeof(code)) == sizeof(code));
		_exit(0);
	}
	close(pair[1]);
	fixture_await(&f, pair[0]);
	must(read(pair[0], result, sizeof(*result)) == sizeof(*result));
	close(pair[0]);
	must(waitpid(pid, NULL, 0) == pid);
	fixture_settle(&f);
}

START_TEST(who_may_join)
{
	char *users[] = {(char *)(uintptr_t) "daemon"};
	struct stat st;
	int code;

	fixture_configure(&f);
	f.group.users = users;
	f.group.users_count = 1;
	ck_assert_int_eq(chmod(f.dir, 0755), 0);
	ck_assert_int_eq(fixture_serve(&f), 0);
	ck_assert_int_eq(stat(f.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0666);
	if (geteuid() == 0) {
		as_user(1, &code); /* daemon, in every Debian */
		ck_assert_int_eq(code, 0);
		as_user(65534, &code);
		ck_assert_int_eq(code, EACCES);
	}
	fixture_stop(&f);

	fixture_configure(&f);
	users[0] = (char *)(uintptr_t) "no-such-user";
	f.group.users = users;
	f.group.users_count = 1;
	ck_assert_int_eq(fixture_serve(&f), -EINVAL);
	ck_assert_str_eq(f.error, "group 'ping': no user 'no-such-user'");
	ck_assert_int_eq(rmdir(f.dir), 0);

	fixture_start(&f);
	ck_assert_int_eq(stat(f.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	fixture_stop(&f);
}
END_TEST

/* ---- The directory --------------------------------------------------------------------------- */

START_TEST(runtime_dir)
{
	char dir[32];

	setenv("ISTHMUS_RUNTIME_DIR", "/tmp/own", 1);
	setenv("XDG_RUNTIME_DIR", "/tmp/xdg", 1);
	ck_assert_int_eq(ivshm_runtime_dir(dir, sizeof(dir)), 0);
	ck_assert_str_eq(dir, "/tmp/own");
	ck_assert_int_eq(ivshm_runtime_dir(dir, 8), -ENAMETOOLONG);
	setenv("ISTHMUS_RUNTIME_DIR", "", 1);
	ck_assert_int_eq(ivshm_runtime_dir(dir, sizeof(dir)), 0);
	ck_assert_str_eq(dir, "/tmp/xdg/isthmus");
	unsetenv("XDG_RUNTIME_DIR");
	if (geteuid() == 0) {
		ck_assert_int_eq(ivshm_runtime_dir(dir, sizeof(dir)), 0);
		ck_assert_str_eq(dir, "/run/isthmus");
	} else {
		ck_assert_int_eq(ivshm_runtime_dir(dir, sizeof(dir)), -ENOENT);
	}
}
END_TEST

START_TEST(two_brokers)
{
	struct ivshm_broker *other;
	char expected[256], error[256];
	struct raw left;

	snprintf(expected, sizeof(expected), "group 'ping' is already served (%s)", f.path);
	ck_assert_int_eq(ivshm_broker_create(&f.config, f.dir, error, sizeof(error), &other),
			 -EADDRINUSE);
	ck_assert_str_eq(error, expected);
	left = raw_live(&f, "left"); /* the first is as it was */
	raw_leave(&f, &left);
}
END_TEST

/* A broker was killed: its socket and lock file are still there. */
START_TEST(stale_socket)
{
	struct raw left;
	pid_t pid;
	int status;

	fixture_configure(&f);
	pid = fork();
	if (pid == 0)
		_exit(fixture_serve(&f) == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(access(f.path, F_OK), 0);
	ck_assert_int_eq(fixture_serve(&f), 0);
	left = raw_live(&f, "left");
	raw_leave(&f, &left);
	fixture_stop(&f);
}
END_TEST

#define RACERS 6u
#define RACES 15u

/* Several start at once where one was killed, again and again: one serves, the others are told. */
START_TEST(a_race_of_brokers)
{
	fixture_configure(&f);
	for (unsigned race = 0; race < RACES; race++) {
		unsigned served = 0, refused = 0;
		int go[2], said[2], result;
		pid_t pid[RACERS];

		must(pipe(go) == 0 && pipe(said) == 0);
		for (unsigned i = 0; i < RACERS; i++) {
			pid[i] = fork();
			must(pid[i] >= 0);
			if (pid[i] == 0) {
				close(go[1]);
				result = (int)read(go[0], &result, 1); /* until all are there */
				result = fixture_serve(&f);
				must(write(said[1], &result, sizeof(result)) == sizeof(result));
				pause(); /* killed as it is: what it serves is left behind */
			}
		}
		close(go[0]);
		close(go[1]);
		for (unsigned i = 0; i < RACERS; i++) {
			must(read(said[0], &result, sizeof(result)) == sizeof(result));
			served += result == 0;
			refused += result == -EADDRINUSE;
		}
		close(said[0]);
		close(said[1]);
		ck_assert_uint_eq(served, 1);
		ck_assert_uint_eq(refused, RACERS - 1);
		for (unsigned i = 0; i < RACERS; i++)
			must(kill(pid[i], SIGKILL) == 0 && waitpid(pid[i], NULL, 0) == pid[i]);
		ck_assert_int_eq(access(f.path, F_OK), 0);
	}
	ck_assert_int_eq(fixture_serve(&f), 0);
	fixture_stop(&f);
}
END_TEST

START_TEST(something_in_the_way)
{
	char expected[256];
	int fd;

	fixture_configure(&f);
	fd = open(f.path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	snprintf(expected, sizeof(expected), "%s: File exists", f.path);
	ck_assert_int_eq(fixture_serve(&f), -EEXIST);
	ck_assert_str_eq(f.error, expected);
	ck_assert_int_eq(unlink(f.path), 0);
	ck_assert_int_eq(rmdir(f.dir), 0); /* the lock file is gone */

	snprintf(expected, sizeof(expected), "%s/a/b", f.dir); /* nor is a path made */
	ck_assert_int_eq(
		ivshm_broker_create(&f.config, expected, f.error, sizeof(f.error), &f.broker),
		-ENOENT);
}
END_TEST

/* The first group is served, the second cannot be: nothing is left of the first. */
START_TEST(half_a_configuration)
{
	struct ivshm_group_config groups[2];

	fixture_configure(&f);
	groups[0] = groups[1] = f.group;
	f.config.groups = groups;
	f.config.groups_count = 2;
	ck_assert_int_eq(fixture_serve(&f), -EADDRINUSE);
	ck_assert_int_eq(rmdir(f.dir), 0);
}
END_TEST

START_TEST(makes_and_removes_the_directory)
{
	struct stat st;

	fixture_configure(&f);
	ck_assert_int_eq(rmdir(f.dir), 0);
	umask(022);
	ck_assert_int_eq(fixture_serve(&f), 0);
	ck_assert_int_eq(stat(f.dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0755);
	ivshm_broker_destroy(f.broker);
	ck_assert_int_eq(access(f.dir, F_OK), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker, its socket");
	TCase *plain = tcase_create("served"), *own = tcase_create("brokers");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(plain, start, stop);
	tcase_add_test(plain, two_brokers);
	suite_add_tcase(suite, plain);
	tcase_add_test(own, who_may_join);
	tcase_add_test(own, runtime_dir);
	tcase_add_test(own, stale_socket);
	tcase_add_test(own, a_race_of_brokers);
	tcase_add_test(own, something_in_the_way);
	tcase_add_test(own, half_a_configuration);
	tcase_add_test(own, makes_and_removes_the_directory);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
