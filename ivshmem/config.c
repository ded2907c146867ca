/* SPDX-License-Identifier: BSD-2-Clause */
/* config.c: loads a configuration, and answers questions about it. */
#include "config.h"
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config_object *object_of(const struct ivshm_config *config)
{
	return (struct config_object *)(uintptr_t)config;
}

static void load_all(struct config_load *load)
{
	config_document_read(load);
	if (!load->root)
		return;
	config_walk(load);
	if (load->unloadable || load->no_memory)
		return;
	switch (config_raw_load(load, &load->object->raw)) {
	case 0:
		break;
	case -ENOMEM:
		load->no_memory = true;
		return;
	default:
		return;
	}
	if (config_instances(load) || config_groups(load))
		load->no_memory = true;
}

int ivshm_config_load_text(const char *text, size_t length, const char *path, FILE *errors,
			   struct ivshm_config **out)
{
	struct config_load load = {.path = path, .text = text ? text : "", .length = length};
	int result = -ENOMEM;

	load.object = calloc(1, sizeof(*load.object));
	if (!load.object)
		return -ENOMEM;
	load.object->config.path = strdup(path);
	if (!load.object->config.path)
		goto out;
	if (length > CONFIG_FILE_MAX)
		config_error_at(&load, 1, 1, "the file is larger than 1 MiB");
	else
		load_all(&load);
	if (load.no_memory)
		goto out;
	result = load.errors.count ? -EINVAL : 0;
	if (errors)
		config_notes_print(&load.errors, path, errors);
	if (result == 0)
		*out = &load.object->config;
out:
	config_node_free(load.root);
	config_notes_fini(&load.errors);
	if (result)
		ivshm_config_free(&load.object->config);
	return result;
}

/* Up to `size` bytes of a file (which may be a pipe). Returns their count, or -errno. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
	size_t length = 0;
	ssize_t count = 1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (length < size && count) {
		count = read(fd, text + length, size - length);
		if (count < 0 && errno != EINTR) {
			count = -errno;
			close(fd);
			return count;
		}
		length += count > 0 ? (size_t)count : 0;
	}
	close(fd);
	return (ssize_t)length;
}

int ivshm_config_load(const char *path, FILE *errors, struct ivshm_config **out)
{
	ssize_t length;
	char *text;
	int result;

	text = malloc(CONFIG_FILE_MAX + 1);
	if (!text)
		return -ENOMEM;
	length = read_file(path, text, CONFIG_FILE_MAX + 1);
	if (length < 0) {
		if (errors)
			fprintf(errors, "%s:1:1: error: cannot read the file: %s\n", path,
				strerror((int)-length));
		result = (int)length;
	} else {
		result = ivshm_config_load_text(text, (size_t)length, path, errors, out);
	}
	free(text);
	return result;
}

void ivshm_config_free(struct ivshm_config *config)
{
	struct config_object *object = object_of(config);

	if (!config)
		return;
	for (unsigned i = 0; i < config->groups_count; i++)
		free(config->groups[i].regions);
	free(config->groups);
	free(config->instances);
	free(config->path);
	config_raw_free(object->raw);
	free(object);
}

const struct ivshm_instance_config *ivshm_config_instance(const struct ivshm_config *config,
							  const char *name)
{
	for (unsigned i = 0; i < config->instances_count; i++) {
		if (!strcmp(config->instances[i].name, name))
			return &config->instances[i];
	}
	return NULL;
}

const struct ivshm_group_config *ivshm_config_group(const struct ivshm_config *config,
						    const char *name)
{
	for (unsigned i = 0; i < config->groups_count; i++) {
		if (!strcmp(config->groups[i].name, name))
			return &config->groups[i];
	}
	return NULL;
}

const struct ivshm_instance_config *ivshm_config_member(const struct ivshm_config *config,
							const struct ivshm_group_config *group,
							unsigned id)
{
	if (id >= group->members_count || group->member[id] == IVSHM_NO_MEMBER)
		return NULL;
	return &config->instances[group->member[id]];
}

const struct ivshm_region_config *ivshm_config_paged(const struct ivshm_config *config,
						     const struct ivshm_group_config *group,
						     unsigned id)
{
	for (unsigned i = 0; i < group->regions_count; i++) {
		if (group->regions[i].coherence == IST_COHERENCE_PAGE &&
		    ivshm_config_right(config, group, i, id) != IST_RIGHT_NONE)
			return &group->regions[i];
	}
	return NULL;
}

uint32_t ivshm_config_right(const struct ivshm_config *config,
			    const struct ivshm_group_config *group, unsigned index, unsigned id)
{
	const struct ivshm_instance_config *member = ivshm_config_member(config, group, id);
	const struct ivshm_region_config *region;

	if (index >= group->regions_count || !member)
		return IST_RIGHT_NONE;
	region = &group->regions[index];
	for (unsigned i = 0; i < region->rights_count; i++) {
		if (!strcmp(region->rights[i].instance, member->name))
			return region->rights[i].access;
	}
	return region->access;
}
