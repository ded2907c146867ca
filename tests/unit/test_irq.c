/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_irq.c: doorbells that arrive at a Linux VM: as which message, and that none is lost while
 * vectors are masked, the function is, or interrupts are one-shot.
 */
#include <check.h>
#include <sys/epoll.h>

#include "tests/pci_machine.h"
#include "tests/suite.h"

#define MSIX_BAR 0xd0001000u
#define REGISTERS 0xd0000000u
#define MESSAGE(vector) (0x50u + (vector))
#define ADDRESS(vector) (0xfee00000u + 0x1000u * (vector))

static uint32_t msix;  /* the capability's flags */
static int thief = -1; /* takes the rings of this eventfd when epoll has told of it */

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
	int count = (int)syscall(SYS_epoll_wait, epoll, events, max, timeout);

	if (thief >= 0 && count > 0) {
		rings(thief);
		thief = -1;
	}
	return count;
}

static void prepare(unsigned personality)
{
	struct ivshm_packet packet;

	machine_start(personality, 1);
	must(ivshm_client_ready(&m.vm.group[0]->client) == 0);
	packet = raw_expect(fixture[0], m.left[0].socket, IST_WIRE_PEER);
	raw_keep_peer(&m.left[0], &packet);
	msix = capability(1, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	set_command(1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	rings(m.left[0].peer[RIGHT][0]);
}

static void setup_v1(void)
{
	prepare(1);
}

static void setup_v2(void)
{
	prepare(2);
}

static void teardown(void)
{
	machine_stop();
}

static uint32_t entry(uint32_t vector)
{
	return MSIX_BAR + IVSHM_MSIX_TABLE + PCI_MSIX_ENTRY_SIZE * vector;
}

static void mask(uint32_t vector, uint32_t masked)
{
	store(entry(vector) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, masked);
}

static void set_message(uint32_t vector, uint64_t address, uint32_t data)
{
	store(entry(vector) + PCI_MSIX_ENTRY_LOWER_ADDR, 4, (uint32_t)address);
	store(entry(vector) + PCI_MSIX_ENTRY_UPPER_ADDR, 4, address >> 32);
	store(entry(vector) + PCI_MSIX_ENTRY_DATA, 4, data);
}

/* As Linux enables MSI-X: the function masked, entries, then the function is let go. */
static void enable(void)
{
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (uint32_t i = 0; i < FIXTURE_VECTORS; i++) {
		set_message(i, ADDRESS(i), MESSAGE(i));
		mask(i, 0);
	}
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE);
}

/* The peer rings. */
static void ring(uint32_t vector)
{
	must(eventfd_write(m.left[0].peer[RIGHT][vector], 1) == 0);
	kvm_run();
}

/* The main thread, as it is in vm.c. */
static void serve(void)
{
	struct pollfd p = {.fd = m.vm.group[0]->watch, .events = POLLIN};

	for (int i = 0; i < 10 && p.fd >= 0 && poll(&p, 1, 0) == 1; i++)
		vmm_vectors_serve(m.vm.group[0]);
}

static void expect_last(uint64_t address, uint32_t data)
{
	ck_assert_uint_ge(kvm.injected, 1);
	ck_assert_uint_eq(kvm.message[(kvm.injected - 1) % 64].address, address);
	ck_assert_uint_eq(kvm.message[(kvm.injected - 1) % 64].data, data);
}

static uint64_t pending(void)
{
	return load(MSIX_BAR + IVSHM_MSIX_PBA, 8);
}

START_TEST(by_the_kernel)
{
	ring(1);
	ck_assert_uint_eq(kvm.injected, 0);
	enable(); /* what came before MSI-X was on comes now */
	ck_assert_uint_eq(kvm.injected, 1);
	expect_last(ADDRESS(1), MESSAGE(1));
	for (uint32_t i = 0; i < FIXTURE_VECTORS; i++) {
		ring(i);
		ck_assert_uint_eq(kvm.injected, 2 + i);
		expect_last(ADDRESS(i), MESSAGE(i));
	}
	ck_assert_uint_eq(pending(), 0);
}
END_TEST

START_TEST(masked_one)
{
	enable();
	mask(2, 1);
	ck_assert_uint_eq(pending(), 0);
	ring(2);
	ring(2);
	ck_assert_uint_eq(kvm.injected, 0);
	ck_assert_uint_eq(pending(), 4);
	ck_assert_uint_eq(load(MSIX_BAR + IVSHM_MSIX_PBA, 4), 4);
	ring(1);
	ck_assert_uint_eq(kvm.injected, 1);
	mask(2, 0);
	ck_assert_uint_eq(kvm.injected, 2);
	expect_last(ADDRESS(2), MESSAGE(2));
	ck_assert_uint_eq(pending(), 0);
	/* It was delivered: masked again, nothing waits. */
	mask(2, 1);
	ck_assert_uint_eq(pending(), 0);
	mask(2, 0);
	kvm_run();
	ck_assert_uint_eq(kvm.injected, 2);
	for (int i = 0; i < 5; i++) {
		mask(2, 1);
		ring(2);
		mask(2, 0);
		ring(2);
	}
	ck_assert_uint_eq(kvm.injected, 12);
}
END_TEST

/* Each of what must be set for messages to go. */
START_TEST(masked_all)
{
	enable();
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	ring(0);
	ck_assert_uint_eq(kvm.injected, 0);
	ck_assert_uint_eq(pending(), 1);
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE);
	ck_assert_uint_eq(kvm.injected, 1);
	config_write(1, msix, 2, 0);
	ring(1);
	ck_assert_uint_eq(kvm.injected, 1);
	config_write(1, msix, 2, PCI_MSIX_FLAGS_ENABLE);
	ck_assert_uint_eq(kvm.injected, 2);
	set_command(1, PCI_COMMAND_MEMORY);
	ring(2);
	ck_assert_uint_eq(kvm.injected, 2);
	ck_assert_uint_eq(pending(), 4);
	set_command(1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ck_assert_uint_eq(kvm.injected, 3);
	/* Decoding is not among them. */
	set_command(1, PCI_COMMAND_MASTER);
	ring(2);
	ck_assert_uint_eq(kvm.injected, 4);
}
END_TEST

/* Another processor: Linux masks, writes the entry, unmasks; but it need not mask. */
START_TEST(other_message)
{
	unsigned commits;

	enable();
	mask(1, 1);
	set_message(1, 0xfee03000, 0x99);
	ring(1);
	mask(1, 0);
	expect_last(0xfee03000, 0x99);
	set_message(1, 0xfee0300000004ull, 0x98);
	ring(1);
	expect_last(0xfee0300000004ull, 0x98);
	ck_assert_uint_eq(kvm.injected, 2);
	commits = kvm.commits;
	mask(1, 1);
	mask(1, 0);
	set_message(1, 0xfee0300000004ull, 0x98);
	ck_assert_uint_eq(kvm.commits, commits); /* the same: KVM is not told */
}
END_TEST

START_TEST(own_doorbell)
{
	enable();
	store(REGISTERS + IST_V1_DOORBELL, 4, IST_DOORBELL(RIGHT, 2));
	kvm_run();
	ck_assert_uint_eq(kvm.injected, 1);
	expect_last(ADDRESS(2), MESSAGE(2));
}
END_TEST

START_TEST(v2_control)
{
	enable();
	ring(1);
	ck_assert_uint_eq(kvm.injected, 0);
	ck_assert_uint_eq(pending(), 0); /* v2 has no pending bits */
	store(REGISTERS + IST_V2_INT_CONTROL, 4, 1);
	ck_assert_uint_eq(kvm.injected, 1);
	ring(1);
	ck_assert_uint_eq(kvm.injected, 2);
	store(REGISTERS + IST_V2_INT_CONTROL, 4, 0);
	ring(2);
	ck_assert_uint_eq(kvm.injected, 2);
	store(REGISTERS + IST_V2_INT_CONTROL, 4, 1);
	expect_last(ADDRESS(2), MESSAGE(2));
}
END_TEST

static void one_shot(uint32_t on)
{
	config_write(1, capability(1, PCI_CAP_ID_VNDR) + IST_V2_CAP_CONTROL, 1, on);
}

START_TEST(v2_one_shot)
{
	one_shot(1);
	enable();
	ring(1);
	serve();
	ck_assert_uint_eq(kvm.injected, 0);
	store(REGISTERS + IST_V2_INT_CONTROL, 4, 1);
	serve();
	ck_assert_uint_eq(kvm.injected, 1);
	expect_last(ADDRESS(1), MESSAGE(1));
	ck_assert_uint_eq(load(REGISTERS + IST_V2_INT_CONTROL, 4), 0);
	/* One at a time: the next one when it is enabled again. */
	ring(0);
	ring(2);
	serve();
	ck_assert_uint_eq(kvm.injected, 1);
	for (unsigned i = 2; i < 4; i++) {
		store(REGISTERS + IST_V2_INT_CONTROL, 4, 1);
		serve();
		ck_assert_uint_eq(kvm.injected, i);
		ck_assert_uint_eq(load(REGISTERS + IST_V2_INT_CONTROL, 4), 0);
	}
	store(REGISTERS + IST_V2_INT_CONTROL, 4, 1);
	serve();
	ck_assert_uint_eq(kvm.injected, 3);
	/* Masked while the main thread is on its way. */
	must(eventfd_write(m.left[0].peer[RIGHT][1], 1) == 0);
	mask(1, 1);
	serve();
	vmm_vectors_serve(m.vm.group[0]);
	ck_assert_uint_eq(kvm.injected, 3);
	mask(1, 0);
	serve();
	ck_assert_uint_eq(kvm.injected, 4);
	/* And back to the kernel, with one waiting. */
	ring(2);
	one_shot(0);
	store(REGISTERS + IST_V2_INT_CONTROL, 4, 1);
	ck_assert_uint_eq(kvm.injected, 5);
	expect_last(ADDRESS(2), MESSAGE(2));
	ring(2);
	ck_assert_uint_eq(kvm.injected, 6);
	ck_assert_uint_eq(load(REGISTERS + IST_V2_INT_CONTROL, 4), 1);
}
END_TEST

/* Somebody else who holds the eventfd has made it blocking, and takes the ring just before. */
START_TEST(v2_one_shot_taken)
{
	int fd = m.left[0].peer[RIGHT][1];

	one_shot(1);
	enable();
	store(REGISTERS + IST_V2_INT_CONTROL, 4, 1);
	must(fcntl(fd, F_SETFL, 0) == 0);
	must(eventfd_write(fd, 1) == 0);
	thief = fd;
	vmm_vectors_serve(m.vm.group[0]);
	ck_assert_int_eq(thief, -1);
	ck_assert_uint_eq(kvm.injected, 0);
	ck_assert_uint_eq(load(REGISTERS + IST_V2_INT_CONTROL, 4), 1);
}
END_TEST

static int ringing;

static void *ring_on(void *argument)
{
	for (unsigned i = 0; i < 2000; i++)
		must(eventfd_write(m.left[0].peer[RIGHT][1 + i % 2], 1) == 0);
	__atomic_store_n(&ringing, 0, __ATOMIC_RELEASE);
	return argument;
}

/* A peer rings while the guest masks, unmasks and moves: after each last ring there is one more. */
START_TEST(none_lost)
{
	unsigned before;
	pthread_t peer;

	enable();
	ringing = 1;
	must(pthread_create(&peer, NULL, ring_on, NULL) == 0);
	for (unsigned i = 0; __atomic_load_n(&ringing, __ATOMIC_ACQUIRE); i++) {
		mask(1 + i % 2, 1);
		set_command(1, i % 4 < 2 ? PCI_COMMAND_MEMORY
					 : PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		mask(1 + i % 2, 0);
	}
	pthread_join(peer, NULL);
	set_command(1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	kvm_run();
	ck_assert_uint_eq(pending(), 0);
	ck_assert_uint_ge(kvm.injected, 2);
	before = kvm.injected;
	ring(1);
	ring(2);
	ck_assert_uint_eq(kvm.injected, before + 2);
}
END_TEST

/* Taken from KVM and given back: rings meanwhile are counted, come as one, and none is lost. */
START_TEST(paced)
{
	struct vmm_group *group = m.vm.group[0];

	enable();
	ck_assert_int_eq(vmm_vector_pace(group, 1, true), 0);
	ck_assert_uint_eq(vmm_vector_deliver(group, 1), 0);
	for (unsigned i = 0; i < 5; i++)
		ring(1);
	ring(2);
	ck_assert_uint_eq(kvm.injected, 1);
	expect_last(ADDRESS(2), MESSAGE(2));
	ck_assert_uint_eq(vmm_vector_deliver(group, 1), 5);
	ck_assert_uint_eq(kvm.injected, 2);
	expect_last(ADDRESS(1), MESSAGE(1));

	/* What the guest masks waits, as ever. */
	mask(1, 1);
	ring(1);
	ck_assert_uint_eq(vmm_vector_deliver(group, 1), 0);
	ck_assert_uint_eq(kvm.injected, 2);
	ck_assert_uint_eq(pending(), 1 << 1);
	mask(1, 0);
	ck_assert_uint_eq(vmm_vector_deliver(group, 1), 1);
	ck_assert_uint_eq(kvm.injected, 3);

	ring(1);
	ck_assert_int_eq(vmm_vector_pace(group, 1, false), 0);
	ck_assert_uint_eq(kvm.injected, 4);
	ring(1);
	ck_assert_uint_eq(kvm.injected, 5);
	expect_last(ADDRESS(1), MESSAGE(1));
}
END_TEST

/* KVM does not take it back: it stays with who has it, and is delivered. */
START_TEST(paced_for_good)
{
	struct vmm_group *group = m.vm.group[0];

	enable();
	ck_assert_int_eq(vmm_vector_pace(group, 1, true), 0);
	ring(1);
	kvm.countdown = 1;
	ck_assert_int_lt(vmm_vector_pace(group, 1, false), 0);
	ck_assert(group->vector[1].paced);
	ck_assert_uint_eq(kvm.injected, 0);
	ck_assert_uint_eq(vmm_vector_deliver(group, 1), 1);
	ck_assert_uint_eq(kvm.injected, 1);
	ck_assert_int_eq(vmm_vector_pace(group, 1, false), 0);
	ring(1);
	ck_assert_uint_eq(kvm.injected, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interrupts");
	TCase *v1 = tcase_create("v1"), *v2 = tcase_create("v2");

	tcase_add_checked_fixture(v1, setup_v1, teardown);
	tcase_set_timeout(v1, 30);
	tcase_add_test(v1, by_the_kernel);
	tcase_add_test(v1, masked_one);
	tcase_add_test(v1, masked_all);
	tcase_add_test(v1, other_message);
	tcase_add_test(v1, own_doorbell);
	tcase_add_test(v1, none_lost);
	tcase_add_test(v1, paced);
	tcase_add_test(v1, paced_for_good);
	suite_add_tcase(suite, v1);
	tcase_add_checked_fixture(v2, setup_v2, teardown);
	tcase_add_test(v2, v2_control);
	tcase_add_test(v2, v2_one_shot);
	tcase_add_test(v2, v2_one_shot_taken);
	suite_add_tcase(suite, v2);
	return suite_run(suite);
}
