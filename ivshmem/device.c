// SPDX-License-Identifier: BSD-2-Clause
/* device.c: a device from power on, what answers at its BARs, and when it may interrupt. */
#include <string.h>

#include "device_internal.h"

void ivshm_device_init(struct ivshm_device *device, const struct ivshm_device_setup *setup)
{
	memset(device, 0, sizeof(*device));
	device->setup = *setup;
	/* IVPosition: "if the device is not configured for interrupts, this is zero". */
	device->v1.id = setup->vectors != 0 ? setup->id : 0;
	ivshm_config_init(device);
	ivshm_msix_init(device);
}

uint64_t ivshm_device_bar_size(const struct ivshm_device *device, unsigned bar)
{
	switch (bar) {
	case IST_BAR_REGISTERS:
		return device->setup.personality == 1 ? IST_V1_BAR0_SIZE : IST_V2_BAR0_SIZE;
	case IST_BAR_MSIX:
		return device->setup.vectors != 0 ? IVSHM_BAR_PAGE : 0;
	case IST_BAR_MEMORY:
		return device->setup.size;
	case IST_BAR_RUN_STATE:
		return device->setup.run_size;
	default:
		return 0;
	}
}

uint64_t ivshm_device_read(struct ivshm_device *device, unsigned bar, uint64_t offset,
			   unsigned size, uint64_t pending)
{
	switch (bar) {
	case IST_BAR_REGISTERS:
		if (device->setup.personality == 1)
			return ivshm_v1_read(&device->v1, offset, size);
		return ivshm_v2_read(device, offset, size);
	case IST_BAR_MSIX:
		return ivshm_msix_read(device, offset, size, pending);
	default:
		return 0;
	}
}

static struct ivshm_effect v1_write(struct ivshm_device *device, uint64_t offset, unsigned size,
				    uint64_t value)
{
	struct ivshm_v1_effect effect = ivshm_v1_write(&device->v1, offset, size, value);

	return (struct ivshm_effect){
		.what = effect.ring ? IVSHM_EFFECT_RING : 0,
		.peer = effect.peer,
		.vector = effect.vector,
	};
}

struct ivshm_effect ivshm_device_write(struct ivshm_device *device, unsigned bar, uint64_t offset,
				       unsigned size, uint64_t value)
{
	struct ivshm_effect effect = {0};

	switch (bar) {
	case IST_BAR_REGISTERS:
		if (device->setup.personality == 1)
			effect = v1_write(device, offset, size, value);
		else
			effect = ivshm_v2_write(device, offset, size, value);
		/* "If the device is not configured for interrupts, the write is ignored." */
		if (device->setup.vectors == 0)
			effect.what &= ~IVSHM_EFFECT_RING;
		break;
	case IST_BAR_MSIX:
		effect = ivshm_msix_write(device, offset, size, value);
		break;
	default:
		break;
	}
	return effect;
}

/*
 * Interrupt Control of v2 holds interrupts back, it does not drop them: Jailhouse's device, with
 * "no notion of pending interrupts", loses a doorbell that comes while it is 0. A driver that is
 * right there (it looks at the shared memory after it has enabled) is right here, with an interrupt
 * more now and then; one that forgets to look is not left asleep.
 */
int ivshm_device_vector(const struct ivshm_device *device, uint32_t vector, uint64_t *address,
			uint32_t *data)
{
	const struct ivshm_msix_entry *entry;

	if (vector >= device->setup.vectors || !ivshm_config_interrupts(device))
		return 0;
	if (device->setup.personality == 2 && device->control == 0)
		return 0;
	entry = &device->msix[vector];
	if (entry->control != 0)
		return 0;
	*address = entry->address;
	*data = entry->data;
	return 1;
}

struct ivshm_effect ivshm_device_delivered(struct ivshm_device *device)
{
	struct ivshm_effect effect = {0};

	if (ivshm_device_one_shot(device) && device->control != 0) {
		device->control = 0;
		effect.what = IVSHM_EFFECT_INTERRUPTS;
	}
	return effect;
}
