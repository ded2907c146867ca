/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_reload.c: going over to another configuration, step by step, with nobody waited for.
 * docs/protocol.md, "Live change", has the steps by number.
 */
#include "broker_reload.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATIENCE_TICKS (2u * IVSHM_TICKS_A_SECOND)

void ivshm_reload_say(struct ivshm_reload *reload, char how, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (how == IVSHM_SAY_ERROR)
		reload->said_error = true;
	fprintf(reload->lines, "%c%s\n", how, text);
}

/* Said when they are made, or would be. */
static void say_changes(struct ivshm_reload *reload)
{
	for (unsigned i = 0; i < reload->changes.count; i++)
		ivshm_reload_say(reload, IVSHM_SAY_CHANGE, "%s", reload->changes.change[i].text);
}

/* All that was made is taken back or was taken over. */
static void destroy(struct ivshm_reload *reload)
{
	struct ivshm_broker *broker = reload->broker;

	for (unsigned i = 0; reload->users && i < broker->groups_count; i++)
		free(reload->users[i]);
	free(reload->users);
	free(reload->place);
	free(reload->added);
	free(reload->path);
	ivshm_changes_free(&reload->changes);
	ivshm_config_free(reload->next);
	if (reload->lines)
		fclose(reload->lines);
	free(reload->text);
	free(reload);
}

/* It is over: what there is to say goes to who asked. */
static void finish(struct ivshm_reload *reload, int code)
{
	struct ivshm_broker *broker = reload->broker;
	char *text = NULL;

	broker->reload = NULL;
	/* Where there was no memory for the lines there are none, and the code says so. */
	if (fclose(reload->lines) == 0) {
		text = reload->text;
		reload->text = NULL;
	} else if (code == 0) {
		code = ENOMEM;
	}
	reload->lines = NULL;
	ivshm_controls_reloaded(broker->controls, text, code);
	destroy(reload);
}

/* ---- Taken back ------------------------------------------------------------------------------ */

/* Sockets that more users may connect to. Who does is checked when it connects, so early is fine.
 */
int ivshm_reload_set_modes(const struct ivshm_group *group, mode_t mode)
{
	int r = chmod(group->door.socket_path, mode) ? -errno : 0;

	for (unsigned i = 0; r == 0 && i < group->legacy_count; i++)
		r = chmod(group->legacy[i].door.socket_path, mode) ? -errno : 0;
	return r;
}

static void set_next(struct ivshm_broker *broker, const struct ivshm_config *next)
{
	broker->next = next;
	for (unsigned i = 0; i < broker->groups_count; i++) {
		struct ivshm_group *group = &broker->group[i];

		group->next = next ? ivshm_config_group(next, group->config->name) : NULL;
		for (struct ivshm_link *link = group->links; link; link = link->next)
			link->rights.refused = 0;
	}
}

static void tell_all(struct ivshm_broker *broker)
{
	for (unsigned i = 0; i < broker->groups_count; i++)
		ivshm_group_tell_all(&broker->group[i]);
}

static void abandon(struct ivshm_reload *reload, int code)
{
	struct ivshm_broker *broker = reload->broker;
	void *context;
	const struct ivshm_control_ops *ops = ivshm_controls_ops(broker->controls, &context);

	ops->abandon(context);
	set_next(broker, NULL);
	tell_all(broker);
	for (unsigned i = 0; i < broker->groups_count; i++)
		if (!broker->group[i].config->users_count)
			ivshm_reload_set_modes(&broker->group[i], 0600);
	finish(reload, code);
}

/* ---- Steps 2 to 6 ---------------------------------------------------------------------------- */

/*
 * The first VM that has not confirmed yet: of those that have joined, or, `all`, of those too that
 * are about to and of those that have hung up.
 */
static const struct ivshm_link *pending(const struct ivshm_broker *broker, bool all)
{
	for (unsigned i = 0; i < broker->groups_count; i++)
		for (const struct ivshm_link *link = broker->group[i].links; link;
		     link = link->next)
			if (ivshm_link_rights_pending(link) &&
			    (all || (link->ready && link->socket.fd >= 0)))
				return link;
	return NULL;
}

static const struct ivshm_link *refusing(const struct ivshm_broker *broker)
{
	for (unsigned i = 0; i < broker->groups_count; i++)
		for (const struct ivshm_link *link = broker->group[i].links; link;
		     link = link->next)
			if (link->rights.refused && ivshm_link_is_vm(link))
				return link;
	return NULL;
}

