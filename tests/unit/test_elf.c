// SPDX-License-Identifier: BSD-2-Clause
/* test_elf.c: app images are loaded or refused with a reason; page tables give what was asked for.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "hv/image.h"
#include "tests/suite.h"
#include "tests/vm_guest.h"

#define LOW 0x200000u
#define RAM (16u << 20)

GUEST(nothing, "hlt\n");

static uint8_t file[GUEST_FILE_MAX];
static size_t size;
static struct vmm_image image;
static struct vmm_error found;
#define error found.text
static Elf64_Ehdr *header = (void *)file;
static Elf64_Phdr *program = (void *)(file + sizeof(Elf64_Ehdr));

static void start(void)
{
	size = guest_image(guest_nothing, guest_nothing_end, file);
}

static int parse(void)
{
	/* A copy of exactly that size, so that a sanitizer sees a byte too many. */
	uint8_t *copy = malloc(size + 1);
	int result;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, file, size); /* and not aligned */
	error[0] = '\0';
	result = vmm_elf_parse(copy + 1, size, &(struct vmm_elf_limits){size, LOW, RAM, false},
			       &image, &found);
	free(copy);
	return result;
}

static void refused(const char *why)
{
	ck_assert_int_eq(parse(), -ENOEXEC);
	ck_assert_str_eq(error, why);
}

START_TEST(good)
{
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(image.entry, GUEST_CODE);
	ck_assert_uint_eq(image.low, GUEST_CODE);
	ck_assert_uint_eq(image.high, GUEST_DATA + GUEST_DATA_SIZE);
	ck_assert_uint_eq(image.segments, 2);
	ck_assert_uint_eq(image.segment[0].rights, VMM_RIGHT_READ | VMM_RIGHT_EXECUTE);
	ck_assert_uint_eq(image.segment[0].file_offset, GUEST_FILE_CODE);
	ck_assert_uint_eq(image.segment[0].file_size, 1);
	ck_assert_uint_eq(image.segment[1].rights, VMM_RIGHT_READ | VMM_RIGHT_WRITE);
	ck_assert_uint_eq(image.segment[1].memory_size, GUEST_DATA_SIZE);
}
END_TEST

START_TEST(others_headers_are_ignored)
{
	program[1].p_type = PT_NOTE;
	program[1].p_offset = UINT64_MAX;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(image.segments, 1);
	ck_assert_uint_eq(image.high, GUEST_CODE + 0x1000);
}
END_TEST

START_TEST(every_truncation)
{
	size_t whole = size;

	for (size = 0; size < whole; size++)
		ck_assert_int_eq(parse(), -ENOEXEC);
	size = whole;
	ck_assert_int_eq(parse(), 0);
	size = whole - 1;
	refused("truncated: segment 0 ends beyond the file's 4096 bytes");
	size = 100;
	refused("truncated: program headers end beyond the file's 100 bytes");
	size = 10;
	refused("not an ELF file: only 10 bytes");
}
END_TEST

START_TEST(headers)
{
	header->e_ident[1] = 'e';
	refused("not an ELF file");
	start();
	header->e_machine = EM_AARCH64;
	refused("not for x86-64");
	start();
	header->e_ident[EI_CLASS] = ELFCLASS32;
	refused("not for x86-64");
	start();
	header->e_ident[EI_DATA] = ELFDATA2MSB;
	refused("not for x86-64");
	start();
	header->e_type = ET_DYN;
	refused("not a static executable (link it with -static -no-pie)");
	start();
	header->e_phentsize = 55;
	refused("ELF header of an unknown version");
	start();
	header->e_version = 2;
	refused("ELF header of an unknown version");
	start();
	header->e_phoff = UINT64_MAX - 8;
	refused("truncated: program headers end beyond the file's 4097 bytes");
	start();
	header->e_phnum = UINT16_MAX;
	refused("truncated: program headers end beyond the file's 4097 bytes");
	start();
	header->e_phnum = 0;
	refused("nothing to load");
	start();
	program[1].p_type = PT_INTERP;
	refused("dynamically linked (link it with -static -no-pie)");
}
END_TEST

