/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_churn.c: 64 peers join, leave, hang up, stop and are killed at random, with traffic between
 * those that are there. Nobody misses a change, no doorbell reaches another incarnation than the
 * one it was rung for, no store of a dead one comes after its death, neither the broker nor a peer
 * that lives several times has a descriptor or a byte more afterwards, and a life costs the broker
 * as much CPU time at the end as at the beginning.
 *
 *   CHURN_LIVES=500   how many processes are started (for a minute: 12000)
 *   CHURN_SEED=1      which random
 *
 * This process is the broker and the hand that kills; each peer is a process of its own, this
 * program called anew, and checks what it sees: it ends with status 0, or by SIGKILL.
 */
#include <malloc.h>
#include <time.h>

#include "ivshmem/broker_internal.h"
#include "ivshmem/log.h"
#include "tests/churn_peer.h"

#define PATIENCE_SECONDS 60
#define LAST_DEATHS 5u

static struct fixture f;
static struct {
	pid_t pid; /* 0: none */
	bool stopped;
	bool killed;
} slot[PEERS];
static char names[PEERS][8];
static unsigned started, killed, stopped;

static void configure(void)
{
	static struct ivshm_instance_config instance[PEERS];

	fixture_configure(&f);
	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(names[i], sizeof(names[i]), "p%u", i);
		instance[i] = (struct ivshm_instance_config){.name = names[i]};
		f.group.member[i] = i;
	}
	f.config.instances = instance;
	f.config.instances_count = f.group.members_count = f.group.max_peers = PEERS;
	f.group.vectors = VECTORS;
	f.group.output_size = 0;
	f.group.regions_count = 1;
	f.region[0].size = (sizeof(struct traffic) + 4095) & ~4095ull;
}

static void start_peer(unsigned i)
{
	char random[16];

	snprintf(random, sizeof(random), "%u", pick(1u << 30) + i);
	started++;
	slot[i].pid = fork();
	must(slot[i].pid >= 0);
	if (slot[i].pid == 0) {
		execl("/proc/self/exe", "fault_churn", "peer", f.path, names[i], random, NULL);
		_exit(127);
	}
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		unsigned i = 0;

		while (i < PEERS && slot[i].pid != pid)
			i++;
		must(i < PEERS);
		if (status != 0 &&
		    !(slot[i].killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
			fprintf(stderr, "%s: status 0x%x\n", names[i], status);
		must(status == 0 ||
		     (slot[i].killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
		memset(&slot[i], 0, sizeof(slot[i]));
		control->peer[i].live = 0;
	}
}

/* Lets the broker work for about so many ms. */
static void serve(int ms)
{
	struct pollfd p = {.fd = ivshm_broker_fd(f.broker), .events = POLLIN};

	if (poll(&p, 1, ms) == 1)
		must(ivshm_broker_dispatch(f.broker) == 0);
	reap();
}

/* Something happens to one. */
static void disturb(void)
{
	unsigned i = pick(PEERS), what = pick(8);

	if (slot[i].pid == 0) {
		start_peer(i);
	} else if (what < 3 || slot[i].stopped) {
		if (slot[i].stopped && what < 4) {
			kill(slot[i].pid, SIGCONT);
			slot[i].stopped = false;
			return;
		}
		slot[i].killed = true;
		killed++;
		kill(slot[i].pid, SIGKILL);
	} else if (what == 3) {
		kill(slot[i].pid, SIGSTOP);
		slot[i].stopped = true;
		stopped++;
	} else if (what == 4 && control->peer[i].live) { /* it has its handler by then */
		kill(slot[i].pid, SIGTERM);
	}
}

static bool all_live(void)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (slot[i].pid &&
		    (slot[i].killed || !__atomic_load_n(&control->peer[i].live, __ATOMIC_ACQUIRE)))
			return false;
	return true;
}

/* How many have seen all that there is; they agree on how much that is. */
static bool all_settled(unsigned *count, uint64_t before)
{
	uint64_t changes = 0;

	*count = 0;
	for (unsigned i = 0; i < PEERS; i++) {
		uint64_t settled;

		if (!slot[i].pid)
			continue;
		settled = __atomic_load_n(&control->peer[i].settled, __ATOMIC_ACQUIRE);
		if (settled <= before || (changes && settled != changes))
			return false;
		changes = settled;
		++*count;
	}
	return *count > 0;
}

/* All that there is, more than so many changes, has been seen by all. Returns their number. */
static unsigned settle(uint64_t changes)
{
	time_t end = time(NULL) + PATIENCE_SECONDS;
	unsigned count;

	while (!all_live() || !all_settled(&count, changes)) {
		must(time(NULL) < end); /* somebody has missed something */
		serve(10);
	}
	return count;
}

/* Returns how many changes there were before. */
static uint64_t kill_one(void)
{
	unsigned i = 0;

	while (!slot[i].pid)
		must(++i < PEERS);
	slot[i].killed = true;
	kill(slot[i].pid, SIGKILL);
	return control->peer[i].settled;
}

static bool any_left(void)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (slot[i].pid)
			return true;
	return false;
}

static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

static void finish_all(void)
{
	__atomic_store_n(&control->finish, 1, __ATOMIC_RELEASE);
	while (any_left())
		serve(10);
	fixture_settle(&f);
}

/* CPU time of the broker, which is this process: starting peers and looking at them is in it. */
static uint64_t cpu_us(void)
{
	struct timespec now;

	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static unsigned admitted(void)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < PEERS; i++)
		sum += f.broker->group[0].seat[i].incarnation;
	return sum;
}

