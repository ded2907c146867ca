/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * names.h: the one list of the protocol's steps: the enum, the texts of traces, the names
 * in docs/protocol.md, and (by tests/model/coherence_table.c) the model's.
 */
#ifndef COH_NAMES_H
#define COH_NAMES_H

/*
 * Every step of every transition, numbered: X(number, name, changes the word).
 * A fault build stops or dies at a step's number; a trace build logs each. Numbers do not change.
 */
#define COH_STEPS(X)                                                                               \
	/* a request, in this order; SET_X and INSTALL again where a claim is an upgrade */        \
	X(1, CLAIM_S, 1)                                                                           \
	X(2, CLAIM_X, 1)                                                                           \
	X(3, ASK, 0)                                                                               \
	X(4, SET_S, 1)                                                                             \
	X(5, SET_X, 1)                                                                             \
	X(6, INSTALL, 0)                                                                           \
	X(7, RELEASE, 1)                                                                           \
	/* a holder that is asked, in this order */                                                \
	X(8, HEAR_INV, 0)                                                                          \
	X(9, HEAR_DOWN, 0)                                                                         \
	X(10, DROP, 0)                                                                             \
	X(11, REDUCE, 0)                                                                           \
	X(12, ACK_INV, 1)                                                                          \
	X(13, ACK_DOWN, 1)                                                                         \
	/* a holder that gives up unasked: DROP, then */                                           \
	X(14, EVICT, 1)                                                                            \
	/* claim, set and install in one, where permissions end with busy: cells */                \
	X(15, TAKE, 1)                                                                             \
	/* permission taken by force from a peer that lives, then its bit */                       \
	X(16, CUT, 0)                                                                              \
	X(17, REVOKE, 1)                                                                           \
	/* death: the fence; a survivor loads the word, then looks; then another incarnation */    \
	X(18, DIE, 0)                                                                              \
	X(19, FENCE, 0)                                                                            \
	X(25, LOOK, 0)                                                                             \
	X(20, REAP, 1)                                                                             \
	X(21, REAP_LOST, 1)                                                                        \
	X(22, JOIN, 0)                                                                             \
	/* a word that no correct peer writes, and content that is lost */                         \
	X(23, BREAK, 1)                                                                            \
	X(24, RESTORE, 1)

enum coh_step_type {
#define COH_STEP_ENUM(number, name, word) COH_##name = (number),
	COH_STEPS(COH_STEP_ENUM)
#undef COH_STEP_ENUM
};

#define COH_STEP_LAST 25

/** coh_step_name - "CLAIM_S" and so on, for traces; "?" for a number that is no step. */
const char *coh_step_name(unsigned type);

/** coh_step_changes_word - whether coh_step() takes this step as an event. */
int coh_step_changes_word(unsigned type);

#endif
