// SPDX-License-Identifier: BSD-2-Clause
/* function.c: a group's PCI function: what the device asks for is done with KVM and eventfds. */
#include <linux/pci_regs.h>

#include "image.h"
#include "vm.h"

/* ---- What the device asks for ---- */

/* Here and in the table: who is rung for it, sees it. */
static void set_state(struct vmm_group *group, uint32_t state)
{
	__atomic_store_n(&group->state[group->client.id], state, __ATOMIC_SEQ_CST);
	vmm_doorbell_ring_others(group);
}

void vmm_function_effect(struct vmm_group *group, struct ivshm_effect effect)
{
	struct vmm_error error;

	if (effect.what & IVSHM_EFFECT_RING)
		vmm_doorbell_ring(group, effect.peer, effect.vector);
	if (effect.what & IVSHM_EFFECT_STATE)
		set_state(group, effect.state);
	if ((effect.what & IVSHM_EFFECT_INTERRUPTS) && vmm_vectors_update(group, &error) != 0)
		vmm_group_complain(group, error.text);
}

/* ---- BARs ---- */

static uint64_t bar_start(const struct vmm_group *group, unsigned bar)
{
	uint64_t start;

	return ivshm_device_bar(&group->device, bar, &start) ? start : VMM_NOWHERE;
}

/* An app has the whole page: it knows no BARs. */
static uint64_t bar_length(const struct vmm_group *group, unsigned bar)
{
	if (bar == IST_BAR_REGISTERS && group->vm->options->kernel == NULL)
		return VMM_REGISTERS_SIZE;
	return ivshm_device_bar_size(&group->device, bar);
}

static void access_registers(struct vmm_group *group, unsigned bar, uint64_t offset, unsigned size,
			     uint8_t *data, bool write)
{
	uint64_t value = 0, pending = 0;

	if (write) {
		memcpy(&value, data, size);
		vmm_function_effect(group,
				    ivshm_device_write(&group->device, bar, offset, size, value));
		return;
	}
	if (bar == IST_BAR_MSIX && offset >= IVSHM_MSIX_PBA)
		pending = vmm_vectors_pending(group);
	value = ivshm_device_read(&group->device, bar, offset, size, pending);
	memcpy(data, &value, size);
}

bool vmm_function_access(struct vmm_group *group, uint64_t address, unsigned size, uint8_t *data,
			 bool write)
{
	for (unsigned bar = 0; bar < IVSHM_DEVICE_BARS; bar++) {
		uint64_t length = bar_length(group, bar);
		/* The memory may not be where its BAR is: something else may be there. */
		uint64_t start = bar == IST_BAR_MEMORY ? group->base : bar_start(group, bar);

		if (start == VMM_NOWHERE || address < start || address - start >= length ||
		    size > length - (address - start))
			continue;
		if (bar == IST_BAR_MEMORY)
			vmm_group_deny(group, address - start, write);
		else
			access_registers(group, bar, address - start, size, data, write);
		return true;
	}
	return false;
}

int vmm_function_settle(struct vmm_group *group, struct vmm_error *error)
{
	struct vmm_error ignored;
	int result;

	vmm_doorbell_move(group, bar_start(group, IST_BAR_REGISTERS));
	result = vmm_group_place(group, bar_start(group, IST_BAR_MEMORY), error);
	if (result == 0)
		return vmm_run_state_place(group, bar_start(group, IST_BAR_RUN_STATE), error);
	vmm_run_state_place(group, bar_start(group, IST_BAR_RUN_STATE), &ignored);
	return result;
}

/* ---- Power on ---- */

int vmm_function_init(struct vmm_group *group, uint64_t *next, struct vmm_error *error)
{
	const struct vmm_options *options = group->vm->options;
	const struct ivshm_client *client = &group->client;
	const bool linux_vm = options->kernel != NULL;
	const struct ivshm_device_setup setup = {
		.personality = linux_vm ? options->personality : 1,
		.id = client->id,
		.max_peers = client->max_peers,
		.vectors = client->vectors,
		.size = client->size,
		.rw_size = ivshm_client_rw_size(client),
		.output_size = client->output_size,
		.run_size = client->run_state < 0 ? 0 : IST_RUN_STATE_SIZE,
	};
	uint64_t base = (*next + client->size - 1) & ~(client->size - 1);
	uint32_t page = VMM_PCI_WINDOW_START + 2 * IVSHM_BAR_PAGE * group->index;

	*next = base + client->size;
	if (*next > VMM_ADDRESS_LIMIT)
		return vmm_fail(error, ENOSPC, "group '%s' does not fit below %llu GiB",
				client->group, VMM_ADDRESS_LIMIT >> 30);
	ivshm_device_init(&group->device, &setup);
	ivshm_device_assign(&group->device, IST_BAR_REGISTERS, page);
	ivshm_device_assign(&group->device, IST_BAR_MSIX, page + IVSHM_BAR_PAGE);
	ivshm_device_assign(&group->device, IST_BAR_MEMORY, base);
	ivshm_device_assign(&group->device, IST_BAR_RUN_STATE,
			    VMM_RUN_STATE_START + IST_RUN_STATE_SIZE * group->index);
	/* A Linux turns decoding on when it has a driver. While it is on, each BAR that Linux sizes
	 * at boot takes all slots away and back. */
	if (!linux_vm)
		ivshm_device_config_write(&group->device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (uint32_t vector = 0; vector < client->vectors; vector++)
		group->vector[vector].gsi = vmm_irq_add_msi(&group->vm->irqs);
	return 0;
}
