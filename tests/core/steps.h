/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps.h: what the memory of a group goes through while one process does something. Between two of
 * its accesses to that memory nothing changes, for it or for others: so the process is stopped at
 * each, by the page protection, and let through it by the trap flag, instruction by instruction.
 * What it does elsewhere costs nothing.
 */
#ifndef TESTS_CORE_STEPS_H
#define TESTS_CORE_STEPS_H

#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "platform/memory.h"

#define STEPS_MAX 4096u

#define STEPS_TRAP_FLAG 0x100
#define STEPS_STORES PROT_READ   /* stopped at each store */
#define STEPS_ACCESSES PROT_NONE /* and at each load */

static struct {
	uint8_t *memory;
	size_t size;
	int closed;
	void (*between)(void);  /* NULL: nothing is stopped any more */
	struct sigaction crash; /* whose a fault elsewhere is */
} steps_now;

static inline void steps_protect(int protection)
{
	if (mprotect(steps_now.memory, steps_now.size, protection))
		abort();
}

/* Ahead of an access. An instruction may make many: it comes here for each. */
static inline void steps_ahead(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	if ((uintptr_t)info->si_addr - (uintptr_t)steps_now.memory >= steps_now.size) {
		sigaction(signal_number, &steps_now.crash, NULL); /* it comes again */
		return;
	}
	steps_protect(PROT_READ | PROT_WRITE);
	steps_now.between();
	if (steps_now.between)
		at->uc_mcontext.gregs[REG_EFL] |= STEPS_TRAP_FLAG;
}

static inline void steps_behind(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	(void)signal_number;
	(void)info;
	at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)STEPS_TRAP_FLAG;
	steps_protect(steps_now.closed);
}

/*
 * From here on between() is called ahead of each access of this process to the group's memory, of
 * which these are stopped. It may use the memory, and, as no access is within malloc(), all else.
 */
static inline void steps_begin(int closed, size_t size, void (*between)(void))
{
	struct sigaction ahead = {.sa_sigaction = steps_ahead, .sa_flags = SA_SIGINFO};
	struct sigaction behind = {.sa_sigaction = steps_behind, .sa_flags = SA_SIGINFO};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	steps_now.memory = mem_base();
	steps_now.size = (size + page - 1) / page * page;
	steps_now.closed = closed;
	steps_now.between = between;
	if (sigaction(SIGSEGV, &ahead, &steps_now.crash) || sigaction(SIGTRAP, &behind, NULL))
		abort();
	steps_protect(closed);
}

/* Also for who is called by it: what is left is done without a stop. */
static inline void steps_end(void)
{
	steps_now.between = NULL;
	steps_protect(PROT_READ | PROT_WRITE);
}

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
		steps_begin(STEPS_STORES, size, steps_save);
		operate();
		steps_end();
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
