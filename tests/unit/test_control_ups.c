/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_control_ups.c: several `up`s in a directory, each with a control socket of its number, and
 * how they are listed: stale ones, and what answers and is none.
 */
#include <check.h>
#include <sys/stat.h>

#include "ivshmem/log.h"
#include "tests/control_group.h"
#include "tests/suite.h"

START_TEST(numbers)
{
	struct ivshm_control_ups ups;
	struct fixture other;
	struct stat st;
	char path[96];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/1.control", f.dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	fixture_configure(&other);
	ck_assert_int_eq(rmdir(other.dir), 0);
	other.config.groups_count = 0;
	other.config.path = other.dir;
	snprintf(other.dir, sizeof(other.dir), "%s", f.dir);
	ck_assert_int_eq(fixture_serve(&other), 0);
	ck_assert_int_eq(control_serve(&other), 0);
	snprintf(path, sizeof(path), "%s/2.control", f.dir);
	ck_assert_int_eq(access(path, F_OK), 0);
	ivshm_broker_destroy(other.broker);
	ck_assert_int_eq(access(path, F_OK), -1);

	/* A killed one leaves 2; who comes next takes it. */
	pid = fork();
	if (pid == 0) {
		status = fixture_serve(&other) || control_serve(&other);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(fixture_serve(&other), 0);
	ck_assert_int_eq(control_serve(&other), 0);
	snprintf(path, sizeof(path), "%s/3.control", f.dir);
	ck_assert_int_eq(access(path, F_OK), -1);
	ivshm_broker_destroy(other.broker);

	/* A directory without any. */
	ck_assert_int_eq(ivshm_control_list("/proc", &ups, f.error, sizeof(f.error)), 0);
	ck_assert_uint_eq(ups.count, 0);
	ivshm_control_forget(&ups);
}
END_TEST

/* What is no answer to STATUS: whoever it is that answers. */
START_TEST(no_answers)
{
	static const struct ivshm_control_row answers[] = {
		{.type = IVSHM_CONTROL_ERROR, .code = 0},
		{.type = IVSHM_CONTROL_ERROR, .code = -EPERM},
		{.type = IVSHM_CONTROL_ERROR, .code = INT32_MIN},
		{.type = IVSHM_CONTROL_DONE}, /* of nothing */
		{.type = IVSHM_CONTROL_REGION, .index = IST_REGIONS_MAX, .name = "main"},
		{.type = IVSHM_CONTROL_GROUP, .name = "ping\", \"x\": \"y"},
		{.type = IVSHM_CONTROL_INSTANCE, .name = "\033[2J"},
		{.type = IVSHM_CONTROL_STATUS, .name = "left"},
	};
	struct ivshm_control answer = {.row = answers[_i]}, request;
	char dir[] = "/tmp/ist-control.XXXXXX", error[256];
	struct ivshm_control_ups ups;
	struct ivshm_door door;
	int socket, status;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(
		ivshm_door_open(&door, &ivshm_control_door, dir, "1", 0600, error, sizeof(error)),
		0);
	pid = fork();
	if (pid == 0) {
		struct pollfd asks = {.fd = door.listener, .events = POLLIN};

		must(poll(&asks, 1, FIXTURE_PATIENCE_MS) == 1);
		socket = accept(door.listener, NULL, NULL);
		must(socket >= 0 && ivshm_control_receive(socket, &request, 0) == 0);
		must(ivshm_control_send(socket, &answer) == 0);
		_exit(0);
	}
	ck_assert_int_eq(ivshm_control_list(dir, &ups, error, sizeof(error)), -EPROTO);
	ck_assert_ptr_nonnull(strstr(error, "is of another version"));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(door.listener);
	ivshm_door_close(&door);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control, several");
	TCase *plain = tcase_create("control");
	TCase *own = tcase_create("own");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(plain, control_start, control_stop);
	tcase_add_test(plain, numbers);
	suite_add_tcase(suite, plain);
	tcase_add_loop_test(own, no_answers, 0, 8);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
