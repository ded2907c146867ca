/* SPDX-License-Identifier: BSD-2-Clause */
/* linux.h: how a Linux VM starts: its kernel, checked, and where it is told what. */
#ifndef VMM_LINUX_H
#define VMM_LINUX_H

#include "image.h"

/*
 * Where things are in the first MiB, which a kernel image never takes. The map of memory leaves the
 * legacy hole out; RAM in it holds the ACPI tables.
 */
#define VMM_LINUX_GDT 0x1000ull
#define VMM_LINUX_START_INFO 0x2000ull /* struct hvm_start_info and its lists */
#define VMM_LINUX_ZERO_PAGE 0x3000ull
#define VMM_LINUX_TABLES 0x8000ull /* page tables */
#define VMM_LINUX_CMDLINE 0x20000ull
#define VMM_LINUX_CMDLINE_SIZE 0x10000ull
#define VMM_LINUX_HOLE 0xa0000ull
#define VMM_LINUX_ACPI 0xe0000ull
#define VMM_LINUX_RESET 0xffff0ull /* F000:FFF0, where a PC resets to */
#define VMM_LINUX_IMAGE 0x100000ull

/* A kernel, as its image asks to be loaded and started. */
struct vmm_linux {
	bool pvh;               /* entered by PVH; otherwise by the 64-bit boot protocol */
	struct vmm_image image; /* [low, high) is its own until it knows the map of memory */
	uint64_t initrd_limit;  /* an initrd ends at or below */
	uint64_t initrd;        /* where it is */
	uint64_t initrd_size;   /* 0: there is none */
	uint64_t cmdline_max;   /* bytes it takes, without the terminating NUL */
};

/* All of these are pure; 0, or -ENOEXEC and a text without the file's name. */

/* `head`: the file's beginning, VMM_FILE_HEAD bytes or all. `ram`: bytes of it from address 0. */
int vmm_linux_parse(const void *head, size_t head_size, uint64_t file_size, uint64_t ram,
		    struct vmm_linux *out, struct vmm_error *error);

/* PVH: takes the entry from the bytes of the image's note segment. */
int vmm_linux_parse_notes(const void *notes, size_t size, struct vmm_linux *kernel,
			  struct vmm_error *error);

/* As high as it may be, or below the kernel when it does not fit above. */
int vmm_linux_place_initrd(struct vmm_linux *kernel, uint64_t size, uint64_t ram,
			   struct vmm_error *error);

#endif
