/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pager.h: page coherence in one VM's mapping of a group: what its guest may read and write of each
 * page of a page-coherent region is what the directory in the group's memory says.
 *
 * docs/protocol.md, "Pages", is the contract. A group's pager is one thread; a group without such a
 * region has none.
 */
#ifndef VMM_PAGER_H
#define VMM_PAGER_H

#include <stdbool.h>

#include "ivshmem/client.h"

struct vmm_pager;

/* What the pager cannot do by itself. Called by its thread. */
struct vmm_pager_ops {
	/* A peer does not give up the page at `offset` of the group within the time it has. */
	void (*stalled)(void *context, uint32_t id, uint32_t incarnation, uint64_t offset);
	/* It cannot go on, and so cannot its VM: one line says why. Called once. */
	void (*broken)(void *context, const char *text);
};

struct vmm_pager_stats {
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
struct vmm_pager *vmm_pager_create(void);

/* A peer (this one itself too) has a pager, rung by `bell`, which this one takes over. */
void vmm_pager_peer(struct vmm_pager *pager, uint32_t id, uint32_t incarnation, int bell);

/* That incarnation is gone, and its mappings are. The thread that calls vmm_pager_peer(). */
void vmm_pager_gone(struct vmm_pager *pager, uint32_t id, uint32_t incarnation);

/*
 * Takes over the page-coherent regions of the group that `client` has joined: each on which this
 * peer has a right, where it is mapped at base[its index]; nobody has touched it there. `client`
 * outlives the pager, `base` need not. Where there is none to take over it does nothing. Returns 0,
 * or -errno with one line in `error`; then destroy it.
 */
int vmm_pager_start(struct vmm_pager *pager, const struct ivshm_client *client,
		    void *const base[IST_REGIONS_MAX], const struct vmm_pager_ops *ops,
		    void *context, char *error, size_t error_size);

/* False: there is nothing to count. */
bool vmm_pager_stats(const struct vmm_pager *pager, struct vmm_pager_stats *out);

/*
 * Odd in each moment in which a store of a vCPU to a page may fail with EFAULT because the mapping
 * is read-only there, and another number after it. What failed then is to be done again. Any
 * thread; `pager` may be NULL.
 */
uint32_t vmm_pager_moments(const struct vmm_pager *pager);

/* When no vCPU runs any more: it gives up all that it holds. NULL is ignored. */
void vmm_pager_destroy(struct vmm_pager *pager);

#endif
