/* SPDX-License-Identifier: BSD-2-Clause */
/* test_run_state.c: the BPF program on this kernel: who is counted, and that nobody else writes. */
#include <check.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "ivshmem/run_state.h"
#include "tests/broker_fixture.h"
#include "tests/suite.h"

/*
 * What spinning threads find when they look. A switch that the kernel does not report leaves one
 * uncounted, or counted where it was, until that processor's next: so not every look is true, and
 * of one that moves between processors a count may be too high; of one that stays it never is.
 */
static struct found {
	uint64_t true_looks; /* that count who looks */
	uint64_t too_high;
	uint32_t together; /* the most that was counted */
	uint32_t threads;  /* that there are */
	uint32_t tid[2];
	uint32_t watched; /* the test has named them */
} * found;

/* A process that is watched whole: TSan has a thread of its own in it, which counts too. */
#ifdef __SANITIZE_THREAD__
#define PROCESS_THREADS 2u
#else
#define PROCESS_THREADS 1u
#endif

static struct ivshm_run_state *run;
static const struct ist_run_state *page;
static int page_fd;
static unsigned descriptors;
static char error[256];

static const struct ist_run_state *map_page(int fd)
{
	void *map = mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	must(map != MAP_FAILED);
	return map;
}

static void setup(void)
{
	descriptors = count_descriptors();
	must(ivshm_run_state_create(2, error, sizeof(error), &run) == 0);
	page_fd = ivshm_run_state_add_page(run, 0, 4);
	must(page_fd >= 0);
	page = map_page(page_fd);
	found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	must(found != MAP_FAILED);
	found->threads = PROCESS_THREADS;
}

static void teardown(void)
{
	munmap(found, sizeof(*found));
	munmap((void *)(uintptr_t)page, IST_RUN_STATE_SIZE);
	ivshm_run_state_destroy(run);
	ck_assert_uint_eq(count_descriptors(), descriptors);
}

static long bpf(int command, union bpf_attr *attribute)
{
	return syscall(SYS_bpf, command, attribute, sizeof(*attribute));
}

/* The ID of the BPF program that a process has, the last one of several. */
static uint32_t program_of(pid_t pid)
{
	char path[64], line[128];
	unsigned id = 0;

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "prog_id: %u", &id) == 1)
				break;
		if (file)
			fclose(file);
	}
	must(id);
	return id;
}

static bool is_there(uint32_t program)
{
	union bpf_attr which = {.prog_id = program};
	int fd = (int)bpf(BPF_PROG_GET_FD_BY_ID, &which);

	must(fd >= 0 || errno == ENOENT);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Waits for what a word must come to be, however long this machine takes. */
static void await(const uint32_t *word, uint32_t value)
{
	for (unsigned i = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; i++) {
		must(i < FIXTURE_PATIENCE_MS);
		usleep(1000);
	}
}

static void await_more(const uint64_t *word, uint64_t than)
{
	for (unsigned i = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) <= than; i++) {
		must(i < FIXTURE_PATIENCE_MS);
		usleep(1000);
	}
}

static _Noreturn void look(const struct ist_run_peer *entry)
{
	for (;;) {
		uint32_t running = __atomic_load_n(&entry->running, __ATOMIC_ACQUIRE);

		if (running > found->threads)
			__atomic_add_fetch(&found->too_high, 1, __ATOMIC_RELEASE);
		if (running > __atomic_load_n(&found->together, __ATOMIC_RELAXED))
			__atomic_store_n(&found->together, running, __ATOMIC_RELEASE);
		if (running > 0)
			__atomic_add_fetch(&found->true_looks, 1, __ATOMIC_RELEASE);
	}
}

/* Stays on one processor from now on: the index-th of those there are, round and round. */
static void settle_on(unsigned index)
{
	cpu_set_t all, one;

	must(sched_getaffinity(0, sizeof(all), &all) == 0);
	CPU_ZERO(&one);
	for (unsigned cpu = 0, nth = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && nth++ == index % (unsigned)CPU_COUNT(&all))
			CPU_SET(cpu, &one);
	must(sched_setaffinity(0, sizeof(one), &one) == 0);
}

/* A process that never gives its processor away, and looks at peer 3's entry. */
static pid_t spinner(void)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		settle_on(0);
		look(&page->peer[3]);
	}
	return pid;
}

