// SPDX-License-Identifier: BSD-2-Clause
/* test_linux_image.c: kernels are taken or refused with a reason; initrds have their place. */
#include <asm/bootparam.h>
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/image.h"
#include "tests/suite.h"

#define RAM (128ull << 20)
#define SETUP 1024u
#define PAYLOAD 4096u

static uint8_t file[SETUP + PAYLOAD];
static size_t size;
static uint64_t ram;
static struct vmm_linux kernel;
static struct vmm_error found;
#define error found.text

/* A copy of exactly that size, so that a sanitizer sees a byte too many. */
static int parse(void)
{
	uint8_t *copy = malloc(size + 1);
	int result;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, file, size); /* and not aligned */
	error[0] = '\0';
	result = vmm_linux_parse(copy + 1, size, size, ram, &kernel, &found);
	free(copy);
	return result;
}

static void refused(const char *why)
{
	ck_assert_int_eq(parse(), -ENOEXEC);
	ck_assert_str_eq(error, why);
}

/* ---- bzImage --------------------------------------------------------------------------------- */

static struct setup_header *header = (void *)(file + 0x1f1);

static void start_bzimage(void)
{
	memset(file, 0, sizeof(file));
	*header = (struct setup_header){
		.setup_sects = SETUP / 512 - 1,
		.syssize = PAYLOAD / 16,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = 1,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = 16 << 20,
		.init_size = 32 << 20,
	};
	size = sizeof(file);
	ram = RAM;
}

START_TEST(bzimage)
{
	ck_assert_int_eq(parse(), 0);
	ck_assert(!kernel.pvh);
	ck_assert_uint_eq(kernel.image.entry, (16 << 20) + 0x200);
	ck_assert_uint_eq(kernel.image.low, 16 << 20);
	ck_assert_uint_eq(kernel.image.high, 48 << 20);
	ck_assert_uint_eq(kernel.image.segments, 1);
	ck_assert_uint_eq(kernel.image.segment[0].address, 16 << 20);
	ck_assert_uint_eq(kernel.image.segment[0].file_offset, SETUP);
	ck_assert_uint_eq(kernel.image.segment[0].file_size, PAYLOAD);
	ck_assert_uint_eq(kernel.image.segment[0].memory_size, 32 << 20);
	ck_assert_uint_eq(kernel.initrd_limit, 1u << 31);
	ck_assert_uint_eq(kernel.cmdline_max, 2047);
	ram = 48 << 20;
	ck_assert_int_eq(parse(), 0);
	header->init_size = 0; /* then it is what is loaded */
	header->cmdline_size = UINT32_MAX;
	header->initrd_addr_max = UINT32_MAX;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(kernel.image.high, (16 << 20) + PAYLOAD);
	ck_assert_uint_eq(kernel.cmdline_max, VMM_LINUX_CMDLINE_SIZE - 1);
	ck_assert_uint_eq(kernel.initrd_limit, 1ull << 32);
	header->setup_sects = 0; /* means 4 */
	header->syssize = 160;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(kernel.image.segment[0].file_offset, 5 * 512);
}
END_TEST

START_TEST(bzimage_truncated)
{
	for (size = 0; size < sizeof(file); size++)
		ck_assert_int_eq(parse(), -ENOEXEC);
	size = sizeof(file) - 1;
	refused("truncated: its 1024 + 4096 bytes end beyond the file's 5119");
	size = 0x1f1 + sizeof(*header) - 1;
	refused("truncated: setup header ends beyond the file");
	size = 0x201;
	refused("not a kernel: neither bzImage nor ELF");
	memcpy(file, "MZ", 2);
	refused("truncated: setup header ends beyond the file");
	size = 0;
	refused("not a kernel: neither bzImage nor ELF");
}
END_TEST

START_TEST(bzimage_refused)
{
	static const struct {
		const char *why;
		uint64_t address;
		uint32_t alignment, init, syssize;
		uint16_t version, flags, boot;
		uint8_t load;
	} bad[] = {
		{.why = "boot protocol 2.11 is too old: 2.12 is needed", .version = 0x20b},
		{.why = "not for x86-64: it has no 64-bit entry", .flags = 2},
		{.why = "not for x86-64: it has no 64-bit entry", .load = 2},
		{.why = "not a kernel: neither bzImage nor ELF", .boot = 1},
		{.why = "truncated: its 1024 + 512 bytes end beyond the file's 5120",
		 .syssize = 32},
		{.why = "truncated: its 1024 + 68719476720 bytes end beyond the file's 5120",
		 .syssize = UINT32_MAX},
		{.why = "cannot be loaded at 0x80000 (alignment 0x200000)", .address = 512 << 10},
		{.why = "cannot be loaded at 0x1100000 (alignment 0x200000)", .address = 17 << 20},
		{.why = "cannot be loaded at 0x1000000 (alignment 0x300000)", .alignment = 3 << 20},
		{.why = "needs RAM up to 4112 MiB, there are 128 MiB", .init = UINT32_MAX},
		{.why = "needs RAM up to 17592186043424 MiB, there are 128 MiB",
		 .address = -(1ull << 30)},
		{.why = "needs RAM up to 17592186044446 MiB, there are 128 MiB",
		 .address = -(2ull << 20)}, /* wraps */
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start_bzimage();
#define SET(field, value) header->field = (value) ? (typeof(header->field))(value) : header->field
		SET(version, bad[i].version);
		SET(xloadflags, bad[i].flags);
		SET(boot_flag, bad[i].boot);
		SET(loadflags, bad[i].load);
		SET(syssize, bad[i].syssize);
		SET(pref_address, bad[i].address);
		SET(kernel_alignment, bad[i].alignment);
		SET(init_size, bad[i].init);
		refused(bad[i].why);
	}
	start_bzimage();
	header->kernel_alignment = 0;
	refused("cannot be loaded at 0x1000000 (alignment 0x0)");
	start_bzimage();
	ram = (48 << 20) - 1;
	refused("needs RAM up to 48 MiB, there are 47 MiB");
	memcpy(file, "\x1f\x8b", 2);
	refused("compressed by gzip: unpack it first");
}
END_TEST

