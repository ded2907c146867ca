/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_reload_look.c: the first step of going over to another configuration: what it is, what
 * would change, and whether that is possible now. Nothing has changed when this is over.
 */
#include "broker_reload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int load(struct ivshm_reload *reload)
{
	struct stat status;
	char *errors = NULL, *line, *rest;
	size_t size;
	FILE *out;
	int r;

	/* Anything else could make everybody wait. */
	if (stat(reload->path, &status) == 0 && !S_ISREG(status.st_mode)) {
		ivshm_reload_say(reload, IVSHM_SAY_PLAIN, "%s: not a file", reload->path);
		return -EINVAL;
	}
	out = open_memstream(&errors, &size);
	if (!out)
		return -ENOMEM;
	r = ivshm_config_load(reload->path, out, &reload->next);
	if (fclose(out) != 0)
		r = r ? r : -ENOMEM;
	for (line = errors; line && (line = strtok_r(line, "\n", &rest)); line = NULL)
		do
			ivshm_reload_say(reload, IVSHM_SAY_PLAIN, "%s", line);
		while ((line = strtok_r(NULL, "\n", &rest)));
	free(errors);
	return r;
}

static int index_of(const struct ivshm_config *config, const char *name)
{
	const struct ivshm_instance_config *found = ivshm_config_instance(config, name);

	return found ? (int)(found - config->instances) : -1;
}

/* Who has joined a group as this instance; NULL: nobody. `group` NULL: any. */
const struct ivshm_link *ivshm_reload_joined(const struct ivshm_broker *broker,
					     const char *instance, const char *group_name)
{
	for (unsigned g = 0; g < broker->groups_count; g++) {
		const struct ivshm_group *group = &broker->group[g];

		if (group_name && strcmp(group->config->name, group_name) != 0)
			continue;
		for (uint32_t id = 0; id < group->config->members_count; id++) {
			const struct ivshm_instance_config *member =
				ivshm_config_member(broker->config, group->config, id);

			if (group->seat[id].link && member && !strcmp(member->name, instance))
				return group->seat[id].link;
		}
	}
	return NULL;
}

/* The process that is this instance, or 0. *here: it was started here. */
static pid_t pid_of(const struct ivshm_reload *reload, const char *instance, bool *here)
{
	const struct ivshm_broker *broker = reload->broker;
	int index = index_of(broker->config, instance);
	struct ivshm_process process = {0};
	const struct ivshm_link *link = ivshm_reload_joined(broker, instance, NULL);

	if (index >= 0)
		process = ivshm_controls_process(broker->controls, (unsigned)index);
	*here = process.pid != 0;
	return process.pid ? process.pid : link ? link->pid : 0;
}

static void refuse(struct ivshm_reload *reload, const struct ivshm_change *change,
		   const char *format, ...) __attribute__((format(printf, 3, 4)));

