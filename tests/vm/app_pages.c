/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_pages.c: plain loads, stores and atomics in a page-coherent region, from several VMs and
 * processes.
 *
 *   count ID PEERS TIMES     adds to one word, TIMES times; the last to end finds all of it
 *   litmus ID PEERS ROUNDS   MP, SB, LB, CoRR and IRIW, each word in a page of its own
 *   orders ID PEERS ROUNDS   the same, and who waits for the others never sleeps
 *   share ID PEERS TIMES     each its own word of one page
 *   read ID PEERS TIMES      all read all pages but one; the first of them writes now and then
 *   quiet ID PEERS TIMES     the first alone goes over all pages, TIMES times, and counts its exits
 *   hostile ID PEERS TIMES   stores to the directory, which must not change
 *   beat ID PEERS 0          for ever: adds to the page's sum, then to its own mark there
 *   write ID PEERS 0         stores to the first page
 *   kernel ID PEERS TIMES    a process: the kernel reads and writes there
 *   tell ID PEERS 0          what the beating has left: sum, marks, and what was known to be done
 *
 * "bad" in a line: something that must not be. The region "meet" is the processor's own: where the
 * VMs wait for each other.
 */
#include <isthmus/abi.h>
#include <isthmus/isthmus.h>

#include "number.h"

int main(int argc, char **argv);
int pages_system(uint64_t *page, uint64_t *spare, uint64_t times);

#define WORDS 512u /* of a page */
#define SECOND 1000000000ull

static struct ist_group *group;
static uint64_t *meet, *page; /* the regions' words */
static uint64_t pages;
static uint32_t self, peers;
static int sleeps; /* who waits long */

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* All have come to barrier number `which`. */
static void gather(unsigned which)
{
	uint64_t until = ist_time_ns() + 50 * SECOND;

	__atomic_add_fetch(&meet[which], 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&meet[which], __ATOMIC_SEQ_CST) < peers && ist_time_ns() < until)
		__builtin_ia32_pause();
	if (load(&meet[which]) < peers)
		ist_print("bad: nobody comes\n");
}

static int count(uint64_t times)
{
	uint64_t found;

	gather(0);
	for (uint64_t i = 0; i < times; i++)
		__atomic_fetch_add(page, 1, __ATOMIC_SEQ_CST);
	gather(1);
	found = load(page);
	ist_print("%s: %lu of %lu\n", found == times * peers ? "counted" : "bad", found,
		  times * peers);
	return found != times * peers;
}

/* Word w of the litmus tests is the first of page w. */
static uint64_t load_word(uint64_t word)
{
	return load(&page[word * WORDS]);
}

static void store_word(uint64_t word, uint64_t value)
{
	store(&page[word * WORDS], value);
}

#include "litmus.h"

/* ---- Others ---- */

static int share(uint64_t times)
{
	uint64_t *own = &page[self * 8];

	gather(0);
	for (uint64_t i = 0; i < times; i++)
		store(own, load(own) + 1);
	gather(1);
	ist_print("%s: %lu\n", load(own) == times ? "shared" : "bad", load(own));
	return load(own) != times;
}

/* All but the first read pages that nobody writes; the first writes each, now and then. */
static int read_mostly(uint64_t times)
{
	uint64_t sum = 0;

	gather(0);
	for (uint64_t i = 0; i < times; i++) {
		for (uint64_t p = 1; p < pages; p++) {
			if (self == 0 && i % 1024 == 0)
				store(&page[p * WORDS], i);
			sum += load(&page[p * WORDS]);
		}
	}
	gather(1);
	ist_print("read %lu\n", sum);
	return 0;
}

static int quiet(uint64_t times)
{
	uint32_t before = 0, after = 0;
	uint64_t sum = 0;

	if (self == 0) {
		for (uint64_t w = 0; w < pages * WORDS; w += WORDS)
			store(&page[w], 1);
		ist_exits(&before);
		for (uint64_t i = 0; i < times; i++)
			for (uint64_t w = 0; w < pages * WORDS; w++)
				store(&page[w], load(&page[w]) + 1), sum++;
		ist_exits(&after);
		ist_print("%lu accesses, %u exits\n", sum, after - before);
	}
	gather(1);
	return 0;
}

/* Who dies in it leaves each count one behind the one before it, at most. */
static __attribute__((noreturn)) void beat(void)
{
	for (;;) {
		__atomic_fetch_add(page, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&page[WORDS + self], 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&meet[8 + self], 1, __ATOMIC_SEQ_CST);
	}
}

static int tell(void)
{
	uint64_t marks = 0, done = 0;

	for (unsigned i = 0; i < peers; i++) {
		marks += load(&page[WORDS + i]);
		done += load(&meet[8 + i]);
	}
	ist_print("sum %lu marks %lu done %lu\n", load(page), marks, done);
	return 0;
}

/*
 * The directory is where the roster says, and can be read and not be written. Ordinary stores: a
 * vector store there ends the VM.
 */
static int hostile(uint64_t times)
{
	uint8_t *base = (uint8_t *)meet - IST_REGIONS_OFFSET;
	const struct ist_region *table = (void *)(base + IST_REGION_TABLE_OFFSET);
	uint64_t *words = (void *)(base + table[1].directory), state = 88172645463325252ull, before;
	uint64_t count = IST_PAGE_DIRECTORY_SIZE(pages, peers) / 8;

	if (words[0] != IST_PAGE_DIRECTORY_MAGIC)
		ist_print("bad: no directory\n");
	store(page, 1);
	for (uint64_t i = 0; i < times; i++) {
		uint64_t *word;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		word = &words[state % count];
		before = load(word);
		store(word, ~before);
		if (load(word) != before)
			ist_print("bad: a store landed\n");
	}
	store(page, 2);
	ist_print("%lu stores dropped\n", times);
	return 0;
}

int main(int argc, char **argv)
{
	struct ist_region_info region;
	uint64_t times;
	int error = argc == 5 ? ist_group_open(NULL, &group) : -22;

	if (error) {
		ist_print("cannot open: %d\n", error);
		return 2;
	}
	self = (uint32_t)number(argv[2]);
	peers = (uint32_t)number(argv[3]);
	times = number(argv[4]);
	if (ist_region_find(group, "meet", &region))
		return 3;
	meet = region.address;
	if (ist_region_find(group, "pages", &region))
		return 3;
	page = region.address;
	pages = region.size / (WORDS * 8);
	switch (argv[1][0]) {
	case 'c':
		return count(times);
	case 'l':
		sleeps = 1;
		return litmus(times);
	case 'o':
		return litmus(times);
	case 's':
		return share(times);
	case 'q':
		return quiet(times);
	case 'r':
		return read_mostly(times);
	case 'h':
		return hostile(times);
	case 't':
		return tell();
	case 'w':
		ist_print("I write\n");
		store(page, 0);
		return 0;
	case 'k':
		return pages_system(page, &page[WORDS + 100], times);
	default:
		beat();
	}
}
