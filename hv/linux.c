// SPDX-License-Identifier: BSD-2-Clause
/* linux.c: Linux boot: a kernel's memory and first vCPU as its boot protocol has them. */
#include "image.h"

#include <asm/bootparam.h>

#include "vm.h"

#define E820_RAM 1u
#define E820_RESERVED 2u
#define NOTES_MAX 4096u
#define LOADER_UNKNOWN 0xffu
#define TABLES_MAP (4ull << 30) /* what the 64-bit entry finds mapped to itself */

/* Xen public/arch-x86/hvm/start_info.h */
#define PVH_MAGIC 0x336ec578u

struct pvh_module {
	uint64_t address;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct pvh_memory {
	uint64_t address;
	uint64_t size;
	uint32_t type; /* as E820's */
	uint32_t reserved;
};

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t modules_count;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory;
	uint32_t memory_count;
	uint32_t reserved;
};

struct memory_map {
	unsigned count;
	struct pvh_memory range[4];
};

static void map_memory(const struct vmm_memory *memory, struct memory_map *map)
{
	uint64_t low = memory->ram_low;

	*map = (struct memory_map){
		3,
		{{0, VMM_LINUX_HOLE, E820_RAM, 0},
		 {VMM_LINUX_ACPI, VMM_LINUX_IMAGE - VMM_LINUX_ACPI, E820_RESERVED, 0},
		 {VMM_LINUX_IMAGE, low - VMM_LINUX_IMAGE, E820_RAM, 0},
		 {VMM_RAM_HIGH, memory->ram_size - low, E820_RAM, 0}}};
	if (memory->ram_size != low)
		map->count++;
}

static int load_kernel(const struct vmm_memory *memory, const struct vmm_file *file,
		       struct vmm_linux *kernel, struct vmm_error *error)
{
	struct vmm_error why;
	int result = vmm_linux_parse(file->head, file->head_size, file->size, memory->ram_low,
				     kernel, &why);

	if (result == 0 && kernel->pvh) {
		uint64_t size = kernel->image.note_size;
		uint8_t notes[NOTES_MAX];

		size = size < sizeof(notes) ? size : sizeof(notes);
		result = vmm_file_read(file, kernel->image.note_offset, notes, size, error);
		if (result != 0)
			return result;
		result = vmm_linux_parse_notes(notes, size, kernel, &why);
	}
	if (result != 0)
		return vmm_fail(error, ENOEXEC, "kernel %s: %s", file->path, why.text);
	return vmm_file_load(file, &kernel->image, memory->ram, error);
}

static int load_initrd(struct vmm_vm *vm, struct vmm_linux *kernel, struct vmm_error *error)
{
	const char *path = vm->options->initrd;
	struct vmm_error why;
	struct vmm_file file;
	int result = path == NULL ? 0 : vmm_file_open(&file, "initrd", path, error);

	if (path == NULL || result != 0)
		return result;
	if (vmm_linux_place_initrd(kernel, file.size, vm->memory.ram_low, &why) != 0)
		result = vmm_fail(error, ENOEXEC, "initrd %s: %s", path, why.text);
	else
		result = vmm_file_read(&file, 0, vm->memory.ram + kernel->initrd, file.size, error);
	vmm_file_close(&file);
	return result;
}

static int write_cmdline(struct vmm_vm *vm, const struct vmm_linux *kernel, struct vmm_error *error)
{
	const char *text = vm->options->cmdline;
	size_t size = strlen(text);

	if (size > kernel->cmdline_max)
		return vmm_fail(error, E2BIG, "command line: %zu bytes, this kernel takes %llu",
				size, (unsigned long long)kernel->cmdline_max);
	memcpy(vm->memory.ram + VMM_LINUX_CMDLINE, text, size + 1);
	return 0;
}

/* 32-bit protected mode without paging, RBX: the start info. */
static int start_pvh(struct vmm_vm *vm, const struct vmm_linux *kernel, struct vmm_error *error)
{
	struct {
		struct pvh_start_info info;
		struct memory_map map;
		struct pvh_module module;
	} *start = (void *)(vm->memory.ram + VMM_LINUX_START_INFO);
	const uint64_t at = VMM_LINUX_START_INFO;
	const struct vmm_entry entry = {.rip = kernel->image.entry, .rbx = at};

	map_memory(&vm->memory, &start->map);
	start->module = (struct pvh_module){.address = kernel->initrd, .size = kernel->initrd_size};
	start->info = (struct pvh_start_info){
		.magic = PVH_MAGIC,
		.version = 1,
		.modules_count = kernel->initrd_size != 0,
		.modules = at + offsetof(typeof(*start), module),
		.cmdline = VMM_LINUX_CMDLINE,
		.rsdp = VMM_LINUX_ACPI,
		.memory = at + offsetof(typeof(*start), map.range),
		.memory_count = start->map.count,
	};
	return vmm_vcpu_set_entry(&vm->vcpu[0], &entry, error);
}