static void more(struct ivshm_reload *reload)
{
	struct ivshm_broker *broker = reload->broker;
	const struct ivshm_link *link = refusing(broker);

	if (link) {
		ivshm_reload_say(reload, IVSHM_SAY_ERROR,
				 "group '%s': '%s' (pid %d) cannot have more: %s",
				 link->group->config->name, ivshm_link_name(link), (int)link->pid,
				 strerror((int)link->rights.refused));
		abandon(reload, (int)link->rights.refused);
		return;
	}
	link = pending(broker, false);
	if (link && reload->ticks >= PATIENCE_TICKS) {
		ivshm_reload_say(reload, IVSHM_SAY_ERROR,
				 "group '%s': '%s' (pid %d) does not answer",
				 link->group->config->name, ivshm_link_name(link), (int)link->pid);
		abandon(reload, ETIMEDOUT);
		return;
	}
	if (!link)
		reload->stage = IVSHM_RELOAD_STOP;
}

/* Those that are gone from the configuration. */
static void stop(struct ivshm_reload *reload)
{
	struct ivshm_broker *broker = reload->broker;
	void *context;
	const struct ivshm_control_ops *ops = ivshm_controls_ops(broker->controls, &context);
	bool any = false;

	for (unsigned i = 0; i < broker->config->instances_count; i++) {
		const char *name = broker->config->instances[i].name;
		struct ivshm_process process = {0};

		if (reload->place[i] != IVSHM_NO_MEMBER)
			continue;
		process = ivshm_controls_process(broker->controls, i);
		any |= process.pid || ivshm_reload_joined(broker, name, NULL);
		if (process.pid && !reload->told_to_end)
			ops->stop(context, i);
	}
	reload->told_to_end = true; /* and none of them starts meanwhile */
	if (!any)
		reload->stage = IVSHM_RELOAD_COMMIT;
}

static void commit_group(struct ivshm_group *group, uid_t **users)
{
	const struct ivshm_group_config *next = group->next;
	struct ivshm_layout layout;

	if (next->regions_count > group->config->regions_count &&
	    ivshm_layout_compute(next, &layout) == 0) {
		group->memory.layout = layout;
		ivshm_roster_add_regions(&group->memory, next);
		for (struct ivshm_link *link = group->links; link; link = link->next)
			link->rights.late = link->ready && !link->legacy &&
					    (link->minor < 2 || !ivshm_link_is_vm(link));
		ivshm_roster_changed(&group->memory);
	}
	if (!next->users_count && group->config->users_count)
		ivshm_reload_set_modes(group, 0600); /* who connects is refused in any case */
	free(group->users);
	group->users = *users;
	group->users_count = next->users_count;
	*users = NULL;
	group->config = next;
	group->next = NULL;
}

static void commit(struct ivshm_reload *reload)
{
	struct ivshm_broker *broker = reload->broker;
	struct ivshm_config *before = broker->loaded;
	void *context;
	const struct ivshm_control_ops *ops = ivshm_controls_ops(broker->controls, &context);

	broker->config = broker->loaded = reload->next;
	broker->next = reload->next = NULL;
	for (unsigned i = 0; i < broker->groups_count; i++)
		commit_group(&broker->group[i], &reload->users[i]);
	ivshm_controls_renumber(broker->controls, reload->place, reload->path);
	reload->path = NULL;
	ops->commit(context);
	say_changes(reload);
	/* The names in it were used until now. */
	ivshm_changes_free(&reload->changes);
	ivshm_config_free(before);
	/* The roster, then RIGHT, then vector 0: who is rung finds both. */
	for (unsigned i = 0; i < broker->groups_count; i++) {
		ivshm_group_rights_write(&broker->group[i]);
		ivshm_group_tell_all(&broker->group[i]);
		ivshm_group_ring_all(&broker->group[i]);
	}
	ivshm_log(IVSHM_LOG_INFO, "another configuration is in force: %s", broker->config->path);
	reload->stage = IVSHM_RELOAD_LESS;
	reload->ticks = 0;
}

/* Each VM that has not answered, by name; with `kill`, it is ended. */
static void name_pending(struct ivshm_reload *reload, bool end)
{
	const struct ivshm_broker *broker = reload->broker;

	for (unsigned i = 0; i < broker->groups_count; i++) {
		for (struct ivshm_link *link = broker->group[i].links; link; link = link->next) {
			if (!ivshm_link_rights_pending(link))
				continue;
			ivshm_reload_say(reload, end ? IVSHM_SAY_CHANGE : IVSHM_SAY_ERROR,
					 end ? "group '%s': '%s' (pid %d) does not answer: killed"
					     : "group '%s': '%s' (pid %d) does not answer: it may "
					       "still have what it had",
					 link->group->config->name, ivshm_link_name(link),
					 (int)link->pid);
			if (end)
				syscall(SYS_pidfd_send_signal, link->process.fd, SIGKILL, NULL, 0);
		}
	}
}

