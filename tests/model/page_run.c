/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page_run.c: three VMs' pagers over one group, over real userfaultfd, in a trace build; each in a
 * process with a thread that loads and stores as a guest would. What each said of its steps is the
 * output (tests/trace_log.h), for tests/model/trace_order.c: unit by unit, UNITS of them.
 *
 *   page_run SEED ENTRIES random|planned [OCCURRENCES]
 *
 * Deaths and stops are as those of cell_run.c.
 */
#define COH_TRACING
#include "tests/pager_group.h"

#include "tests/trace_run.h"

#define UNITS 2u
#define TENURE 5000u
#define RECALL 8000000u

/* What the broker has said: the incarnation of each that is there, 0: nobody. Atomic. */
static struct news {
	uint32_t incarnation[RUN_INSTANCES];
} * news;
static uint32_t incarnations[RUN_INSTANCES];

/* ---- An instance ---- */

static int stop_listening;

/* What the broker's socket would tell: who comes, and who is gone. */
static void *listen_to_broker(void *argument)
{
	struct member *m = argument;
	uint32_t known[RUN_INSTANCES] = {0};

	while (!__atomic_load_n(&stop_listening, __ATOMIC_ACQUIRE)) {
		for (unsigned i = 0; i < RUN_INSTANCES; i++) {
			uint32_t now = __atomic_load_n(&news->incarnation[i], __ATOMIC_ACQUIRE);

			if (i == m->group.id || now == known[i])
				continue;
			if (known[i] != 0)
				coh_pager_gone(m->pager, i, known[i]);
			if (now != 0)
				coh_pager_peer(m->pager, i, now, dup(g.bell[i]));
			known[i] = now;
		}
		usleep(200);
	}
	return NULL;
}

/* Loads and stores; a page stays for some of them. */
static void touch(struct member *m)
{
	uint64_t *page = &m->page[run_random(&run_state, UNITS) * PAGE_WORDS];

	if (run_chance(2))
		__atomic_fetch_add(&page[m->group.id], 1, __ATOMIC_SEQ_CST);
	else
		(void)__atomic_load_n(&page[0], __ATOMIC_SEQ_CST);
}

static int work(unsigned i)
{
	struct member *m = &g.member[i];
	pthread_t listener;

	must(member_start(m) == 0);
	must(pthread_create(&listener, NULL, listen_to_broker, m) == 0);
	while (!run_over()) {
		touch(m);
		run_dawdle();
	}
	__atomic_store_n(&stop_listening, 1, __ATOMIC_RELEASE);
	must(pthread_join(listener, NULL) == 0);
	member_stop(m);
	return m->broken ? EPROTO : 0;
}

/* ---- The broker ---- */

static void admit(unsigned i, uint32_t life)
{
	uint32_t incarnation = ++incarnations[i];

	trace_say(trace, life, COH_JOIN, i);
	member_prepare(i, incarnation, IST_RIGHT_WRITE);
	ivshm_roster_set_state(&g.memory, i, incarnation, IST_PEER_LIVE);
	__atomic_store_n(&news->incarnation[i], incarnation, __ATOMIC_RELEASE);
}

static void gone(unsigned i, int died)
{
	ivshm_roster_set_state(&g.memory, i, incarnations[i],
			       died ? IST_PEER_DEAD : IST_PEER_ABSENT);
	__atomic_store_n(&news->incarnation[i], 0, __ATOMIC_RELEASE);
	munmap(g.member[i].page, PAGER_PAGES * IST_PAGE);
}

/* A pager has its own mapping of the directory, which begins a page. */
static unsigned unit(const struct ist_directory *where)
{
	size_t offset = (uintptr_t)where % IST_PAGE - sizeof(struct ist_page_directory);

	return (unsigned)(offset / sizeof(struct ist_page));
}

static void plan(unsigned occurrences)
{
	static const unsigned announced[] = {
		COH_CLAIM_S, COH_CLAIM_X, COH_ASK,    COH_SET_S,   COH_SET_X,    COH_INSTALL,
		COH_RELEASE, COH_DROP,    COH_REDUCE, COH_ACK_INV, COH_ACK_DOWN,
	};

	for (unsigned i = 0; i < sizeof(announced) / sizeof(announced[0]); i++)
		run_plan_faults(announced[i], 1, occurrences);
	run_plan_faults(COH_HEAR_INV, 0, occurrences);
	run_plan_faults(COH_HEAR_DOWN, 0, occurrences);
	run_plan_faults(COH_LOOK, 0, 1);
	run_plan_faults(COH_REAP, 1, 1);
}

int main(int argc, char **argv)
{
	int wrong;

	if (argc < 4) {
		fprintf(stderr, "usage: page_run SEED ENTRIES random|planned [OCCURRENCES]\n");
		return 2;
	}
	run_create(strtoull(argv[2], NULL, 0), strtoull(argv[1], NULL, 0));
	run.admit = admit;
	run.gone = gone;
	run.work = work;
	run.unit = unit;
	news = mmap(NULL, IST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(news != MAP_FAILED);
	group_create(TENURE, RECALL);
	for (unsigned i = 0; i < UNITS; i++)
		trace_print_word(stdout, i, g.entry[i].directory);
	if (!strcmp(argv[3], "planned"))
		plan(argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 1);
	wrong = run_processes();
	for (unsigned i = 0; i < UNITS; i++)
		trace_print_word(stdout, i, g.entry[i].directory);
	return run_report("page_run", wrong);
}
