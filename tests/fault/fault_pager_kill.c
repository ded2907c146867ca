/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_pager_kill.c: a VM's process dies, or stops, at each step of the page protocol, before and
 * after it, at its first occurrences. The other one always goes on, and no write is lost.
 *
 * Two processes with a pager each over one group. Each has a guest: a thread that reads and writes
 * pages. The parent is also the broker: it ends who is complained of, and says who is dead. TAP.
 */
#include "tests/pager_group.h"

#define COH_TRACING
#include "coherence/trace.h"

#define MS 1000000ull
#define RECALL (30 * MS)
#define PATIENCE_S 60
#define CYCLES 60u /* of the survivor, after the other one's end */

/* Beside the group: what the processes know of each other's guests. */
static struct {
	uint64_t done[2];                  /* cycles that a guest has completed */
	uint64_t began[2];                 /* and begun */
	uint64_t steps[COH_STEP_LAST + 1]; /* of the child, by number: how often before */
	int stopped;                       /* the child has reached the step */
} * common;

static struct { /* what happens to the child */
	unsigned step;
	bool after;
	unsigned occurrence;
	int signal;
} plan;
static bool is_child;

/* The hook at every step, in both processes. */
void coh_trace(const struct ist_directory *where, unsigned step, unsigned peer,
	       const struct ist_directory *before, const struct ist_directory *after)
{
	uint64_t count;

	(void)where;
	(void)peer;
	(void)before;
	if (!is_child || (after != NULL) != plan.after || step != plan.step)
		return;
	count = __atomic_add_fetch(&common->steps[step], 1, __ATOMIC_SEQ_CST);
	if (count != plan.occurrence)
		return;
	__atomic_store_n(&common->stopped, 1, __ATOMIC_SEQ_CST);
	raise(plan.signal);
}

/*
 * One cycle of a guest: a page's sum goes up by an atomic, then its own mark on that page. So the
 * marks tell the sum, but for one of each that died in between.
 */
static void cycle(struct member *m, unsigned who, uint64_t number)
{
	uint64_t *page = &m->page[number % 2 * PAGE_WORDS];

	__atomic_add_fetch(&common->began[who], 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&page[0], 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&page[1 + who], 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&common->done[who], 1, __ATOMIC_SEQ_CST);
	/* Reading only, so that there are sharers too. */
	(void)__atomic_load_n(&m->page[(2 + number % 2) * PAGE_WORDS], __ATOMIC_SEQ_CST);
	if (number % 8 == 7)
		__atomic_fetch_add(&m->page[(2 + number % 2) * PAGE_WORDS], 1, __ATOMIC_SEQ_CST);
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	is_child = true;
	must(member_start(&g.member[1]) == 0);
	coh_pager_peer(g.member[1].pager, 0, 1, dup(g.bell[0]));
	for (uint64_t i = 0;; i++)
		cycle(&g.member[1], 1, i);
}

static int guest_stop;
static uint64_t cycles;

