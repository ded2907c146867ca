/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stops.h: a process is stopped at each of its accesses to some memory, by the page protection, and
 * let through it by the trap flag, instruction by instruction. Between two accesses nothing changes
 * there, for it or for others: so this is what can be seen of it, and where others can come
 * between. What it does elsewhere costs nothing.
 */
#ifndef TESTS_STOPS_H
#define TESTS_STOPS_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define STOPS_TRAP_FLAG 0x100
#define STOPS_STORES PROT_READ   /* stopped at each store */
#define STOPS_ACCESSES PROT_NONE /* and at each load */

static struct {
	uint8_t *memory;
	size_t size;
	int closed;
	void (*between)(void);  /* NULL: nothing is stopped any more */
	struct sigaction crash; /* whose a fault elsewhere is */
} stops_now;

static inline void stops_protect(int protection)
{
	if (mprotect(stops_now.memory, stops_now.size, protection))
		abort();
}

/* Ahead of an access. An instruction may make many: it comes here for each. */
static inline void stops_ahead(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	if ((uintptr_t)info->si_addr - (uintptr_t)stops_now.memory >= stops_now.size) {
		sigaction(signal_number, &stops_now.crash, NULL); /* it comes again */
		return;
	}
	stops_protect(PROT_READ | PROT_WRITE);
	stops_now.between();
	if (stops_now.between)
		at->uc_mcontext.gregs[REG_EFL] |= STOPS_TRAP_FLAG;
}

static inline void stops_behind(int signal_number, siginfo_t *info, void *context)
{
	ucontext_t *at = context;

	(void)signal_number;
	(void)info;
	at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)STOPS_TRAP_FLAG;
	stops_protect(stops_now.closed);
}

/*
 * From here on between() is called ahead of each access of this process to this memory, of which
 * these are stopped. It begins with a page and is mapped to the end of one. between() may use it,
 * and, where no access is within malloc(), all else.
 */
static inline void stops_begin(void *memory, size_t size, int closed, void (*between)(void))
{
	struct sigaction ahead = {.sa_sigaction = stops_ahead, .sa_flags = SA_SIGINFO};
	struct sigaction behind = {.sa_sigaction = stops_behind, .sa_flags = SA_SIGINFO};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	stops_now.memory = memory;
	stops_now.size = (size + page - 1) / page * page;
	stops_now.closed = closed;
	stops_now.between = between;
	if (sigaction(SIGSEGV, &ahead, &stops_now.crash) || sigaction(SIGTRAP, &behind, NULL))
		abort();
	stops_protect(closed);
}

/* Also for who is called by it: what is left is done without a stop. */
static inline void stops_end(void)
{
	stops_now.between = NULL;
	stops_protect(PROT_READ | PROT_WRITE);
}

#endif