START_TEST(segments)
{
	program[1].p_memsz = 0x4df0001;
	refused("segment 1 ends at 0x5000001, beyond RAM (16 MiB)");
	start();
	program[1].p_vaddr = UINT64_MAX - 0x1000;
	refused("segment 1 wraps around the address space");
	start();
	program[1].p_memsz = UINT64_MAX;
	refused("segment 1 wraps around the address space");
	start();
	program[1].p_vaddr = 0x1000;
	refused("segment 1 starts at 0x1000, below 0x200000");
	start();
	program[1].p_offset = UINT64_MAX;
	program[1].p_filesz = 2;
	refused("truncated: segment 1 ends beyond the file's 4097 bytes");
	start();
	program[1].p_filesz = GUEST_DATA_SIZE + 1;
	refused("truncated: segment 1 ends beyond the file's 4097 bytes");
	start();
	program[0].p_filesz = 1;
	program[0].p_memsz = 0;
	refused("entry 0x200000 is not in an executable segment");
	start();
	program[0].p_flags |= PF_W;
	refused("segment 0 is writable and executable");
	start();
	program[1].p_vaddr = GUEST_CODE;
	refused("segment 1 overlaps another");
	start();
	program[1].p_vaddr = GUEST_CODE + 0xf80;
	refused("segment 1 shares a page with another of other rights");
	start();
	program[1].p_vaddr = GUEST_CODE + 0x1000;
	ck_assert_int_eq(parse(), 0);
	start();
	program[1].p_vaddr = GUEST_CODE + 0xf80;
	program[1].p_flags = PF_R | PF_X;
	ck_assert_int_eq(parse(), 0);
	start();
	program[1].p_vaddr = RAM - GUEST_DATA_SIZE;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(image.high, RAM);
}
END_TEST

START_TEST(entry_points)
{
	header->e_entry = GUEST_CODE + 1;
	refused("entry 0x200001 is not in an executable segment");
	start();
	header->e_entry = GUEST_DATA;
	refused("entry 0x210000 is not in an executable segment");
	start();
	header->e_entry = GUEST_CODE - 1;
	refused("entry 0x1fffff is not in an executable segment");
}
END_TEST

START_TEST(too_many_segments)
{
	header->e_phnum = VMM_SEGMENTS_MAX + 1;
	for (unsigned i = 1; i <= VMM_SEGMENTS_MAX; i++) {
		program[i] = program[1];
		program[i].p_vaddr = GUEST_DATA + i * 0x1000u;
		program[i].p_memsz = 0x1000;
	}
	refused("more than 16 segments");
	header->e_phnum--;
	ck_assert_int_eq(parse(), 0);
}
END_TEST

/* ---- Page tables ---- */

#define TABLES 0x20000u
#define TABLES_END 0x40000u

static uint8_t ram[TABLES_END] __attribute__((aligned(4096)));

/* What a processor would find: the leaf entry of an address, or 0. */
static uint64_t walk(const struct vmm_paging *paging, uint64_t address)
{
	uint64_t table = paging->root;

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t entry;

		memcpy(&entry, ram + table + (address >> shift) % 512 * 8, sizeof(entry));
		if (!(entry & 1))
			return 0;
		if (shift == 12 || (entry & 0x80))
			return entry;
		ck_assert_uint_eq(entry & 7, 7);
		table = entry & 0xffffffffff000;
		ck_assert_uint_lt(table, TABLES_END);
	}
}

#define NX (1ull << 63)
#define MASK (NX | 0x7)

