// SPDX-License-Identifier: BSD-2-Clause
/* thread.c: the pager's thread: whatever happens, a page is looked at. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>

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

void coh_pager_break(struct coh_pager *pager, const char *text)
{
	if (pager->broken)
		return;
	pager->broken = true;
	pager->lost = pager->ops->broken(pager->context, text);
	/* What waits on what was mapped there is not woken by another mapping. */
	for (unsigned i = 0; i < pager->regions && pager->lost; i++)
		coh_permissions_wake(&pager->permissions, pager->paged[i].base,
				     pager->paged[i].region->size);
}

/* ---- Pages ---- */

struct coh_tenure coh_page_tenure(const struct coh_paged *paged, uint32_t index)
{
	return (struct coh_tenure){.minimum_ns = paged->tenure_ns,
				   .maximum_ns = paged->tenure_ns * TENURE_GROWTH,
				   .now_ns = paged->page[index].tenure_ns};
}

void coh_page_due(struct coh_paged *paged, uint32_t index, uint64_t when)
{
	struct coh_page *page = &paged->page[index];

	if (page->due_ns == 0 || when < page->due_ns)
		page->due_ns = when;
	if (!page->active)
		paged->list[paged->listed++] = index;
	page->active = 1;
}

void coh_page_look(struct coh_paged *paged, uint32_t index, uint64_t now)
{
	struct coh_page *page = &paged->page[index];

	if (paged->pager->broken || paged->closed)
		return;
	coh_page_answer(paged, index, now);
	if (page->want != COH_PAGE_NONE)
		coh_page_request(paged, index, now);
}

/* ---- What a fault needs ---- */

void coh_pager_stop_declining(struct coh_pager *pager)
{
	struct coh_paged *paged = pager->declined;

	if (paged != NULL &&
	    coh_permission_decline_end(&pager->permissions,
				       paged->base + (size_t)pager->declined_page * IST_PAGE) != 0)
		coh_pager_break(pager, "cannot make a mapping writable again");
	pager->declined = NULL;
}

/*
 * KVM lets a thread of the kernel wait for a page where it can (asynchronous page faults), and that
 * one asks for writing whatever the guest did. Where it matters, because others have the page too,
 * it is declined; then the vCPU faults by itself. Where that was a store last time, this is taken
 * for one for some times. True: declined.
 */
static bool decline(struct coh_paged *paged, uint32_t index, struct coh_permission_fault fault)
{
	struct coh_pager *pager = paged->pager;
	struct coh_page *page = &paged->page[index];
	struct ist_directory word = coh_load(&paged->entry[index].directory);

	if (!pager->group.moments || fault.own || fault.present || page->have != COH_PAGE_NONE ||
	    page->want != COH_PAGE_NONE || pager->declined != NULL ||
	    paged->region->right != IST_RIGHT_WRITE ||
	    (word.sharers & ~coh_bit(pager->group.id)) == 0)
		return false;
	if (page->guesses != 0 && page->guesses++ < GUESSES_MAX)
		return false;
	/* Not known of this page; of others lately. Where one peer alone has it, and writes it. */
	if (page->guesses == 0 && IST_DIR_STATE(word.control) == IST_DIR_MODIFIED &&
	    paged->guesses != 0 && paged->guesses++ < GUESSES_MAX)
		return false;
	page->guesses = 1; /* until a load is seen */
	__atomic_store_n(&pager->met, 0, __ATOMIC_RELAXED);
	if (coh_permission_decline(&pager->permissions, paged->base + (size_t)index * IST_PAGE) !=
	    0) {
		coh_pager_break(pager, "cannot decline a fault");
		return true;
	}
	pager->declined = paged;
	pager->declined_page = index;
	pager->declined_until = now_ns() + DECLINED_NS;
	return true;
}

