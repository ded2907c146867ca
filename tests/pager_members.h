/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pager_members.h: members of pager_group.h's group by each of the ways that kernels have, threads
 * of theirs, and what the directory is to say of them.
 */
#ifndef TESTS_PAGER_MEMBERS_H
#define TESTS_PAGER_MEMBERS_H

#include "tests/pager_group.h"

#define MS 1000000ull
#define TENURE 20000u
#define RECALL (10000 * MS)

static inline void start(int way, unsigned members)
{
	pager_moments = way != 2;
	if (way != 0)
		setenv("ISTHMUS_PAGER_6_1", "1", 1);
	else
		unsetenv("ISTHMUS_PAGER_6_1");
	group_create(TENURE, RECALL);
	members_start(members);
}

static inline void stop(unsigned members)
{
	members_stop(members);
	group_destroy();
}

static inline void expect_word(unsigned page, uint32_t state, int owner, uint64_t sharers)
{
	struct ist_directory word = word_of(page);

	ck_assert_uint_eq(IST_DIR_STATE(word.control), state);
	ck_assert_int_eq((int)IST_DIR_OWNER(word.control) - 1, owner);
	ck_assert_uint_eq(word.sharers, sharers);
}

struct adder {
	struct member *member;
	unsigned pages;
	unsigned times;
};

static inline void *add(void *argument)
{
	struct adder *adder = argument;

	for (unsigned i = 0; i < adder->times; i++)
		__atomic_fetch_add(&adder->member->page[i % adder->pages * PAGE_WORDS], 1,
				   __ATOMIC_SEQ_CST);
	return NULL;
}

/* A thread of the member adds so often, in turn to so many pages, the first ones. */
static inline pthread_t background(struct adder *adder, struct member *member, unsigned pages,
				   unsigned times)
{
	pthread_t thread;

	*adder = (struct adder){member, pages, times};
	must(pthread_create(&thread, NULL, add, adder) == 0);
	return thread;
}

#endif
