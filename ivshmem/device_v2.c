// SPDX-License-Identifier: BSD-2-Clause
/*
 * device_v2.c: the registers of Jailhouse's ivshmem v2: "Register Region" of its specification.
 * "All registers support only aligned 32-bit accesses"; what is not a register reads 0.
 */
#include "device_internal.h"

#define ENABLED 1u /* the one bit of Interrupt Control */

uint32_t ivshm_v2_read(const struct ivshm_device *device, uint64_t offset, unsigned size)
{
	if (size != 4)
		return 0;
	switch (offset) {
	case IST_V2_ID:
		return device->setup.id;
	case IST_V2_MAX_PEERS:
		return device->setup.max_peers;
	case IST_V2_INT_CONTROL:
		return device->control;
	case IST_V2_STATE:
		return device->state;
	default: /* "The behavior on reading from" the doorbell "is undefined." */
		return 0;
	}
}

struct ivshm_effect ivshm_v2_write(struct ivshm_device *device, uint64_t offset, unsigned size,
				   uint64_t value)
{
	struct ivshm_effect effect = {0};
	uint32_t word = (uint32_t)value;

	if (size != 4)
		return effect;
	switch (offset) {
	case IST_V2_INT_CONTROL:
		if (device->control == (word & ENABLED))
			break;
		device->control = word & ENABLED;
		effect.what = IVSHM_EFFECT_INTERRUPTS;
		break;
	case IST_V2_DOORBELL:
		effect.what = IVSHM_EFFECT_RING;
		effect.peer = IST_DOORBELL_PEER(word);
		effect.vector = IST_DOORBELL_VECTOR(word);
		break;
	case IST_V2_STATE:
		if (device->state == word)
			break;
		device->state = word;
		effect.what = IVSHM_EFFECT_STATE;
		effect.state = word;
		break;
	default: /* ID and Maximum Peers are read-only */
		break;
	}
	return effect;
}
