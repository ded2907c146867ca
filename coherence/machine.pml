/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * machine.pml: one unit and PEERS instances, each with what the protocol has them remember, step by
 * step: CAN_x(i) says when instance i may take step x, do_x(i) what it does. verify.pml takes any
 * step that can be taken, replay.pml those that a run of the code took.
 *
 * An instance is two threads: one that requests, one that answers ("agent"). It may die between any
 * two steps. What it wrote and asked stays; its permission stays too, until it is fenced. Its ID may
 * be used again while questions to its predecessor are under way.
 *
 * CELLS: units whose permission to write ends before busy does, and TAKE with them.
 * One of these makes a mistake, for which a run of verify.pml must fail:
 *   NO_EPOCH      questions and answers carry no epoch
 *   LATE_INSTALL  a permission is installed after busy is released
 *   ACK_FIRST     a holder answers before it drops its permission
 *   NO_FENCE      the remains of the dead are reaped before their permission is gone
 *   NO_RECOVERY   nobody reaps
 *   STALE_ACK     the epoch is looked at when a question is heard, not when it is answered
 *   LOOK_FIRST    a reaper looks at the roster before it loads the word
 *   EVICT_BUSY    a holder gives up a permission that its own transition is about to install
 *   TAKE_SHARED   TAKE does not ask those who share (with CELLS)
 *   READ_OWN      an owner claims to read what others may TAKE (with CELLS)
 */
#include "word.pml"

/* life */
#define LIVE 0
#define DYING 1   /* it takes no steps any more, and may still touch the content */
#define FENCED 2  /* that is over, and everybody is told */
#define JOINING 3 /* the ID is used again: its predecessor's remains come first */
byte life[PEERS];

/* permission */
#define READ 1
#define WRITE 2
byte perm[PEERS];

/* the request */
#define IDLE 0
#define WANTS_S 1
#define WANTS_X 2
#define CLAIMED_S 3
#define CLAIMED_X 4
#define SETTLED_S 5 /* the bit is set */
#define SETTLED_X 6
#define INSIDE 7 /* CELLS: in a write section */
#define DONE 8   /* to be released */
#define LATE_S 9 /* LATE_INSTALL */
#define LATE_X 10
byte req[PEERS];

/* the agent */
#define HEARD_INV 1
#define HEARD_DOWN 2
#define DROPPED 3
#define REDUCED 4
#define EVICTS 5
#define ACKED 6 /* ACK_FIRST */
byte agent[PEERS];
bit same[PEERS]; /* the epoch it remembers is the word's */

/* the question under way to each; one whose epoch is not the word's is as good as lost */
#define INV 1
#define DOWN 2
byte inbox[PEERS];

byte asking;   /* whom the busy one has yet to ask */
byte cut;      /* 1 + whose permission the busy one has taken by force */
byte doomed;   /* 1 + whom a survivor has decided to reap */
bit unchanged; /* since then, the word */

#define HAS_BIT(i) (sharers & BIT(i))
#define REMAINS(i) (busy == i + 1 || HAS_BIT(i))

hidden byte n, a, b; /* no state: counters within a step */

hidden byte bumps; /* the last step changed the epoch */

inline forget_questions()
{
	n = 0;
	do
	:: n < PEERS -> inbox[n] = 0; same[n] = 0; n++
	:: else -> break
	od
}

/* A step that changes the word, with all that depends on the word being what it was. */
inline swap(type, i, is_same)
{
	step(type, i, is_same);
	bumps = bump;
	if
	:: result == 0 -> unchanged = 0
	:: else
	fi;
	if
	:: bump ->
#ifndef NO_EPOCH
		forget_questions();
#endif
		asking = 0; cut = 0; bump = 0
	:: else
	fi;
	if
	:: cut != 0 && !HAS_BIT(cut - 1) -> cut = 0 /* it has answered after all */
	:: else
	fi
}

/* ---- Requests ---- */

