/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * roster.h: what a group looks like, word by word as a platform is told of it, checked: by the
 * roster itself, or by a broker in the same words.
 */
#ifndef IST_CORE_ROSTER_H
#define IST_CORE_ROSTER_H

#include "group.h"

struct ist_roster_head {
	uint64_t page_size;
	uint64_t total_size;
	uint64_t output_offset; /* 0: no output sections */
	uint64_t output_size;
	uint32_t max_peers;
	uint32_t vectors;
	uint32_t regions;
	char name[IST_NAME_SIZE];
};

/*
 * Reads the header in the first IST_REGIONS_OFFSET bytes of a group's memory, each word once, and
 * checks it, but for the name. Returns 0; -EPROTO there is no roster of our version, or its numbers
 * are impossible.
 */
int ist_roster_head(const uint8_t *base, struct ist_roster_head *out);

/* Whether these numbers are possible. */
int ist_roster_head_is_sound(const struct ist_roster_head *head);

/*
 * Reads the region table at group->base into the group. The rights are given, by index, or, with
 * NULL, those that the table says group->id has. Returns 0; -EPROTO.
 */
int ist_roster_regions(const struct ist_roster_head *head, const uint8_t *rights,
		       struct ist_group *group);

/* The group's next region. Returns 0; -EPROTO it is impossible after those before it. */
int ist_roster_add_region(const struct ist_roster_head *head, const struct ist_group_region *region,
			  struct ist_group *group);

/* Whether a name is terminated, and not empty. */
int ist_name_is_sound(const char name[IST_NAME_SIZE]);

#endif
