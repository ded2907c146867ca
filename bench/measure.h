/* SPDX-License-Identifier: BSD-2-Clause */
/* measure.h: what every bench shares: ticks, samples and their percentiles, the bare ping-pong. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <isthmus/isthmus.h>

/* How many trips one run makes. Both sides must know, so plans are constants of the script. */
struct plan {
	unsigned warm;    /* not timed */
	unsigned batches; /* of BATCH trips, timed as one: for min and p50 */
	unsigned singles; /* timed one by one: for p99 and p99.9 */
};
#define BATCH 64u
#define SAMPLES_MAX 20000u

static inline uint64_t plan_trips(const struct plan *plan)
{
	return plan->warm + (uint64_t)plan->batches * BATCH + plan->singles;
}

struct summary {
	uint64_t n;
	double min, p50, p99, p999;
};

/* The fences keep the timed work between its two readings. */
static inline uint64_t ticks(void)
{
	uint64_t t;

	__builtin_ia32_lfence();
	t = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return t;
}

/* Nanoseconds a tick, by the library's clock. */
static inline double ns_per_tick(void)
{
	static double ratio;

	if (ratio == 0) {
		uint64_t ns = ist_time_ns(), t = ticks(), end = ns + 30000000;

		while (ist_time_ns() < end)
			;
		end = ist_time_ns();
		ratio = (double)(end - ns) / (double)(ticks() - t);
	}
	return ratio;
}

static uint32_t samples[SAMPLES_MAX];

static inline void sift(uint32_t *v, unsigned root, unsigned count)
{
	unsigned child;

	while ((child = 2 * root + 1) < count) {
		uint32_t t = v[root];

		if (child + 1 < count && v[child] < v[child + 1])
			child++;
		if (t >= v[child])
			return;
		v[root] = v[child];
		v[child] = t;
		root = child;
	}
}

/* Heap sort: there is no libc in an app VM. */
static inline void sort(uint32_t *v, unsigned count)
{
	for (unsigned i = count / 2; i-- > 0;)
		sift(v, i, count);
	while (count-- > 1) {
		uint32_t t = v[0];

		v[0] = v[count];
		v[count] = t;
		sift(v, 0, count);
	}
}

/* Of sorted samples. */
static inline double percentile(const uint32_t *v, unsigned count, unsigned per_mille)
{
	unsigned i = (unsigned)((uint64_t)count * per_mille / 1000);

	return count == 0 ? 0 : v[i < count ? i : count - 1];
}

static inline uint32_t elapsed(uint64_t since)
{
	uint64_t t = ticks() - since;

	return t > UINT32_MAX ? UINT32_MAX : (uint32_t)t;
}

/*
 * Makes the plan's trips, trip(context, 1), trip(context, 2)..., and times them. The callback is
 * inlined, so that the bare ping-pong and what is compared with it are timed by the same loop.
 * Returns the first error of a trip, or 0.
 */
static inline __attribute__((always_inline)) int
measure(const struct plan *plan, int (*trip)(void *, uint64_t), void *context, struct summary *out)
{
	double ns = ns_per_tick();
	uint64_t n = 0, start;
	int error = 0;

	for (unsigned i = 0; i < plan->warm && error == 0; i++)
		error = trip(context, ++n);
	for (unsigned i = 0; i < plan->batches && error == 0; i++) {
		start = ticks();
		for (unsigned j = 0; j < BATCH && error == 0; j++)
			error = trip(context, ++n);
		samples[i] = elapsed(start);
	}
	sort(samples, plan->batches);
	out->n = n - plan->warm;
	out->min = percentile(samples, plan->batches, 0) * ns / BATCH;
	out->p50 = percentile(samples, plan->batches, 500) * ns / BATCH;
	for (unsigned i = 0; i < plan->singles && error == 0; i++) {
		start = ticks();
		error = trip(context, ++n);
		samples[i] = elapsed(start);
	}
	sort(samples, plan->singles);
	out->p99 = percentile(samples, plan->singles, 990) * ns;
	out->p999 = percentile(samples, plan->singles, 999) * ns;
	return error;
}