/* 64-bit mode, memory mapped to itself, RSI: the zero page. */
static int start_64(struct vmm_vm *vm, const struct vmm_linux *kernel, const uint8_t *head,
		    struct vmm_error *error)
{
	struct boot_params *zero = (void *)(vm->memory.ram + VMM_LINUX_ZERO_PAGE);
	/* Selectors 0x10 and 0x18: flat code and data. */
	static const uint64_t gdt[VMM_ENTRY_GDT] = {0, 0, 0xaf9b000000ffff, 0xcf93000000ffff};
	const size_t header = offsetof(struct boot_params, hdr);
	size_t size = 0x202u + head[0x201] - header; /* it ends where its jump goes */
	struct vmm_entry entry = {
		.rip = kernel->image.entry,
		.rsi = VMM_LINUX_ZERO_PAGE,
		.gdt = VMM_LINUX_GDT,
	};
	struct vmm_paging paging;
	struct memory_map map;
	int result;

	memcpy(vm->memory.ram + VMM_LINUX_GDT, gdt, sizeof(gdt));
	memcpy(&zero->hdr, head + header, size < sizeof(zero->hdr) ? size : sizeof(zero->hdr));
	zero->hdr.type_of_loader = LOADER_UNKNOWN;
	zero->hdr.cmd_line_ptr = VMM_LINUX_CMDLINE;
	zero->hdr.ramdisk_image = (uint32_t)kernel->initrd;
	zero->hdr.ramdisk_size = (uint32_t)kernel->initrd_size;
	zero->acpi_rsdp_addr = VMM_LINUX_ACPI;
	map_memory(&vm->memory, &map);
	zero->e820_entries = (uint8_t)map.count;
	for (unsigned i = 0; i < map.count; i++)
		zero->e820_table[i] = (struct boot_e820_entry){
			map.range[i].address, map.range[i].size, map.range[i].type};
	result = vmm_paging_init(&paging, vm->memory.ram, VMM_LINUX_TABLES, VMM_LINUX_CMDLINE);
	if (result == 0)
		result = vmm_paging_map(&paging, 0, TABLES_MAP,
					VMM_RIGHT_READ | VMM_RIGHT_WRITE | VMM_RIGHT_EXECUTE);
	if (result != 0)
		return vmm_fail(error, -result, "page tables do not fit");
	entry.page_tables = paging.root;
	return vmm_vcpu_set_entry(&vm->vcpu[0], &entry, error);
}

/*
 * Where a PC's reset goes. Linux on reduced hardware leaves the reset register to EFI; where there
 * is none, it jumps here in real mode.
 */
static void write_reset(uint8_t *ram)
{
	/* mov dx, port; mov al, value; out dx, al; hlt */
	static const uint8_t code[] = {0xba, VMM_PORT_RESET & 0xff, VMM_PORT_RESET >> 8,
				       0xb0, VMM_RESET_VALUE,       0xee,
				       0xf4};

	memcpy(ram + VMM_LINUX_RESET, code, sizeof(code));
}

int vmm_linux_load(struct vmm_vm *vm, struct vmm_error *error)
{
	struct vmm_linux kernel;
	struct vmm_file file;
	int result = vmm_file_open(&file, "kernel", vm->options->kernel, error);

	if (result != 0)
		return result;
	result = load_kernel(&vm->memory, &file, &kernel, error);
	if (result == 0)
		result = load_initrd(vm, &kernel, error);
	if (result == 0)
		result = write_cmdline(vm, &kernel, error);
	if (result == 0 &&
	    vmm_acpi_build(vm->memory.ram + VMM_LINUX_ACPI, VMM_LINUX_RESET - VMM_LINUX_ACPI,
			   VMM_LINUX_ACPI, vm->vcpus) != 0)
		result = vmm_fail(error, ENOSPC, "ACPI tables do not fit");
	if (result == 0)
		write_reset(vm->memory.ram);
	if (result == 0)
		result = kernel.pvh ? start_pvh(vm, &kernel, error)
				    : start_64(vm, &kernel, file.head, error);
	vmm_file_close(&file);
	return result;
}
