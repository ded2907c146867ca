/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_hostile.c: hostile MS | victim MS. The one writes random bytes over every byte it may write
 * and rings every doorbell, for so many milliseconds; the other works with channels meanwhile: it
 * must neither crash nor hang, and see only documented results.
 */
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

#define MS 1000000ull

static uint64_t state = 88172645463325252ull;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void hostile(struct ist_group *group, uint64_t until)
{
	struct ist_region_info region;
	uint64_t *words, writes = 0;
	uint32_t i, n;

	do {
		for (i = 0; ist_region_get(group, i, &region) == 0; i++) {
			if (region.right != IST_WRITE)
				continue;
			words = region.address;
			/* Mostly where the library's own words are: at the beginning. */
			for (n = 0; n < 20000; n++, writes++) {
				uint64_t at = next_random() % (n % 4 ? 32768 : region.size) / 8;

				words[at] = n % 3 ? next_random() : words[at] + n % 2;
			}
		}
		ist_doorbell_ring(group, (uint32_t)next_random() % 80,
				  (uint32_t)next_random() % 20);
	} while (ist_time_ns() < until);
	ist_print("wrote %lu words\n", (unsigned long)writes);
}

static int documented(int64_t result)
{
	switch (result) {
	case -EBUSY:
	case -EEXIST:
	case -EMSGSIZE:
	case -ENOSPC:
	case -EOWNERDEAD:
	case -EPIPE:
	case -EPROTO:
	case -ETIMEDOUT:
		return 1;
	default:
		return result >= 0 && result <= 4096;
	}
}

static int victim(struct ist_group *group, uint64_t until)
{
	static uint8_t data[4096];
	struct ist_channel_options options = {NULL, 8, 0, 4096};
	uint64_t rounds = 0, broken = 0, opened = 0;
	struct ist_region_info region;
	struct ist_channel *channel;
	struct ist_peer_info peer;
	int64_t result;
	unsigned i;

	if (ist_region_get(group, 0, &region))
		return 1;
	for (; ist_time_ns() < until; rounds++) {
		enum ist_role role = rounds & 1 ? IST_SENDER : IST_RECEIVER;

		result = ist_channel_open(group, rounds & 2 ? "a" : "b", role, &options, &channel);
		for (i = 0; result == 0 && i < 50; i++) {
			int64_t n =
				role == IST_SENDER
					? ist_channel_send(channel, data, i * 80, MS / 10)
					: ist_channel_recv(channel, data, sizeof(data), MS / 10);

			broken += n == -EPROTO;
			if (!documented(n) || !documented(ist_channel_wait_peer(channel, 1))) {
				ist_print("undocumented: %ld\n", (long)n);
				return 1;
			}
		}
		if (result == 0) {
			opened++;
			ist_channel_close(channel);
		} else {
			/* What the directory became is no arena any more: begin anew. */
			__builtin_memset(region.address, 0, 64);
		}
		if (!documented(result) || ist_peer_get(group, ist_group_self(group), &peer)) {
			ist_print("undocumented: open %ld\n", (long)result);
			return 1;
		}
	}
	ist_print("%lu rounds, %lu opened, %lu broken\n", (unsigned long)rounds,
		  (unsigned long)opened, (unsigned long)broken);
	return rounds == 0;
}

int main(int argc, char **argv)
{
	struct ist_group *group;
	uint64_t ms = 0, until;
	const char *digit;

	for (digit = argc == 3 ? argv[2] : ""; *digit; digit++)
		ms = ms * 10 + (uint64_t)(*digit - '0');
	if (!ms || ist_group_open(NULL, &group))
		return 2;
	if (ist_peer_wait(group, argv[1][0] == 'h' ? "victim" : "hostile", 10000 * MS, NULL))
		return 3;
	until = ist_time_ns() + ms * MS;
	if (argv[1][0] != 'h')
		return victim(group, until);
	hostile(group, until + 200 * MS); /* to the end of the other, and beyond */
	return 0;
}
