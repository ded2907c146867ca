/* SPDX-License-Identifier: BSD-2-Clause */
/* elf.h: what an app image, or a kernel in ELF, asks to be loaded, checked. */
#ifndef VMM_ELF_H
#define VMM_ELF_H

#include <stddef.h>

#include "report.h"

#define VMM_SEGMENTS_MAX 16u

#define VMM_RIGHT_READ 1u
#define VMM_RIGHT_WRITE 2u
#define VMM_RIGHT_EXECUTE 4u

struct vmm_segment {
	uint64_t address; /* guest-physical; [address, +memory_size) is in RAM */
	uint64_t memory_size;
	uint64_t file_offset; /* [file_offset, +file_size) is in the file */
	uint64_t file_size;   /* <= memory_size; the rest is zero */
	uint32_t rights;      /* VMM_RIGHT_* */
};

struct vmm_image {
	uint64_t entry; /* of an app: in an executable segment */
	uint64_t low;   /* page-aligned range that holds all segments */
	uint64_t high;
	unsigned segments; /* at least one */
	struct vmm_segment segment[VMM_SEGMENTS_MAX];
	uint64_t note_offset; /* the first notes: in the file */
	uint64_t note_size;   /* 0: there are none */
};

struct vmm_elf_limits {
	uint64_t file_size;
	uint64_t ram_low; /* [ram_low, ram_high) may be used */
	uint64_t ram_high;
	bool kernel; /* goes where physical addresses say, and sets rights up itself */
};

/*
 * Checks a static x86-64 ELF image against itself and the limits; `head` is the file's beginning,
 * with all its headers. Pure. Returns 0 and the image, or -ENOEXEC and a text without its name.
 */
int vmm_elf_parse(const void *head, size_t head_size, const struct vmm_elf_limits *limits,
		  struct vmm_image *out, struct vmm_error *error);

#endif
