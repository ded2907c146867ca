/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_device_run_state.c: BAR4 of both personalities: docs/abi.md, "Device registers" and PCI 3.0,
 * 6.2.5. Neither QEMU's ivshmem-spec nor Jailhouse's v2 text has it: all else must be as there.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/device_guest.h"
#include "tests/suite.h"

#define BAR4 0x20u
#define SIZE 0x4000u

static struct ivshm_device device, stock;

static void setup_of(unsigned which)
{
	struct ivshm_device_setup setup = guest_setup[which];

	setup.run_size = SIZE;
	ivshm_device_init(&device, &setup);
	stock = guest_device(which);
}

static uint32_t get(uint32_t offset)
{
	return ivshm_device_config_read(&device, offset, 4);
}

static uint32_t set(uint32_t offset, unsigned size, uint32_t value)
{
	return ivshm_device_config_write(&device, offset, size, value).what;
}

/* "Drivers that do not know it leave it alone": configuration space is a stock device's but for
 * BAR4. */
START_TEST(all_else_is_stock)
{
	setup_of((unsigned)_i);
	for (uint32_t offset = 0; offset < IVSHM_CONFIG_SIZE; offset++) {
		GUEST_CHECK(device.config[offset] == stock.config[offset], "value at %x", offset);
		if (offset < BAR4 || offset >= BAR4 + 4)
			GUEST_CHECK(device.writable[offset] == stock.writable[offset],
				    "writable bits at %x", offset);
	}
	for (unsigned bar = 0; bar < 4; bar++)
		ck_assert_uint_eq(ivshm_device_bar_size(&device, bar),
				  ivshm_device_bar_size(&stock, bar));
	ck_assert_uint_eq(ivshm_device_bar_size(&stock, 4), 0);
}
END_TEST

/* "IST_RUN_STATE_SIZE bytes of memory": 32 bits wide, not prefetchable; BAR5 is none. */
START_TEST(sized)
{
	setup_of((unsigned)_i);
	ck_assert_uint_eq(ivshm_device_bar_size(&device, IST_BAR_RUN_STATE), SIZE);
	ck_assert_uint_eq(get(BAR4), 0);
	set(BAR4, 4, 0xffffffff);
	ck_assert_uint_eq(get(BAR4), 0xffffc000);
	set(BAR4 + 4, 4, 0xffffffff);
	ck_assert_uint_eq(get(BAR4 + 4), 0);
}
END_TEST

/* PCI 6.2.2, 6.2.5.1: where it is assigned while memory is decoded; moves are told. */
START_TEST(placed_and_moved)
{
	uint64_t address = 1;

	setup_of((unsigned)_i);
	ivshm_device_assign(&device, IST_BAR_RUN_STATE, 0xd8007fff);
	ck_assert_uint_eq(get(BAR4), 0xd8004000);
	ck_assert_int_eq(ivshm_device_bar(&device, IST_BAR_RUN_STATE, &address), 0);
	ck_assert_uint_eq(set(0x04, 2, 2) & IVSHM_EFFECT_BARS, IVSHM_EFFECT_BARS);
	ck_assert_int_eq(ivshm_device_bar(&device, IST_BAR_RUN_STATE, &address), 1);
	ck_assert_uint_eq(address, 0xd8004000);
	ck_assert_uint_eq(set(BAR4 + 2, 1, 0x10), IVSHM_EFFECT_BARS);
	ck_assert_int_eq(ivshm_device_bar(&device, IST_BAR_RUN_STATE, &address), 1);
	ck_assert_uint_eq(address, 0xd8104000);
	ck_assert_uint_eq(set(BAR4, 2, 0x4abc), 0); /* the same */
	ck_assert_uint_eq(set(BAR4, 4, 0xffffffff), IVSHM_EFFECT_BARS);
	ck_assert_int_eq(ivshm_device_bar(&device, IST_BAR_RUN_STATE, &address), 0);
	ck_assert_uint_eq(set(BAR4, 4, 0), 0);
	ck_assert_int_eq(ivshm_device_bar(&device, IST_BAR_RUN_STATE, &address), 0);
}
END_TEST

/* "Stores have no effect", and where memory does not answer a load gives 0. */
START_TEST(not_a_register)
{
	struct ivshm_device before;

	setup_of((unsigned)_i);
	guest_interrupts_on(&device);
	before = device;
	for (uint64_t offset = 0; offset < SIZE + 64; offset += 4)
		for (unsigned size = 1; size <= 8; size *= 2) {
			struct ivshm_effect effect = ivshm_device_write(&device, IST_BAR_RUN_STATE,
									offset, size, UINT64_MAX);

			GUEST_CHECK(effect.what == 0, "a store at %lx has an effect", offset);
			GUEST_CHECK(ivshm_device_read(&device, IST_BAR_RUN_STATE, offset, size,
						      UINT64_MAX) == 0,
				    "a load at %lx", offset);
		}
	ck_assert(guest_same(&device, &before));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device run state");
	TCase *tc = tcase_create("BAR4");

	tcase_add_loop_test(tc, all_else_is_stock, 0, GUEST_SETUPS);
	tcase_add_loop_test(tc, sized, 0, GUEST_SETUPS);
	tcase_add_loop_test(tc, placed_and_moved, 0, GUEST_SETUPS);
	tcase_add_loop_test(tc, not_a_register, 0, GUEST_SETUPS);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
