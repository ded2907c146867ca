/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy_miss.c: migratory detection: data that one peer after the other reads and then writes is
 * better taken for writing at once (after Cox and Fowler, and Stenström et al., ISCA 1993, who do
 * it in the directory of a machine).
 */
#include "policy.h"

#define SURE 3u
#define ENOUGH 2u

uint32_t coh_history_pack(struct coh_history h)
{
	return h.migratory | (uint32_t)h.writer << 8 | (uint32_t)h.reader << 16 |
	       (uint32_t)h.wrote << 24;
}

struct coh_history coh_history_unpack(uint32_t packed)
{
	struct coh_history h = {
		.migratory = packed & 0xff,
		.writer = packed >> 8 & 0xff,
		.reader = packed >> 16 & 0xff,
		.wrote = (packed >> 24) != 0,
	};

	if (h.migratory > SURE)
		h.migratory = SURE;
	return h;
}

int coh_history_read(struct coh_history *h, unsigned peer)
{
	uint8_t me = (uint8_t)(peer + 1);

	if (h->reader != me) {
		/* Who read before has only read: that is no data that migrates. */
		if (h->reader && !h->wrote && h->migratory)
			h->migratory--;
		h->reader = me;
		h->wrote = 0;
	}
	return h->migratory >= ENOUGH;
}

void coh_history_write(struct coh_history *h, unsigned peer)
{
	uint8_t me = (uint8_t)(peer + 1);

	if (h->reader == me && !h->wrote) {
		/* The last writer was another: the data has come over. */
		if (h->writer && h->writer != me && h->migratory < SURE)
			h->migratory++;
		h->wrote = 1;
	}
	h->writer = me;
}
