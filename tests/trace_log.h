/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_log.h: what processes of a trace build say that they have done, in memory that they share
 * and that outlives each of them. tests/model/trace_order.c finds out in which order it happened.
 *
 * An entry is there once `ready` is: whoever dies over it has not said it. Its place tells no more
 * than that it was written before what its own process wrote later.
 *
 * A *life* is one incarnation of one peer, from 1 on; what is said of its end is the broker's word.
 */
#ifndef TESTS_TRACE_LOG_H
#define TESTS_TRACE_LOG_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "coherence/step.h"
#include "coherence/trace.h"

#define TRACE_ALL 255u /* of all units */

enum trace_when { TRACE_BEFORE, TRACE_AFTER };

struct trace_entry {
	uint32_t ready; /* atomic */
	uint32_t life;
	uint8_t unit;
	uint8_t step;
	uint8_t peer;
	uint8_t when; /* enum trace_when */
	struct ist_directory before;
	struct ist_directory after;
};

struct trace_log {
	uint64_t used;  /* atomic */
	uint64_t limit; /* beyond it nothing is written */
	struct trace_entry entry[];
};

/* NULL: there is no memory. */
static inline struct trace_log *trace_create(uint64_t limit)
{
	struct trace_log *log;

	log = mmap(NULL, sizeof(*log) + limit * sizeof(log->entry[0]), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (log == MAP_FAILED)
		return NULL;
	log->limit = limit;
	return log;
}

static inline uint64_t trace_used(const struct trace_log *log)
{
	return __atomic_load_n(&log->used, __ATOMIC_RELAXED);
}

/* Of a step before its effect `after` is NULL. */
static inline void trace_put(struct trace_log *log, uint32_t life, unsigned unit, unsigned step,
			     unsigned peer, const struct ist_directory *before,
			     const struct ist_directory *after)
{
	static const struct ist_directory none;
	uint64_t place = __atomic_fetch_add(&log->used, 1, __ATOMIC_SEQ_CST);
	struct trace_entry *entry = &log->entry[place];

	if (place >= log->limit)
		return;
	entry->life = life;
	entry->unit = (uint8_t)unit;
	entry->step = (uint8_t)step;
	entry->peer = (uint8_t)peer;
	entry->when = after ? TRACE_AFTER : TRACE_BEFORE;
	entry->before = before ? *before : none;
	entry->after = after ? *after : none;
	__atomic_store_n(&entry->ready, 1, __ATOMIC_RELEASE);
}

/* What the broker says: DIE, FENCE or JOIN of a life, at all units. */
static inline void trace_say(struct trace_log *log, uint32_t life, unsigned step, unsigned peer)
{
	static const struct ist_directory none;

	trace_put(log, life, TRACE_ALL, step, peer, &none, &none);
}

/*
 * A line an entry: place (from 1 on), life, unit, step, peer, 1 after the effect or 0 before it,
 * the word before, the word after. Returns 0, or -1: the log was too small.
 */
static inline int trace_print(const struct trace_log *log, FILE *to)
{
	uint64_t used = trace_used(log);

	for (uint64_t i = 0; i < used && i < log->limit; i++) {
		const struct trace_entry *e = &log->entry[i];

		if (__atomic_load_n(&e->ready, __ATOMIC_ACQUIRE))
			fprintf(to, "%llu %u %u %u %u %u %llx %llx %llx %llx\n",
				(unsigned long long)i + 1, e->life, e->unit, e->step, e->peer,
				e->when, (unsigned long long)e->before.control,
				(unsigned long long)e->before.sharers,
				(unsigned long long)e->after.control,
				(unsigned long long)e->after.sharers);
	}
	return used > log->limit ? -1 : 0;
}

/* The words of a unit before all that, and after it: a line each, of step 0. */
static inline void trace_print_word(FILE *to, unsigned unit, struct ist_directory word)
{
	fprintf(to, "0 0 %u 0 0 0 %llx %llx 0 0\n", unit, (unsigned long long)word.control,
		(unsigned long long)word.sharers);
}

#endif
