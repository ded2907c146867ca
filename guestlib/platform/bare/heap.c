/* SPDX-License-Identifier: BSD-2-Clause */
/* heap.c: first fit over a list of free blocks, which join again when freed. */
#include "heap.h"

/* In front of every block, used or free; as large as the alignment, so that what follows has it. */
struct ist_heap_block {
	size_t size; /* bytes, with this header; a multiple of the alignment */
	struct ist_heap_block *next;
	uint8_t padding[IST_HEAP_ALIGN - 16];
};
_Static_assert(sizeof(struct ist_heap_block) == IST_HEAP_ALIGN, "blocks would lose alignment");

static struct ist_heap_block *end_of(struct ist_heap_block *block)
{
	return block + block->size / sizeof(*block);
}

static void join_next(struct ist_heap_block *block)
{
	if (block->next && end_of(block) == block->next) {
		block->size += block->next->size;
		block->next = block->next->next;
	}
}

void ist_heap_init(struct ist_heap *heap, uintptr_t start, uintptr_t end)
{
	uintptr_t first = (start + IST_HEAP_ALIGN - 1) & ~(uintptr_t)(IST_HEAP_ALIGN - 1);
	uintptr_t last = end & ~(uintptr_t)(IST_HEAP_ALIGN - 1);

	heap->free = NULL;
	if (first < start || last <= first)
		return;
	heap->free = (struct ist_heap_block *)first;
	heap->free->size = last - first;
	heap->free->next = NULL;
}

void *ist_heap_alloc(struct ist_heap *heap, size_t size)
{
	struct ist_heap_block **link = &heap->free, *block;
	size_t need;

	if (size > SIZE_MAX - 2 * IST_HEAP_ALIGN)
		return NULL;
	need = (size + 2 * IST_HEAP_ALIGN - 1) & ~(size_t)(IST_HEAP_ALIGN - 1);
	while (*link && (*link)->size < need)
		link = &(*link)->next;
	block = *link;
	if (!block)
		return NULL;
	if (block->size > need) {
		struct ist_heap_block *rest = block + need / sizeof(*block);

		rest->size = block->size - need;
		rest->next = block->next;
		*link = rest;
		block->size = need;
	} else {
		*link = block->next;
	}
	return __builtin_memset(block + 1, 0, need - sizeof(*block));
}

void ist_heap_free(struct ist_heap *heap, void *memory)
{
	struct ist_heap_block *block = memory, *before = NULL, **link = &heap->free;

	if (!block)
		return;
	block--;
	for (; *link && *link < block; link = &before->next)
		before = *link;
	block->next = *link;
	*link = block;
	join_next(block);
	if (before)
		join_next(before);
}
