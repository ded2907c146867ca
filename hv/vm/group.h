/* SPDX-License-Identifier: BSD-2-Clause */
/* group.h: one group in one VM: its memory as slots, its device, its peers' doorbells. */
#ifndef VMM_GROUP_H
#define VMM_GROUP_H

#include <pthread.h>

#include "ivshmem/client.h"
#include "ivshmem/device_v1.h"

#include "bus.h"
#include "irq.h"
#include "memory.h"

#define VMM_GROUPS_START (4ull << 30)
#define VMM_REGISTERS_START 0xd0000000ull
#define VMM_REGISTERS_SIZE 0x1000ull

struct vmm_bell {
	int fd;      /* -1: none */
	bool kernel; /* an ioeventfd takes it; otherwise vmm_doorbell_ops rings it */
};

struct vmm_bells { /* of one peer */
	uint32_t incarnation;
	uint32_t vectors; /* 0: no such peer */
	struct vmm_bell bell[IST_VECTORS_MAX];
};

struct vmm_denied {
	uint64_t reads;
	uint64_t writes;
};

struct vmm_group {
	const struct vmm_options *options;
	struct vmm_irqs *irqs;
	unsigned index;
	struct ivshm_client client;
	bool joined;
	uint64_t base;      /* guest-physical, of the memory */
	uint64_t registers; /* guest-physical, of the register page */
	void *reserved;     /* host range that holds the mapping, or NULL */
	size_t reserved_size;
	uint8_t *host; /* the group's memory in it; only what may be read is accessible */
	bool attached; /* the doorbells are KVM's */
	uint32_t gsi[IST_VECTORS_MAX]; /* of this VM's own vectors */
	int vm;

	/* The main thread changes what is below while vCPU threads use it. */
	pthread_mutex_t lock;
	struct ivshm_v1 device;
	struct vmm_bells peer[IST_PEERS_MAX];
	struct vmm_denied denied[IST_REGIONS_MAX + 1]; /* by region; the last: all the rest */
	uint64_t doorbells_user;
};

/*
 * Joins the group of the options' entry `index`, maps its memory at the first fitting address from
 * *next on, which is moved on, and claims its addresses. On an error everything is undone.
 */
int vmm_group_create(const struct vmm_options *options, unsigned index, struct vmm_memory *memory,
		     struct vmm_bus *mmio, struct vmm_irqs *irqs, uint64_t *next,
		     struct vmm_error *error, struct vmm_group **out);

/* Unmaps, then leaves the group, then frees. The VM must be gone. NULL is ignored. */
void vmm_group_destroy(struct vmm_group *group);

/* What a VM was refused in this group. */
struct vmm_denied vmm_group_denied(struct vmm_group *group);

/* ---- doorbell.c ---- */

extern const struct ivshm_client_ops vmm_doorbell_client_ops; /* context: the group */
extern const struct vmm_claim_ops vmm_doorbell_ops;           /* of the register page */

/* Makes GSIs for this VM's own vectors; then, when routes are committed, all doorbells are KVM's.
 */
void vmm_doorbell_route(struct vmm_group *group);
int vmm_doorbell_attach(struct vmm_group *group, struct vmm_error *error);
void vmm_doorbell_close(struct vmm_group *group);

#endif
