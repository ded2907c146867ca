/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pci.c: PCI as a guest sees it: configuration mechanism #1, what firmware left in the BARs,
 * and that memory and registers are where a guest puts them, or nowhere.
 */
#include <check.h>

#include "tests/pci_groups.h"
#include "tests/suite.h"

/* ---- Configuration mechanism #1 -------------------------------------------------------------- */

START_TEST(linux_finds_the_mechanism)
{
	/* As pci_check_type1() and pci_sanity_check() do. */
	out(0xcfb, 1, 1);
	out(0xcf8, 4, 0x80000000);
	ck_assert_uint_eq(in(0xcf8, 4), 0x80000000);
	ck_assert_uint_eq(config_read(0, PCI_CLASS_DEVICE, 2), 0x0600);
	ck_assert_uint_eq(config_read(0, PCI_VENDOR_ID, 4), 0x00081b36);
	ck_assert_uint_eq(config_read(0, PCI_HEADER_TYPE, 1), 0);
	ck_assert_uint_eq(config_read(0, 0xfc, 4), 0);
	for (unsigned i = 0; i < 6; i++) {
		config_write(0, PCI_BASE_ADDRESS_0 + 4 * i, 4, 0xffffffff);
		ck_assert_uint_eq(config_read(0, PCI_BASE_ADDRESS_0 + 4 * i, 4), 0);
	}
}
END_TEST

START_TEST(nobody_else)
{
	for (unsigned device = 3; device < 32; device++)
		ck_assert_uint_eq(config_read(device, 0, 4), 0xffffffff);
	for (unsigned function = 1; function < 8; function++) {
		out(0xcf8, 4, 0x80000800u | function << 8);
		ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
	}
	for (unsigned bus = 1; bus < 256; bus++) {
		out(0xcf8, 4, 0x80000800u | bus << 16);
		ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
	}
	out(0xcf8, 4, 0x800); /* not enabled */
	ck_assert_uint_eq(in(0xcfc, 4), 0xffffffff);
	out(0xcfc, 4, 0);
	out(0xcf8, 4, 0x80000000u | 31 << 11);
	out(0xcfc, 4, 0);
}
END_TEST

START_TEST(sizes_and_bytes)
{
	ck_assert_uint_eq(config_read(1, 0, 4), 0x11101af4);
	ck_assert_uint_eq(config_read(1, 0, 2), 0x1af4);
	ck_assert_uint_eq(config_read(1, 2, 2), 0x1110);
	ck_assert_uint_eq(config_read(1, 1, 1), 0x1a);
	ck_assert_uint_eq(config_read(1, 1, 2), 0x101a);
	ck_assert_uint_eq(config_read(2, 3, 1), 0x11);
	/* Beyond the ports: nobody. */
	ck_assert_uint_eq(config_read(1, 2, 4), 0xffffffff);
	config_write(1, 0x3d, 4, 0);
	/* The address register is one of 32 bits, not of bytes. */
	out(0xcf8, 4, 0x80000800);
	out(0xcf9, 1, 0x06);
	out(0xcf8, 2, 0);
	ck_assert_uint_eq(in(0xcf8, 4), 0x80000800);
	ck_assert_uint_eq(in(0xcf9, 1), 0xff);
}
END_TEST

START_TEST(everything_written)
{
	for (unsigned device = 0; device < 4; device++)
		for (uint32_t offset = 0; offset < 256; offset++)
			for (unsigned size = 1; size <= 4; size *= 2)
				config_write(device, offset, size, 0xffffffff);
	ck_assert_uint_eq(config_read(1, 0, 4), 0x11101af4);
	check_memory(0, WINDOW64, false);
	for (uint32_t offset = PCI_COMMAND; offset < 256; offset += 4)
		config_write(1, offset, 4, 0);
	config_write(2, PCI_COMMAND, 4, 0);
	ck_assert_uint_eq(kvm.bells, 0);
}
END_TEST

/* ---- BARs ------------------------------------------------------------------------------------ */

