/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h: what the pager's files share. All of it is the pager's thread's, unless it says
 * otherwise. */
#ifndef VMM_PAGER_INTERNAL_H
#define VMM_PAGER_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include "coherence/policy.h"
#include "coherence/step.h"

#include "pager.h"
#include "permission.h"

/* What is kept of a page that bounces, from one end of a tenure to the next. */
struct vmm_twin {
	uint64_t content[IST_PAGE_WORDS];     /* when the tenure began */
	uint64_t before[IST_PAGE_WORDS / 64]; /* what the owner before wrote */
	uint32_t before_writer;               /* who that was, ID + 1; 0: it is not known */
};

struct vmm_page {
	uint8_t have;     /* enum vmm_permission: there at most, as the directory allows */
	uint8_t want;     /* what a fault waits for; none: none does */
	uint8_t claim;    /* COH_CLAIM_S or COH_CLAIM_X while this peer is busy there, or 0 */
	uint8_t active;   /* in the region's list */
	uint32_t bounces; /* tenures in a row that were cut short */
	uint32_t reports; /* of false sharing */
	uint32_t guesses; /* faults in a row taken for stores, as the last that was known was one */
	uint64_t drawn_ns;     /* when the holders' attention was last drawn */
	uint64_t epoch;        /* of the claim */
	uint64_t since_ns;     /* when it was made; or since when `awaited` is */
	uint64_t awaited;      /* control word of another's transition that is waited for */
	uint64_t got_ns;       /* when `have` was installed */
	uint64_t lost_ns;      /* when it was given up or reduced last; 0: never */
	uint64_t tenure_ns;    /* how long it stays at least, within limits */
	uint64_t question;     /* the last one that was put off, or 0 */
	uint64_t due_ns;       /* when to look again without being told; 0: never */
	struct vmm_twin *twin; /* or NULL */
};

/* A page-coherent region on which this peer has a right. */
struct vmm_paged {
	struct vmm_pager *pager;
	const struct ivshm_client_region *region;
	uint8_t *base;           /* where the guest sees it */
	const uint64_t *content; /* another view of it, which does not fault */
	void *directory;         /* mapping of the whole directory */
	struct ist_page *entry;  /* in it */
	uint64_t *attention;     /* in it: peer 0's */
	uint32_t pages;
	uint64_t tenure_ns;
	uint64_t recall_ns;
	struct vmm_page *page; /* private, by page */
	uint32_t *list;        /* pages with a due_ns */
	uint32_t listed;
	uint32_t twins; /* pages that have one */
};

struct vmm_pager_peer {
	uint32_t incarnation; /* 0: nobody */
	int bell;
};

struct vmm_pager {
	pthread_mutex_t lock; /* of `peer` */
	struct vmm_pager_peer peer[IST_PEERS_MAX];
	int news; /* atomic: peers have come or gone since the thread looked */
	int stop; /* atomic */
	bool running;
	bool broken;
	pthread_t thread;
	const struct ivshm_client *client;
	void *head;                    /* mapping of all that is before the regions, read-only */
	const struct ist_peer *roster; /* the peer table in it, by ID */
	const struct vmm_pager_ops *ops;
	void *context;
	struct vmm_permissions permissions;
	struct vmm_paged *declined; /* where a fault is declined now, or NULL */
	uint32_t declined_page;
	uint64_t declined_until;
	unsigned regions;
	struct vmm_paged paged[IST_REGIONS_MAX];
	struct vmm_pager_stats stats; /* atomic, relaxed */
};

static inline void vmm_count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* pager.c */
void vmm_pager_break(struct vmm_pager *pager, const char *text);

/* Whatever has happened: answers, then requests, as far as the page's word allows. */
void vmm_page_look(struct vmm_paged *paged, uint32_t index, uint64_t now);

/* How long who got the page keeps it now, and between what. */
struct coh_tenure vmm_page_tenure(const struct vmm_paged *paged, uint32_t index);

/* Looks at it again by then at the latest. */
void vmm_page_due(struct vmm_paged *paged, uint32_t index, uint64_t when);

/* ---- directory.c: the words, shared with other pagers ---- */

int vmm_directory_open(struct vmm_paged *paged, char *error, size_t error_size);
void vmm_directory_close(struct vmm_paged *paged);

/* The page's word at one instant. */
struct ist_directory vmm_directory_look(struct vmm_paged *paged, uint32_t index);

/*
 * A step of this peer: decided on the word at one instant, and swapped in. Returns 0, or as
 * coh_step() does; -EPROTO has broken the pager.
 */
int vmm_directory_step(struct vmm_paged *paged, uint32_t index, unsigned type, uint64_t epoch,
		       struct coh_result *result);

/* These peers are to look at the page. */
void vmm_directory_draw(struct vmm_paged *paged, uint32_t index, uint64_t peers);

/* Who waits for the page to be released is to look at it. After the swap that released it. */
void vmm_directory_wake(struct vmm_paged *paged, uint32_t index);

/* ---- the two sides of a page ---- */

void vmm_answer(struct vmm_paged *paged, uint32_t index, uint64_t now);
void vmm_request(struct vmm_paged *paged, uint32_t index, uint64_t now);

/* At the end: gives up everything, so that nobody has to wait for this peer to be gone. */
void vmm_leave(struct vmm_paged *paged);

/* ---- reap.c ---- */

/* Takes what dead peers left in the page's word. */
void vmm_reap(struct vmm_paged *paged, uint32_t index);

/* Takes what a predecessor of this peer left in all words, before it has anything itself. */
void vmm_reap_own(struct vmm_paged *paged);

/* ---- sharing.c: who writes what, on pages that bounce ---- */

/* A tenure with the permission to write begins: before it is installed. */
void vmm_sharing_begin(struct vmm_paged *paged, uint32_t index);

/* It has ended: after the permission is gone, before that is told. */
void vmm_sharing_end(struct vmm_paged *paged, uint32_t index);

#endif
