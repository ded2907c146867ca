/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * step.h: the protocol: one transition function over (directory word, event), for cells and pages.
 *
 * Pure: no memory but its arguments, no clock, no loop that a word could prolong. Who carries it
 * out reads the word, asks coh_step() what a step makes of it, and swaps it in (word.h). What a
 * step needs beside the word (that a permission was dropped, that a peer is fenced) its caller
 * vouches for; docs/protocol.md has every transition, guard and repair.
 */
#ifndef COH_STEP_H
#define COH_STEP_H

#include "errors.h"
#include "names.h"
#include "word.h"

/* What is asked of the word. */
struct coh_event {
	uint32_t type;  /* enum coh_step_type, one that changes the word */
	uint32_t peer;  /* whose step it is; of CUT and REAP steps the one that loses */
	uint64_t epoch; /* SET, RELEASE: of the own claim. ACK, REVOKE: that was asked with. EVICT:
			   of the word before the permission was dropped. Others: not looked at */
};

/* What follows from it. Bits of coh_result.actions. */
#define COH_ASK_INV (1u << 0)      /* ask `holders` to drop their permission, with `epoch` */
#define COH_ASK_DOWN (1u << 1)     /* ask `holders` (the owner) to reduce it to reading */
#define COH_MAY_READ (1u << 2)     /* after the swap, and before RELEASE: install reading */
#define COH_MAY_WRITE (1u << 3)    /* the same: reading and writing */
#define COH_WAKE (1u << 4)         /* after the swap: who waits for this word may go on */
#define COH_CONTROL_ONLY (1u << 5) /* state and owner stay: coh_cas_control() is enough */

struct coh_result {
	struct ist_directory word; /* to be swapped in */
	uint32_t actions;
	uint32_t reserved;
	uint64_t holders; /* whom a claim has to ask; SET is refused until all have answered */
	uint64_t epoch;   /* of `word` */
};

/**
 * coh_step - what `event` makes of `word`, in a group of `peers` (1 to IST_PEERS_MAX).
 *
 * Returns 0 and fills *result; or refuses, with *result untouched:
 *   -EINVAL   the event is none: a type that changes no word, a peer beyond the group
 *   -EPROTO   the word is malformed (confirm it: word.h). Only BREAK takes it
 *   -EBUSY    CLAIM, TAKE, RESTORE: a transition is in progress. EVICT, ACK, REVOKE: the peer's own
 *   -EAGAIN   SET: holders have not all answered. TAKE: there are sharers, so CLAIM_X
 *   -ESTALE   the epoch is not the event's, or nothing is in progress, or another's is: what the
 *             event belongs to is over
 *   -EALREADY the peer has nothing here that this event would take; the word is not malformed
 * (BREAK) or not poisoned (RESTORE) -EIO      the content is lost: RESTORE, then write all of it
 * Pure, any thread.
 */
int coh_step(struct ist_directory word, const struct coh_event *event, unsigned peers,
	     struct coh_result *result);

/*
 * The fast forms: what coh_step() gives in the commonest cases. coh_retake() and coh_released() are
 * of where state and owner stay, on `control` alone: they do not see a `sharers` that contradicts
 * it. That word is malformed before and after, and whoever decides on the whole word finds it.
 */

/**
 * coh_retake - `control` after TAKE by `peer`, if that is MODIFIED of `peer` with nobody busy: to
 * be swapped in by coh_cas_control(). 0: it is not, use coh_step(). Pure.
 */
static inline uint64_t coh_retake(uint64_t control, unsigned peer)
{
	const uint64_t low = 0xffff; /* state, busy and owner */

	if ((control & low) != IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, peer + 1, 0))
		return 0;
	/* The epoch is the highest field: its carry falls off the word, as it should. */
	return control + IST_DIR_CONTROL(0, peer + 1, 0, 1);
}

/** coh_at_rest - whether `control` is MODIFIED and nobody is busy: free, as its owner left it. */
static inline int coh_at_rest(uint64_t control)
{
	return (control & 0x1ff) == IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, 0, 0);
}

/**
 * coh_retaken - *next becomes the word after TAKE by `peer`, if `word` is MODIFIED of any one of
 * `peers` with nobody busy: to be swapped in by coh_cas(). Returns 1; 0: it is not, use coh_step(),
 * and *next means nothing. Pure.
 */
static inline int coh_retaken(struct ist_directory word, unsigned peer, unsigned peers,
			      struct ist_directory *next)
{
	const uint64_t low = 0xffff;
	unsigned owner = IST_DIR_OWNER(word.control) - 1;

	next->control =
		(word.control & ~low) + IST_DIR_CONTROL(IST_DIR_MODIFIED, peer + 1, peer + 1, 1);
	next->sharers = coh_bit(peer);
	/* Now, so that nothing but branches is between here and the swap: one that follows other
	   instructions has been seen to take 5 ns longer (docs/benchmarks.md, "Hand-over"). */
	__asm__ __volatile__("" : "+r"(next->control), "+r"(next->sharers));
	return coh_at_rest(word.control) && owner < peers && word.sharers == coh_bit(owner);
}

/** coh_released - `control` after RELEASE by who is busy. Pure. */
static inline uint64_t coh_released(uint64_t control)
{
	return control & ~IST_DIR_CONTROL(0, 0x7f, 0, 0);
}

#endif
