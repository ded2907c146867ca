/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_state.c: what of a group outlives its broker, and what a predecessor has left.
 * docs/protocol.md, "The broker's restart".
 */
#include "broker_internal.h"
#include "log.h"
#include "process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- What a predecessor has left ---- */

/* 1: this process lives; 0; or -errno: it cannot be told. */
static int lives(pid_t pid, uint64_t start)
{
	int pidfd = ivshm_process_open(pid, start);

	if (pidfd < 0)
		return pidfd == -ESRCH ? 0 : pidfd;
	close(pidfd);
	return 1;
}

/* The first process of the group's that lives: its pid, and whose it is. 0: none; or -errno. */
static int find_living(const struct ivshm_state *state, const char **name)
{
	const struct ivshm_facts *facts = &ivshm_state_group(state)->facts;

	for (uint32_t id = 0; id < facts->members; id++) {
		const struct ivshm_state_peer *peer = ivshm_state_peer(state, id);
		const struct ivshm_state_process *process = ivshm_state_process(state, id);
		bool there = peer->state != IST_PEER_ABSENT && peer->state != IST_PEER_DEAD &&
			     !(peer->flags & IVSHM_STATE_BYE);
		int r = there ? lives(peer->pid, peer->start) : 0;

		*name = facts->member[id].name;
		if (r)
			return r < 0 ? r : peer->pid;
		if (!(process->flags & IVSHM_STATE_STARTED) || process->flags & IVSHM_STATE_ENDED)
			continue;
		r = lives(process->pid, process->start);
		if (r)
			return r < 0 ? r : process->pid;
	}
	return 0;
}

/* With living processes: whether this broker goes on with them. 0 or -errno with a line. */
static int judge(const struct ivshm_group *group, const char *who, int pid, char *error,
		 size_t error_size)
{
	const char *name = group->config->name;
	struct ivshm_facts facts;
	char difference[128];

	if (!group->broker->attach)
		return ivshm_fail(error, error_size, -EBUSY,
				  "group '%s': a broker that was killed has left '%s' running (pid "
				  "%d): --attach takes it over",
				  name, who, pid);
	ivshm_facts_of(group->broker->config, group->config, &group->memory.layout, &facts);
	if (ivshm_facts_differ(&ivshm_state_group(&group->state)->facts, &facts, difference,
			       sizeof(difference)))
		return ivshm_fail(error, error_size, -EINVAL,
				  "group '%s' runs with another configuration: %s", name,
				  difference);
	return 0;
}

int ivshm_group_take_state(struct ivshm_group *group, const char *dir, char *error,
			   size_t error_size)
{
	const char *who;
	char *path;
	int r, pid;

	if (asprintf(&path, "%s/%s.state", dir, group->config->name) < 0)
		return ivshm_fail(error, error_size, -ENOMEM, "group '%s': out of memory",
				  group->config->name);
	r = ivshm_state_open(&group->state, path, error, error_size);
	free(path);
	if (r == -ESTALE)
		ivshm_log(IVSHM_LOG_WARN, "%s", error);
	if (r == -ESTALE || r == -ENOENT)
		return 0;
	if (r)
		return r;
	pid = find_living(&group->state, &who);
	if (pid > 0)
		r = judge(group, who, pid, error, error_size);
	else if (pid < 0)
		r = ivshm_fail(error, error_size, pid, "group '%s': process of '%s': %s",
			       group->config->name, who, strerror(-pid));
	group->taken = pid > 0 && r == 0;
	/* What was refused is left as it was found. */
	if (!group->taken)
		ivshm_state_close(&group->state);
	return r;
}

/* ---- This broker's own ---- */

static void describe(const struct ivshm_group *group, struct ivshm_state_group *out)
{
	struct stat st = {0};

	memset(out, 0, sizeof(*out));
	fstat(group->memory.fd, &st);
	out->memory_device = st.st_dev;
	out->memory_inode = st.st_ino;
	ivshm_facts_of(group->broker->config, group->config, &group->memory.layout, &out->facts);
}

int ivshm_group_make_state(struct ivshm_group *group, const char *dir, char *error,
			   size_t error_size)
{
	struct ivshm_state_group described;
	char *path;
	int r = 0;

	describe(group, &described);
	if (group->state.file) { /* taken over: incarnations go on */
		ivshm_state_set_group(&group->state, &described);
	} else {
		if (asprintf(&path, "%s/%s.state", dir, group->config->name) < 0)
			return ivshm_fail(error, error_size, -ENOMEM, "group '%s': out of memory",
					  group->config->name);
		r = ivshm_state_create(&group->state, path, &described, error, error_size);
		free(path);
	}
	if (r)
		return r;
	group->memory.changes = group->state.file->changes;
	group->memory.kept = &group->state.file->changes;
	return 0;
}

void ivshm_group_end_state(struct ivshm_group *group)
{
	if (group->taken && group->broker->keep)
		ivshm_state_close(&group->state);
	else
		ivshm_state_remove(&group->state);
	group->memory.kept = NULL;
}

void ivshm_seat_store(struct ivshm_group *group, uint32_t id)
{
	const struct ivshm_seat *seat = &group->seat[id];
	struct ivshm_state_peer peer = {.state = seat->state,
					.incarnation = seat->incarnation,
					.kind = seat->kind,
					.since_ns = seat->since_ns};

	if (seat->link && seat->state != IST_PEER_ABSENT && seat->state != IST_PEER_DEAD) {
		peer.flags = seat->link->bye ? IVSHM_STATE_BYE : 0;
		peer.pid = seat->link->pid;
		peer.start = seat->link->start;
		memcpy(peer.bell, seat->bell, sizeof(peer.bell));
	}
	ivshm_state_set_peer(&group->state, id, &peer);
}

/* ---- Processes of instances ---- */

/* The ID that the instance has in the group, or members_count. */
static uint32_t id_of(const struct ivshm_group *group, unsigned instance)
{
	uint32_t id = 0;

	while (id < group->config->members_count && group->config->member[id] != instance)
		id++;
	return id;
}

bool ivshm_broker_process(const struct ivshm_broker *broker, unsigned instance,
			  struct ivshm_state_process *out)
{
	for (unsigned i = 0; i < broker->groups_count; i++) {
		const struct ivshm_group *group = &broker->group[i];
		uint32_t id = id_of(group, instance);

		if (!group->taken || id == group->config->members_count)
			continue;
		*out = *ivshm_state_process(&group->state, id);
		return true;
	}
	return false;
}

void ivshm_broker_set_process(struct ivshm_broker *broker, unsigned instance,
			      const struct ivshm_state_process *process)
{
	for (unsigned i = 0; i < broker->groups_count; i++) {
		struct ivshm_group *group = &broker->group[i];
		uint32_t id = id_of(group, instance);

		if (id < group->config->members_count)
			ivshm_state_set_process(&group->state, id, process);
	}
}
