/* SPDX-License-Identifier: BSD-2-Clause */
/* config_group.c: the groups: defaults, members, regions, rights, and whether all fits. */
#include "config_internal.h"
#include "layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS_DEFAULT 4u
#define PEERS_MIN 2u
#define TENURE_DEFAULT 50000u /* ns, as all of these */
#define RECALL_DEFAULT 1000000000u
#define RECALL_MIN 10000000u
#define RECALL_TENURES 64u /* a tenure grows to 16 times what it is; that four times over */

/* A size that has to be whole pages. */
static bool check_pages(struct config_load *load, const struct config_node *node, const char *key,
			const char *text, const struct ivshm_group_config *group, uint64_t *out)
{
	char page[IVSHM_SIZE_TEXT];

	if (!config_check_size(load, node, key, text, out))
		return false;
	if (*out % group->page_size) {
		config_error(load, config_value(node, key),
			     "'%s': %s is not a multiple of the page size %s", key, text,
			     ivshm_size_format(group->page_size, page));
		return false;
	}
	return true;
}

static bool check_not_zero(struct config_load *load, const struct config_node *node, uint64_t size)
{
	if (!size)
		config_error(load, config_value(node, "size"), "'size' is 0");
	return size;
}

static void check_members(struct config_load *load, const struct config_node *node,
			  struct ivshm_group_config *out, const uint32_t *max_peers,
			  unsigned members)
{
	out->max_peers_given = max_peers;
	out->max_peers = max_peers ? *max_peers : out->members_count;
	if (out->max_peers < PEERS_MIN && !max_peers)
		out->max_peers = PEERS_MIN;
	if (out->max_peers < PEERS_MIN || out->max_peers > IST_PEERS_MAX)
		config_error(load, config_value(node, "max_peers"),
			     "'max_peers': %u; %u to %u are possible", out->max_peers, PEERS_MIN,
			     IST_PEERS_MAX);
	else if (members > out->max_peers)
		config_error(load, config_value(node, max_peers ? "max_peers" : "name"),
			     "group '%s' has %u members, but takes at most %u", out->name, members,
			     out->max_peers);
}

static bool is_member(const struct ivshm_config *config, const struct ivshm_group_config *group,
		      const char *name)
{
	for (unsigned i = 0; i < group->members_count; i++) {
		if (!strcmp(config->instances[group->member[i]].name, name))
			return true;
	}
	return false;
}

static void check_right(struct config_load *load, const struct config_node *list,
			const struct ivshm_group_config *group,
			const struct ivshm_region_config *region, unsigned index)
{
	const struct ivshm_config *config = &load->object->config;
	const char *name = region->rights[index].instance;
	const struct config_node *node = config_item(list, index);
	const struct config_node *value = config_value(node, "instance");

	if (!ivshm_config_instance(config, name))
		config_error(load, value, "a right for '%s', but there is no such instance", name);
	else if (!is_member(config, group, name))
		config_error(load, value,
			     "a right for instance '%s', which is not a member of group '%s'", name,
			     group->name);
	for (unsigned i = 0; i < index; i++) {
		if (!strcmp(region->rights[i].instance, name)) {
			config_error(load, value, "region '%s' has a right for '%s' already",
				     region->name, name);
			return;
		}
	}
}

static bool check_time(struct config_load *load, const struct config_node *node, const char *key,
		       const char *text, uint64_t standard, uint64_t *out)
{
	*out = standard;
	switch (text ? ivshm_time_parse(text, out) : 0) {
	case 0:
		return true;
	case -ERANGE:
		config_error(load, config_value(node, key),
			     "'%s': %s is too much, at most 3600s are possible", key, text);
		return false;
	default:
		config_error(load, config_value(node, key),
			     "'%s': expected a time like 50us, 20ms or 1s, found '%s'", key, text);
		return false;
	}
}

