/* SPDX-License-Identifier: BSD-2-Clause */
/* test_broker_run.c: the run-state page as the broker hands it out, and who is shown in it. */
#include <check.h>
#include <sys/syscall.h>

#include "ivshmem/log.h"
#include "ivshmem/run_state.h"
#include "tests/broker_fixture.h"
#include "tests/suite.h"

static struct fixture f;
static const struct ist_run_state *page;

static void start(void)
{
	fixture_configure(&f);
	f.group.run_state = true;
	must(fixture_serve(&f) == 0);
}

static void stop(void)
{
	if (page)
		munmap((void *)(uintptr_t)page, IST_RUN_STATE_SIZE);
	fixture_stop(&f);
}

static int hello(const char *name, uint32_t kind, uint32_t abi)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_HELLO, .kind = kind, .abi = abi}};
	int fd = raw_connect(&f);

	strcpy(packet.wire.name, name);
	must(ivshm_wire_send(fd, &packet) == 0);
	packet = raw_expect(&f, fd, IST_WIRE_WELCOME);
	ivshm_wire_close_fds(&packet);
	return fd;
}

/* Takes the rest, up to READY. */
static void hear_rest(int fd)
{
	struct ivshm_packet packet;

	do {
		must(raw_receive(&f, fd, &packet) == 0);
		must(packet.wire.type != IST_WIRE_RUN_STATE);
		ivshm_wire_close_fds(&packet);
	} while (packet.wire.type != IST_WIRE_READY);
}

/* Joins up to the broker's READY, and maps the page. */
static int join(const char *name, uint32_t kind)
{
	int fd = hello(name, kind, IVSHM_WIRE_ABI);
	struct ivshm_packet packet = raw_expect(&f, fd, IST_WIRE_RUN_STATE);
	void *map;

	must(packet.fds_count == 1 && packet.wire.size == IST_RUN_STATE_SIZE);
	map = mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED, packet.fds[0], 0);
	must(map != MAP_FAILED);
	if (!page)
		page = map;
	else
		munmap(map, IST_RUN_STATE_SIZE);
	ck_assert_ptr_eq(mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			      packet.fds[0], 0),
			 MAP_FAILED);
	ivshm_wire_close_fds(&packet);
	hear_rest(fd);
	return fd;
}

static void thread(int fd, uint32_t id, uint32_t count)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_THREAD, .id = id, .count = count}};

	must(ivshm_wire_send(fd, &packet) == 0);
	fixture_settle(&f);
}

static void ready(int fd)
{
	raw_send(fd, IST_WIRE_READY, "");
	fixture_settle(&f);
}

static void leave(int fd)
{
	raw_send(fd, IST_WIRE_BYE, "");
	close(fd);
	fixture_settle(&f);
}

/* This thread gives its processor away until the entry has been switched to so often since. */
static void await_switches(uint32_t id, uint64_t more)
{
	uint64_t before = __atomic_load_n(&page->peer[id].switches, __ATOMIC_ACQUIRE);

	for (unsigned i = 0;
	     __atomic_load_n(&page->peer[id].switches, __ATOMIC_ACQUIRE) < before + more; i++) {
		must(i < FIXTURE_PATIENCE_MS);
		usleep(1000);
	}
}

/* Whom nobody watches any more is counted until the next switch. */
static void await_off(uint32_t id)
{
	for (unsigned i = 0; __atomic_load_n(&page->peer[id].running, __ATOMIC_ACQUIRE); i++) {
		must(i < FIXTURE_PATIENCE_MS);
		usleep(1000);
	}
}

START_TEST(who_is_told)
{
	int fd = join("left", IST_KIND_APP);
	int old = hello("right", IST_KIND_APP, IST_ABI_MAJOR << 16);

	hear_rest(old); /* no RUN_STATE for ABI 1.0 */
	ck_assert_uint_eq(page->magic, IST_RUN_STATE_MAGIC);
	ck_assert_uint_eq(page->max_peers, FIXTURE_PEERS);
	leave(fd);
	leave(old);
}
END_TEST

