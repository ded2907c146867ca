/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_handover.c: how long a record is on its way. The holder writes the time into the
 * record and releases it; the next one reads the clock when it has read that. It counts where
 * another instance held it before, and this one waited already: otherwise nothing was handed over.
 *
 * So that somebody waits, and gets it even where the last holder would be faster, a record is held
 * for HOLD_NS and left alone for THINK_NS. Not for the same time each time: that would have it
 * released at the same moment between two looks of who waits, another one for each strategy. All
 * instances see one clock (docs/benchmarks.md).
 */
#include "coherence.h"

#define HOLD_NS 500 /* at least, and less than twice as long */
#define THINK_NS 250

/* The record's first words; the others count. */
enum {
	WHO, /* instance + 1 */
	WHEN,
	COUNTS,
};

static int handover_once(struct bench *b, uint64_t hold, uint64_t think)
{
	struct object *o = &b->site.objects[0];
	uint64_t *data, since = ticks(), now, who, when, until;
	int error = b->by->enter(o, &data);

	if (error != 0)
		return error;
	who = word_get(data + WHO);
	when = word_get(data + WHEN);
	now = ticks();
	operate(data + COUNTS, o->words - COUNTS, OP_ADD_EACH, 1);
	until = now + hold + (hold * (random_next(b) >> 32 & 1023) >> 10);
	while (__builtin_ia32_rdtsc() < until)
		;
	word_set(data + WHO, b->site.me + 1);
	word_set(data + WHEN, ticks());
	error = b->by->leave(o);
	if (who != 0 && who != b->site.me + 1 && since < when)
		reservoir_add(b, &b->handover, now - when);
	reservoir_add(b, &b->wait, now - since);
	until = ticks() + think;
	return error != 0 ? error : idle_until(b, until);
}

static int handover_run(struct bench *b)
{
	uint64_t hold = ns_to_ticks(HOLD_NS), think = ns_to_ticks(THINK_NS);
	int error = 0;

	while (error == 0 && going(b))
		error = counted(b, handover_once(b, hold, think));
	b->report.updates = b->report.ops;
	return error;
}

static uint64_t handover_check(struct bench *b)
{
	static uint64_t words[WORDS_MAX];
	uint64_t updates = 0, wrong = settled(b, &b->site.objects[0], words);

	for (unsigned i = 0; i < b->site.count; i++)
		updates += b->shared->report[i].updates;
	for (unsigned i = COUNTS; i < b->load->words; i++)
		wrong += words[i] != updates;
	return wrong;
}

#define HANDOVER(text, size)                                                                       \
	{                                                                                          \
		.name = text, .unit = "ns", .needs = NEED_SECTION, .words = (size) / 8,            \
		.objects = 1, .run = handover_run, .check = handover_check                         \
	}

const struct load load_handover_40 = HANDOVER("handover-40", 40);
const struct load load_handover_4096 = HANDOVER("handover-4096", 4096);
