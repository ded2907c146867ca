/* SPDX-License-Identifier: BSD-2-Clause */
/* incoherent.c: see incoherent.h. All of it is in the group's memory, so that a test that saves
   that, or forks, has everything. */
#include "incoherent.h"

#include <stdlib.h>

#define WORDS (IST_LINE / sizeof(uint64_t))

/* A line that is moving, of each peer: so that whoever finds the peer dead moves it on. */
enum { OUT = 1, IN };
#define MOVE(line, way) ((uint64_t)(line) << 2 | (way))

static uint64_t bytes; /* of the pool */
static uint32_t views;

static uint64_t *line_of(uint8_t *memory, uint64_t line)
{
	return (uint64_t *)(void *)(memory + line * IST_LINE);
}

static uint8_t *copy_of(uint32_t id)
{
	return mem_pool() + (1 + id) * bytes;
}

/* What its lines were when they came, or went home last. */
static uint8_t *known_of(uint32_t id)
{
	return copy_of(views + id);
}

static uint64_t *moving(uint32_t id)
{
	return (uint64_t *)(void *)(copy_of(2 * views) + id * IST_LINE);
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static int changed(uint32_t id, uint64_t line)
{
	const uint64_t *copy = line_of(copy_of(id), line), *known = line_of(known_of(id), line);
	unsigned i;

	for (i = 0; i < WORDS; i++)
		if (load(&copy[i]) != load(&known[i]))
			return 1;
	return 0;
}

static void move(uint32_t id, uint64_t line, unsigned way)
{
	uint64_t *copy = line_of(copy_of(id), line), *known = line_of(known_of(id), line);
	uint64_t *home = line_of(mem_pool(), line), word;
	unsigned i;

	__atomic_store_n(moving(id), MOVE(line, way), __ATOMIC_SEQ_CST);
	for (i = 0; i < WORDS; i++) {
		word = load(way == OUT ? &copy[i] : &home[i]);
		store(way == OUT ? &home[i] : &copy[i], word);
		store(&known[i], word);
	}
	__atomic_store_n(moving(id), 0, __ATOMIC_SEQ_CST);
}

void incoherent_settle(uint32_t id)
{
	uint64_t was = load(moving(id));

	if (was)
		move(id, was >> 2, was & 3);
}

void incoherent_evict(uint32_t id, uint64_t mask)
{
	uint64_t line;

	for (line = 0; line < bytes / IST_LINE; line++)
		if (mask >> line % 64 & 1 && changed(id, line))
			move(id, line, OUT);
}

void incoherent_refetch(uint32_t id, uint64_t mask)
{
	uint64_t line;

	for (line = 0; line < bytes / IST_LINE; line++)
		if (mask >> line % 64 & 1 && !changed(id, line))
			move(id, line, IN);
}

/* Whose lines these are, and which. */
static uint32_t lines(const void *from, size_t size, uint64_t *first, uint64_t *end)
{
	uint64_t offset = (uint64_t)((const uint8_t *)from - copy_of(0));
	uint32_t id = (uint32_t)(offset / bytes);

	if (id >= views)
		abort();
	*first = offset % bytes / IST_LINE;
	*end = (offset % bytes + size + IST_LINE - 1) / IST_LINE;
	return id;
}

static void write_back(const void *from, size_t size)
{
	uint64_t line, end;
	uint32_t id = lines(from, size, &line, &end);

	for (; line < end; line++)
		if (changed(id, line))
			move(id, line, OUT);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void invalidate(const void *from, size_t size)
{
	uint64_t line, end;
	uint32_t id = lines(from, size, &line, &end);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (; line < end; line++) {
		if (changed(id, line))
			move(id, line, OUT);
		move(id, line, IN);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

const struct ist_flush incoherent_flush = {"emulated", write_back, invalidate};

void incoherent_create(uint64_t main_size, uint64_t pool_size, uint32_t peers)
{
	bytes = pool_size;
	views = peers;
	mem_create_pool(main_size, &(struct mem_pool){
					   .size = pool_size,
					   .peers = peers,
					   .views = peers,
					   .more = peers * (pool_size + IST_LINE),
					   .flush = &incoherent_flush,
				   });
}
