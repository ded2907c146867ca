// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_device_config.c: configuration space of both personalities: PCI 3.0, chapter 6; "PCI BARs"
 * of QEMU's ivshmem-spec; "Configuration Space Registers" of the ivshmem v2 specification.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/device_guest.h"
#include "tests/suite.h"

static uint32_t get(const struct ivshm_device *device, uint32_t offset, unsigned size)
{
	return ivshm_device_config_read(device, offset, size);
}

static uint32_t set(struct ivshm_device *device, uint32_t offset, unsigned size, uint32_t value)
{
	return ivshm_device_config_write(device, offset, size, value).what;
}

/* ---- Every offset and size ------------------------------------------------------------------- */

static const uint32_t offsets[] = {256, 257, 300, 4095, 4096, 0x7fffffff, 0xfffffffc, 0xffffffff};

static uint32_t sweep_offset(unsigned i)
{
	return i < 256 ? i : offsets[i - 256];
}

#define SWEEP (256u + sizeof(offsets) / sizeof(offsets[0]))

/* All that is not registers "returns 0 on read", whatever the size. */
START_TEST(every_read)
{
	struct ivshm_device device = guest_device((unsigned)_i), before = device;

	for (unsigned at = 0; at < SWEEP; at++) {
		for (unsigned size = 0; size <= 16; size++) {
			uint32_t offset = sweep_offset(at), expected = 0;

			for (unsigned i = 0; size <= 4 && i < size; i++) {
				uint64_t byte = (uint64_t)offset + i;

				if (byte < 256)
					expected |= (uint32_t)guest_image[_i].value[byte] << 8 * i;
			}
			GUEST_CHECK(get(&device, offset, size) == expected,
				    "read of %u at %x is %x, not %x", size, offset,
				    get(&device, offset, size), expected);
		}
	}
	ck_assert(guest_same(&device, &before));
}
END_TEST

/* "Writes to other bits are ignored": exactly the writable bits take what is written. */
START_TEST(every_write)
{
	static const uint32_t values[] = {0, 0xffffffff, 0x12345678, 0xedcba987};
	struct ivshm_device fresh = guest_device((unsigned)_i);

	for (unsigned at = 0; at < SWEEP; at++) {
		for (unsigned size = 0; size <= 16; size++) {
			for (unsigned v = 0; v < 8; v++) {
				struct ivshm_device device = fresh, after = fresh;
				uint32_t offset = sweep_offset(at), value = values[v % 4];

				/* On all zeros, and on all ones. */
				for (unsigned i = 0; v >= 4 && i < 256; i++) {
					device.config[i] |= guest_image[_i].writable[i];
					after.config[i] = device.config[i];
				}
				for (unsigned i = 0; size <= 4 && i < size; i++) {
					uint64_t byte = (uint64_t)offset + i;
					uint8_t mask;

					if (byte >= 256)
						continue;
					mask = guest_image[_i].writable[byte];
					after.config[byte] =
						(uint8_t)((after.config[byte] & ~mask) |
							  (value >> 8 * i & mask));
				}
				set(&device, offset, size, value);
				GUEST_CHECK(guest_same(&device, &after), "write of %u at %x: %x",
					    size, offset, value);
			}
		}
	}
}
END_TEST

/* The answers change when a write says so, and only then. */
START_TEST(every_write_tells)
{
	struct ivshm_device device = guest_device((unsigned)_i);
	struct guest_answers before, after;
	unsigned told = 0;

	ivshm_device_assign(&device, 0, 0xf0000000);
	ivshm_device_assign(&device, 1, 0xf0001000);
	ivshm_device_assign(&device, 2, 0x4000000000);
	guest_interrupts_on(&device);
	for (uint32_t offset = 0; offset < 256; offset++) {
		for (unsigned value = 0; value < 256; value++) {
			struct ivshm_device other = device;
			uint32_t what = set(&other, offset, 1, value), expected = 0;

			guest_ask(&device, &before);
			guest_ask(&other, &after);
			if (memcmp(before.bar, after.bar, sizeof(before.bar)) != 0)
				expected |= 1;
			if (memcmp(&before.one_shot, &after.one_shot,
				   sizeof(before) - sizeof(before.bar)) != 0)
				expected |= 2;
			GUEST_CHECK(what == expected, "write of %x at %x: %x, not %x", value,
				    offset, what, expected);
			told |= what;
		}
	}
	/* Plain v2 can still change its one-shot mode; plain v1 has nothing to interrupt with. */
	ck_assert_uint_eq(told, _i == GUEST_V1_PLAIN ? 1 : 3);
}
END_TEST

