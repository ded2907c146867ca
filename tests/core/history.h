/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * history.h: histories of a sum to which many add 1, and whether they are linearizable. An addition
 * returns the sum before it, a reading the sum: so each tells its place, and the history is
 * linearizable if no two additions have one place and none that was over before another began
 * has a place behind it. Times are tickets of one shared counter.
 */
#ifndef TESTS_CORE_HISTORY_H
#define TESTS_CORE_HISTORY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define HISTORY_MAX (1u << 20)

struct history_event {
	uint64_t begin; /* 0: none */
	uint64_t end;   /* 0: whoever began it died, or it has not ended */
	uint64_t place; /* sum * 2 of a reading, and 1 more of an addition */
};

struct history {
	uint64_t clock; /* atomic */
	uint64_t count; /* atomic */
	struct history_event events[HISTORY_MAX];
};

/* NULL: the history is full. */
static inline struct history_event *history_begin(struct history *history, int adds)
{
	uint64_t i = __atomic_fetch_add(&history->count, 1, __ATOMIC_SEQ_CST);
	struct history_event *event;

	if (i >= HISTORY_MAX)
		return NULL;
	event = &history->events[i];
	event->place = adds != 0;
	__atomic_store_n(&event->begin, __atomic_add_fetch(&history->clock, 1, __ATOMIC_SEQ_CST),
			 __ATOMIC_RELEASE);
	return event;
}

static inline void history_end(struct history *history, struct history_event *event, uint64_t sum)
{
	event->place += sum * 2;
	__atomic_store_n(&event->end, __atomic_add_fetch(&history->clock, 1, __ATOMIC_SEQ_CST),
			 __ATOMIC_RELEASE);
}

static inline int history_compare(const void *a, const void *b)
{
	const struct history_event *x = a, *y = b;

	return x->place < y->place ? -1 : x->place > y->place;
}

/*
 * What is wrong with it, or NULL. `sum` is the last one, when all is over. Sorts it.
 */
static inline const char *history_check(struct history *history, uint64_t sum)
{
	static char text[128];
	uint64_t n = history->count < HISTORY_MAX ? history->count : HISTORY_MAX, i, k;
	uint64_t adds = 0, begun = 0, latest = 0, here;
	struct history_event *e = history->events;

	for (i = 0, k = 0; i < n; i++) {
		if (e[i].end)
			e[k++] = e[i];
		else
			begun += e[i].place & 1;
	}
	n = k;
	qsort(e, n, sizeof(*e), history_compare);
	for (i = 0; i < n; i = k) {
		here = latest;
		for (k = i; k < n && e[k].place == e[i].place; k++) {
			if (e[k].end < latest) {
				snprintf(text, sizeof(text),
					 "place %llu was over before an earlier",
					 (unsigned long long)e[k].place);
				return text;
			}
			if (e[k].begin > here)
				here = e[k].begin;
		}
		latest = here;
		if (!(e[i].place & 1))
			continue;
		adds++;
		if (k - i > 1 || e[i].place / 2 >= sum) {
			snprintf(text, sizeof(text), "%llu additions at place %llu of %llu",
				 (unsigned long long)(k - i), (unsigned long long)e[i].place,
				 (unsigned long long)sum * 2);
			return text;
		}
	}
	if (sum < adds || sum > adds + begun) {
		snprintf(text, sizeof(text), "the sum is %llu, of %llu additions and %llu begun",
			 (unsigned long long)sum, (unsigned long long)adds,
			 (unsigned long long)begun);
		return text;
	}
	return NULL;
}

#endif
