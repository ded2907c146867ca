// SPDX-License-Identifier: BSD-2-Clause
/* acpi.c: RSDP, XSDT, FADT, MADT, and the DSDT that iasl makes of dsdt.asl. */
#include "platform.h"

#define HEADER_SIZE 36u
#define XSDT_SIZE (HEADER_SIZE + 2 * 8u)
#define FADT_SIZE 276u
#define MADT_SIZE (HEADER_SIZE + 8u)
#define LOCAL_APIC_SIZE 8u
#define IO_APIC_SIZE 12u

#define BOOT_NO_VGA (1u << 2)
#define BOOT_NO_CMOS_RTC (1u << 5)
#define FADT_WBINVD (1u << 0)
#define FADT_RESET_REGISTER (1u << 10)
#define FADT_HARDWARE_REDUCED (1u << 20)

static const uint8_t dsdt[] = {
#include "dsdt.inc"
};

/* Little-endian, like the machine that this runs on. */
static void put(uint8_t *at, uint64_t value, size_t size)
{
	memcpy(at, &value, size);
}

/* A generic address structure: one byte at an I/O port. */
static void put_port(uint8_t *at, uint64_t port)
{
	put(at, 0x01000801, 4); /* I/O space, 8 bits, offset 0, byte accesses */
	put(at + 4, port, 8);
}

/* The byte that makes their sum 0. */
static uint8_t checksum(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;

	while (size-- != 0)
		sum = (uint8_t)(sum - *bytes++);
	return sum;
}

/* Fills a table's header in, when all the rest is there. */
static void seal(uint8_t *table, const char *signature, uint8_t revision, size_t size)
{
	memcpy(table, signature, 4);
	put(table + 4, size, 4);
	table[8] = revision;
	memcpy(table + 10, "ISTHMSISTHMUS\0\1\0\0\0ISTH\1\0\0", 26); /* OEM and creator */
	table[9] = checksum(table, size);
}

int vmm_acpi_build(uint8_t *out, size_t size, uint64_t address, unsigned vcpus)
{
	/* One after the other, each from a multiple of 16. */
	uint8_t *rsdp = out, *xsdt = rsdp + 48, *fadt = xsdt + 64, *madt = fadt + 288;
	uint8_t *apic = madt + MADT_SIZE, *end = apic + IO_APIC_SIZE + vcpus * LOCAL_APIC_SIZE;
	size_t dsdt_at = ((size_t)(end - out) + 15) & ~(size_t)15;

	if (dsdt_at + sizeof(dsdt) > size)
		return -ENOSPC;
	memset(out, 0, dsdt_at);
	memcpy(out + dsdt_at, dsdt, sizeof(dsdt));

	put(madt + 36, 0xfee00000, 4); /* local APICs */
	put(apic, 1 | IO_APIC_SIZE << 8, 2);
	put(apic + 4, 0xfec00000, 4);
	apic += IO_APIC_SIZE;
	for (unsigned i = 0; i < vcpus; i++, apic += LOCAL_APIC_SIZE) {
		put(apic, 0 | LOCAL_APIC_SIZE << 8 | i << 16 | i << 24, 4); /* processor, ID */
		put(apic + 4, 1, 4);                                        /* enabled */
	}
	seal(madt, "APIC", 5, (size_t)(end - madt));

	put(fadt + 40, address + dsdt_at, 4);
	put(fadt + 109, BOOT_NO_VGA | BOOT_NO_CMOS_RTC, 2);
	put(fadt + 112, FADT_WBINVD | FADT_RESET_REGISTER | FADT_HARDWARE_REDUCED, 4);
	put_port(fadt + 116, VMM_PORT_RESET);
	fadt[128] = VMM_RESET_VALUE;
	put(fadt + 140, address + dsdt_at, 8);
	put_port(fadt + 244, VMM_PORT_SLEEP_CONTROL);
	put_port(fadt + 256, VMM_PORT_SLEEP_STATUS);
	memcpy(fadt + 268, "ISTHMUS", 8); /* hypervisor */
	seal(fadt, "FACP", 6, FADT_SIZE);

	put(xsdt + 36, address + (size_t)(fadt - out), 8);
	put(xsdt + 44, address + (size_t)(madt - out), 8);
	seal(xsdt, "XSDT", 1, XSDT_SIZE);

	memcpy(rsdp, "RSD PTR \0ISTHMS\2", 17); /* and no RSDT */
	put(rsdp + 20, 36, 4);                  /* its length */
	put(rsdp + 24, address + (size_t)(xsdt - out), 8);
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, 36);
	return 0;
}