/* Pages whose time has come, or all that wait for something. Returns when the next is due, or 0. */
static uint64_t look_at_due(struct coh_paged *paged, bool all)
{
	uint64_t next = 0, now = now_ns();

	for (uint32_t i = paged->listed; i-- > 0;) {
		uint32_t index = paged->list[i];
		struct coh_page *page = &paged->page[index];

		if (all || page->due_ns <= now) {
			uint64_t was = page->due_ns;

			page->due_ns = 0;
			if (all) /* the bell of a holder may have been unknown before */
				page->drawn_ns = 0;
			coh_page_look(paged, index, was <= now ? now : now_ns());
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
static void look_at_attention(struct coh_paged *paged)
{
	size_t words = IST_PAGE_ATTENTION_SIZE(paged->pages) / sizeof(uint64_t);
	uint64_t *own = paged->attention + paged->pager->group.id * words;

	for (size_t i = 0; i < words; i++) {
		uint64_t bits = 0;

		/* Acquire: partner of the or in coh_directory_draw(). */
		if (__atomic_load_n(&own[i], __ATOMIC_RELAXED) != 0)
			bits = __atomic_exchange_n(&own[i], 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1) {
			uint64_t index = i * 64 + (uint64_t)__builtin_ctzll(bits);

			if (index < paged->pages)
				coh_page_look(paged, (uint32_t)index, now_ns());
		}
	}
}

static void on_fault(struct coh_pager *pager, struct coh_permission_fault fault)
{
	for (unsigned i = 0; i < pager->regions; i++) {
		struct coh_paged *paged = &pager->paged[i];
		uintptr_t base = (uintptr_t)paged->base;
		struct coh_page *page;
		uint32_t index;

		if (fault.address < base || fault.address - base >= paged->region->size)
			continue;
		if (paged->closed) {
			coh_permissions_wake(&pager->permissions, paged->base, paged->region->size);
			return;
		}
		index = (uint32_t)((fault.address - base) / IST_PAGE);
		page = &paged->page[index];
		coh_pager_count(fault.needs == COH_PAGE_WRITE ? &pager->stats.write_faults
							      : &pager->stats.read_faults);
		/* What may only be read is written to by nobody: KVM does not ask for it. */
		if (fault.needs == COH_PAGE_WRITE && paged->region->right != IST_RIGHT_WRITE)
			fault.needs = COH_PAGE_READ;
		else if (fault.needs == COH_PAGE_READ && pager->permissions.whole &&
			 paged->region->right == IST_RIGHT_WRITE)
			fault.needs = COH_PAGE_WRITE;
		if (pager->declined == paged && pager->declined_page == index)
			coh_pager_stop_declining(pager);
		else if (decline(paged, index, fault))
			return;
		if (fault.own && fault.needs == COH_PAGE_READ)
			page->guesses = paged->guesses = 0;
		if (page->want < fault.needs)
			page->want = (uint8_t)fault.needs;
		coh_page_look(paged, index, now_ns());
	}
}

/* ---- The thread ---- */

static void on_faults(struct coh_pager *pager)
{
	struct coh_permission_fault fault[FAULTS];
	int count = coh_permission_faults(&pager->permissions, fault, FAULTS);

	if (count < 0)
		coh_pager_break(pager, "cannot read from userfaultfd");
	for (int i = 0; i < count; i++)
		on_fault(pager, fault[i]);
}

/*
 * A store of a vCPU has met the page that is declined: so that was the access. It cannot tell which
 * page it was; if it was another one, in another moment, the guess is as good as any.
 */
static void on_met(struct coh_pager *pager)
{
	struct coh_paged *paged = pager->declined;

	if (!__atomic_exchange_n(&pager->met, 0, __ATOMIC_ACQUIRE) || paged == NULL)
		return;
	coh_pager_stop_declining(pager);
	paged->guesses = 1;
	paged->page[pager->declined_page].want = COH_PAGE_WRITE;
	coh_page_look(paged, pager->declined_page, now_ns());
}

static void on_bell(struct coh_pager *pager, int bell)
{
	eventfd_t count;

	eventfd_read(bell, &count);
	on_met(pager);
	coh_pager_do_limit(pager);
	for (unsigned i = 0; i < pager->regions; i++)
		look_at_attention(&pager->paged[i]);
}

static uint64_t look_at_all_due(struct coh_pager *pager)
{
	/* Acquire: partner of the release in coh_pager_tell(). */
	bool all = __atomic_exchange_n(&pager->news, 0, __ATOMIC_ACQUIRE) != 0;
	uint64_t next = 0;

	if (pager->declined != NULL && pager->declined_until <= now_ns())
		coh_pager_stop_declining(pager);
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
		fds[0].revents = fds[1].revents = fds[2].revents = 0;
}

void *coh_pager_run(void *argument)
{
	struct coh_pager *pager = argument;
	struct pollfd fds[] = {
		{.fd = pager->peer[pager->group.id].bell, .events = POLLIN},
		{.fd = pager->group.news, .events = POLLIN},
		{.fd = pager->permissions.fd, .events = POLLIN},
	};

	prctl(PR_SET_NAME, "pager");
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	/* Who has found no bell to ring has drawn attention all the same. */
	on_bell(pager, fds[0].fd);
	while (!pager->lost && !__atomic_load_n(&pager->stop, __ATOMIC_ACQUIRE)) {
		wait_for(fds, pager->broken ? 2 : 3, look_at_all_due(pager));
		if (fds[1].revents != 0 && !pager->ops->news(pager->context))
			fds[1].fd = -1;
		if (fds[0].revents != 0)
			on_bell(pager, fds[0].fd);
		if (fds[2].revents != 0 && !pager->broken)
			on_faults(pager);
	}
	for (unsigned i = 0; i < pager->regions && (!pager->broken || pager->lost); i++)
		coh_pager_leave(&pager->paged[i]); /* if not, its end takes it, and others reap */
	coh_pager_end_limits(pager);
	return NULL;
}
