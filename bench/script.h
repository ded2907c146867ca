/* SPDX-License-Identifier: BSD-2-Clause */
/* script.h: how instances go through a list of cases in step: arguments, a barrier, the bracket. */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "measure.h"

/* What follows `key` in the argument that starts with it, or NULL. */
static inline const char *argument(int argc, char **argv, const char *key)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *k = key;

		while (*k != 0 && *a == *k)
			a++, k++;
		if (*k == 0)
			return a;
	}
	return NULL;
}

static inline unsigned number(const char *text, unsigned otherwise)
{
	unsigned n = 0;

	if (text == NULL)
		return otherwise;
	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return n;
}

/* Is `name` in the comma-separated list? */
static inline int listed(const char *list, const char *name)
{
	while (list != NULL && *list != 0) {
		const char *n = name;

		while (*n != 0 && *list == *n)
			list++, n++;
		if (*n == 0 && (*list == 0 || *list == ','))
			return 1;
		while (*list != 0 && *list++ != ',')
			;
	}
	return 0;
}

#define STEP_TIMEOUT_NS 20000000000u
#define STEP_NAP_NS 50000u
#define STEP_NAP_MAX_NS 1000000u

/* A barrier of `count` instances: a line each, which it alone writes, in memory that was zero. */
struct steps {
	struct bare_line *lines;
	unsigned me, count;
	uint64_t n;
	/*
	 * How often to look before sleeping between looks; 0: never sleep. Instances that share a
	 * processor must sleep, or those that are missing do not get there.
	 */
	unsigned patience;
	/* What this one must do for the others while it waits; NULL: nothing. */
	int (*meanwhile)(void *context);
	void *context;
};

static inline int steps_behind(const struct steps *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		/* Acquire: with the release in step(); what was done before the step is seen. */
		if (__atomic_load_n(&s->lines[i].value, __ATOMIC_ACQUIRE) < s->n)
			return 1;
	}
	return 0;
}

/*
 * Waits until all are here too. Returns 0; -ETIMEDOUT after 20 s; the error of `meanwhile`.
 */
static inline int step(struct steps *s)
{
	uint64_t looks = 0, deadline = 0, nap = STEP_NAP_NS;
	int error = 0;

	/* Release: see steps_behind(). */
	__atomic_store_n(&s->lines[s->me].value, ++s->n, __ATOMIC_RELEASE);
	while (error == 0 && steps_behind(s)) {
		int asleep = s->patience != 0 && looks >= s->patience;

		if (s->meanwhile != NULL)
			error = s->meanwhile(s->context);
		if (asleep) {
			ist_sleep_ns(nap);
			nap = nap * 2 > STEP_NAP_MAX_NS ? STEP_NAP_MAX_NS : nap * 2;
		} else {
			__builtin_ia32_pause();
		}
		if (++looks % 65536 != 0 && !asleep)
			continue;
		if (deadline == 0)
			deadline = ist_time_ns() + STEP_TIMEOUT_NS;
		if (error == 0 && ist_time_ns() > deadline)
			error = -ETIMEDOUT;
	}
	return error;
}

/* The bare ping-pong around a run, between the first two. Returns ns, or 0 in the second. */
static inline double bracket_between(struct bare_line lines[2][BARE_PAIRS], unsigned me)
{
	struct bare pair = {lines[me], lines[1 - me]};
	struct summary s = {0};

	if (me == 0)
		bare_ping(&pair, &bracket_plan, &s);
	else
		bare_pong(&pair, &bracket_plan);
	return s.p50;
}

/* VM exits of this vCPU so far, modulo 2^32; -1 where there are none. */
static inline int64_t exits_now(void)
{
	uint32_t exits;

	return ist_exits(&exits) != 0 ? -1 : (int64_t)exits;
}

#endif
