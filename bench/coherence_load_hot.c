/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_hot.c: a hot record of 4 KiB: an operation reads all of it and changes one word.
 * Also with requests in flight.
 */
#include "coherence.h"

static int hot_run(struct bench *b)
{
	uint64_t result;
	int error = 0;

	while (error == 0 && going(b))
		error = counted(b, b->by->apply(&b->site.objects[0], OP_ADD_ONE,
						random_next(b) % b->load->words, &result));
	return error;
}

static int flight_run(struct bench *b)
{
	struct object *o = &b->site.objects[0];
	int error = 0;

	if (b->by->post == NULL)
		return hot_run(b);
	while (error == 0 && going(b))
		error = counted(b, b->by->post(o, OP_ADD_ONE, random_next(b) % b->load->words));
	return error != 0 ? error : b->by->reap(o);
}

static uint64_t hot_check(struct bench *b)
{
	static uint64_t words[WORDS_MAX];
	uint64_t sum = 0, wrong = settled(b, &b->site.objects[0], words);

	for (unsigned i = 0; i < b->load->words; i++)
		sum += words[i];
	for (unsigned i = 0; i < b->site.count; i++)
		sum -= b->shared->report[i].ops;
	return wrong + (sum != 0);
}

#define HOT(text, function)                                                                        \
	{                                                                                          \
		.name = text, .unit = "M/s", .needs = NEED_RECORD, .words = 512, .objects = 1,     \
		.run = function, .check = hot_check                                                \
	}

const struct load load_hot = HOT("hot-4096", hot_run);
const struct load load_hot_flight = HOT("hot-flight", flight_run);
