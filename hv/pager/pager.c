// SPDX-License-Identifier: BSD-2-Clause
/* pager.c: the pager's life and its thread: whatever happens, a page is looked at. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "ivshmem/log.h"

#include "internal.h"

#define FAULTS 16u
#define TENURE_GROWTH 16u   /* to so many times what is configured */
#define GUESSES_MAX 8u      /* stores that are not known to be one, after one that was */
#define DECLINED_NS 200000u /* a thread of the kernel has given up by then */
#define SLACK_NS 1000ul     /* a tenure is some microseconds: timers of 50 would not do */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void vmm_pager_break(struct vmm_pager *pager, const char *text)
{
	if (!pager->broken)
		pager->ops->broken(pager->context, text);
	pager->broken = true;
}

/* ---- Pages ---- */

struct coh_tenure vmm_page_tenure(const struct vmm_paged *paged, uint32_t index)
{
	return (struct coh_tenure){.minimum_ns = paged->tenure_ns,
				   .maximum_ns = paged->tenure_ns * TENURE_GROWTH,
				   .now_ns = paged->page[index].tenure_ns};
}

void vmm_page_due(struct vmm_paged *paged, uint32_t index, uint64_t when)
{
	struct vmm_page *page = &paged->page[index];

	if (page->due_ns == 0 || when < page->due_ns)
		page->due_ns = when;
	if (!page->active)
		paged->list[paged->listed++] = index;
	page->active = 1;
}

void vmm_page_look(struct vmm_paged *paged, uint32_t index, uint64_t now)
{
	struct vmm_page *page = &paged->page[index];

	if (paged->pager->broken)
		return;
	vmm_answer(paged, index, now);
	if (page->want != VMM_MAY_NOTHING)
		vmm_request(paged, index, now);
}

/* ---- What a fault needs ---- */

static void end_declining(struct vmm_pager *pager)
{
	struct vmm_paged *paged = pager->declined;

	if (paged != NULL &&
	    vmm_permission_decline_end(&pager->permissions,
				       paged->base + (size_t)pager->declined_page * IST_PAGE) != 0)
		vmm_pager_break(pager, "cannot make a mapping writable again");
	pager->declined = NULL;
}

/*
 * KVM lets a thread of the kernel wait for a page where it can (asynchronous page faults), and that
 * one asks for writing whatever the guest did. Where it matters, because others have the page too,
 * it is declined; then the vCPU faults by itself. Where that was a store last time, this is taken
 * for one for some times. True: declined.
 */
static bool decline(struct vmm_paged *paged, uint32_t index, struct vmm_permission_fault fault)
{
	struct vmm_pager *pager = paged->pager;
	struct vmm_page *page = &paged->page[index];
	struct ist_directory word = coh_load(&paged->entry[index].directory);

	if (fault.own || fault.present || page->have != VMM_MAY_NOTHING ||
	    page->want != VMM_MAY_NOTHING || pager->declined != NULL ||
	    paged->region->right != IST_RIGHT_WRITE ||
	    (word.sharers & ~coh_bit(pager->client->id)) == 0)
		return false;
	if (page->guesses != 0 && page->guesses++ < GUESSES_MAX)
		return false;
	page->guesses = 1; /* until a load is seen */
	if (vmm_permission_decline(&pager->permissions, paged->base + (size_t)index * IST_PAGE) !=
	    0) {
		vmm_pager_break(pager, "cannot decline a fault");
		return true;
	}
	pager->declined = paged;
	pager->declined_page = index;
	pager->declined_until = now_ns() + DECLINED_NS;
	return true;
}

/* Pages whose time has come, or all that wait for something. Returns when the next is due, or 0. */
static uint64_t look_at_due(struct vmm_paged *paged, bool all)
{
	uint64_t next = 0, now = now_ns();

	for (uint32_t i = paged->listed; i-- > 0;) {
		uint32_t index = paged->list[i];
		struct vmm_page *page = &paged->page[index];

		if (all || page->due_ns <= now) {
			uint64_t was = page->due_ns;

			page->due_ns = 0;
			if (all) /* the bell of a holder may have been unknown before */
				page->drawn_ns = 0;
			vmm_page_look(paged, index, was <= now ? now : now_ns());
		}
		if (page->due_ns == 0) {
			page->active = 0;
			paged->list[i] = paged->list[--paged->listed];
		} else if (next == 0 || page->due_ns < next) {
			next = page->due_ns;
		}
	}
	return next;
}

/* Pages that others say concern this peer. */
static void look_at_attention(struct vmm_paged *paged)
{
	size_t words = IST_PAGE_ATTENTION_SIZE(paged->pages) / sizeof(uint64_t);
	uint64_t *own = paged->attention + paged->pager->client->id * words;

	for (size_t i = 0; i < words; i++) {
		uint64_t bits = 0;

		/* Acquire: partner of the or in vmm_directory_draw(). */
		if (__atomic_load_n(&own[i], __ATOMIC_RELAXED) != 0)
			bits = __atomic_exchange_n(&own[i], 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1) {
			uint64_t index = i * 64 + (uint64_t)__builtin_ctzll(bits);

			if (index < paged->pages)
				vmm_page_look(paged, (uint32_t)index, now_ns());
		}
	}
}

