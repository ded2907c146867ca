/* SPDX-License-Identifier: BSD-2-Clause */
/* overcommit.h: what the two loads of bench/app_overcommit.c share: two groups, and whose quarter
 * it is. */
#ifndef BENCH_OVERCOMMIT_H
#define BENCH_OVERCOMMIT_H

#include <isthmus/isthmus.h>

#define QUARTER_NS 250000000ull
#define QUARTERS_MAX 2048u
#define GROUPS 2u /* 0: "blind", 1: "page" */

struct contest {
	struct ist_group *group[GROUPS];
	uint64_t start, end;  /* ns, both at the beginning of a quarter of "blind" */
	uint64_t work_ns;     /* of its own, between two uses */
	uint64_t hold_ns;     /* in a section */
	uint64_t ns_per_kilo; /* of a thousand steps of work */
	uint32_t done[QUARTERS_MAX];
};

/* The group of this time: all instances change to the other at the same time. */
static inline unsigned contest_group(uint64_t now)
{
	return now / QUARTER_NS % GROUPS;
}

static inline void contest_count(struct contest *c, uint64_t now)
{
	if (now >= c->start && now < c->end)
		c->done[(now - c->start) / QUARTER_NS]++;
}

/* So much work as takes that long on a processor that does nothing else: who is taken off it has
   done nothing meanwhile. */
void contest_work(const struct contest *c, uint64_t ns);

/* The loads. 0, or -errno. */
int contest_ping(struct contest *c);
int contest_pong(struct contest *c);
int contest_crowd(struct contest *c);

#endif
