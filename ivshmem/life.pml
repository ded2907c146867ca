/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life.pml: the life of a peer (docs/protocol.md): one ID that LIVES processes use one after the
 * other, and OBSERVERS others of the group, the last of which joins at any time. Searched
 * exhaustively for two and one: observers look at nothing of each other's.
 *
 * The broker is one thread that handles one event after the other, as broker_seat.c, broker_link.c
 * and broker_tell.c do; every store, ring and packet is a step of its own, between which all others
 * take theirs. A socket has room for one packet. A process may hang up, be killed or stop at any
 * step; who stops takes no steps, which every order of steps has in it.
 *
 * What must hold:
 *   - who sees a death in the roster sees no store of the dead any more, and there is never more
 *     than one incarnation of an ID that could store;
 *   - who is rung finds in the roster what it is rung for;
 *   - who sees LIVE in the roster has been sent the doorbells, or its socket was full then;
 *   - each is told PEER and GONE in turn, of incarnations that go up;
 *   - a doorbell reaches the incarnation whose it is, or nobody;
 *   - when nothing can happen any more, everybody has seen what is.
 *
 * One of these makes a mistake, for which the search must fail:
 *   REPORT_EARLY      a hang-up counts as the end: nobody waits for the process
 *   BELL_FIRST        vector 0 before the roster
 *   REUSE_EARLY       an ID is given away before its last incarnation has ended
 *   SAME_BELLS        the doorbells stay with the ID
 *   PEER_FIRST        who is there is told before who is gone
 *   LIVE_FIRST        the roster says LIVE before PEER is sent
 *   NOT_ITSELF        who becomes live is not rung itself
 *   FORGET_FULL       what a full socket does not take is taken for told
 *   SAME_INCARNATION  an ID that is used again keeps its incarnation
 *   NO_RING           an end is not rung for
 *
 * With RESTART the broker is killed once, at any step, and another one takes over: it knows what is
 * in the state file (broker_state.c), and of observers what they say that they know when they come
 * back (broker_return.c). Mistakes there:
 *   FORGET_INCARNATION  it begins to count anew
 *   TRUST_PID           whoever has the pid now is taken for the process
 *   ROSTER_FIRST        the roster before the state file
 *   TELL_ANEW           what observers say that they know is not asked for
 */
#ifndef LIVES
#define LIVES 2
#endif
#ifndef OBSERVERS
#define OBSERVERS 2
#endif
#define LAST (OBSERVERS - 1)

#define ABSENT 0
#define JOINING 1
#define LIVE 2
#define LEAVING 3
#define DEAD 4

/* ---- Processes that use the ID, 1 to LIVES ---- */

/* how far each is */
#define NEW 0
#define HELLO 1 /* connected, has said it */
#define ADMITTED 2
#define READY 3 /* has said it */
#define BYE 4   /* has said it: its mappings are gone */
#define OVER 5  /* refused, or ended */
byte at[LIVES + 1];
bool open[LIVES + 1];   /* its connection */
bool mapped[LIVES + 1]; /* it could store into the group */
bool ended[LIVES + 1];  /* what its pidfd says */
byte number[LIVES + 1]; /* its incarnation */

/* ---- The broker's own, and the roster ---- */

byte seat = ABSENT;
byte incarnation;
byte holder;                   /* the process behind it, until its incarnation has ended */
bool heard_ready, heard_bye;   /* from it */
byte roster_state, roster_incarnation;

/* Doorbells are objects of the kernel: whose process listens at each. */
byte bells;                 /* made so far */
byte listens[LIVES + 1];    /* at object n, as incarnation */
bool closed[LIVES + 1];

/* ---- Observers ---- */

