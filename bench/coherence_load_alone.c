/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_alone.c: nobody else is there: what a read section and a write section of 40 bytes
 * cost the first instance. `plain` is the floor: the same loads and stores and nothing else.
 */
#include "coherence.h"

static const struct plan plan = {.warm = 1000, .batches = 1000, .singles = 2000};

static inline int read_trip(void *context, uint64_t n)
{
	static uint64_t copy[WORDS_MAX];
	struct bench *b = context;

	(void)n;
	return b->by->read(&b->site.objects[0], copy);
}

static inline int write_trip(void *context, uint64_t n)
{
	struct bench *b = context;
	uint64_t result;

	(void)n;
	return b->by->apply(&b->site.objects[0], OP_ADD_EACH, 1, &result);
}

static int alone_read(struct bench *b)
{
	int error = 0;

	if (b->site.me == 0)
		error = measure(&plan, read_trip, b, &b->alone);
	b->report.ops = b->alone.n;
	return error;
}

static int alone_write(struct bench *b)
{
	int error = 0;

	if (b->site.me == 0) {
		error = measure(&plan, write_trip, b, &b->alone);
		b->report.updates = plan_trips(&plan);
	}
	b->report.ops = b->alone.n;
	return error;
}

#define ALONE(text, function)                                                                      \
	{                                                                                          \
		.name = text, .unit = "ns", .needs = NEED_ALONE, .words = 5, .objects = 1,         \
		.run = function, .check = check_each                                               \
	}

const struct load load_alone_read = ALONE("alone-read", alone_read);
const struct load load_alone_write = ALONE("alone-write", alone_write);