START_TEST(a_vm_names_its_threads)
{
	int fd = join("right", IST_KIND_APP);

	thread(fd, (uint32_t)syscall(SYS_gettid), 2);
	ready(fd);
	await_switches(1, 5);
	ck_assert_uint_eq(page->peer[1].incarnation, 1);
	ck_assert_uint_eq(page->peer[1].threads, 2);
	leave(fd);
	await_off(1);

	/* Its next incarnation names nobody: nothing is known of it. */
	fd = join("right", IST_KIND_LINUX);
	ready(fd);
	usleep(1000);
	ck_assert_uint_eq(page->peer[1].incarnation, 1);
	leave(fd);
}
END_TEST

START_TEST(a_process_is_watched_whole)
{
	int fd = join("third", IST_KIND_PROCESS);

	ready(fd);
	await_switches(2, 5);
	ck_assert_uint_eq(page->peer[2].incarnation, 1);
	ck_assert_uint_eq(page->peer[2].threads, 1);
	close(fd); /* without BYE: it lives on, and is LEAVING */
	fixture_settle(&f);
	await_off(2);
}
END_TEST

/* The death of a process that is watched, and the next incarnation of its ID. */
START_TEST(a_peer_dies)
{
	int pair[2], fd;
	pid_t pid;
	char byte;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = raw_connect(&f);
		raw_send(fd, IST_WIRE_HELLO, "left"); /* an app VM */
		must(write(pair[1], "", 1) == 1);
		must(read(pair[1], &byte, 1) == 1);
		must(ivshm_wire_send(fd, &(struct ivshm_packet){.wire = {.type = IST_WIRE_THREAD,
									 .id = (uint32_t)getpid(),
									 .count = 1}}) == 0);
		raw_send(fd, IST_WIRE_READY, "");
		for (;;)
			usleep(1000);
	}
	fixture_await(&f, pair[0]);
	fixture_settle(&f);
	must(write(pair[0], "", 1) == 1);
	fd = join("right", IST_KIND_APP);
	for (unsigned i = 0; page->peer[0].switches < 5; i++) {
		must(i < FIXTURE_PATIENCE_MS);
		usleep(1000);
		fixture_settle(&f);
	}
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	fixture_settle(&f);
	leave(fd);

	fd = join("left", IST_KIND_APP);
	thread(fd, (uint32_t)getpid(), 1);
	ready(fd);
	await_switches(0, 2);
	ck_assert_uint_eq(page->peer[0].incarnation, 2);
	leave(fd);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

/* Naming somebody else's thread shows nothing of it, and harms nobody. */
START_TEST(threads_of_others)
{
	int fd = join("left", IST_KIND_APP), good = join("right", IST_KIND_APP);
	pid_t victim = fork();

	must(victim >= 0);
	if (victim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			usleep(1000);
	}
	thread(fd, (uint32_t)victim, 3);
	thread(fd, 1, 3);
	thread(fd, 0x7fffffff, 3);
	thread(good, (uint32_t)getpid(), 1);
	ready(fd);
	ready(good);
	await_switches(1, 50);
	ck_assert_uint_eq(page->peer[0].switches, 0);
	ck_assert_uint_eq(page->peer[0].incarnation, 0);
	must(kill(victim, SIGKILL) == 0 && waitpid(victim, NULL, 0) == victim);
	leave(fd);
	leave(good);
}
END_TEST

static const struct {
	uint32_t before[2]; /* a THREAD that is accepted: its id and count */
	uint32_t id, count;
	const char *text;
} nonsense[] = {
	{{0, 0}, 5, 0, "a thread of 0 vCPUs"},
	{{0, 0}, 5, 65, "a thread of 65 vCPUs"},
	{{0, 0}, 5, 0xffffffff, "a thread of 4294967295 vCPUs"},
	{{0, 0}, 0, 1, "thread 0 is none of 1 vCPUs"},
	{{5, 2}, 6, 3, "a thread of 3 vCPUs, after one of 2"},
	{{5, 1}, 6, 1, "thread 6 is none of 1 vCPUs"},
};

