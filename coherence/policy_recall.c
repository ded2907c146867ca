/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* policy_recall.c: when an asker asks again, and when it asks no more. */
#include "policy.h"

static uint64_t passed(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

enum coh_recall_verdict coh_recall(const struct coh_recall *recall, uint64_t asked_ns,
				   uint64_t last_ns, uint64_t time_ns)
{
	if (passed(asked_ns, time_ns) >= recall->deadline_ns)
		return COH_RECALL_FORCE;
	if (recall->again_ns && passed(last_ns, time_ns) >= recall->again_ns)
		return COH_RECALL_AGAIN;
	return COH_RECALL_WAIT;
}
