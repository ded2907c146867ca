/* SPDX-License-Identifier: BSD-2-Clause */
/* joined_group.h: served_group.h's group, of which this process is "left". Include it once. */
#ifndef TESTS_JOINED_GROUP_H
#define TESTS_JOINED_GROUP_H

#include <check.h>

#include "tests/served_group.h"

static struct served served;
static struct ist_group *group;

static inline void start(void)
{
	served_start(&served);
	must(ist_group_open("ping", &group) == 0);
}

static inline void stop(void)
{
	ist_group_close(group);
	served_stop(&served);
}

static inline void await_state(uint32_t id, uint32_t incarnation, enum ist_peer_state state)
{
	uint64_t deadline = ist_time_ns() + PATIENCE_NS;
	struct ist_peer_info info;
	uint32_t seen = 0;

	for (;;) {
		must(ist_peer_get(group, id, &info) == 0);
		if (info.incarnation == incarnation && info.state == state)
			return;
		must(ist_time_ns() < deadline);
		ist_doorbell_wait(group, 0, &seen, 50000000);
	}
}

static inline void forever(struct ist_group *mine)
{
	(void)mine;
	for (;;)
		pause();
}

#endif
