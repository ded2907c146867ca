/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* policy_tenure.c: a minimum tenure, so that what is falsely shared stops bouncing. */
#include "policy.h"

#define LONG_AWAY 8u /* tenures */

static uint64_t within(const struct coh_tenure *t, uint64_t ns)
{
	if (ns > t->maximum_ns)
		ns = t->maximum_ns;
	return ns < t->minimum_ns ? t->minimum_ns : ns;
}

uint64_t coh_tenure_left(const struct coh_tenure *t, uint64_t since_ns, uint64_t time_ns)
{
	uint64_t tenure = within(t, t->now_ns), held = time_ns > since_ns ? time_ns - since_ns : 0;

	return held < tenure ? tenure - held : 0;
}

void coh_tenure_adapt(struct coh_tenure *t, uint64_t away_ns, int used)
{
	uint64_t tenure = within(t, t->now_ns);

	if (used && away_ns <= tenure) {
		/* From a minimum of nothing there is no doubling; and none beyond 64 bits. */
		tenure = tenure > t->maximum_ns / 2 ? t->maximum_ns : tenure ? tenure * 2 : 1;
	} else if (!used || away_ns / LONG_AWAY >= tenure) {
		tenure /= 2;
	}
	t->now_ns = within(t, tenure);
}