static void end(pid_t pid)
{
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static struct ivshm_run_thread whole(pid_t pid)
{
	return (struct ivshm_run_thread){(uint32_t)pid, IVSHM_RUN_ALL_THREADS};
}

static const struct ivshm_run_seat seat = {.group = 0, .id = 3, .incarnation = 7, .threads = 1};

static void stop(pid_t pid)
{
	must(kill(pid, SIGSTOP) == 0 && waitpid(pid, NULL, WUNTRACED) == pid);
}

START_TEST(header)
{
	ck_assert_uint_eq(page->magic, IST_RUN_STATE_MAGIC);
	ck_assert_int_eq(memcmp(page, "!ISTRUN1", 8), 0);
	ck_assert_uint_eq(page->abi_major, IST_ABI_MAJOR);
	ck_assert_uint_eq(page->abi_minor, IST_ABI_MINOR);
	ck_assert_uint_eq(page->max_peers, 4);
	for (unsigned i = 0; i < sizeof(page->peer); i++)
		ck_assert_uint_eq(((const uint8_t *)page->peer)[i], 0);
}
END_TEST

/* The word follows a process that is stopped and goes on, again and again, and its death. */
START_TEST(follows_a_process)
{
	const struct ist_run_peer *entry = &page->peer[3];
	pid_t pid = spinner();
	struct ivshm_run_thread who = whole(pid);

	ck_assert_int_eq(ivshm_run_state_watch(run, &who, &seat), 0);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t switches, looks;

		stop(pid);
		await(&entry->running, 0);
		switches = entry->switches;
		looks = found->true_looks;
		must(kill(pid, SIGCONT) == 0);
		await_more(&entry->switches, switches);
		await_more(&found->true_looks, looks);
	}
	ck_assert_uint_eq(entry->incarnation, 7);
	ck_assert_uint_eq(entry->threads, 1);
	end(pid);
	await(&entry->running, 0);
	ck_assert_uint_eq(found->too_high, 0);
	for (unsigned id = 0; id < 3; id++)
		ck_assert_uint_eq(page->peer[id].incarnation | page->peer[id].switches, 0);
}
END_TEST

static void *spin(void *tid)
{
	unsigned index = (unsigned)((uint32_t *)tid - found->tid);

	settle_on(index); /* each on one of its own, where there are two */
	__atomic_store_n(&found->tid[index], (uint32_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&found->watched, __ATOMIC_ACQUIRE))
		usleep(1000);
	look(&page->peer[3]);
	return NULL;
}

/* Of a VM its vCPUs are watched, by thread; not the process's other threads. */
START_TEST(follows_threads)
{
	const struct ist_run_peer *entry = &page->peer[3];
	struct ivshm_run_seat two = seat;
	pid_t pid;

	found->threads = 2;
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		pthread_t thread;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0; i < 2; i++)
			must(pthread_create(&thread, NULL, spin, &found->tid[i]) == 0);
		for (;;)
			sleep(1);
	}
	for (unsigned i = 0; i < 2; i++)
		while (!__atomic_load_n(&found->tid[i], __ATOMIC_ACQUIRE))
			usleep(1000);
	two.threads = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct ivshm_run_thread who = {(uint32_t)pid, found->tid[i]};

		ck_assert_int_eq(ivshm_run_state_watch(run, &who, &two), 0);
	}
	__atomic_store_n(&found->watched, 1, __ATOMIC_RELEASE);
	await(&found->together, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1);
	ck_assert_uint_eq(entry->threads, 2);
	stop(pid);
	await(&entry->running, 0);
	ck_assert_uint_eq(found->too_high, 0);
	end(pid);
}
END_TEST

/* A thread of somebody else's is not found, whoever names it. */
START_TEST(not_a_thread_of_another)
{
	pid_t victim = spinner();
	struct ivshm_run_thread lie = {(uint32_t)getpid(), (uint32_t)victim};
	struct ivshm_run_thread own = whole(getpid());
	struct ivshm_run_seat other = seat;

	other.id = 1;
	ck_assert_int_eq(ivshm_run_state_watch(run, &lie, &seat), 0);
	ck_assert_int_eq(ivshm_run_state_watch(run, &own, &other), 0);
	for (unsigned i = 0; i < 10; i++) {
		stop(victim);
		must(kill(victim, SIGCONT) == 0);
	}
	await_more(&page->peer[1].switches, 10); /* the program works meanwhile */
	ck_assert_uint_eq(page->peer[3].switches, 0);
	ck_assert_uint_eq(page->peer[3].incarnation, 0);
	end(victim);
}
END_TEST

/* In several groups, and forgotten in one of them; the counts end where they began. */
START_TEST(seats)
{
	int second_fd = ivshm_run_state_add_page(run, 1, 2);
	const struct ist_run_state *second = map_page(second_fd);
	struct ivshm_run_seat other = {.group = 1, .id = 0, .incarnation = 2, .threads = 1};
	pid_t pid = spinner();
	struct ivshm_run_thread who = whole(pid);
	uint64_t switches, before;

	ck_assert_int_eq(ivshm_run_state_watch(run, &who, &seat), 0);
	ck_assert_int_eq(ivshm_run_state_watch(run, &who, &other), 0);
	stop(pid);
	must(kill(pid, SIGCONT) == 0);
	await_more(&found->true_looks, 0);
	ck_assert_uint_eq(found->too_high, 0);
	await(&second->peer[0].incarnation, 2); /* a look may be for the other page */

	/* While it runs: what the processor is counted for is taken back all the same. */
	ivshm_run_state_forget(run, &who, &seat);
	stop(pid);
	await(&page->peer[3].running, 0);
	await(&second->peer[0].running, 0);
	switches = page->peer[3].switches;
	before = second->peer[0].switches;
	must(kill(pid, SIGCONT) == 0);
	await_more(&second->peer[0].switches, before);
	ck_assert_uint_eq(page->peer[3].running, 0);
	ck_assert_uint_eq(page->peer[3].switches, switches);

	ivshm_run_state_forget(run, &who, &other);
	ivshm_run_state_forget(run, &who, &other); /* nothing to forget */
	end(pid);
	await(&second->peer[0].running, 0);
	munmap((void *)(uintptr_t)second, IST_RUN_STATE_SIZE);
}
END_TEST

