/* SPDX-License-Identifier: BSD-2-Clause */
/* file.h: a file that a VM is loaded from. Read, not mapped: one that shrinks meanwhile is then an
 * error, not a SIGBUS. */
#ifndef VMM_FILE_H
#define VMM_FILE_H

#include "elf.h"
#include "report.h"

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
