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

int main(int argc, char **argv);
int pages_system(uint64_t *page, uint64_t *spare, uint64_t times);

#define WORDS 512u /* of a page */
#define SECOND 1000000000ull
#define SLEEP 100000ull

static struct ist_group *group;
static uint64_t *meet, *page; /* the regions' words */
static uint64_t pages;
static uint32_t self, peers;
static int sleeps; /* who waits long */

static uint64_t number(const char *text)
{
	uint64_t value = 0;

	for (; *text; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

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

/* ---- Litmus tests: word w is the first of page w ---- */

static uint64_t *at(uint64_t word)
{
	return &page[word * WORDS];
}

/* What two threads of a round found, left where the judge reads it: in "meet". */
static void leave(uint32_t place, uint64_t value)
{
	__atomic_store_n(&meet[64 + place], value, __ATOMIC_SEQ_CST);
}

static uint64_t left(uint32_t place)
{
	return __atomic_load_n(&meet[64 + place], __ATOMIC_SEQ_CST);
}

/* Who comes last opens the round for all. No page is touched in it; who waits long sleeps. */
static void step(uint64_t round)
{
	uint32_t seen = 0;

	__atomic_add_fetch(&meet[2], 1, __ATOMIC_SEQ_CST);
	for (unsigned spins = 0; __atomic_load_n(&meet[2], __ATOMIC_SEQ_CST) < round * peers;
	     spins++)
		if (spins < 20000 || !sleeps)
			__builtin_ia32_pause();
		else
			ist_doorbell_wait(group, 1, &seen, SLEEP);
}

static void play(unsigned test, uint64_t i)
{
	uint64_t a, b;

	switch (test * 8 + self) {
	case 0: /* MP */
		store(at(0), i);
		store(at(1), i);
		break;
	case 1:
		b = load(at(1));
		a = load(at(0));
		leave(0, b == i && a != i);
		break;
	case 8: /* SB, fenced as the processor needs it */
		store(at(2), i);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		leave(0, load(at(3)) == i);
		break;
	case 9:
		store(at(3), i);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		leave(1, load(at(2)) == i);
		break;
	case 16: /* LB */
		leave(0, load(at(4)) == i);
		store(at(5), i);
		break;
	case 17:
		leave(1, load(at(5)) == i);
		store(at(4), i);
		break;
	case 24: /* CoRR */
		store(at(6), i);
		break;
	case 25:
	case 26:
		a = load(at(6));
		b = load(at(6));
		leave(self - 1, a == i && b != i);
		break;
	case 32: /* IRIW: two writers, two readers that may not see them in different orders */
		store(at(7), i);
		break;
	case 33:
		store(at(8), i);
		break;
	case 34:
		a = load(at(7));
		b = load(at(8));
		leave(0, a == i && b != i);
		break;
	case 35:
		b = load(at(8));
		a = load(at(7));
		leave(1, b == i && a != i);
		break;
	default:
		break;
	}
}

/* What no order of the accesses explains. */
static int judge(unsigned test)
{
	switch (test) {
	case 0:
		return left(0) != 0;
	case 1:
		return !left(0) && !left(1);
	case 2:
		return left(0) && left(1);
	case 3:
		return left(0) || left(1);
	default:
		return left(0) && left(1);
	}
}

static int litmus(uint64_t rounds)
{
	static const char *const name[] = {"MP", "SB", "LB", "CoRR", "IRIW"};
	uint64_t turn = 0;
	int bad = 0;

	for (unsigned test = 0; test < (peers == 4 ? 5 : 4); test++) {
		for (uint64_t i = 1; i <= rounds; i++) {
			if (self == 0)
				leave(0, 0), leave(1, 0);
			step(++turn);
			play(test, i);
			step(++turn);
			if (self == 0 && judge(test)) {
				ist_print("bad: %s in round %lu\n", name[test], i);
				bad = 1;
			}
		}
	}
	if (self == 0 && !bad)
		ist_print("all orders are in order: %lu rounds\n", rounds);
	return bad;
}

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
