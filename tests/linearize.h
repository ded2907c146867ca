/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linearize.h: is a history of one 64-bit register linearizable? The search of Wing and Gong
 * (1993), with Lowe's memory of configurations that led nowhere (2017).
 *
 * An operation that never returned (its process was killed) may have taken effect at any time after
 * its call, or not at all.
 */
#ifndef TESTS_LINEARIZE_H
#define TESTS_LINEARIZE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum lin_type {
	LIN_NOTHING, /* not part of the history */
	LIN_READ,    /* result: the value */
	LIN_WRITE,   /* argument: the value */
	LIN_ADD,     /* argument: what is added; result: the value before */
	LIN_SWAP,    /* argument: the value; result: the value before */
};

struct lin_operation {
	uint64_t type; /* enum lin_type */
	uint64_t argument;
	uint64_t result;
	uint64_t call;     /* moments are unique, from 1 on */
	uint64_t returned; /* 0: never */
};

/* A call, or a return, in a list by time; a call that is linearized is out of it, with its return.
 */
struct lin_event {
	struct lin_event *before, *after;
	struct lin_event *match; /* of a call: its return */
	const struct lin_operation *operation;
	uint64_t moment;
	size_t index;   /* of the operation */
	uint64_t value; /* of the register before it, while it is linearized */
};

struct lin_seen {
	struct lin_seen *next;
	uint64_t value;
	uint64_t done[];
};

#define LIN_BUCKETS 65536u

struct lin_search {
	struct lin_event head;
	struct lin_event *events;
	struct lin_event **stack; /* of calls that are linearized */
	struct lin_seen **seen;
	uint64_t *done;
	size_t words, depth, left; /* left: returned operations that are not linearized */
};

static inline int lin_by_time(const void *a, const void *b)
{
	const struct lin_event *x = a, *y = b;

	return x->moment < y->moment ? -1 : x->moment > y->moment;
}

/* Whether this operation can come next, and what it makes of the register. */
static inline int lin_apply(const struct lin_operation *operation, uint64_t *value)
{
	int known = operation->returned != 0;

	switch (operation->type) {
	case LIN_READ:
		return !known || operation->result == *value;
	case LIN_WRITE:
		*value = operation->argument;
		return 1;
	default:
		if (known && operation->result != *value)
			return 0;
		if (operation->type == LIN_ADD)
			*value += operation->argument;
		else
			*value = operation->argument;
		return 1;
	}
}

static inline void lin_lift(struct lin_event *event)
{
	event->before->after = event->after;
	if (event->after)
		event->after->before = event->before;
}

static inline void lin_unlift(struct lin_event *event)
{
	event->before->after = event;
	if (event->after)
		event->after->before = event;
}

/* Remembers the configuration: 1, or 0 it was there. */
static inline int lin_remember(struct lin_search *search, uint64_t value)
{
	uint64_t hash = value * 0x9e3779b97f4a7c15ul;
	struct lin_seen *entry, **bucket;
	size_t i;

	for (i = 0; i < search->words; i++)
		hash = (hash ^ search->done[i]) * 0x100000001b3ul;
	bucket = &search->seen[(hash >> 32) % LIN_BUCKETS];
	for (entry = *bucket; entry; entry = entry->next)
		if (entry->value == value &&
		    !memcmp(entry->done, search->done, search->words * sizeof(uint64_t)))
			return 0;
	entry = malloc(sizeof(*entry) + search->words * sizeof(uint64_t));
	if (!entry)
		abort();
	entry->value = value;
	memcpy(entry->done, search->done, search->words * sizeof(uint64_t));
	entry->next = *bucket;
	*bucket = entry;
	return 1;
}