static void on_fault(struct vmm_pager *pager, struct vmm_permission_fault fault)
{
	for (unsigned i = 0; i < pager->regions; i++) {
		struct vmm_paged *paged = &pager->paged[i];
		uintptr_t base = (uintptr_t)paged->base;
		struct vmm_page *page;
		uint32_t index;

		if (fault.address < base || fault.address - base >= paged->region->size)
			continue;
		index = (uint32_t)((fault.address - base) / IST_PAGE);
		page = &paged->page[index];
		vmm_count(fault.needs == VMM_MAY_WRITE ? &pager->stats.write_faults
						       : &pager->stats.read_faults);
		/* What may only be read is written to by nobody: KVM does not ask for it. */
		if (fault.needs == VMM_MAY_WRITE && paged->region->right != IST_RIGHT_WRITE)
			fault.needs = VMM_MAY_READ;
		if (pager->declined == paged && pager->declined_page == index)
			end_declining(pager);
		else if (decline(paged, index, fault))
			return;
		if (fault.own && fault.needs == VMM_MAY_READ)
			page->guesses = 0;
		if (page->want < fault.needs)
			page->want = (uint8_t)fault.needs;
		vmm_page_look(paged, index, now_ns());
	}
}

/* ---- The thread ---- */

static void on_faults(struct vmm_pager *pager)
{
	struct vmm_permission_fault fault[FAULTS];
	int count = vmm_permission_faults(&pager->permissions, fault, FAULTS);

	if (count < 0)
		vmm_pager_break(pager, "cannot read from userfaultfd");
	for (int i = 0; i < count; i++)
		on_fault(pager, fault[i]);
}

static void on_bell(struct vmm_pager *pager, int bell)
{
	eventfd_t count;

	eventfd_read(bell, &count);
	for (unsigned i = 0; i < pager->regions; i++)
		look_at_attention(&pager->paged[i]);
}

static uint64_t look_at_all_due(struct vmm_pager *pager)
{
	/* Acquire: partner of the release in tell(). */
	bool all = __atomic_exchange_n(&pager->news, 0, __ATOMIC_ACQUIRE) != 0;
	uint64_t next = 0;

	if (pager->declined != NULL && pager->declined_until <= now_ns())
		end_declining(pager);
	if (pager->declined != NULL)
		next = pager->declined_until;
	for (unsigned i = 0; i < pager->regions; i++) {
		uint64_t one = look_at_due(&pager->paged[i], all);

		if (one != 0 && (next == 0 || one < next))
			next = one;
	}
	return next;
}

static void wait_for(struct pollfd *fds, unsigned count, uint64_t next)
{
	uint64_t now = next == 0 ? 0 : now_ns(), left = next > now ? next - now : 0;
	struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
				   .tv_nsec = (long)(left % 1000000000u)};

	if (ppoll(fds, count, next == 0 ? NULL : &timeout, NULL) < 0)
		fds[0].revents = fds[1].revents = 0;
}

static void *run(void *argument)
{
	struct vmm_pager *pager = argument;
	struct pollfd fds[] = {
		{.fd = pager->peer[pager->client->id].bell, .events = POLLIN},
		{.fd = pager->permissions.fd, .events = POLLIN},
	};

	prctl(PR_SET_NAME, "pager");
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	/* Who has found no bell to ring has drawn attention all the same. */
	on_bell(pager, fds[0].fd);
	while (!__atomic_load_n(&pager->stop, __ATOMIC_ACQUIRE)) {
		wait_for(fds, pager->broken ? 1 : 2, look_at_all_due(pager));
		if (fds[0].revents != 0)
			on_bell(pager, fds[0].fd);
		if (fds[1].revents != 0 && !pager->broken)
			on_faults(pager);
	}
	for (unsigned i = 0; i < pager->regions && !pager->broken; i++)
		vmm_leave(&pager->paged[i]);
	return NULL;
}

/* ---- Life ---- */

struct vmm_pager *vmm_pager_create(void)
{
	struct vmm_pager *pager = calloc(1, sizeof(*pager));

	if (pager == NULL)
		return NULL;
	pthread_mutex_init(&pager->lock, NULL);
	pager->permissions.fd = -1;
	return pager;
}

/* The thread looks at what it waits for. */
static void tell(struct vmm_pager *pager)
{
	if (!pager->running)
		return;
	__atomic_store_n(&pager->news, 1, __ATOMIC_RELEASE);
	eventfd_write(pager->peer[pager->client->id].bell, 1);
}

static void forget(struct vmm_pager *pager, uint32_t id)
{
	pthread_mutex_lock(&pager->lock);
	if (pager->peer[id].incarnation != 0)
		close(pager->peer[id].bell);
	pager->peer[id].incarnation = 0;
	pthread_mutex_unlock(&pager->lock);
}

