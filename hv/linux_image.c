// SPDX-License-Identifier: BSD-2-Clause
/*
 * linux_image.c: kernel images are checked before a byte of them is used.
 * Sources: Linux Documentation/arch/x86/boot.rst; Xen docs/misc/pvh.pandoc, public/elfnote.h.
 */
#include <asm/bootparam.h>
#include <elf.h>

#include "image.h"

#define HEADER offsetof(struct boot_params, hdr) /* in a bzImage, as in the zero page */
#define HEADER_MAGIC 0x53726448u                 /* "HdrS" */
#define BOOT_FLAG 0xaa55u
#define PROTOCOL_MIN 0x020cu /* xloadflags */
#define SECTOR 512u
#define ENTRY_64 0x200u /* from the start of the loaded kernel */

#define PVH_NOTE 18u /* XEN_ELFNOTE_PHYS32_ENTRY */
#define PVH_CMDLINE_MAX 2047u
#define NOTE_ALIGN(size) (((uint64_t)(size) + 3) & ~3ull)

static int parse_bzimage(const uint8_t *head, size_t head_size, uint64_t file_size, uint64_t ram,
			 struct vmm_linux *out, struct vmm_error *error)
{
	struct setup_header header = {0};
	bool whole = head_size >= HEADER + sizeof(header);
	uint64_t setup, payload, memory, end;

	if (head_size > HEADER)
		memcpy(&header, head + HEADER, whole ? sizeof(header) : head_size - HEADER);
	if (!whole &&
	    (header.header == HEADER_MAGIC || (head_size >= 2 && memcmp(head, "MZ", 2) == 0)))
		return vmm_reject(error, "truncated: setup header ends beyond the file");
	if (header.header != HEADER_MAGIC || header.boot_flag != BOOT_FLAG)
		return vmm_reject(error, "not a kernel: neither bzImage nor ELF");
	if (header.version < PROTOCOL_MIN)
		return vmm_reject(error, "boot protocol %u.%u is too old: 2.12 is needed",
				  header.version >> 8, header.version & 0xffu);
	if (!(header.xloadflags & XLF_KERNEL_64) || !(header.loadflags & LOADED_HIGH))
		return vmm_reject(error, "not for x86-64: it has no 64-bit entry");
	setup = (header.setup_sects != 0 ? header.setup_sects + 1u : 5u) * SECTOR;
	payload = (uint64_t)header.syssize * 16;
	if (payload <= ENTRY_64 || setup + payload > file_size)
		return vmm_reject(error,
				  "truncated: its %" PRIu64 " + %" PRIu64
				  " bytes end beyond the file's %" PRIu64,
				  setup, payload, file_size);
	memory = header.init_size > payload ? header.init_size : payload;
	if (header.pref_address < VMM_LINUX_IMAGE ||
	    (header.kernel_alignment & (header.kernel_alignment - 1)) != 0 ||
	    (header.pref_address & (header.kernel_alignment - 1ull)) != 0)
		return vmm_reject(error, "cannot be loaded at 0x%llx (alignment 0x%x)",
				  header.pref_address, header.kernel_alignment);
	if (__builtin_add_overflow(header.pref_address, memory, &end) || end > ram)
		return vmm_reject(
			error, "needs RAM up to %" PRIu64 " MiB, there are %" PRIu64 " MiB",
			(uint64_t)((header.pref_address >> 20) + ((memory + 0xfffff) >> 20)),
			ram >> 20);
	out->image = (struct vmm_image){
		.entry = header.pref_address + ENTRY_64,
		.low = header.pref_address,
		.high = end,
		.segments = 1,
		.segment[0] = {header.pref_address, memory, setup, payload, 0},
	};
	out->initrd_limit = header.initrd_addr_max + 1ull;
	out->cmdline_max = header.cmdline_size;
	return 0;
}

int vmm_linux_parse(const void *head, size_t head_size, uint64_t file_size, uint64_t ram,
		    struct vmm_linux *out, struct vmm_error *error)
{
	const struct vmm_elf_limits limits = {file_size, VMM_LINUX_IMAGE, ram, true};
	const uint8_t *bytes = head;
	int result;

	*out = (struct vmm_linux){0};
	if (head_size >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0)
		return vmm_reject(error, "compressed by gzip: unpack it first");
	if (head_size < SELFMAG || memcmp(bytes, ELFMAG, SELFMAG) != 0) {
		result = parse_bzimage(bytes, head_size, file_size, ram, out, error);
	} else {
		out->pvh = true;
		out->initrd_limit = ram;
		out->cmdline_max = PVH_CMDLINE_MAX;
		result = vmm_elf_parse(head, head_size, &limits, &out->image, error);
		if (result == 0 && out->image.note_size == 0)
			result = vmm_reject(error, "no PVH entry: it has no notes");
	}
	if (out->cmdline_max >= VMM_LINUX_CMDLINE_SIZE)
		out->cmdline_max = VMM_LINUX_CMDLINE_SIZE - 1;
	return result;
}

int vmm_linux_parse_notes(const void *notes, size_t size, struct vmm_linux *kernel,
			  struct vmm_error *error)
{
	const uint8_t *bytes = notes;
	uint64_t at = 0, entry = 0;

	for (;;) {
		uint64_t name, description;
		Elf64_Nhdr note;

		if (at > size || size - at < sizeof(note))
			return vmm_reject(error, "no PVH entry: it is no kernel built with PVH");
		memcpy(&note, bytes + at, sizeof(note));
		name = at + sizeof(note);
		description = name + NOTE_ALIGN(note.n_namesz);
		at = description + NOTE_ALIGN(note.n_descsz);
		if (note.n_type != PVH_NOTE || note.n_namesz != sizeof("Xen") || at > size ||
		    memcmp(bytes + name, "Xen", sizeof("Xen")) != 0)
			continue;
		if (note.n_descsz != sizeof(uint32_t) && note.n_descsz != sizeof(uint64_t))
			return vmm_reject(error, "PVH entry of %u bytes", note.n_descsz);
		memcpy(&entry, bytes + description, note.n_descsz);
		break;
	}
	if (!vmm_image_holds(&kernel->image, entry, 0))
		return vmm_reject(error, "PVH entry 0x%" PRIx64 " is in no segment", entry);
	kernel->image.entry = entry;
	return 0;
}

/* The highest page-aligned address of `size` bytes within [low, high), 0: none. */
static uint64_t place(uint64_t size, uint64_t low, uint64_t high)
{
	uint64_t address;

	if (high < low || high - low < size)
		return 0;
	address = (high - size) & ~(uint64_t)(IST_PAGE - 1);
	return address >= low ? address : 0;
}

int vmm_linux_place_initrd(struct vmm_linux *kernel, uint64_t size, uint64_t ram,
			   struct vmm_error *error)
{
	uint64_t limit = kernel->initrd_limit < ram ? kernel->initrd_limit : ram;
	uint64_t low = kernel->image.low < limit ? kernel->image.low : limit;

	kernel->initrd_size = size;
	kernel->initrd = place(size, kernel->image.high, limit);
	if (kernel->initrd == 0)
		kernel->initrd = place(size, VMM_LINUX_IMAGE, low);
	if (kernel->initrd == 0)
		return vmm_reject(error,
				  "%" PRIu64 " MiB do not fit beside the kernel into %" PRIu64
				  " MiB of RAM",
				  (size >> 20) + (size % (1 << 20) != 0), limit >> 20);
	return 0;
}