/* What the pager is told, and that nobody has a right who would bypass it. */
static void check_paged(struct config_load *load, const struct config_node *node,
			const struct ivshm_group_config *group, const struct config_raw_region *raw,
			unsigned index)
{
	const struct ivshm_config *config = &load->object->config;
	struct ivshm_region_config *out = &group->regions[index];
	bool good;

	if (group->page_size != IST_PAGE)
		config_error(load, config_value(node, "coherence"),
			     "region '%s': coherence 'page' takes a group in pages of 4K",
			     out->name);
	good = check_time(load, node, "tenure", raw->tenure, TENURE_DEFAULT, &out->tenure_ns);
	good &= check_time(load, node, "recall", raw->recall, RECALL_DEFAULT, &out->recall_ns);
	if (good &&
	    (out->recall_ns < RECALL_MIN || out->tenure_ns > out->recall_ns / RECALL_TENURES))
		config_error(load, config_value(node, raw->recall ? "recall" : "tenure"),
			     "region '%s': 'recall' has to be at least 10ms and %u times 'tenure'",
			     out->name, RECALL_TENURES);
	for (unsigned id = 0; id < group->members_count; id++) {
		const struct ivshm_instance_config *member = &config->instances[group->member[id]];

		if (member->kind == IST_KIND_QEMU &&
		    ivshm_config_right(config, group, index, id) != IST_RIGHT_NONE)
			config_error(load, config_value(node, "coherence"),
				     "region '%s': coherence 'page' takes a pager: instance '%s' "
				     "is a %s, give it the right none",
				     out->name, member->name, config_kind_names[member->kind]);
	}
}

/* True when the region's size is good. */
static bool check_region(struct config_load *load, const struct config_node *list,
			 struct ivshm_group_config *group, const struct config_raw_region *raw,
			 unsigned index)
{
	struct ivshm_region_config *out = &group->regions[index];
	const struct config_node *node = config_item(list, index);
	const struct config_node *rights;
	bool good;

	*out = raw->config;
	out->access = raw->access ? *raw->access : IST_RIGHT_WRITE;
	config_check_name(load, node, "region", out->name);
	for (unsigned i = 0; i < index; i++) {
		if (!strcmp(group->regions[i].name, out->name)) {
			config_error(load, config_value(node, "name"),
				     "region '%s' is there twice, first in line %zu", out->name,
				     config_item(list, i)->line);
			break;
		}
	}
	good = check_pages(load, node, "size", raw->size, group, &out->size) &&
	       check_not_zero(load, node, out->size);
	rights = config_value(node, "rights");
	for (unsigned i = 0; i < out->rights_count; i++)
		check_right(load, rights, group, out, i);
	if (out->coherence == IST_COHERENCE_PAGE)
		check_paged(load, node, group, raw, index);
	else if (raw->tenure || raw->recall)
		config_error(load, config_key(node, raw->tenure ? "tenure" : "recall"),
			     "'%s' is for coherence 'page'", raw->tenure ? "tenure" : "recall");
	return good;
}

static bool check_regions(struct config_load *load, const struct config_node *node,
			  const struct config_raw_group *raw, struct ivshm_group_config *group)
{
	const struct config_node *list = config_value(node, "regions");
	bool good = true;

	for (unsigned i = 0; i < group->regions_count; i++)
		good &= check_region(load, list, group, &raw->regions[i], i);
	return good;
}

static void check_layout(struct config_load *load, const struct config_node *node,
			 const struct ivshm_group_config *group)
{
	char size[IVSHM_SIZE_TEXT], used[IVSHM_SIZE_TEXT];
	const struct config_node *value = config_value(node, "size");
	struct ivshm_layout layout;

	switch (ivshm_layout_compute(group, &layout)) {
	case -ERANGE:
		config_error(load, config_value(node, "name"), "group '%s' needs more than 64T",
			     group->name);
		break;
	case -ENOSPC:
		config_error(load, value,
			     "'size': %s is too little for group '%s', which needs %s: its regions "
			     "and sections end at 0x%llx",
			     ivshm_size_format(group->size, size), group->name,
			     ivshm_size_format(layout.total_size, used),
			     (unsigned long long)layout.used_size);
		break;
	default:
		break;
	}
}

static bool check_size(struct config_load *load, const struct config_node *node, const char *text,
		       struct ivshm_group_config *out)
{
	if (!text)
		return true;
	if (!check_pages(load, node, "size", text, out, &out->size) ||
	    !check_not_zero(load, node, out->size))
		return false;
	if (!(out->size & (out->size - 1)))
		return true;
	config_error(load, config_value(node, "size"), "'size': %s is not a power of two", text);
	return false;
}

