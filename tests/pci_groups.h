/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pci_groups.h: pci_machine.h's machine in two groups, as either personality, and whether their
 * memory is where it should be. Include it once.
 */
#ifndef TESTS_PCI_GROUPS_H
#define TESTS_PCI_GROUPS_H

#include <check.h>

#include "tests/pci_machine.h"

#define WINDOW64 VMM_PCI_WINDOW64_START
#define ELSEWHERE (300ull << 30)
#define MEMORY_AND_MASTER (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

static inline void prepare(unsigned personality)
{
	machine_start(personality, 2);
	set_command(1, PCI_COMMAND_MEMORY);
	set_command(2, PCI_COMMAND_MEMORY);
}

static inline void setup_v1(void)
{
	prepare(1);
}

static inline void setup_v2(void)
{
	prepare(2);
}

static inline void teardown(void)
{
	machine_stop();
}

/* The group's memory is all there at `base`, with its rights; or not at all. */
static inline void check_memory(unsigned group, uint64_t base, bool there)
{
	struct raw *left = &m.left[group];
	const uint64_t *denied = m.vm.group[group]->denied;
	uint64_t reads = denied[0], writes = denied[1];

	left->map[SHARED + 8] = 0x42;
	left->map[TABLE] = 0x43;
	ck_assert_uint_eq(load(base + SHARED + 8, 1), there ? 0x42 : 0xff);
	ck_assert_uint_eq(load(base + TABLE, 1), there ? 0x43 : 0xff);
	store(base + SHARED + 8, 1, 0x44);
	ck_assert_uint_eq(left->map[SHARED + 8], there ? 0x44 : 0x42);
	store(base + TABLE, 1, 0x45);
	store(base + OUTPUT, 1, 0x46);
	store(base + IST_ROSTER_OFFSET, 1, 0x47);
	ck_assert_uint_eq(left->map[TABLE], 0x43);
	ck_assert_uint_eq(left->map[OUTPUT], 0);
	store(base + OUTPUT + 4096 * RIGHT, 1, 0x48);
	ck_assert_uint_eq(left->map[OUTPUT + 4096 * RIGHT], there ? 0x48 : 0);
	left->map[OUTPUT + 4096 * RIGHT] = 0;
	ck_assert_uint_eq(denied[1] - writes, there ? 3 : 0);
	ck_assert_uint_eq(denied[0] - reads, 0);
	load(base + GROUP_SIZE - 8, 8);
	ck_assert_uint_eq(denied[0] - reads, there);
}

#endif
