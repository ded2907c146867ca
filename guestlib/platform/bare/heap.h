/* SPDX-License-Identifier: BSD-2-Clause */
/* heap.h: memory of varying sizes out of one range. Not thread-safe: an app VM has one vCPU. */
#ifndef IST_BARE_HEAP_H
#define IST_BARE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define IST_HEAP_ALIGN 64u

struct ist_heap_block;

struct ist_heap {
	struct ist_heap_block *free; /* by address; no two touch */
};

/* Takes over [start, end), of which it uses what is aligned. */
void ist_heap_init(struct ist_heap *heap, uintptr_t start, uintptr_t end);

/* Zeroed, aligned to IST_HEAP_ALIGN; NULL when there is no such room. */
void *ist_heap_alloc(struct ist_heap *heap, size_t size);

/* NULL is allowed. */
void ist_heap_free(struct ist_heap *heap, void *memory);

#endif
