/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c: see memory.h. */
#include "memory.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cell.h"
#include "channel.h"
#include "platform.h"

#define GUARD ((uint64_t)1 << 30)
#define MAIN_OFFSET ((uint64_t)IST_REGIONS_OFFSET)

static uint8_t *base;
static uint64_t total, main_bytes;
static struct mem_pool pool;
static uint32_t joining, joining_client;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Shared by processes that are forked, and by those that are killed: so without a lock. */
struct doorbells {
	uint32_t counts[MEM_VECTORS];
	uint32_t all; /* a futex */
};
static struct doorbells *doorbells;

/*
 * Which word whose client may hold. In the page that the core does not look at, so that a test that
 * saves the group's memory saves this too.
 */
struct hold {
	uint64_t offset; /* 0: free */
	uint64_t owner;
};
#define HOLDS (IST_STATE_TABLE_SIZE / sizeof(struct hold))

static struct hold *holds(void)
{
	return (struct hold *)(void *)(base + IST_STATE_TABLE_OFFSET);
}

static struct ist_peer *peer(uint32_t id)
{
	return (struct ist_peer *)(void *)(base + IST_PEER_TABLE_OFFSET) + id;
}

static struct ist_roster *roster(void)
{
	return (struct ist_roster *)(void *)(base + IST_ROSTER_OFFSET);
}

void mem_forget_channel(struct ist_channel *channel)
{
	if (channel)
		free(channel->ring_end);
	free(channel);
}

void mem_forget_cell(struct ist_cell *cell)
{
	if (cell) {
		free(cell->own_copy.is);
		free(cell->near.copy);
		free(cell->results);
	}
	free(cell);
}

uint8_t *mem_base(void)
{
	return base;
}

uint8_t *mem_region(void)
{
	return base + MAIN_OFFSET;
}

void mem_create(uint64_t main_size)
{
	mem_create_pool(main_size, &(struct mem_pool){.size = 0});
}

uint8_t *mem_pool(void)
{
	return base + MAIN_OFFSET + main_bytes + IST_PAGE;
}

uint64_t mem_size(void)
{
	return MAIN_OFFSET + main_bytes + IST_PAGE + (1 + pool.views) * pool.size + pool.more;
}

