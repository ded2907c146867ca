/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_latest.c: producer and consumers. The first instance sets the record every
 * microsecond to the time; the others want the latest value, and note how old it is when they see
 * it first.
 */
#include "coherence.h"

#define PERIOD_NS 1000

static int produce(struct bench *b)
{
	uint64_t period = ns_to_ticks(PERIOD_NS), result;
	int error = 0;

	while (error == 0 && going(b)) {
		uint64_t now = ticks();

		error = counted(b, b->by->apply(&b->site.objects[0], OP_SET, now, &result));
		b->report.value = now;
		if (error == 0)
			error = idle_until(b, now + period);
	}
	return error;
}

static int consume(struct bench *b)
{
	static uint64_t copy[WORDS_MAX];
	uint64_t last = 0;
	int error = 0;

	while (error == 0 && going(b)) {
		uint64_t now;

		error = counted(b, b->by->read(&b->site.objects[0], copy));
		now = ticks();
		/* Not of one time, or of a time before the last. */
		if (!same_words(copy, b->load->words) || copy[0] < last)
			b->report.torn++;
		if (copy[0] != last)
			reservoir_add(b, &b->handover, now - copy[0]);
		last = copy[0];
	}
	return error;
}

static int latest_run(struct bench *b)
{
	return b->site.me == 0 ? produce(b) : consume(b);
}

static uint64_t latest_check(struct bench *b)
{
	static uint64_t words[WORDS_MAX];
	uint64_t wrong = settled(b, &b->site.objects[0], words);

	for (unsigned i = 0; i < b->load->words; i++)
		wrong += words[i] != b->shared->report[0].value;
	return wrong;
}

const struct load load_latest = {
	.name = "latest",
	.unit = "ns",
	.needs = NEED_LATEST,
	.words = 5,
	.objects = 1,
	.first = 1,
	.run = latest_run,
	.check = latest_check,
};
