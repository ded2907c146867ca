/* SPDX-License-Identifier: BSD-2-Clause */
/* broker_group.c: a group: its memory, its door, and who comes through it. */
#include "broker_internal.h"
#include "log.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PASSWD_SIZE 16384

static int find_user(const char *name, uid_t *out)
{
	char buffer[PASSWD_SIZE];
	struct passwd entry, *found;
	int r = getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);

	if (r)
		return -r;
	if (!found)
		return -EINVAL;
	*out = entry.pw_uid;
	return 0;
}

static int find_users(struct ivshm_group *group, char *error, size_t error_size)
{
	const struct ivshm_group_config *config = group->config;

	if (config->users_count == 0)
		return 0;
	group->users = calloc(config->users_count, sizeof(group->users[0]));
	if (!group->users)
		return ivshm_fail(error, error_size, -ENOMEM, "group '%s': out of memory",
				  config->name);
	for (unsigned i = 0; i < config->users_count; i++) {
		int r = find_user(config->users[i], &group->users[i]);

		if (r) {
			free(group->users);
			return ivshm_fail(error, error_size, r, "group '%s': no user '%s'",
					  config->name, config->users[i]);
		}
	}
	group->users_count = config->users_count;
	return 0;
}

/* Whether connections are taken, at all sockets of the group. */
static void set_paused(struct ivshm_group *group, bool paused)
{
	uint32_t events = paused ? 0 : EPOLLIN;

	group->paused = paused;
	ivshm_watch_change(group->broker, &group->listener, events);
	if (!group->memory.map) /* the first thing that QEMU is told of */
		events = 0;
	for (unsigned i = 0; i < group->legacy_count; i++)
		ivshm_watch_change(group->broker, &group->legacy[i].listener, events);
}

/* One a call: the next event brings the next. */
void ivshm_group_accept(struct ivshm_group *group, const struct ivshm_watch *listener,
			struct ivshm_legacy *legacy)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int r = fd < 0 ? -errno : ivshm_link_create(group, fd, legacy);

	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS) {
		ivshm_broker_warn(group->broker, "group %s: cannot take a connection: %s",
				  group->config->name, strerror(-r));
		set_paused(group, true);
		ivshm_broker_tick_later(group->broker);
	}
}

static void on_listener(void *owner, uint32_t events)
{
	struct ivshm_group *group = owner;

	(void)events;
	ivshm_group_accept(group, &group->listener, NULL);
}

/* New memory, of which the file says so. On an error there is none. */
static int make_memory(struct ivshm_group *group, const char *dir, char *error, size_t error_size)
{
	int r = ivshm_memory_create(&group->memory, group->broker->config, group->config, error,
				    error_size);

	if (r)
		return r;
	r = ivshm_group_make_state(group, dir, error, error_size);
	if (r)
		ivshm_memory_destroy(&group->memory);
	return r;
}

void ivshm_group_whole(struct ivshm_group *group)
{
	const struct ivshm_config *config = group->broker->config;

	for (uint32_t id = 0; id < group->config->members_count; id++) {
		const struct ivshm_seat *seat = &group->seat[id];

		if (seat->incarnation != 0)
			ivshm_roster_restore(&group->memory, id, seat->incarnation, seat->state,
					     config->instances[group->config->member[id]].name,
					     group->config->vectors, seat->kind);
	}
	set_paused(group, group->paused);
	ivshm_group_hear_held(group);
}

int ivshm_group_renew(struct ivshm_group *group)
{
	char error[256];
	int r;

	for (const struct ivshm_link *link = group->links; link; link = link->next)
		if (link->stage != IVSHM_STAGE_HELLO)
			return -EBUSY;
	r = make_memory(group, NULL, error, sizeof(error));
	if (r) {
		ivshm_broker_warn(group->broker, "%s", error);
		return r;
	}
	ivshm_log(IVSHM_LOG_INFO, "group %s: nobody is left who has its memory: it is new",
		  group->config->name);
	ivshm_group_whole(group);
	return 0;
}

/* The file before the lock that guards it. */
static void close_memory(struct ivshm_group *group)
{
	while (group->links)
		ivshm_link_destroy(group->links);
	ivshm_group_end_state(group);
	ivshm_memory_destroy(&group->memory);
}

/* The memory, and what is known of who uses it: a predecessor's, or new. */
static int open_memory(struct ivshm_group *group, const char *dir, char *error, size_t error_size)
{
	int r = ivshm_layout_compute(group->config, &group->memory.layout);

	group->memory.fd = -1;
	if (r)
		return ivshm_fail(error, error_size, r, "group '%s': its regions do not fit it",
				  group->config->name);
	r = ivshm_group_take_state(group, dir, error, error_size);
	if (r == 0 && group->taken)
		r = ivshm_group_take_over(group, error, error_size);
	else if (r == 0)
		r = make_memory(group, dir, error, error_size);
	if (r) {
		ivshm_broker_keep(group->broker);
		close_memory(group);
	}
	return r;
}

int ivshm_group_create(struct ivshm_group *group, struct ivshm_broker *broker,
		       const struct ivshm_group_config *config, const char *dir, char *error,
		       size_t error_size)
{
	int r;

	group->broker = broker;
	group->config = config;
	group->bells = config->vectors;
	for (unsigned i = 0; i < config->regions_count && group->bells == config->vectors; i++)
		group->bells += config->regions[i].coherence == IST_COHERENCE_PAGE;
	r = find_users(group, error, error_size);
	if (r)
		return r;
	/* Who may join is checked again by user when it connects. */
	r = ivshm_door_open(&group->door, &ivshm_group_door, dir, config->name,
			    config->users_count ? 0666 : 0600, error, error_size);
	if (r)
		goto out_users;
	group->listener.fd = group->door.listener;
	group->listener.ready = on_listener;
	group->listener.owner = group;
	r = ivshm_watch_add(broker, &group->listener, EPOLLIN);
	if (r) {
		ivshm_fail(error, error_size, r, "group '%s': %s", config->name, strerror(-r));
		goto out_door;
	}
	ivshm_group_run_create(group);
	/* Behind the lock: nobody else has the file open. */
	r = open_memory(group, dir, error, error_size);
	if (r)
		goto out_door;
	r = ivshm_group_open_legacy(group, dir, error, error_size);
	if (r)
		goto out_memory;
	set_paused(group, false);
	ivshm_log(IVSHM_LOG_INFO, "group %s: served at %s", config->name, group->door.socket_path);
	return 0;

out_memory:
	ivshm_broker_keep(broker);
	close_memory(group);
out_door:
	ivshm_watch_close(&group->listener);
	ivshm_door_close(&group->door);
out_users:
	free(group->users);
	return r;
}

void ivshm_group_destroy(struct ivshm_group *group)
{
	ivshm_group_close_legacy(group);
	close_memory(group);
	ivshm_watch_close(&group->listener);
	ivshm_door_close(&group->door);
	free(group->users);
}

void ivshm_group_tick(struct ivshm_group *group)
{
	struct ivshm_link *next;

	if (group->paused)
		set_paused(group, false);
	for (struct ivshm_link *link = group->links; link; link = next) {
		next = link->next;
		ivshm_link_tick(link);
	}
}
