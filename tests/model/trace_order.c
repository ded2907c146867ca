/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_order.c: puts in order what processes that raced and died have said (tests/trace_log.h),
 * and writes it as coherence/replay.pml reads it.
 *
 *   trace_order cell|page UNIT <log >trace
 *
 * The log's order is not the order of the swaps, but each word that a unit had it had once (its
 * epoch is part of it): so from the first word on, the step that was taken is the one that says it
 * changed this word. Of a process its own order counts. Steps that change no word come where the
 * word is what they say they saw; of the others a permission is given as early and taken as late as
 * that leaves room for, so that nothing is made to look better than it was.
 *
 * Who died may have taken one step and not have said so: the last it said it was about to take.
 * Where no step leads on, and that one does, it was taken. Nothing else is made up but what the
 * code says in one where the model has several: ASK of each holder, TAKE with a REAP of a cell.
 *
 * Says on stderr how many of those there were; or "no order", and fails: something was done and not
 * said, or not as it was said. The trace then is what comes before that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/trace_line.h"
#include "tests/model/trace_lives.h"

static struct ist_directory word;
static uint32_t occupant[PEERS]; /* life, or 0: the first, of which nothing was said */
static uint64_t epoch, asked, latest_began;
static unsigned not_said;

/* ---- Writing ---- */

static void line(unsigned step, unsigned peer, struct ist_directory before,
		 struct ist_directory after)
{
	epoch = trace_line(step, peer, before, after, epoch);
}

/* Of one whose process is gone, and known to be before this place in the log. */
static void bury(uint32_t number, uint64_t before)
{
	struct life *life = &lives[number];

	if (!number || life->dead || !life->died)
		return;
	line(COH_DIE, life->peer, word, word);
	life->dead = 1;
	/* Who is taken for dead too early is not fenced, as far as the model knows. */
	if (life->fenced && life->fenced < before)
		line(COH_FENCE, life->peer, word, word);
}

/* A peer's place has a new life. One that left in order is gone on with: it had nothing more. */
static void join(uint32_t number, uint64_t said)
{
	struct life *life = &lives[number];
	uint32_t before = occupant[life->peer];

	if (lives[before].died && lives[before].fenced && lives[before].fenced < said) {
		bury(before, said);
		line(COH_JOIN, life->peer, word, word);
	}
	occupant[life->peer] = number;
}

static unsigned holders_of(struct ist_directory w)
{
	return (unsigned)w.sharers & ((1u << PEERS) - 1);
}

/* One question, in the model one for each whom it concerns. */
static void ask(const struct event *event)
{
	unsigned of = holders_of(event->before) & ~(1u << event->peer);

	/* `before` is the claim's: its holders are those of then. */
	if (asked == IST_DIR_EPOCH(event->before.control))
		return;
	asked = IST_DIR_EPOCH(event->before.control);
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (of & 1u << peer)
			line(COH_ASK, peer, word, word);
}

/* ---- The order ---- */

static int same(struct ist_directory a, struct ist_directory b)
{
	return coh_equal(a, b);
}

static int moves(const struct event *event)
{
	return !same(event->before, event->after);
}

/* A look at a dead one that led to a swap. */
static int leads(const struct life *life, size_t i)
{
	const struct event *look = &life->events[i], *then = look + 1;

	return i + 1 < life->count && then->step == COH_REAP && then->peer == look->peer;
}

/* What has no place of its own and waits for what comes after it. */
static int waits(const struct life *life, size_t i)
{
	const struct event *event = &life->events[i];
	const struct event *then = i + 1 < life->count ? event + 1 : NULL;

	switch (event->step) {
	case COH_JOIN:
	case COH_REDUCE:
		return 1;
	case COH_DROP: /* of one that gives up unasked: the word that it saw then counts */
		return !then || then->step != COH_EVICT;
	case COH_LOOK: /* one that led to nothing is none, one at another word shows */
		return !leads(life, i) || same(then->before, event->before);
	default:
		return 0;
	}
}

static size_t front(const struct life *life)
{
	size_t i = life->next;

	while (i < life->count && waits(life, i))
		i++;
	return i;
}

static void flush(uint32_t number, size_t until)
{
	struct life *life = &lives[number];

	for (; life->next < until; life->next++) {
		const struct event *event = &life->events[life->next];

		if (event->step == COH_JOIN)
			join(number, event->said);
		else if (event->step != COH_LOOK || leads(life, life->next))
			line(event->step, event->peer, word, word);
	}
}

/* The step at the front of a life, with what has waited for it. */
static void place(uint32_t number, struct ist_directory after)
{
	struct life *life = &lives[number];
	size_t i = front(life);
	const struct event *event = &life->events[i];

	if (event->step == COH_REAP)
		bury(occupant[event->peer], event->said);
	flush(number, i);
	life->next++;
	if (event->step == COH_ASK) {
		ask(event);
		return;
	}
	if (!same(word, after) && !event->lost) {
		if (event->said < latest_began)
			fail("entry %llu was over before what came first",
			     (unsigned long long)event->said);
		if (event->began > latest_began)
			latest_began = event->began;
	}
	line(event->step, event->peer, word, after);
	word = after;
}

