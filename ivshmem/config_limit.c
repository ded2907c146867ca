/* SPDX-License-Identifier: BSD-2-Clause */
/* config_limit.c: what members may make in the group's arenas. */
#include "config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool config_check_member(struct config_load *load, const struct config_node *value,
			 const struct ivshm_group_config *group, const char *what, const char *name)
{
	const struct ivshm_config *config = &load->object->config;

	if (!ivshm_config_instance(config, name)) {
		config_error(load, value, "%s for '%s', but there is no such instance", what, name);
		return false;
	}
	for (unsigned i = 0; i < group->members_count; i++)
		if (!strcmp(config->instances[group->member[i]].name, name))
			return true;
	config_error(load, value, "%s for instance '%s', which is not a member of group '%s'", what,
		     name, group->name);
	return false;
}

static void check_limit(struct config_load *load, const struct config_node *node,
			const struct config_raw_limit *raw, struct ivshm_group_config *group)
{
	struct ivshm_limit_config *out = &group->limits[group->limits_count];
	const struct config_node *value = config_value(node, "instance");

	out->instance = raw->instance;
	config_check_member(load, value, group, "a limit", raw->instance);
	for (unsigned i = 0; i < group->limits_count; i++)
		if (!strcmp(group->limits[i].instance, raw->instance))
			config_error(load, value, "group '%s' has a limit for '%s' already",
				     group->name, raw->instance);
	if (!raw->objects && !raw->memory)
		config_error(load, node, "a limit for '%s' of neither 'objects' nor 'memory'",
			     raw->instance);
	if (raw->objects && *raw->objects > IST_ARENA_SLOTS)
		config_error(load, config_value(node, "objects"), "'objects': %u; a region has %u",
			     *raw->objects, IST_ARENA_SLOTS);
	if (raw->objects) {
		out->objects = *raw->objects;
		out->limits |= IST_LIMIT_OBJECTS;
	}
	if (raw->memory && config_check_size(load, node, "memory", raw->memory, &out->memory))
		out->limits |= IST_LIMIT_MEMORY;
	group->limits_count++;
}

int config_limits(struct config_load *load, const struct config_node *node,
		  const struct config_raw_group *raw, struct ivshm_group_config *group)
{
	const struct config_node *list = config_value(node, "limits");

	group->limits = calloc(raw->limits_count + 1u, sizeof(*group->limits));
	if (!group->limits)
		return -ENOMEM;
	for (unsigned i = 0; i < raw->limits_count; i++)
		check_limit(load, config_item(list, i), &raw->limits[i], group);
	return 0;
}
