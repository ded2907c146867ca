/* SPDX-License-Identifier: BSD-2-Clause */
/* image.h: what a VM is loaded from, checked, and where in its RAM it then finds what. */
#pragma once

#include "report.h"

/* What is to be loaded is not sound: the text, and -ENOEXEC. */
#define vmm_reject(error, ...) vmm_fail(error, ENOEXEC, __VA_ARGS__)

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

/* ---- linux_image.c, linux.c: how a Linux VM starts ---- */

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

/* ---- paging.c: identity page tables, built in a VM's RAM before it runs ---- */

#define VMM_ADDRESS_LIMIT (1ull << 39) /* what one page directory pointer table maps */

struct vmm_paging {
	uint8_t *ram;
	uint64_t root; /* for CR3 */
	uint64_t next; /* free space for tables */
	uint64_t end;
};

/* Tables go to [start, end) of `ram`: zeroed, page-aligned. -ENOSPC when that is too small. */
int vmm_paging_init(struct vmm_paging *paging, uint8_t *ram, uint64_t start, uint64_t end);

/*
 * Maps [start, end), page-aligned and below VMM_ADDRESS_LIMIT, to itself with VMM_RIGHT_*, for all
 * rings; without rights: unmaps. The last call for a page counts. Returns 0 or -ENOSPC.
 */
int vmm_paging_map(struct vmm_paging *paging, uint64_t start, uint64_t end, uint32_t rights);