/* Those whose rights nobody enforces, where what they have is more. */
static void name_asked(struct ivshm_reload *reload)
{
	const struct ivshm_broker *broker = reload->broker;

	for (unsigned i = 0; i < broker->groups_count; i++) {
		const struct ivshm_group *group = &broker->group[i];

		for (const struct ivshm_link *link = group->links; link; link = link->next)
			if (link->rights.asked)
				ivshm_reload_say(
					reload, IVSHM_SAY_CHANGE,
					"group '%s': '%s' (pid %d) is only asked: %s",
					group->config->name, ivshm_link_name(link), (int)link->pid,
					link->legacy      ? "it is a QEMU"
					: link->minor < 2 ? "a process, which hears of it when "
							    "it joins again"
							  : "a process");
	}
}

/* Those that do not see a region that is new: a process's library maps what it was told at first.
 */
static void name_late(struct ivshm_reload *reload)
{
	const struct ivshm_broker *broker = reload->broker;

	for (unsigned i = 0; i < broker->groups_count; i++) {
		const struct ivshm_group *group = &broker->group[i];

		for (struct ivshm_link *link = group->links; link; link = link->next) {
			if (link->rights.late)
				ivshm_reload_say(reload, IVSHM_SAY_CHANGE,
						 "group '%s': '%s' (pid %d) sees new regions when "
						 "it joins again",
						 group->config->name, ivshm_link_name(link),
						 (int)link->pid);
			link->rights.late = false;
		}
	}
}

static void less(struct ivshm_reload *reload)
{
	const struct ivshm_link *link = pending(reload->broker, true);

	if (link && reload->ticks >= PATIENCE_TICKS) {
		bool end = reload->flags & IVSHM_CONTROL_FORCE && !reload->forced;

		name_pending(reload, end);
		reload->forced = true;
		reload->ticks = 0;
		link = end ? link : NULL;
	}
	if (!link)
		reload->stage = IVSHM_RELOAD_START;
}

static void start(struct ivshm_reload *reload)
{
	struct ivshm_broker *broker = reload->broker;
	void *context;
	const struct ivshm_control_ops *ops = ivshm_controls_ops(broker->controls, &context);

	for (unsigned i = 0; i < broker->config->instances_count; i++) {
		const struct ivshm_instance_config *instance = &broker->config->instances[i];
		int r;

		if (!instance->autostart || !reload->added[i])
			continue;
		r = ops->start(context, i);
		if (r)
			ivshm_reload_say(reload, IVSHM_SAY_ERROR,
					 "instance '%s' could not start: %s", instance->name,
					 strerror(-r));
	}
	name_asked(reload);
	name_late(reload);
	finish(reload, reload->said_error ? EIO : 0);
}

void ivshm_reload_step(struct ivshm_broker *broker)
{
	static void (*const steps[])(struct ivshm_reload * reload) = {
		[IVSHM_RELOAD_MORE] = more,     [IVSHM_RELOAD_STOP] = stop,
		[IVSHM_RELOAD_COMMIT] = commit, [IVSHM_RELOAD_LESS] = less,
		[IVSHM_RELOAD_START] = start,
	};
	enum ivshm_reload_stage before;

	while (broker->reload) {
		before = broker->reload->stage;
		steps[before](broker->reload);
		if (broker->reload && broker->reload->stage == before)
			break;
	}
}

void ivshm_reload_tick(struct ivshm_broker *broker)
{
	if (!broker->reload)
		return;
	broker->reload->ticks++;
	ivshm_broker_tick_later(broker);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int ivshm_reload_begin(struct ivshm_broker *broker, const char *path, uint32_t flags)
{
	struct ivshm_reload *reload = calloc(1, sizeof(*reload));
	int r;

	if (!reload)
		return -ENOMEM;
	reload->broker = broker;
	reload->flags = flags;
	reload->path = strdup(path);
	reload->lines = open_memstream(&reload->text, &reload->size);
	if (!reload->path || !reload->lines) {
		destroy(reload);
		return -ENOMEM;
	}
	broker->reload = reload;
	r = ivshm_reload_look(reload);
	if (r == 0 && flags & IVSHM_CONTROL_DRY) {
		say_changes(reload);
		finish(reload, 0);
		return 0;
	}
	if (r == 0)
		r = ivshm_reload_prepare(reload);
	if (r) {
		abandon(reload, -r);
		return 0;
	}
	set_next(broker, reload->next);
	tell_all(broker);
	ivshm_broker_tick_later(broker);
	return 0;
}

/* The broker ends, and all with it. */
void ivshm_reload_destroy(struct ivshm_broker *broker)
{
	if (broker->reload)
		destroy(broker->reload);
	broker->reload = NULL;
	ivshm_config_free(broker->loaded);
	broker->loaded = NULL;
}
