/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm_guest.h: tiny guests for the tests of hv: machine code wrapped in an ELF image.
 *
 * A guest runs where a real one starts: ring 0, no descriptor tables, RDI = boot block. Its code is
 * at GUEST_CODE (readable, executable), 64 KiB of zeros at GUEST_DATA (readable, writable).
 */
#ifndef TESTS_VM_GUEST_H
#define TESTS_VM_GUEST_H

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GUEST_CODE 0x200000u
#define GUEST_DATA 0x210000u
#define GUEST_DATA_SIZE 0x10000u
#define GUEST_FILE_CODE 0x1000u
#define GUEST_FILE_MAX 0x3000u

/* Code between two labels; `body` is assembler text that must run at any address. */
#define GUEST(name, body)                                                                          \
	__asm__(".pushsection .rodata\n"                                                           \
		"guest_" #name ":\n" body "\n"                                                     \
		"guest_" #name "_end:\n"                                                           \
		".popsection\n");                                                                  \
	extern const uint8_t guest_##name[], guest_##name##_end[]

/* Ends the VM with the status in EAX. */
#define GUEST_EXIT "mov $0xf4, %edx\n out %eax, %dx\n hlt\n"

/* Builds the image into file[GUEST_FILE_MAX]; returns its size. */
static inline size_t guest_image(const uint8_t *code, const uint8_t *end, uint8_t *file)
{
	size_t size = (size_t)(end - code);
	Elf64_Ehdr header = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = GUEST_CODE,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	Elf64_Phdr program[2] = {
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = GUEST_FILE_CODE,
		 .p_vaddr = GUEST_CODE,
		 .p_filesz = size,
		 .p_memsz = size},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_W,
		 .p_offset = GUEST_FILE_CODE,
		 .p_vaddr = GUEST_DATA,
		 .p_memsz = GUEST_DATA_SIZE},
	};

	memset(file, 0, GUEST_FILE_CODE);
	memcpy(file, &header, sizeof(header));
	memcpy(file + sizeof(header), program, sizeof(program));
	memcpy(file + GUEST_FILE_CODE, code, size);
	return GUEST_FILE_CODE + size;
}

/* Writes the first `size` bytes of the image (0: all) to `path`. 0 or -1. */
static inline int guest_write(const char *path, const uint8_t *code, const uint8_t *end,
			      size_t size)
{
	static uint8_t file[GUEST_FILE_MAX];
	size_t whole = guest_image(code, end, file);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t written;

	if (fd < 0)
		return -1;
	if (size == 0 || size > whole)
		size = whole;
	written = write(fd, file, size);
	close(fd);
	return written == (ssize_t)size ? 0 : -1;
}

#endif
