/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group.h: one group in one VM: its memory as slots, its PCI function, doorbells out and in.
 *
 * A Linux VM finds the function by configuration space (pci.h) and may move its BARs. An app VM has
 * no PCI: its function stays where the boot block says, and its interrupts are fixed.
 *
 * Locks, in this order: who moves BARs (pci.h; before the first vCPU runs there is no other), a
 * group's, the bus's or the interrupt routes'.
 */
#ifndef VMM_GROUP_H
#define VMM_GROUP_H

#include <pthread.h>

#include "ivshmem/client.h"
#include "ivshmem/device.h"

#include "../pager/pager.h"

#include "bus.h"
#include "irq.h"
#include "memory.h"

#define VMM_GROUPS_START (4ull << 30) /* an app's: the groups' memory from here on */
#define VMM_REGISTERS_SIZE IVSHM_BAR_PAGE
#define VMM_GROUP_RANGES_MAX (1u + 2u * IST_REGIONS_MAX + IST_PEERS_MAX)

struct vmm_bell {
	int fd;      /* -1: none */
	bool kernel; /* an ioeventfd takes it; otherwise the function rings it */
};

struct vmm_bells { /* of one peer */
	uint32_t incarnation;
	uint32_t vectors; /* 0: no such peer */
	struct vmm_bell bell[IST_VECTORS_MAX];
};

/* What becomes of a doorbell that arrives. */
enum vmm_way {
	VMM_WAY_WAIT,   /* its eventfd keeps it */
	VMM_WAY_KERNEL, /* KVM makes it an interrupt */
	VMM_WAY_WATCH,  /* the main thread does: vmm_vectors_serve() */
};

struct vmm_vector { /* one of this peer's own */
	uint32_t gsi;
	enum vmm_way way;
};

struct vmm_bar { /* context of a claim */
	struct vmm_group *group;
	unsigned number;
};

struct vmm_range { /* what may be accessed: a slot, while the memory is somewhere */
	uint64_t offset;
	uint64_t size;
	uint32_t right; /* IST_RIGHT_* */
	bool mapped;
};

struct vmm_denied {
	uint64_t reads;
	uint64_t writes;
};

struct vmm_group {
	const struct vmm_options *options;
	struct vmm_memory *memory;
	struct vmm_bus *mmio;
	struct vmm_irqs *irqs;
	unsigned index;
	int vm;
	struct ivshm_client client;
	bool joined;
	void *reserved; /* host range that holds the mapping, or NULL */
	size_t reserved_size;
	uint8_t *host;   /* the group's memory in it; only what may be read is accessible */
	uint32_t *state; /* v2: the state table, writable; or NULL */
	struct vmm_pager *pager;
	struct vmm_vm *machine; /* of which this is a group */

	/* Who moves BARs. */
	uint64_t base;      /* guest-physical, of the memory, or VMM_BUS_NOWHERE */
	uint64_t registers; /* guest-physical, of BAR0, or VMM_BUS_NOWHERE; also under the lock */
	unsigned claim[IVSHM_DEVICE_BARS];
	struct vmm_bar bar[IST_BAR_MEMORY];
	uint32_t slot; /* of the first range */
	unsigned ranges;
	struct vmm_range range[VMM_GROUP_RANGES_MAX];

	/* The main thread changes what is below while vCPU threads use it. */
	pthread_mutex_t lock;
	struct ivshm_device device;
	bool attached; /* the VM can take interrupts and ioeventfds */
	struct vmm_bells peer[IST_PEERS_MAX];
	struct vmm_vector vector[IST_VECTORS_MAX];
	int watch; /* epoll: own vectors on VMM_WAY_WATCH; -1: v1 never has any */
	struct vmm_denied denied[IST_REGIONS_MAX + 1]; /* by region; the last: all the rest */
	uint64_t doorbells_user;
	uint64_t complaints;
};

/*
 * Joins the group of the options' entry `index`, and places it: its memory at the first fitting
 * address from *next on, which is moved on. On an error everything is undone.
 */
int vmm_group_create(const struct vmm_options *options, unsigned index, struct vmm_memory *memory,
		     struct vmm_bus *mmio, struct vmm_irqs *irqs, uint64_t *next,
		     struct vmm_error *error, struct vmm_group **out);

/* Unmaps, then leaves the group, then frees. The VM must be gone. NULL is ignored. */
void vmm_group_destroy(struct vmm_group *group);

/* When the VM has its interrupt controllers: doorbells are KVM's from now on. */
int vmm_group_start(struct vmm_group *group, struct vmm_error *error);

/*
 * The memory is at `base`, or VMM_BUS_NOWHERE, from now on. It is nowhere after an error. By who
 * moves BARs.
 */
int vmm_group_place(struct vmm_group *group, uint64_t base, struct vmm_error *error);

/* What a VM was refused in this group. */
struct vmm_denied vmm_group_denied(struct vmm_group *group);

/* Tells of something that did not work, the first time and at every power of two. */
void vmm_group_complain(struct vmm_group *group, const char *text);

/* ---- pages.c: page-coherent regions ---- */

/* The pager has them from now on. Before the first vCPU runs. */
int vmm_pages_start(struct vmm_group *group, struct vmm_error *error);

/* Nothing keeps the regions coherent from now on. When no vCPU will run any more. */
void vmm_pages_stop(struct vmm_group *group);

/* ---- function.c: the PCI function ---- */

/* Powers it on with its BARs assigned from *next on, as firmware would, and claims them. */
int vmm_function_init(struct vmm_group *group, uint64_t *next, struct vmm_error *error);

uint32_t vmm_function_config_read(struct vmm_group *group, uint32_t offset, unsigned size);

/* True when BARs may be elsewhere now: vmm_function_settle() for this group first, then others. */
bool vmm_function_config_write(struct vmm_group *group, uint32_t offset, unsigned size,
			       uint32_t value);

/* What answers is where the BARs say, unless something else is there. By who moves BARs. */
int vmm_function_settle(struct vmm_group *group, struct vmm_error *error);

/* Does what the device asks for, but for BARs. Under the lock. */
void vmm_function_effect(struct vmm_group *group, struct ivshm_effect effect);

/* ---- doorbell.c: doorbells of this VM to others ---- */

extern const struct ivshm_client_ops vmm_doorbell_client_ops; /* context: the group */

/* All of these under the lock. */
void vmm_doorbell_move(struct vmm_group *group, uint64_t registers);
void vmm_doorbell_attach(struct vmm_group *group);
void vmm_doorbell_ring(struct vmm_group *group, uint32_t peer, uint32_t vector);
void vmm_doorbell_ring_others(struct vmm_group *group);
void vmm_doorbell_close(struct vmm_group *group);

/* ---- vector.c: doorbells of others to this VM ---- */

/* Each vector goes its way as the device is now. Under the lock. */
int vmm_vectors_update(struct vmm_group *group, struct vmm_error *error);

/* A set of vectors whose doorbell waits. Under the lock. */
uint64_t vmm_vectors_pending(struct vmm_group *group);

/* The main thread, when group->watch is readable: delivers. */
void vmm_vectors_serve(struct vmm_group *group);

#endif
