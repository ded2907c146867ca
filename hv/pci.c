// SPDX-License-Identifier: BSD-2-Clause
/* pci.c: PCI configuration mechanism #1. */
#include <linux/pci_regs.h>

#include "vm.h"

#define DATA 4u /* offset of its port; the other one is the address register */

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

/* One that makes room for another may come first or last: all are looked at. */
static void settle(struct vmm_vm *vm, struct vmm_group *first)
{
	struct vmm_error error;

	if (vmm_function_settle(first, &error) != 0)
		vmm_group_complain(first, error.text);
	for (unsigned i = 0; i < vm->groups; i++)
		if (vm->group[i] != first)
			vmm_function_settle(vm->group[i], &error);
}

static void config_write(struct vmm_vm *vm, struct vmm_group *group, uint32_t offset, unsigned size,
			 uint32_t value)
{
	struct ivshm_effect effect = ivshm_device_config_write(&group->device, offset, size, value);

	vmm_function_effect(group, effect);
	if (effect.what & IVSHM_EFFECT_BARS)
		settle(vm, group);
}

static void access_data(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data,
			bool write)
{
	uint32_t address = vm->pci_address, at = (address & 0xfc) + offset, value = 0;
	unsigned device = address >> 11 & 0x1f;

	/* Enabled, bus 0, function 0. */
	if ((address & 0x80ff0700) != 0x80000000 || device > vm->groups)
		return; /* all ones */
	if (write) {
		memcpy(&value, data, size);
		if (device != 0)
			config_write(vm, vm->group[device - 1], at, size, value);
		return;
	}
	value = device == 0 ? bridge_read(at, size)
			    : ivshm_device_config_read(&vm->group[device - 1]->device, at, size);
	memcpy(data, &value, size);
}

/* The address register takes 32 bits at once; its bytes are other devices'. */
void vmm_pci_access(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data, bool write)
{
	if (offset >= DATA)
		access_data(vm, offset - DATA, size, data, write);
	else if (offset == 0 && size == sizeof(vm->pci_address) && write)
		memcpy(&vm->pci_address, data, size);
	else if (offset == 0 && size == sizeof(vm->pci_address))
		memcpy(data, &vm->pci_address, size);
}
