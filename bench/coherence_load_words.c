/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_words.c: false sharing. Every instance counts in a word of its own; the words are
 * neighbours in one line, or each in a line of its own but all in one page.
 */
#include "coherence.h"

#define LINE_WORDS INSTANCES_MAX
#define PAGE_WORDS WORDS_MAX

static unsigned slot(const struct bench *b, unsigned instance)
{
	return instance * (b->load->words / INSTANCES_MAX);
}

static int words_run(struct bench *b)
{
	uint64_t mine = slot(b, b->site.me), result;
	int error = 0;

	while (error == 0 && going(b))
		error = counted(b, b->by->apply(&b->site.objects[0], OP_OWN, mine, &result));
	return error == 0 && b->by->reap != NULL ? b->by->reap(&b->site.objects[0]) : error;
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
