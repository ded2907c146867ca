/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_guest.h: tiny guests of vm_guest.h as kernels: a bzImage around machine code, which starts
 * in 64-bit mode at KERNEL_CODE with the first 4 GiB mapped to themselves.
 */
#ifndef TESTS_KERNEL_GUEST_H
#define TESTS_KERNEL_GUEST_H

#include <asm/bootparam.h>
#include <stddef.h>

#include "tests/vm_guest.h"

#define KERNEL_SETUP 1024u  /* bytes before the kernel itself: two sectors */
#define KERNEL_ENTRY 0x200u /* of the 64-bit protocol, in the kernel */
#define KERNEL_AT 0x200000u
#define KERNEL_CODE (KERNEL_AT + KERNEL_ENTRY)
#define KERNEL_DATA 0x300000u /* zeros */
#define KERNEL_CODE_MAX 0x2000u

/* Powers off: status 0. */
#define KERNEL_OFF "mov $0x600, %edx\n mov $0x34, %al\n out %al, %dx\n hlt\n"

static inline int guest_write_kernel(const char *path, const uint8_t *code, const uint8_t *end)
{
	static uint8_t file[KERNEL_SETUP + KERNEL_ENTRY + KERNEL_CODE_MAX];
	size_t size = (KERNEL_ENTRY + (size_t)(end - code) + 15) / 16 * 16;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct setup_header header = {
		.setup_sects = KERNEL_SETUP / 512 - 1,
		.syssize = (uint32_t)(size / 16),
		.boot_flag = 0xaa55,
		.jump = 0x66eb,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = KERNEL_AT,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 255,
		.pref_address = KERNEL_AT,
		.init_size = 0x100000,
	};
	ssize_t written;

	if (fd < 0)
		return -1;
	memset(file, 0, sizeof(file));
	memcpy(file + offsetof(struct boot_params, hdr), &header, sizeof(header));
	memcpy(file + KERNEL_SETUP + KERNEL_ENTRY, code, (size_t)(end - code));
	written = write(fd, file, KERNEL_SETUP + size);
	close(fd);
	return written == (ssize_t)(KERNEL_SETUP + size) ? 0 : -1;
}

#endif
