/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pager_group.h: a group with a page-coherent region, and pagers over it without VMs: each has its
 * own mapping of the region, and threads of the test stand for the guests.
 */
#ifndef TESTS_PAGER_GROUP_H
#define TESTS_PAGER_GROUP_H

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coherence/pager/pager.h"
#include "coherence/word.h"
#include "ivshmem/memory.h"
#include "tests/must.h"

#define PAGER_PEERS 4u
#define PAGER_PAGES 8u
#define PAGE_WORDS IST_PAGE_WORDS

struct member { /* a VM */
	struct coh_pager_group group;
	uint32_t incarnation;
	struct coh_pager *pager;
	uint64_t *page; /* its guest's view of the region */
	char error[256];
	int broken;  /* atomic: how often the pager said so */
	int stalled; /* atomic: 1 + the ID that it complained of last */
	int noticed; /* atomic: lines of false sharing */
};

static bool pager_moments = true; /* as for a VM; false: as for a process */

static struct {
	struct ivshm_config config;
	struct ivshm_group_config group;
	struct ivshm_region_config region;
	struct ivshm_instance_config instance[PAGER_PEERS];
	struct ivshm_memory memory;
	struct ist_page *entry; /* what the broker sees */
	uint64_t *content;
	int bell[PAGER_PEERS];
	struct member member[PAGER_PEERS];
} g;

static inline void on_stalled(void *context, uint32_t id, uint32_t incarnation, uint64_t offset)
{
	struct member *member = context;

	(void)incarnation;
	(void)offset;
	__atomic_store_n(&member->stalled, (int)id + 1, __ATOMIC_RELEASE);
}

static inline bool on_broken(void *context, const char *text)
{
	struct member *member = context;

	(void)text;
	__atomic_add_fetch(&member->broken, 1, __ATOMIC_RELEASE);
	return false;
}

static inline void on_noticed(void *context, const char *text)
{
	struct member *member = context;

	(void)text;
	__atomic_add_fetch(&member->noticed, 1, __ATOMIC_RELEASE);
}

static const struct coh_pager_ops pager_ops = {
	.stalled = on_stalled, .broken = on_broken, .noticed = on_noticed};

