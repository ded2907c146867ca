// SPDX-License-Identifier: BSD-2-Clause
/* limit.c: this peer's right on a region becomes less. */
#include "internal.h"

/* Reading alone: what it holds to write it writes to no more, and gives up when it is asked. */
static void limit_region(struct coh_pager *pager, unsigned i, uint32_t right)
{
	struct coh_paged *paged = &pager->paged[i];

	coh_pager_stop_declining(pager);
	pager->group.region[i].right = right;
	if (right != IST_RIGHT_NONE)
		return;
	/* First: what is woken by the pages' going finds nothing to ask for. */
	paged->closed = true;
	if (coh_pager_leave(paged) != 0)
		coh_pager_break(pager, "cannot take permissions away");
	coh_permissions_wake(&pager->permissions, paged->base, paged->region->size);
}

void coh_pager_do_limit(struct coh_pager *pager)
{
	struct coh_limit limit;

	pthread_mutex_lock(&pager->lock);
	limit = pager->limit;
	pthread_mutex_unlock(&pager->lock);
	if (!limit.wanted)
		return;
	for (unsigned i = 0; i < pager->regions; i++)
		if (pager->group.region[i].offset == limit.offset)
			limit_region(pager, i, limit.right);
	pthread_mutex_lock(&pager->lock);
	pager->limit.wanted = false;
	pthread_cond_broadcast(&pager->limited);
	pthread_mutex_unlock(&pager->lock);
}

void coh_pager_end_limits(struct coh_pager *pager)
{
	pthread_mutex_lock(&pager->lock);
	pager->finished = true;
	pthread_cond_broadcast(&pager->limited);
	pthread_mutex_unlock(&pager->lock);
}

void coh_pager_limit(struct coh_pager *pager, uint64_t offset, uint32_t right)
{
	if (pager == NULL || !pager->running)
		return;
	pthread_mutex_lock(&pager->lock);
	pager->limit = (struct coh_limit){.wanted = true, .offset = offset, .right = right};
	pthread_mutex_unlock(&pager->lock);
	coh_pager_tell(pager);
	pthread_mutex_lock(&pager->lock);
	while (pager->limit.wanted && !pager->finished)
		pthread_cond_wait(&pager->limited, &pager->lock);
	pthread_mutex_unlock(&pager->lock);
}