void mem_create_pool(uint64_t main_size, const struct mem_pool *with)
{
	main_bytes = main_size;
	pool = *with;
	if (!pool.peers)
		pool.peers = MEM_PEERS;
	for (total = 65536; total < mem_size(); total *= 2)
		;
	/* With nothing around it: who looks beyond the group's memory crashes. */
	base = mmap(NULL, total + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		abort();
	base += GUARD;
	if (mmap(base, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
	doorbells = mmap(NULL, MEM_PEERS * sizeof(*doorbells), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (doorbells == MAP_FAILED)
		abort();
	roster()->magic = IST_ROSTER_MAGIC;
	roster()->max_peers = pool.peers;
	roster()->vectors = MEM_VECTORS;
}

void mem_destroy(void)
{
	munmap(doorbells, MEM_PEERS * sizeof(*doorbells));
	munmap(base - GUARD, total + 2 * GUARD);
	base = NULL;
}

static void ring(uint32_t id, uint32_t vector)
{
	__atomic_fetch_add(&doorbells[id].counts[vector], 1, __ATOMIC_ACQ_REL);
	__atomic_fetch_add(&doorbells[id].all, 1, __ATOMIC_ACQ_REL);
	syscall(SYS_futex, &doorbells[id].all, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void set_state(uint32_t id, uint32_t state, uint32_t incarnation)
{
	uint32_t i;

	__atomic_store_n(&peer(id)->word, IST_PEER_WORD(state, incarnation), __ATOMIC_RELEASE);
	__atomic_fetch_add(&roster()->changes, 1, __ATOMIC_RELEASE);
	for (i = 0; i < MEM_PEERS; i++)
		ring(i, IST_VECTOR_ROSTER);
}

struct ist_group *mem_join(uint32_t id)
{
	snprintf(peer(id)->name, IST_NAME_SIZE, "peer%u", id);
	set_state(id, IST_PEER_LIVE, IST_PEER_INCARNATION(peer(id)->word) + 1);
	return mem_join_client(id, 0);
}

struct ist_group *mem_join_client(uint32_t id, uint32_t client)
{
	struct ist_group *group = NULL;

	joining = id;
	joining_client = client;
	if (ist_group_open("test", &group))
		abort();
	return group;
}

void mem_die_client(const struct ist_group *group)
{
	uint64_t owner = ist_group_owner(group), expected;
	struct hold *hold;
	uint32_t i;

	for (hold = holds(); hold < holds() + HOLDS; hold++) {
		if (!hold->offset || hold->owner != owner)
			continue;
		expected = owner;
		__atomic_compare_exchange_n((uint64_t *)(void *)(base + hold->offset), &expected,
					    owner | IST_OWNER_DIED, 0, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
		hold->offset = 0;
	}
	for (i = 0; i < MEM_PEERS; i++)
		ring(i, IST_VECTOR_ROSTER);
}

unsigned mem_holds(void)
{
	unsigned count = 0;
	const struct hold *hold;

	for (hold = holds(); hold < holds() + HOLDS; hold++)
		count += hold->offset != 0;
	return count;
}

void mem_lose(struct ist_group *group)
{
	__atomic_store_n(&group->gone, 1, __ATOMIC_RELEASE);
	if (mmap(base, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
	ring(group->id, IST_VECTOR_ROSTER); /* a waiter wakes and sees */
}

void mem_die(uint32_t id)
{
	set_state(id, IST_PEER_DEAD, IST_PEER_INCARNATION(peer(id)->word));
}

void mem_leave(uint32_t id)
{
	set_state(id, IST_PEER_ABSENT, IST_PEER_INCARNATION(peer(id)->word));
}

void mem_forget(struct ist_group *group)
{
	ist_group_close(group);
}

struct ist_channel_memory *mem_channel(const char *name)
{
	struct ist_object *slot =
		(struct ist_object *)(void *)(mem_region() + sizeof(struct ist_arena));
	uint32_t i;

	for (i = 0; i < IST_ARENA_SLOTS; i++)
		if (slot[i].state == IST_OBJECT_READY &&
		    !strncmp(slot[i].name, name, IST_NAME_SIZE) && slot[i].offset % 8 == 0 &&
		    slot[i].offset <= main_bytes - IST_OBJECT_ALIGN)
			return (void *)(mem_region() + slot[i].offset);
	return NULL;
}

uint32_t mem_rings(uint32_t id)
{
	return __atomic_load_n(&doorbells[id].all, __ATOMIC_ACQUIRE);
}

/* ---- platform.h ------------------------------------------------------------------------------ */

int ist_platform_open(const char *name, struct ist_group *group)
{
	group->base = base;
	group->size = total;
	snprintf(group->name, sizeof(group->name), "%s", name);
	group->id = joining;
	group->incarnation = IST_PEER_INCARNATION(peer(joining)->word);
	group->vectors = MEM_VECTORS;
	group->max_peers = pool.peers;
	group->flush = pool.flush;
	group->client = joining_client;
	group->regions = 2;
	group->region[0] = (struct ist_group_region){"main", MAIN_OFFSET, main_bytes,
						     IST_RIGHT_WRITE, IST_COHERENCE_HARDWARE};
	group->region[1] = (struct ist_group_region){"view", MAIN_OFFSET + main_bytes, IST_PAGE,
						     IST_RIGHT_READ, IST_COHERENCE_HARDWARE};
	if (pool.size) {
		group->region[group->regions++] = group->region[1];
		group->region[1] = (struct ist_group_region){
			"pool",
			(uint64_t)(mem_pool() - base) + (pool.views ? 1 + joining : 0) * pool.size,
			pool.size, IST_RIGHT_WRITE, IST_COHERENCE_INCOHERENT};
	}
	return 0;
}

void ist_platform_close(struct ist_group *group)
{
	(void)group;
}

int ist_platform_hold(struct ist_group *group, uint64_t offset, int on)
{
	uint64_t owner = ist_group_owner(group);
	struct hold *hold = holds();
	int error = 0;

	if (!group->client)
		return 0;
	pthread_mutex_lock(&lock);
	while (hold < holds() + HOLDS &&
	       (on ? hold->offset != 0 : hold->offset != offset || hold->owner != owner))
		hold++;
	if (hold == holds() + HOLDS)
		error = -ENOSPC;
	else
		*hold = (struct hold){on ? offset : 0, owner};
	pthread_mutex_unlock(&lock);
	return error;
}

int ist_platform_ring(struct ist_group *group, uint32_t id, uint32_t incarnation, uint32_t vector)
{
	if (id >= MEM_PEERS ||
	    ist_group_peer_word(group, id) != IST_PEER_WORD(IST_PEER_LIVE, incarnation))
		return -EPIPE;
	ring(id, vector);
	return 0;
}

uint32_t ist_platform_count(struct ist_group *group, uint32_t vector)
{
	return __atomic_load_n(&doorbells[group->id].counts[vector], __ATOMIC_ACQUIRE);
}

uint32_t ist_platform_count_all(struct ist_group *group)
{
	return mem_rings(group->id);
}

void ist_platform_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	uint64_t now = ist_time_ns(), most = 10000000000u;
	uint64_t ns = deadline <= now ? 0 : deadline - now > most ? most : deadline - now;
	struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	if (ns)
		syscall(SYS_futex, &doorbells[group->id].all, FUTEX_WAIT, seen, &time, NULL, 0);
}

void *ist_platform_alloc(size_t size)
{
	return calloc(1, size);
}

void ist_platform_free(void *memory)
{
	free(memory);
}

uint64_t ist_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void ist_sleep_ns(uint64_t ns)
{
	struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	nanosleep(&time, NULL);
}

int ist_print(const char *text, ...)
{
	va_list args;
	int n;

	va_start(args, text);
	n = vprintf(text, args);
	va_end(args);
	return n;
}

int ist_exits(uint32_t *out)
{
	(void)out;
	return -ENODEV;
}
