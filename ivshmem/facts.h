/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * facts.h: what peers of a group were told of its configuration, and who they can be: the layout,
 * regions with their rights, and the members.
 */
#ifndef IVSHM_FACTS_H
#define IVSHM_FACTS_H

#include "layout.h"

struct ivshm_facts_region {
	char name[IST_NAME_SIZE];
	uint64_t offset;
	uint64_t size;
	uint64_t directory;
	uint64_t tenure_ns;
	uint64_t recall_ns;
	uint64_t readers; /* bit i: the member with ID i */
	uint64_t writers;
	uint64_t coherence;
};

struct ivshm_facts_member {
	char name[IST_NAME_SIZE];
	uint64_t kind; /* IST_KIND_* */
};

/* Without padding: two of them are compared, and stored, as bytes. */
struct ivshm_facts {
	uint64_t total_size;
	uint64_t page_size;
	uint64_t output_offset;
	uint64_t output_size;
	uint64_t vectors;
	uint64_t max_peers;
	uint64_t regions;
	uint64_t members;
	struct ivshm_facts_region region[IST_REGIONS_MAX];
	struct ivshm_facts_member member[IST_PEERS_MAX];
};

/* Those of a configuration, whose layout has been computed. */
void ivshm_facts_of(const struct ivshm_config *config, const struct ivshm_group_config *group,
		    const struct ivshm_layout *layout, struct ivshm_facts *out);

/* Whether they differ; then `text` names the first difference, from `old` to `new`. */
bool ivshm_facts_differ(const struct ivshm_facts *old, const struct ivshm_facts *new, char *text,
			size_t size);

/* Whether they can be anybody's: numbers in range, names terminated. */
bool ivshm_facts_are_sound(const struct ivshm_facts *facts);

#endif