bool there[OBSERVERS]; /* connected, and told */
bool live[OBSERVERS];
byte told[OBSERVERS]; /* incarnation, 0: nothing that is not gone */
bool gone[OBSERVERS]; /* that one has ended */
byte packet[OBSERVERS]; /* in its socket: 0, or PEER(n), or GONE(n) */
byte packet_bell[OBSERVERS]; /* the doorbell that goes with PEER */
#define PEER(n) (n)
#define GONE(n) (10 + (n))
byte knows[OBSERVERS]; /* incarnation that it was told is there */
byte last[OBSERVERS];
byte has_bell[OBSERVERS]; /* that came with it; kept until the next, as a thread of its may */
byte bell_of[OBSERVERS];  /* be about to ring */
bool rung[OBSERVERS];
bool no_room[OBSERVERS]; /* its socket was, when there was something to tell */
byte seen_state[OBSERVERS], seen_incarnation[OBSERVERS];

byte o, k; /* counters of the broker */

/* ---- The state file, and the broker's end ---- */

#ifdef RESTART
byte kept = ABSENT;
byte kept_incarnation, kept_holder;
bool kept_bye;
bool dies;          /* the broker, now */
bool died;
bool away;          /* the holder: of a broker that is gone */
bool whole = true;  /* somebody has brought the memory back */
bool reached = true; /* and somebody the holder's doorbells */
bool pid_reused;    /* another process has the pid of one that has ended */
#define KEEP(state) atomic { kept = state; kept_incarnation = incarnation; \
		kept_holder = (state == ABSENT || state == DEAD -> 0 : holder); kept_bye = heard_bye }
#define REACHED reached
#define AWAY away
#define WHOLE whole
#define FOOLED pid_reused
#define CAN_RING(i) there[i]
#else
#define KEEP(state) skip
#define REACHED true
#define AWAY false
#define WHOLE true
#define FOOLED false
#define CAN_RING(i) true
#endif

/* ---- The broker's steps ---- */

/* One step for all observers: they look at nothing of each other's. */
inline ring_all()
{
	d_step {
		o = 0;
		do
		:: o < OBSERVERS -> rung[o] = rung[o] || (live[o] && CAN_RING(o)); o++
		:: else -> break
		od;
		o = 0
	}
}

inline store(state, n)
{
#ifdef RESTART
	if
	:: whole -> atomic { roster_state = state; roster_incarnation = n }
	:: else
	fi
#else
	atomic { roster_state = state; roster_incarnation = n }
#endif
}

/* The state file before the roster. */
inline keep_and_store(state, n)
{
#ifdef ROSTER_FIRST
	store(state, n); KEEP(state)
#else
	KEEP(state); store(state, n)
#endif
}

/* The order of roster and bells. BELL_FIRST rings for what is not there yet. */
inline store_and_ring(state, n)
{
#ifdef BELL_FIRST
	ring_all(); keep_and_store(state, n)
#else
	keep_and_store(state, n); ring_all()
#endif
}

#define IS_NEWS(i) (told[i] == 0 && seat == LIVE && REACHED)
#ifdef PEER_FIRST
#define OWES_PEER(i) (seat == LIVE && told[i] != incarnation)
#define OWES_GONE(i) (gone[i] && !OWES_PEER(i))
#else
#define OWES_PEER(i) (IS_NEWS(i) && !gone[i])
#define OWES_GONE(i) (gone[i])
#endif
#define OWES(i) (there[i] && (OWES_PEER(i) || OWES_GONE(i)))

/* As much as there is room for. */
inline tell(i)
{
	atomic {
		if
		:: OWES(i) && packet[i] == 0 && OWES_GONE(i) ->
			packet[i] = GONE(told[i]); told[i] = 0; gone[i] = false
		:: OWES(i) && packet[i] == 0 && !OWES_GONE(i) ->
			packet[i] = PEER(incarnation); packet_bell[i] = bells; told[i] = incarnation;
			no_room[i] = false
		:: OWES(i) && packet[i] != 0 ->
#ifdef FORGET_FULL
			told[i] = (gone[i] -> 0 : incarnation); gone[i] = false
#else
			no_room[i] = true
#endif
		:: else
		fi
	}
}

