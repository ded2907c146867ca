/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h: guest-physical memory: RAM and memory slots. Who answers elsewhere: bus.h. */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stdbool.h>

#include "report.h"

struct vmm_memory {
	int vm; /* KVM's descriptor of the VM */
	uint32_t slots;
	uint8_t *ram; /* guest-physical 0, or NULL */
	uint64_t ram_size;
};

/* RAM from address 0, placed as the options say. */
int vmm_memory_add_ram(struct vmm_memory *memory, const struct vmm_options *options,
		       struct vmm_error *error);
void vmm_memory_free_ram(struct vmm_memory *memory);

/* RAM at [address, address + size), or NULL when that is not all RAM. */
void *vmm_memory_ram(const struct vmm_memory *memory, uint64_t address, uint64_t size);

/* A memory slot over host memory. A write to a read-only one goes to the bus. */
int vmm_memory_add_slot(struct vmm_memory *memory, uint64_t address, uint64_t size, void *host,
			bool read_only, struct vmm_error *error);

#endif
