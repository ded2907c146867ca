/* SPDX-License-Identifier: BSD-2-Clause */
/* pingpong_trips.c: round trips over two channels, in place and by copy. */
#include "pingpong.h"

static uint8_t buffer[2][4096] __attribute__((aligned(64)));

/* A message of `size` bytes, that says at both ends that it is the n-th. */
static inline void stamp(uint8_t *message, size_t size, uint64_t n)
{
	__builtin_memcpy(message, &n, sizeof(n));
	__builtin_memcpy(message + size - sizeof(n), &n, sizeof(n));
}

static inline int stamped(const uint8_t *message, size_t size, uint64_t n)
{
	uint64_t first, last;

	__builtin_memcpy(&first, message, sizeof(first));
	__builtin_memcpy(&last, message + size - sizeof(last), sizeof(last));
	return first == n && last == n;
}

/*
 * In place, the short way: the next message's room is reserved while this one is under way; what
 * has come is released when the answer is gone.
 */
static inline int place_trip(struct bench *b, uint64_t n, size_t size)
{
	const void *reply;
	int64_t got;
	int error;

	stamp(buffer[0], size, n);
	__builtin_memcpy(b->room, buffer[0], size);
	error = ist_channel_commit(b->link->out, size);
	if (error == 0)
		error = ist_channel_reserve(b->link->out, size, IST_FOREVER, &b->room);
	if (error != 0)
		return error;
	got = ist_channel_peek(b->link->in, IST_FOREVER, &reply);
	if (got != (int64_t)size)
		return got < 0 ? (int)got : -EPROTO;
	__builtin_memcpy(buffer[1], reply, size);
	error = ist_channel_release(b->link->in);
	return stamped(buffer[1], size, n) ? error : -EPROTO;
}

static inline int place_answer(struct bench *b, size_t size)
{
	const void *message;
	int64_t got = ist_channel_peek(b->link->in, IST_FOREVER, &message);
	int error;

	if (got != (int64_t)size)
		return got < 0 ? (int)got : -EPROTO;
	__builtin_memcpy(b->room, message, size);
	error = ist_channel_commit(b->link->out, size);
	if (error == 0)
		error = ist_channel_release(b->link->in);
	if (error == 0)
		error = ist_channel_reserve(b->link->out, size, IST_FOREVER, &b->room);
	return error;
}

/* By send and recv, which copy. */
static inline int copy_trip(struct bench *b, uint64_t n, size_t size)
{
	int64_t got;
	int error;

	stamp(buffer[0], size, n);
	error = ist_channel_send(b->link->out, buffer[0], size, IST_FOREVER);
	if (error != 0)
		return error;
	got = ist_channel_recv(b->link->in, buffer[1], sizeof(buffer[1]), IST_FOREVER);
	if (got != (int64_t)size)
		return got < 0 ? (int)got : -EPROTO;
	return stamped(buffer[1], size, n) ? 0 : -EPROTO;
}

static inline int copy_answer(struct bench *b, size_t size)
{
	int64_t got = ist_channel_recv(b->link->in, buffer[0], sizeof(buffer[0]), IST_FOREVER);

	if (got != (int64_t)size)
		return got < 0 ? (int)got : -EPROTO;
	return ist_channel_send(b->link->out, buffer[0], size, IST_FOREVER);
}

/* Messages are of constant size, as an application's structures are. */
#define RTT(how, bytes)                                                                            \
	static int how##_trip_##bytes(void *context, uint64_t n)                                   \
	{                                                                                          \
		return how##_trip(context, n, bytes);                                              \
	}                                                                                          \
	int rtt_##how##_##bytes(struct bench *b, const struct test *test)                          \
	{                                                                                          \
		int error = ist_channel_reserve(b->link->out, bytes, IST_FOREVER, &b->room);       \
                                                                                                   \
		if (error == 0 && b->me == 0)                                                      \
			return measure(&test->plan, how##_trip_##bytes, b, &b->summary);           \
		for (uint64_t i = plan_trips(&test->plan); i-- > 0 && error == 0;)                 \
			error = how##_answer(b, bytes);                                            \
		return error;                                                                      \
	}
RTT(place, 8)
RTT(place, 56)
RTT(place, 256)
RTT(place, 4096)
RTT(copy, 8)
RTT(copy, 56)
