/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group.h: one group in one VM: its memory as slots, its PCI function, doorbells out and in.
 *
 * A Linux VM finds the function by configuration space (pci.c) and may move its BARs. An app VM has
 * no PCI: its function stays where the boot block says, and its interrupts are fixed.
 * All of it is used under the VM's lock, or before there are vCPU threads.
 */
#pragma once

#include "coherence/pager/pager.h"
#include "ivshmem/client.h"
#include "ivshmem/device.h"

#include "memory.h"

struct vmm_vm;

/* Where things are: registers and run-state pages of both kinds; an app's memory; a Linux's. */
#define VMM_PCI_WINDOW_START 0xd0000000u
#define VMM_RUN_STATE_START 0xd8000000u
#define VMM_INTERRUPT_CONTROLLERS 0xfec00000u /* from here to 4 GiB nothing else can be */
#define VMM_GROUPS_START (4ull << 30)
#define VMM_PCI_WINDOW64_START (256ull << 30)
#define VMM_REGISTERS_SIZE IVSHM_BAR_PAGE
#define VMM_NOWHERE UINT64_MAX

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

struct vmm_group {
	struct vmm_vm *vm;
	unsigned index;
	struct ivshm_client client;
	bool away; /* its broker has gone */
	struct coh_pager *pager;
	struct ivshm_device device;

	uint64_t base;      /* guest-physical, of the memory, or VMM_NOWHERE */
	uint64_t registers; /* guest-physical, of BAR0, or VMM_NOWHERE */
	uint32_t *state;    /* v2: the state table, writable; or NULL */

	/* What may be accessed: a slot each, while the memory is somewhere. */
	uint32_t slot; /* of the first */
	unsigned ranges;
	struct ivshm_client_range range[IVSHM_CLIENT_RANGES_MAX];
	void *host[IVSHM_CLIENT_RANGES_MAX];
	unsigned mapped; /* the first of them have their slot */

	void *run_page; /* host mapping of the run-state page, or NULL */
	uint32_t run_slot;
	uint64_t run_state; /* guest-physical; 0: nowhere */

	bool attached; /* the VM can take interrupts and ioeventfds */
	struct ivshm_client_peer peer[IST_PEERS_MAX]; /* without vectors: not there */
	struct vmm_vector vector[IST_VECTORS_MAX];
	int watch; /* epoll: own vectors on VMM_WAY_WATCH; -1: v1 never has any */

	/* Accesses refused, [0] reads, [1] writes: in all; by region, the last: all the rest. */
	uint64_t denied[2];
	uint64_t denied_in[IST_REGIONS_MAX + 1][2];
	uint64_t doorbells_user;
	uint64_t complaints;
};

/*
 * Joins the group of the options' entry `index`, and places it: its memory at the first fitting
 * address from *next on, which is moved on. On an error everything is undone.
 */
int vmm_group_create(struct vmm_vm *vm, unsigned index, uint64_t *next, struct vmm_error *error,
		     struct vmm_group **out);

/* Unmaps, then leaves the group, then frees. The VM must be gone. NULL is ignored. */
void vmm_group_destroy(struct vmm_group *group);

/* When the VM has its interrupt controllers: doorbells are KVM's from now on. */
int vmm_group_start(struct vmm_group *group, struct vmm_error *error);

/* The memory is at `base`, or VMM_NOWHERE, from now on. It is nowhere after an error. */
int vmm_group_place(struct vmm_group *group, uint64_t base, struct vmm_error *error);

/* Counts an access to the memory that no slot takes, and tells, as below. */
void vmm_group_deny(struct vmm_group *group, uint64_t offset, bool write);

/* Tells of something that did not work, the first time and at every power of two. */
void vmm_group_complain(struct vmm_group *group, const char *text);

/* ---- run_state.c: who runs ---- */

/* Maps the run-state page, if there is one. The guest has it where it is placed. */
int vmm_run_state_init(struct vmm_group *group, struct vmm_error *error);
/* It is at `address`, or VMM_NOWHERE, from now on. After an error it is nowhere, or still where it
 * was if KVM does not let go of it. */
int vmm_run_state_place(struct vmm_group *group, uint64_t address, struct vmm_error *error);
void vmm_run_state_fini(struct vmm_group *group);

/* Nobody writes the page any more: it says of nobody that anything is known, from now on. */
void vmm_run_state_blank(struct vmm_group *group);

/* The page of another broker takes its place, if there is one. */
void vmm_run_state_renew(struct vmm_group *group);

/* Names the vCPUs' threads, which have started, to the broker. Returns 0 or -errno. */
int vmm_run_state_tell(const struct vmm_vm *vm, struct vmm_group *group);

/* ---- pages.c: page-coherent regions ---- */

/* The pager has them from now on. Before the first vCPU runs. */
int vmm_pages_start(struct vmm_group *group, struct vmm_error *error);

/* Nothing keeps the regions coherent from now on. When no vCPU will run any more. */
void vmm_pages_stop(struct vmm_group *group);

/* ---- function.c: the PCI function ---- */

/* Powers it on with its BARs assigned from *next on, as firmware would. */
int vmm_function_init(struct vmm_group *group, uint64_t *next, struct vmm_error *error);

/*
 * Answers an access to guest-physical memory, 1 <= size <= 8; `data` of a read holds all ones
 * beforehand. False when the function is not there.
 */
bool vmm_function_access(struct vmm_group *group, uint64_t address, unsigned size, uint8_t *data,
			 bool write);

/*
 * What answers is where the BARs say, unless something else is there. After each configuration
 * write that asks for it: for this group first, then others.
 */
int vmm_function_settle(struct vmm_group *group, struct vmm_error *error);

/* Does what the device asks for, but for BARs. */
void vmm_function_effect(struct vmm_group *group, struct ivshm_effect effect);

/* ---- doorbell.c: doorbells of this VM to others ---- */

extern const struct ivshm_client_ops vmm_doorbell_client_ops; /* context: the group */

void vmm_doorbell_move(struct vmm_group *group, uint64_t registers);
void vmm_doorbell_attach(struct vmm_group *group);
void vmm_doorbell_ring(struct vmm_group *group, uint32_t id, uint32_t vector);
void vmm_doorbell_ring_others(struct vmm_group *group);
void vmm_doorbell_close(struct vmm_group *group);

/* ---- vector.c: doorbells of others to this VM ---- */

/* Each vector goes its way as the device is now. */
int vmm_vectors_update(struct vmm_group *group, struct vmm_error *error);

/* A set of vectors whose doorbell waits. */
uint64_t vmm_vectors_pending(struct vmm_group *group);

/* The main thread, when group->watch is readable: delivers. */
void vmm_vectors_serve(struct vmm_group *group);