/*
 * The bare floor: two cache lines, each written by one side alone, nothing else. Two things move
 * it:
 * - which slice of the last-level cache the two lines hash to (a few % on a mesh): BARE_PAIRS pairs
 *   are measured, one after another, and their median counts;
 * - how the waiting side spins: with `pause` (140 cycles on Cascade Lake) or without (then the
 * loads in flight are thrown away when the line comes): both are tried, and the lower counts.
 */
#define BARE_PAIRS 16u
struct bare_line {
	uint64_t value __attribute__((aligned(128)));
};

struct bare {
	struct bare_line *mine; /* BARE_PAIRS of them */
	struct bare_line *theirs;
};

struct bare_pair {
	uint64_t *mine;
	const uint64_t *theirs;
};

static inline int bare_trip(void *context, uint64_t n)
{
	struct bare_pair *b = context;

	__atomic_store_n(b->mine, n, __ATOMIC_RELEASE);
	while (__atomic_load_n(b->theirs, __ATOMIC_ACQUIRE) != n)
		;
	return 0;
}

static inline int bare_trip_pause(void *context, uint64_t n)
{
	struct bare_pair *b = context;

	__atomic_store_n(b->mine, n, __ATOMIC_RELEASE);
	while (__atomic_load_n(b->theirs, __ATOMIC_ACQUIRE) != n)
		__builtin_ia32_pause();
	return 0;
}

static inline double median(double *v, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		for (unsigned j = i; j > 0 && v[j] < v[j - 1]; j--) {
			double t = v[j];

			v[j] = v[j - 1];
			v[j - 1] = t;
		}
	}
	return (v[(count - 1) / 2] + v[count / 2]) / 2;
}

/* The measuring side. */
static inline void bare_ping(const struct bare *b, const struct plan *plan, struct summary *out)
{
	double min[2][BARE_PAIRS], p50[2][BARE_PAIRS], p99[2][BARE_PAIRS], p999[2][BARE_PAIRS];
	unsigned best;

	for (unsigned i = 0; i < BARE_PAIRS; i++) {
		struct bare_pair pair = {&b->mine[i].value, &b->theirs[i].value};
		struct summary s[2];

		measure(plan, bare_trip, &pair, &s[0]);
		measure(plan, bare_trip_pause, &pair, &s[1]);
		for (unsigned j = 0; j < 2; j++) {
			min[j][i] = s[j].min;
			p50[j][i] = s[j].p50;
			p99[j][i] = s[j].p99;
			p999[j][i] = s[j].p999;
		}
	}
	best = median(p50[1], BARE_PAIRS) < median(p50[0], BARE_PAIRS);
	median(min[best], BARE_PAIRS); /* sorts */
	*out = (struct summary){
		.n = (plan_trips(plan) - plan->warm) * BARE_PAIRS,
		.min = min[best][0],
		.p50 = median(p50[best], BARE_PAIRS),
		.p99 = median(p99[best], BARE_PAIRS),
		.p999 = median(p999[best], BARE_PAIRS),
	};
}

static inline void bare_pong(const struct bare *b, const struct plan *plan)
{
	uint64_t trips = plan_trips(plan);

	for (unsigned i = 0; i < BARE_PAIRS; i++) {
		uint64_t *mine = &b->mine[i].value;
		const uint64_t *theirs = &b->theirs[i].value;

		for (uint64_t n = 1; n <= trips; n++) {
			while (__atomic_load_n(theirs, __ATOMIC_ACQUIRE) != n)
				;
			__atomic_store_n(mine, n, __ATOMIC_RELEASE);
		}
		for (uint64_t n = 1; n <= trips; n++) {
			while (__atomic_load_n(theirs, __ATOMIC_ACQUIRE) != n)
				__builtin_ia32_pause();
			__atomic_store_n(mine, n, __ATOMIC_RELEASE);
		}
	}
}

static const struct plan bracket_plan = {.warm = 100, .batches = 12, .singles = 0};

#endif
