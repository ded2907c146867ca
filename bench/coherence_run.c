/* SPDX-License-Identifier: BSD-2-Clause */
/* coherence_run.c: what loads are made of: the end of a run, samples, passing time, the check. */
#include "coherence.h"

#define STRIDE_MAX 256u
#define LOOK_NS 50000

uint64_t ns_to_ticks(double ns)
{
	return (uint64_t)(ns / ns_per_tick());
}

int look(struct bench *b)
{
	uint64_t now = __builtin_ia32_rdtsc(), none = 0;

	/* An operation takes nanoseconds, or milliseconds where somebody else has the processor. */
	if (now - b->looked > ns_to_ticks(LOOK_NS))
		b->stride = 1;
	else if (b->stride < STRIDE_MAX)
		b->stride *= 2;
	b->looked = now;
	b->looks = 0;
	if (now < b->deadline || b->report.ops < b->least)
		return 1;
	/* The first to find the time over says when that was. */
	__atomic_compare_exchange_n(&b->shared->stopped.value, &none, now, 0, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	return 0;
}

void reservoir_add(struct bench *b, struct reservoir *reservoir, uint64_t value)
{
	uint64_t place = reservoir->seen++;

	/* The n-th replaces one of those kept with the chance that it should be among them. */
	if (place >= SAMPLES_EACH)
		place = random_next(b) % reservoir->seen;
	if (place < SAMPLES_EACH)
		reservoir->samples[place] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

int idle_until(struct bench *b, uint64_t until)
{
	int error = 0;

	do {
		if (b->by->serve != NULL)
			error = b->by->serve(&b->site);
		else
			__builtin_ia32_pause();
	} while (error == 0 && __builtin_ia32_rdtsc() < until);
	return error;
}

/* Out of the way of the others: they save no registers for it. */
static __attribute__((noinline)) int first_apply(struct object *o, unsigned op, uint64_t argument,
						 uint64_t *result)
{
	int error = o->find_own(o);

	return error != 0 ? error : own_apply(o, op, argument, result);
}

int own_apply(struct object *o, unsigned op, uint64_t argument, uint64_t *result)
{
	if (__builtin_expect(o->own == NULL, 0))
		return first_apply(o, op, argument, result);
	*result = operate(o->own, o->words, op, argument);
	return 0;
}

static int read_once(struct bench *b, struct object *o)
{
	static uint64_t copy[WORDS_MAX];
	int error = b->by->read(o, copy);

	b->report.torn += !same_words(copy, o->words);
	return error;
}

int mixed_once(struct bench *b, struct object *o, unsigned reads)
{
	uint64_t result;

	/* The high bits: the low ones may have chosen the object. */
	if ((random_next(b) >> 32) % 1000 < reads)
		return read_once(b, o);
	b->report.updates++;
	return b->by->apply(o, OP_ADD_EACH, 1, &result);
}

uint64_t settled(struct bench *b, struct object *o, uint64_t *words)
{
	if (b->by->settle == NULL)
		return b->by->read(o, words) != 0;
	b->by->settle(o, words);
	return 0;
}

uint64_t check_each(struct bench *b)
{
	static uint64_t words[WORDS_MAX];
	uint64_t updates = 0, sum = 0, wrong = 0;

	for (unsigned i = 0; i < b->site.count; i++)
		updates += b->shared->report[i].updates;
	for (unsigned i = 0; i < b->site.object_count; i++) {
		wrong += settled(b, &b->site.objects[i], words);
		for (unsigned j = 1; j < b->site.objects[i].words; j++)
			wrong += words[j] != words[0];
		sum += words[0];
	}
	return wrong + (sum != updates);
}
