/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h: a platform for tests of the library's core: a group in anonymous shared memory whose
 * peers are threads, or processes forked later. The test plays the broker.
 */
#ifndef TESTS_CORE_PLATFORM_MEMORY_H
#define TESTS_CORE_PLATFORM_MEMORY_H

#include <isthmus/abi.h>
#include <isthmus/isthmus.h>

#define MEM_PEERS 64u
#define MEM_VECTORS 4u

/* Makes the group "test": region "main" (rw, of this size) and region "view" (one page, ro). */
void mem_create(uint64_t main_size);

/* A region "pool" between the two, rw, incoherent. */
struct mem_pool {
	uint64_t size;
	uint32_t peers; /* max_peers of the group; 0: MEM_PEERS */
	uint32_t views; /* IDs below this have the region at an address of their own each; 0: all
			   at one */
	uint64_t more;  /* bytes behind them */
	const struct ist_flush *flush; /* NULL: the machine's own */
};

/* The same with that. */
void mem_create_pool(uint64_t main_size, const struct mem_pool *pool);

/* The pool's memory: `size` bytes that nobody has with views, then those of ID 0 and so on, then
   the `more`; from mem_base() to the end of that. */
uint8_t *mem_pool(void);
uint64_t mem_size(void);
void mem_destroy(void);

/* Makes peer `id` live, with a new incarnation, and opens the group as that peer. */
struct ist_group *mem_join(uint32_t id);
/*
 * Opens the group as one more client of a peer that is live, as a process of a Linux guest is. What
 * its guest's kernel does when it dies: the peer lives on.
 */
struct ist_group *mem_join_client(uint32_t id, uint32_t client);
void mem_die_client(const struct ist_group *group);
/* Words that clients have declared they may hold. */
unsigned mem_holds(void);
/* What a platform does that has lost the group. */
void mem_lose(struct ist_group *group);

/* What the broker does when a peer dies or leaves. The group handle of the peer stays usable, as
 * the memory of a dead process is not: do not use it but to free it with mem_forget(). */
void mem_die(uint32_t id);
void mem_leave(uint32_t id);
void mem_forget(struct ist_group *group);
/* Frees the handle of a channel whose peer is dead, without closing it. NULL is allowed. */
void mem_forget_channel(struct ist_channel *channel);
/* The same for a cell. */
void mem_forget_cell(struct ist_cell *cell);

/* The group's memory, for looking at and for spoiling. */
uint8_t *mem_base(void);
uint8_t *mem_region(void);
struct ist_channel_memory *mem_channel(const char *name);

/* Doorbells rung at peer `id` so far. */
uint32_t mem_rings(uint32_t id);

#endif