/* In cells the owner does not: it would have a permission to read that TAKE does not ask for. */
#if defined(CELLS) && !defined(READ_OWN)
#define MAY_CLAIM_S(i) (owner != i + 1)
#else
#define MAY_CLAIM_S(i) 1
#endif
#define CAN_CLAIM_S(i)                                                                             \
	(life[i] == LIVE && req[i] == WANTS_S && busy == 0 && state != POISONED && MAY_CLAIM_S(i))
inline do_CLAIM_S(i)
{
	swap(CLAIM_S, i, 0); assert(result == 0);
	asking = ask; req[i] = CLAIMED_S
}

#define CAN_CLAIM_X(i) (life[i] == LIVE && req[i] == WANTS_X && busy == 0 && state != POISONED)
inline do_CLAIM_X(i)
{
	swap(CLAIM_X, i, 0); assert(result == 0);
	asking = ask; req[i] = CLAIMED_X
}

#define CLAIMED(i) (life[i] == LIVE && busy == i + 1 && (req[i] == CLAIMED_S || req[i] == CLAIMED_X))
#define CAN_ASK(i, j) (CLAIMED(i) && (asking & BIT(j)))
inline do_ASK(i, j)
{
	asking = asking & ~BIT(j);
	if
	:: req[i] == CLAIMED_X -> inbox[j] = INV
	:: else -> inbox[j] = DOWN
	fi
}

#define WAITS(i) (CLAIMED(i) && asking == 0)
#define CAN_SET_S(i) (WAITS(i) && req[i] == CLAIMED_S && (state != MODIFIED || owner == i + 1))
inline do_SET_S(i)
{
	swap(SET_S, i, 1);
	if
	:: state == POISONED -> assert(result == EIO); req[i] = DONE
	:: else -> assert(result == 0); req[i] = SETTLED_S
	fi
}

#define CAN_SET_X(i) (WAITS(i) && req[i] == CLAIMED_X && (sharers & ~BIT(i)) == 0)
inline do_SET_X(i)
{
	swap(SET_X, i, 1);
	if
	:: state == POISONED -> assert(result == EIO); req[i] = DONE
	:: else -> assert(result == 0); req[i] = SETTLED_X
	fi
}

#ifdef LATE_INSTALL
#define CAN_INSTALL(i) (life[i] == LIVE && (req[i] == LATE_S || req[i] == LATE_X))
#else
#define CAN_INSTALL(i) (life[i] == LIVE && (req[i] == SETTLED_S || req[i] == SETTLED_X))
#endif
inline do_INSTALL(i)
{
	if
	:: req[i] == SETTLED_X || req[i] == LATE_X -> perm[i] = WRITE
	:: else ->
		if
		:: perm[i] == 0 -> perm[i] = READ
		:: else
		fi
	fi;
#ifdef LATE_INSTALL
	req[i] = IDLE
#else
#ifdef CELLS
	if
	:: req[i] == SETTLED_X -> req[i] = INSIDE
	:: else -> req[i] = DONE
	fi
#else
	req[i] = DONE
#endif
#endif
}

/* CELLS: the end of a write section. */
#define CAN_LEAVE(i) (life[i] == LIVE && req[i] == INSIDE)
inline do_LEAVE(i)
{
	perm[i] = 0; req[i] = DONE
}

/* Giving up before SET is free to who requests, so completing does not depend on it. */
#define CAN_GIVE_UP(i) (CLAIMED(i))
#ifdef LATE_INSTALL
#define CAN_RELEASE(i)                                                                             \
	(life[i] == LIVE && (req[i] == DONE || req[i] == SETTLED_S || req[i] == SETTLED_X))
#else
#define CAN_RELEASE(i) (life[i] == LIVE && req[i] == DONE)
#endif
inline do_RELEASE(i)
{
	swap(RELEASE, i, 1); assert(result == 0);
	asking = 0; cut = 0;
	if
	:: req[i] == SETTLED_S -> req[i] = LATE_S
	:: req[i] == SETTLED_X -> req[i] = LATE_X
	:: else -> req[i] = IDLE
	fi
}