START_TEST(firmware_has_assigned)
{
	machine_unmake();
	ck_assert_int_eq(machine_make(), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(config_read(1 + i, PCI_COMMAND, 2), 0);
		check_memory(i, WINDOW64 + GROUP_SIZE * i, false);
		ck_assert_uint_eq(load(0xd0000000 + 0x2000 * i, 4), 0xffffffff);
		set_command(1 + i, PCI_COMMAND_MEMORY);
		ck_assert_uint_eq(bar(1 + i, 0), 0xd0000000 + 0x2000 * i);
		ck_assert_uint_eq(bar(1 + i, 1), 0xd0001000 + 0x2000 * i);
		ck_assert_uint_eq(bar(1 + i, 2), WINDOW64 + GROUP_SIZE * i);
		ck_assert_uint_eq(config_read(1 + i, PCI_BASE_ADDRESS_2, 4) & 0xf, 0xc);
		check_memory(i, WINDOW64 + GROUP_SIZE * i, true);
	}
	ck_assert_uint_eq(load(0xd0000000 + IST_V1_POSITION, 4), RIGHT);
	ck_assert_uint_eq(load(0xd0002000 + IST_V1_POSITION, 4), RIGHT);
	ck_assert_uint_eq(load(0xd0001000 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	ck_assert_uint_eq(load(0xd0000000 + 256, 4), 0xffffffff);
}
END_TEST

START_TEST(sized_as_linux_does)
{
	static const uint32_t sizes[] = {256, 4096};
	uint64_t mask;

	set_command(1, 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t offset = PCI_BASE_ADDRESS_0 + 4 * i, old = config_read(1, offset, 4);

		config_write(1, offset, 4, 0xffffffff);
		ck_assert_uint_eq((uint32_t) - (int32_t)(config_read(1, offset, 4) & ~0xfu),
				  sizes[i]);
		config_write(1, offset, 4, old);
	}
	config_write(1, PCI_BASE_ADDRESS_2, 4, 0xffffffff);
	config_write(1, PCI_BASE_ADDRESS_3, 4, 0xffffffff);
	mask = bar(1, 2);
	ck_assert_uint_eq(-mask, GROUP_SIZE);
	for (unsigned i = 4; i < 6; i++) {
		config_write(1, PCI_BASE_ADDRESS_0 + 4 * i, 4, 0xffffffff);
		ck_assert_uint_eq(config_read(1, PCI_BASE_ADDRESS_0 + 4 * i, 4), 0);
	}
	config_write(1, PCI_BASE_ADDRESS_2, 4, (uint32_t)WINDOW64);
	config_write(1, PCI_BASE_ADDRESS_3, 4, (uint32_t)(WINDOW64 >> 32));
	set_command(1, PCI_COMMAND_MEMORY);
	check_memory(0, WINDOW64, true);
}
END_TEST

/* Some ask for the size without turning decoding off first. */
START_TEST(sized_while_decoding)
{
	config_write(1, PCI_BASE_ADDRESS_2, 4, 0xffffffff);
	config_write(1, PCI_BASE_ADDRESS_3, 4, 0xffffffff);
	check_memory(0, WINDOW64, false);
	config_write(1, PCI_BASE_ADDRESS_2, 4, (uint32_t)WINDOW64);
	config_write(1, PCI_BASE_ADDRESS_3, 4, (uint32_t)(WINDOW64 >> 32));
	check_memory(0, WINDOW64, true);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	ck_assert_uint_eq(load(0xd0000000 + IST_V1_POSITION, 4), 0xffffffff);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	ck_assert_uint_eq(load(0xd0000000 + IST_V1_POSITION, 4), RIGHT);
}
END_TEST

START_TEST(moved)
{
	unsigned changes;

	move_memory(1, ELSEWHERE);
	check_memory(0, ELSEWHERE, true);
	check_memory(0, WINDOW64, false);
	check_memory(1, WINDOW64 + GROUP_SIZE, true);
	move_memory(2, WINDOW64);
	check_memory(1, WINDOW64, true);
	/* What does not move anything costs nothing. */
	changes = kvm.changes;
	set_command(1, MEMORY_AND_MASTER);
	config_write(1, PCI_BASE_ADDRESS_2, 4, (uint32_t)ELSEWHERE);
	config_write(1, PCI_INTERRUPT_LINE, 1, 9);
	ck_assert_uint_eq(kvm.changes, changes);
}
END_TEST

START_TEST(decoding_off_and_on)
{
	for (int i = 0; i < 3; i++) {
		set_command(1, PCI_COMMAND_MASTER);
		check_memory(0, WINDOW64, false);
		ck_assert_uint_eq(load(0xd0000000 + IST_V1_POSITION, 4), 0xffffffff);
		ck_assert_uint_eq(load(0xd0001000 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 0xffffffff);
		ck_assert_uint_eq(load(0xd0002000 + IST_V1_POSITION, 4), RIGHT);
		store(0xd0000000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 2));
		ck_assert_uint_eq(rings(m.left[0].own[2]), 0);
		set_command(1, MEMORY_AND_MASTER);
		check_memory(0, WINDOW64, true);
		store(0xd0000000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 2));
		ck_assert_uint_eq(rings(m.left[0].own[2]), 1);
	}
	ck_assert_uint_eq(m.vm.group[0]->doorbells_user, 0);
}
END_TEST

START_TEST(registers_moved)
{
	struct raw third;
	unsigned bells = kvm.bells;

	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xd0123400);
	config_write(1, PCI_BASE_ADDRESS_1, 4, 0xd0124000);
	ck_assert_uint_eq(load(0xd0123400 + IST_V1_POSITION, 4), RIGHT);
	ck_assert_uint_eq(load(0xd0124000 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	ck_assert_uint_eq(load(0xd0000000 + IST_V1_POSITION, 4), 0xffffffff);
	ck_assert_uint_eq(kvm.bells, bells);
	store(0xd0123400 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 1));
	ck_assert_uint_eq(rings(m.left[0].own[1]), 1);
	store(0xd0000000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 1));
	ck_assert_uint_eq(rings(m.left[0].own[1]), 0);
	/* Who joins then is rung from there; who joins meanwhile, from where they come to be. */
	third = raw_live(fixture[0], "third");
	ck_assert_int_eq(ivshm_client_dispatch(&m.vm.group[0]->client), 0);
	store(0xd0123400 + IST_V1_DOORBELL, 4, IST_DOORBELL(2, 1));
	ck_assert_uint_eq(rings(third.own[1]), 1);
	raw_leave(fixture[0], &third);
	ck_assert_int_eq(ivshm_client_dispatch(&m.vm.group[0]->client), 0);
	ck_assert_uint_eq(kvm.bells, bells);
	set_command(1, 0);
	third = raw_live(fixture[0], "third");
	ck_assert_int_eq(ivshm_client_dispatch(&m.vm.group[0]->client), 0);
	set_command(1, PCI_COMMAND_MEMORY);
	store(0xd0123400 + IST_V1_DOORBELL, 4, IST_DOORBELL(2, 1));
	ck_assert_uint_eq(rings(third.own[1]), 1);
	raw_leave(fixture[0], &third);
	ck_assert_int_eq(ivshm_client_dispatch(&m.vm.group[0]->client), 0);
	ck_assert_uint_eq(m.vm.group[0]->doorbells_user, 0);
}
END_TEST

