/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_unit.h: one unit that instances share as threads, and its trace: a step and its line
 * are under one lock.
 */
#ifndef TESTS_MODEL_COHERENCE_UNIT_H
#define TESTS_MODEL_COHERENCE_UNIT_H

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "coherence/step.h"
#include "tests/model/trace_line.h"
#include "tests/xorshift.h"

#define PEERS 3u

enum life { LIVE, DYING, FENCED, JOINING };

struct question {
	uint32_t type; /* COH_HEAR_INV or COH_HEAR_DOWN; 0: none */
	uint64_t epoch;
};

static struct {
	_Alignas(16) struct ist_directory word;
	pthread_mutex_t lock; /* of the trace, and all below */
	enum life life[PEERS];
	unsigned perm[PEERS];
	int inside[PEERS]; /* cells: in a write section */
	struct question inbox[PEERS];
	int looking; /* a survivor looks: one at a time, as in the model */
	uint64_t last_epoch;
	long steps, limit;
	unsigned long content[2]; /* of a cell: equal outside of write sections */
	int torn;
} unit = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct thread {
	pthread_t id;
	unsigned peer;
	uint64_t random;
};

static unsigned chance(struct thread *t, unsigned of)
{
	return (unsigned)(xorshift(&t->random) >> 33) % of;
}

static void dawdle(struct thread *t)
{
	for (unsigned n = chance(t, 4); n; n--)
		sched_yield();
}

static int running(unsigned peer)
{
	int on;

	pthread_mutex_lock(&unit.lock);
	on = unit.steps < unit.limit && (unit.life[peer] == LIVE || unit.life[peer] == JOINING);
	pthread_mutex_unlock(&unit.lock);
	return on;
}

/* A step of `by` begins: returns with the lock, or -1 without it: `by` takes no more steps. */
static int begin(unsigned by)
{
	pthread_mutex_lock(&unit.lock);
	if (unit.steps < unit.limit && (unit.life[by] == LIVE || unit.life[by] == JOINING))
		return 0;
	pthread_mutex_unlock(&unit.lock);
	return -1;
}

/* ... and ends, with its line. */
static void end_changed(unsigned type, unsigned peer, struct ist_directory before,
			struct ist_directory after)
{
	unit.last_epoch = trace_line(type, peer, before, after, unit.last_epoch);
	unit.steps++;
	pthread_mutex_unlock(&unit.lock);
}

static void end(unsigned type, unsigned peer)
{
	struct ist_directory word = coh_load(&unit.word);

	end_changed(type, peer, word, word);
}

/*
 * A step of `by` that changes the word. Decided without the lock, on what may be old; a refusal is
 * final once it is that of the word as it is, and then has a line if it is an answer's.
 * Returns 0, or what coh_step() says; -1 when `by` takes no more steps.
 */
static int change(unsigned by, unsigned type, unsigned peer, uint64_t epoch,
		  struct coh_result *result)
{
	struct coh_event event = {.type = type, .peer = peer, .epoch = epoch};
	struct ist_directory word = coh_load(&unit.word), before;
	int answer = type == COH_ACK_INV || type == COH_ACK_DOWN || type == COH_EVICT, n, done;
	int set = type == COH_SET_S || type == COH_SET_X;

	for (;;) {
		n = coh_step(word, &event, PEERS, result);
		if (begin(by))
			return -1;
		before = word;
		if (n) {
			coh_confirm(&unit.word, &word);
			if (coh_equal(before, word)) {
				if (answer || (set && n == -EIO))
					end_changed(type, peer, word, word);
				else
					pthread_mutex_unlock(&unit.lock);
				return n;
			}
			pthread_mutex_unlock(&unit.lock);
			continue;
		}
		if (result->actions & COH_CONTROL_ONLY) {
			done = coh_cas_control(&unit.word, &word.control, result->word.control);
			before = coh_load(&unit.word);
			if (done)
				before.control = word.control;
			word = before;
		} else {
			done = coh_cas(&unit.word, &word, result->word);
		}
		if (done) {
			end_changed(
				type, peer, before,
				(struct ist_directory){result->word.control, unit.word.sharers});
			return 0;
		}
		pthread_mutex_unlock(&unit.lock);
	}
}

#endif