/* ---- PVH ------------------------------------------------------------------------------------- */

static struct {
	Elf64_Ehdr header;
	Elf64_Phdr program[3];
	uint8_t text[64];
} *elf = (void *)file;

static void start_elf(void)
{
	memset(file, 0, sizeof(file));
	elf->header = (Elf64_Ehdr){
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = 0xffffffff81000000,
		.e_phoff = sizeof(elf->header),
		.e_ehsize = sizeof(elf->header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	/* Writable and executable, and two in one page: a kernel may. */
	elf->program[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_W | PF_X,
				       .p_offset = 0x200,
				       .p_vaddr = 0xffffffff81000000,
				       .p_paddr = 16 << 20,
				       .p_filesz = 64,
				       .p_memsz = 0x1800};
	elf->program[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R,
				       .p_offset = 0x200,
				       .p_paddr = (16 << 20) + 0x1800,
				       .p_filesz = 64,
				       .p_memsz = 64};
	elf->program[2] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 0x300, .p_filesz = 100};
	size = 0x400;
	ram = RAM;
}

START_TEST(pvh)
{
	ck_assert_int_eq(parse(), 0);
	ck_assert(kernel.pvh);
	ck_assert_uint_eq(kernel.image.segments, 2);
	ck_assert_uint_eq(kernel.image.segment[0].address, 16 << 20);
	ck_assert_uint_eq(kernel.image.low, 16 << 20);
	ck_assert_uint_eq(kernel.image.high, (16 << 20) + 0x2000);
	ck_assert_uint_eq(kernel.image.note_offset, 0x300);
	ck_assert_uint_eq(kernel.image.note_size, 100);
	ck_assert_uint_eq(kernel.initrd_limit, RAM);
	ck_assert_uint_eq(kernel.cmdline_max, 2047);
}
END_TEST

START_TEST(pvh_refused)
{
	elf->program[2].p_type = PT_NULL;
	refused("no PVH entry: it has no notes");
	start_elf();
	elf->program[2].p_offset = UINT64_MAX;
	refused("no PVH entry: it has no notes");
	start_elf();
	elf->header.e_machine = EM_AARCH64;
	refused("not for x86-64");
	start_elf();
	elf->header.e_ident[EI_CLASS] = ELFCLASS32;
	refused("not for x86-64");
	start_elf();
	elf->program[0].p_paddr = 0x1000; /* the first MiB holds what it is told */
	refused("segment 0 starts at 0x1000, below 0x100000");
	start_elf();
	elf->program[0].p_memsz = UINT64_MAX - 4096;
	refused("segment 0 wraps around the address space");
	start_elf();
	elf->program[0].p_memsz = 1ull << 40;
	refused("segment 0 ends at 0x10001000000, beyond RAM (128 MiB)");
	start_elf();
	elf->program[1].p_paddr -= 1;
	refused("segment 1 overlaps another");
	start_elf();
	elf->program[1].p_filesz = elf->program[1].p_memsz = 4096;
	refused("truncated: segment 1 ends beyond the file's 1024 bytes");
	start_elf();
	elf->header.e_phoff = 1000;
	refused("truncated: program headers end beyond the file's 1024 bytes");
}
END_TEST

/* Headers must be in what is read first. */
START_TEST(headers_far_away)
{
	elf->header.e_phoff = 1ull << 30;
	ck_assert_int_eq(vmm_linux_parse(file, size, 2ull << 30, ram, &kernel, &found), -ENOEXEC);
	ck_assert_str_eq(error, "program headers are not in the first 1024 bytes");
}
END_TEST

/* ---- Notes ----------------------------------------------------------------------------------- */

static uint8_t notes[256];
static size_t notes_size;

static void add_note(const char *name, uint32_t type, const void *bytes, uint32_t length)
{
	Elf64_Nhdr note = {(uint32_t)strlen(name) + 1, length, type};

	memcpy(notes + notes_size, &note, sizeof(note));
	strcpy((char *)notes + notes_size + sizeof(note), name);
	notes_size += sizeof(note) + ((note.n_namesz + 3) & ~3u);
	memcpy(notes + notes_size, bytes, length);
	notes_size += (length + 3) & ~3u;
}

static int parse_notes(void)
{
	uint8_t *copy = malloc(notes_size + 1);
	int result;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, notes, notes_size);
	error[0] = '\0';
	result = vmm_linux_parse_notes(copy + 1, notes_size, &kernel, &found);
	free(copy);
	return result;
}

