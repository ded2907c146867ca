/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ram.c: guest RAM below and above the devices' hole, and its pages. */
#include <check.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/memory.h"
#include "tests/suite.h"

#define MODEL_FD 1000000
#define GIB (1ull << 30)
#define HUGE_FREE "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static struct kvm_userspace_memory_region slot[4];
static unsigned calls;
static unsigned refused; /* this call */

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;

	ck_assert_int_eq(fd, MODEL_FD);
	ck_assert_uint_eq(request, KVM_SET_USER_MEMORY_REGION);
	va_start(arguments, request);
	slot[calls++] = *va_arg(arguments, struct kvm_userspace_memory_region *);
	va_end(arguments);
	errno = ENOMEM;
	return calls == refused ? -1 : 0;
}

static struct vmm_memory memory;
static struct vmm_options options;
static struct vmm_error error;

static void setup(void)
{
	calls = refused = 0;
	memory = (struct vmm_memory){.vm = MODEL_FD};
	options = (struct vmm_options){.name = "one", .memory = 64 << 20};
	error.text[0] = '\0';
}

static void teardown(void)
{
	vmm_memory_free_ram(&memory);
}

static int add(void)
{
	return vmm_memory_add_ram(&memory, &options, &error);
}

START_TEST(small)
{
	const uint64_t size = 64 << 20;

	ck_assert_int_eq(add(), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(memory.slots, 1);
	ck_assert_uint_eq(slot[0].guest_phys_addr, 0);
	ck_assert_uint_eq(slot[0].memory_size, size);
	ck_assert_ptr_eq(vmm_memory_ram(&memory, 0, size), memory.ram);
	ck_assert_ptr_eq(vmm_memory_ram(&memory, size, 0), memory.ram + size);
	ck_assert_ptr_null(vmm_memory_ram(&memory, 0, size + 1));
	ck_assert_ptr_null(vmm_memory_ram(&memory, size, 1));
	ck_assert_ptr_null(vmm_memory_ram(&memory, 1, UINT64_MAX));
	ck_assert_ptr_null(vmm_memory_ram(&memory, UINT64_MAX, 1));
	ck_assert_ptr_null(vmm_memory_ram(&memory, VMM_RAM_HIGH, 1));
}
END_TEST

START_TEST(with_a_hole)
{
	options.memory = 5 * GIB;
	ck_assert_int_eq(add(), 0);
	ck_assert_uint_eq(calls, 2);
	ck_assert_uint_eq(slot[0].memory_size, 3 * GIB);
	ck_assert_uint_eq(slot[1].slot, 1);
	ck_assert_uint_eq(slot[1].guest_phys_addr, 4 * GIB);
	ck_assert_uint_eq(slot[1].memory_size, 2 * GIB);
	ck_assert_uint_eq(slot[1].userspace_addr, (uintptr_t)memory.ram + 3 * GIB);
	ck_assert_ptr_eq(vmm_memory_ram(&memory, 3 * GIB - 1, 1), memory.ram + 3 * GIB - 1);
	ck_assert_ptr_null(vmm_memory_ram(&memory, 3 * GIB - 1, 2));
	ck_assert_ptr_null(vmm_memory_ram(&memory, 3 * GIB, 1));
	ck_assert_ptr_null(vmm_memory_ram(&memory, 4 * GIB - 1, 2));
	ck_assert_ptr_eq(vmm_memory_ram(&memory, 4 * GIB, 2 * GIB), memory.ram + 3 * GIB);
	ck_assert_ptr_null(vmm_memory_ram(&memory, 4 * GIB, 2 * GIB + 1));
	ck_assert_ptr_null(vmm_memory_ram(&memory, 6 * GIB, 1));
	ck_assert_ptr_null(vmm_memory_ram(&memory, 5 * GIB, UINT64_MAX));
}
END_TEST

START_TEST(exactly_to_the_hole)
{
	options.memory = 3 * GIB;
	ck_assert_int_eq(add(), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_ptr_null(vmm_memory_ram(&memory, 4 * GIB, 1));
}
END_TEST

START_TEST(refused_slots)
{
	options.memory = 5 * GIB;
	for (refused = 1; refused <= 2; refused++) {
		calls = 0;
		ck_assert_int_eq(add(), -ENOMEM);
		ck_assert_ptr_null(memory.ram);
		ck_assert_str_eq(error.text, refused == 1
						     ? "KVM refuses memory at 0x0, size "
						       "0xc0000000: Cannot allocate memory"
						     : "KVM refuses memory at 0x100000000, size "
						       "0x80000000: Cannot allocate memory");
	}
}
END_TEST

/* Does the kernel's own account of the mapping at this address, of this size, have the flag? */
static bool has_flag(const void *address, size_t size, const char *flag)
{
	char line[256], wanted[64];
	bool inside = false, found = false;
	FILE *file = fopen("/proc/self/smaps", "r");

	snprintf(wanted, sizeof(wanted), "%lx-%lx ", (unsigned long)address,
		 (unsigned long)address + size);
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, wanted, strlen(wanted)) == 0)
			inside = true;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			found = strstr(line, flag) != NULL;
			break;
		}
	}
	fclose(file);
	ck_assert(inside); /* that mapping, and nothing before or behind it */
	return found;
}

