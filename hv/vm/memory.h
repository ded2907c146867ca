/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h: the guest-physical address space: RAM, memory slots, and who answers elsewhere. */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stdbool.h>

#include "report.h"

#define VMM_CLAIMS_MAX (2u * IST_GROUPS_MAX)

/*
 * Answers a guest's access that no memory slot takes. Called by vCPU threads. `offset` is from the
 * start of the claim, 1 <= size <= 8, within the claim. `data` of a read holds all ones beforehand.
 */
struct vmm_claim_ops {
	void (*read)(void *context, uint64_t offset, unsigned size, uint8_t *data);
	void (*write)(void *context, uint64_t offset, unsigned size, const uint8_t *data);
};

struct vmm_claim {
	uint64_t start;
	uint64_t size;
	const struct vmm_claim_ops *ops;
	void *context;
};

struct vmm_memory {
	int vm; /* KVM's descriptor of the VM */
	uint32_t slots;
	uint8_t *ram; /* guest-physical 0, or NULL */
	uint64_t ram_size;
	unsigned claims;
	struct vmm_claim claim[VMM_CLAIMS_MAX];
};

/* RAM from address 0, placed as the options say. */
int vmm_memory_add_ram(struct vmm_memory *memory, const struct vmm_options *options,
		       struct vmm_error *error);
void vmm_memory_free_ram(struct vmm_memory *memory);

/* RAM at [address, address + size), or NULL when that is not all RAM. */
void *vmm_memory_ram(const struct vmm_memory *memory, uint64_t address, uint64_t size);

/* A memory slot over host memory. A write to a read-only one goes to the claim there. */
int vmm_memory_add_slot(struct vmm_memory *memory, uint64_t address, uint64_t size, void *host,
			bool read_only, struct vmm_error *error);

/* All claims are made before the first vCPU runs, at most VMM_CLAIMS_MAX. */
void vmm_memory_claim(struct vmm_memory *memory, uint64_t start, uint64_t size,
		      const struct vmm_claim_ops *ops, void *context);

/* Who answers there, or NULL. */
const struct vmm_claim *vmm_memory_find(const struct vmm_memory *memory, uint64_t address,
					uint64_t size);

#endif