/* Wherever memory cannot be, it does not answer, and everything else goes on. */
START_TEST(hostile_places)
{
	static const uint64_t places[] = {
		GROUP_SIZE,            /* over RAM */
		RAM_SIZE - GROUP_SIZE, /* its end */
		0xfee00000,            /* the local APIC */
		0xfec00000,            /* the I/O APIC */
		0xfffe0000,            /* below 4 GiB */
		WINDOW64 + GROUP_SIZE, /* over the other group */
		1ull << 46,            /* beyond the physical addresses */
		1ull << 52,
		-2ull * GROUP_SIZE,
		-1ull * GROUP_SIZE,
		0,
	};
	uint8_t *ram = vmm_memory_ram(&m.vm.memory, 0, RAM_SIZE);

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		memset(ram + GROUP_SIZE, 0x77, GROUP_SIZE);
		move_memory(1, places[i]);
		check_memory(0, WINDOW64, false);
		ck_assert_uint_eq(m.vm.group[0]->base, VMM_NOWHERE);
		ck_assert_uint_eq(load(GROUP_SIZE + SHARED, 1), 0x77);
		check_memory(1, WINDOW64 + GROUP_SIZE, true);
		ck_assert_uint_eq(load(0xd0000000 + IST_V1_POSITION, 4), RIGHT);
	}
	move_memory(1, 1ull << 45);
	check_memory(0, 1ull << 45, true);
	/* Just behind RAM is free. */
	move_memory(1, RAM_SIZE);
	check_memory(0, RAM_SIZE, true);
	ck_assert_uint_gt(m.vm.group[0]->complaints, 8);
}
END_TEST