/* ---- Header: PCI 3.0, 6.1 and 6.2 ------------------------------------------------------------ */

/* ivshmem-spec, "guest interface": "vendor ID 1af4, device ID 1110, revision 1". */
START_TEST(v1_identity)
{
	struct ivshm_device device = guest_device(GUEST_V1);

	ck_assert_uint_eq(get(&device, 0x00, 4), 0x11101af4);
	ck_assert_uint_eq(get(&device, 0x08, 4), 0x05000001);
	ck_assert_uint_eq(get(&device, 0x2c, 4), 0x11001af4);
	ck_assert_uint_eq(get(&device, 0x0e, 1), 0);
}
END_TEST

/* v2, "Header Registers": 110Ah, 4106h, 00h, protocol type 0, FFh; subsystem the same; type 00h. */
START_TEST(v2_identity)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	ck_assert_uint_eq(get(&device, 0x00, 4), 0x4106110a);
	ck_assert_uint_eq(get(&device, 0x08, 4), 0xff000000);
	ck_assert_uint_eq(get(&device, 0x2c, 4), 0x4106110a);
	ck_assert_uint_eq(get(&device, 0x0e, 1), 0);
}
END_TEST

/* v2, "Command Register": "0000h on reset", memory space, bus master and INTx disable writable. */
START_TEST(command)
{
	struct ivshm_device device = guest_device((unsigned)_i);

	ck_assert_uint_eq(get(&device, 0x04, 2), 0);
	set(&device, 0x04, 2, 0xffff);
	ck_assert_uint_eq(get(&device, 0x04, 2), 0x0406);
	set(&device, 0x04, 2, 0);
	ck_assert_uint_eq(get(&device, 0x04, 2), 0);
}
END_TEST

/* v2, "Status Register": "0010h, static value"; PCI 6.2.3: its bits cannot be set by writing. */
START_TEST(status)
{
	struct ivshm_device device = guest_device((unsigned)_i);
	uint32_t expected = _i == GUEST_V1_PLAIN ? 0 : 0x0010;

	ck_assert_uint_eq(get(&device, 0x06, 2), expected);
	set(&device, 0x06, 2, 0xffff);
	ck_assert_uint_eq(get(&device, 0x06, 2), expected);
	set(&device, 0x04, 4, 0xffffffff);
	ck_assert_uint_eq(get(&device, 0x06, 2), expected);
}
END_TEST

/* v2, "Interrupt Pin": "must be 00h if MSI-X is available"; v1 rev 1: no INTx beside MSI-X. */
START_TEST(no_pin)
{
	struct ivshm_device device = guest_device((unsigned)_i);

	set(&device, 0x3c, 4, 0xffffffff);
	ck_assert_uint_eq(get(&device, 0x3d, 1), 0);
}
END_TEST

/* ---- BARs: PCI 3.0, 6.2.5.1 ------------------------------------------------------------------ */

