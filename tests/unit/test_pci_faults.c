/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pci_faults.c: a guest's accesses from several processors at once, and with each of KVM's
 * calls refused in turn: all is as ever afterwards.
 */
#include <check.h>
#include <pthread.h>

#include "tests/pci_groups.h"
#include "tests/suite.h"

/* ---- Several processors ---------------------------------------------------------------------- */

/* A few thousand accesses of all kinds, at places that other processors use too. */
static void *processor(void *argument)
{
	uint32_t state = (uint32_t)(uintptr_t)argument;

	for (unsigned i = 0; i < 4000; i++) {
		static const uint32_t places[] = {0xd0000000, 0xd0001000, 0xd0002000, 0xd0003000};
		static const uint8_t registers[] = {0x04, 0x10, 0x14, 0x18, 0x1c, 0x40, 0x60};
		uint64_t at, value = 0;

		state = state * 1664525 + 1013904223;
		at = places[state >> 30] + (state >> 20 & 0x3c);
		value = state >> 8 & 0x10007;
		if (i % 4 == 0) {
			out(0xcf8, 4,
			    0x80000800u + (state >> 18 & 0x800) + registers[state >> 16 & 3]);
			out(0xcfc, 4, state >> 12 & 0x0c00f007);
			in(0xcfc, 4);
		}
		vmm_exit_memory(&m.vm, at, 4, (uint8_t *)&value, true);
		vmm_exit_memory(&m.vm, at, 4, (uint8_t *)&value, false);
		vmm_exit_memory(&m.vm, places[1] + IVSHM_MSIX_PBA, 8, (uint8_t *)&value, false);
	}
	return argument;
}

/* What the main thread does under the lock when the broker's socket is readable, or a doorbell. */
static int serve(void)
{
	int result;

	pthread_mutex_lock(&m.vm.lock);
	result = ivshm_client_dispatch(&m.vm.group[0]->client);
	if (m.vm.group[0]->watch >= 0)
		vmm_vectors_serve(m.vm.group[0]);
	pthread_mutex_unlock(&m.vm.lock);
	return result;
}

START_TEST(several_processors)
{
	pthread_t thread[3];

	for (uintptr_t i = 0; i < 3; i++)
		must(pthread_create(&thread[i], NULL, processor, (void *)(i + 1)) == 0);
	/* And the main thread: peers come and go. */
	for (int i = 0; i < 20; i++) {
		struct raw third = raw_live(fixture[0], "third");

		ck_assert_int_eq(serve(), 0);
		raw_leave(fixture[0], &third);
		ck_assert_int_eq(serve(), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		must(pthread_join(thread[i], NULL) == 0);
	for (unsigned i = 0; i < 2; i++) {
		config_write(1 + i, PCI_BASE_ADDRESS_0, 4, 0xd0000000 + 0x2000 * i);
		move_memory(1 + i, WINDOW64 + GROUP_SIZE * i);
		set_command(1 + i, PCI_COMMAND_MEMORY);
	}
	for (unsigned i = 0; i < 2; i++)
		check_memory(i, WINDOW64 + GROUP_SIZE * i, true);
}
END_TEST

/* ---- Failures -------------------------------------------------------------------------------- */

/* Everything a guest may bring about, with the n-th call of KVM refused. */
static void work(void)
{
	uint32_t msix = capability(1, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;

	set_command(1, 0);
	set_command(1, MEMORY_AND_MASTER);
	move_memory(1, ELSEWHERE);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xd0100000);
	for (uint32_t i = 0; i < FIXTURE_VECTORS; i++) {
		uint64_t entry = 0xd0001000 + PCI_MSIX_ENTRY_SIZE * i;

		store(entry, 8, 0xfee00000);
		store(entry + PCI_MSIX_ENTRY_DATA, 8, 0x50 + i);
	}
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE);
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE);
	move_memory(2, WINDOW64);
	move_memory(2, WINDOW64 + GROUP_SIZE);
	move_memory(1, WINDOW64);
	config_write(1, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	config_write(1, msix, 2, 0);
}

START_TEST(failing_calls)
{
	unsigned n = 0;

	do {
		kvm.fired = false;
		kvm.countdown = ++n;
		work();
		kvm.countdown = 0;
		if (n % 8 == 0) {
			fixture_settle(fixture[0]);
			fixture_settle(fixture[1]);
		}
		/* Once more, and all is as ever. */
		set_command(1, 0);
		set_command(2, 0);
		set_command(1, MEMORY_AND_MASTER);
		set_command(2, MEMORY_AND_MASTER);
		check_memory(0, WINDOW64, true);
		check_memory(1, WINDOW64 + GROUP_SIZE, true);
		check_memory(0, ELSEWHERE, false);
		store(0xd0000000 + IST_V1_DOORBELL, 4, IST_DOORBELL(0, 1));
		ck_assert_uint_eq(rings(m.left[0].own[1]), 1);
	} while (kvm.fired);
	ck_assert_uint_gt(n, 50);
}
END_TEST

START_TEST(failing_starts)
{
	unsigned descriptors = 0, n = 0;

	for (bool failed = true; failed;) {
		machine_unmake();
		if (n == 0)
			descriptors = count_descriptors();
		ck_assert_uint_eq(count_descriptors(), descriptors);
		kvm.countdown = ++n;
		m.error.text[0] = '\0';
		failed = machine_make() != 0;
		/* Bells that KVM does not take are rung by us. */
		ck_assert(!failed || (kvm.fired && m.error.text[0] != '\0'));
	}
	kvm.countdown = 0;
	ck_assert_uint_gt(n, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci, faults");
	TCase *v1 = tcase_create("v1"), *v2 = tcase_create("v2");

	tcase_add_checked_fixture(v1, setup_v1, teardown);
	tcase_set_timeout(v1, 30);
	tcase_add_test(v1, several_processors);
	tcase_add_test(v1, failing_calls);
	tcase_add_test(v1, failing_starts);
	suite_add_tcase(suite, v1);
	tcase_add_checked_fixture(v2, setup_v2, teardown);
	tcase_set_timeout(v2, 30);
	tcase_add_test(v2, several_processors);
	suite_add_tcase(suite, v2);
	return suite_run(suite);
}
