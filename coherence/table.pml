/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * table.pml: the transition table of word.pml, a line each: all words (well-formed or not) of a
 * group of PEERS, and beyond it by one, times all steps, times all peers, times an epoch that is
 * the word's or not. tests/model/coherence_table.c prints the same from step.c.
 */
#include "word.pml"

byte s, b, o, h, type, peer, same;

#define LOOP(variable, from, to) variable = from; do :: variable > to -> break :: else ->
#define NEXT(variable) variable++ od

active proctype table()
{
	d_step {
		LOOP(type, 1, STEP_LAST)
		if
		:: CHANGES_WORD(type) ->
		LOOP(s, 0, 3)
		LOOP(b, 0, PEERS + 1)
		LOOP(o, 0, PEERS + 1)
		LOOP(h, 0, BIT(PEERS + 1) - 1)
		LOOP(peer, 0, PEERS - 1)
		LOOP(same, 0, 1)
			state = s; busy = b; owner = o; sharers = h;
			step(type, peer, same);
			printf("%d: %d %d %d %d %d %d -> %d %d %d %d %d %d %d\n", type, s, b, o, h,
			       peer, same, result, state, busy, owner, sharers, bump, ask);
		NEXT(same);
		NEXT(peer);
		NEXT(h);
		NEXT(o);
		NEXT(b);
		NEXT(s)
		:: else
		fi;
		NEXT(type)
	}
}