/* A 32-bit BAR: all ones written, the size's complement read back with the type bits. */
START_TEST(bar_sizing)
{
	struct ivshm_device device = guest_device((unsigned)_i);
	uint32_t vectors = guest_setup[_i].vectors;

	set(&device, 0x10, 4, 0xffffffff);
	ck_assert_uint_eq(get(&device, 0x10, 4),
			  guest_setup[_i].personality == 1 ? 0xffffff00 : 0xfffff000);
	set(&device, 0x14, 4, 0xffffffff);
	ck_assert_uint_eq(get(&device, 0x14, 4), vectors ? 0xfffff000 : 0);
	set(&device, 0x18, 4, 0xffffffff);
	ck_assert_uint_eq(get(&device, 0x18, 4), 0xfff0000c);
	set(&device, 0x1c, 4, 0xffffffff);
	ck_assert_uint_eq(get(&device, 0x1c, 4), 0xffffffff);
	for (uint32_t offset = 0x20; offset <= 0x30; offset += 4) { /* BAR4 and 5, CIS, ROM */
		if (offset == 0x2c)
			continue;
		set(&device, offset, 4, 0xffffffff);
		ck_assert_uint_eq(get(&device, offset, 4), 0);
	}
	ck_assert_uint_eq(ivshm_device_bar_size(&device, 0),
			  guest_setup[_i].personality == 1 ? 256 : 4096);
	ck_assert_uint_eq(ivshm_device_bar_size(&device, 1), vectors ? 4096 : 0);
	ck_assert_uint_eq(ivshm_device_bar_size(&device, 2), 0x100000);
	for (unsigned bar = 3; bar < 70000; bar += bar)
		ck_assert_uint_eq(ivshm_device_bar_size(&device, bar), 0);
}
END_TEST

/* BAR2 of every size: "64-bit shared memory region", sized in two dwords. */
START_TEST(memory_of_every_size)
{
	for (unsigned bits = 15; bits < 63; bits++) {
		struct ivshm_device_setup setup = guest_setup[GUEST_V2];
		struct ivshm_device device;
		uint64_t mask, address, size = 1ull << bits;

		setup.size = size;
		ivshm_device_init(&device, &setup);
		set(&device, 0x18, 4, 0xffffffff);
		set(&device, 0x1c, 4, 0xffffffff);
		ck_assert_uint_eq(get(&device, 0x18, 4) & 15, 0xc);
		mask = (uint64_t)get(&device, 0x1c, 4) << 32 | (get(&device, 0x18, 4) & ~15u);
		ck_assert_uint_eq(~mask + 1, size);
		set(&device, 0x04, 2, 2);
		ck_assert_int_eq(ivshm_device_bar(&device, 2, &address), 0); /* the last address */
		set(&device, 0x18, 4, (uint32_t)size | 3);
		set(&device, 0x1c, 4, (uint32_t)(size >> 32));
		ck_assert_int_eq(ivshm_device_bar(&device, 2, &address), 1);
		ck_assert_uint_eq(address, size);
	}
}
END_TEST

/* PCI 6.2.2: decoding is off after a reset and while bit 1 of the command register is 0. */
START_TEST(bar_needs_decoding)
{
	struct ivshm_device device = guest_device((unsigned)_i);
	uint64_t address = 1;

	set(&device, 0x04, 2, 2); /* nothing assigned */
	for (unsigned bar = 0; bar < 10; bar++)
		ck_assert_int_eq(ivshm_device_bar(&device, bar, &address), 0);
	ck_assert_uint_eq(set(&device, 0x04, 2, 0), 0);
	for (unsigned bar = 0; bar < 3; bar++) {
		uint64_t where = 0x80000000 + 0x10000000ull * bar;
		uint32_t there = ivshm_device_bar_size(&device, bar) != 0;

		ivshm_device_assign(&device, bar, where);
		ck_assert_int_eq(ivshm_device_bar(&device, bar, &address), 0);
		ck_assert_uint_eq(set(&device, 0x04, 2, 2) & 1, there);
		ck_assert_int_eq(ivshm_device_bar(&device, bar, &address), (int)there);
		if (there)
			ck_assert_uint_eq(address, where);
		ck_assert_uint_eq(set(&device, 0x04, 2, 4) & 1, there);
		ck_assert_int_eq(ivshm_device_bar(&device, bar, &address), 0);
		for (unsigned other = 0; other < 3; other++)
			ivshm_device_assign(&device, other, 0);
	}
}
END_TEST

