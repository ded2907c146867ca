/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps.h: what the memory of a group goes through while one process does something: a child is
 * stepped, instruction by instruction, and each state that differs from the one before is kept.
 */
#ifndef TESTS_CORE_STEPS_H
#define TESTS_CORE_STEPS_H

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/memory.h"

#define STEPS_MAX 4096u

/* Instrumented code takes many more steps: under ASan EVERY is how many runs one stands for. */
#ifdef __SANITIZE_ADDRESS__
#define UNDER_ASAN(every) (every)
#else
#define UNDER_ASAN(every) 1
#endif
#define SOME(runs) (((runs) + EVERY - 1) / EVERY)
#define RUN(i) ((i)*EVERY)

/* Fills `states` with copies of `size` bytes, from the one before the first step to the last; how
 * many. */
static inline unsigned steps_collect(void (*operate)(void), size_t size, uint8_t **states)
{
	unsigned count = 0;
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		operate();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSTOPPED(status));
	while (WIFSTOPPED(status)) {
		if (!count || memcmp(states[count - 1], mem_base(), size) != 0) {
			ck_assert_uint_lt(count, STEPS_MAX);
			states[count] = malloc(size);
			ck_assert_ptr_nonnull(states[count]);
			memcpy(states[count++], mem_base(), size);
		}
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
	}
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
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