START_TEST(threads_that_make_no_sense)
{
	int fd = join("left", IST_KIND_APP);

	if (nonsense[_i].before[1])
		thread(fd, nonsense[_i].before[0], nonsense[_i].before[1]);
	thread(fd, nonsense[_i].id, nonsense[_i].count);
	raw_expect_error(&f, fd, EPROTO, nonsense[_i].text);
}
END_TEST

START_TEST(threads_out_of_order)
{
	int fd = raw_connect(&f);

	thread(fd, 5, 1);
	raw_expect_error(&f, fd, EPROTO, "THREAD is out of order here");
	fd = join("right", IST_KIND_APP);
	ready(fd);
	thread(fd, 5, 1);
	raw_expect_error(&f, fd, EPROTO, "THREAD is out of order here");
	fd = hello("third", IST_KIND_APP, IST_ABI_MAJOR << 16);
	hear_rest(fd);
	thread(fd, 5, 1);
	raw_expect_error(&f, fd, EPROTO, "THREAD is out of order here");
}
END_TEST

/* As many connections as there can be, each with as many threads: nothing runs out. */
START_TEST(sixty_four_threads)
{
	int fd = join("left", IST_KIND_APP);

	for (uint32_t i = 1; i <= IST_RUN_THREADS_MAX; i++)
		thread(fd, i, IST_RUN_THREADS_MAX);
	ready(fd);
	leave(fd);
	fd = join("left", IST_KIND_APP);
	leave(fd);
}
END_TEST

/* ---- Without ---- */

static void expect_none(void)
{
	int fd = hello("left", IST_KIND_PROCESS, IVSHM_WIRE_ABI);

	hear_rest(fd);
	ready(fd);
	leave(fd);
}

START_TEST(not_wanted)
{
	fixture_start(&f);
	expect_none();
	fixture_stop(&f);
}
END_TEST

/* Says what a broker says that may not load BPF programs. */
static void serve_unprivileged(void)
{
	if (geteuid() == 0)
		must(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	ivshm_log_level = IVSHM_LOG_INFO;
	must(fixture_serve(&f) == 0);
	ivshm_log_level = IVSHM_LOG_WARN;
	expect_none();
	ivshm_broker_destroy(f.broker);
	_exit(0);
}

/* It serves the group all the same, and says one line. */
START_TEST(not_allowed)
{
	char text[1024] = "";
	int err[2], status;
	pid_t pid;

	fixture_configure(&f);
	f.group.run_state = true;
	must(geteuid() != 0 || chown(f.dir, 65534, 65534) == 0);
	must(pipe2(err, O_CLOEXEC) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		dup2(err[1], STDERR_FILENO);
		serve_unprivileged();
	}
	close(err[1]);
	must(waitpid(pid, &status, 0) == pid);
	ck_assert_int_gt(read(err[0], text, sizeof(text) - 1), 0);
	ck_assert_msg(status == 0, "%s", text);
	ck_assert_msg(!strncmp(text, "isthmus: no run state: ", 23), "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "\nisthmus: group ping: served at "));
	close(err[0]);
	must(rmdir(f.dir) == 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker's run state");
	TCase *with = tcase_create("with"), *without = tcase_create("without");
	struct ivshm_run_state *run;
	char error[256];

	tcase_add_test(without, not_wanted);
	tcase_add_test(without, not_allowed);
	suite_add_tcase(suite, without);
	tcase_add_checked_fixture(with, start, stop);
	tcase_add_test(with, who_is_told);
	tcase_add_test(with, a_vm_names_its_threads);
	tcase_add_test(with, a_process_is_watched_whole);
	tcase_add_test(with, a_peer_dies);
	tcase_add_test(with, threads_of_others);
	tcase_add_loop_test(with, threads_that_make_no_sense, 0,
			    sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_test(with, threads_out_of_order);
	tcase_add_test(with, sixty_four_threads);
	if (ivshm_run_state_create(1, error, sizeof(error), &run)) {
		printf("only without a run state: %s\n", error);
	} else {
		ivshm_run_state_destroy(run);
		suite_add_tcase(suite, with);
	}
	return suite_run(suite);
}