START_TEST(identity)
{
	const uint32_t data = VMM_RIGHT_READ | VMM_RIGHT_WRITE;
	struct vmm_paging paging;

	ck_assert_int_eq(vmm_paging_init(&paging, ram, TABLES, TABLES_END), 0);
	ck_assert_int_eq(vmm_paging_map(&paging, 0x1000, 0x1001000, data), 0);
	ck_assert_int_eq(
		vmm_paging_map(&paging, 0x5ff000, 0x601000, VMM_RIGHT_READ | VMM_RIGHT_EXECUTE), 0);
	ck_assert_int_eq(vmm_paging_map(&paging, 0x700000, 0x701000, VMM_RIGHT_READ), 0);
	ck_assert_int_eq(vmm_paging_map(&paging, 0x702000, 0x703000, 0), 0);
	ck_assert_int_eq(vmm_paging_map(&paging, 4ull << 30, (4ull << 30) + 0x200000, data), 0);

	ck_assert_uint_eq(walk(&paging, 0), 0);
	ck_assert_uint_eq(walk(&paging, 0x1000) & ~0x60ull, 0x1000 | NX | 7);
	ck_assert_uint_eq(walk(&paging, 0x200000) & ~0x60ull, 0x200000 | NX | 7 | 0x80);
	ck_assert_uint_eq(walk(&paging, 0x5fe000) & ~0x60ull, 0x5fe000 | NX | 7);
	ck_assert_uint_eq(walk(&paging, 0x5ff000) & ~0x60ull, 0x5ff000 | 5);
	ck_assert_uint_eq(walk(&paging, 0x600000) & ~0x60ull, 0x600000 | 5);
	ck_assert_uint_eq(walk(&paging, 0x601000) & MASK, NX | 7);
	ck_assert_uint_eq(walk(&paging, 0x700000) & MASK, NX | 5);
	ck_assert_uint_eq(walk(&paging, 0x702000), 0);
	ck_assert_uint_eq(walk(&paging, 0x1000000) & ~0x60ull, 0x1000000 | NX | 7);
	ck_assert_uint_eq(walk(&paging, 0x1001000), 0);
	ck_assert_uint_eq(walk(&paging, (4ull << 30) + 0x1000) & ~0x60ull,
			  4ull << 30 | NX | 7 | 0x80);
	ck_assert_uint_eq(walk(&paging, 5ull << 30), 0);
}
END_TEST

START_TEST(no_space)
{
	struct vmm_paging paging;

	ck_assert_int_eq(vmm_paging_init(&paging, ram, TABLES, TABLES), -ENOSPC);
	ck_assert_int_eq(vmm_paging_init(&paging, ram, TABLES, TABLES + 0x1000), -ENOSPC);
	ck_assert_int_eq(vmm_paging_init(&paging, ram, TABLES, TABLES + 0x3000), 0);
	ck_assert_int_eq(vmm_paging_map(&paging, 0, 0x200000, VMM_RIGHT_READ), 0);
	ck_assert_int_eq(vmm_paging_map(&paging, 0x1000, 0x2000, VMM_RIGHT_READ), -ENOSPC);
	ck_assert_int_eq(vmm_paging_map(&paging, 1ull << 30, 2ull << 30, VMM_RIGHT_READ), -ENOSPC);
}
END_TEST

static void clear(void)
{
	memset(ram, 0, sizeof(ram));
}

int main(void)
{
	Suite *suite = suite_create("elf");
	TCase *elf = tcase_create("elf");
	TCase *paging = tcase_create("paging");

	tcase_add_checked_fixture(elf, start, NULL);
	tcase_add_test(elf, good);
	tcase_add_test(elf, others_headers_are_ignored);
	tcase_add_test(elf, every_truncation);
	tcase_add_test(elf, headers);
	tcase_add_test(elf, segments);
	tcase_add_test(elf, entry_points);
	tcase_add_test(elf, too_many_segments);
	suite_add_tcase(suite, elf);
	tcase_add_checked_fixture(paging, clear, NULL);
	tcase_add_test(paging, identity);
	tcase_add_test(paging, no_space);
	suite_add_tcase(suite, paging);
	return suite_run(suite);
}
