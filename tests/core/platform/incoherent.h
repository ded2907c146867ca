/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * incoherent.h: incoherent memory, emulated: the group of memory.h, whose region "pool" each of
 * some peer IDs has a copy of, as a cache would. Loads and stores go to the peer's copy. Lines of
 * 64 bytes move between copies and their home when the peer writes them back or invalidates them,
 * and when its cache likes: which is when a test calls one of the functions below, in the peer's
 * own thread, or while it is stopped, or after its death.
 *
 * A line is changed when it is not what it was when it came, or went home last. What is stored must
 * differ from what was there for this to be the truth.
 */
#ifndef TESTS_CORE_PLATFORM_INCOHERENT_H
#define TESTS_CORE_PLATFORM_INCOHERENT_H

#include "flush.h"
#include "memory.h"

/* mem_create() with a pool of this size for the first `peers` IDs, and a group of that many. */
void incoherent_create(uint64_t main_size, uint64_t pool_size, uint32_t peers);

/* The discipline's two functions, as the group has them. A line that is invalidated comes back at
   once: as old as may be. */
extern const struct ist_flush incoherent_flush;

/* Lines that are changed go home: those whose bit is set in `mask`, by their number modulo 64. */
void incoherent_evict(uint32_t id, uint64_t mask);

/* Lines that are not changed are forgotten, and come back as home has them. */
void incoherent_refetch(uint32_t id, uint64_t mask);

/* A peer was killed, maybe while a line was moving: lines move as a whole. */
void incoherent_settle(uint32_t id);

#endif
