// SPDX-License-Identifier: BSD-2-Clause
/* function.c: a group's PCI function: what the device asks for is done with KVM and eventfds. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "group.h"
#include "paging.h"
#include "pci.h"

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

/* ---- BAR0 and BAR1 (vCPU threads) ---- */

static void bar_read(void *context, uint64_t offset, unsigned size, uint8_t *data)
{
	struct vmm_bar *bar = context;
	struct vmm_group *group = bar->group;
	uint64_t value, pending = 0;

	pthread_mutex_lock(&group->lock);
	if (bar->number == IST_BAR_MSIX && offset >= IVSHM_MSIX_PBA)
		pending = vmm_vectors_pending(group);
	value = ivshm_device_read(&group->device, bar->number, offset, size, pending);
	pthread_mutex_unlock(&group->lock);
	memcpy(data, &value, size);
}

static void bar_write(void *context, uint64_t offset, unsigned size, const uint8_t *data)
{
	struct vmm_bar *bar = context;
	struct vmm_group *group = bar->group;
	uint64_t value = 0;

	memcpy(&value, data, size);
	pthread_mutex_lock(&group->lock);
	vmm_function_effect(group,
			    ivshm_device_write(&group->device, bar->number, offset, size, value));
	pthread_mutex_unlock(&group->lock);
}

static const struct vmm_claim_ops bar_ops = {bar_read, bar_write};

/* ---- Configuration space ---- */

uint32_t vmm_function_config_read(struct vmm_group *group, uint32_t offset, unsigned size)
{
	uint32_t value;

	pthread_mutex_lock(&group->lock);
	value = ivshm_device_config_read(&group->device, offset, size);
	pthread_mutex_unlock(&group->lock);
	return value;
}

bool vmm_function_config_write(struct vmm_group *group, uint32_t offset, unsigned size,
			       uint32_t value)
{
	struct ivshm_effect effect;

	pthread_mutex_lock(&group->lock);
	effect = ivshm_device_config_write(&group->device, offset, size, value);
	vmm_function_effect(group, effect);
	pthread_mutex_unlock(&group->lock);
	return effect.what & IVSHM_EFFECT_BARS;
}

int vmm_function_settle(struct vmm_group *group, struct vmm_error *error)
{
	uint64_t bar[IVSHM_DEVICE_BARS];

	pthread_mutex_lock(&group->lock);
	for (unsigned i = 0; i < IVSHM_DEVICE_BARS; i++)
		if (!ivshm_device_bar(&group->device, i, &bar[i]))
			bar[i] = VMM_BUS_NOWHERE;
	vmm_doorbell_move(group, bar[IST_BAR_REGISTERS]);
	pthread_mutex_unlock(&group->lock);
	vmm_bus_move(group->mmio, group->claim[IST_BAR_REGISTERS], bar[IST_BAR_REGISTERS]);
	vmm_bus_move(group->mmio, group->claim[IST_BAR_MSIX], bar[IST_BAR_MSIX]);
	return vmm_group_place(group, bar[IST_BAR_MEMORY], error);
}

/* ---- Power on ---- */

/* v2's read-write section: from the state table's end to the output sections, or of the regions. */
static uint64_t rw_size(const struct ivshm_client *client)
{
	uint64_t end = IST_REGIONS_OFFSET;

	for (unsigned i = 0; i < client->regions; i++)
		if (end < client->region[i].offset + client->region[i].size)
			end = client->region[i].offset + client->region[i].size;
	if (client->output_size != 0)
		end = client->output_offset;
	return end - IST_STATE_TABLE_SIZE;
}

int vmm_function_init(struct vmm_group *group, uint64_t *next, struct vmm_error *error)
{
	const struct vmm_options *options = group->options;
	const struct ivshm_client *client = &group->client;
	const bool linux_vm = options->kernel != NULL;
	const struct ivshm_device_setup setup = {
		.personality = linux_vm ? options->personality : 1,
		.id = client->id,
		.max_peers = client->max_peers,
		.vectors = client->vectors,
		.size = client->size,
		.rw_size = rw_size(client),
		.output_size = client->output_size,
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
	/* A Linux turns decoding on when it has a driver. While it is on, each BAR that Linux sizes
	 * at boot takes all slots away and back. */
	if (!linux_vm)
		ivshm_device_config_write(&group->device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < IST_BAR_MEMORY; i++) {
		uint64_t size = ivshm_device_bar_size(&group->device, i);

		group->bar[i] = (struct vmm_bar){group, i};
		group->claim[i] =
			vmm_bus_claim(group->mmio, VMM_BUS_NOWHERE,
				      linux_vm ? size : IVSHM_BAR_PAGE, &bar_ops, &group->bar[i]);
	}
	for (uint32_t vector = 0; vector < client->vectors; vector++)
		group->vector[vector].gsi = vmm_irq_add_msi(group->irqs);
	return 0;
}