/* Of a kernel's RAM the host may make huge pages; an app's is as the host has it. */
START_TEST(huge_where_it_pays)
{
	const size_t huge = 2 << 20;
	bool can = access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0;

	for (unsigned i = 0; i < 3; i++) {
		options.memory = (65ull << 20) + i * 4096;
		options.kernel = "vmlinuz";
		ck_assert_int_eq(add(), 0);
		ck_assert_uint_eq((uintptr_t)memory.ram % huge, 0);
		ck_assert(has_flag(memory.ram, options.memory, " hg") == can);
		memory.ram[0] = memory.ram[options.memory - 1] = 1;
		vmm_memory_free_ram(&memory);
	}
	options.kernel = NULL;
	ck_assert_int_eq(add(), 0);
	ck_assert(!has_flag(memory.ram, options.memory, " hg"));
}
END_TEST

static unsigned long free_huge_pages(void)
{
	FILE *file = fopen(HUGE_FREE, "r");
	unsigned long count = 0;

	if (file != NULL && fscanf(file, "%lu", &count) != 1)
		count = 0;
	if (file != NULL)
		fclose(file);
	return count;
}

START_TEST(huge_pages)
{
	unsigned char resident = 0;

	options.memory = 4 << 20;
	options.page_size = 2 << 20;
	if (free_huge_pages() >= 2) {
		ck_assert_int_eq(add(), 0);
		ck_assert_uint_eq((uintptr_t)memory.ram % (2 << 20), 0);
		ck_assert_int_eq(mincore(memory.ram + (2 << 20), 4096, &resident), 0);
		ck_assert_uint_eq(resident & 1, 1);
		vmm_memory_free_ram(&memory);
	}
	options.memory = 1ull << 46; /* more than there can be */
	ck_assert_int_lt(add(), 0);
	ck_assert_ptr_null(memory.ram);
	ck_assert_str_eq(error.text, "cannot get 67108864 MiB of guest RAM in pages of 2 MiB (see "
				     "/sys/kernel/mm/hugepages): Cannot allocate memory");
}
END_TEST

START_TEST(no_such_node)
{
	options.nodes[0] = 63;
	options.numa = (struct ivshm_numa){IVSHM_NUMA_BIND, options.nodes, 1};
	ck_assert_int_lt(add(), 0);
	ck_assert_ptr_null(memory.ram);
	ck_assert_ptr_nonnull(strstr(error.text, "--numa: "));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest RAM");
	TCase *tcase = tcase_create("ram");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, small);
	tcase_add_test(tcase, with_a_hole);
	tcase_add_test(tcase, exactly_to_the_hole);
	tcase_add_test(tcase, refused_slots);
	tcase_add_test(tcase, huge_where_it_pays);
	tcase_add_test(tcase, huge_pages);
	tcase_add_test(tcase, no_such_node);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
