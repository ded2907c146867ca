/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_legacy.c: members of kind qemu. QEMU maps all of a group for reading and writing, so their
 * rights can be asked for, and nobody enforces them.
 */
#include "config_internal.h"

#include <string.h>

bool ivshm_config_asked(const struct ivshm_config *config, const struct ivshm_group_config *group,
			unsigned index, unsigned id)
{
	return id < group->members_count &&
	       config->instances[group->member[id]].kind == IST_KIND_QEMU &&
	       ivshm_config_right(config, group, index, id) != IST_RIGHT_WRITE;
}

/* Where the instance names the group. */
static const struct config_node *membership(const struct config_load *load,
					    const struct ivshm_group_config *group, unsigned id)
{
	const struct config_node *list = config_value(load->root, "instances");
	const struct config_node *names =
		config_value(config_item(list, group->member[id]), "groups");
	const struct config_node *name = names->first;

	while (name->next && strcmp(name->text, group->name) != 0)
		name = name->next;
	return name;
}

static void check_member(struct config_load *load, const struct ivshm_group_config *group,
			 unsigned id)
{
	const struct ivshm_config *config = &load->object->config;
	const char *name = config->instances[group->member[id]].name;

	for (unsigned i = 0; i < group->regions_count; i++) {
		if (!ivshm_config_asked(config, group, i, id))
			continue;
		config_error(load, membership(load, group, id),
			     "instance '%s' is QEMU's, which maps all of group '%s' for writing: "
			     "its right %s on region '%s' can only be asked for; say 'legacy: "
			     "trusted' in the group to do so",
			     name, group->name,
			     config_access_names[ivshm_config_right(config, group, i, id)],
			     group->regions[i].name);
		return;
	}
	if (group->output_size)
		config_error(load, membership(load, group, id),
			     "instance '%s' is QEMU's, which maps all of group '%s' for writing, "
			     "others' output sections too; say 'legacy: trusted' in the group to "
			     "allow that",
			     name, group->name);
}

void config_check_legacy(struct config_load *load, const struct ivshm_group_config *group)
{
	if (group->legacy_trusted)
		return;
	for (unsigned id = 0; id < group->members_count; id++) {
		if (load->object->config.instances[group->member[id]].kind == IST_KIND_QEMU)
			check_member(load, group, id);
	}
}
