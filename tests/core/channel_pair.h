/* SPDX-License-Identifier: BSD-2-Clause */
/* channel_pair.h: two peers, and messages between them that show when they are torn. */
#ifndef CORE_CHANNEL_PAIR_H
#define CORE_CHANNEL_PAIR_H

#include <check.h>

#include "platform/memory.h"

#define SECOND 1000000000ull

static struct ist_group *alice, *bob;

static inline void setup(void)
{
	mem_create(1 << 20);
	alice = mem_join(0);
	bob = mem_join(1);
}

static inline void teardown(void)
{
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static inline struct ist_channel *open_end(struct ist_group *group, const char *name,
					   enum ist_role role, uint32_t lines, uint64_t bytes)
{
	struct ist_channel_options options = {NULL, lines, IST_CHANNEL_POLL, bytes};
	struct ist_channel *channel;

	ck_assert_int_eq(ist_channel_open(group, name, role, &options, &channel), 0);
	return channel;
}

/* A message's bytes follow from its number and length, so that a torn or swapped one shows. */
static inline void fill(uint8_t *data, size_t size, uint64_t number)
{
	size_t i;

	for (i = 0; i < size; i++)
		data[i] = (uint8_t)(number * 31 + i * 7 + size);
}

static inline void expect(const uint8_t *data, size_t size, uint64_t number)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (data[i] != (uint8_t)(number * 31 + i * 7 + size))
			ck_abort_msg("message %lu of %zu bytes differs at byte %zu",
				     (unsigned long)number, size, i);
}

static inline void send_one(struct ist_channel *channel, uint64_t number, size_t size)
{
	uint8_t data[8192];

	fill(data, size, number);
	ck_assert_int_eq(ist_channel_try_send(channel, data, size), 0);
}

static inline void recv_one(struct ist_channel *channel, uint64_t number, size_t size)
{
	uint8_t data[8192];

	ck_assert_int_eq(ist_channel_try_recv(channel, data, sizeof(data)), (int64_t)size);
	expect(data, size, number);
}

static inline int64_t recv_any(struct ist_channel *channel)
{
	uint8_t data[8192];

	return ist_channel_try_recv(channel, data, sizeof(data));
}

#endif