/* A question is heard that one who died has asked, and not said so. */
static void ask_for_the_dead(void)
{
	uint32_t busy = IST_DIR_BUSY(word.control), number = busy ? occupant[busy - 1] : 0;
	struct life *life = &lives[number];

	if (number && life->next < life->count && life->events[life->next].lost &&
	    life->events[life->next].step == COH_ASK)
		ask(&life->events[life->next++]);
}

/* What comes at once: a question is put, a permission given. */
static int place_given(uint32_t number)
{
	const struct life *life = &lives[number];
	size_t i = front(life);
	const struct event *event = &life->events[i];

	if (i == life->count || event->lost ||
	    (event->step != COH_ASK && event->step != COH_INSTALL))
		return 0;
	place(number, word);
	return 1;
}

/* A step that changes no word, at the word that it saw. */
static int place_still(uint32_t number)
{
	const struct life *life = &lives[number];
	size_t i = front(life);
	const struct event *event = &life->events[i];

	if (i == life->count || event->lost || moves(event) || !same(event->before, word))
		return 0;
	if (event->step == COH_HEAR_INV || event->step == COH_HEAR_DOWN)
		ask_for_the_dead();
	place(number, word);
	return 1;
}

static int place_moving(uint32_t number)
{
	const struct life *life = &lives[number];
	size_t i = front(life);
	const struct event *event = &life->events[i];

	if (i == life->count || event->lost || !moves(event) || !same(event->before, word))
		return 0;
	place(number, event->after);
	return 1;
}

/* Somebody has seen this word. */
static int seen(struct ist_directory w)
{
	if (same(w, last_word))
		return 1;
	for (uint32_t n = 1; n < lives_used; n++)
		for (size_t i = lives[n].next; i < lives[n].count; i++)
			if (lives[n].events[i].step != COH_JOIN &&
			    same(lives[n].events[i].before, w))
				return 1;
	return 0;
}

static int step_from(struct ist_directory from, const struct event *event,
		     struct coh_result *result)
{
	const struct coh_event step = {
		.type = event->step, .peer = event->peer, .epoch = IST_DIR_EPOCH(from.control)};

	return coh_step(from, &step, PEERS, result);
}

/* The step that one who died was about to take, when it leads on; a REAP of a cell with its TAKE.
 */
static int place_lost(uint32_t number)
{
	struct life *life = &lives[number];
	size_t i = front(life);
	const struct event *event = &life->events[i];
	struct coh_result first, second;
	struct ist_directory reached;

	if (i == life->count || !event->lost || step_from(word, event, &first) != 0)
		return 0;
	if (event->lost == 1 && !same(event->before, word))
		return 0;
	reached = first.word;
	if (cells && event->step == COH_REAP) {
		if (step_from(first.word, event + 1, &second) != 0)
			return 0;
		reached = second.word;
	}
	if (same(reached, word) || !seen(reached))
		return 0;
	not_said++;
	place(number, first.word);
	if (!same(first.word, reached))
		place(number, reached);
	return 1;
}

static int any(int (*place_one)(uint32_t number))
{
	for (uint32_t number = 1; number < lives_used; number++)
		if (place_one(number))
			return 1;
	return 0;
}

static void check_left_over(void)
{
	for (uint32_t number = 1; number < lives_used; number++) {
		const struct life *life = &lives[number];
		size_t i = life->died ? front(life) : life->next;

		while (!life->died && i < life->count &&
		       (life->events[i].step == COH_JOIN || life->events[i].step == COH_LOOK))
			i++;
		if (i < life->count && !life->events[i].lost)
			fail("entry %llu, %s of peer %u, has no place",
			     (unsigned long long)life->events[i].said,
			     coh_step_name(life->events[i].step), life->events[i].peer);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 || (strcmp(argv[1], "cell") != 0 && strcmp(argv[1], "page") != 0)) {
		fprintf(stderr, "usage: trace_order cell|page UNIT <log >trace\n");
		return 2;
	}
	cells = !strcmp(argv[1], "cell");
	read_log((unsigned)strtoul(argv[2], NULL, 0));
	word = first_word;
	epoch = asked = IST_DIR_EPOCH(word.control);
	while (any(place_given) || any(place_still) || any(place_moving) || any(place_lost))
		;
	if (!same(word, last_word))
		fail("no step leads on from %llx %llx", (unsigned long long)word.control,
		     (unsigned long long)word.sharers);
	check_left_over();
	fprintf(stderr, "in order, %u of the dead not said\n", not_said);
	printf(".\n");
	return fflush(stdout) ? 1 : 0;
}
