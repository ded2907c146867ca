/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_channel.c: a correct sender and a correct receiver, and somebody who writes anywhere in the
 * region between their calls. The input is a list of steps of four bytes. Neither end may crash,
 * hang, or look outside the group (there is nothing mapped around it); what they return is one of
 * the documented errors.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/core/platform/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REGION 65536u
#define LINES 8u

static void check(int64_t result)
{
	switch (result) {
	case -EAGAIN:
	case -EBUSY:
	case -EEXIST:
	case -EINVAL:
	case -EMSGSIZE:
	case -ENOSPC:
	case -EOWNERDEAD:
	case -EPIPE:
	case -EPROTO:
	case -ETIMEDOUT:
		return;
	default:
		if (result < 0 || result > 4096)
			abort();
	}
}

/* A place worth spoiling: mostly the channel's own words. */
static uint8_t *target(uint8_t where, uint8_t index)
{
	struct ist_channel_memory *memory = mem_channel("c");

	if (!memory || where % 8 == 7)
		return mem_region() + (where * 257u + index * 8u) % (REGION - 8);
	switch (where % 8) {
	case 0:
		return (uint8_t *)&memory->credit;
	case 1:
		return (uint8_t *)&memory->broken;
	case 2:
		return (uint8_t *)&memory->sender + index % 16;
	case 3:
		return (uint8_t *)&memory->receiver + index % 16;
	case 4:
		return (uint8_t *)memory + index % 24;
	default:
		return (uint8_t *)(memory + 1) + (index % (LINES * 8)) * 8;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ist_channel_options options = {"main", LINES, 0, 4096};
	struct ist_channel *ends[2] = {NULL, NULL};
	struct ist_group *groups[2];
	static uint8_t buffer[4096];
	const void *seen;
	uint64_t word;
	void *room;
	int64_t n;

	mem_create(REGION);
	groups[0] = mem_join(0);
	groups[1] = mem_join(1);
	for (; size >= 4; data += 4, size -= 4) {
		struct ist_channel *s = ends[0], *r = ends[1];
		size_t length = (data[1] | (size_t)data[2] << 8) % 4097;
		unsigned end = data[0] & 1;

		switch (data[0] >> 4) {
		case 0:
		case 1:
			if (!ends[end]) {
				n = ist_channel_open(groups[end], "c",
						     end ? IST_RECEIVER : IST_SENDER, &options,
						     &ends[end]);
				check(n);
				if (n)
					ends[end] = NULL;
			}
			break;
		case 2:
			if (data[3] % 4 == 0) {
				ist_channel_close(ends[end]);
				ends[end] = NULL;
			}
			break;
		case 3:
		case 4:
			if (s)
				check(ist_channel_try_send(s, buffer, length));
			break;
		case 5:
			if (s)
				check(ist_channel_try_send(s, buffer, length % 57));
			break;
		case 6:
			if (s && !ist_channel_try_reserve(s, length, &room)) {
				memset(room, 1, length);
				check(ist_channel_commit(s, length / (data[3] % 3 + 1u)));
			}
			break;
		case 7:
		case 8:
		case 9:
			if (r)
				check(ist_channel_try_recv(r, buffer, sizeof(buffer)));
			break;
		case 10:
			if (r && (n = ist_channel_try_peek(r, &seen)) > 0) {
				memcpy(buffer, seen, (size_t)n);
				if (data[3] & 1)
					check(ist_channel_release(r));
			}
			break;
		case 11:
			if (ends[end])
				check(ist_channel_wait_peer(ends[end], 0));
			break;
		case 12:
			*target(data[1], data[2]) = data[3];
			break;
		case 13:
			memcpy(&word, target(data[1], data[2]), sizeof(word));
			word += (uint64_t)(int64_t)(int8_t)data[3];
			memcpy(target(data[1], data[2]), &word, sizeof(word));
			break;
		case 14:
			word = (uint64_t)data[3] * 0x0101010101010101u;
			memcpy(target(data[1], data[2]), &word, sizeof(word));
			break;
		default:
			if (data[3] & 1)
				mem_die(end);
			else
				mem_leave(end);
			mem_forget_channel(ends[end]);
			ends[end] = NULL;
			mem_forget(groups[end]);
			groups[end] = mem_join(end);
		}
	}
	ist_channel_close(ends[0]);
	ist_channel_close(ends[1]);
	mem_forget(groups[0]);
	mem_forget(groups[1]);
	mem_destroy();
	return 0;
}
