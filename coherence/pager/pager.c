// SPDX-License-Identifier: BSD-2-Clause
/* pager.c: the pager's life: what it takes over, whom it is told of, what it gives back. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

int coh_pager_fail(char *error, size_t error_size, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return code;
}

struct coh_pager *coh_pager_create(void)
{
	struct coh_pager *pager = calloc(1, sizeof(*pager));

	if (pager == NULL)
		return NULL;
	pthread_mutex_init(&pager->lock, NULL);
	pager->permissions.fd = -1;
	return pager;
}

/* The thread looks at what it waits for. */
static void tell(struct coh_pager *pager)
{
	if (!pager->running)
		return;
	__atomic_store_n(&pager->news, 1, __ATOMIC_RELEASE);
	eventfd_write(pager->peer[pager->group.id].bell, 1);
}

void coh_pager_met(struct coh_pager *pager)
{
	/* Release: partner of the exchange in on_met(). Once is enough. */
	if (pager != NULL && pager->running &&
	    !__atomic_exchange_n(&pager->met, 1, __ATOMIC_ACQ_REL))
		eventfd_write(pager->peer[pager->group.id].bell, 1);
}

static void forget(struct coh_pager *pager, uint32_t id)
{
	pthread_mutex_lock(&pager->lock);
	if (pager->peer[id].incarnation != 0)
		close(pager->peer[id].bell);
	pager->peer[id].incarnation = 0;
	pthread_mutex_unlock(&pager->lock);
}

void coh_pager_peer(struct coh_pager *pager, uint32_t id, uint32_t incarnation, int bell)
{
	forget(pager, id);
	pthread_mutex_lock(&pager->lock);
	pager->peer[id] = (struct coh_pager_peer){incarnation, bell};
	pthread_mutex_unlock(&pager->lock);
	tell(pager);
}

/* Only who calls this changes it. */
int coh_pager_bell(const struct coh_pager *pager, uint32_t id)
{
	return pager->peer[id].incarnation ? pager->peer[id].bell : -1;
}

void coh_pager_gone(struct coh_pager *pager, uint32_t id, uint32_t incarnation)
{
	if (pager->peer[id].incarnation != incarnation)
		return;
	forget(pager, id);
	tell(pager);
}

static int take_over(struct coh_pager *pager, const struct coh_pager_region *region, char *error,
		     size_t error_size)
{
	struct coh_paged *paged = &pager->paged[pager->regions++];
	void *content;
	int n;

	*paged = (struct coh_paged){.pager = pager, .region = region, .base = region->base};
	if (region->size / IST_PAGE > UINT32_MAX)
		return coh_pager_fail(error, error_size, -EFBIG, "region '%s': too many pages",
				      region->name);
	paged->pages = (uint32_t)(region->size / IST_PAGE);
	n = coh_directory_open(paged, error, error_size);
	if (n != 0)
		return n;
	/* Both come as they are touched. */
	paged->page = calloc(paged->pages, sizeof(*paged->page));
	paged->list = calloc(paged->pages, sizeof(*paged->list));
	content = mmap(NULL, region->size, PROT_READ, MAP_SHARED, pager->group.memory,
		       (off_t)region->offset);
	if (content != MAP_FAILED)
		paged->content = content;
	if (paged->page == NULL || paged->list == NULL || content == MAP_FAILED)
		return coh_pager_fail(error, error_size, -ENOMEM, "region '%s': out of memory",
				      region->name);
	n = coh_permissions_take(&pager->permissions, paged->base, region->size);
	if (n != 0)
		return coh_pager_fail(error, error_size, n, "region '%s': userfaultfd: %s",
				      region->name, strerror(-n));
	coh_page_reap_own(paged);
	return 0;
}

/* What all regions take. */
static int open_all(struct coh_pager *pager, char *error, size_t error_size)
{
	void *head = mmap(NULL, IST_REGIONS_OFFSET, PROT_READ, MAP_SHARED, pager->group.memory, 0);

	if (head == MAP_FAILED)
		return coh_pager_fail(error, error_size, -errno, "cannot map the roster: %s",
				      strerror(errno));
	pager->head = head;
	pager->roster = (const void *)((const uint8_t *)head + IST_PEER_TABLE_OFFSET);
	return coh_permissions_open(&pager->permissions, pager->group.memory, pager->group.moments,
				    error, error_size);
}

/* Signals are for the threads of who uses the pager. */
static int start_thread(struct coh_pager *pager)
{
	sigset_t all, before;
	int n;

	pager->running = true; /* the thread may be told of peers at once, by itself */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	n = pthread_create(&pager->thread, NULL, coh_pager_run, pager);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (n != 0)
		pager->running = false;
	return n;
}

int coh_pager_start(struct coh_pager *pager, const struct coh_pager_group *group,
		    const struct coh_pager_ops *ops, void *context, char *error, size_t error_size)
{
	int n;

	if (group->regions == 0)
		return 0;
	pager->group = *group;
	pager->ops = ops;
	pager->context = context;
	n = open_all(pager, error, error_size);
	for (unsigned i = 0; n == 0 && i < group->regions; i++)
		n = take_over(pager, &pager->group.region[i], error, error_size);
	if (n != 0)
		return n;
	n = start_thread(pager);
	if (n != 0)
		return coh_pager_fail(error, error_size, -n, "cannot start a pager: %s",
				      strerror(n));
	return 0;
}

bool coh_pager_stats(const struct coh_pager *pager, struct coh_pager_stats *sum)
{
	const uint64_t *from = (const uint64_t *)(const void *)&pager->stats;
	uint64_t *to = (uint64_t *)(void *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	return pager->running;
}

uint32_t coh_pager_moments(const struct coh_pager *pager)
{
	uint32_t lasting;

	if (pager == NULL)
		return 0;
	/* In this order: one that ends in between is then counted, if it is not seen. */
	lasting = __atomic_load_n(&pager->permissions.lasting, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&pager->permissions.moments, __ATOMIC_SEQ_CST) << 1 | (lasting != 0);
}

static void give_back(struct coh_paged *paged)
{
	for (uint32_t i = 0; paged->twins != 0; i++) {
		paged->twins -= paged->page[i].twin != NULL;
		free(paged->page[i].twin);
	}
	free(paged->page);
	free(paged->list);
	if (paged->content != NULL)
		munmap((void *)(uintptr_t)paged->content, paged->region->size);
	coh_directory_close(paged);
}

void coh_pager_destroy(struct coh_pager *pager)
{
	if (pager == NULL)
		return;
	if (pager->running) {
		__atomic_store_n(&pager->stop, 1, __ATOMIC_RELEASE);
		tell(pager);
		pthread_join(pager->thread, NULL);
	}
	for (unsigned i = 0; i < pager->regions; i++)
		give_back(&pager->paged[i]);
	coh_permissions_close(&pager->permissions);
	if (pager->head != NULL)
		munmap(pager->head, IST_REGIONS_OFFSET);
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		forget(pager, id);
	pthread_mutex_destroy(&pager->lock);
	free(pager);
}
