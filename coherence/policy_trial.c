/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy_trial.c: where no rule says which of two policies is faster on this machine, as that
 * depends on how far apart its caches are: the other one holds for a window, for another if it was,
 * and is kept if it was again.
 */
#include "policy.h"

/* Windows from one trial to the next: a power of 2, the first and the most. */
#define PATIENCE_FIRST 4u
#define PATIENCE_MOST 6u

/* Whether it took enough less to be worth a switch. */
static int better(uint64_t cost, uint64_t before)
{
	return cost <= before - before / 8;
}

/*
 * What a use costs now, after one more window: a window in which the processors had other things to
 * do says too much, so it is the least of the last ones; those before count an eighth more each
 * time, as what a use costs may change.
 */
static uint64_t usual(uint64_t before, uint64_t cost)
{
	before += before / 8;
	return before && before < cost ? before : cost;
}

uint32_t coh_trial(struct coh_trial *trial, uint32_t policy, uint32_t other, uint64_t cost)
{
	/* One window is no pattern. */
	if (!trial->patience) {
		*trial = (struct coh_trial){.patience = PATIENCE_FIRST - 1, .before = cost};
		return policy;
	}
	if (!trial->trying) {
		trial->before = usual(trial->before, cost);
		if (trial->wait) {
			trial->wait--;
			return policy;
		}
		trial->trying = 1;
		return other;
	}
	/* Once could be luck: nobody else was there just then. */
	if (better(cost, trial->before) && !trial->wait) {
		trial->wait = 1;
		return policy;
	}
	trial->trying = 0;
	/* Who was wrong before was wrong for a reason, most often: the next trial is later. */
	if (better(cost, trial->before)) {
		trial->patience = PATIENCE_FIRST;
		other = policy;
	} else if (trial->patience < PATIENCE_MOST) {
		trial->patience++;
	} else {
		trial->patience = PATIENCE_MOST;
	}
	trial->wait = 1u << trial->patience;
	return other;
}
