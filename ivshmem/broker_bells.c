/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_bells.c: how often the doorbells of whom a seat holds are rung: of its vectors, by
 * whomever. Where the kernel does not let us count, of nobody; nothing else follows from it.
 */
#include "bell_count.h"
#include "broker_internal.h"
#include "log.h"

#include <string.h>

void ivshm_broker_count_bells(struct ivshm_broker *broker)
{
	uint32_t most = broker->config->groups_count * IST_PEERS_MAX * IST_VECTORS_MAX;
	char error[256];

	if (most == 0) /* no group */
		return;
	if (ivshm_bell_count_create(most, error, sizeof(error), &broker->bells))
		ivshm_log(IVSHM_LOG_INFO, "doorbells are not counted: %s", error);
}

void ivshm_seat_count_bells(struct ivshm_group *group, uint32_t id)
{
	struct ivshm_seat *seat = &group->seat[id];
	int r = 0;

	if (!group->broker->bells || seat->counted)
		return;
	seat->counted = true;
	for (unsigned i = 0; r == 0 && i < group->config->vectors; i++)
		r = ivshm_bell_count_add(group->broker->bells, seat->bell[i]);
	if (r == 0)
		return;
	ivshm_seat_forget_bells(group, id);
	ivshm_broker_warn(group->broker, "group %s: doorbells of ID %u are not counted: %s",
			  group->config->name, id, strerror(-r));
}

void ivshm_seat_forget_bells(struct ivshm_group *group, uint32_t id)
{
	struct ivshm_seat *seat = &group->seat[id];

	if (!seat->counted)
		return;
	for (unsigned i = 0; i < group->config->vectors; i++)
		ivshm_bell_count_remove(group->broker->bells, seat->bell[i]);
	seat->counted = false;
}

bool ivshm_seat_rung(const struct ivshm_group *group, uint32_t id, uint64_t *rings)
{
	const struct ivshm_seat *seat = &group->seat[id];

	*rings = 0;
	if (!seat->counted)
		return false;
	for (unsigned i = 0; i < group->config->vectors; i++) {
		uint64_t of_vector = 0;

		if (ivshm_bell_count_read(group->broker->bells, seat->bell[i], &of_vector))
			return false;
		*rings += of_vector;
	}
	return true;
}
