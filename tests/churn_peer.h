/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn_peer.h: one of fault_churn's peers, in a process of its own: it lives several times, stores
 * and rings all the time, and checks what it is told and what it sees.
 */
#ifndef TESTS_CHURN_PEER_H
#define TESTS_CHURN_PEER_H

#include "ivshmem/client.h"
#include "tests/broker_fixture.h"

#define PEERS IST_PEERS_MAX
#define VECTORS 2u
#define INCARNATIONS 4096u /* counted apart */
#define CONTROL_FD 3
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

static inline unsigned pick(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

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

static inline void on_term(int signal)
{
	(void)signal;
	told_to_leave = 1;
}

static inline void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void on_peer(void *context, const struct ivshm_client_peer *peer)
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

static inline void on_gone(void *context, uint32_t id, uint32_t incarnation, uint32_t state)
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

static inline uint64_t roster_word(uint32_t id)
{
	const struct ist_peer *table = (const void *)(me.map + IST_PEER_TABLE_OFFSET);

	return __atomic_load_n(&table[id].word, __ATOMIC_ACQUIRE);
}

static inline uint64_t roster_changes(void)
{
	const struct ist_roster *roster = (const void *)(me.map + IST_ROSTER_OFFSET);

	return __atomic_load_n(&roster->changes, __ATOMIC_ACQUIRE);
}

/* JOINING, LIVE, LEAVING, then how it ended. */
static inline unsigned order_of(uint64_t word)
{
	uint32_t state = IST_PEER_STATE(word);

	return state == IST_PEER_ABSENT ? IST_PEER_DEAD : state;
}

/* Who has ended stores nothing more: what it left stays as long as nobody follows it. */
static inline void watch_ends(void)
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
static inline void look(void)
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
static inline void take_rings(uint64_t count)
{
	me.received += count;
	must(me.received <=
	     __atomic_load_n(
		     &me.traffic->addressed[me.client.id][me.client.incarnation % INCARNATIONS],
		     __ATOMIC_SEQ_CST));
}

static inline void send_traffic(void)
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
static inline bool has_seen_all(void)
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

static inline void live_on(void)
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
static inline void join(const char *path, const char *name)
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

static inline void one_life(const char *path, const char *name)
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

static inline int peer_main(const char *path, const char *name, const char *random)
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

#endif
