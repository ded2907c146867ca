/* SPDX-License-Identifier: BSD-2-Clause */
/* test_heap.c: the app VM's heap: aligned, zeroed, never overlapping, whole again in the end. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

#include "guestlib/platform/bare/heap.c"

#define SIZE (256u << 10)
#define SLOTS 64

static _Alignas(64) uint8_t memory[SIZE + 64];

static void start(struct ist_heap *heap)
{
	memset(memory, 0xa5, sizeof(memory));
	ist_heap_init(heap, (uintptr_t)memory, (uintptr_t)memory + SIZE);
}

static int is_all(const uint8_t *bytes, uint8_t value, size_t size)
{
	return !size || (bytes[0] == value && !memcmp(bytes, bytes + 1, size - 1));
}

START_TEST(whole)
{
	struct ist_heap heap;
	void *all;

	start(&heap);
	all = ist_heap_alloc(&heap, SIZE - IST_HEAP_ALIGN);
	ck_assert_ptr_eq(all, memory + IST_HEAP_ALIGN);
	ck_assert_ptr_null(ist_heap_alloc(&heap, 1));
	ist_heap_free(&heap, all);
	ck_assert_ptr_null(ist_heap_alloc(&heap, SIZE - IST_HEAP_ALIGN + 1));
	ck_assert_ptr_nonnull(ist_heap_alloc(&heap, SIZE - IST_HEAP_ALIGN));
	for (size_t i = SIZE; i < sizeof(memory); i++)
		ck_assert_uint_eq(memory[i], 0xa5);
}
END_TEST

START_TEST(impossible)
{
	struct ist_heap heap;

	start(&heap);
	for (size_t less = 0; less < 4 * IST_HEAP_ALIGN; less++)
		ck_assert_ptr_null(ist_heap_alloc(&heap, SIZE_MAX - less));
	ist_heap_free(&heap, NULL);
	ck_assert_ptr_nonnull(ist_heap_alloc(&heap, 0));

	ist_heap_init(&heap, 64, 64);
	ck_assert_ptr_null(ist_heap_alloc(&heap, 0));
	ist_heap_init(&heap, 128, 64);
	ck_assert_ptr_null(ist_heap_alloc(&heap, 0));
	ist_heap_init(&heap, UINTPTR_MAX - 10, UINTPTR_MAX);
	ck_assert_ptr_null(ist_heap_alloc(&heap, 0));
	ist_heap_init(&heap, (uintptr_t)memory + 1, (uintptr_t)memory + 127);
	ck_assert_ptr_null(ist_heap_alloc(&heap, 0));
}
END_TEST

START_TEST(mixed)
{
	struct {
		uint8_t *at;
		size_t size;
		uint8_t mark;
	} slot[SLOTS] = {0};
	struct ist_heap heap;

	start(&heap);
	srand(7);
	for (int round = 0; round < 100000; round++) {
		unsigned i = (unsigned)rand() % SLOTS;

		if (slot[i].at) {
			ck_assert(is_all(slot[i].at, slot[i].mark, slot[i].size));
			ist_heap_free(&heap, slot[i].at);
			slot[i].at = NULL;
			continue;
		}
		slot[i].size = (size_t)rand() % (rand() % 8 ? 300 : 30000);
		slot[i].mark = (uint8_t)(1 + rand() % 255);
		slot[i].at = ist_heap_alloc(&heap, slot[i].size);
		if (!slot[i].at)
			continue;
		ck_assert_uint_eq((uintptr_t)slot[i].at % IST_HEAP_ALIGN, 0);
		ck_assert(slot[i].at >= memory && slot[i].at + slot[i].size <= memory + SIZE);
		ck_assert(is_all(slot[i].at, 0, slot[i].size));
		memset(slot[i].at, slot[i].mark, slot[i].size);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		ist_heap_free(&heap, slot[i].at);
	ck_assert_ptr_nonnull(ist_heap_alloc(&heap, SIZE - IST_HEAP_ALIGN));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heap");
	TCase *tests = tcase_create("heap");

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, whole);
	tcase_add_test(tests, impossible);
	tcase_add_test(tests, mixed);
	return suite_run(suite);
}
