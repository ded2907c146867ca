/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compare.h: how two configurations differ, and what of it can be done while the first is up.
 * docs/protocol.md, "Live change". Pure: nothing here looks at what runs.
 */
#ifndef IVSHM_COMPARE_H
#define IVSHM_COMPARE_H

#include "config.h"

enum ivshm_change_when {
	IVSHM_CHANGE_LIVE,
	IVSHM_CHANGE_STOPPED, /* while `instance` does not run */
	IVSHM_CHANGE_NEVER,   /* not while the group is up */
};

enum ivshm_change_what {
	IVSHM_CHANGE_OTHER,
	IVSHM_CHANGE_RIGHT,   /* instance, group, region, from, to */
	IVSHM_CHANGE_REMOVED, /* instance */
	IVSHM_CHANGE_ADDED,   /* instance */
};

struct ivshm_change {
	enum ivshm_change_what what;
	enum ivshm_change_when when;
	const char *instance; /* of the configurations', as long as these last; NULL: of none */
	const char *group;
	unsigned region; /* index */
	bool paged;      /* it is page-coherent */
	uint32_t from, to;
	char text[160]; /* what it is, in words, */
	char why[160];  /* and why it is not to be had at once, or "" */
};

struct ivshm_changes {
	struct ivshm_change *change;
	unsigned count;
};

/*
 * Makes `next`, as it was loaded, go on where `now` is: members that stay keep their IDs, new ones
 * get the lowest that are free, and a `max_peers` that is not given is what it is.
 */
void ivshm_compare_continue(const struct ivshm_config *now, struct ivshm_config *next);

/*
 * All differences, in the order of `next`, after ivshm_compare_continue(). 0, and *out to be freed
 * by ivshm_changes_free(); or -ENOMEM.
 */
int ivshm_compare(const struct ivshm_config *now, const struct ivshm_config *next,
		  struct ivshm_changes *out);
void ivshm_changes_free(struct ivshm_changes *changes);

#endif
