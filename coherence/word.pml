/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * word.pml: the directory word and what each step makes of it: the twin of step.c. names.pml has
 * the steps' and states' numbers; tests/model makes it from names.h and abi.h.
 *
 * An epoch is only ever compared with the word's, for equality, and what was once old stays old: so
 * here it is one bit wherever a copy of it is kept (`same`: equal to the word's), and `bump` says
 * that a step changed it. table.pml shows that nothing else is lost.
 */
#include "names.pml"

byte state, busy, owner, sharers; /* the word, without its epoch */
/* of the last step, and no state: 0 or an errno; whom a claim has to ask; the epoch has changed */
hidden byte result, ask, bump;

#define BIT(i) (1 << (i))
#define MALFORMED                                                                                  \
	(busy > PEERS || owner > PEERS || sharers >= BIT(PEERS) ||                                 \
	 (state == SHARED && (owner != 0 || sharers == 0)) ||                                      \
	 (state == MODIFIED && (owner == 0 || sharers != BIT(owner - 1))) ||                       \
	 ((state == NONE || state == POISONED) && (owner != 0 || sharers != 0)))

inline clear_bit(i)
{
	sharers = sharers & ~BIT(i);
	if
	:: sharers == 0 -> state = NONE; owner = 0
	:: else
	fi
}

inline set_modified(i)
{
	state = MODIFIED; owner = i + 1; sharers = BIT(i)
}

inline claim(type, i)
{
	if
	:: busy != 0 -> result = EBUSY
	:: busy == 0 && state == POISONED -> result = EIO
	:: else ->
		busy = i + 1; bump = 1; ask = sharers & ~BIT(i);
		if
		:: type == CLAIM_S && state != MODIFIED -> ask = 0
		:: else
		fi
	fi
}

inline set(type, i, same)
{
	if
	:: busy != i + 1 || !same -> result = ESTALE
	:: busy == i + 1 && same && state == POISONED -> result = EIO
	:: else ->
		if
		:: type == SET_X && (sharers & ~BIT(i)) != 0 -> result = EAGAIN
		:: type == SET_X && (sharers & ~BIT(i)) == 0 -> set_modified(i)
		:: type == SET_S && state == MODIFIED ->
			if
			:: owner != i + 1 -> result = EAGAIN
			:: else
			fi
		:: else -> state = SHARED; sharers = sharers | BIT(i)
		fi
	fi
}

inline release(i, same)
{
	if
	:: busy != i + 1 || !same -> result = ESTALE
	:: else -> busy = 0
	fi
}

inline give_up(type, i, same)
{
	if
	:: busy == i + 1 -> result = EBUSY
	:: busy != i + 1 && (!same || (busy == 0 && type != EVICT)) -> result = ESTALE
	:: else ->
		if
		:: type == ACK_DOWN && owner != i + 1 -> result = EALREADY
		:: type == ACK_DOWN && owner == i + 1 -> state = SHARED; owner = 0
		:: type != ACK_DOWN && (sharers & BIT(i)) == 0 -> result = EALREADY
		:: else -> clear_bit(i)
		fi
	fi
}

inline take(type, i)
{
	if
	:: busy != 0 -> result = EBUSY
	:: busy == 0 && type == RESTORE && state != POISONED -> result = EALREADY
	:: busy == 0 && type == TAKE && state == POISONED -> result = EIO
	:: busy == 0 && type == TAKE && state == SHARED && sharers != BIT(i) -> result = EAGAIN
	:: else -> set_modified(i); busy = i + 1; bump = 1
	fi
}

inline reap(type, i)
{
	if
	:: busy != i + 1 && (sharers & BIT(i)) == 0 -> result = EALREADY
	:: else ->
		if
		:: type == REAP_LOST && owner == i + 1 -> clear_bit(i); state = POISONED
		:: else ->
			if
			:: sharers & BIT(i) -> clear_bit(i)
			:: else
			fi
		fi;
		if
		:: busy == i + 1 -> busy = 0; bump = 1
		:: else
		fi
	fi
}

/* coh_step(): `type` of peer `i`, whose epoch is the word's, or not. */
inline step(type, i, same)
{
	result = 0; ask = 0; bump = 0;
	if
	:: MALFORMED && type != BREAK -> result = EPROTO
	:: MALFORMED && type == BREAK ->
		state = POISONED; busy = 0; owner = 0; sharers = 0; bump = 1
	:: else ->
		if
		:: type == CLAIM_S || type == CLAIM_X -> claim(type, i)
		:: type == SET_S || type == SET_X -> set(type, i, same)
		:: type == RELEASE -> release(i, same)
		:: type == ACK_INV || type == ACK_DOWN || type == EVICT || type == REVOKE ->
			give_up(type, i, same)
		:: type == TAKE || type == RESTORE -> take(type, i)
		:: type == REAP || type == REAP_LOST -> reap(type, i)
		:: else -> result = EALREADY
		fi
	fi
}
