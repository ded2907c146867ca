/* SPDX-License-Identifier: BSD-2-Clause */
/* elf.h: what an app image asks to be loaded, checked. */
#ifndef VMM_ELF_H
#define VMM_ELF_H

#include <stddef.h>
#include <stdint.h>

#define VMM_SEGMENTS_MAX 16u

#define VMM_RIGHT_READ 1u
#define VMM_RIGHT_WRITE 2u
#define VMM_RIGHT_EXECUTE 4u

struct vmm_segment {
	uint64_t address; /* guest-physical and virtual; [address, +memory_size) is in RAM */
	uint64_t memory_size;
	uint64_t file_offset; /* [file_offset, +file_size) is in the file */
	uint64_t file_size;   /* <= memory_size; the rest is zero */
	uint32_t rights;      /* VMM_RIGHT_* */
};

struct vmm_image {
	uint64_t entry; /* in an executable segment */
	uint64_t low;   /* page-aligned range that holds all segments */
	uint64_t high;
	unsigned segments; /* at least one */
	struct vmm_segment segment[VMM_SEGMENTS_MAX];
};

/*
 * Checks a static x86-64 ELF image of `size` bytes against itself and RAM [ram_low, ram_size).
 * Pure. Returns 0 and the image, or -ENOEXEC and a text without the image's name.
 */
int vmm_elf_parse(const void *file, size_t size, uint64_t ram_low, uint64_t ram_size,
		  struct vmm_image *out, char *error, size_t error_size);

#endif
