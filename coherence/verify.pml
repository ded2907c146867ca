/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * verify.pml: everything that can happen to one unit of three instances, for ever. Searched
 * exhaustively. After each step:
 *   - the assertions of check() hold;
 *   - every step that brings nothing new lowers `rank`, so they come to an end however they are
 *     interleaved;
 *   - where none of them can be taken, no live request is pending.
 * The last two together: from every state that can be reached, every live request completes once
 * nobody wants anything new, dies or joins any more.
 *
 * SAFETY_ALONE leaves these two out, for the mistakes that the first must find.
 *
 * Instances differ in their number alone, so of states that are permutations of each other one is
 * searched: canonical() sorts.
 */
#include "machine.pml"

/* The order among instances: all that belongs to one. */
#define OWN(i)                                                                                     \
	(life[i] + 4 * (perm[i] + 3 * (req[i] + 11 * (agent[i] + 7 * (same[i] + 2 * (inbox[i] +    \
	3 * (HAS(sharers, i) + 2 * (HAS(asking, i) + 2 * (IS(busy, i) + 2 * (IS(owner, i) +        \
	2 * (IS(cut, i) + 2 * IS(doomed, i))))))))))))
#define HAS(set, i) (((set) >> (i)) & 1)
#define IS(who, i) ((who) == (i) + 1 -> 1 : 0)

hidden byte t;
int before; /* rank before a step; between steps 0, so no state */
bit news;   /* the step brought something new; likewise */

#define EXCHANGE(array, i, j) t = array[i]; array[i] = array[j]; array[j] = t
#define EXCHANGE_BIT(set, i, j) t = HAS(set, i) ^ HAS(set, j); set = set ^ ((t << (i)) | (t << (j)))
#define RENAME(who, i, j) who = (who == (i) + 1 -> (j) + 1 : (who == (j) + 1 -> (i) + 1 : who))

inline order(i, j)
{
	if
	:: OWN(i) > OWN(j) ->
		EXCHANGE(life, i, j); EXCHANGE(perm, i, j); EXCHANGE(req, i, j);
		EXCHANGE(agent, i, j); EXCHANGE(same, i, j); EXCHANGE(inbox, i, j);
		EXCHANGE_BIT(sharers, i, j); EXCHANGE_BIT(asking, i, j);
		RENAME(busy, i, j); RENAME(owner, i, j); RENAME(cut, i, j); RENAME(doomed, i, j)
	:: else
	fi
}

inline canonical()
{
	order(0, 1); order(1, 2); order(0, 1)
}

/*
 * What is still to be done. A claim (a step of `req`) pays for the questions that it asks, each of
 * them for being heard, that for the answer; and every step that changes the word for a survivor
 * that has to look again.
 */
#define REQUEST(i) (req[i] == WANTS_S || req[i] == WANTS_X -> 5 : \
	(req[i] == CLAIMED_S || req[i] == CLAIMED_X -> 4 : \
	(req[i] == SETTLED_S || req[i] == SETTLED_X -> 3 : \
	(req[i] == INSIDE -> 2 : (req[i] == IDLE -> 0 : 1)))))
#define ANSWER(i) (agent[i] == IDLE -> 0 : (agent[i] == HEARD_INV || agent[i] == HEARD_DOWN -> 10 : 5))
#define LIFE(i)                                                                                    \
	((life[i] == DYING -> 60 : (life[i] == JOINING -> 20 : 0)) +                               \
	 (life[i] != LIVE && REMAINS(i) -> 40 : 0))
#define RANK_OF(i)                                                                                 \
	(1000 * REQUEST(i) + ANSWER(i) + LIFE(i) + 50 * HAS(asking, i) + (inbox[i] != 0 -> 20 : 0) + \
	 9 * HAS(sharers, i))
#define RANK                                                                                       \
	(RANK_OF(0) + RANK_OF(1) + RANK_OF(2) + (cut == 0 -> 4 : 0) +                              \
	 (doomed == 0 -> 1 : (unchanged -> 0 : 2)))

