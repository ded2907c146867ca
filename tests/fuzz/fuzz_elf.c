// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_elf.c: whatever the image, it is refused with one line, or what it asks for lies in the file
 * and in RAM, can be copied and mapped, and nothing is both writable and executable.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOW 0x200000u
#define RAM 0x600000u
#define TABLES 0x20000u

static void require(int condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *ram;
	const struct vmm_elf_limits limits = {size, LOW, RAM, false};
	struct vmm_paging paging;
	struct vmm_image image;
	struct vmm_error error = {0};
	int entry = 0;

	if (ram == NULL)
		ram = calloc(1, RAM);
	require(ram != NULL);
	if (vmm_elf_parse(data, size, &limits, &image, &error) != 0) {
		require(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
		return 0;
	}
	require(error.text[0] == '\0' && image.segments > 0 && image.segments <= VMM_SEGMENTS_MAX);
	require(image.low >= LOW && image.low < image.high && image.high <= RAM);
	memset(ram + TABLES, 0, LOW - TABLES);
	require(vmm_paging_init(&paging, ram, TABLES, LOW) == 0);
	for (unsigned i = 0; i < image.segments; i++) {
		const struct vmm_segment *segment = &image.segment[i];
		uint64_t first = segment->address & ~0xfffull;
		uint64_t end = (segment->address + segment->memory_size + 0xfff) & ~0xfffull;

		require(segment->file_size <= segment->memory_size);
		require(first >= image.low && end <= image.high);
		require((segment->rights & 6) != 6);
		memcpy(ram + segment->address, data + segment->file_offset, segment->file_size);
		require(vmm_paging_map(&paging, first, end, segment->rights) == 0);
		entry |= image.entry >= first && image.entry < end && (segment->rights & 4);
	}
	require(entry);
	return 0;
}