/* CPU time of each life that began after `from`. */
static double cost(uint64_t from_us, unsigned from)
{
	must(admitted() > from);
	return (double)(cpu_us() - from_us) / (admitted() - from);
}

int main(int argc, char **argv)
{
	const char *lives = getenv("CHURN_LIVES"), *random = getenv("CHURN_SEED");
	uint64_t rung = 0, received = 0, stale = 0, joins = 0;
	double each[2];
	unsigned descriptors, count, wanted = lives ? (unsigned)atoi(lives) : 500;
	static char buffer[4096];
	size_t memory;
	int fd;

	ivshm_log_level = IVSHM_LOG_ERROR;
	if (argc == 5 && !strcmp(argv[1], "peer"))
		return peer_main(argv[2], argv[3], argv[4]);
	setvbuf(stdout, buffer, _IOLBF, sizeof(buffer)); /* no memory of the heap's */
	seed = random ? (unsigned)atoi(random) : 1;
	fd = memfd_create("churn", 0);
	must(fd >= 0 && ftruncate(fd, sizeof(*control)) == 0);
	if (fd != CONTROL_FD) {
		must(dup2(fd, CONTROL_FD) == CONTROL_FD);
		close(fd);
	}
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, CONTROL_FD, 0);
	must(control != MAP_FAILED);
	configure();
	must(fixture_serve(&f) == 0);

	/* One life of each first: what is allocated once is there then. */
	for (unsigned i = 0; i < PEERS; i++)
		start_peer(i);
	while (!all_live())
		serve(10);
	finish_all();
	memset(control, 0, sizeof(*control));
	descriptors = count_descriptors();
	memory = allocated();

	/* A first tenth fills the group: the halves of the rest are alike. */
	for (started = 0; started < wanted / 10; serve(1))
		disturb();
	for (unsigned half = 0; half < 2; half++) {
		uint64_t from_us = cpu_us();
		unsigned from = admitted(), until = wanted / 10 + wanted * 9 / 20 * (half + 1);

		while (started < until) {
			disturb();
			serve(1);
		}
		each[half] = cost(from_us, from);
	}
	while (started < wanted) {
		disturb();
		serve(1);
	}
	for (unsigned i = 0; i < PEERS; i++) {
		if (slot[i].pid && slot[i].stopped)
			kill(slot[i].pid, SIGCONT);
	}
	__atomic_store_n(&control->settle, 1, __ATOMIC_RELEASE);
	count = settle(0);
	for (unsigned i = 0; i < LAST_DEATHS; i++) /* each of them is rung for */
		count = settle(kill_one());
	printf("ok 1 - %u peers have seen all changes\n", count);
	finish_all();
	for (unsigned i = 0; i < PEERS; i++) {
		joins += control->peer[i].lives;
		rung += control->peer[i].rung;
		received += control->peer[i].received;
		stale += control->peer[i].stale;
	}
	must(rung > 0 && received > 0 && stale > 0 && received <= rung);
	must(killed > wanted / 8 && stopped > wanted / 32 && joins >= wanted / 2);
	printf("ok 2 - %llu lives of %u processes, %u killed, %u stopped: %llu doorbells, %llu of "
	       "them of who was gone\n",
	       (unsigned long long)joins, started, killed, stopped,
	       (unsigned long long)(rung + stale), (unsigned long long)stale);
	must(count_descriptors() == descriptors);
	printf("ok 3 - the broker has as many descriptors as before\n");
	if (allocated() != memory)
		fprintf(stderr, "%zu bytes, not %zu\n", allocated(), memory);
	must(allocated() == memory);
	printf("ok 4 - and as much memory\n");
	printf("# %.0f us of CPU time a life in the first half, %.0f in the second\n", each[0],
	       each[1]);
	must(each[1] <= each[0] * 1.5);
	printf("ok 5 - and a life costs no more CPU time than before\n");
	fixture_stop(&f);
	printf("1..5\n");
	return 0;
}
