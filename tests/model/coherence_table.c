/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_table.c: what coh_step() says of every word and event of a small group, a line each.
 *
 *   coherence_table names PEERS   the numbers of steps, states and errors, for the model
 *   coherence_table steps PEERS   the transition table, in the order and form of
 * coherence/table.pml
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coherence/step.h"

#define EPOCH 7u /* of the words; a result's is this or the next */

static void names(unsigned peers)
{
	printf("#define PEERS %u\n", peers);
#define NAME(number, name, word) printf("#define " #name " %u\n", COH_##name);
	COH_STEPS(NAME)
#undef NAME
	printf("#define STEP_LAST %u\n#define CHANGES_WORD(type) (0", COH_STEP_LAST);
	for (unsigned type = 1; type <= COH_STEP_LAST; type++)
		if (coh_step_changes_word(type))
			printf(" || type == %u", type);
	printf(")\n");
	printf("#define NONE %u\n#define SHARED %u\n#define MODIFIED %u\n#define POISONED %u\n",
	       IST_DIR_NONE, IST_DIR_SHARED, IST_DIR_MODIFIED, IST_DIR_POISONED);
	printf("#define EIO %d\n#define EAGAIN %d\n#define EBUSY %d\n#define EPROTO %d\n", EIO,
	       EAGAIN, EBUSY, EPROTO);
	printf("#define EALREADY %d\n#define ESTALE %d\n", EALREADY, ESTALE);
}

static void line(struct ist_directory word, const struct coh_event *event, unsigned peers)
{
	struct coh_result r = {.word = word, .epoch = EPOCH};
	int n = coh_step(word, event, peers, &r);
	uint64_t c = r.word.control, bumped = IST_DIR_EPOCH(c) - EPOCH;

	printf("%u: %u %u %u %u %u %u -> %d %u %u %u %u %u %u\n", event->type,
	       IST_DIR_STATE(word.control), IST_DIR_BUSY(word.control), IST_DIR_OWNER(word.control),
	       (unsigned)word.sharers, event->peer, event->epoch == EPOCH, -n, IST_DIR_STATE(c),
	       IST_DIR_BUSY(c), IST_DIR_OWNER(c), (unsigned)r.word.sharers, (unsigned)bumped,
	       (unsigned)r.holders);
}

static void steps(unsigned peers)
{
	struct ist_directory word;
	struct coh_event event;

	/* Each word is a number, its fields the digits. */
	for (event.type = 1; event.type <= COH_STEP_LAST; event.type++) {
		unsigned sets = 2u << peers, side = peers + 2, all = 4 * side * side * sets;

		if (!coh_step_changes_word(event.type))
			continue;
		for (unsigned n = 0; n < all; n++) {
			word.sharers = n % sets;
			word.control =
				IST_DIR_CONTROL(n / sets / side / side, n / sets / side % side,
						n / sets % side, EPOCH);
			for (event.peer = 0; event.peer < peers; event.peer++)
				for (unsigned same = 0; same < 2; same++) {
					event.epoch = same ? EPOCH : EPOCH - 1;
					line(word, &event, peers);
				}
		}
	}
}

int main(int argc, char **argv)
{
	unsigned peers = argc == 3 ? (unsigned)atoi(argv[2]) : 0;

	if (peers >= 1 && peers <= 6 && !strcmp(argv[1], "names")) {
		names(peers);
	} else if (peers >= 1 && peers <= 6 && !strcmp(argv[1], "steps")) {
		steps(peers);
	} else {
		fprintf(stderr, "usage: coherence_table names|steps PEERS\n");
		return 2;
	}
	return fflush(stdout) ? 1 : 0;
}
