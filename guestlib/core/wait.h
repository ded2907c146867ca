/* SPDX-License-Identifier: BSD-2-Clause */
/* wait.h: how long to spin and to sleep: what all waiting has in common. */
#ifndef IST_CORE_WAIT_H
#define IST_CORE_WAIT_H

#include <isthmus/types.h>

#define IST_SPIN_MAX_NS 50000ull /* about what sleeping and being woken costs */
#define IST_SPIN_MIN_NS 2000ull
/* More than that for a holder that runs: "runs" may be about another of its threads. */
#define IST_SPIN_ON_NS 1000000ull
#define IST_SPINS_A_LOOK 64u /* tries between looks at the clock */
/* A hostile peer can erase what says that this one sleeps: look again now and then. */
#define IST_SLEEP_NS 1000000000ull

static inline uint64_t ist_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A time so far ahead that it would wrap is never reached. */
static inline uint64_t ist_later(uint64_t now, uint64_t ns)
{
	return now + ns < now ? IST_FOREVER : now + ns;
}

#endif