/* The guest moves a BAR: by dwords, by bytes; all ones and 0 are nowhere. */
START_TEST(bar_moves)
{
	struct ivshm_device device = guest_device((unsigned)_i);
	uint64_t address;

	set(&device, 0x04, 2, 2);
	ck_assert_uint_eq(set(&device, 0x10, 4, 0xfebf1abc), 1);
	ck_assert_int_eq(ivshm_device_bar(&device, 0, &address), 1);
	ck_assert_uint_eq(address, guest_setup[_i].personality == 1 ? 0xfebf1a00 : 0xfebf1000);
	ck_assert_uint_eq(set(&device, 0x12, 1, 0x70), 1);
	ck_assert_int_eq(ivshm_device_bar(&device, 0, &address), 1);
	ck_assert_uint_eq(address, guest_setup[_i].personality == 1 ? 0xfe701a00 : 0xfe701000);
	ck_assert_uint_eq(set(&device, 0x10, 4, 0xffffffff), 1);
	ck_assert_int_eq(ivshm_device_bar(&device, 0, &address), 0);
	ck_assert_uint_eq(set(&device, 0x10, 4, 0), 0);
	ck_assert_int_eq(ivshm_device_bar(&device, 0, &address), 0);
	/* BAR2 by three bytes across its two dwords. */
	ck_assert_uint_eq(set(&device, 0x1b, 3, 0x030280), 1);
	ck_assert_int_eq(ivshm_device_bar(&device, 2, &address), 1);
	ck_assert_uint_eq(address, 0x030280000000);
}
END_TEST

/* What firmware does: aligned down, the type bits stay, nothing is decoded. */
START_TEST(assign)
{
	struct ivshm_device device = guest_device((unsigned)_i), before;
	uint64_t address;

	ivshm_device_assign(&device, 0, 0xfebf1fff);
	ivshm_device_assign(&device, 2, 0x123456789abcdef0);
	ck_assert_uint_eq(get(&device, 0x10, 4),
			  guest_setup[_i].personality == 1 ? 0xfebf1f00 : 0xfebf1000);
	ck_assert_uint_eq(get(&device, 0x18, 4), 0x9ab0000c);
	ck_assert_uint_eq(get(&device, 0x1c, 4), 0x12345678);
	ck_assert_uint_eq(get(&device, 0x04, 2), 0);
	for (unsigned bar = 0; bar < 3; bar++)
		ck_assert_int_eq(ivshm_device_bar(&device, bar, &address), 0);
	before = device;
	for (unsigned bar = 3; bar < 20; bar++)
		ivshm_device_assign(&device, bar, 0xffffffffffffffff);
	ivshm_device_assign(&device, 0xfffffffe, 0xffffffffffffffff);
	ck_assert(guest_same(&device, &before));
}
END_TEST

/* ---- Capabilities: PCI 3.0, 6.7 -------------------------------------------------------------- */

/* ivshmem-spec: BAR1 "holds MSI-X table and PBA (only ivshmem-doorbell)". */
START_TEST(v1_capabilities)
{
	struct ivshm_device device = guest_device(GUEST_V1);
	struct ivshm_device plain = guest_device(GUEST_V1_PLAIN);

	ck_assert_uint_eq(get(&device, 0x34, 1), 0x40);
	ck_assert_uint_eq(get(&device, 0x40, 4), 0x00030011);
	ck_assert_uint_eq(get(&device, 0x44, 4), 0x00000001);
	ck_assert_uint_eq(get(&device, 0x48, 4), 0x00000801);
	ck_assert_uint_eq(get(&plain, 0x34, 1), 0);
	ck_assert_uint_eq(guest_msix(&plain), 0);
}
END_TEST

/* v2, "Vendor Specific Capability": "must always be present", 18h without a Base Address. */
START_TEST(v2_vendor_capability)
{
	for (unsigned which = GUEST_V2; which <= GUEST_V2_PLAIN; which++) {
		struct ivshm_device device = guest_device(which);

		ck_assert_uint_eq(get(&device, 0x34, 1), 0x40);
		ck_assert_uint_eq(get(&device, 0x40, 1), 0x09);
		ck_assert_uint_eq(get(&device, 0x41, 1), which == GUEST_V2 ? 0x60 : 0);
		ck_assert_uint_eq(get(&device, 0x42, 1), 0x18);
		ck_assert_uint_eq(get(&device, 0x44, 4), 0x1000);
		ck_assert_uint_eq(get(&device, 0x48, 4), 0x7000);
		ck_assert_uint_eq(get(&device, 0x50, 4), 0x3000);
	}
}
END_TEST

