// SPDX-License-Identifier: BSD-2-Clause
/* elf.c: an ELF image is checked before a byte of it is used. */
#include "image.h"

#include <elf.h>

/* Is [start, start + length) within [0, limit)? */
static bool within(uint64_t start, uint64_t length, uint64_t limit)
{
	return start <= limit && length <= limit - start;
}

static int check_header(const void *head, size_t head_size, uint64_t size, Elf64_Ehdr *header,
			struct vmm_error *error)
{
	uint64_t length;

	if (head_size < sizeof(*header))
		return vmm_reject(error, "not an ELF file: only %zu bytes", head_size);
	memcpy(header, head, sizeof(*header));
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return vmm_reject(error, "not an ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64)
		return vmm_reject(error, "not for x86-64");
	if (header->e_type != ET_EXEC)
		return vmm_reject(error, "not a static executable (link it with -static -no-pie)");
	if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT ||
	    header->e_ehsize != sizeof(*header) || header->e_phentsize != sizeof(Elf64_Phdr))
		return vmm_reject(error, "ELF header of an unknown version");
	length = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);
	if (!within(header->e_phoff, length, size))
		return vmm_reject(
			error, "truncated: program headers end beyond the file's %" PRIu64 " bytes",
			size);
	if (!within(header->e_phoff, length, head_size))
		return vmm_reject(error, "program headers are not in the first %zu bytes",
				  head_size);
	return 0;
}

/* Rights are per page: two segments in one page must agree. */
static int check_neighbours(const struct vmm_elf_limits *limits, const struct vmm_image *image,
			    const struct vmm_segment *segment, unsigned index,
			    struct vmm_error *error)
{
	const uint64_t mask = ~(uint64_t)(IST_PAGE - 1);

	for (unsigned i = 0; i < image->segments; i++) {
		const struct vmm_segment *other = &image->segment[i];

		if (segment->address < other->address + other->memory_size &&
		    other->address < segment->address + segment->memory_size)
			return vmm_reject(error, "segment %u overlaps another", index);
		if (!limits->kernel && segment->rights != other->rights &&
		    (segment->address & mask) < other->address + other->memory_size &&
		    (other->address & mask) < segment->address + segment->memory_size)
			return vmm_reject(error,
					  "segment %u shares a page with another of other rights",
					  index);
	}
	return 0;
}

static int add_segment(const struct vmm_elf_limits *limits, struct vmm_image *image,
		       const Elf64_Phdr *header, unsigned index, struct vmm_error *error)
{
	struct vmm_segment segment = {
		.address = limits->kernel ? header->p_paddr : header->p_vaddr,
		.memory_size = header->p_memsz,
		.file_offset = header->p_offset,
		.file_size = header->p_filesz,
		.rights = (header->p_flags & PF_R ? VMM_RIGHT_READ : 0) |
			  (header->p_flags & PF_W ? VMM_RIGHT_WRITE : 0) |
			  (header->p_flags & PF_X ? VMM_RIGHT_EXECUTE : 0),
	};
	uint64_t end;
	int result;

	if (segment.memory_size == 0)
		return 0;
	if (image->segments == VMM_SEGMENTS_MAX)
		return vmm_reject(error, "more than %u segments", VMM_SEGMENTS_MAX);
	if (segment.file_size > segment.memory_size ||
	    !within(segment.file_offset, segment.file_size, limits->file_size))
		return vmm_reject(error,
				  "truncated: segment %u ends beyond the file's %" PRIu64 " bytes",
				  index, limits->file_size);
	if (__builtin_add_overflow(segment.address, segment.memory_size, &end))
		return vmm_reject(error, "segment %u wraps around the address space", index);
	if (end > limits->ram_high)
		return vmm_reject(error,
				  "segment %u ends at 0x%" PRIx64 ", beyond RAM (%" PRIu64 " MiB)",
				  index, end, limits->ram_high >> 20);
	if (segment.address < limits->ram_low)
		return vmm_reject(error, "segment %u starts at 0x%" PRIx64 ", below 0x%" PRIx64,
				  index, segment.address, limits->ram_low);
	if (!limits->kernel && (segment.rights & VMM_RIGHT_WRITE) &&
	    (segment.rights & VMM_RIGHT_EXECUTE))
		return vmm_reject(error, "segment %u is writable and executable", index);
	result = check_neighbours(limits, image, &segment, index, error);
	if (result != 0)
		return result;
	image->segment[image->segments++] = segment;
	segment.address &= ~(uint64_t)(IST_PAGE - 1);
	end = (end + IST_PAGE - 1) & ~(uint64_t)(IST_PAGE - 1);
	image->low = segment.address < image->low ? segment.address : image->low;
	image->high = end > image->high ? end : image->high;
	return 0;
}

bool vmm_image_holds(const struct vmm_image *image, uint64_t address, uint32_t rights)
{
	for (unsigned i = 0; i < image->segments; i++)
		if ((image->segment[i].rights & rights) == rights &&
		    within(address - image->segment[i].address, 1, image->segment[i].memory_size))
			return true;
	return false;
}

int vmm_elf_parse(const void *head, size_t head_size, const struct vmm_elf_limits *limits,
		  struct vmm_image *out, struct vmm_error *error)
{
	Elf64_Ehdr header = {0};
	int result;

	result = check_header(head, head_size, limits->file_size, &header, error);
	if (result != 0)
		return result;
	*out = (struct vmm_image){.entry = header.e_entry, .low = UINT64_MAX};
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr program;

		memcpy(&program, (const uint8_t *)head + header.e_phoff + i * sizeof(program),
		       sizeof(program));
		if (program.p_type == PT_INTERP || program.p_type == PT_DYNAMIC)
			return vmm_reject(error,
					  "dynamically linked (link it with -static -no-pie)");
		if (program.p_type == PT_NOTE && out->note_size == 0 &&
		    within(program.p_offset, program.p_filesz, limits->file_size)) {
			out->note_offset = program.p_offset;
			out->note_size = program.p_filesz;
		}
		if (program.p_type != PT_LOAD)
			continue;
		result = add_segment(limits, out, &program, i, error);
		if (result != 0)
			return result;
	}
	if (out->segments == 0)
		return vmm_reject(error, "nothing to load");
	if (!limits->kernel && !vmm_image_holds(out, out->entry, VMM_RIGHT_EXECUTE))
		return vmm_reject(error, "entry 0x%" PRIx64 " is not in an executable segment",
				  out->entry);
	return 0;
}
