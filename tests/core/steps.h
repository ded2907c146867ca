/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps.h: what the memory of a group goes through while one process does something: a child is
 * stopped at each of its stores, and each state that differs from the one before is kept.
 */
#ifndef TESTS_CORE_STEPS_H
#define TESTS_CORE_STEPS_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/memory.h"
#include "tests/stops.h"

#define STEPS_MAX 4096u

/* The states of steps_collect(), as the child finds them. */
struct steps_found {
	size_t size;
	unsigned count;
	uint8_t state[];
};
static struct steps_found *steps_found;

static inline void steps_save(void)
{
	struct steps_found *found = steps_found;
	uint8_t *next = found->state + found->count * found->size;

	if (found->count && memcmp(next - found->size, mem_base(), found->size) == 0)
		return;
	if (found->count == STEPS_MAX)
		abort();
	memcpy(next, mem_base(), found->size);
	found->count++;
}

/* Fills `states` with copies of `size` bytes, from the one before the first step to the last; how
 * many. */
static inline unsigned steps_collect(void (*operate)(void), size_t size, uint8_t **states)
{
	size_t most = sizeof(*steps_found) + STEPS_MAX * size;
	unsigned i, count;
	pid_t child;
	int status;

	steps_found = mmap(NULL, most, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(steps_found, MAP_FAILED);
	steps_found->size = size;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		stops_begin(mem_base(), size, STOPS_STORES, steps_save);
		operate();
		stops_end();
		steps_save();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	count = steps_found->count;
	for (i = 0; i < count; i++) {
		states[i] = malloc(size);
		ck_assert_ptr_nonnull(states[i]);
		memcpy(states[i], steps_found->state + i * size, size);
	}
	munmap(steps_found, most);
	return count;
}

/* Goes on from a state, in a child: the line that was not as it must be, or 0. */
static inline int steps_from(const uint8_t *state, size_t size, int (*go_on)(void))
{
	pid_t child;
	int status;

	memcpy(mem_base(), state, size);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int line = go_on();

		/* An exit status has eight bits. */
		if (line)
			fprintf(stderr, "line %d\n", line);
		_exit(line != 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__;                                                           \
	} while (0)

#endif