#ifdef TAKE_SHARED
#define MAY_TAKE(i) 1
#else
#define MAY_TAKE(i) (state != SHARED || sharers == BIT(i))
#endif
#define CAN_TAKE(i)                                                                                \
	(life[i] == LIVE && (req[i] == WANTS_X || (req[i] == WANTS_S && owner == i + 1)) &&        \
	 busy == 0 && state != POISONED && MAY_TAKE(i))
inline do_TAKE(i)
{
#ifdef TAKE_SHARED
	sharers = 0; state = NONE; owner = 0;
#endif
	swap(TAKE, i, 0); assert(result == 0);
	req[i] = SETTLED_X
}

#define CAN_RESTORE(i) (life[i] == LIVE && req[i] == WANTS_X && busy == 0 && state == POISONED)
inline do_RESTORE(i)
{
	swap(RESTORE, i, 0); assert(result == 0);
	req[i] = SETTLED_X
}

/* What a request for reading comes to when the content is lost. */
#define CAN_FAIL(i) (life[i] == LIVE && req[i] == WANTS_S && state == POISONED)
inline do_FAIL(i)
{
	req[i] = IDLE
}

/* ---- Holders ---- */

#define CAN_HEAR_INV(i) (life[i] == LIVE && agent[i] == IDLE && inbox[i] == INV)
#define CAN_HEAR_DOWN(i) (life[i] == LIVE && agent[i] == IDLE && inbox[i] == DOWN)
inline do_HEAR_INV(i)
{
	agent[i] = HEARD_INV; same[i] = 1
}
inline do_HEAR_DOWN(i)
{
	agent[i] = HEARD_DOWN; same[i] = 1
}

/* In a write section nothing is dropped: its end does that. */
#ifdef ACK_FIRST
#define CAN_DROP(i) (life[i] == LIVE && agent[i] == ACKED && req[i] != INSIDE)
#else
#define CAN_DROP(i) (life[i] == LIVE && agent[i] == HEARD_INV && req[i] != INSIDE)
#endif
inline do_DROP(i)
{
	perm[i] = 0;
#ifdef ACK_FIRST
	agent[i] = IDLE; same[i] = 0
#else
	agent[i] = DROPPED
#endif
}

#define CAN_REDUCE(i) (life[i] == LIVE && agent[i] == HEARD_DOWN && req[i] != INSIDE)
inline do_REDUCE(i)
{
	if
	:: perm[i] == WRITE -> perm[i] = READ
	:: else
	fi;
	agent[i] = REDUCED
}

#if defined(NO_EPOCH) || defined(STALE_ACK)
#define SAME(i) 1
#else
#define SAME(i) same[i]
#endif

#ifdef ACK_FIRST
#define CAN_ACK_INV(i) (life[i] == LIVE && agent[i] == HEARD_INV)
#else
#define CAN_ACK_INV(i) (life[i] == LIVE && agent[i] == DROPPED)
#endif
inline do_ACK_INV(i)
{
	swap(ACK_INV, i, SAME(i));
#ifdef ACK_FIRST
	agent[i] = ACKED
#else
	agent[i] = IDLE; same[i] = 0
#endif
}

#define CAN_ACK_DOWN(i) (life[i] == LIVE && agent[i] == REDUCED)
inline do_ACK_DOWN(i)
{
	swap(ACK_DOWN, i, SAME(i));
	agent[i] = IDLE; same[i] = 0
}

/* Unasked. */
#ifdef EVICT_BUSY
#define CAN_START_EVICT(i) (life[i] == LIVE && agent[i] == IDLE && HAS_BIT(i))
#else
#define CAN_START_EVICT(i) (life[i] == LIVE && agent[i] == IDLE && HAS_BIT(i) && busy != i + 1)
#endif
inline do_START_EVICT(i)
{
	perm[i] = 0; agent[i] = EVICTS; same[i] = 1
}