START_TEST(too_many_seats)
{
	struct ivshm_run_thread who = whole(getpid());
	struct ivshm_run_seat one = seat;

	for (one.id = 0; one.id < IST_GROUPS_MAX; one.id++)
		ck_assert_int_eq(ivshm_run_state_watch(run, &who, &one), 0);
	ck_assert_int_eq(ivshm_run_state_watch(run, &who, &one), -ENOSPC);
	one.id = 0;
	ivshm_run_state_forget(run, &who, &one);
	ck_assert_int_eq(ivshm_run_state_watch(run, &who, &one), 0);
}
END_TEST

/* Not even root, with the broker's own descriptor. */
START_TEST(nobody_writes)
{
	static struct ist_run_state zeros;
	const uint32_t zero = 0;
	union bpf_attr update = {
		.map_fd = (uint32_t)page_fd, .key = (uintptr_t)&zero, .value = (uintptr_t)&zeros};
	void *map = mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED, page_fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(mprotect(map, IST_RUN_STATE_SIZE, PROT_READ | PROT_WRITE), -1);
	ck_assert_int_eq(errno, EACCES);
	munmap(map, IST_RUN_STATE_SIZE);
	ck_assert_ptr_eq(
		mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0),
		MAP_FAILED);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(bpf(BPF_MAP_UPDATE_ELEM, &update), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_uint_eq(page->magic, IST_RUN_STATE_MAGIC);
}
END_TEST

/* Its size is what can be mapped, so that no reader gets a SIGBUS. */
START_TEST(size)
{
	ck_assert_ptr_eq(mmap(NULL, IST_RUN_STATE_SIZE + 4096, PROT_READ, MAP_SHARED, page_fd, 0),
			 MAP_FAILED);
}
END_TEST

/* The program goes with the broker's process, however that ends; the page stays, and stands still.
 */
START_TEST(the_broker_is_killed)
{
	int pair[2], fd;
	struct ivshm_packet packet = {0};
	const struct ist_run_state *theirs;
	uint32_t program;
	pid_t pid, runner;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	runner = spinner();
	pid = fork();
	if (pid == 0) {
		struct ivshm_run_state *own;
		struct ivshm_run_thread who = whole(runner);

		must(ivshm_run_state_create(1, error, sizeof(error), &own) == 0);
		packet.fds[0] = ivshm_run_state_add_page(own, 0, 4);
		packet.fds_count = 1;
		must(ivshm_run_state_watch(own, &who, &seat) == 0);
		must(ivshm_wire_send(pair[0], &packet) == 0);
		for (;;)
			pause();
	}
	do
		must(poll(&(struct pollfd){.fd = pair[1], .events = POLLIN}, 1,
			  FIXTURE_PATIENCE_MS) == 1);
	while (ivshm_wire_receive(pair[1], &packet) == -EAGAIN);
	fd = packet.fds[0];
	theirs = map_page(fd);
	await_more(&theirs->peer[3].switches, 0);
	program = program_of(pid);
	ck_assert(is_there(program));
	end(pid);
	/* The kernel frees it in its time. */
	for (unsigned i = 0; is_there(program) && i < FIXTURE_PATIENCE_MS; i++)
		usleep(1000);
	ck_assert(!is_there(program));
	ck_assert_uint_eq(theirs->magic, IST_RUN_STATE_MAGIC);
	end(runner);
	munmap((void *)(uintptr_t)theirs, IST_RUN_STATE_SIZE);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("run state");
	TCase *kept = tcase_create("kept");

	if (ivshm_run_state_create(1, error, sizeof(error), &run)) {
		printf("1..0 # SKIP no run state: %s\n", error);
		return 77;
	}
	ivshm_run_state_destroy(run);
	tcase_add_checked_fixture(kept, setup, teardown);
	tcase_add_test(kept, header);
	tcase_add_test(kept, follows_a_process);
	tcase_add_test(kept, follows_threads);
	tcase_add_test(kept, not_a_thread_of_another);
	tcase_add_test(kept, seats);
	tcase_add_test(kept, too_many_seats);
	tcase_add_test(kept, nobody_writes);
	tcase_add_test(kept, size);
	tcase_add_test(kept, the_broker_is_killed);
	suite_add_tcase(suite, kept);
	return suite_run(suite);
}