static void refuse(struct ivshm_reload *reload, const struct ivshm_change *change,
		   const char *format, ...)
{
	char why[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	ivshm_reload_say(reload, IVSHM_SAY_ERROR, "not while it runs: %s: %s", change->text, why);
}

/* A right of who has joined. */
static void check_right(struct ivshm_reload *reload, const struct ivshm_change *change)
{
	const struct ivshm_link *link =
		ivshm_reload_joined(reload->broker, change->instance, change->group);

	if (!link || link->legacy)
		return;
	if (ivshm_link_is_vm(link) && link->minor < 2)
		refuse(reload, change, "'%s' (pid %d) speaks ABI 1.%u, this takes 1.2",
		       change->instance, (int)link->pid, link->minor);
	else if (change->paged && !ivshm_link_is_vm(link))
		refuse(reload, change, "'%s' (pid %d) is a process, and the region page-coherent",
		       change->instance, (int)link->pid);
}

static void check_change(struct ivshm_reload *reload, const struct ivshm_change *change)
{
	bool here = true;
	pid_t pid = change->instance ? pid_of(reload, change->instance, &here) : 0;

	if (change->when == IVSHM_CHANGE_NEVER)
		refuse(reload, change, "%s", change->why);
	else if (change->when == IVSHM_CHANGE_STOPPED && pid)
		refuse(reload, change, "%s%s'%s' has pid %d", change->why,
		       *change->why ? ", and " : "", change->instance, (int)pid);
	else if (change->what == IVSHM_CHANGE_REMOVED && pid && !here)
		refuse(reload, change, "it was not started here (pid %d)", (int)pid);
	else if (change->what == IVSHM_CHANGE_RIGHT && change->instance)
		check_right(reload, change);
}

static int compare(struct ivshm_reload *reload)
{
	int r;

	ivshm_compare_continue(reload->broker->config, reload->next);
	r = ivshm_compare(reload->broker->config, reload->next, &reload->changes);
	for (unsigned i = 0; r == 0 && i < reload->changes.count; i++)
		check_change(reload, &reload->changes.change[i]);
	if (r == 0 && reload->said_error)
		r = -EBUSY;
	return r;
}

static int prepare_group(struct ivshm_reload *reload, unsigned index)
{
	struct ivshm_group *group = &reload->broker->group[index];
	const struct ivshm_group_config *next =
		ivshm_config_group(reload->next, group->config->name);
	char error[256];
	int r = ivshm_group_find_users(next, &reload->users[index], error, sizeof(error));

	if (r) {
		ivshm_reload_say(reload, IVSHM_SAY_ERROR, "%s", error);
		return r;
	}
	if (next->users_count && !group->config->users_count)
		r = ivshm_reload_set_modes(group, 0666);
	if (r)
		ivshm_reload_say(reload, IVSHM_SAY_ERROR, "group '%s': its sockets: %s", next->name,
				 strerror(-r));
	return r;
}

static int prepare(struct ivshm_reload *reload)
{
	struct ivshm_broker *broker = reload->broker;
	const struct ivshm_config *now = broker->config;
	void *context;
	const struct ivshm_control_ops *ops = ivshm_controls_ops(broker->controls, &context);
	int r = 0;

	reload->users = calloc(broker->groups_count + 1u, sizeof(reload->users[0]));
	reload->place = calloc(now->instances_count + 1u, sizeof(reload->place[0]));
	if (!reload->users || !reload->place)
		return -ENOMEM;
	for (unsigned i = 0; i < now->instances_count; i++)
		reload->place[i] =
			(unsigned)index_of(reload->next, now->instances[i].name); /* ~0u: gone */
	for (unsigned i = 0; r == 0 && i < broker->groups_count; i++)
		r = prepare_group(reload, i);
	if (r == 0)
		r = ops->prepare(context, reload->next);
	if (r == -ESHUTDOWN)
		ivshm_reload_say(reload, IVSHM_SAY_ERROR, "all is being ended");
	return r;
}

/* Who of those that have joined has a lesser right, and is only asked. */
static void mark_asked(struct ivshm_reload *reload)
{
	struct ivshm_broker *broker = reload->broker;

	for (unsigned i = 0; i < broker->groups_count; i++)
		for (struct ivshm_link *link = broker->group[i].links; link; link = link->next)
			link->rights.asked = false;
	for (unsigned i = 0; i < reload->changes.count; i++) {
		const struct ivshm_change *change = &reload->changes.change[i];
		struct ivshm_link *link;

		if (change->what != IVSHM_CHANGE_RIGHT || change->to > change->from)
			continue;
		link = (struct ivshm_link *)(uintptr_t)ivshm_reload_joined(broker, change->instance,
									   change->group);
		if (link && !ivshm_link_is_vm(link))
			link->rights.asked = true;
	}
}

static int mark_added(struct ivshm_reload *reload)
{
	const struct ivshm_config *next = reload->next;

	reload->added = calloc(next->instances_count + 1u, sizeof(reload->added[0]));
	if (!reload->added)
		return -ENOMEM;
	for (unsigned i = 0; i < next->instances_count; i++)
		reload->added[i] = index_of(reload->broker->config, next->instances[i].name) < 0;
	return 0;
}

int ivshm_reload_look(struct ivshm_reload *reload)
{
	int r = load(reload);

	return r ? r : compare(reload);
}

int ivshm_reload_prepare(struct ivshm_reload *reload)
{
	int r = mark_added(reload);

	if (r == 0)
		r = prepare(reload);
	if (r == 0)
		mark_asked(reload);
	return r;
}
