/* SPDX-License-Identifier: BSD-2-Clause */
/* facts.c: what peers of a group were told of its configuration. */
#include "facts.h"
#include "wire.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(sizeof(struct ivshm_facts) == 8 * 8 + IST_REGIONS_MAX * (IST_NAME_SIZE + 8 * 8) +
						     IST_PEERS_MAX * (IST_NAME_SIZE + 8),
	       "padding");

void ivshm_facts_of(const struct ivshm_config *config, const struct ivshm_group_config *group,
		    const struct ivshm_layout *layout, struct ivshm_facts *out)
{
	memset(out, 0, sizeof(*out));
	out->total_size = layout->total_size;
	out->page_size = group->page_size;
	out->output_offset = layout->output_offset;
	out->output_size = group->output_size;
	out->vectors = group->vectors;
	out->max_peers = group->max_peers;
	out->regions = group->regions_count;
	out->members = group->members_count;
	for (unsigned i = 0; i < group->regions_count; i++) {
		const struct ivshm_region_config *from = &group->regions[i];
		struct ivshm_facts_region *to = &out->region[i];

		ivshm_wire_set_string(to->name, sizeof(to->name), from->name);
		to->offset = layout->region_offset[i];
		to->size = from->size;
		to->directory = layout->directory_offset[i];
		to->tenure_ns = from->tenure_ns;
		to->recall_ns = from->recall_ns;
		to->coherence = from->coherence;
		for (unsigned id = 0; id < group->members_count; id++) {
			uint32_t right = ivshm_config_right(config, group, i, id);

			to->readers |= right != IST_RIGHT_NONE ? 1ull << id : 0;
			to->writers |= right == IST_RIGHT_WRITE ? 1ull << id : 0;
		}
	}
	for (unsigned id = 0; id < group->members_count; id++) {
		const struct ivshm_instance_config *instance =
			&config->instances[group->member[id]];

		ivshm_wire_set_string(out->member[id].name, IST_NAME_SIZE, instance->name);
		out->member[id].kind = instance->kind;
	}
}

/* Two numbers; false when they are the same. */
static bool numbers(const char *what, uint64_t old, uint64_t new, char *text, size_t size)
{
	if (old == new)
		return false;
	snprintf(text, size, "%s was %" PRIu64 " and is %" PRIu64, what, old, new);
	return true;
}

static bool regions_differ(const struct ivshm_facts_region *old,
			   const struct ivshm_facts_region *new, unsigned index, char *text,
			   size_t size)
{
	char what[IST_NAME_SIZE + 32];

	if (strcmp(old->name, new->name) != 0) {
		snprintf(text, size, "region %u was '%s' and is '%s'", index, old->name, new->name);
		return true;
	}
	snprintf(what, sizeof(what), "size of region '%s'", old->name);
	if (numbers(what, old->size, new->size, text, size))
		return true;
	if (memcmp(old, new, sizeof(*old)) == 0)
		return false;
	snprintf(text, size, "region '%s' has another %s", old->name,
		 old->offset != new->offset || old->directory != new->directory ? "place"
		 : old->coherence != new->coherence                             ? "coherence"
		 : old->readers != new->readers || old->writers != new->writers
			 ? "access"
			 : "tenure or recall");
	return true;
}

bool ivshm_facts_differ(const struct ivshm_facts *old, const struct ivshm_facts *new, char *text,
			size_t size)
{
	if (numbers("max_peers", old->max_peers, new->max_peers, text, size) ||
	    numbers("vectors", old->vectors, new->vectors, text, size) ||
	    numbers("page_size", old->page_size, new->page_size, text, size) ||
	    numbers("output", old->output_size, new->output_size, text, size) ||
	    numbers("the number of regions", old->regions, new->regions, text, size) ||
	    numbers("the number of members", old->members, new->members, text, size))
		return true;
	for (unsigned id = 0; id < new->members; id++) {
		if (strcmp(old->member[id].name, new->member[id].name) != 0) {
			snprintf(text, size, "ID %u was instance '%s' and is '%s'", id,
				 old->member[id].name, new->member[id].name);
			return true;
		}
		if (old->member[id].kind != new->member[id].kind) {
			snprintf(text, size, "instance '%s' has another kind",
				 old->member[id].name);
			return true;
		}
	}
	for (unsigned i = 0; i < new->regions; i++)
		if (regions_differ(&old->region[i], &new->region[i], i, text, size))
			return true;
	return numbers("the place of output sections", old->output_offset, new->output_offset, text,
		       size) ||
	       numbers("size", old->total_size, new->total_size, text, size);
}

static bool is_name(const char *name)
{
	return *name && memchr(name, '\0', IST_NAME_SIZE);
}

bool ivshm_facts_are_sound(const struct ivshm_facts *facts)
{
	if (facts->max_peers == 0 || facts->max_peers > IST_PEERS_MAX || facts->vectors == 0 ||
	    facts->vectors > IST_VECTORS_MAX || facts->regions > IST_REGIONS_MAX ||
	    facts->members > facts->max_peers || facts->total_size == 0)
		return false;
	for (unsigned i = 0; i < facts->regions; i++)
		if (!is_name(facts->region[i].name))
			return false;
	for (unsigned id = 0; id < facts->members; id++)
		if (!is_name(facts->member[id].name) || facts->member[id].kind > IST_KIND_PROCESS)
			return false;
	return true;
}
