// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_device_random.c: a guest that accesses anything at random, a million times: what must always
 * hold holds, and every change of an answer was told. The owner sees nothing else of a device.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/device_guest.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

#ifdef __SANITIZE_THREAD__ /* one thread: nothing to find, and slow */
#define STEPS 20000
#else
#define STEPS 250000 /* with each of the four devices */
#endif

/* Mostly where something is, now and then anywhere. */
static uint64_t somewhere(uint64_t *seed, uint64_t limit)
{
	uint64_t choice = xorshift(seed) % 16;

	if (choice == 0)
		return xorshift(seed);
	if (choice < 4)
		return xorshift(seed) % 4096;
	return choice < 12 ? xorshift(seed) % limit & ~3ull : xorshift(seed) % limit;
}

static uint64_t something(uint64_t *seed)
{
	switch (xorshift(seed) % 4) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return 1ull << xorshift(seed) % 64;
	default:
		return xorshift(seed);
	}
}

static struct ivshm_effect step(struct ivshm_device *device, uint64_t *seed)
{
	static const unsigned sizes[] = {4, 4, 4, 4, 8, 1, 2, 0};
	unsigned size = sizes[xorshift(seed) % 8],
		 bar = xorshift(seed) % 32 ? xorshift(seed) % 2 : 2;
	struct ivshm_effect none = {0};

	switch (xorshift(seed) % 8) {
	case 0:
		ivshm_device_config_read(device, (uint32_t)somewhere(seed, 256), size);
		return none;
	case 1:
		ivshm_device_read(device, bar, somewhere(seed, 80), size, something(seed));
		return none;
	case 2:
	case 3:
	case 4:
		return ivshm_device_config_write(device, (uint32_t)somewhere(seed, 256), size,
						 (uint32_t)something(seed));
	case 5:
		return ivshm_device_delivered(device);
	default:
		return ivshm_device_write(device, bar, somewhere(seed, 80), size, something(seed));
	}
}

START_TEST(random_guest)
{
	struct ivshm_device device = guest_device((unsigned)_i);
	uint64_t seed = 0x9e3779b97f4a7c15 + (uint64_t)_i;
	unsigned bars = 0, delivering = 0, one_shot = 0;
	struct guest_answers before, after;

	guest_ask(&device, &before);
	for (int i = 0; i < STEPS; i++) {
		uint32_t state = device.state;
		struct ivshm_effect effect = step(&device, &seed);
		const char *broken = guest_broken(&device, (unsigned)_i);

		GUEST_CHECK(!broken, "step %d: not so: %s", i, broken);
		guest_ask(&device, &after);
		if (memcmp(before.bar, after.bar, sizeof(before.bar)) != 0)
			GUEST_CHECK(effect.what & IVSHM_EFFECT_BARS, "step %d: BARs", i);
		before.bar[0] = after.bar[0];
		before.bar[1] = after.bar[1];
		before.bar[2] = after.bar[2];
		if (memcmp(&before, &after, sizeof(before)) != 0)
			GUEST_CHECK(effect.what & IVSHM_EFFECT_INTERRUPTS, "step %d: vectors", i);
		GUEST_CHECK((device.state != state) == !!(effect.what & IVSHM_EFFECT_STATE),
			    "step %d: state", i);
		if (effect.what & IVSHM_EFFECT_STATE)
			ck_assert_uint_eq(effect.state, device.state);
		GUEST_CHECK(effect.what <= 15, "step %d: %x", i, effect.what);
		bars += after.bar[0] != 0;
		one_shot += after.one_shot != 0;
		for (unsigned vector = 0; vector < 4; vector++)
			delivering += after.delivers[vector] != 0;
		before = after;
	}
	/* All of it was reached. */
	ck_assert_uint_gt(bars, STEPS / 1000);
	if (guest_setup[_i].vectors)
		ck_assert_uint_gt(delivering, STEPS / 1000);
	if (guest_setup[_i].personality == 2)
		ck_assert_uint_gt(one_shot, STEPS / 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device_random");
	TCase *tcase = tcase_create("random");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, random_guest, 0, GUEST_SETUPS);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
