/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_status.c: the answer to STATUS, one row after the other, each made when it can be sent:
 * who asks and does not read costs nothing.
 */
#include "broker_internal.h"

#include <string.h>
#include <unistd.h>

static uint64_t age(uint64_t since_ns)
{
	return since_ns ? ivshm_clock_ns() - since_ns : 0;
}

static void make_instance(const struct ivshm_broker *broker, uint32_t index,
			  struct ivshm_control_row *row)
{
	const struct ivshm_instance_config *instance = &broker->config->instances[index];
	struct ivshm_process process = ivshm_controls_process(broker->controls, index);

	row->type = IVSHM_CONTROL_INSTANCE;
	row->index = index;
	row->kind = instance->kind;
	row->flags = instance->autostart ? IVSHM_CONTROL_AUTOSTART : 0;
	ivshm_wire_set_string(row->name, sizeof(row->name), instance->name);
	row->pid = process.pid;
	row->age_ns = age(process.since_ns);
	if (process.pid) {
		row->process = IVSHM_CONTROL_RUNS;
		if (ivshm_process_stalled(process.pid, process.pidfd))
			row->flags |= IVSHM_CONTROL_STALLED;
	} else if (process.ended) {
		row->process = IVSHM_CONTROL_ENDED;
		row->code = process.status;
		row->flags |= process.unknown ? IVSHM_CONTROL_UNKNOWN : 0;
	}
}

/* The peers' rows follow: what they have exchanged is looked at for all together. */
static void make_group(struct ivshm_group *group, uint32_t index, struct ivshm_control_row *row)
{
	ivshm_group_count(group);
	row->type = IVSHM_CONTROL_GROUP;
	row->index = index;
	row->size = group->memory.layout.total_size;
	row->page_size = group->config->page_size;
	row->count = group->config->max_peers;
	row->vectors = group->config->vectors;
	row->flags = (group->run_page >= 0 ? IVSHM_CONTROL_RUN_STATE : 0) |
		     (group->taken ? IVSHM_CONTROL_TAKEN : 0) |
		     (group->memory.map ? 0 : IVSHM_CONTROL_WAITING);
	ivshm_wire_set_string(row->name, sizeof(row->name), group->config->name);
}

static void make_region(const struct ivshm_group *group, uint32_t index,
			struct ivshm_control_row *row)
{
	const struct ivshm_region_config *region = &group->config->regions[index];

	row->type = IVSHM_CONTROL_REGION;
	row->index = index;
	row->offset = group->memory.layout.region_offset[index];
	row->size = region->size;
	row->coherence = region->coherence;
	ivshm_wire_set_string(row->name, sizeof(row->name), region->name);
}

static uint64_t rights_of(const struct ivshm_group *group, uint32_t id)
{
	uint64_t rights = 0;

	for (unsigned i = 0; i < group->config->regions_count; i++)
		rights |= (uint64_t)ivshm_config_right(group->broker->config, group->config, i, id)
			  << 2 * i;
	return rights;
}

static void make_peer(const struct ivshm_group *group, uint32_t id, struct ivshm_control_row *row)
{
	const struct ivshm_seat *seat = &group->seat[id];
	const struct ivshm_instance_config *instance =
		ivshm_config_member(group->broker->config, group->config, id);

	row->type = IVSHM_CONTROL_PEER;
	row->index = id;
	row->kind = instance->kind;
	row->state = seat->state;
	row->incarnation = seat->incarnation;
	row->age_ns = age(seat->since_ns);
	row->rights = rights_of(group, id);
	ivshm_wire_set_string(row->name, sizeof(row->name), instance->name);
	if (!seat->link)
		return;
	row->pid = seat->link->pid;
	row->kind = seat->kind;
	row->sent = group->messages[id].sent;
	row->received = group->messages[id].received;
	row->flags = IVSHM_CONTROL_JOINED;
	if (seat->kind == IST_KIND_APP || seat->kind == IST_KIND_LINUX)
		row->flags |= IVSHM_CONTROL_ENFORCED;
	if (ivshm_process_stalled(seat->link->pid, seat->link->process.fd))
		row->flags |= IVSHM_CONTROL_STALLED;
	if (seat->link->away)
		row->flags |= seat->link->legacy ? IVSHM_CONTROL_DEAF : IVSHM_CONTROL_AWAY;
	if (seat->link->returned) {
		row->flags |= IVSHM_CONTROL_BACK;
		row->back_ns = age(seat->link->back_ns);
	}
	if (!ivshm_seat_rings(seat, group->config->vectors))
		row->flags |= IVSHM_CONTROL_UNREACHED;
	if (ivshm_seat_rung(group, id, &row->doorbells))
		row->flags |= IVSHM_CONTROL_COUNTED;
}

/* Stages that have no rows are passed. */
static void skip_empty(const struct ivshm_broker *broker, struct ivshm_status_at *at)
{
	/* A reload between two rows may have taken some away. */
	if (at->stage == IVSHM_STATUS_INSTANCES && at->index >= broker->config->instances_count)
		*at = (struct ivshm_status_at){.stage = IVSHM_STATUS_GROUPS};
	for (;;) {
		const struct ivshm_group *group = &broker->group[at->group];

		if (at->stage == IVSHM_STATUS_GROUPS && at->group == broker->groups_count)
			at->stage = IVSHM_STATUS_END;
		else if (at->stage == IVSHM_STATUS_REGIONS &&
			 at->index >= group->config->regions_count)
			*at = (struct ivshm_status_at){IVSHM_STATUS_PEERS, at->group, 0};
		else if (at->stage == IVSHM_STATUS_PEERS &&
			 at->index < group->config->members_count &&
			 group->config->member[at->index] == IVSHM_NO_MEMBER)
			at->index++;
		else if (at->stage == IVSHM_STATUS_PEERS &&
			 at->index >= group->config->members_count)
			*at = (struct ivshm_status_at){IVSHM_STATUS_GROUPS, at->group + 1, 0};
		else
			return;
	}
}

void ivshm_status_row(struct ivshm_broker *broker, struct ivshm_status_at *at,
		      struct ivshm_control *out)
{
	struct ivshm_control_row *row = &out->row;

	memset(row, 0, sizeof(*row));
	out->text[0] = '\0';
	skip_empty(broker, at);
	switch (at->stage) {
	case IVSHM_STATUS_UP:
		row->type = IVSHM_CONTROL_UP;
		row->pid = getpid();
		ivshm_controls_about(broker->controls, out);
		break;
	case IVSHM_STATUS_INSTANCES:
		make_instance(broker, at->index, row);
		break;
	case IVSHM_STATUS_GROUPS:
		make_group(&broker->group[at->group], at->group, row);
		break;
	case IVSHM_STATUS_REGIONS:
		make_region(&broker->group[at->group], at->index, row);
		break;
	case IVSHM_STATUS_PEERS:
		make_peer(&broker->group[at->group], at->index, row);
		break;
	case IVSHM_STATUS_END:
		row->type = IVSHM_CONTROL_DONE;
		break;
	}
}

void ivshm_status_next(struct ivshm_status_at *at)
{
	if (at->stage == IVSHM_STATUS_UP || at->stage == IVSHM_STATUS_GROUPS) {
		at->stage++;
		at->index = 0;
	} else {
		at->index++;
	}
}
