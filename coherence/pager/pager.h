/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pager.h: page coherence in one mapping of a group, a VM's or a process's: what may be read and
 * written there of each page of a page-coherent region is what the directory in the group's memory
 * says.
 *
 * docs/protocol.md, "Pages", is the contract. A group's pager is one thread; a group without such a
 * region has none.
 */
#ifndef COH_PAGER_H
#define COH_PAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <isthmus/abi.h>

#define COH_PAGER_TEXT 144 /* bytes of a line that it says of itself, with its NUL */

struct coh_pager;

/* A page-coherent region on which this peer has a right. */
struct coh_pager_region {
	char name[IST_NAME_SIZE];
	uint64_t offset; /* in the group's memory */
	uint64_t size;
	uint64_t directory; /* offset of its page directory in the group's memory */
	uint32_t right;     /* IST_RIGHT_READ or IST_RIGHT_WRITE */
	void *base;         /* its mapping here, with that right; nobody has touched it there */
};

/* What a pager has to know of the group that this process has joined. */
struct coh_pager_group {
	int memory;    /* the group's memfd, its size sealed; stays the caller's, open */
	uint64_t size; /* of it */
	uint32_t id;   /* this peer's */
	uint32_t max_peers;
	bool moments; /* who uses the mapping does it again when it failed in a moment: see below */
	int news;     /* descriptor that the pager's thread is to look at too, or -1 */
	unsigned regions;
	struct coh_pager_region region[IST_REGIONS_MAX];
};

/* What the pager cannot do by itself. Called by its thread. */
struct coh_pager_ops {
	/* A peer does not give up the page at `offset` of the group within the time it has. */
	void (*stalled)(void *context, uint32_t id, uint32_t incarnation, uint64_t offset);
	/*
	 * It cannot go on: one line says why. Called once. True: the mappings at the regions' bases
	 * are gone (others are there); then it gives up all it held, and who waits there goes on.
	 * False: it waits for its end, and who waits there does so too.
	 */
	bool (*broken)(void *context, const char *text);
	/* One line that the user may want to know. */
	void (*noticed)(void *context, const char *text);
	/* `news` is readable. False: it will never be again. May be NULL where there are none. */
	bool (*news)(void *context);
};

struct coh_pager_stats {
	uint64_t read_faults; /* of the guest, as userfaultfd told them */
	uint64_t write_faults;
	uint64_t requests;      /* carried out: a permission was installed */
	uint64_t answers;       /* a permission was given up or reduced for another */
	uint64_t tenure_waits;  /* answers that were put off */
	uint64_t reaped;        /* remains of dead peers taken away */
	uint64_t recalls;       /* peers that did not answer in time */
	uint64_t false_sharing; /* tenures that wrote no word that the one before had written */
};

/* An empty one: peers can be told to it. NULL: out of memory. */
struct coh_pager *coh_pager_create(void);

/*
 * A peer (this one itself too) has a pager, rung by `bell`, which this one takes over. One thread
 * at a time calls this and coh_pager_gone(); it may be the pager's own.
 */
void coh_pager_peer(struct coh_pager *pager, uint32_t id, uint32_t incarnation, int bell);

/* The bell that came with that peer, which stays the pager's; -1: it has none. As coh_pager_peer().
 */
int coh_pager_bell(const struct coh_pager *pager, uint32_t id);

/* That incarnation is gone, and its mappings are. */
void coh_pager_gone(struct coh_pager *pager, uint32_t id, uint32_t incarnation);

/*
 * Takes over the regions of `group`, which is copied; without one it does nothing. Returns 0, or
 * -errno with one line in `error`; then destroy it.
 */
int coh_pager_start(struct coh_pager *pager, const struct coh_pager_group *group,
		    const struct coh_pager_ops *ops, void *context, char *error, size_t error_size);

/* Adds this pager's to *sum. False: there is nothing to count. */
bool coh_pager_stats(const struct coh_pager *pager, struct coh_pager_stats *sum);

/*
 * Where the group has said that it knows of moments (where it has not, there are none):
 *
 * Odd in each moment in which a store to a page may fail with EFAULT because the mapping
 * is read-only there, and another number after it. What failed then is to be done again. Any
 * thread; `pager` may be NULL.
 */
uint32_t coh_pager_moments(const struct coh_pager *pager);

/* A store has failed so, and will be done again: ends the moment, if the pager can. Any thread;
 * `pager` may be NULL. */
void coh_pager_met(struct coh_pager *pager);

/* When nobody uses the regions any more: it gives up all that it holds. NULL is ignored. */
void coh_pager_destroy(struct coh_pager *pager);

#endif
