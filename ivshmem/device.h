/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device.h: an ivshmem PCI function, personality v1 or v2, as a pure machine: configuration space,
 * BARs, MSI-X, registers. No I/O, no KVM, no locks: the owner brings what the guest does, and does
 * what a struct ivshm_effect asks for.
 * Sources: QEMU docs/specs/ivshmem-spec.txt; Jailhouse Documentation/ivshmem-v2-specification.md;
 * PCI Local Bus Specification 3.0, chapter 6 (configuration space, 6.8.2 MSI-X).
 */
#ifndef IVSHM_DEVICE_H
#define IVSHM_DEVICE_H

#include "abi.h"
#include "device_v1.h"

#define IVSHM_CONFIG_SIZE 256u
#define IVSHM_DEVICE_BARS 5u /* IST_BAR_*, all below; 3 is the upper half of 2 */
#define IVSHM_BAR_PAGE 4096u /* bytes that BAR0 and BAR1 each get to themselves, BAR0 of v1 too */
#define IVSHM_MSIX_TABLE 0x000u /* in BAR1 */
#define IVSHM_MSIX_PBA 0x800u

struct ivshm_device_setup {
	uint32_t personality; /* 1 or 2 */
	uint32_t id;
	uint32_t max_peers;
	uint32_t vectors;     /* 0: no MSI-X, no doorbells (v1: ivshmem-plain) */
	uint64_t size;        /* of the group's memory, a power of two */
	uint64_t rw_size;     /* v2: sections, for the capability */
	uint64_t output_size; /* v2 */
	uint64_t run_size;    /* of the run-state page, a power of two; 0: there is none */
};

struct ivshm_msix_entry {
	uint64_t address;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

struct ivshm_device {
	struct ivshm_device_setup setup;
	uint8_t config[IVSHM_CONFIG_SIZE];
	uint8_t writable[IVSHM_CONFIG_SIZE]; /* bits of config a guest may change */
	struct ivshm_msix_entry msix[IST_VECTORS_MAX];
	struct ivshm_v1 v1; /* v1: the registers */
	uint32_t control;   /* v2: Interrupt Control */
	uint32_t state;     /* v2: State */
};

#define IVSHM_EFFECT_BARS 1u       /* ivshm_device_bar() may answer otherwise */
#define IVSHM_EFFECT_INTERRUPTS 2u /* ivshm_device_vector() or _one_shot() may answer otherwise */
#define IVSHM_EFFECT_RING 4u       /* ring (peer, vector), if there is such a one */
#define IVSHM_EFFECT_STATE 8u /* the state is another: table entry, then vector 0 to all others */

struct ivshm_effect {
	uint32_t what; /* IVSHM_EFFECT_*; 0: nothing */
	uint32_t peer;
	uint32_t vector;
	uint32_t state;
};

/* Power on: everything as after a reset, BARs unassigned, nothing decoded. */
void ivshm_device_init(struct ivshm_device *device, const struct ivshm_device_setup *setup);

/* What firmware does: assigns a BAR, without enabling anything. Aligned to its size. */
void ivshm_device_assign(struct ivshm_device *device, unsigned bar, uint64_t address);

/* Bytes that the BAR asks for; 0: there is none. */
uint64_t ivshm_device_bar_size(const struct ivshm_device *device, unsigned bar);

/*
 * Configuration space. Any offset, any size up to 4, byte by byte (a larger size is nothing): what
 * is not there reads 0 and ignores writes.
 */
uint32_t ivshm_device_config_read(const struct ivshm_device *device, uint32_t offset,
				  unsigned size);
struct ivshm_effect ivshm_device_config_write(struct ivshm_device *device, uint32_t offset,
					      unsigned size, uint32_t value);

/*
 * Does it answer at the BAR, and where? 1 or 0. It does when memory decoding is on, and the address
 * is neither 0 (unassigned) nor the last that there is (all ones: the guest asks for the size).
 */
int ivshm_device_bar(const struct ivshm_device *device, unsigned bar, uint64_t *address);

/*
 * IST_BAR_REGISTERS and IST_BAR_MSIX. Any offset, any size up to 8. `pending`: bit i: vector i
 * waits to be delivered; for the pending bits of v1 (v2's always read 0). Of the other BARs what is
 * not answered by memory: reads 0, stores have no effect.
 */
uint64_t ivshm_device_read(struct ivshm_device *device, unsigned bar, uint64_t offset,
			   unsigned size, uint64_t pending);
struct ivshm_effect ivshm_device_write(struct ivshm_device *device, unsigned bar, uint64_t offset,
				       unsigned size, uint64_t value);

/*
 * May the vector be delivered now, and as which message? 0 while it is masked, MSI-X is off, the
 * device is no bus master, or (v2) Interrupt Control is 0: what comes meanwhile waits.
 */
int ivshm_device_vector(const struct ivshm_device *device, uint32_t vector, uint64_t *address,
			uint32_t *data);

/* v2, one-shot interrupts: each delivery must be told by ivshm_device_delivered(). */
int ivshm_device_one_shot(const struct ivshm_device *device);
struct ivshm_effect ivshm_device_delivered(struct ivshm_device *device);

#endif
