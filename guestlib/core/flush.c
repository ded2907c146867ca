/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flush.c: lines written back and invalidated by the processor's own instructions, which user code
 * may use: on x86-64, the best ones that CPUID names.
 */
#include "flush.h"

#include <isthmus/abi.h>

#if defined(__x86_64__)

#define CLFLUSH (1u << 19)    /* leaf 1, EDX */
#define CLFLUSHOPT (1u << 23) /* leaf 7, EBX */
#define CLWB (1u << 24)       /* leaf 7, EBX */

/* Bytes of what CLFLUSH flushes: leaf 1, EBX, in words of 8. */
static uint32_t line_of(const struct ist_flush_machine *machine)
{
	return (machine->leaf1_ebx >> 8 & 0xffu) * 8u;
}

#define FOR_EACH_LINE(instruction, from, size)                                                     \
	do {                                                                                       \
		const char *line_ = (from);                                                        \
		for (size_t at_ = 0; at_ < (size); at_ += IST_LINE)                                \
			__asm__ volatile(instruction " %0" ::"m"(line_[at_]) : "memory");          \
	} while (0)

/* These are ordered with stores to the line itself and with fences; clwb and clflushopt with
   nothing else. So a fence lets no later store be seen before the lines are home. Partner: the
   first fence in an invalidation by who has seen such a store. */
#define DEFINE_WRITE_BACK(name, instruction)                                                       \
	static void name(const void *from, size_t size)                                            \
	{                                                                                          \
		FOR_EACH_LINE(instruction, from, size);                                            \
		__asm__ volatile("sfence" ::: "memory");                                           \
	}

/* Loads are ordered with neither but by mfence. Before: a line that is forgotten earlier than what
   the caller has loaded, the version, could be fetched again before it, and be old. After: no load
   behind is answered by what was there. Partner: the fence of a write-back. */
#define DEFINE_INVALIDATE(name, instruction)                                                       \
	static void name(const void *from, size_t size)                                            \
	{                                                                                          \
		__asm__ volatile("mfence" ::: "memory");                                           \
		FOR_EACH_LINE(instruction, from, size);                                            \
		__asm__ volatile("mfence" ::: "memory");                                           \
	}

DEFINE_WRITE_BACK(write_back_clwb, "clwb")
DEFINE_WRITE_BACK(write_back_clflushopt, "clflushopt")
DEFINE_WRITE_BACK(write_back_clflush, "clflush")
DEFINE_INVALIDATE(invalidate_clflushopt, "clflushopt")
DEFINE_INVALIDATE(invalidate_clflush, "clflush")

/* The best comes first. clwb alone keeps the line that it writes back. */
static const struct way {
	uint32_t leaf7_ebx; /* what it takes, all of it */
	struct ist_flush flush;
} ways[] = {
	{CLWB | CLFLUSHOPT, {"clwb", write_back_clwb, invalidate_clflushopt}},
	{CLFLUSHOPT, {"clflushopt", write_back_clflushopt, invalidate_clflushopt}},
	{0, {"clflush", write_back_clflush, invalidate_clflush}},
};

const struct ist_flush *ist_flush_choose(const struct ist_flush_machine *machine)
{
	uint32_t line = line_of(machine);
	const struct way *way = ways;

	/* Longer than a pair, two peers' slots would share one; shorter, some would be left out. */
	if (!(machine->leaf1_edx & CLFLUSH) || (line != IST_LINE && line != IST_LINE_PAIR))
		return NULL;
	while ((machine->leaf7_ebx & way->leaf7_ebx) != way->leaf7_ebx)
		way++;
	return &way->flush;
}

const struct ist_flush *ist_flush_here(void)
{
	struct ist_flush_machine machine = {.leaf7_ebx = 0};
	uint32_t last, ecx, edx, ebx;

	__asm__ volatile("cpuid" : "=a"(last), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(0), "c"(0));
	__asm__ volatile("cpuid"
			 : "=a"(ebx), "=b"(machine.leaf1_ebx), "=c"(ecx), "=d"(machine.leaf1_edx)
			 : "a"(1), "c"(0));
	if (last >= 7)
		__asm__ volatile("cpuid"
				 : "=a"(ebx), "=b"(machine.leaf7_ebx), "=c"(ecx), "=d"(edx)
				 : "a"(7), "c"(0));
	return ist_flush_choose(&machine);
}

#else

const struct ist_flush *ist_flush_choose(const struct ist_flush_machine *machine)
{
	(void)machine;
	return NULL;
}

const struct ist_flush *ist_flush_here(void)
{
	return NULL;
}

#endif