/* v2: "A non-existing shared memory section has to report zero"; sizes are 64 bits wide. */
START_TEST(v2_section_sizes)
{
	struct ivshm_device_setup setup = guest_setup[GUEST_V2];
	struct ivshm_device device;

	setup.rw_size = 0;
	setup.output_size = 0x123456000;
	ivshm_device_init(&device, &setup);
	ck_assert_uint_eq(get(&device, 0x48, 4), 0);
	ck_assert_uint_eq(get(&device, 0x4c, 4), 0);
	ck_assert_uint_eq(get(&device, 0x50, 4), 0x23456000);
	ck_assert_uint_eq(get(&device, 0x54, 4), 1);
	setup.rw_size = 0xfedcba9876543000;
	setup.output_size = 0;
	ivshm_device_init(&device, &setup);
	ck_assert_uint_eq(get(&device, 0x48, 4), 0x76543000);
	ck_assert_uint_eq(get(&device, 0x4c, 4), 0xfedcba98);
	ck_assert_uint_eq(get(&device, 0x50, 4), 0);
	ck_assert_uint_eq(get(&device, 0x54, 4), 0);
}
END_TEST

/* v2, "Privileged Control": bit 0 read/write, 1-7 "0 on read, writes ignored". */
START_TEST(v2_privileged_control)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	ck_assert_int_eq(ivshm_device_one_shot(&device), 0);
	ck_assert_uint_eq(set(&device, 0x43, 1, 0xff), 2);
	ck_assert_uint_eq(get(&device, 0x43, 1), 1);
	ck_assert_int_eq(ivshm_device_one_shot(&device), 1);
	ck_assert_uint_eq(set(&device, 0x40, 4, 0xfeffffff), 2);
	ck_assert_uint_eq(get(&device, 0x40, 4), 0x00186009);
	ck_assert_int_eq(ivshm_device_one_shot(&device), 0);
}
END_TEST

/* PCI 6.8.2.3, Message Control: table size N-1 read-only, enable and function mask read/write. */
START_TEST(msix_control)
{
	for (uint32_t vectors = 1; vectors <= IST_VECTORS_MAX; vectors++) {
		for (uint32_t personality = 1; personality <= 2; personality++) {
			struct ivshm_device_setup setup = guest_setup[GUEST_V2];
			struct ivshm_device device;
			uint32_t at;

			setup.vectors = vectors;
			setup.personality = personality;
			ivshm_device_init(&device, &setup);
			at = guest_msix(&device);
			ck_assert_uint_eq(at, personality == 1 ? 0x40 : 0x60);
			ck_assert_uint_eq(get(&device, at + 2, 2), vectors - 1);
			set(&device, at + 2, 2, 0xffff);
			ck_assert_uint_eq(get(&device, at + 2, 2), 0xc000 | (vectors - 1));
			set(&device, at + 2, 2, 0);
			ck_assert_uint_eq(get(&device, at + 2, 2), vectors - 1);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device_config");
	TCase *tcase = tcase_create("configuration space");

	tcase_add_loop_test(tcase, every_read, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, every_write, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, every_write_tells, 0, GUEST_SETUPS);
	tcase_add_test(tcase, v1_identity);
	tcase_add_test(tcase, v2_identity);
	tcase_add_loop_test(tcase, command, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, status, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, no_pin, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, bar_sizing, 0, GUEST_SETUPS);
	tcase_add_test(tcase, memory_of_every_size);
	tcase_add_loop_test(tcase, bar_needs_decoding, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, bar_moves, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, assign, 0, GUEST_SETUPS);
	tcase_add_test(tcase, v1_capabilities);
	tcase_add_test(tcase, v2_vendor_capability);
	tcase_add_test(tcase, v2_section_sizes);
	tcase_add_test(tcase, v2_privileged_control);
	tcase_add_test(tcase, msix_control);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
