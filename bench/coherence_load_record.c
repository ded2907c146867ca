/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_record.c: everybody updates. A record that migrates: each update reads and writes
 * all of its words. A counter is a record of one word, also with requests in flight.
 */
#include "coherence.h"

/* Operations of a few nanoseconds, turn by turn: counted, and served between, as counted() does. */
static inline __attribute__((always_inline)) int updates(struct bench *b,
							 int (*once)(const struct strategy *by,
								     struct object *o))
{
	const struct strategy *by = b->by;
	int (*serve)(struct site *) = by->serve;
	unsigned turns, done;
	int error = 0;

	while (error == 0 && (turns = turn(b)) != 0) {
		for (done = 0; error == 0 && done < turns; done++) {
			error = once(by, &b->site.objects[0]);
			if (error == 0 && serve != NULL)
				error = serve(&b->site);
		}
		b->report.ops += done;
	}
	b->report.updates = b->report.ops;
	return error;
}

static inline int apply_once(const struct strategy *by, struct object *o)
{
	uint64_t result;

	return by->apply(o, OP_ADD_EACH, 1, &result);
}

static inline int post_once(const struct strategy *by, struct object *o)
{
	return by->post(o, OP_ADD_EACH, 1);
}

static int record_run(struct bench *b)
{
	return updates(b, apply_once);
}

static int flight_run(struct bench *b)
{
	int error;

	if (b->by->post == NULL)
		return record_run(b);
	error = updates(b, post_once);
	return error != 0 ? error : b->by->reap(&b->site.objects[0]);
}

#define RECORD(text, need, size, function)                                                         \
	{                                                                                          \
		.name = text, .unit = "M/s", .needs = need, .words = (size) / 8, .objects = 1,     \
		.run = function, .check = check_each                                               \
	}

const struct load load_record_40 = RECORD("record-40", NEED_RECORD, 40, record_run);
const struct load load_record_64 = RECORD("record-64", NEED_RECORD, 64, record_run);
const struct load load_record_4096 = RECORD("record-4096", NEED_RECORD, 4096, record_run);
const struct load load_counter = RECORD("counter", NEED_COUNTER, 8, record_run);
const struct load load_counter_flight = RECORD("counter-flight", NEED_COUNTER, 8, flight_run);
