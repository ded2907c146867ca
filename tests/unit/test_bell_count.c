/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_bell_count.c: the BPF programs on this kernel: each way of ringing an eventfd counts, once a
 * ring, and nothing else does.
 */
#include <check.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "ivshmem/bell.h"
#include "ivshmem/bell_count.h"
#include "ivshmem/process.h"
#include "tests/broker_fixture.h"
#include "tests/suite.h"

#define EVENTFDS 4u

static struct ivshm_bell_count *count;
static unsigned descriptors;
static int eventfds[EVENTFDS + 1];
static uint64_t name[EVENTFDS + 1];
static char error[256];

static void setup(void)
{
	descriptors = count_descriptors();
	must(ivshm_bell_count_create(EVENTFDS, error, sizeof(error), &count) == 0);
	for (unsigned i = 0; i <= EVENTFDS; i++) {
		eventfds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		must(eventfds[i] >= 0 && ivshm_eventfd_id(eventfds[i], &name[i]) == 0);
	}
	ck_assert_int_eq(ivshm_bell_count_add(count, name[0]), 0);
	ck_assert_int_eq(ivshm_bell_count_add(count, name[1]), 0);
}

static void teardown(void)
{
	for (unsigned i = 0; i <= EVENTFDS; i++)
		close(eventfds[i]);
	ivshm_bell_count_destroy(count);
	ck_assert_uint_eq(count_descriptors(), descriptors);
}

static uint64_t rung(unsigned i)
{
	uint64_t times = UINT64_MAX;

	ck_assert_int_eq(ivshm_bell_count_read(count, name[i], &times), 0);
	return times;
}

static int write_bell(unsigned i, uint64_t value)
{
	return write(eventfds[i], &value, sizeof(value)) == sizeof(value) ? 0 : -errno;
}

START_TEST(asynchronous)
{
	int source = memfd_create("source", MFD_CLOEXEC);
	struct ivshm_bell bell;

	ck_assert_int_eq(ivshm_bell_create(&bell), 0);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(ivshm_bell_ring(&bell, source, eventfds[i % 5 == 0]), 0);
	ck_assert_uint_eq(rung(0), 800);
	ck_assert_uint_eq(rung(1), 200);
	ivshm_bell_destroy(&bell);
	close(source);
}
END_TEST

