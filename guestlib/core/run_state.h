/* SPDX-License-Identifier: BSD-2-Clause */
/* run_state.h: whether a peer runs; docs/protocol.md, "Who runs". */
#ifndef IST_CORE_RUN_STATE_H
#define IST_CORE_RUN_STATE_H

#include "group.h"

/*
 * A platform found the group's run-state page, IST_RUN_STATE_SIZE bytes, mapped until the group is
 * closed. One that makes no sense is as if there were none.
 */
void ist_run_state_set(struct ist_group *group, const struct ist_run_state *page);

/*
 * Whether a thread of that incarnation of peer `id` is on a processor: 1 or 0; -ENODATA nothing is
 * known of it. Two loads, usually cached; no exit.
 */
int ist_run_state_of(const struct ist_group *group, uint32_t id, uint32_t incarnation);

#endif