inline tell_all()
{
	atomic {
		k = 0;
		do
		:: k < OBSERVERS -> tell(k); k++
		:: else -> break
		od;
		k = 0
	}
}

#ifdef REUSE_EARLY
#define FREE (holder == 0 || seat == LEAVING)
#else
#define FREE (holder == 0)
#endif

/* ivshm_seat_admit() */
inline admit(p)
{
	atomic {
		holder = p; heard_ready = false; heard_bye = false;
#ifdef RESTART
		away = false; reached = true;
#endif
#ifdef SAME_INCARNATION
		incarnation = 1;
#else
		incarnation++;
#endif
		number[p] = incarnation;
#ifdef SAME_BELLS
		bells = 1;
#else
		bells++;
#endif
		listens[bells] = p; closed[bells] = false;
		seat = JOINING;
	}
#ifndef ROSTER_FIRST
	KEEP(JOINING);
#endif
	store(ABSENT, incarnation);
	store_and_ring(JOINING, incarnation);
	atomic {
		if
		:: at[p] == HELLO && open[p] -> at[p] = ADMITTED; mapped[p] = true /* WELCOME */
		:: else
		fi
	}
}

/* ivshm_seat_live() */
inline become_live()
{
	seat = LIVE;
#ifdef LIVE_FIRST
	store(LIVE, incarnation); tell_all(); ring_all()
#else
	tell_all(); store_and_ring(LIVE, incarnation)
#endif
}

/* ivshm_seat_leaving() */
inline become_leaving()
{
	seat = LEAVING; store_and_ring(LEAVING, incarnation)
}

/* ivshm_seat_end() */
inline come_to_end(state)
{
	seat = state;
#ifdef NO_RING
	keep_and_store(state, incarnation);
#endif
#ifdef BELL_FIRST
	ring_all();
#endif
#ifndef NO_RING
	keep_and_store(state, incarnation);
#endif
	d_step {
		k = 0;
		do
		:: k < OBSERVERS -> gone[k] = gone[k] || told[k] == incarnation; k++
		:: else -> break
		od;
		k = 0
	}
	tell_all();
#if !defined(NO_RING) && !defined(BELL_FIRST)
	ring_all();
#endif
	atomic {
		closed[bells] = true; holder = 0;
		listens[bells] = 0; heard_ready = false; heard_bye = false /* fewer states */
	}
}

#define H holder
#ifdef REPORT_EARLY
#define HAS_ENDED (H != 0 && (ended[H] || (!open[H] && seat == LEAVING)))
#else
#define HAS_ENDED (H != 0 && !FOOLED && (ended[H] || (!open[H] && heard_bye)))
#endif

#ifdef RESTART
/* Somebody has brought the memory: what is not in it yet is stored. */
inline make_whole()
{
	atomic {
		if
		:: !whole -> whole = true; roster_state = seat; roster_incarnation = incarnation
		:: else
		fi
	}
}

/* An observer comes back, once it has read what was sent before. It says what it knows. */
#define CAN_COME_BACK(i) (died && live[i] && !there[i] && packet[i] == 0)
inline come_back(i)
{
	make_whole();
	atomic {
		there[i] = true; no_room[i] = false;
#ifdef TELL_ANEW
		told[i] = 0;
#else
		told[i] = knows[i];
#endif
		gone[i] = (told[i] != 0 && (told[i] != incarnation || holder == 0));
		reached = reached || (knows[i] == incarnation && holder != 0 && knows[i] != 0);
		tell_all();
		no_room[i] = OWES(i) /* GONE has filled it */
	}
	rung[i] = true
}

/* The holder does: its READY may have met no broker. */
#define HOLDER_CAN (died && away && holder != 0 && at[holder] == READY && mapped[holder] && !ended[holder] && \
	seat != LEAVING)
