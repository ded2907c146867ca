/* SPDX-License-Identifier: BSD-2-Clause */
/* delegate_trio.h: three peers that share a delegated cell, and an operation that tells their
 * order. */
#ifndef CORE_DELEGATE_TRIO_H
#define CORE_DELEGATE_TRIO_H

#include <check.h>
#include <string.h>

#include "cell_requests.h"
#include "platform/memory.h"

#define REGION (1u << 20)
#define MILLISECOND 1000000ull
#define APPEND IST_OPERATION_OWN

static struct ist_group *alice, *bob, *carol;
static struct ist_cell *a, *b, *c;
static struct ist_cell_options options;
static const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1}, none[IST_CELL_ARGUMENTS] = {0, 0};

static inline void setup(void)
{
	mem_create(REGION);
	alice = mem_join(0);
	bob = mem_join(1);
	carol = mem_join(2);
	options = (struct ist_cell_options){
		.region = "main", .size = 8, .policy = IST_DELEGATED, .seats = 4};
}

static inline void open_all(size_t size)
{
	options.size = size;
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), 0);
	ck_assert_int_eq(ist_cell_open(carol, "c", &options, &c), 0);
}

static inline void teardown(void)
{
	ist_cell_close(a);
	ist_cell_close(b);
	ist_cell_close(c);
	mem_forget(alice);
	mem_forget(bob);
	mem_forget(carol);
	mem_destroy();
}

/* Not commutative: the content becomes a number with one more digit. */
static inline int64_t append(void *content, size_t size,
			     const uint64_t arguments[IST_CELL_ARGUMENTS])
{
	uint64_t word;

	(void)size;
	memcpy(&word, content, sizeof(word));
	word = word * 10 + arguments[0] + arguments[1] + arguments[2] + arguments[3];
	memcpy(content, &word, sizeof(word));
	return (int64_t)word;
}

static inline void define_all(void)
{
	ck_assert_int_eq(ist_cell_define(a, APPEND, append), 0);
	ck_assert_int_eq(ist_cell_define(b, APPEND, append), 0);
	ck_assert_int_eq(ist_cell_define(c, APPEND, append), 0);
}

static inline uint64_t submit(struct ist_cell *cell, uint32_t number, const uint64_t *arguments)
{
	uint64_t ticket = 0;

	ck_assert_int_eq(ist_cell_submit(cell, number, arguments, 0, &ticket), 0);
	return ticket;
}

static inline void collect(struct ist_cell *cell, uint64_t ticket, int64_t expected)
{
	int64_t result = -1;

	ck_assert_int_eq(ist_cell_collect(cell, ticket, &result, 0), 0);
	ck_assert_int_eq(result, expected);
}

static inline int64_t operate(struct ist_cell *cell, uint32_t number, const uint64_t *arguments)
{
	int64_t result = -1;

	ck_assert_int_eq(ist_cell_operate(cell, number, arguments, &result, 0), 0);
	return result;
}

/* What is not done of a handle's requests, as its desk says. */
static inline uint64_t pending(const struct ist_cell *cell)
{
	return cell->requests.asked - ist_cell_desk(cell, cell->seat)->done;
}

static const size_t sizes[] = {8, 40, 48, 4096};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

#endif
