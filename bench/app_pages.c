/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_pages.c: what the page tier costs, and what a tenure is worth. Of group GROUP, whose region
 * "pages" is page-coherent, or, under floor_pages.c, plain memory of which somebody bare takes the
 * faults; "meet" is where the instances find each other.
 *
 *   pages own GROUP         stores to every page, and ends
 *   pages hold GROUP        the same, then sleeps until "touch" or "look" is done
 *   pages touch GROUP       times a store to each page, once they are held
 *   pages look GROUP        times a load of each page
 *   pages share GROUP PEER MS   two instances, 0 and 1: each adds to a word of its own of one page
 */
#include "measure.h"

int main(int argc, char **argv);

#define WORDS 512u /* of a page */
#define NAP 1000000ull
#define PATIENCE 20000000000ull

/* In "meet". */
enum { HELD, TOUCHED, READY };

static struct ist_group *group;
static uint64_t *meet, *page, pages;

static int is(const char *word, const char *other)
{
	while (*word && *word == *other)
		word++, other++;
	return *word == *other;
}

static uint64_t number(const char *text)
{
	uint64_t value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (uint64_t)(*text++ - '0');
	return value;
}

static int await(unsigned what, uint64_t count)
{
	uint64_t until = ist_time_ns() + PATIENCE;
	uint32_t seen = 0;

	while (__atomic_load_n(&meet[what], __ATOMIC_ACQUIRE) < count) {
		if (ist_time_ns() > until)
			return -ETIMEDOUT;
		ist_doorbell_wait(group, 1, &seen, NAP);
	}
	return 0;
}

static void tell(unsigned what)
{
	__atomic_add_fetch(&meet[what], 1, __ATOMIC_SEQ_CST);
}

static void own(void)
{
	for (uint64_t i = 0; i < pages; i++)
		__atomic_store_n(&page[i * WORDS], i + 1, __ATOMIC_RELAXED);
}

/* What is found there is what `own` has left, or somebody who bore its name. */
static int visit(const char *role, int storing)
{
	double ns = ns_per_tick();
	uint64_t found = 0, i;
	int error = await(HELD, 1);

	if (error)
		return error;
	for (i = 0; i < pages && i < SAMPLES_MAX; i++) {
		uint64_t *word = &page[i * WORDS + 1], start = ticks();

		if (storing)
			__atomic_store_n(word, i, __ATOMIC_RELAXED);
		else
			__atomic_load_n(word, __ATOMIC_RELAXED);
		samples[i] = elapsed(start);
		found += __atomic_load_n(word - 1, __ATOMIC_RELAXED) == i + 1;
	}
	tell(TOUCHED);
	if (found != i)
		return -EPROTO;
	sort(samples, (unsigned)i);
	ist_print("visit role=%s n=%lu min=%u p50=%u p99=%u\n", role, i,
		  (unsigned)(percentile(samples, (unsigned)i, 0) * ns),
		  (unsigned)(percentile(samples, (unsigned)i, 500) * ns),
		  (unsigned)(percentile(samples, (unsigned)i, 990) * ns));
	return 0;
}

static int share(unsigned peer, uint64_t ms)
{
	uint64_t *word = &page[peer * 8], count = 0, until;
	int error;

	tell(READY);
	error = await(READY, 2);
	until = ist_time_ns() + ms * 1000000;
	while (!error && ist_time_ns() < until)
		for (unsigned i = 0; i < 64; i++)
			__atomic_store_n(word, ++count, __ATOMIC_RELAXED);
	if (!error && __atomic_load_n(word, __ATOMIC_RELAXED) != count)
		error = -EPROTO;
	if (!error)
		ist_print("share count=%lu\n", count);
	return error;
}

static int play(int argc, char **argv)
{
	struct ist_region_info region;
	int error = argc < 3 ? -EINVAL : ist_group_open(argv[2], &group);

	if (!error)
		error = ist_region_find(group, "meet", &region);
	if (error)
		return error;
	meet = region.address;
	error = ist_region_find(group, "pages", &region);
	if (error)
		return error;
	page = region.address;
	pages = region.size / (WORDS * 8);
	if (is(argv[1], "touch") || is(argv[1], "look"))
		return visit(argv[1], is(argv[1], "touch"));
	if (is(argv[1], "share") && argc == 5)
		return share((unsigned)number(argv[3]), number(argv[4]));
	own();
	tell(HELD);
	if (is(argv[1], "own"))
		return 0;
	return await(TOUCHED, 1);
}

int main(int argc, char **argv)
{
	int error = play(argc, argv);

	if (error)
		ist_print("pages: error %d\n", error);
	return error != 0;
}