inline holder_comes_back()
{
	make_whole();
	/* who sees that it can be reached has been told */
	atomic { open[holder] = true; away = false; reached = true; tell_all() }
	if
	:: seat == JOINING -> heard_ready = true; become_live()
	:: else -> ring_all()
	fi
}

/* All that the broker knew is lost, and every connection; the next one has the state file. */
inline take_over()
{
	d_step {
		dies = false; died = true; whole = false; o = 0; k = 0;
		seat = kept; holder = kept_holder; heard_bye = kept_bye && kept_holder != 0;
		heard_ready = (seat == LIVE);
#ifdef FORGET_INCARNATION
		incarnation = 0;
#else
		incarnation = kept_incarnation;
#endif
		away = (holder != 0); reached = false;
#ifdef TRUST_PID
		pid_reused = (holder != 0 && ended[holder]);
#endif
		do
		:: k < OBSERVERS -> there[k] = false;
			if
			:: !live[k] -> told[k] = 0; gone[k] = false; packet[k] = 0; packet_bell[k] = 0;
				knows[k] = 0; last[k] = 0; has_bell[k] = 0; bell_of[k] = 0; rung[k] = false
			:: else
			fi;
			k++
		:: else -> break
		od;
		k = 1;
		do
		:: k <= LIVES -> open[k] = false;
			if
			:: k != holder && at[k] == HELLO -> number[k] = 0
			:: else
			fi;
			k++
		:: else -> break
		od;
		k = 0;
		if
		:: holder == 0 && bells != 0 -> closed[bells] = true; listens[bells] = 0
		:: else
		fi
	}
}

/* At any moment, or never. */
active proctype fate()
{
	if
	:: dies = true
	:: true
	fi
}
#endif

active proctype broker()
{
#ifdef RESTART
life:	{
#endif
end:	do
	/* HELLO; who comes while another is there is refused */
	:: WHOLE && at[1] == HELLO && open[1] && FREE -> admit(1)
#if LIVES > 1
	:: WHOLE && at[2] == HELLO && open[2] && FREE -> admit(2)
#endif
#if LIVES > 2
	:: WHOLE && at[3] == HELLO && open[3] && FREE -> admit(3)
#endif
#ifdef RESTART
	:: CAN_COME_BACK(0) -> come_back(0)
#if OBSERVERS > 1
	:: CAN_COME_BACK(1) -> come_back(1)
#endif
	:: HOLDER_CAN -> holder_comes_back()
	/* nobody is left who has the memory */
	:: !whole && holder == 0 && !live[0] && !live[LAST] -> make_whole()
#endif
	:: at[1] == HELLO && !FREE && H != 1 -> at[1] = OVER
#if LIVES > 1
	:: at[2] == HELLO && !FREE && H != 2 -> at[2] = OVER
#endif
#if LIVES > 2
	:: at[3] == HELLO && !FREE && H != 3 -> at[3] = OVER
#endif
	/* what it has sent is heard though it is gone; its end is looked at after that */
	:: H != 0 && !AWAY && seat == JOINING && at[H] == READY && !heard_ready ->
		heard_ready = true; become_live()
	:: H != 0 && !AWAY && at[H] == BYE && !heard_bye -> heard_bye = true; become_leaving()
	:: H != 0 && !AWAY && !open[H] && !ended[H] && at[H] != BYE && seat != LEAVING -> become_leaving()
	:: HAS_ENDED && (at[H] != BYE || heard_bye || AWAY) ->
		if
		:: heard_bye -> come_to_end(ABSENT)
		:: else -> come_to_end(DEAD)
		fi
	/* room in a socket */
	:: OWES(0) && packet[0] == 0 -> tell(0)
#if OBSERVERS > 1
	:: OWES(1) && packet[1] == 0 -> tell(1)
#endif
	/* the last observer joins: its HELLO, then its READY */
	:: atomic { WHOLE && !there[LAST] && !live[LAST] -> there[LAST] = true; tell(LAST) }
	:: there[LAST] && !live[LAST] && !OWES(LAST) ->
		live[LAST] = true;
#ifdef NOT_ITSELF
		rung[0] = (LAST != 0)
#else
		ring_all()
#endif
	od
#ifdef RESTART
	} unless { dies -> take_over(); goto life }
#endif
}

