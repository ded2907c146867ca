/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * trace.h: the hook at every step. Nothing, unless the build says -DCOH_TRACING: then whoever links
 * the code defines coh_trace().
 *
 * Who carries the protocol out (guestlib's cells, the pager) calls COH_TRACE after each step's
 * effect, and COH_AT before it. A trace build logs; a fault build stops or dies there at the n-th
 * occurrence of a step.
 *
 * Said are all steps that change a word; ASK, once for all who are asked; INSTALL, HEAR, REDUCE,
 * DROP, LOOK and JOIN with the word that they saw; and an answer (ACK, EVICT) that was refused,
 * with equal words: it is over, too. Without COH_AT: what has no effect on others (INSTALL and DROP
 * of cells, HEAR, LOOK, JOIN). A cell's repair is one swap: REAP, announced, and TAKE.
 */
#ifndef COH_TRACE_H
#define COH_TRACE_H

#include <isthmus/abi.h>

#include "names.h"

#ifdef COH_TRACING
/**
 * coh_trace - a step of `peer` at the unit whose word is at `where`. Called with after == NULL
 * before the step, and with the words it changed from and to (equal for a step that changes no
 * word) after it. Any thread; may not return.
 */
void coh_trace(const struct ist_directory *where, unsigned step, unsigned peer,
	       const struct ist_directory *before, const struct ist_directory *after);
#define COH_AT(where, step, peer, word) coh_trace(where, step, peer, &(word), (void *)0)
#define COH_TRACE(where, step, peer, before, after)                                                \
	coh_trace(where, step, peer, &(before), &(after))
#else
#define COH_AT(where, step, peer, word) ((void)0)
#define COH_TRACE(where, step, peer, before, after) ((void)0)
#endif

#endif