START_TEST(note)
{
	uint64_t entry = (16 << 20) + 0x40;

	ck_assert_int_eq(parse(), 0);
	notes_size = 0;
	add_note("Linux", 18, "\1\2\3\4", 4);
	add_note("Xen", 6, "linux", 6);
	ck_assert_int_eq(parse_notes(), -ENOEXEC);
	ck_assert_str_eq(error, "no PVH entry: it is no kernel built with PVH");
	add_note("Xen", 18, &entry, 8);
	for (size_t whole = notes_size, i = 0; i <= whole; i++) {
		notes_size = i;
		ck_assert_int_eq(parse_notes(), i < whole ? -ENOEXEC : 0);
	}
	ck_assert_uint_eq(kernel.image.entry, entry);
	notes_size = 0;
	entry = (16 << 20) + 0x183f; /* the last byte of the second segment */
	add_note("Xen", 18, &entry, 4);
	ck_assert_int_eq(parse_notes(), 0);
	ck_assert_uint_eq(kernel.image.entry, entry);
}
END_TEST

START_TEST(bad_notes)
{
	uint64_t entry = (16 << 20) + 0x1840;

	ck_assert_int_eq(parse(), 0);
	notes_size = 0;
	add_note("Xen", 18, &entry, 8);
	ck_assert_int_eq(parse_notes(), -ENOEXEC);
	ck_assert_str_eq(error, "PVH entry 0x1001840 is in no segment");
	notes_size = 0;
	add_note("Xen", 18, &entry, 2);
	ck_assert_int_eq(parse_notes(), -ENOEXEC);
	ck_assert_str_eq(error, "PVH entry of 2 bytes");
	memset(notes, 0xff, sizeof(notes)); /* sizes that would wrap */
	notes_size = sizeof(notes);
	ck_assert_int_eq(parse_notes(), -ENOEXEC);
	memset(notes, 0, sizeof(notes)); /* and such that go on and on */
	ck_assert_int_eq(parse_notes(), -ENOEXEC);
}
END_TEST

/* ---- initrd ---------------------------------------------------------------------------------- */

static uint64_t place(uint64_t length)
{
	int result = vmm_linux_place_initrd(&kernel, length, RAM, &found);

	ck_assert_int_eq(result, kernel.initrd != 0 ? 0 : -ENOEXEC);
	ck_assert_uint_eq(kernel.initrd_size, length);
	return kernel.initrd;
}

START_TEST(initrd)
{
	kernel = (struct vmm_linux){.image.low = 16 << 20, .image.high = 48 << 20};
	kernel.initrd_limit = 1u << 31;
	ck_assert_uint_eq(place(1), RAM - 4096);
	ck_assert_uint_eq(place(80 << 20), 48 << 20);
	ck_assert_uint_eq(place((80 << 20) + 1), 0);
	ck_assert_str_eq(error, "81 MiB do not fit beside the kernel into 128 MiB of RAM");
	kernel.initrd_limit = 64 << 20;
	ck_assert_uint_eq(place(16 << 20), 48 << 20);
	ck_assert_uint_eq(place((16 << 20) - 100), 48 << 20);
	kernel.initrd_limit = 50 << 20;
	ck_assert_uint_eq(place(3 << 20), 13 << 20); /* below the kernel */
	ck_assert_uint_eq(place(15 << 20), 1 << 20);
	ck_assert_uint_eq(place((15 << 20) + 1), 0);
	ck_assert_str_eq(error, "16 MiB do not fit beside the kernel into 50 MiB of RAM");
	ck_assert_uint_eq(place(UINT64_MAX), 0);
	kernel.initrd_limit = 8 << 20; /* all of the kernel is beyond */
	ck_assert_uint_eq(place(1), (8 << 20) - 4096);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linux_image");
	TCase *bzimages = tcase_create("bzimage");
	TCase *elfs = tcase_create("pvh");

	tcase_add_checked_fixture(bzimages, start_bzimage, NULL);
	tcase_add_test(bzimages, bzimage);
	tcase_add_test(bzimages, bzimage_truncated);
	tcase_add_test(bzimages, bzimage_refused);
	tcase_add_test(bzimages, initrd);
	suite_add_tcase(suite, bzimages);
	tcase_add_checked_fixture(elfs, start_elf, NULL);
	tcase_add_test(elfs, pvh);
	tcase_add_test(elfs, pvh_refused);
	tcase_add_test(elfs, headers_far_away);
	tcase_add_test(elfs, note);
	tcase_add_test(elfs, bad_notes);
	suite_add_tcase(suite, elfs);
	return suite_run(suite);
}
