/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.c: time from the TSC, sleeping by the local APIC's timer. */
#include "bare.h"

#include <isthmus/app.h>

#define NS_PER_SECOND 1000000000ull
/* Nanoseconds per TSC tick in 8.56 fixed point: right for any TSC above 4 MHz. */
#define SHIFT 56
#define CHUNK_NS (60 * NS_PER_SECOND) /* what the timer's 32 bits can count, and some to spare */

static uint64_t tsc_base, base_ns, ns_per_tick;

void ist_bare_clock_init(const struct ist_boot *boot)
{
	uint64_t remainder;

	tsc_base = boot->tsc_base;
	base_ns = boot->time_base_ns;
	/* 128 bits by 64: C would call libgcc for this. */
	__asm__("divq %4"
		: "=a"(ns_per_tick), "=d"(remainder)
		: "a"(NS_PER_SECOND << SHIFT), "d"(NS_PER_SECOND >> (64 - SHIFT)), "r"(boot->tsc_hz)
		: "cc");
}

uint64_t ist_time_ns(void)
{
	uint32_t low, high;
	uint64_t ticks;

	/* The fence keeps the time from being read before what precedes it in the program. */
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	ticks = ((uint64_t)high << 32 | low) - tsc_base;
	return base_ns + (uint64_t)((unsigned __int128)ticks * ns_per_tick >> SHIFT);
}

void ist_bare_wait_until(const uint32_t *counter, uint32_t seen, uint64_t deadline)
{
	uint64_t now, left;

	if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != seen)
		return;
	if (deadline == IST_FOREVER) {
		ist_bare_wait(counter, seen, 0);
		return;
	}
	now = ist_time_ns();
	if (now >= deadline)
		return;
	left = deadline - now < CHUNK_NS ? deadline - now : CHUNK_NS;
	ist_bare_wait(counter, seen, (uint32_t)(left / BARE_TICK_NS) + 1);
}

void ist_sleep_ns(uint64_t ns)
{
	static const uint32_t never;
	uint64_t now = ist_time_ns();
	uint64_t deadline = ns < IST_FOREVER - now ? now + ns : IST_FOREVER;

	while (ist_time_ns() < deadline)
		ist_bare_wait_until(&never, 0, deadline);
}
