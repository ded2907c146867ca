/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rings.c: other people's rings, and our channel, between two threads on the same two processors.
 *
 *   rings [ROUNDS [CPU CPU]]
 *
 * DPDK's rte_ring and Concurrency Kit's ck_ring take part when their headers were there at build
 * time; our channel when the process is an instance of a group (`isthmus up`). Each is a ring of 128
 * elements each way; messages travel as elements, by value, as the rings' own typed interfaces do.
 * A ring leaves waiting to its user: it is tried with and without `pause`, and the better one
 * counts.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

#define ELEMENTS 128
static const struct plan plan = {.warm = 2000, .batches = 300, .singles = 10000};

struct m8 {
	uint64_t word[1];
};
struct m56 {
	uint64_t word[7];
};

static inline void spin(void)
{
}

/* Unused where there is no other ring. */
static inline __attribute__((unused)) void spin_pause(void)
{
	__builtin_ia32_pause();
}

/*
 * One contest: put(index, message) and get(index, message) on ring `index` return nonzero when
 * done; ring 0 leads from ping to pong, ring 1 back.
 */
#define CONTEST(name, type, wait, put, get)                                                        \
	static int name##_trip(void *unused, uint64_t n)                                           \
	{                                                                                          \
		type m = {{n}}, reply;                                                             \
                                                                                                   \
		(void)unused;                                                                      \
		while (!put(0, &m))                                                                \
			wait();                                                                    \
		while (!get(1, &reply))                                                            \
			wait();                                                                    \
		return reply.word[0] == n ? 0 : -EPROTO;                                           \
	}                                                                                          \
	static void name##_ping(struct summary *s)                                                 \
	{                                                                                          \
		if (measure(&plan, name##_trip, NULL, s) != 0)                                     \
			s->n = 0;                                                                  \
	}                                                                                          \
	static void name##_pong(void)                                                              \
	{                                                                                          \
		for (uint64_t n = plan_trips(&plan); n-- > 0;) {                                   \
			type m;                                                                    \
                                                                                                   \
			while (!get(0, &m))                                                        \
				wait();                                                            \
			while (!put(1, &m))                                                        \
				wait();                                                            \
		}                                                                                  \
	}

#if __has_include(<ck_ring.h>)
#define HAVE_CK 1
#include <ck_ring.h>

CK_RING_PROTOTYPE(m8, m8)
CK_RING_PROTOTYPE(m56, m56)

static ck_ring_t ck8[2] __attribute__((aligned(128))), ck56[2] __attribute__((aligned(128)));
static struct m8 ck8_buffer[2][ELEMENTS] __attribute__((aligned(128)));
static struct m56 ck56_buffer[2][ELEMENTS] __attribute__((aligned(128)));

#define CK8_PUT(i, m) ck_ring_enqueue_spsc_m8(&ck8[i], ck8_buffer[i], m)
#define CK8_GET(i, m) ck_ring_dequeue_spsc_m8(&ck8[i], ck8_buffer[i], m)
#define CK56_PUT(i, m) ck_ring_enqueue_spsc_m56(&ck56[i], ck56_buffer[i], m)
#define CK56_GET(i, m) ck_ring_dequeue_spsc_m56(&ck56[i], ck56_buffer[i], m)
CONTEST(ck8, struct m8, spin, CK8_PUT, CK8_GET)
CONTEST(ck8_pause, struct m8, spin_pause, CK8_PUT, CK8_GET)
CONTEST(ck56, struct m56, spin, CK56_PUT, CK56_GET)
CONTEST(ck56_pause, struct m56, spin_pause, CK56_PUT, CK56_GET)

static void ck_open(void)
{
	for (int i = 0; i < 2; i++) {
		ck_ring_init(&ck8[i], ELEMENTS);
		ck_ring_init(&ck56[i], ELEMENTS);
	}
}
#else
#define HAVE_CK 0
#endif

#if __has_include(<rte_ring_elem.h>)
#define HAVE_DPDK 1
#include <rte_ring.h>
#include <rte_ring_elem.h>

static struct rte_ring *rte8[2], *rte56[2];

/* A ring on plain memory needs no EAL. */
static struct rte_ring *rte_make(unsigned size)
{
	ssize_t bytes = rte_ring_get_memsize_elem(size, ELEMENTS);
	struct rte_ring *ring =
		bytes > 0 ? aligned_alloc(128, ((size_t)bytes + 127) & ~127ul) : NULL;

	if (ring == NULL ||
	    rte_ring_init(ring, "bench", ELEMENTS, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		abort();
	return ring;
}

static void rte_open(void)
{
	for (int i = 0; i < 2; i++) {
		rte8[i] = rte_make(sizeof(struct m8));
		rte56[i] = rte_make(sizeof(struct m56));
	}
}

#define RTE8_PUT(i, m) (rte_ring_sp_enqueue_elem(rte8[i], m, sizeof(struct m8)) == 0)
#define RTE8_GET(i, m) (rte_ring_sc_dequeue_elem(rte8[i], m, sizeof(struct m8)) == 0)
#define RTE56_PUT(i, m) (rte_ring_sp_enqueue_elem(rte56[i], m, sizeof(struct m56)) == 0)
#define RTE56_GET(i, m) (rte_ring_sc_dequeue_elem(rte56[i], m, sizeof(struct m56)) == 0)
CONTEST(rte8, struct m8, spin, RTE8_PUT, RTE8_GET)
CONTEST(rte8_pause, struct m8, spin_pause, RTE8_PUT, RTE8_GET)
CONTEST(rte56, struct m56, spin, RTE56_PUT, RTE56_GET)
CONTEST(rte56_pause, struct m56, spin_pause, RTE56_PUT, RTE56_GET)
#else
#define HAVE_DPDK 0
#endif

static struct ist_group *group;
static struct ist_channel *out[2], *in[2]; /* the two ends of channel `index` */

static int channel_open(void)
{
	struct ist_channel_options options = {"channels", ELEMENTS, IST_CHANNEL_POLL, 1};
	const char *names[] = {"rings-there", "rings-back"};
	int error = ist_group_open(NULL, &group);

	for (int i = 0; i < 2 && error == 0; i++) {
		error = ist_channel_open(group, names[i], IST_SENDER, &options, &out[i]);
		if (error == 0)
			error = ist_channel_open(group, names[i], IST_RECEIVER, &options, &in[i]);
	}
	return error;
}

#define IST_PUT(i, m) (ist_channel_send(out[i], m, sizeof(*(m)), IST_FOREVER) == 0)
#define IST_GET(i, m) (ist_channel_recv(in[i], m, sizeof(*(m)), IST_FOREVER) == sizeof(*(m)))
CONTEST(ist8, struct m8, spin, IST_PUT, IST_GET)
CONTEST(ist56, struct m56, spin, IST_PUT, IST_GET)

/* ---- Running them ---------------------------------------------------------------------------- */

struct contest {
	const char *name;
	void (*ping[2])(struct summary *s); /* without and with pause */
	void (*pong[2])(void);
};

static const struct contest contests[] = {
#if HAVE_DPDK
	{"rtt-8-rte_ring", {rte8_ping, rte8_pause_ping}, {rte8_pong, rte8_pause_pong}},
	{"rtt-56-rte_ring", {rte56_ping, rte56_pause_ping}, {rte56_pong, rte56_pause_pong}},
#endif
#if HAVE_CK
	{"rtt-8-ck_ring", {ck8_ping, ck8_pause_ping}, {ck8_pong, ck8_pause_pong}},
	{"rtt-56-ck_ring", {ck56_ping, ck56_pause_ping}, {ck56_pong, ck56_pause_pong}},
#endif
	{"rtt-8-channel", {ist8_ping, NULL}, {ist8_pong, NULL}},
	{"rtt-56-channel", {ist56_ping, NULL}, {ist56_pong, NULL}},
};
#define CONTESTS (sizeof(contests) / sizeof(contests[0]))

static struct bare_line ping_lines[BARE_PAIRS], pong_lines[BARE_PAIRS];

static pthread_barrier_t both;
static int rounds = 10;
static int cpus[2] = {0, 1};

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static int takes_part(const struct contest *c)
{
	return group != NULL || (c->ping[0] != ist8_ping && c->ping[0] != ist56_ping);
}

static void *pong(void *unused)
{
	struct bare b = {pong_lines, ping_lines};

	(void)unused;
	pin(cpus[1]);
	bare_pong(&b, &bracket_plan);
	for (int round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < CONTESTS; i++) {
			if (!takes_part(&contests[i]))
				continue;
			for (int v = 0; v < 2 && contests[i].pong[v] != NULL; v++) {
				pthread_barrier_wait(&both);
				contests[i].pong[v]();
			}
			bare_pong(&b, &bracket_plan);
		}
	}
	return NULL;
}

static void ping(void)
{
	struct bare b = {ping_lines, pong_lines};
	struct summary before, after, s;

	pin(cpus[0]);
	bare_ping(&b, &bracket_plan, &before);
	for (int round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < CONTESTS; i++) {
			struct summary best = {0};

			if (!takes_part(&contests[i]))
				continue;
			for (int v = 0; v < 2 && contests[i].ping[v] != NULL; v++) {
				pthread_barrier_wait(&both);
				contests[i].ping[v](&s);
				if (best.n == 0 || s.p50 < best.p50)
					best = s;
			}
			bare_ping(&b, &bracket_plan, &after);
			printf("run case=%s unit=ns n=%llu min=%.2f p50=%.2f p99=%.2f p999=%.2f "
			       "before=%.1f after=%.1f exits=-1 exits_peer=-1\n",
			       contests[i].name, (unsigned long long)best.n, best.min, best.p50,
			       best.p99, best.p999, before.p50, after.p50);
			fflush(stdout);
			before = after;
		}
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc > 1)
		rounds = atoi(argv[1]);
	if (argc > 3) {
		cpus[0] = atoi(argv[2]);
		cpus[1] = atoi(argv[3]);
	}
#if HAVE_CK
	ck_open();
#else
	printf("skip case=rtt-*-ck_ring: built without ck_ring.h (Debian: libck-dev)\n");
#endif
#if HAVE_DPDK
	rte_open();
#else
	printf("skip case=rtt-*-rte_ring: built without rte_ring.h (Debian: libdpdk-dev)\n");
#endif
	if (getenv("ISTHMUS_INSTANCE") == NULL) {
		printf("skip case=rtt-*-channel: not an instance of a group\n");
	} else if (channel_open() != 0) {
		fprintf(stderr, "rings: cannot open the channels\n");
		return 1;
	}
	pthread_barrier_init(&both, NULL, 2);
	if (pthread_create(&thread, NULL, pong, NULL) != 0)
		return 1;
	ping();
	pthread_join(thread, NULL);
	for (int i = 0; i < 2; i++) {
		ist_channel_close(out[i]);
		ist_channel_close(in[i]);
	}
	ist_group_close(group);
	return 0;
}
