/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_coherence.c: a word from a fuzzer (16 bytes, then the number of peers), and events of eight
 * bytes each upon it and what becomes of it. A result is well-formed, and takes nothing from a peer
 * that the event is not about.
 */
#include <stdlib.h>
#include <string.h>

#include "coherence/step.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void one(struct ist_directory *word, const struct coh_event *event, unsigned peers)
{
	uint64_t others = ~coh_bit(event->peer);
	int well = !coh_check(*word, peers), n;
	struct coh_result out;

	n = coh_step(*word, event, peers, &out);
	if (n) {
		require(n == -EINVAL || well == (n != -EPROTO));
		return;
	}
	require(well || event->type == COH_BREAK);
	require(!coh_check(out.word, peers));
	require(!(out.holders & ~(word->sharers & others)));
	if (event->type != COH_TAKE && event->type != COH_BREAK)
		require(!((out.word.sharers ^ word->sharers) & others));
	*word = out.word;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ist_directory word;
	unsigned peers;

	if (size < 17)
		return 0;
	memcpy(&word, data, 16);
	peers = data[16] % (IST_PEERS_MAX + 2);
	for (data += 17, size -= 17; size >= 8; data += 8, size -= 8) {
		struct coh_event event = {.type = data[0], .peer = data[1]};

		/* mostly the epoch that is, else any */
		memcpy(&event.epoch, data, 8);
		event.epoch >>= 16;
		if (data[2] & 1)
			event.epoch = IST_DIR_EPOCH(word.control);
		one(&word, &event, peers);
	}
	return 0;
}
