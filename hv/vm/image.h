/* SPDX-License-Identifier: BSD-2-Clause */
/* image.h: what a VM is loaded from: files, and what those in ELF ask for, checked. */
#ifndef VMM_IMAGE_H
#define VMM_IMAGE_H

#include <stddef.h>

#include "report.h"

/* ---- elf.c ---- */

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

/* Is the address in a segment that has all of these rights? */
bool vmm_image_holds(const struct vmm_image *image, uint64_t address, uint32_t rights);

/* ---- file.c: read, not mapped: a file that shrinks meanwhile is an error, not a SIGBUS ---- */

#define VMM_FILE_HEAD (16u << 10) /* enough for the headers of what can be loaded */

struct vmm_file {
	const char *what; /* "image", "kernel", "initrd": before the path in errors */
	const char *path;
	int fd; /* -1: not open */
	uint64_t size;
	uint8_t *head; /* the first bytes: VMM_FILE_HEAD or all */
	size_t head_size;
};

int vmm_file_open(struct vmm_file *file, const char *what, const char *path,
		  struct vmm_error *error);
void vmm_file_close(struct vmm_file *file);

/* All of [offset, offset + size), or an error. */
int vmm_file_read(const struct vmm_file *file, uint64_t offset, void *out, uint64_t size,
		  struct vmm_error *error);

/* Copies the segments of an image that was found good to where they belong in RAM. */
int vmm_file_load(const struct vmm_file *file, const struct vmm_image *image, uint8_t *ram,
		  struct vmm_error *error);

#endif
