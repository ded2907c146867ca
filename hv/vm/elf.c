// SPDX-License-Identifier: BSD-2-Clause
/* elf.c: an ELF image is checked before a byte of it is used. */
#include "elf.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <isthmus/abi.h>

struct parser {
	const uint8_t *file;
	size_t size;
	uint64_t ram_low;
	uint64_t ram_size;
	char *error;
	size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct parser *parser,
							const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(parser->error, parser->error_size, format, arguments);
	va_end(arguments);
	return -ENOEXEC;
}

/* Is [start, start + length) within [0, limit)? */
static bool within(uint64_t start, uint64_t length, uint64_t limit)
{
	return start <= limit && length <= limit - start;
}

static int check_header(const struct parser *parser, Elf64_Ehdr *header)
{
	if (parser->size < sizeof(*header))
		return refuse(parser, "not an ELF file: only %zu bytes", parser->size);
	memcpy(header, parser->file, sizeof(*header));
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return refuse(parser, "not an ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64)
		return refuse(parser, "not for x86-64");
	if (header->e_type != ET_EXEC)
		return refuse(parser, "not a static executable (link it with -static -no-pie)");
	if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT ||
	    header->e_ehsize != sizeof(*header) || header->e_phentsize != sizeof(Elf64_Phdr))
		return refuse(parser, "ELF header of an unknown version");
	if (!within(header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr), parser->size))
		return refuse(parser, "truncated: program headers end beyond the file's %zu bytes",
			      parser->size);
	return 0;
}

/* Rights are per page: two segments in one page must agree. */
static int check_neighbours(const struct parser *parser, const struct vmm_image *image,
			    const struct vmm_segment *segment, unsigned index)
{
	const uint64_t mask = ~(uint64_t)(IST_PAGE - 1);

	for (unsigned i = 0; i < image->segments; i++) {
		const struct vmm_segment *other = &image->segment[i];

		if (segment->address < other->address + other->memory_size &&
		    other->address < segment->address + segment->memory_size)
			return refuse(parser, "segment %u overlaps another", index);
		if (segment->rights != other->rights &&
		    (segment->address & mask) < other->address + other->memory_size &&
		    (other->address & mask) < segment->address + segment->memory_size)
			return refuse(parser,
				      "segment %u shares a page with another of other rights",
				      index);
	}
	return 0;
}

static int add_segment(const struct parser *parser, struct vmm_image *image,
		       const Elf64_Phdr *header, unsigned index)
{
	struct vmm_segment segment = {
		.address = header->p_vaddr,
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
		return refuse(parser, "more than %u segments", VMM_SEGMENTS_MAX);
	if (segment.file_size > segment.memory_size ||
	    !within(segment.file_offset, segment.file_size, parser->size))
		return refuse(parser, "truncated: segment %u ends beyond the file's %zu bytes",
			      index, parser->size);
	if (__builtin_add_overflow(segment.address, segment.memory_size, &end))
		return refuse(parser, "segment %u wraps around the address space", index);
	if (end > parser->ram_size)
		return refuse(parser, "segment %u ends at 0x%llx, beyond RAM (%llu MiB)", index,
			      (unsigned long long)end,
			      (unsigned long long)(parser->ram_size >> 20));
	if (segment.address < parser->ram_low)
		return refuse(parser, "segment %u starts at 0x%llx, below 0x%llx", index,
			      (unsigned long long)segment.address,
			      (unsigned long long)parser->ram_low);
	if ((segment.rights & VMM_RIGHT_WRITE) && (segment.rights & VMM_RIGHT_EXECUTE))
		return refuse(parser, "segment %u is writable and executable", index);
	result = check_neighbours(parser, image, &segment, index);
	if (result != 0)
		return result;
	image->segment[image->segments++] = segment;
	return 0;
}

int vmm_elf_parse(const void *file, size_t size, uint64_t ram_low, uint64_t ram_size,
		  struct vmm_image *out, char *error, size_t error_size)
{
	const struct parser parser = {file, size, ram_low, ram_size, error, error_size};
	const uint64_t page = IST_PAGE;
	bool entry = false;
	Elf64_Ehdr header = {0};
	int result;

	result = check_header(&parser, &header);
	if (result != 0)
		return result;
	*out = (struct vmm_image){.entry = header.e_entry, .low = UINT64_MAX};
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr program;

		memcpy(&program, parser.file + header.e_phoff + i * sizeof(program),
		       sizeof(program));
		if (program.p_type == PT_INTERP || program.p_type == PT_DYNAMIC)
			return refuse(&parser, "dynamically linked (link it with -static -no-pie)");
		if (program.p_type != PT_LOAD)
			continue;
		result = add_segment(&parser, out, &program, i);
		if (result != 0)
			return result;
	}
	if (out->segments == 0)
		return refuse(&parser, "nothing to load");
	for (unsigned i = 0; i < out->segments; i++) {
		const struct vmm_segment *segment = &out->segment[i];
		uint64_t low = segment->address & ~(page - 1);
		uint64_t high = (segment->address + segment->memory_size + page - 1) & ~(page - 1);

		out->low = low < out->low ? low : out->low;
		out->high = high > out->high ? high : out->high;
		if ((segment->rights & VMM_RIGHT_EXECUTE) && out->entry >= segment->address &&
		    out->entry - segment->address < segment->memory_size)
			entry = true;
	}
	if (!entry)
		return refuse(&parser, "entry 0x%llx is not in an executable segment",
			      (unsigned long long)out->entry);
	return 0;
}
