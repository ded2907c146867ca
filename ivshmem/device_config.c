// SPDX-License-Identifier: BSD-2-Clause
/*
 * device_config.c: configuration space: PCI 3.0, chapter 6. All of it is bytes and, for each byte,
 * the bits that a guest may change; what has a meaning is read out of the bytes.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "device_internal.h"

#define V1_MSIX 0x40u   /* where QEMU has it */
#define V2_VENDOR 0x40u /* where Jailhouse has them */
#define V2_MSIX 0x60u

#define V1_SUBSYSTEM_VENDOR 0x1af4u /* as QEMU's */
#define V1_SUBSYSTEM 0x1100u

static void put(uint8_t *bytes, uint32_t offset, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		bytes[offset + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *bytes, uint32_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)bytes[offset + i] << 8 * i;
	return value;
}

/* ---- Power on -------------------------------------------------------------------------------- */

static void init_ids(struct ivshm_device *device)
{
	int v1 = device->setup.personality == 1;
	uint8_t *config = device->config;

	put(config, PCI_VENDOR_ID, 2, v1 ? IST_V1_VENDOR : IST_V2_VENDOR);
	put(config, PCI_DEVICE_ID, 2, v1 ? IST_V1_DEVICE : IST_V2_DEVICE);
	put(config, PCI_REVISION_ID, 1, v1 ? IST_V1_REVISION : IST_V2_REVISION);
	put(config, PCI_CLASS_PROG, 3, v1 ? IST_V1_CLASS : IST_V2_CLASS);
	put(config, PCI_SUBSYSTEM_VENDOR_ID, 2, v1 ? V1_SUBSYSTEM_VENDOR : IST_V2_VENDOR);
	put(config, PCI_SUBSYSTEM_ID, 2, v1 ? V1_SUBSYSTEM : IST_V2_DEVICE);
}

/*
 * No I/O space here. Bus Master is bit 2: the table in the specification of v2 has "Bit 3", a slip,
 * as it names the PCI register.
 */