static void *guest(void *argument)
{
	struct member *m = argument;

	for (uint64_t i = 0; !__atomic_load_n(&guest_stop, __ATOMIC_ACQUIRE); i++) {
		cycle(m, 0, i);
		__atomic_add_fetch(&cycles, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* What the broker does: until the child is gone, and the guest here has gone on after it. */
static const char *rule(pid_t child)
{
	struct timespec start, now;
	uint64_t from = 0;
	bool dead = false;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > PATIENCE_S)
			return dead ? "the survivor does not go on" : "the step is never reached";
		if (!dead && __atomic_load_n(&g.member[0].stalled, __ATOMIC_ACQUIRE) == 2)
			kill(child, SIGKILL);
		if (!dead && waitpid(child, NULL, WNOHANG) == child) {
			dead = true;
			ivshm_roster_set_state(&g.memory, 1, 1, IST_PEER_DEAD);
			coh_pager_gone(g.member[0].pager, 1, 1);
			from = __atomic_load_n(&cycles, __ATOMIC_ACQUIRE);
		}
		/* One that stopped where it holds up nobody: the survivor has gone on by itself. */
		if (!dead && __atomic_load_n(&common->stopped, __ATOMIC_SEQ_CST)) {
			if (from == 0)
				from = __atomic_load_n(&cycles, __ATOMIC_ACQUIRE);
			else if (__atomic_load_n(&cycles, __ATOMIC_ACQUIRE) - from > CYCLES)
				kill(child, SIGKILL);
		}
		if (dead && __atomic_load_n(&cycles, __ATOMIC_ACQUIRE) - from > CYCLES)
			return NULL;
		usleep(500);
	}
}

static const char *judge(void)
{
	uint64_t sum = g.content[0] + g.content[PAGE_WORDS];
	uint64_t marks[2], open;

	for (unsigned i = 0; i < 2; i++) {
		marks[i] = g.content[1 + i] + g.content[PAGE_WORDS + 1 + i];
		open = common->began[i] - common->done[i];
		if (open > 1 || marks[i] < common->done[i] || marks[i] > common->began[i])
			return "what a guest wrote is lost";
	}
	if (sum < marks[0] + marks[1] || sum > marks[0] + marks[1] + 1)
		return "an atomic is lost";
	return NULL;
}

static const char *run(void)
{
	const char *wrong;
	pthread_t thread;
	pid_t child;

	memset(common, 0, sizeof(*common));
	guest_stop = 0;
	cycles = 0;
	group_create(20000, RECALL);
	member_prepare(0, 1, IST_RIGHT_WRITE);
	member_prepare(1, 1, IST_RIGHT_WRITE);
	ivshm_roster_set_state(&g.memory, 0, 1, IST_PEER_LIVE);
	ivshm_roster_set_state(&g.memory, 1, 1, IST_PEER_LIVE);
	child = start_child();
	must(member_start(&g.member[0]) == 0);
	coh_pager_peer(g.member[0].pager, 1, 1, dup(g.bell[1]));
	must(pthread_create(&thread, NULL, guest, &g.member[0]) == 0);
	wrong = rule(child);
	if (wrong != NULL)
		return wrong; /* a thread may hang: the process ends */
	__atomic_store_n(&guest_stop, 1, __ATOMIC_RELEASE);
	must(pthread_join(thread, NULL) == 0);
	wrong = g.member[0].broken ? "a pager broke" : judge();
	member_stop(&g.member[0]);
	munmap(g.member[1].page, PAGER_PAGES * IST_PAGE);
	group_destroy();
	return wrong;
}

int main(void)
{
	static const unsigned steps[] = {
		COH_CLAIM_S, COH_CLAIM_X,  COH_ASK,  COH_SET_S,  COH_SET_X,   COH_INSTALL,
		COH_RELEASE, COH_HEAR_INV, COH_DROP, COH_REDUCE, COH_ACK_INV, COH_ACK_DOWN,
	};
	unsigned most = getenv("OCCURRENCES") ? (unsigned)atoi(getenv("OCCURRENCES")) : 2;
	unsigned number = 0;

	common = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(common != MAP_FAILED);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (unsigned kind = 0; kind < 4; kind++) {
			/* What is heard has no before: see coherence/pager/answer.c. */
			if (kind % 2 == 0 && steps[i] == COH_HEAR_INV)
				continue;
			for (unsigned o = 1; o <= most; o++) {
				const char *wrong;

				plan.step = steps[i];
				plan.after = kind % 2;
				plan.occurrence = o;
				plan.signal = kind < 2 ? SIGKILL : SIGSTOP;
				wrong = run();
				printf("%s %u - %s %s %s, occurrence %u%s%s\n",
				       wrong ? "not ok" : "ok", ++number,
				       kind < 2 ? "dies" : "stops", plan.after ? "after" : "before",
				       coh_step_name(steps[i]), o, wrong ? ": " : "",
				       wrong ? wrong : "");
				fflush(stdout);
				if (wrong != NULL)
					return 1;
			}
		}
	}
	printf("1..%u\n", number);
	return 0;
}