void vmm_pager_peer(struct vmm_pager *pager, uint32_t id, uint32_t incarnation, int bell)
{
	forget(pager, id);
	pthread_mutex_lock(&pager->lock);
	pager->peer[id] = (struct vmm_pager_peer){incarnation, bell};
	pthread_mutex_unlock(&pager->lock);
	tell(pager);
}

void vmm_pager_gone(struct vmm_pager *pager, uint32_t id, uint32_t incarnation)
{
	if (pager->peer[id].incarnation != incarnation)
		return;
	forget(pager, id);
	tell(pager);
}

static int take_over(struct vmm_pager *pager, const struct ivshm_client_region *region, void *base,
		     char *error, size_t error_size)
{
	struct vmm_paged *paged = &pager->paged[pager->regions++];
	void *content;
	int n;

	*paged = (struct vmm_paged){.pager = pager, .region = region};
	paged->base = base;
	if (region->size / IST_PAGE > UINT32_MAX)
		return ivshm_fail(error, error_size, -EFBIG, "region '%s': too many pages",
				  region->name);
	paged->pages = (uint32_t)(region->size / IST_PAGE);
	n = vmm_directory_open(paged, error, error_size);
	if (n != 0)
		return n;
	/* Both come as they are touched. */
	paged->page = calloc(paged->pages, sizeof(*paged->page));
	paged->list = calloc(paged->pages, sizeof(*paged->list));
	content = mmap(NULL, region->size, PROT_READ, MAP_SHARED, pager->client->memory,
		       (off_t)region->offset);
	if (content != MAP_FAILED)
		paged->content = content;
	if (paged->page == NULL || paged->list == NULL || content == MAP_FAILED)
		return ivshm_fail(error, error_size, -ENOMEM, "region '%s': out of memory",
				  region->name);
	n = vmm_permissions_take(&pager->permissions, paged->base, region->size);
	if (n != 0)
		return ivshm_fail(error, error_size, n, "region '%s': userfaultfd: %s",
				  region->name, strerror(-n));
	vmm_reap_own(paged);
	return 0;
}

/* What all regions take. */
static int open_all(struct vmm_pager *pager, char *error, size_t error_size)
{
	void *head =
		mmap(NULL, IST_REGIONS_OFFSET, PROT_READ, MAP_SHARED, pager->client->memory, 0);

	if (head == MAP_FAILED)
		return ivshm_fail(error, error_size, -errno, "cannot map the roster: %s",
				  strerror(errno));
	pager->head = head;
	pager->roster = (const void *)((const uint8_t *)head + IST_PEER_TABLE_OFFSET);
	return vmm_permissions_open(&pager->permissions, pager->client->memory, error, error_size);
}

int vmm_pager_start(struct vmm_pager *pager, const struct ivshm_client *client,
		    void *const base[IST_REGIONS_MAX], const struct vmm_pager_ops *ops,
		    void *context, char *error, size_t error_size)
{
	int n = 0;

	pager->client = client;
	pager->ops = ops;
	pager->context = context;
	for (unsigned i = 0; n == 0 && i < client->regions; i++) {
		const struct ivshm_client_region *region = &client->region[i];

		if (region->coherence != IST_COHERENCE_PAGE || region->right == IST_RIGHT_NONE)
			continue;
		if (pager->head == NULL)
			n = open_all(pager, error, error_size);
		if (n == 0)
			n = take_over(pager, region, base[i], error, error_size);
	}
	if (n != 0 || pager->regions == 0)
		return n;
	n = pthread_create(&pager->thread, NULL, run, pager);
	if (n != 0)
		return ivshm_fail(error, error_size, -n, "cannot start a pager: %s", strerror(n));
	pager->running = true;
	return 0;
}

bool vmm_pager_stats(const struct vmm_pager *pager, struct vmm_pager_stats *out)
{
	const uint64_t *from = (const uint64_t *)(const void *)&pager->stats;
	uint64_t *to = (uint64_t *)(void *)out;

	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	return pager->running;
}

uint32_t vmm_pager_moments(const struct vmm_pager *pager)
{
	uint32_t lasting;

	if (pager == NULL)
		return 0;
	/* In this order: one that ends in between is then counted, if it is not seen. */
	lasting = __atomic_load_n(&pager->permissions.lasting, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&pager->permissions.moments, __ATOMIC_SEQ_CST) << 1 | (lasting != 0);
}

static void give_back(struct vmm_paged *paged)
{
	for (uint32_t i = 0; paged->twins != 0; i++) {
		paged->twins -= paged->page[i].twin != NULL;
		free(paged->page[i].twin);
	}
	free(paged->page);
	free(paged->list);
	if (paged->content != NULL)
		munmap((void *)(uintptr_t)paged->content, paged->region->size);
	vmm_directory_close(paged);
}

void vmm_pager_destroy(struct vmm_pager *pager)
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
	vmm_permissions_close(&pager->permissions);
	if (pager->head != NULL)
		munmap(pager->head, IST_REGIONS_OFFSET);
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		forget(pager, id);
	pthread_mutex_destroy(&pager->lock);
	free(pager);
}
