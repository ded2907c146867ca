/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rights_host.c: libisthmus in a process whose rights change, against the real broker. */
#include <check.h>

#include <isthmus/isthmus.h>

#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/suite.h"

static struct fixture f;

#include "tests/reload_group.h"

#define PATIENCE_NS 20000000000ull

static struct ist_group *group;
static pid_t broker;
static int control; /* the broker ends when it is closed */

static void serve(int until)
{
	struct pollfd p[2] = {{.fd = until, .events = POLLIN}, {.events = POLLIN}};

	must(ivshm_config_load(file, stderr, &loaded) == 0);
	f.config = *loaded;
	must(fixture_serve(&f) == 0);
	must(control_serve(&f) == 0);
	must(write(until, "", 1) == 1);
	p[1].fd = ivshm_broker_fd(f.broker);
	while (poll(p, 2, -1) > 0 && !p[0].revents)
		must(ivshm_broker_dispatch(f.broker) == 0);
	reload_stop();
	_exit(0);
}

static void start(void)
{
	int pair[2];
	char byte;

	fixture_configure(&f);
	snprintf(file, sizeof(file), "%s.yml", f.dir);
	write_file((struct text){0});
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	broker = fork();
	must(broker >= 0);
	if (broker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		serve(pair[1]);
	}
	close(pair[1]);
	control = pair[0];
	must(read(control, &byte, 1) == 1);
	must(setenv("ISTHMUS_RUNTIME_DIR", f.dir, 1) == 0 &&
	     setenv("ISTHMUS_INSTANCE", "left", 1) == 0);
	must(ist_group_open("ping", &group) == 0);
}

static void stop(void)
{
	int status;

	ist_group_close(group);
	close(control);
	must(waitpid(broker, &status, 0) == broker && status == 0);
}

/* The broker goes over to this; nobody waits for this process. */
static void go_over(struct text text)
{
	struct ivshm_control m = {.row = {.type = IVSHM_CONTROL_RELOAD}};
	int fd = control_connect(&f);

	write_file(text);
	snprintf(m.text, sizeof(m.text), "%s", file);
	must(ivshm_control_send(fd, &m) == 0);
	do
		must(ivshm_control_receive(fd, &m, 0) == 0);
	while (m.row.type == IVSHM_CONTROL_LINE);
	must(m.row.type == IVSHM_CONTROL_DONE);
	close(fd);
}

/* What an application does that wants to know: it waits for news of the roster, and asks. */
static struct ist_region_info await_right(enum ist_right right)
{
	uint64_t deadline = ist_time_ns() + PATIENCE_NS;
	struct ist_region_info info;
	uint32_t seen = 0;

	for (;;) {
		must(ist_region_find(group, "shared", &info) == 0);
		if (info.right == right)
			return info;
		must(ist_time_ns() < deadline);
		ist_doorbell_wait(group, 0, &seen, 50000000);
	}
}

/* What a process that is a copy of this one dies of when it stores, or loads, there; 0: of nothing.
 */
static int dies(void *address, bool stores)
{
	pid_t pid = fork();
	int status;

	must(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		if (stores)
			*(volatile char *)address = 1;
		else
			(void)*(volatile char *)address;
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

#define WITH(right) "size: 64K, access: rw, rights: [{instance: left, access: " right "}]"

START_TEST(mapping_follows)
{
	struct ist_region_info info = await_right(IST_WRITE);
	char *where = info.address;
	uint32_t seen = 0;

	*where = 'x';
	go_over((struct text){.shared = WITH("ro")});
	info = await_right(IST_READ);
	ck_assert_ptr_eq(info.address, where);
	/* The roster may be ahead of the mapping, until what came with it is looked at. */
	for (unsigned i = 0; i < 1000 && dies(where + 8, true) == 0; i++)
		ist_doorbell_wait(group, 0, &seen, 1000000);
	ck_assert_int_eq(dies(where + 8, true), SIGSEGV);
	ck_assert_int_eq(dies(where, false), 0);
	ck_assert_int_eq(*where, 'x');

	go_over((struct text){.shared = WITH("none")});
	info = await_right(IST_NONE);
	ck_assert_ptr_null(info.address);

	go_over((struct text){0});
	info = await_right(IST_WRITE);
	ck_assert_ptr_eq(info.address, where);
	ck_assert_int_eq(*where, 'x');
	*where = 'y';
}
END_TEST

/* One that had no right at the start has no mapping yet. */
START_TEST(from_nothing)
{
	struct ist_region_info info;

	go_over((struct text){.shared = WITH("none")});
	ist_group_close(group);
	must(ist_group_open("ping", &group) == 0);
	info = await_right(IST_NONE);
	go_over((struct text){0});
	info = await_right(IST_WRITE);
	*(char *)info.address = 'z';
	ck_assert_int_eq(*(char *)info.address, 'z');
}
END_TEST

/* Who opens objects there is told, and so is an end of a channel that is open. */
START_TEST(objects)
{
	const struct ist_channel_options options = {.region = "shared", .lines = 16, .bytes = 4096};
	const struct ist_cell_options cell_options = {.size = 8, .region = "shared"};
	struct ist_channel *channel;
	struct ist_cell *cell;
	char byte = 1;

	ck_assert_int_eq(ist_channel_open(group, "c", IST_RECEIVER, &options, &channel), 0);
	go_over((struct text){.shared = WITH("ro")});
	await_right(IST_READ);
	ck_assert_int_eq(ist_channel_recv(channel, &byte, 1, IST_FOREVER), -EACCES);
	ck_assert_int_eq(ist_channel_recv(channel, &byte, 1, IST_FOREVER), -EACCES);
	ist_channel_close(channel);
	ck_assert_int_eq(ist_channel_open(group, "d", IST_SENDER, &options, &channel), -EACCES);
	ck_assert_int_eq(ist_cell_open(group, "e", &cell_options, &cell), -EACCES);
}
END_TEST

/* A region that comes while it is there: when it joins again. */
START_TEST(new_region)
{
	struct ist_region_info info;

	go_over((struct text){.more = "      - {name: extra, size: 16K, access: rw}\n"});
	ck_assert_int_eq(ist_region_find(group, "extra", &info), -ENOENT);
	ist_group_close(group);
	must(ist_group_open("ping", &group) == 0);
	ck_assert_int_eq(ist_region_find(group, "extra", &info), 0);
	ck_assert_int_eq(info.right, IST_WRITE);
	*(char *)info.address = 1;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rights of a process");
	TCase *tests = tcase_create("rights");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, mapping_follows);
	tcase_add_test(tests, from_nothing);
	tcase_add_test(tests, objects);
	tcase_add_test(tests, new_region);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
