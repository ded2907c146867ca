// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_kernel.c: whatever the kernel, it is refused with one line, or what it asks for lies in the
 * file and in RAM, above what it is told, and an initrd is never on top of it.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static struct vmm_error why;

static int refused(int result)
{
	require(result == 0 ? why.text[0] == '\0'
			    : why.text[0] != '\0' && strchr(why.text, '\n') == NULL);
	return result != 0;
}

static void check_initrd(struct vmm_linux *kernel, uint64_t length, uint64_t ram)
{
	uint64_t at;

	why.text[0] = '\0';
	if (refused(vmm_linux_place_initrd(kernel, length, ram, &why)))
		return;
	at = kernel->initrd;
	require(at >= VMM_LINUX_IMAGE && at % 4096 == 0);
	require(length <= ram && at <= ram - length && at + length <= kernel->initrd_limit);
	require(at + length <= kernel->image.low || at >= kernel->image.high);
}

/* RAM in MiB and an initrd's length (4 bytes each), how much more the file has (1), the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_linux kernel;
	uint64_t file_size, ram;
	uint32_t words[2];

	if (size < 9)
		return 0;
	memcpy(words, data, sizeof(words));
	ram = (uint64_t)(words[0] % 4096 + 64) << 20;
	size -= 9;
	file_size = size + (uint64_t)data[8] * 65536;
	data += 9;
	why.text[0] = '\0';
	if (refused(vmm_linux_parse(data, size, file_size, ram, &kernel, &why)))
		return 0;
	require(kernel.image.segments > 0 && kernel.image.segments <= VMM_SEGMENTS_MAX);
	require(kernel.cmdline_max < VMM_LINUX_CMDLINE_SIZE);
	for (unsigned i = 0; i < kernel.image.segments; i++) {
		const struct vmm_segment *segment = &kernel.image.segment[i];

		require(segment->file_size <= segment->memory_size);
		require(segment->file_offset <= file_size &&
			segment->file_size <= file_size - segment->file_offset);
		require(segment->address >= VMM_LINUX_IMAGE && segment->memory_size <= ram &&
			segment->address <= ram - segment->memory_size);
		require(segment->address >= kernel.image.low &&
			segment->address + segment->memory_size <= kernel.image.high);
	}
	if (kernel.pvh) {
		uint64_t at = kernel.image.note_offset, length = kernel.image.note_size;

		require(length != 0 && at <= file_size && length <= file_size - at);
		if (at > size || length > size - at) /* beyond what there is here */
			return 0;
		if (refused(vmm_linux_parse_notes(data + at, length, &kernel, &why)))
			return 0;
	}
	require(kernel.image.entry >= kernel.image.low && kernel.image.entry < kernel.image.high);
	check_initrd(&kernel, words[1], ram);
	return 0;
}