/* Half of it only: KVM refuses one slot of several, which then are none. */
START_TEST(refused_in_the_middle)
{
	uint64_t end = 1ull << MODEL_ADDRESS_BITS;
	unsigned there = 0;

	set_command(1, PCI_COMMAND_MEMORY);
	/* The model has an own reason in the middle of the group: a slot that we do not know. */
	kvm.slot[500] = (struct kvm_userspace_memory_region){
		.slot = 500, .guest_phys_addr = ELSEWHERE + TABLE, .memory_size = 4096};
	move_memory(1, ELSEWHERE);
	ck_assert_uint_eq(m.vm.group[0]->base, VMM_NOWHERE);
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		there += kvm.slot[i].memory_size != 0 && kvm.slot[i].guest_phys_addr >= ELSEWHERE &&
			 kvm.slot[i].guest_phys_addr < end;
	ck_assert_uint_eq(there, 1);
	kvm.slot[500].memory_size = 0;
	ck_assert_uint_eq(load(ELSEWHERE + SHARED, 8), UINT64_MAX);
	move_memory(1, WINDOW64);
	check_memory(0, WINDOW64, true);
}
END_TEST

/* Two change places; for a moment one is over the other. */
START_TEST(swapped)
{
	uint64_t first = WINDOW64, second = WINDOW64 + GROUP_SIZE;

	move_memory(1, second);
	check_memory(1, second, true);
	check_memory(0, first, false);
	move_memory(2, first);
	check_memory(1, first, true);
	check_memory(0, second, true);
}
END_TEST

START_TEST(registers_in_the_way)
{
	/* Over RAM: RAM answers. Over one another: one answers. */
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0x10000);
	store(0x10000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 1));
	ck_assert_uint_eq(rings(m.left[0].own[1]), 0);
	ck_assert_uint_eq(load(0x10000 + IST_V1_DOORBELL, 4), IST_DOORBELL(0, 1));
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xd0002000);
	ck_assert_uint_eq(load(0xd0002000 + IST_V1_POSITION, 4), RIGHT);
	config_write(1, PCI_BASE_ADDRESS_1, 4, 0xd0002000);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xfee00000);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xffffff00);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xfffffe00);
	ck_assert_uint_eq(load(0xfffffe00 + IST_V1_POSITION, 4), RIGHT);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	config_write(1, PCI_BASE_ADDRESS_1, 4, 0xd0001000);
	store(0xd0000000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 1));
	ck_assert_uint_eq(rings(m.left[0].own[1]), 1);
	store(0xd0002000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 1));
	ck_assert_uint_eq(rings(m.left[1].own[1]), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci");
	TCase *v1 = tcase_create("v1");

	tcase_add_checked_fixture(v1, setup_v1, teardown);
	tcase_set_timeout(v1, 30);
	tcase_add_test(v1, linux_finds_the_mechanism);
	tcase_add_test(v1, nobody_else);
	tcase_add_test(v1, sizes_and_bytes);
	tcase_add_test(v1, everything_written);
	tcase_add_test(v1, firmware_has_assigned);
	tcase_add_test(v1, sized_as_linux_does);
	tcase_add_test(v1, sized_while_decoding);
	tcase_add_test(v1, moved);
	tcase_add_test(v1, decoding_off_and_on);
	tcase_add_test(v1, registers_moved);
	tcase_add_test(v1, hostile_places);
	tcase_add_test(v1, refused_in_the_middle);
	tcase_add_test(v1, swapped);
	tcase_add_test(v1, registers_in_the_way);
	suite_add_tcase(suite, v1);
	return suite_run(suite);
}