/* Every step there is, with what each is to become. */
#define INSTANCE(i, j, k)                                                                          \
	NEWS(life[i] == LIVE && req[i] == IDLE && perm[i] == 0, req[i] = WANTS_S)                  \
	NEWS(life[i] == LIVE && req[i] == IDLE && perm[i] != WRITE, req[i] = WANTS_X)              \
	STEP(CAN_CLAIM_S(i), do_CLAIM_S(i))                                                        \
	STEP(CAN_CLAIM_X(i), do_CLAIM_X(i))                                                        \
	STEP(CAN_ASK(i, j), do_ASK(i, j))                                                          \
	STEP(CAN_ASK(i, k), do_ASK(i, k))                                                          \
	STEP(CAN_SET_S(i), do_SET_S(i))                                                            \
	STEP(CAN_SET_X(i), do_SET_X(i))                                                            \
	STEP(CAN_INSTALL(i), do_INSTALL(i))                                                        \
	STEP(CAN_RELEASE(i), do_RELEASE(i))                                                        \
	NEWS(CAN_GIVE_UP(i), do_RELEASE(i))                                                        \
	STEP(CAN_RESTORE(i), do_RESTORE(i))                                                        \
	STEP(CAN_FAIL(i), do_FAIL(i))                                                              \
	OF_CELLS(i)                                                                                \
	/* a question is heard once, or again */                                                   \
	STEP(CAN_HEAR_INV(i), do_HEAR_INV(i); inbox[i] = 0)                                        \
	NEWS(CAN_HEAR_INV(i), do_HEAR_INV(i))                                                      \
	STEP(CAN_HEAR_DOWN(i), do_HEAR_DOWN(i); inbox[i] = 0)                                      \
	NEWS(CAN_HEAR_DOWN(i), do_HEAR_DOWN(i))                                                    \
	STEP(CAN_DROP(i), do_DROP(i))                                                              \
	STEP(CAN_REDUCE(i), do_REDUCE(i))                                                          \
	STEP(CAN_ACK_INV(i), do_ACK_INV(i))                                                        \
	STEP(CAN_ACK_DOWN(i), do_ACK_DOWN(i))                                                      \
	NEWS(CAN_START_EVICT(i), do_START_EVICT(i))                                                \
	STEP(CAN_EVICT(i), do_EVICT(i))                                                            \
	STEP(CAN_CUT(i, j), do_CUT(i, j))                                                          \
	STEP(CAN_CUT(i, k), do_CUT(i, k))                                                          \
	STEP(CAN_REVOKE(i, j), do_REVOKE(j))                                                       \
	STEP(CAN_REVOKE(i, k), do_REVOKE(k))                                                       \
	NEWS(CAN_DIE(i), do_DIE(i))                                                                \
	STEP(CAN_FENCE(i), do_FENCE(i))                                                            \
	STEP(CAN_LOOK(i), do_LOOK(i))                                                              \
	STEP(CAN_REAP(i), do_REAP(i))                                                              \
	STEP(CAN_REAP_LOST(i), do_REAP_LOST(i))                                                    \
	NEWS(CAN_JOIN(i), do_JOIN(i))                                                              \
	STEP(CAN_REAP_SELF(i), do_REAP_SELF(i))                                                    \
	STEP(CAN_ENTER(i), do_ENTER(i))
#ifdef CELLS
#define OF_CELLS(i) STEP(CAN_LEAVE(i), do_LEAVE(i)) STEP(CAN_TAKE(i), do_TAKE(i))
#else
#define OF_CELLS(i)
#endif
#define ALL                                                                                        \
	INSTANCE(0, 1, 2)                                                                          \
	INSTANCE(1, 0, 2)                                                                          \
	INSTANCE(2, 0, 1)                                                                          \
	STEP(CAN_SPARE, do_SPARE())

#define COMPLETED(i) (life[i] != DYING && life[i] != JOINING && (life[i] != LIVE || req[i] == IDLE))

#define STEP(can, does) || (can)
#define NEWS(can, does)
inline check_all()
{
	check();
#ifndef SAFETY_ALONE
	assert(news || RANK < before);
	assert((COMPLETED(0) && COMPLETED(1) && COMPLETED(2)) ALL);
#endif
	before = 0; news = 0;
	canonical()
}
#undef STEP
#undef NEWS

#define STEP(can, does) :: d_step { can -> does; skip }
#define NEWS(can, does) :: d_step { can -> does; news = 1 }

active proctype unit()
{
	do
	:: atomic {
		before = RANK;
		if
		ALL
		fi;
		d_step { check_all() }
	}
	od
}
