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
#include "ivshmem/client.h"
#include "ivshmem/log.h"
#include "tests/broker_fixture.h"

#define PEERS IST_PEERS_MAX
#define VECTORS 2u
#define INCARNATIONS 4096u /* counted apart */
#define CONTROL_FD 3
#define PATIENCE_SECONDS 60
#define LAST_DEATHS 5u
#define TRAFFIC 1 /* its vector */

/* What all share, in the group's one region. */
struct traffic {
	uint64_t addressed[PEERS][INCARNATIONS]; /* rings to that incarnation, counted before */
	uint64_t beat[PEERS]; /* incarnation << 32 | count: stored all the time */
};

/* Between the broker's process and each peer's, beside the group. */
struct control {
	uint32_t settle; /* no more changes: see whether you have seen them all */
	uint32_t finish; /* leave */
	struct {
		uint64_t settled; /* the roster's `changes` when it had seen all; 0: it has not */
		uint32_t live;
		uint32_t lives;
		uint64_t rung, received, stale;
	} peer[PEERS];
};

static struct control *control;
static unsigned seed;

static unsigned pick(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

/* ---- A peer ---------------------------------------------------------------------------------- */

static struct {
	struct ivshm_client client;
	uint8_t *map;
	struct traffic *traffic;
	uint32_t present[PEERS]; /* as told */
	uint32_t told[PEERS];    /* the last that was */
	int bell[PEERS];         /* for traffic, of who is present */
	int stale[PEERS];        /* of who is gone */
	int own[VECTORS];
	uint64_t word[PEERS];      /* of the roster, as last seen */
	uint64_t last_beat[PEERS]; /* when that was seen */
	uint64_t changes;
	uint64_t received;
	uint32_t beats;
} me;

static volatile sig_atomic_t told_to_leave;

static void on_term(int signal)
{
	(void)signal;
	told_to_leave = 1;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void on_peer(void *context, const struct ivshm_client_peer *peer)
{
	(void)context;
	must(peer->vectors == VECTORS && peer->id < PEERS);
	if (peer->id == me.client.id && me.own[0] < 0) { /* itself, first of all */
		memcpy(me.own, peer->fds, sizeof(me.own));
		return;
	}
	must(me.present[peer->id] == 0); /* in turn */
	must(peer->incarnation > me.told[peer->id]);
	me.told[peer->id] = peer->incarnation;
	me.present[peer->id] = peer->incarnation;
	me.bell[peer->id] = peer->fds[TRAFFIC];
	close(peer->fds[0]);
}

static void on_gone(void *context, uint32_t id, uint32_t incarnation, uint32_t state)
{
	(void)context;
	if (id == me.client.id) /* a join that failed after all */
		return;
	must(me.present[id] == incarnation);
	must(state == IST_PEER_ABSENT || state == IST_PEER_DEAD);
	me.present[id] = 0;
	drop(&me.stale[id]);
	me.stale[id] = me.bell[id]; /* to be rung late */
	me.bell[id] = -1;
}

static const struct ivshm_client_ops peer_ops = {.peer = on_peer, .gone = on_gone};

static uint64_t roster_word(uint32_t id)
{
	const struct ist_peer *table = (const void *)(me.map + IST_PEER_TABLE_OFFSET);

	return __atomic_load_n(&table[id].word, __ATOMIC_ACQUIRE);
}

static uint64_t roster_changes(void)
{
	const struct ist_roster *roster = (const void *)(me.map + IST_ROSTER_OFFSET);

	return __atomic_load_n(&roster->changes, __ATOMIC_ACQUIRE);
}

/* JOINING, LIVE, LEAVING, then how it ended. */
static unsigned order_of(uint64_t word)
{
	uint32_t state = IST_PEER_STATE(word);

	return state == IST_PEER_ABSENT ? IST_PEER_DEAD : state;
}

/* Who has ended stores nothing more: what it left stays as long as nobody follows it. */
static void watch_ends(void)
{
	for (uint32_t id = 0; id < PEERS; id++) {
		uint32_t state = IST_PEER_STATE(me.word[id]);
		uint64_t beat = __atomic_load_n(&me.traffic->beat[id], __ATOMIC_ACQUIRE);

		if (state != IST_PEER_DEAD && state != IST_PEER_ABSENT)
			continue;
		if (roster_word(id) == me.word[id])
			must(beat == me.last_beat[id]);
	}
}

/* Vector 0 was rung. */
static void look(void)
{
	uint64_t changes = roster_changes();

	for (uint32_t id = 0; id < PEERS; id++) {
		uint64_t word = roster_word(id), last = me.word[id];

		if (word == last)
			continue;
		must(IST_PEER_INCARNATION(word) >= IST_PEER_INCARNATION(last));
		if (IST_PEER_INCARNATION(word) == IST_PEER_INCARNATION(last) &&
		    IST_PEER_STATE(last) != IST_PEER_ABSENT)
			must(order_of(word) > order_of(last));
		me.word[id] = word;
		me.last_beat[id] = __atomic_load_n(&me.traffic->beat[id], __ATOMIC_ACQUIRE);
	}
	me.changes = changes;
}

/* Never more than was rung for this incarnation: who rings counts first. */
static void take_rings(uint64_t count)
{
	me.received += count;
	must(me.received <=
	     __atomic_load_n(
		     &me.traffic->addressed[me.client.id][me.client.incarnation % INCARNATIONS],
		     __ATOMIC_SEQ_CST));
}

static void send_traffic(void)
{
	uint32_t to = pick(PEERS);

	if (me.present[to]) {
		__atomic_fetch_add(&me.traffic->addressed[to][me.present[to] % INCARNATIONS], 1,
				   __ATOMIC_SEQ_CST);
		eventfd_write(me.bell[to], 1);
		control->peer[me.client.id].rung++;
	}
	if (me.stale[to] >= 0) {
		eventfd_write(me.stale[to], 1);
		control->peer[me.client.id].stale++;
	}
}

/* Whether all that is in the roster was told, and all its changes rung for. */
static bool has_seen_all(void)
{
	if (me.changes != roster_changes())
		return false;
	for (uint32_t id = 0; id < PEERS; id++) {
		bool live = IST_PEER_STATE(me.word[id]) == IST_PEER_LIVE;

		if (roster_word(id) != me.word[id])
			return false;
		if (id != me.client.id &&
		    me.present[id] != (live ? IST_PEER_INCARNATION(me.word[id]) : 0))
			return false;
	}
	return true;
}

static void live_on(void)
{
	unsigned rounds = 20 + pick(400);

	while (!__atomic_load_n(&control->finish, __ATOMIC_ACQUIRE)) {
		bool settling = __atomic_load_n(&control->settle, __ATOMIC_ACQUIRE);
		struct pollfd p[3] = {{.fd = me.client.socket, .events = POLLIN},
				      {.fd = me.own[0], .events = POLLIN},
				      {.fd = me.own[TRAFFIC], .events = POLLIN}};

		if (!settling && (told_to_leave || rounds-- == 0))
			return;
		watch_ends();
		poll(p, 3, settling ? 20 : 3);
		if (p[0].revents)
			must(ivshm_client_dispatch(&me.client) == 0);
		if (p[1].revents && rings(me.own[0]))
			look();
		if (p[2].revents)
			take_rings(rings(me.own[TRAFFIC]));
		__atomic_store_n(&me.traffic->beat[me.client.id],
				 (uint64_t)me.client.incarnation << 32 | ++me.beats,
				 __ATOMIC_RELEASE);
		if (!settling)
			send_traffic();
		else if (has_seen_all())
			__atomic_store_n(&control->peer[me.client.id].settled, me.changes,
					 __ATOMIC_RELEASE);
	}
}

/* While its last incarnation has not ended yet, it is refused. */
static void join(const char *path, const char *name)
{
	char error[256] = "";
	int r;

	do {
		r = ivshm_client_join(&me.client, path, name, IST_KIND_PROCESS, &peer_ops, NULL,
				      error, sizeof(error));
		if (r)
			usleep(2000);
	} while (r == -EBUSY || r == -ETIMEDOUT || r == -EAGAIN);
	if (r)
		fprintf(stderr, "%s: %s\n", name, error);
	must(r == 0);
	me.map =
		mmap(NULL, me.client.size, PROT_READ | PROT_WRITE, MAP_SHARED, me.client.memory, 0);
	must(me.map != MAP_FAILED);
	me.traffic = (void *)(me.map + me.client.region[0].offset);
	must(ivshm_client_ready(&me.client) == 0);
}

static void one_life(const char *path, const char *name)
{
	uint32_t id;

	memset(&me, 0, sizeof(me));
	memset(me.bell, -1, sizeof(me.bell));
	memset(me.stale, -1, sizeof(me.stale));
	memset(me.own, -1, sizeof(me.own));
	join(path, name);
	id = me.client.id;
	control->peer[id].lives++;
	__atomic_store_n(&control->peer[id].live, 1, __ATOMIC_RELEASE);
	live_on();
	__atomic_store_n(&control->peer[id].live, 0, __ATOMIC_RELEASE);
	control->peer[id].received += me.received;
	if (!control->finish && pick(4) == 0)
		_exit(0); /* without a word */
	if (!control->finish && pick(4) == 0) {
		close(me.client.socket); /* hangs up, and stores a while longer */
		for (unsigned i = 0; i < 20; i++) {
			__atomic_store_n(&me.traffic->beat[id],
					 (uint64_t)me.client.incarnation << 32 | ++me.beats,
					 __ATOMIC_RELEASE);
			usleep(500);
		}
		_exit(0);
	}
	munmap(me.map, me.client.size);
	ivshm_client_leave(&me.client);
	for (unsigned i = 0; i < PEERS; i++) {
		drop(&me.bell[i]);
		drop(&me.stale[i]);
	}
	drop(&me.own[0]);
	drop(&me.own[TRAFFIC]);
}

static int peer_main(const char *path, const char *name, const char *random)
{
	unsigned before;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed = (unsigned)atoi(random);
	signal(SIGTERM, on_term);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, CONTROL_FD, 0);
	must(control != MAP_FAILED);
	before = count_descriptors();
	do {
		one_life(path, name);
		must(count_descriptors() == before);
	} while (!control->finish && !told_to_leave && pick(3));
	return 0;
}

/* ---- The broker, and the hand ---------------------------------------------------------------- */

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