#define CAN_EVICT(i) (life[i] == LIVE && agent[i] == EVICTS)
inline do_EVICT(i)
{
	swap(EVICT, i, same[i]);
	agent[i] = IDLE; same[i] = 0
}

/* ---- Force ---- */

#define CAN_CUT(i, j)                                                                              \
	(WAITS(i) && i != j && cut == 0 && HAS_BIT(j) && (req[i] == CLAIMED_X || owner == j + 1))
inline do_CUT(i, j)
{
	perm[j] = 0; cut = j + 1
}

#define CAN_REVOKE(i, j) (WAITS(i) && cut == j + 1) /* j still has its bit: see swap() */
inline do_REVOKE(j)
{
	swap(REVOKE, j, 1);
	cut = 0
}

/* ---- Death ---- */

#define CAN_DIE(i) (life[i] == LIVE || life[i] == JOINING)
inline do_DIE(i)
{
	life[i] = DYING; req[i] = IDLE; agent[i] = IDLE; same[i] = 0;
	if
	:: busy == i + 1 -> asking = 0; cut = 0
	:: else
	fi
}

#define CAN_FENCE(i) (life[i] == DYING)
inline do_FENCE(i)
{
	life[i] = FENCED; perm[i] = 0
}

/* A survivor has loaded the word, then looked at the roster. */
#ifdef NO_FENCE
#define GONE(i) (life[i] == FENCED || life[i] == DYING)
#else
#define GONE(i) (life[i] == FENCED)
#endif
#ifdef NO_RECOVERY
#define RECOVERY 0
#else
#define RECOVERY 1
#endif
#define CAN_LOOK(i) (RECOVERY && GONE(i) && doomed == 0 && REMAINS(i))
inline do_LOOK(i)
{
	doomed = i + 1; unchanged = 1
}

/* It swaps: the word must be the one it loaded. */
#ifdef LOOK_FIRST
#define CAN_REAP(i) (doomed == i + 1)
#else
#define CAN_REAP(i) (doomed == i + 1 && unchanged)
#endif
inline do_REAP(i)
{
	swap(REAP, i, 0); doomed = 0; unchanged = 0
}

#define CAN_REAP_LOST(i) (CAN_REAP(i) && owner == i + 1)
inline do_REAP_LOST(i)
{
	swap(REAP_LOST, i, 0); doomed = 0; unchanged = 0
}

/* Its swap fails: it may look again. */
#define CAN_SPARE (doomed != 0 && !unchanged)
inline do_SPARE()
{
	doomed = 0
}

#define CAN_JOIN(i) (life[i] == FENCED)
inline do_JOIN(i)
{
	life[i] = JOINING
}

#define CAN_REAP_SELF(i) (RECOVERY && life[i] == JOINING && REMAINS(i))
inline do_REAP_SELF(i)
{
	swap(REAP, i, 0)
}

/* The owner of a cell is asked nothing: who takes its seat is owner in its place. */
#ifdef CELLS
#define CAN_ENTER(i) (life[i] == JOINING && busy != i + 1)
#else
#define CAN_ENTER(i) (life[i] == JOINING && !REMAINS(i))
#endif
inline do_ENTER(i)
{
	life[i] = LIVE
}

/* ---- What must hold between any two steps ---- */

#define WRITES(i) (perm[i] == WRITE)
#define PERMITTED(i) (perm[i] == 0 || (HAS_BIT(i) && (perm[i] == READ || owner == i + 1)))

inline check()
{
	assert(!MALFORMED);
	a = 0;
	do
	:: a < PEERS ->
		assert(PERMITTED(a)); /* a permission implies a bit, writing the owner's */
		b = 0;
		do
		:: b < PEERS -> assert(a == b || !WRITES(a) || perm[b] == 0); b++ /* one writer */
		:: else -> break
		od;
		a++
	:: else -> break
	od;
	skip /* a step must not end in a loop */
}