static void init_command(struct ivshm_device *device)
{
	put(device->writable, PCI_COMMAND, 2,
	    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

/* The low address bits, below the BAR's size, cannot be written: that is how a guest asks for it.
 */
static void init_bar(struct ivshm_device *device, unsigned bar)
{
	uint64_t size = ivshm_device_bar_size(device, bar);
	uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * bar;

	if (size == 0)
		return;
	if (bar == IST_BAR_MEMORY) {
		put(device->config, offset, 8,
		    PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
		put(device->writable, offset, 8, ~(size - 1));
	} else {
		put(device->writable, offset, 4, ~(size - 1));
	}
}

/* The newest capability is the first of the list. */
static uint8_t *add_capability(struct ivshm_device *device, uint8_t offset, uint8_t id)
{
	uint8_t *capability = device->config + offset;

	capability[PCI_CAP_LIST_ID] = id;
	capability[PCI_CAP_LIST_NEXT] = device->config[PCI_CAPABILITY_LIST];
	device->config[PCI_CAPABILITY_LIST] = offset;
	put(device->config, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	return capability;
}

static uint8_t msix_offset(const struct ivshm_device *device)
{
	return device->setup.personality == 1 ? V1_MSIX : V2_MSIX;
}

static void init_msix(struct ivshm_device *device)
{
	uint8_t offset = msix_offset(device);
	uint8_t *capability = add_capability(device, offset, PCI_CAP_ID_MSIX);

	put(capability, PCI_MSIX_FLAGS, 2, device->setup.vectors - 1);
	put(capability, PCI_MSIX_TABLE, 4, IVSHM_MSIX_TABLE | IST_BAR_MSIX);
	put(capability, PCI_MSIX_PBA, 4, IVSHM_MSIX_PBA | IST_BAR_MSIX);
	put(device->writable, offset + PCI_MSIX_FLAGS, 2,
	    PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static void init_vendor(struct ivshm_device *device)
{
	uint8_t *capability = add_capability(device, V2_VENDOR, PCI_CAP_ID_VNDR);

	capability[IST_V2_CAP_LENGTH] = IST_V2_CAP_SIZE;
	put(capability, IST_V2_CAP_STATE_SIZE, 4, IST_STATE_TABLE_SIZE);
	put(capability, IST_V2_CAP_RW_SIZE, 8, device->setup.rw_size);
	put(capability, IST_V2_CAP_OUTPUT_SIZE, 8, device->setup.output_size);
	device->writable[V2_VENDOR + IST_V2_CAP_CONTROL] = 1;
}

void ivshm_config_init(struct ivshm_device *device)
{
	init_ids(device);
	init_command(device);
	for (unsigned bar = 0; bar < IVSHM_DEVICE_BARS; bar++)
		init_bar(device, bar);
	if (device->setup.vectors != 0)
		init_msix(device);
	if (device->setup.personality == 2)
		init_vendor(device);
}

/* ---- What the bytes mean --------------------------------------------------------------------- */

int ivshm_device_bar(const struct ivshm_device *device, unsigned bar, uint64_t *address)
{
	uint64_t size = ivshm_device_bar_size(device, bar);
	uint64_t last = bar == IST_BAR_MEMORY ? UINT64_MAX : UINT32_MAX;
	uint64_t start;

	if (size == 0 || !(device->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		return 0;
	start = get(device->config, PCI_BASE_ADDRESS_0 + 4 * bar, bar == IST_BAR_MEMORY ? 8 : 4);
	start &= ~(size - 1);
	if (start == 0 || start + (size - 1) == last)
		return 0;
	*address = start;
	return 1;
}

int ivshm_config_interrupts(const struct ivshm_device *device)
{
	uint64_t flags = get(device->config, msix_offset(device) + PCI_MSIX_FLAGS, 2);

	return device->setup.vectors != 0 && (flags & PCI_MSIX_FLAGS_ENABLE) &&
	       !(flags & PCI_MSIX_FLAGS_MASKALL) &&
	       (device->config[PCI_COMMAND] & PCI_COMMAND_MASTER);
}

int ivshm_device_one_shot(const struct ivshm_device *device)
{
	return device->setup.personality == 2 &&
	       device->config[V2_VENDOR + IST_V2_CAP_CONTROL] != 0;
}

/* ---- Accesses -------------------------------------------------------------------------------- */

void ivshm_device_assign(struct ivshm_device *device, unsigned bar, uint64_t address)
{
	unsigned size = bar == IST_BAR_MEMORY ? 8 : 4;
	uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint64_t writable, kept;

	if (ivshm_device_bar_size(device, bar) == 0)
		return;
	writable = get(device->writable, offset, size);
	kept = get(device->config, offset, size) & ~writable;
	put(device->config, offset, size, kept | (address & writable));
}

uint32_t ivshm_device_config_read(const struct ivshm_device *device, uint32_t offset, unsigned size)
{
	uint32_t value = 0;

	if (size > 4 || offset >= IVSHM_CONFIG_SIZE)
		return 0;
	for (unsigned i = 0; i < size && offset + i < IVSHM_CONFIG_SIZE; i++)
		value |= (uint32_t)device->config[offset + i] << 8 * i;
	return value;
}

struct answers {
	uint64_t bar[IVSHM_DEVICE_BARS]; /* 0: none */
	int interrupts;
	int one_shot;
};

static struct answers answers_now(const struct ivshm_device *device)
{
	struct answers now = {0};

	for (unsigned bar = 0; bar < IVSHM_DEVICE_BARS; bar++)
		ivshm_device_bar(device, bar, &now.bar[bar]);
	now.interrupts = ivshm_config_interrupts(device);
	now.one_shot = ivshm_device_one_shot(device);
	return now;
}

struct ivshm_effect ivshm_device_config_write(struct ivshm_device *device, uint32_t offset,
					      unsigned size, uint32_t value)
{
	struct answers before = answers_now(device), after;
	struct ivshm_effect effect = {0};

	if (size > 4 || offset >= IVSHM_CONFIG_SIZE)
		return effect;
	for (unsigned i = 0; i < size && offset + i < IVSHM_CONFIG_SIZE; i++) {
		uint8_t writable = device->writable[offset + i];
		uint8_t kept = device->config[offset + i] & (uint8_t)~writable;

		device->config[offset + i] = kept | ((uint8_t)(value >> 8 * i) & writable);
	}
	after = answers_now(device);
	if (memcmp(before.bar, after.bar, sizeof(before.bar)) != 0)
		effect.what |= IVSHM_EFFECT_BARS;
	if (before.interrupts != after.interrupts || before.one_shot != after.one_shot)
		effect.what |= IVSHM_EFFECT_INTERRUPTS;
	return effect;
}
