/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* policy_adapt.c: which policy fits what was seen, and when it is time to change. */
#include "policy.h"

/* To begin with a policy takes more than to stay with it. */
#define READS_BEGIN 8u /* reads to a write */
#define READS_STAY 4u
#define WAITS_BEGIN 4u /* one wait in so many */
#define WAITS_STAY 8u
#define TOGETHER_BEGIN 2u /* one operation in so many is begun while others are under way */
#define TOGETHER_STAY 4u
/* A content of two lines, more or less: it moves in the time that a request and its result do. */
#define WORDS_MOVED 16u

static int one_at_most(uint64_t set)
{
	return !(set & (set - 1));
}

/* `part` is at least one in `of` of `whole`. */
static int share(uint64_t part, uint64_t whole, unsigned of)
{
	return part >= whole / of && part;
}

uint32_t coh_adapt_fits(const struct coh_counts *c, uint32_t policy)
{
	uint64_t all = c->reads + c->writes + c->operations;
	unsigned reads = policy == IST_CELL_READ_MOSTLY ? READS_STAY : READS_BEGIN;
	unsigned waits = policy == IST_CELL_DELEGATED ? WAITS_STAY : WAITS_BEGIN;
	unsigned together = policy == IST_CELL_DELEGATED ? TOGETHER_STAY : TOGETHER_BEGIN;

	/* Nobody to share with: any will do. */
	if (one_at_most(c->readers | c->writers) &&
	    (policy == IST_CELL_READ_MOSTLY || policy == IST_CELL_DELEGATED))
		return policy;
	if (c->reads && c->reads / reads >= c->writes && c->reads >= c->operations)
		return IST_CELL_READ_MOSTLY;
	/* Operations, by more than one, are better shipped than the data where several travel at a
	   time; or where they contend for much of it. */
	if (c->operations >= c->reads && !one_at_most(c->writers) &&
	    (share(c->together, c->operations, together) ||
	     (c->words > WORDS_MOVED && share(c->waits, all, waits))))
		return IST_CELL_DELEGATED;
	return IST_CELL_MIGRATORY;
}

int coh_adapt_undecided(const struct coh_counts *c, uint32_t policy)
{
	uint64_t all = c->reads + c->writes + c->operations;
	int delegated = policy == IST_CELL_DELEGATED;

	if (policy != IST_CELL_MIGRATORY && !delegated)
		return 0;
	return c->operations >= c->reads + c->writes && !one_at_most(c->writers) &&
	       c->words <= WORDS_MOVED && !share(c->together, c->operations, TOGETHER_STAY) &&
	       share(c->waits, all, delegated ? WAITS_STAY : WAITS_BEGIN);
}

uint32_t coh_adapt(struct coh_adapt *a, const struct coh_counts *c)
{
	uint64_t events = c->reads + c->writes + c->operations;
	uint32_t fits;

	if (events < a->events)
		return a->policy;
	fits = coh_adapt_fits(c, a->policy);
	if (fits == a->policy) {
		a->agreed = 0;
		return a->policy;
	}
	a->agreed = fits == a->candidate && a->agreed ? a->agreed + 1 : 1;
	a->candidate = fits;
	if (a->agreed >= a->windows) {
		a->policy = fits;
		a->agreed = 0;
	}
	return a->policy;
}