static int check_group(struct config_load *load, const struct config_node *node,
		       const struct config_raw_group *raw, unsigned members,
		       struct ivshm_group_config *out)
{
	bool good = true;

	out->regions = calloc(raw->regions_count + 1u, sizeof(*out->regions));
	if (!out->regions)
		return -ENOMEM;
	out->regions_count = raw->regions_count;
	config_check_name(load, node, "group", out->name);
	good &= check_size(load, node, raw->size, out);
	if (raw->output_size)
		good &= check_pages(load, node, "output_size", raw->output_size, out,
				    &out->output_size);
	if (out->vectors < 1 || out->vectors > IST_VECTORS_MAX)
		config_error(load, config_value(node, "vectors"),
			     "'vectors': %u; 1 to %u are possible", out->vectors, IST_VECTORS_MAX);
	config_check_numa(load, node, &out->numa);
	check_members(load, node, out, raw->max_peers, members);
	good &= check_regions(load, node, raw, out);
	config_check_legacy(load, out);
	/* With a wrong size all that is said about the whole would be wrong too. */
	if (good && out->max_peers <= IST_PEERS_MAX)
		check_layout(load, node, out);
	return 0;
}

/*
 * Makes instance `index` a member of its groups. `members` counts all that want to be, by group:
 * a group remembers no more than fit into its table.
 */
static void join(struct config_load *load, const struct config_node *list, unsigned index,
		 unsigned *members)
{
	struct ivshm_config *config = &load->object->config;
	const struct ivshm_instance_config *instance = &config->instances[index];
	const struct config_node *names = config_value(config_item(list, index), "groups");

	for (unsigned i = 0; i < instance->groups_count; i++) {
		const struct ivshm_group_config *found;
		struct ivshm_group_config *group;
		unsigned j = 0;

		while (j < i && strcmp(instance->groups[j], instance->groups[i]) != 0)
			j++;
		found = ivshm_config_group(config, instance->groups[i]);
		if (j < i) {
			config_error(load, config_item(names, i),
				     "instance '%s' is in group '%s' already", instance->name,
				     instance->groups[i]);
		} else if (!found) {
			config_error(load, config_item(names, i), "there is no group '%s'",
				     instance->groups[i]);
		} else {
			group = &config->groups[found - config->groups];
			if (members[found - config->groups]++ < IST_PEERS_MAX)
				group->member[group->members_count++] = index;
		}
	}
}

int config_groups(struct config_load *load)
{
	struct config_raw *raw = load->object->raw;
	struct ivshm_config *config = &load->object->config;
	const struct config_node *list = config_value(load->root, "groups");
	const struct config_node *instances = config_value(load->root, "instances");
	unsigned *members;
	int result = 0;

	config->groups = calloc(raw->groups_count + 1u, sizeof(*config->groups));
	members = calloc(raw->groups_count + 1u, sizeof(*members));
	if (!config->groups || !members) {
		free(members);
		return -ENOMEM;
	}
	config->groups_count = raw->groups_count;
	for (unsigned i = 0; i < raw->groups_count; i++) {
		struct ivshm_group_config *out = &config->groups[i];

		*out = raw->groups[i].config;
		out->run_state = !raw->groups[i].run_state || *raw->groups[i].run_state;
		out->vectors = raw->groups[i].vectors ? *raw->groups[i].vectors : VECTORS_DEFAULT;
		if (!out->page_size)
			out->page_size = IST_PAGE;
		for (unsigned j = 0; j < i; j++) {
			if (!strcmp(config->groups[j].name, out->name)) {
				config_error(load, config_value(config_item(list, i), "name"),
					     "group '%s' is there twice, first in line %zu",
					     out->name, config_item(list, j)->line);
				break;
			}
		}
	}
	for (unsigned i = 0; i < config->instances_count; i++)
		join(load, instances, i, members);
	for (unsigned i = 0; i < raw->groups_count && !result; i++)
		result = check_group(load, config_item(list, i), &raw->groups[i], members[i],
				     &config->groups[i]);
	free(members);
	return result;
}
