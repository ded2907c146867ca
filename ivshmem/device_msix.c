// SPDX-License-Identifier: BSD-2-Clause
/*
 * device_msix.c: the MSI-X table and the pending bits in BAR1: PCI 3.0, 6.8.2 "MSI-X Capability and
 * Table Structures". Software uses "only aligned full DWORD or full QWORD accesses"; others read 0
 * and have no effect.
 */
#include <linux/pci_regs.h>

#include "device_internal.h"

#define PBA_SIZE 8u /* one QWORD: IST_VECTORS_MAX is not more than 64 */
_Static_assert(IVSHM_MSIX_TABLE == 0, "offsets in the table are offsets in BAR1");

/* "The state of this bit after reset is 1 (masked)", all the others 0. */
void ivshm_msix_init(struct ivshm_device *device)
{
	for (uint32_t i = 0; i < device->setup.vectors; i++)
		device->msix[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static int defined(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

static int in_table(const struct ivshm_device *device, uint64_t offset)
{
	return offset < (uint64_t)device->setup.vectors * PCI_MSIX_ENTRY_SIZE;
}

static uint32_t entry_read(const struct ivshm_msix_entry *entry, uint64_t field)
{
	switch (field) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t)entry->address;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t)(entry->address >> 32);
	case PCI_MSIX_ENTRY_DATA:
		return entry->data;
	default:
		return entry->control;
	}
}

static void entry_write(struct ivshm_msix_entry *entry, uint64_t field, uint32_t word)
{
	switch (field) {
	case PCI_MSIX_ENTRY_LOWER_ADDR: /* bits 0 and 1 may be, and are, read-only */
		entry->address = (entry->address & ~(uint64_t)UINT32_MAX) | (word & ~3u);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		entry->address = (uint64_t)word << 32 | (uint32_t)entry->address;
		break;
	case PCI_MSIX_ENTRY_DATA:
		entry->data = word;
		break;
	default: /* the other bits are reserved */
		entry->control = word & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
}

/* What waits and cannot be delivered. v2: "reading from the MSI-X Pending Bit Array will always
 * return 0". */
static uint64_t pending_bits(const struct ivshm_device *device, uint64_t pending)
{
	uint64_t bits = 0, address;
	uint32_t data;

	if (device->setup.personality == 2)
		return 0;
	for (uint32_t i = 0; i < device->setup.vectors; i++) {
		if (!ivshm_device_vector(device, i, &address, &data))
			bits |= pending & 1ull << i;
	}
	return bits;
}

static uint32_t word_read(const struct ivshm_device *device, uint64_t offset, uint64_t pending)
{
	if (in_table(device, offset))
		return entry_read(&device->msix[offset / PCI_MSIX_ENTRY_SIZE],
				  offset % PCI_MSIX_ENTRY_SIZE);
	if (device->setup.vectors != 0 && offset - IVSHM_MSIX_PBA < PBA_SIZE)
		return (uint32_t)(pending_bits(device, pending) >> (offset - IVSHM_MSIX_PBA) * 8);
	return 0;
}

uint64_t ivshm_msix_read(const struct ivshm_device *device, uint64_t offset, unsigned size,
			 uint64_t pending)
{
	uint64_t value;

	if (!defined(offset, size))
		return 0;
	value = word_read(device, offset, pending);
	if (size == 8)
		value |= (uint64_t)word_read(device, offset + 4, pending) << 32;
	return value;
}

struct ivshm_effect ivshm_msix_write(struct ivshm_device *device, uint64_t offset, unsigned size,
				     uint64_t value)
{
	struct ivshm_effect effect = {0};
	struct ivshm_msix_entry *entry, before;
	uint64_t field = offset % PCI_MSIX_ENTRY_SIZE;

	if (!defined(offset, size) || !in_table(device, offset))
		return effect;
	entry = &device->msix[offset / PCI_MSIX_ENTRY_SIZE];
	before = *entry;
	entry_write(entry, field, (uint32_t)value);
	if (size == 8)
		entry_write(entry, field + 4, (uint32_t)(value >> 32));
	if (entry->address != before.address || entry->data != before.data ||
	    entry->control != before.control)
		effect.what = IVSHM_EFFECT_INTERRUPTS;
	return effect;
}
