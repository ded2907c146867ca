// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_device.c: a guest accesses its device in any way. The first byte says which device, then
 * each access is eight bytes: what and how wide, where (2), and the value (5, the last one
 * repeated). What must always hold of a device holds after each, and every change of an answer was
 * told.
 */
#include <stdlib.h>

#include "tests/device_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8u
#define STEPS_MAX 64u

static void require(int condition)
{
	if (!condition)
		abort();
}

/* Offsets are near the start, or at the end of all that there is. */
static uint64_t place(const uint8_t *step)
{
	uint64_t offset = (uint64_t)step[1] | (uint64_t)step[2] << 8;

	return offset < 0xff00 ? offset : offset | ~0xffffull;
}

static struct ivshm_effect access(struct ivshm_device *device, const uint8_t *step)
{
	static const unsigned sizes[] = {4, 8, 1, 2};
	unsigned size = step[0] & 0x20 ? step[7] & 31u : sizes[step[0] >> 3 & 3];
	uint64_t offset = place(step), value = step[7] & 0x80 ? UINT64_MAX : 0;
	struct ivshm_effect none = {0};

	for (unsigned i = 0; i < 5; i++)
		value = value << 8 | step[7 - i];
	switch (step[0] & 7) {
	case 0:
		ivshm_device_config_read(device, (uint32_t)offset, size);
		return none;
	case 1:
		return ivshm_device_config_write(device, (uint32_t)offset, size, (uint32_t)value);
	case 2:
		ivshm_device_read(device, step[0] >> 6, offset, size, value);
		return none;
	case 3:
		return ivshm_device_delivered(device);
	default:
		return ivshm_device_write(device, step[0] >> 6, offset, size, value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_answers before, after;
	struct ivshm_device device;
	unsigned which;

	if (size == 0 || size > 1 + STEPS_MAX * STEP)
		return -1;
	which = data[0] % GUEST_SETUPS;
	device = guest_device(which);
	if (data[0] & 0x80) /* a driver has set it up */
		guest_interrupts_on(&device);
	guest_ask(&device, &before);
	for (size_t at = 1; at + STEP <= size; at += STEP) {
		uint32_t state = device.state;
		struct ivshm_effect effect = access(&device, data + at);

		require(guest_broken(&device, which) == NULL);
		guest_ask(&device, &after);
		require(memcmp(before.bar, after.bar, sizeof(before.bar)) == 0 ||
			(effect.what & IVSHM_EFFECT_BARS));
		memcpy(before.bar, after.bar, sizeof(before.bar));
		require(memcmp(&before, &after, sizeof(before)) == 0 ||
			(effect.what & IVSHM_EFFECT_INTERRUPTS));
		require((device.state != state) == !!(effect.what & IVSHM_EFFECT_STATE));
		require(!(effect.what & IVSHM_EFFECT_RING) ||
			(guest_setup[which].vectors != 0 && effect.peer <= 0xffff &&
			 effect.vector <= 0xffff));
		before = after;
	}
	return 0;
}
