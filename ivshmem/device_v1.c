// SPDX-License-Identifier: BSD-2-Clause
/*
 * device_v1.c: the registers of QEMU's ivshmem, revision 1. They are 32 bits wide and accessed as
 * such; the specification defines nothing else.
 */
#include "device_v1.h"

uint64_t ivshm_v1_read(struct ivshm_v1 *device, uint64_t offset, unsigned size)
{
	uint32_t value;

	if (size != 4)
		return 0;
	switch (offset) {
	case IST_V1_INTR_MASK:
		return device->mask;
	case IST_V1_INTR_STATUS:
		value = device->status;
		device->status = 0;
		return value;
	case IST_V1_POSITION:
		return device->id;
	default: /* the doorbell is write-only, the rest is reserved */
		return 0;
	}
}

struct ivshm_v1_effect ivshm_v1_write(struct ivshm_v1 *device, uint64_t offset, unsigned size,
				      uint64_t value)
{
	struct ivshm_v1_effect effect = {0};
	uint32_t word = (uint32_t)value;

	if (size != 4)
		return effect;
	switch (offset) {
	case IST_V1_INTR_MASK:
		device->mask = word;
		break;
	case IST_V1_INTR_STATUS:
		device->status = word;
		break;
	case IST_V1_DOORBELL:
		effect.ring = 1;
		effect.peer = IST_DOORBELL_PEER(word);
		effect.vector = IST_DOORBELL_VECTOR(word);
		break;
	default: /* the position is read-only, the rest is reserved */
		break;
	}
	return effect;
}
