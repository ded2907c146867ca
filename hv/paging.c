// SPDX-License-Identifier: BSD-2-Clause
/* paging.c: x86-64 page tables: 2 MiB pages, split where rights differ within one. */
#include "image.h"

#define PRESENT 0x001ull
#define WRITABLE 0x002ull
#define USER 0x004ull
/* Set beforehand: nobody looks, and setting them costs a fault where page tables are shadowed. */
#define ACCESSED_DIRTY 0x060ull
#define LARGE 0x080ull
#define NO_EXECUTE (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull

#define LARGE_SIZE (2ull << 20)
#define ENTRIES 512u

static uint64_t *table_at(const struct vmm_paging *paging, uint64_t entry)
{
	return (uint64_t *)(void *)(paging->ram + (entry & ADDRESS));
}

/* Makes *entry point to a table; what a large page mapped, the table maps. */
static int ensure_table(struct vmm_paging *paging, uint64_t *entry)
{
	uint64_t old = *entry;
	uint64_t *table;

	if ((old & PRESENT) && !(old & LARGE))
		return 0;
	if (paging->end - paging->next < IST_PAGE)
		return -ENOSPC;
	*entry = paging->next | PRESENT | WRITABLE | USER | ACCESSED_DIRTY;
	paging->next += IST_PAGE;
	if (!(old & PRESENT))
		return 0;
	table = table_at(paging, *entry);
	for (unsigned i = 0; i < ENTRIES; i++)
		table[i] = (old & ~LARGE) + (uint64_t)i * IST_PAGE;
	return 0;
}

int vmm_paging_init(struct vmm_paging *paging, uint8_t *ram, uint64_t start, uint64_t end)
{
	*paging = (struct vmm_paging){.ram = ram, .root = start, .next = start, .end = end};
	if (end - start < IST_PAGE)
		return -ENOSPC;
	paging->next += IST_PAGE;
	return ensure_table(paging, table_at(paging, paging->root));
}

int vmm_paging_map(struct vmm_paging *paging, uint64_t start, uint64_t end, uint32_t rights)
{
	uint64_t *directories = table_at(paging, *table_at(paging, paging->root));
	uint64_t flags = 0;

	if (rights != 0)
		flags = PRESENT | USER | ACCESSED_DIRTY |
			(rights & VMM_RIGHT_WRITE ? WRITABLE : 0) |
			(rights & VMM_RIGHT_EXECUTE ? 0 : NO_EXECUTE);
	while (start < end) {
		uint64_t next = (start | (LARGE_SIZE - 1)) + 1;
		uint64_t *large, *table;

		if (ensure_table(paging, &directories[start >> 30]) != 0)
			return -ENOSPC;
		large = table_at(paging, directories[start >> 30]) + (start >> 21) % ENTRIES;
		if (start % LARGE_SIZE == 0 && next <= end) {
			*large = flags != 0 ? start | flags | LARGE : 0;
			start = next;
			continue;
		}
		if (ensure_table(paging, large) != 0)
			return -ENOSPC;
		table = table_at(paging, *large);
		for (; start < next && start < end; start += IST_PAGE)
			table[(start >> 12) % ENTRIES] = flags != 0 ? start | flags : 0;
	}
	return 0;
}
