/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h: guest-physical memory: RAM and slots. Elsewhere vmm_exit_memory() answers. */
#pragma once

#include "report.h"

#define VMM_RAM_LOW_MAX (3ull << 30) /* RAM below the hole of the devices ... */
#define VMM_RAM_HIGH (4ull << 30)    /* ... goes on here, above it */

struct vmm_memory {
	int vm;         /* KVM's descriptor of the VM */
	uint32_t slots; /* numbers given out */
	uint8_t *ram;   /* all of it, or NULL */
	uint64_t ram_size;
	uint64_t ram_low; /* bytes of it from address 0; the rest is from VMM_RAM_HIGH */
};

/* RAM from address 0, with the hole in it that its size needs, placed as the options say. */
int vmm_memory_add_ram(struct vmm_memory *memory, const struct vmm_options *options,
		       struct vmm_error *error);
void vmm_memory_free_ram(struct vmm_memory *memory);

/* RAM at [address, address + size), or NULL when that is not all RAM. */
void *vmm_memory_ram(const struct vmm_memory *memory, uint64_t address, uint64_t size);

/*
 * A memory slot over host memory, size 0: none. KVM refuses one over another. What it does not
 * cover, and writes to a read-only one, come to vmm_exit_memory().
 */
int vmm_memory_set_slot(struct vmm_memory *memory, uint32_t slot, uint64_t address, uint64_t size,
			void *host, bool read_only, struct vmm_error *error);
