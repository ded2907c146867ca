/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_run.c: whose threads the run-state pages show: of a VM those that it names, of a process
 * all. docs/protocol.md, "Who runs".
 */
#include "broker_internal.h"
#include "log.h"

#include <errno.h>
#include <string.h>

void ivshm_broker_run_create(struct ivshm_broker *broker)
{
	const struct ivshm_config *config = broker->config;
	bool wanted = false;
	char error[256];

	for (unsigned i = 0; i < config->groups_count; i++)
		wanted |= config->groups[i].run_state;
	if (wanted &&
	    ivshm_run_state_create(config->groups_count, error, sizeof(error), &broker->run))
		ivshm_log(IVSHM_LOG_INFO, "no run state: %s", error);
}

void ivshm_group_run_create(struct ivshm_group *group)
{
	struct ivshm_broker *broker = group->broker;
	unsigned index = (unsigned)(group - broker->group);

	group->run_page = -1;
	if (!broker->run || !group->config->run_state)
		return;
	group->run_page = ivshm_run_state_add_page(broker->run, index, group->config->max_peers);
	if (group->run_page < 0) {
		ivshm_log(IVSHM_LOG_INFO, "group %s: no run state: %s", group->config->name,
			  strerror(-group->run_page));
		group->run_page = -1;
	}
}

static struct ivshm_run_seat seat_of(const struct ivshm_link *link)
{
	const struct ivshm_group *group = link->group;

	return (struct ivshm_run_seat){.group = (uint32_t)(group - group->broker->group),
				       .id = link->id,
				       .incarnation = group->seat[link->id].incarnation,
				       .threads = link->threads};
}

/* What cannot be watched is not known to run or not: that is all. */
static void watch(struct ivshm_link *link, uint32_t thread)
{
	struct ivshm_run_thread *who = &link->thread[link->watched];
	struct ivshm_run_seat seat = seat_of(link);
	int r;

	*who = (struct ivshm_run_thread){(uint32_t)link->pid, thread};
	r = ivshm_run_state_watch(link->group->broker->run, who, &seat);
	if (r == 0)
		link->watched++;
	else
		ivshm_broker_warn(link->group->broker, "group %s: pid %d cannot be watched: %s",
				  link->group->config->name, (int)link->pid, strerror(-r));
}

int ivshm_link_thread(struct ivshm_link *link, const struct ist_wire *wire)
{
	if (wire->count == 0 || wire->count > IST_RUN_THREADS_MAX) {
		ivshm_link_refuse(link, EPROTO, "a thread of %u vCPUs", wire->count);
		return -EPROTO;
	}
	if (link->threads != 0 && link->threads != wire->count) {
		ivshm_link_refuse(link, EPROTO, "a thread of %u vCPUs, after one of %u",
				  wire->count, link->threads);
		return -EPROTO;
	}
	if (wire->id == IVSHM_RUN_ALL_THREADS || link->told_threads == wire->count) {
		ivshm_link_refuse(link, EPROTO, "thread %u is none of %u vCPUs", wire->id,
				  wire->count);
		return -EPROTO;
	}
	link->threads = wire->count;
	link->told_threads++;
	watch(link, wire->id);
	return 0;
}

void ivshm_link_watch(struct ivshm_link *link)
{
	const struct ivshm_seat *seat = &link->group->seat[link->id];

	if (link->group->run_page < 0 || seat->kind != IST_KIND_PROCESS || link->threads != 0)
		return;
	link->threads = 1;
	watch(link, IVSHM_RUN_ALL_THREADS);
}

void ivshm_link_forget(struct ivshm_link *link)
{
	struct ivshm_run_seat seat = seat_of(link);

	while (link->watched > 0)
		ivshm_run_state_forget(link->group->broker->run, &link->thread[--link->watched],
				       &seat);
}
