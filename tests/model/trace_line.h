/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_line.h: a step as coherence/replay.pml reads it. */
#ifndef TESTS_MODEL_TRACE_LINE_H
#define TESTS_MODEL_TRACE_LINE_H

#include <stdio.h>

#include "coherence/step.h"

static inline void trace_word(struct ist_directory word)
{
	printf(" %u %u %u %u", IST_DIR_STATE(word.control), IST_DIR_BUSY(word.control),
	       IST_DIR_OWNER(word.control), (unsigned)word.sharers);
}

/* `epoch`: of the step before. Returns this one's. */
static inline uint64_t trace_line(unsigned step, unsigned peer, struct ist_directory before,
				  struct ist_directory after, uint64_t epoch)
{
	uint64_t now = IST_DIR_EPOCH(after.control);

	printf("%u %u", step, peer);
	trace_word(before);
	trace_word(after);
	printf(" %llu\n", (unsigned long long)((now - epoch) & IST_DIR_EPOCH_MASK));
	return now;
}

#endif
