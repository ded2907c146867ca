/* SPDX-License-Identifier: BSD-2-Clause */
/* coherence_words.h: directory words spelled out, and what a step makes of them. */
#ifndef TESTS_COHERENCE_WORDS_H
#define TESTS_COHERENCE_WORDS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coherence/step.h"

#define A 0u
#define B 1u
#define C 2u
#define PEERS 3u
#define E 41u /* the epoch of the words below */

#define NONE IST_DIR_NONE
#define SHARED IST_DIR_SHARED
#define MODIFIED IST_DIR_MODIFIED
#define POISONED IST_DIR_POISONED
#define NOBODY 0u
#define IS(peer) ((peer) + 1u) /* busy or owner */

static inline struct ist_directory word_of(unsigned state, unsigned busy, unsigned owner,
					   uint64_t sharers, uint64_t epoch)
{
	return (struct ist_directory){IST_DIR_CONTROL(state, busy, owner, epoch), sharers};
}

/* What follows when `type` of `peer` with the epoch `epoch` meets `word`. */
static inline int step(struct ist_directory word, unsigned type, unsigned peer, uint64_t epoch,
		       struct coh_result *result)
{
	struct coh_event event = {.type = type, .peer = peer, .epoch = epoch};

	return coh_step(word, &event, PEERS, result);
}

static inline void becomes(struct ist_directory word, unsigned type, unsigned peer, uint64_t epoch,
			   struct ist_directory expected)
{
	struct coh_result result;

	ck_assert_int_eq(step(word, type, peer, epoch, &result), 0);
	ck_assert_uint_eq(result.word.control, expected.control);
	ck_assert_uint_eq(result.word.sharers, expected.sharers);
	ck_assert_uint_eq(result.epoch, IST_DIR_EPOCH(expected.control));
	ck_assert_int_eq(coh_check(result.word, PEERS), 0);
}

static inline void refused(struct ist_directory word, unsigned type, unsigned peer, uint64_t epoch,
			   int error)
{
	struct coh_result result, untouched;

	memset(&result, 0x5a, sizeof(result));
	untouched = result;
	ck_assert_int_eq(step(word, type, peer, epoch, &result), error);
	ck_assert_mem_eq(&result, &untouched, sizeof(result));
}

#endif
