/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h: what the pager's files share. All of it is the pager's thread's, unless it says
 * otherwise. */
#ifndef COH_PAGER_INTERNAL_H
#define COH_PAGER_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include "../policy.h"
#include "../step.h"

#include "pager.h"
#include "permission.h"

/* What is kept of a page that bounces, from one end of a tenure to the next. */
struct coh_twin {
	uint64_t content[IST_PAGE_WORDS];     /* when the tenure began */
	uint64_t before[IST_PAGE_WORDS / 64]; /* what the owner before wrote */
	uint32_t before_writer;               /* who that was, ID + 1; 0: it is not known */
};

struct coh_page {
	uint8_t have;     /* enum coh_permission: there at most, as the directory allows */
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
	struct coh_twin *twin; /* or NULL */
};

/* A page-coherent region on which this peer has a right. */
struct coh_paged {
	struct coh_pager *pager;
	const struct coh_pager_region *region;
	uint8_t *base;           /* where the guest sees it */
	const uint64_t *content; /* another view of it, which does not fault */
	void *directory;         /* mapping of the whole directory */
	struct ist_page *entry;  /* in it */
	uint64_t *attention;     /* in it: peer 0's */
	uint32_t pages;
	uint64_t tenure_ns;
	uint64_t recall_ns;
	struct coh_page *page; /* private, by page */
	uint32_t *list;        /* pages with a due_ns */
	uint32_t listed;
	uint32_t guesses; /* as a page has, of all of them */
	uint32_t twins;   /* pages that have one */
	bool closed;      /* this peer has no right there any more, and no page */
};

/* What coh_pager_limit() asks of the thread. */
struct coh_limit {
	bool wanted;
	uint64_t offset;
	uint32_t right;
};

struct coh_pager_peer {
	uint32_t incarnation; /* 0: nobody */
	int bell;
};

struct coh_pager {
	pthread_mutex_t lock; /* of these four */
	struct coh_pager_peer peer[IST_PEERS_MAX];
	struct coh_limit limit;
	bool finished;          /* the thread is about to end */
	pthread_cond_t limited; /* `limit` or `finished` has changed */
	int news;               /* atomic: peers have come or gone since the thread looked */
	int stop;               /* atomic */
	bool running;
	bool broken;
	bool lost; /* broken, and the mappings are gone */
	pthread_t thread;
	struct coh_pager_group group;
	void *head;                    /* mapping of all that is before the regions, read-only */
	const struct ist_peer *roster; /* the peer table in it, by ID */
	const struct coh_pager_ops *ops;
	void *context;
	struct coh_permissions permissions;
	struct coh_paged *declined; /* where a fault is declined now, or NULL */
	uint32_t declined_page;
	uint64_t declined_until;
	int met; /* atomic: a store has failed since */
	unsigned regions;
	struct coh_paged paged[IST_REGIONS_MAX];
	struct coh_pager_stats stats; /* atomic, relaxed */
};

static inline void coh_pager_count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Puts one line into `error`; returns `code`. */
int coh_pager_fail(char *error, size_t error_size, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- thread.c ---- */

void *coh_pager_run(void *pager);
void coh_pager_break(struct coh_pager *pager, const char *text);

/* No fault is declined there any more. */
void coh_pager_stop_declining(struct coh_pager *pager);

/* ---- limit.c ---- */

/* Does what coh_pager_limit() asks for, if it does. */
void coh_pager_do_limit(struct coh_pager *pager);
/* Nobody is to wait for that any more. */
void coh_pager_end_limits(struct coh_pager *pager);

/* Somebody but the thread: it looks at what it waits for. */
void coh_pager_tell(struct coh_pager *pager);

/* Whatever has happened: answers, then requests, as far as the page's word allows. */
void coh_page_look(struct coh_paged *paged, uint32_t index, uint64_t now);

/* How long who got the page keeps it now, and between what. */
struct coh_tenure coh_page_tenure(const struct coh_paged *paged, uint32_t index);

/* Looks at it again by then at the latest. */
void coh_page_due(struct coh_paged *paged, uint32_t index, uint64_t when);

/* ---- directory.c: the words, shared with other pagers ---- */

int coh_directory_open(struct coh_paged *paged, char *error, size_t error_size);
void coh_directory_close(struct coh_paged *paged);

/* The page's word at one instant. */
struct ist_directory coh_directory_look(struct coh_paged *paged, uint32_t index);

/*
 * A step of this peer: decided on the word at one instant, and swapped in. Returns 0, or as
 * coh_step() does; -EPROTO has broken the pager.
 */
int coh_directory_step(struct coh_paged *paged, uint32_t index, unsigned type, uint64_t epoch,
		       struct coh_result *result);

/* These peers are to look at the page. */
void coh_directory_draw(struct coh_paged *paged, uint32_t index, uint64_t peers);

/* Who waits for the page to be released is to look at it. After the swap that released it. */
void coh_directory_wake(struct coh_paged *paged, uint32_t index);

/* ---- the two sides of a page ---- */

void coh_page_answer(struct coh_paged *paged, uint32_t index, uint64_t now);
void coh_page_request(struct coh_paged *paged, uint32_t index, uint64_t now);

/* At the end: gives up everything, so that nobody has to wait for this peer to be gone. 0; or
 * -errno: nothing is given up. */
int coh_pager_leave(struct coh_paged *paged);

/* ---- reap.c ---- */

/* Takes what dead peers left in the page's word. */
void coh_page_reap(struct coh_paged *paged, uint32_t index);

/* Takes what a predecessor of this peer left in all words, before it has anything itself. */
void coh_page_reap_own(struct coh_paged *paged);

/* ---- sharing.c: who writes what, on pages that bounce ---- */

/* A tenure with the permission to write begins: before it is installed. */
void coh_sharing_begin(struct coh_paged *paged, uint32_t index);

/* It has ended: after the permission is gone, before that is told. */
void coh_sharing_end(struct coh_paged *paged, uint32_t index);

#endif
