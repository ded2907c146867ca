/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_lives.h: a log (tests/trace_log.h) taken apart: what each life has done, in its own order.
 */
#ifndef TESTS_MODEL_TRACE_LIVES_H
#define TESTS_MODEL_TRACE_LIVES_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "coherence/step.h"

#define PEERS 3u
#define ALL_UNITS 255u
#define LIVES_MAX 65536u

struct event {
	uint64_t began; /* place in the log of what announced it, or its own */
	uint64_t said;  /* its own */
	unsigned step, peer;
	int lost; /* by one that died: announced only, or not even that, being one with the last */
	struct ist_directory before, after;
};

struct life {
	struct event *events;
	size_t count, room, next;
	int dead;        /* the trace has it dead */
	uint64_t fenced; /* place in the log, or 0: it never was */
	int died;
	unsigned peer;
	struct event announced; /* while reading: said: 0: nothing is */
};

static struct life *lives;
static uint32_t lives_used;
static int cells;
static struct ist_directory first_word, last_word;

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("no order: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	printf(".\n"); /* spin waits for it */
	exit(1);
}

static void append(struct life *life, const struct event *event)
{
	if (life->count == life->room) {
		life->room = life->room ? life->room * 2 : 16;
		life->events = realloc(life->events, life->room * sizeof(*event));
		if (!life->events)
			fail("out of memory");
	}
	life->events[life->count] = *event;
	life->count++;
}

static void take_in(struct life *life, struct event event, int after)
{
	if (event.step == COH_DIE) {
		life->died = 1;
	} else if (event.step == COH_FENCE) {
		life->fenced = event.said;
	} else if (!after) {
		life->announced = event; /* what was announced before was not done */
	} else {
		if (event.step == COH_JOIN)
			life->peer = event.peer;
		if (life->announced.said && life->announced.step == event.step)
			event.began = life->announced.said;
		life->announced.said = 0;
		append(life, &event);
	}
}

/* What one who died may have taken last. In cells a REAP is one swap with a TAKE. */
static void complete(struct life *life)
{
	struct event take = {.step = COH_TAKE, .peer = life->peer, .lost = 2};
	const struct event *end;

	if (life->died && life->announced.said) {
		life->announced.lost = 1;
		append(life, &life->announced);
	}
	end = life->count ? &life->events[life->count - 1] : NULL;
	if (!cells || !life->died || !end || end->step != COH_REAP)
		return;
	take.began = end->began;
	take.said = end->said;
	append(life, &take);
}

/* Of one unit; from stdin. */
static void read_log(unsigned unit)
{
	unsigned long long place, was[2], is[2];
	unsigned by, of, step, peer, after, words = 0;

	lives = calloc(LIVES_MAX, sizeof(*lives));
	if (!lives)
		fail("out of memory");
	while (scanf("%llu %u %u %u %u %u %llx %llx %llx %llx", &place, &by, &of, &step, &peer,
		     &after, &was[0], &was[1], &is[0], &is[1]) == 10) {
		struct event event = {.began = place,
				      .said = place,
				      .step = step,
				      .peer = peer,
				      .before = {was[0], was[1]},
				      .after = {is[0], is[1]}};

		if (of != unit && of != ALL_UNITS)
			continue;
		if (by >= LIVES_MAX || peer >= PEERS || step > COH_STEP_LAST)
			fail("entry %llu makes no sense", place);
		if (step == 0) {
			*(words++ ? &last_word : &first_word) = event.before;
			continue;
		}
		if (by >= lives_used)
			lives_used = by + 1;
		take_in(&lives[by], event, (int)after);
	}
	if (words != 2 || !feof(stdin))
		fail("the log is not complete");
	for (uint32_t number = 1; number < lives_used; number++)
		complete(&lives[number]);
}

#endif
