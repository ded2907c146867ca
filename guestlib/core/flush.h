/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flush.h: what incoherent memory takes: lines that go home, and lines that are forgotten
 * (docs/protocol.md, "Replicas").
 */
#ifndef IST_CORE_FLUSH_H
#define IST_CORE_FLUSH_H

#include <stddef.h>
#include <stdint.h>

/* A line is IST_LINE bytes. Ranges begin with a line; the last one may be a part. */
struct ist_flush {
	const char *name;
	/* What this peer has stored in these lines is at home when it returns, before any later
	   store of the caller is seen. */
	void (*write_back)(const void *from, size_t size);
	/* Later loads of these lines are answered by what home has from now on; "now" is later than
	   any load before. What was stored in them and is not home yet goes there first. */
	void (*invalidate)(const void *from, size_t size);
};

/* What CPUID says of a machine: registers of the leaves 1 and 7 (0 where there is no leaf 7). */
struct ist_flush_machine {
	uint32_t leaf1_ebx, leaf1_edx, leaf7_ebx;
};

/* How such a machine does it; NULL: not at all, or in lines that we do not go through. */
const struct ist_flush *ist_flush_choose(const struct ist_flush_machine *machine);

/* How this machine does it, or NULL. Costs some exits in a VM: for openings. */
const struct ist_flush *ist_flush_here(void);

#endif
