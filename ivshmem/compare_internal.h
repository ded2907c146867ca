/* SPDX-License-Identifier: BSD-2-Clause */
/* compare_internal.h: what the comparison's files share. */
#ifndef IVSHM_COMPARE_INTERNAL_H
#define IVSHM_COMPARE_INTERNAL_H

#include "compare.h"

#define QEMU_WHY "the sockets of QEMU's peers are there from the start"

struct compare {
	const struct ivshm_config *now, *next;
	struct ivshm_changes *out;
	bool no_memory;
	struct ivshm_change spare; /* filled in when there is no memory for one */
};

/* Never NULL. */
__attribute__((format(printf, 4, 5))) struct ivshm_change *
ivshm_change_add(struct compare *compare, enum ivshm_change_when when, const char *why,
		 const char *format, ...);

bool ivshm_same_numa(const struct ivshm_numa *a, const struct ivshm_numa *b);

/* compare_group.c */
void ivshm_compare_groups(struct compare *compare);

#endif
