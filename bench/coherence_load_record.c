/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_record.c: everybody updates. A record that migrates: each update reads and writes
 * all of its words. A counter is a record of one word, also with requests in flight.
 */
#include "coherence.h"

static int record_run(struct bench *b)
{
	int (*apply)(struct object *, unsigned, uint64_t, uint64_t *) = b->by->apply;
	struct object *o = &b->site.objects[0];
	uint64_t result;
	unsigned left;
	int error = 0;

	while (error == 0 && (left = turn(b)) != 0)
		for (; error == 0 && left != 0; left--)
			error = counted(b, apply(o, OP_ADD_EACH, 1, &result));
	b->report.updates = b->report.ops;
	return error;
}

static int flight_run(struct bench *b)
{
	int (*post)(struct object *, unsigned, uint64_t) = b->by->post;
	struct object *o = &b->site.objects[0];
	unsigned left;
	int error = 0;

	if (post == NULL)
		return record_run(b);
	while (error == 0 && (left = turn(b)) != 0)
		for (; error == 0 && left != 0; left--)
			error = counted(b, post(o, OP_ADD_EACH, 1));
	b->report.updates = b->report.ops;
	return error != 0 ? error : b->by->reap(o);
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
