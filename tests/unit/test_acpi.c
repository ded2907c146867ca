// SPDX-License-Identifier: BSD-2-Clause
/* test_acpi.c: the ACPI tables of a Linux VM: found from the RSDP, whole, and as iasl reads them.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/platform.h"
#include "tests/suite.h"

#define AT 0xe0000u
#define SIZE 0x20000u

static uint8_t tables[SIZE];

static uint8_t sum(const uint8_t *bytes, size_t size)
{
	uint8_t total = 0;

	while (size--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static uint64_t number(const uint8_t *at, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return value;
}

/* The whole table that this address leads to. */
static const uint8_t *table(uint64_t address, const char *signature, uint8_t revision)
{
	const uint8_t *at = tables + (address - AT);
	uint32_t length;

	ck_assert_uint_ge(address, AT);
	ck_assert_uint_lt(address, AT + SIZE - 36);
	ck_assert_uint_eq(address % 16, 0);
	ck_assert_mem_eq(at, signature, 4);
	length = (uint32_t)number(at + 4, 4);
	ck_assert_uint_ge(length, 36);
	ck_assert_uint_le(length, AT + SIZE - address);
	ck_assert_uint_eq(at[8], revision);
	ck_assert_uint_eq(sum(at, length), 0);
	return at;
}

static const uint8_t *root(void)
{
	ck_assert_mem_eq(tables, "RSD PTR ", 8);
	ck_assert_uint_eq(sum(tables, 20), 0);
	ck_assert_uint_eq(sum(tables, 36), 0);
	ck_assert_uint_eq(tables[15], 2);
	ck_assert_uint_eq(number(tables + 20, 4), 36);
	return table(number(tables + 24, 8), "XSDT", 1);
}

START_TEST(processors)
{
	for (unsigned vcpus = 1; vcpus <= 16; vcpus++) {
		const uint8_t *xsdt, *madt, *next;

		memset(tables, 0xff, sizeof(tables));
		ck_assert_int_eq(vmm_acpi_build(tables, sizeof(tables), AT, vcpus), 0);
		xsdt = root();
		ck_assert_uint_eq(number(xsdt + 4, 4), 36 + 2 * 8);
		madt = table(number(xsdt + 44, 8), "APIC", 5);
		ck_assert_uint_eq(number(madt + 4, 4), 44 + 12 + 8 * vcpus);
		ck_assert_uint_eq(number(madt + 36, 4), 0xfee00000);
		ck_assert_uint_eq(number(madt + 40, 4), 0); /* no PICs */
		next = madt + 44;
		ck_assert_mem_eq(next, "\1\14\0\0\0\0\xc0\xfe\0\0\0\0", 12);
		next += 12;
		for (unsigned i = 0; i < vcpus; i++, next += 8) {
			ck_assert_uint_eq(number(next, 2), 8 << 8);
			ck_assert_uint_eq(next[2], i);
			ck_assert_uint_eq(next[3], i);
			ck_assert_uint_eq(number(next + 4, 4), 1);
		}
	}
}
END_TEST

START_TEST(fixed_description)
{
	static const uint8_t sleep[] = {1, 8, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0};
	const uint8_t *fadt, *dsdt;
	uint32_t flags;

	ck_assert_int_eq(vmm_acpi_build(tables, sizeof(tables), AT, 4), 0);
	fadt = table(number(root() + 36, 8), "FACP", 6);
	ck_assert_uint_eq(number(fadt + 4, 4), 276);
	flags = (uint32_t)number(fadt + 112, 4);
	ck_assert(flags & 1u << 20); /* hardware-reduced */
	ck_assert(flags & 1u << 10); /* there is a reset register */
	ck_assert_uint_eq(number(fadt + 109, 2), 1u << 2 | 1u << 5);
	ck_assert_uint_eq(number(fadt + 120, 8), VMM_PORT_RESET);
	ck_assert_uint_eq(fadt[128], VMM_RESET_VALUE);
	ck_assert_mem_eq(fadt + 244, sleep, sizeof(sleep));
	ck_assert_uint_eq(number(fadt + 260, 8), VMM_PORT_SLEEP_STATUS);
	ck_assert_uint_eq(number(fadt + 40, 4), number(fadt + 140, 8));
	dsdt = table(number(fadt + 140, 8), "DSDT", 2);
	ck_assert_uint_gt(number(dsdt + 4, 4), 100);
}
END_TEST

START_TEST(too_small)
{
	size_t need = 0;

	while (vmm_acpi_build(tables, need, AT, 16) == -ENOSPC)
		need++;
	ck_assert_uint_gt(need, 276);
	memset(tables, 0x5a, sizeof(tables));
	ck_assert_int_eq(vmm_acpi_build(tables, need, AT, 16), 0);
	ck_assert_uint_eq(tables[need], 0x5a);
}
END_TEST

/* Another reader: it finds no error in any of them, and S5 is what power-off writes. */
START_TEST(iasl_reads_them)
{
	const uint8_t *xsdt, *fadt;
	char folder[] = "/tmp/ist-acpi.XXXXXX", command[400], path[64];
	uint64_t address[3];

	if (system("command -v iasl >/dev/null") != 0)
		return;
	ck_assert_int_eq(vmm_acpi_build(tables, sizeof(tables), AT, 4), 0);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	xsdt = root();
	address[0] = number(xsdt + 36, 8);
	address[1] = number(xsdt + 44, 8);
	fadt = tables + (address[0] - AT);
	address[2] = number(fadt + 140, 8);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *at = tables + (address[i] - AT);
		FILE *out;

		snprintf(path, sizeof(path), "%s/%u.dat", folder, i);
		out = fopen(path, "w");
		ck_assert_ptr_nonnull(out);
		ck_assert_uint_eq(fwrite(at, 1, number(at + 4, 4), out), number(at + 4, 4));
		ck_assert_int_eq(fclose(out), 0);
	}
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d 0.dat 1.dat 2.dat >log 2>&1 && "
		 "! grep -iE 'error|warning|incorrect|invalid' log *.dsl && "
		 "grep -q 'Hardware Reduced.*: 1' 0.dsl && "
		 "grep -qE 'Name .._S5.*Package|_S5' 2.dsl && "
		 "printf '%%d' %d | grep -qx $((0x20 | $(grep -A4 _S5 2.dsl | "
		 "sed -n 's/^ *\\(0x[0-9A-F]*\\).*/\\1/p' | head -n 1) << 2)) && "
		 "grep -c 'Processor Enabled : 1' 1.dsl | grep -qx 4",
		 folder, VMM_SLEEP_OFF);
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("acpi");
	TCase *tcase = tcase_create("acpi");

	tcase_add_test(tcase, processors);
	tcase_add_test(tcase, fixed_description);
	tcase_add_test(tcase, too_small);
	tcase_add_test(tcase, iasl_reads_them);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