static inline void group_create(uint64_t tenure_ns, uint64_t recall_ns)
{
	static char names[PAGER_PEERS][4] = {"a", "b", "c", "d"}, group[] = "g", region[] = "pages";
	char error[256];

	memset(&g, 0, sizeof(g));
	for (unsigned i = 0; i < PAGER_PEERS; i++) {
		g.instance[i].name = names[i];
		g.group.member[i] = i;
		g.bell[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		must(g.bell[i] >= 0);
	}
	g.region = (struct ivshm_region_config){.name = region,
						.size = PAGER_PAGES * IST_PAGE,
						.access = IST_RIGHT_WRITE,
						.coherence = IST_COHERENCE_PAGE,
						.tenure_ns = tenure_ns,
						.recall_ns = recall_ns};
	g.group.name = group;
	g.group.page_size = IST_PAGE;
	g.group.vectors = 1;
	g.group.max_peers = PAGER_PEERS;
	g.group.members_count = PAGER_PEERS;
	g.group.regions = &g.region;
	g.group.regions_count = 1;
	g.config.groups = &g.group;
	g.config.groups_count = 1;
	g.config.instances = g.instance;
	g.config.instances_count = PAGER_PEERS;
	must(ivshm_memory_create(&g.memory, &g.config, &g.group, error, sizeof(error)) == 0);
	g.entry = (void *)(g.memory.map + g.memory.layout.directory_offset[0] +
			   sizeof(struct ist_page_directory));
	g.content = (void *)(g.memory.map + g.memory.layout.region_offset[0]);
}

static inline void group_destroy(void)
{
	ivshm_memory_destroy(&g.memory);
	for (unsigned i = 0; i < PAGER_PEERS; i++)
		close(g.bell[i]);
}

/* A member as it is before its pager starts. Its own bell is told; others by introduce(). */
static inline struct member *member_prepare(unsigned id, uint32_t incarnation, uint32_t right)
{
	struct member *m = &g.member[id];
	void *page = mmap(NULL, PAGER_PAGES * IST_PAGE,
			  right == IST_RIGHT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
			  g.memory.fd, (off_t)g.memory.layout.region_offset[0]);

	must(page != MAP_FAILED);
	*m = (struct member){
		.page = page,
		.incarnation = incarnation,
		.group = {.memory = g.memory.fd,
			  .size = g.memory.layout.total_size,
			  .id = id,
			  .max_peers = PAGER_PEERS,
			  .moments = pager_moments,
			  .news = -1,
			  .regions = 1,
			  .region = {{.name = "pages",
				      .offset = g.memory.layout.region_offset[0],
				      .size = PAGER_PAGES * IST_PAGE,
				      .directory = g.memory.layout.directory_offset[0],
				      .right = right,
				      .base = page}}},
	};
	ivshm_roster_admit(&g.memory, id, incarnation, g.instance[id].name, 1, IST_KIND_APP);
	return m;
}

static inline int member_start(struct member *m)
{
	m->pager = coh_pager_create();
	must(m->pager != NULL);
	coh_pager_peer(m->pager, m->group.id, m->incarnation, dup(g.bell[m->group.id]));
	return coh_pager_start(m->pager, &m->group, &pager_ops, m, m->error, sizeof(m->error));
}

static inline void member_stop(struct member *m)
{
	coh_pager_destroy(m->pager);
	munmap(m->page, PAGER_PAGES * IST_PAGE);
	m->pager = NULL;
}

/* Both learn of each other, as by PEER. */
static inline void introduce(struct member *to, unsigned id, uint32_t incarnation)
{
	coh_pager_peer(to->pager, id, incarnation, dup(g.bell[id]));
	ivshm_roster_set_state(&g.memory, id, incarnation, IST_PEER_LIVE);
}

/* All of the first `count`, each of its first incarnation. */
static inline void members_start(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct member *m = member_prepare(i, 1, IST_RIGHT_WRITE);
		int n = member_start(m);

		if (n != 0)
			fprintf(stderr, "%s\n", m->error);
		must(n == 0);
	}
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < count; j++)
			if (i != j)
				introduce(&g.member[i], j, 1);
}

static inline void members_stop(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		ck_assert_int_eq(g.member[i].broken, 0);
		member_stop(&g.member[i]);
	}
}

static inline uint64_t get(const struct member *m, unsigned page)
{
	return __atomic_load_n(&m->page[page * PAGE_WORDS], __ATOMIC_SEQ_CST);
}

/* Of the put() that this thread is in. */
static __thread const struct coh_pager *put_pager;
static __thread uint32_t put_moments;

/* A store that fails in a moment is done again, as a vCPU's is; any other ends the test. */
static inline void put_again(int signal_number)
{
	uint32_t now = coh_pager_moments(put_pager);

	if (now == put_moments && now % 2 == 0)
		signal(signal_number, SIG_DFL);
}

/*
 * A member is as a VM is: before Linux 6.4 what it got to read is for a moment not to be written to
 * by anybody, and is there already; also when it is mapped once more for a fault that came late.
 */
static inline void put(struct member *m, unsigned page, uint64_t value)
{
	struct sigaction again = {.sa_handler = put_again};

	must(sigaction(SIGSEGV, &again, NULL) == 0);
	put_pager = m->pager;
	put_moments = coh_pager_moments(m->pager);
	__atomic_store_n(&m->page[page * PAGE_WORDS], value, __ATOMIC_SEQ_CST);
	put_pager = NULL;
}

/* The page's word once nobody is busy there: a pager releases after its guest goes on. */
static inline struct ist_directory word_of(unsigned page)
{
	struct ist_directory word;

	for (int i = 0; i < 20000; i++) {
		word = coh_load(&g.entry[page].directory);
		coh_confirm(&g.entry[page].directory, &word);
		if (IST_DIR_BUSY(word.control) == 0)
			break;
		usleep(500);
	}
	return word;
}

static inline struct coh_pager_stats stats_of(const struct member *m)
{
	struct coh_pager_stats stats = {0};

	ck_assert(coh_pager_stats(m->pager, &stats));
	return stats;
}

#endif
