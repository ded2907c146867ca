/* SPDX-License-Identifier: BSD-2-Clause */
/* coherence_load_reads.c: a record of 40 bytes that is mostly read: 90, 99, 99.9 % of the time. */
#include "coherence.h"

static int reads_run(struct bench *b, unsigned reads)
{
	int error = 0;

	while (error == 0 && going(b))
		error = counted(b, mixed_once(b, &b->site.objects[0], reads));
	return error;
}

#define READS(per_mille, text)                                                                     \
	static int reads_##per_mille(struct bench *b)                                              \
	{                                                                                          \
		return reads_run(b, per_mille);                                                    \
	}                                                                                          \
	const struct load load_reads_##text = {                                                    \
		.name = "reads-" #text,                                                            \
		.unit = "M/s",                                                                     \
		.needs = NEED_RECORD,                                                              \
		.words = 5,                                                                        \
		.objects = 1,                                                                      \
		.run = reads_##per_mille,                                                          \
		.check = check_each,                                                               \
	};
READS(900, 90)
READS(990, 99)
READS(999, 999)