static inline int lin_search(struct lin_search *search, uint64_t value)
{
	struct lin_event *event = search->head.after;
	uint64_t next;

	while (search->left) {
		/* Something has returned that is not linearized, so there is an event. */
		if (event && event->match) {
			next = value;
			search->done[event->index / 64] |= 1ul << event->index % 64;
			if (lin_apply(event->operation, &next) && lin_remember(search, next)) {
				event->value = value;
				value = next;
				search->stack[search->depth++] = event;
				search->left -= event->operation->returned != 0;
				lin_lift(event->match);
				lin_lift(event);
				event = search->head.after;
				continue;
			}
			search->done[event->index / 64] &= ~(1ul << event->index % 64);
			event = event->after;
			continue;
		}
		/* A return, of what has to be linearized before: go back. */
		if (!search->depth)
			return 0;
		event = search->stack[--search->depth];
		value = event->value;
		search->left += event->operation->returned != 0;
		search->done[event->index / 64] &= ~(1ul << event->index % 64);
		lin_unlift(event);
		lin_unlift(event->match);
		event = event->after;
	}
	return 1;
}

/*
 * For histories in which every LIN_WRITE and LIN_SWAP has an argument of its own, and there is no
 * LIN_ADD: decides what became of those that never returned. One whose value nobody saw is left
 * out: with it or without it the others see the same. One whose value was seen took effect before
 * the first that saw it returned. Without this each of them doubles the search.
 */
static inline void lin_settle(struct lin_operation *operations, size_t count)
{
	size_t i, j;

	for (i = 0; i < count; i++) {
		struct lin_operation *open = &operations[i];
		uint64_t first = UINT64_MAX;

		if (open->returned || open->type == LIN_NOTHING)
			continue;
		for (j = 0; j < count && open->type != LIN_READ; j++) {
			const struct lin_operation *other = &operations[j];

			if ((other->type == LIN_READ || other->type == LIN_SWAP) &&
			    other->returned && other->returned < first &&
			    other->result == open->argument && j != i)
				first = other->returned;
		}
		/* What it saw itself is not known. */
		open->type = first == UINT64_MAX ? LIN_NOTHING : LIN_WRITE;
		open->returned = first == UINT64_MAX ? 0 : first;
	}
}

/* Whether the history is one of a register that holds `value` at first. */
static inline int lin_check(const struct lin_operation *operations, size_t count, uint64_t value)
{
	struct lin_search search = {.words = count / 64 + 1};
	struct lin_seen *entry;
	struct lin_event *last;
	size_t i, n = 0;
	int good;

	search.events = calloc(2 * count + 1, sizeof(*search.events));
	search.stack = calloc(count + 1, sizeof(*search.stack));
	search.seen = calloc(LIN_BUCKETS, sizeof(struct lin_seen *));
	search.done = calloc(search.words, sizeof(uint64_t));
	if (!search.events || !search.stack || !search.seen || !search.done)
		abort();
	for (i = 0; i < count; i++) {
		const struct lin_operation *operation = &operations[i];

		if (operation->type == LIN_NOTHING)
			continue;
		search.left += operation->returned != 0;
		search.events[n++] = (struct lin_event){
			.operation = operation, .index = i, .moment = operation->call, .value = 1};
		search.events[n++] = (struct lin_event){
			.operation = operation,
			.index = i,
			.moment = operation->returned ? operation->returned : UINT64_MAX};
	}
	qsort(search.events, n, sizeof(*search.events), lin_by_time);
	for (last = &search.head, i = 0; i < n; i++) {
		search.events[i].before = last;
		last->after = &search.events[i];
		last = last->after;
	}
	/* Each call finds its return: of the same index, further on. */
	{
		struct lin_event **by_index = calloc(count + 1, sizeof(struct lin_event *));

		if (!by_index)
			abort();
		for (i = n; i-- > 0;) {
			struct lin_event *event = &search.events[i];

			if (!event->value)
				by_index[event->index] = event;
			else
				event->match = by_index[event->index];
		}
		free(by_index);
	}
	good = lin_search(&search, value);
	for (i = 0; i < LIN_BUCKETS; i++)
		while ((entry = search.seen[i])) {
			search.seen[i] = entry->next;
			free(entry);
		}
	free(search.events);
	free(search.stack);
	free(search.seen);
	free(search.done);
	return good;
}

#endif
