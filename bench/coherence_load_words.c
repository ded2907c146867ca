/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_words.c: false sharing. Every instance counts in a word of its own; the words are
 * neighbours in one line, or each in a line of its own but all in one page. Every so many
 * operations what a strategy has not shared yet is to be; who counts them is the load, so that the
 * strategies differ in nothing else.
 */
#include "coherence.h"

#define LINE_WORDS INSTANCES_MAX
#define PAGE_WORDS WORDS_MAX
#define TURN 4096u /* operations */

static unsigned slot(const struct bench *b, unsigned instance)
{
	return instance * (b->load->words / INSTANCES_MAX);
}

static int words_run(struct bench *b)
{
	struct object *o = &b->site.objects[0];
	uint64_t mine = slot(b, b->site.me), result;
	unsigned left = TURN;
	int error = 0;

	while (error == 0 && going(b)) {
		error = counted(b, b->by->apply(o, OP_OWN, mine, &result));
		if (--left != 0)
			continue;
		left = TURN;
		if (error == 0 && b->by->reap != NULL)
			error = b->by->reap(o);
	}
	return error == 0 && b->by->reap != NULL ? b->by->reap(o) : error;
}

static uint64_t words_check(struct bench *b)
{
	static uint64_t words[WORDS_MAX];
	uint64_t wrong = settled(b, &b->site.objects[0], words);

	for (unsigned i = 0; i < b->site.count; i++)
		words[slot(b, i)] -= b->shared->report[i].ops;
	for (unsigned i = 0; i < b->load->words; i++)
		wrong += words[i] != 0;
	return wrong;
}

const struct load load_words_line = {
	.name = "words-line",
	.unit = "M/s",
	.needs = NEED_OWN,
	.words = LINE_WORDS,
	.objects = 1,
	.run = words_run,
	.check = words_check,
};
const struct load load_words_page = {
	.name = "words-page",
	.unit = "M/s",
	.needs = NEED_OWN,
	.words = PAGE_WORDS,
	.objects = 1,
	.run = words_run,
	.check = words_check,
};
