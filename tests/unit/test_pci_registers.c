/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pci_registers.c: what a guest's function of personality v2 says, and doorbells that are
 * full.
 */
#include <check.h>

#include "tests/pci_groups.h"
#include "tests/suite.h"

START_TEST(v2_capability)
{
	uint32_t at = capability(1, PCI_CAP_ID_VNDR);

	ck_assert_uint_eq(config_read(1, 0, 4), 0x4106110a);
	ck_assert_uint_eq(config_read(1, at + IST_V2_CAP_LENGTH, 1), IST_V2_CAP_SIZE);
	ck_assert_uint_eq(config_read(1, at + IST_V2_CAP_STATE_SIZE, 4), 4096);
	ck_assert_uint_eq(config_read(1, at + IST_V2_CAP_RW_SIZE, 4), OUTPUT - 4096);
	ck_assert_uint_eq(config_read(1, at + IST_V2_CAP_RW_SIZE + 4, 4), 0);
	ck_assert_uint_eq(config_read(1, at + IST_V2_CAP_OUTPUT_SIZE, 4), 4096);
	ck_assert_uint_eq(load(0xd0000000 + IST_V2_ID, 4), RIGHT);
	ck_assert_uint_eq(load(0xd0000000 + IST_V2_MAX_PEERS, 4), FIXTURE_PEERS);
	check_memory(0, WINDOW64, true);
}
END_TEST

START_TEST(v2_state)
{
	struct raw third = raw_live(fixture[0], "third");
	const uint32_t *table = (const void *)m.left[0].map;

	ck_assert_int_eq(ivshm_client_dispatch(&m.vm.group[0]->client), 0);
	rings(m.left[0].own[0]);
	rings(m.left[1].own[0]);
	rings(third.own[0]);
	store(0xd0000000 + IST_V2_STATE, 4, 7);
	ck_assert_uint_eq(table[RIGHT], 7);
	ck_assert_uint_eq(load(WINDOW64 + 4 * RIGHT, 4), 7);
	ck_assert_uint_eq(rings(m.left[0].own[0]), 1);
	ck_assert_uint_eq(rings(third.own[0]), 1);
	ck_assert_uint_eq(rings(m.left[0].own[1]), 0);
	ck_assert_uint_eq(rings(m.left[1].own[0]), 0);
	/* The same again is no change. The guest cannot write the table itself. */
	store(0xd0000000 + IST_V2_STATE, 4, 7);
	ck_assert_uint_eq(rings(m.left[0].own[0]), 0);
	store(WINDOW64 + 4 * RIGHT, 4, 9);
	ck_assert_uint_eq(table[RIGHT], 7);
	ck_assert_uint_eq(load(0xd0000000 + IST_V2_STATE, 4), 7);
	/* The other group's is its own. */
	store(0xd0002000 + IST_V2_STATE, 4, 3);
	ck_assert_uint_eq(table[RIGHT], 7);
	ck_assert_uint_eq(((const uint32_t *)(const void *)m.left[1].map)[RIGHT], 3);
	raw_leave(fixture[0], &third);
	/* It leaves: before anybody is told, the word is 0. */
	vmm_group_destroy(m.vm.group[0]);
	ck_assert_uint_eq(table[RIGHT], 0);
	m.vm.group[0] = NULL;
}
END_TEST

/* A peer has filled its doorbells and made them block who rings with write(2). */
static void fill_bells(void)
{
	for (unsigned i = 0; i < FIXTURE_VECTORS; i++) {
		rings(m.left[0].own[i]);
		must(fcntl(m.left[0].own[i], F_SETFL, 0) == 0);
		must(eventfd_write(m.left[0].own[i], UINT64_MAX - 1) == 0);
	}
}

/* Rung by the function, as where KVM's bus is full: nobody waits. */
START_TEST(full_doorbell)
{
	eventfd_t count = 0;

	fill_bells();
	kvm.bells = 0;
	for (int i = 0; i < 3; i++)
		store(0xd0000000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 1));
	ck_assert_uint_eq(m.vm.group[0]->doorbells_user, 3);
	must(eventfd_read(m.left[0].own[1], &count) == 0);
	ck_assert_uint_eq(count, UINT64_MAX);
}
END_TEST

START_TEST(full_doorbell_for_a_state)
{
	eventfd_t count = 0;

	fill_bells();
	for (uint32_t state = 1; state < 4; state++)
		store(0xd0000000 + IST_V2_STATE, 4, state);
	must(eventfd_read(m.left[0].own[IST_VECTOR_ROSTER], &count) == 0);
	ck_assert_uint_eq(count, UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci, registers");
	TCase *v1 = tcase_create("v1"), *v2 = tcase_create("v2");

	tcase_add_checked_fixture(v1, setup_v1, teardown);
	tcase_set_timeout(v1, 30);
	tcase_add_test(v1, full_doorbell);
	suite_add_tcase(suite, v1);
	tcase_add_checked_fixture(v2, setup_v2, teardown);
	tcase_set_timeout(v2, 30);
	tcase_add_test(v2, v2_capability);
	tcase_add_test(v2, v2_state);
	tcase_add_test(v2, full_doorbell_for_a_state);
	suite_add_tcase(suite, v2);
	return suite_run(suite);
}
