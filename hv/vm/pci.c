// SPDX-License-Identifier: BSD-2-Clause
/* pci.c: PCI configuration mechanism #1. */
#include "pci.h"

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <string.h>

#define PORT_ADDRESS 0xcf8u
#define PORT_DATA 0xcfcu

/* Linux looks for a host bridge before it believes in the mechanism. This one is QEMU's. */
static uint32_t bridge_read(uint32_t offset, unsigned size)
{
	static const uint32_t config[IVSHM_CONFIG_SIZE / 4] = {
		[PCI_VENDOR_ID / 4] = 0x00081b36,
		[PCI_CLASS_REVISION / 4] = 0x06000000,
		[PCI_SUBSYSTEM_VENDOR_ID / 4] = 0x11001af4,
	};
	uint32_t value = 0;

	memcpy(&value, (const uint8_t *)config + offset, size);
	return value;
}

/* Which register the address register, and where in its data port, mean; false: no device. */
static bool select_register(const struct vmm_pci *pci, uint64_t port, unsigned *device,
			    uint32_t *offset)
{
	uint32_t address = pci->address;

	*device = address >> 11 & 0x1f;
	*offset = (address & 0xfc) + (uint32_t)(port & 3);
	/* Enabled, bus 0, function 0. */
	return (address & 0x80ff0700) == 0x80000000 && *device <= pci->groups;
}

static void data_read(struct vmm_pci *pci, uint64_t port, unsigned size, uint8_t *data)
{
	unsigned device;
	uint32_t offset, value;

	if (!select_register(pci, port, &device, &offset))
		return; /* all ones */
	value = device == 0 ? bridge_read(offset, size)
			    : vmm_function_config_read(pci->group[device - 1], offset, size);
	memcpy(data, &value, size);
}

/* One that makes room for another may come first or last: all are looked at. */
static void settle(struct vmm_pci *pci, struct vmm_group *first)
{
	struct vmm_error error;

	if (vmm_function_settle(first, &error) != 0)
		vmm_group_complain(first, error.text);
	for (unsigned i = 0; i < pci->groups; i++)
		if (pci->group[i] != first)
			vmm_function_settle(pci->group[i], &error);
}

static void data_write(struct vmm_pci *pci, uint64_t port, unsigned size, const uint8_t *data)
{
	uint32_t offset, value = 0;
	unsigned device;

	if (!select_register(pci, port, &device, &offset) || device == 0)
		return;
	memcpy(&value, data, size);
	if (vmm_function_config_write(pci->group[device - 1], offset, size, value))
		settle(pci, pci->group[device - 1]);
}

/* Offsets from PORT_ADDRESS. Its register takes 32 bits at once; its bytes are other devices'. */
static void port_read(void *context, uint64_t offset, unsigned size, uint8_t *data)
{
	struct vmm_pci *pci = context;

	pthread_mutex_lock(&pci->lock);
	if (offset >= PORT_DATA - PORT_ADDRESS)
		data_read(pci, offset, size, data);
	else if (offset == 0 && size == sizeof(pci->address))
		memcpy(data, &pci->address, size);
	pthread_mutex_unlock(&pci->lock);
}

static void port_write(void *context, uint64_t offset, unsigned size, const uint8_t *data)
{
	struct vmm_pci *pci = context;

	pthread_mutex_lock(&pci->lock);
	if (offset >= PORT_DATA - PORT_ADDRESS)
		data_write(pci, offset, size, data);
	else if (offset == 0 && size == sizeof(pci->address))
		memcpy(&pci->address, data, size);
	pthread_mutex_unlock(&pci->lock);
}

void vmm_pci_init(struct vmm_pci *pci, struct vmm_bus *ports)
{
	static const struct vmm_claim_ops ops = {port_read, port_write};

	pci->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	vmm_bus_claim(ports, PORT_ADDRESS, 8, &ops, pci);
}

void vmm_pci_add(struct vmm_pci *pci, struct vmm_group *group)
{
	pci->group[pci->groups++] = group;
}