/* Whatever is added; one that finds no room has rung nobody. */
START_TEST(written)
{
	uint64_t taken;

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(write_bell(0, 1 + i), 0);
	ck_assert_uint_eq(rung(0), 1000);
	ck_assert_int_eq(write_bell(0, UINT64_MAX - 1), -EAGAIN);
	ck_assert_int_eq(write_bell(0, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(write(eventfds[0], &taken, 1), -1);
	ck_assert_int_eq(read(eventfds[0], &taken, sizeof(taken)), sizeof(taken));
	ck_assert_uint_eq(rung(0), 1000);
	ck_assert_uint_eq(rung(1), 0);
}
END_TEST

/* `out` to a port, so often, then `hlt`. */
#define PORT 0x10
#define OUTS 1000u
static const uint8_t guest[] = {0xb9, OUTS & 0xff, OUTS >> 8, 0xe6, PORT, 0xe2, 0xfc, 0xf4};

static void run_guest(int vcpu, size_t size)
{
	struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	struct kvm_regs registers = {.rflags = 2};
	struct kvm_sregs segments;

	must(run != MAP_FAILED && ioctl(vcpu, KVM_GET_SREGS, &segments) == 0);
	segments.cs.base = 0;
	segments.cs.selector = 0;
	must(ioctl(vcpu, KVM_SET_SREGS, &segments) == 0);
	must(ioctl(vcpu, KVM_SET_REGS, &registers) == 0);
	must(ioctl(vcpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_HLT);
	munmap(run, size);
}

START_TEST(by_a_guest)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct kvm_ioeventfd bell = {
		.addr = PORT, .len = 1, .fd = eventfds[1], .flags = KVM_IOEVENTFD_FLAG_PIO};
	struct kvm_userspace_memory_region slot = {.memory_size = 4096};
	int vm, vcpu;
	void *memory;

	if (kvm < 0) {
		printf("# no /dev/kvm: a guest's rings are not tried\n");
		return;
	}
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(memory != MAP_FAILED);
	memcpy(memory, guest, sizeof(guest));
	slot.userspace_addr = (uintptr_t)memory;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	must(vm >= 0 && ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) == 0);
	must(ioctl(vm, KVM_IOEVENTFD, &bell) == 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	must(vcpu >= 0);
	run_guest(vcpu, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	ck_assert_uint_eq(rung(1), OUTS);
	ck_assert_uint_eq(rung(0), 0);
	close(vcpu);
	close(vm);
	close(kvm);
	munmap(memory, 4096);
}
END_TEST

/* At the same time: two processes of one eventfd, each with its own way. */
START_TEST(together)
{
	int source = memfd_create("source", MFD_CLOEXEC), status;
	struct ivshm_bell bell;
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		for (unsigned i = 0; i < 5000; i++)
			if (write_bell(0, 1))
				_exit(1);
		_exit(0);
	}
	ck_assert_int_eq(ivshm_bell_create(&bell), 0);
	for (unsigned i = 0; i < 5000; i++)
		ck_assert_int_eq(ivshm_bell_ring(&bell, source, eventfds[0]), 0);
	must(waitpid(pid, &status, 0) == pid && status == 0);
	ck_assert_uint_eq(rung(0), 10000);
	ivshm_bell_destroy(&bell);
	close(source);
}
END_TEST

/* Only what was added, from then on. */
START_TEST(added_and_removed)
{
	uint64_t times;

	ck_assert_int_eq(write_bell(2, 1), 0);
	ck_assert_int_eq(ivshm_bell_count_read(count, name[2], &times), -ENOENT);
	ck_assert_int_eq(ivshm_bell_count_add(count, name[2]), 0);
	ck_assert_uint_eq(rung(2), 0);
	ck_assert_int_eq(write_bell(2, 1), 0);
	ck_assert_uint_eq(rung(2), 1);
	ivshm_bell_count_remove(count, name[2]);
	ivshm_bell_count_remove(count, name[2]); /* nothing to remove */
	ck_assert_int_eq(write_bell(2, 1), 0);
	ck_assert_int_eq(ivshm_bell_count_read(count, name[2], &times), -ENOENT);
	ck_assert_int_eq(ivshm_bell_count_add(count, name[2]), 0);
	ck_assert_uint_eq(rung(2), 0);
}
END_TEST

START_TEST(refused)
{
	uint64_t times;

	ck_assert_int_eq(ivshm_bell_count_add(count, 0), -EINVAL);
	ck_assert_int_eq(ivshm_bell_count_read(count, 0, &times), -ENOENT);
	ivshm_bell_count_remove(count, 0);
	ck_assert_int_eq(ivshm_bell_count_add(count, name[2]), 0);
	ck_assert_int_eq(ivshm_bell_count_add(count, name[3]), 0);
	ck_assert_int_eq(ivshm_bell_count_add(count, name[4]), -E2BIG);
	ck_assert_int_eq(write_bell(4, 1), 0);
	ivshm_bell_count_remove(count, name[0]);
	ck_assert_int_eq(ivshm_bell_count_add(count, name[4]), 0);
	ck_assert_uint_eq(rung(4), 0);
}
END_TEST

/* Two brokers count the same one, each for itself. */
START_TEST(two)
{
	struct ivshm_bell_count *other;
	uint64_t times = 0;

	ck_assert_int_eq(write_bell(0, 1), 0);
	ck_assert_int_eq(ivshm_bell_count_create(1, error, sizeof(error), &other), 0);
	ck_assert_int_eq(ivshm_bell_count_add(other, name[0]), 0);
	ck_assert_int_eq(write_bell(0, 1), 0);
	ck_assert_int_eq(ivshm_bell_count_read(other, name[0], &times), 0);
	ck_assert_uint_eq(times, 1);
	ivshm_bell_count_destroy(other);
	ck_assert_int_eq(write_bell(0, 1), 0);
	ck_assert_uint_eq(rung(0), 3);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *kept;

	if (ivshm_bell_count_create(1, error, sizeof(error), &count)) {
		printf("1..0 # SKIP doorbells are not counted: %s\n", error);
		return 77;
	}
	ivshm_bell_count_destroy(count);
	suite = suite_create("bell count");
	kept = tcase_create("kept");
	tcase_add_checked_fixture(kept, setup, teardown);
	tcase_add_test(kept, asynchronous);
	tcase_add_test(kept, written);
	tcase_add_test(kept, by_a_guest);
	tcase_add_test(kept, together);
	tcase_add_test(kept, added_and_removed);
	tcase_add_test(kept, refused);
	tcase_add_test(kept, two);
	tcase_set_timeout(kept, 60); /* the test bed's machine is emulated */
	suite_add_tcase(suite, kept);
	return suite_run(suite);
}