/* ---- The others' ---- */

proctype process(byte p)
{
end:	do
	:: atomic { at[p] == NEW -> at[p] = HELLO; open[p] = true }
	:: atomic { at[p] == ADMITTED -> at[p] = READY }
	:: atomic { (at[p] == ADMITTED || at[p] == READY) && open[p] -> mapped[p] = false; at[p] = BYE }
	:: open[p] && at[p] != NEW -> open[p] = false /* hangs up, also in being killed */
	:: atomic { !ended[p] && at[p] != NEW && at[p] != HELLO && !open[p] ->
			mapped[p] = false; ended[p] = true } /* the fence */
	:: atomic { at[p] == HELLO && !open[p] -> ended[p] = true; break }
	:: ended[p] || at[p] == OVER -> break
	od
}

/* What an observer takes for certain of what it reads. */
proctype observer(byte i)
{
	byte n;

end:	do
	:: atomic { packet[i] != 0 && packet[i] < 10 ->
		assert(knows[i] == 0 && packet[i] > last[i]);
		knows[i] = packet[i]; last[i] = packet[i];
		has_bell[i] = packet_bell[i]; bell_of[i] = packet[i]; packet[i] = 0;
		packet_bell[i] = 0 }
	:: atomic { packet[i] >= 10 ->
		assert(GONE(knows[i]) == packet[i]);
		knows[i] = 0; packet[i] = 0 }
	:: atomic { rung[i] ->
		rung[i] = false;
		assert(roster_incarnation >= seen_incarnation[i]);
		seen_state[i] = roster_state; seen_incarnation[i] = roster_incarnation;
		assert(roster_state != LIVE || told[i] == roster_incarnation || no_room[i] ||
			!there[i] || !REACHED);
		n = 1;
		do
		:: n <= LIVES ->
			/* the dead, and all before who is there now */
			assert(!mapped[n] || number[n] > roster_incarnation ||
			       (number[n] == roster_incarnation && roster_state != DEAD));
			n++
		:: else -> break
		od;
		n = 0 }
	/* rings, once a doorbell; also when it has not heard yet that its peer is gone */
	:: atomic { has_bell[i] != 0 ->
		assert(closed[has_bell[i]] || number[listens[has_bell[i]]] == bell_of[i]);
		has_bell[i] = 0; bell_of[i] = 0 }
	od
}

#define TOLD(i) (packet[i] == 0 && !rung[i] && !OWES(i))
/* Who has come back may know one that has not, and that was told of before it was LIVE. */
#define THERE(i) (seat == LIVE || seat == LEAVING || (AWAY && seat == JOINING))
#define KNOWS(i) (knows[i] == (THERE(i) && told[i] == incarnation -> incarnation : 0))
#define HAS_SEEN(i) (!WHOLE || (seen_state[i] == roster_state && seen_incarnation[i] == roster_incarnation))

/* Only when nobody can take a step. */
active proctype rest()
{
	timeout;
	assert(!WHOLE || (live[0] && TOLD(0) && KNOWS(0) && HAS_SEEN(0)));
	assert(!WHOLE || (live[LAST] && TOLD(LAST) && KNOWS(LAST) && HAS_SEEN(LAST)));
	assert(!WHOLE || (roster_state == seat && roster_incarnation == incarnation));
	/* and who has ended is shown to */
	assert(holder == 0 || !ended[holder])
}

init
{
	atomic {
		run process(1);
#if LIVES > 1
		run process(2);
#endif
#if LIVES > 2
		run process(3);
#endif
#if OBSERVERS > 1
		there[0] = true; live[0] = true;
		run observer(1);
#endif
		run observer(0)
	}
}
