/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * replay.pml: does the model take the steps that a run of the code took? For simulation (spin -T):
 * reads a trace from stdin, a step a line, ten numbers:
 *   step, peer; state, busy, owner, sharers before; the same after; epoch after - epoch after the
 *   step before (0 or 1)
 * `peer` is whose step it is; of ASK, CUT and REVOKE whom the busy one does it to.
 * A line "." ends it. Says "accepted: N steps", or "rejected" and which.
 *
 * A trace does not say when a request begins, nor when a new incarnation has found nothing (more)
 * to reap: both are taken when the first step that needs them comes.
 */
#include "machine.pml"

chan STDIN;
int c, number, lines;
int f[11]; /* the line */
byte what, who, by, k; /* no name of a parameter of the inlines */
bit ok, end;

#define TRY(x)                                                                                     \
	if                                                                                         \
	:: CAN_##x(who) -> do_##x(who); ok = 1                                                         \
	:: else                                                                                    \
	fi
#define BY_BUSY(x)                                                                                 \
	if                                                                                         \
	:: busy != 0 && CAN_##x(by, who) -> do_##x(by, who); ok = 1                    \
	:: else                                                                                    \
	fi
#define WANT(kind)                                                                                 \
	if                                                                                         \
	:: life[who] == LIVE && (req[who] == IDLE || req[who] == WANTS_S || req[who] == WANTS_X) ->        \
		req[who] = kind                                                                      \
	:: else                                                                                    \
	fi

inline read_line()
{
	k = 0; number = 0;
	do
	:: STDIN ? c;
		if
		:: c >= '0' && c <= '9' -> number = number * 10 + c - '0'
		:: c == ' ' || c == '\n' ->
			f[k] = number; number = 0; k++;
			if
			:: c == '\n' || k == 11 -> break
			:: else
			fi
		:: else -> end = 1; break
		fi
	od
}

/* DROP is of three kinds: the end of a write section, an answer, the beginning of EVICT. */
inline drop()
{
	if
	:: req[who] == INSIDE -> TRY(LEAVE)
	:: req[who] != INSIDE && agent[who] == HEARD_INV -> TRY(DROP)
	:: else -> TRY(START_EVICT)
	fi
}

inline release_or_give_up()
{
	if
	:: CAN_RELEASE(who) || CAN_GIVE_UP(who) -> do_RELEASE(who); ok = 1
	:: else
	fi
}

/*
 * A holder whose bit is gone by now, as it evicted itself or was reaped, need not be asked. Who asks does not look, and
 * the question may be heard all the same, until its epoch is over.
 */
inline question()
{
	if
	:: busy != 0 && CAN_ASK(by, who) -> do_ASK(by, who); ok = 1
	:: busy != 0 && CLAIMED(by) && !(asking & BIT(who)) && !HAS_BIT(who) -> do_ASK(by, who); ok = 1
	:: else
	fi
}

inline revoke()
{
	if
	:: busy != 0 && CAN_REVOKE(by, who) -> do_REVOKE(who); ok = 1
	:: else
	fi
}

inline reap_or_reap_self()
{
	if
	:: CAN_REAP(who) -> do_REAP(who); ok = 1
	:: else -> TRY(REAP_SELF)
	fi
}

inline take_step()
{
	ok = 0; bumps = 0; by = (busy != 0 -> busy - 1 : 0);
	if
	/* Remains of one that joins are reaped before it enters. */
	:: CAN_ENTER(who) && what != DIE && what != REAP -> do_ENTER(who)
	:: else
	fi;
	if
	:: what == CLAIM_S -> WANT(WANTS_S); TRY(CLAIM_S)
	:: what == CLAIM_X -> WANT(WANTS_X); TRY(CLAIM_X)
	:: what == ASK -> question()
	:: what == SET_S -> TRY(SET_S)
	:: what == SET_X -> TRY(SET_X)
	:: what == INSTALL -> TRY(INSTALL)
	:: what == RELEASE -> release_or_give_up()
	:: what == HEAR_INV -> TRY(HEAR_INV)
	:: what == HEAR_DOWN -> TRY(HEAR_DOWN)
	:: what == DROP -> drop()
	:: what == REDUCE -> TRY(REDUCE)
	:: what == ACK_INV -> TRY(ACK_INV)
	:: what == ACK_DOWN -> TRY(ACK_DOWN)
	:: what == EVICT -> TRY(EVICT)
#ifdef CELLS
	:: what == TAKE -> WANT(WANTS_X); TRY(TAKE)
#endif
	:: what == RESTORE -> WANT(WANTS_X); TRY(RESTORE)
	:: what == CUT -> BY_BUSY(CUT)
	:: what == REVOKE -> revoke()
	:: what == DIE -> TRY(DIE)
	:: what == FENCE -> TRY(FENCE)
	:: what == LOOK -> doomed = 0; TRY(LOOK)
	:: what == REAP -> reap_or_reap_self()
	:: what == REAP_LOST -> TRY(REAP_LOST)
	:: what == JOIN -> TRY(JOIN)
	:: else
	fi
}

#define IS_WORD(k) (f[k] == state && f[k + 1] == busy && f[k + 2] == owner && f[k + 3] == sharers)

active proctype replay()
{
	byte bumped;

	do
	:: read_line();
		if
		:: end -> break
		:: else
		fi;
		lines++; what = f[0]; who = f[1]; ok = 0; bumped = 0;
		if
		:: k == 11 && who < PEERS && IS_WORD(2) -> take_step(); bumped = bumps
		:: else
		fi;
		if
		:: ok && IS_WORD(6) && f[10] == bumped -> check()
		:: else ->
			printf("rejected: line %d, step %d of peer %d\n", lines, what, who);
			printf("the model's word: %d %d %d %d, can be taken: %d\n", state, busy, owner,
			       sharers, ok);
			goto stop
		fi
	od;
	printf("accepted: %d steps\n", lines);
stop:	skip
}
