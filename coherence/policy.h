/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy.h: what to do where the protocol leaves a choice. Pure functions over small structures
 * that their caller keeps; time and what others do come in as arguments. None of them can make the
 * protocol unsafe: they decide when, and which of several right steps.
 */
#ifndef COH_POLICY_H
#define COH_POLICY_H

#include <isthmus/abi.h>

/* ---- Miss: does a read take the unit for writing? (policy_miss.c) ---- */

/*
 * The pattern, in the 32 bits of ist_cell.history: whether who read went on to write. Written by
 * who is busy; a hostile value is a bad guess and nothing worse.
 */
struct coh_history {
	uint8_t migratory; /* 0 to 3: 2 and more: take for writing */
	uint8_t writer;    /* peer + 1 that wrote last, 0: none did yet */
	uint8_t reader;    /* peer + 1 that read last without writing since, 0: none */
	uint8_t wrote;     /* who took it for writing to read has written since */
};

/** coh_history_pack, coh_history_unpack - to and from the 32 bits. */
uint32_t coh_history_pack(struct coh_history history);
struct coh_history coh_history_unpack(uint32_t packed);

/** coh_history_read - `peer` reads. Returns 1: it should take the unit for writing. */
int coh_history_read(struct coh_history *history, unsigned peer);

/** coh_history_write - `peer` writes (took or claimed it to write, or wrote what it took to read).
 */
void coh_history_write(struct coh_history *history, unsigned peer);

/* ---- Tenure: how long a holder keeps what others ask for (policy_tenure.c) ---- */

struct coh_tenure {
	uint64_t minimum_ns; /* limits: minimum <= maximum */
	uint64_t maximum_ns;
	uint64_t now_ns; /* the tenure that holds now, within the limits */
};

/**
 * coh_tenure_left - ns for which a holder since `since_ns` need not answer yet, at `time_ns`; 0: it
 * answers. A `since_ns` that is yet to come (another's clock, a hostile word) counts as now: nobody
 * waits longer than one tenure.
 */
uint64_t coh_tenure_left(const struct coh_tenure *tenure, uint64_t since_ns, uint64_t time_ns);

/**
 * coh_tenure_adapt - a holder that gave up has the unit again, after `away_ns`; `used`: it touched
 * it in its last tenure until that was taken from it. Ping-pong (used, and back within a tenure)
 * doubles the tenure; not using it, or being away for eight tenures, halves it.
 */
void coh_tenure_adapt(struct coh_tenure *tenure, uint64_t away_ns, int used);

/* ---- Recall: how long an asker waits for an answer (policy_recall.c) ---- */

enum coh_recall_verdict {
	COH_RECALL_WAIT,  /* not yet */
	COH_RECALL_AGAIN, /* ask once more: ring the doorbell */
	COH_RECALL_FORCE, /* the deadline is over: CUT and REVOKE, or have the peer ended */
};

struct coh_recall {
	uint64_t deadline_ns; /* from the question to force */
	uint64_t again_ns;    /* between two questions; 0: one is enough */
};

/**
 * coh_recall - what an asker does at `time_ns`, having asked at first at `asked_ns` and last at
 * `last_ns`. The holder's tenure is part of the deadline: it is not added. A clock that goes back
 * only delays: by no more than it went back.
 */
enum coh_recall_verdict coh_recall(const struct coh_recall *recall, uint64_t asked_ns,
				   uint64_t last_ns, uint64_t time_ns);

/* ---- Next: who of those who wait gets it (policy_next.c) ---- */

struct coh_next {
	uint32_t last; /* who got it last */
	uint32_t
		passed; /* times in a row that the first in line was not running, and passed over */
	uint32_t limit; /* then it gets it all the same */
};

/**
 * coh_next - one of `waiters` (a set of peers), or -1 when that is empty: the first after the last
 * one, in the order of IDs, that runs; when none does, or when the first in line has been passed
 * over `limit` times, the first in line. `running` is the run-state page's word for it, and may be
 * wrong: all ones where there is none.
 */
int coh_next(struct coh_next *next, uint64_t waiters, uint64_t running);

/* ---- Adaptive: which policy fits (policy_adapt.c) ---- */

/* What was seen of a unit since the last time. */
struct coh_counts {
	uint64_t reads;
	uint64_t writes;
	uint64_t operations; /* writes that were, or could be, delegated; not among `writes` */
	uint64_t together;   /* of the operations, those begun while others were under way */
	uint64_t waits;      /* how many of all these found it busy */
	uint64_t words;      /* of the unit: what handing it over moves */
	uint64_t writers;    /* set of peers that wrote */
	uint64_t readers;    /* set of peers that read */
};

struct coh_adapt {
	uint32_t policy;    /* IST_CELL_*, the one that holds */
	uint32_t candidate; /* what the last windows would rather have */
	uint32_t agreed;    /* how many of them, in a row */
	uint32_t windows;   /* as many make it so; at least 1 */
	uint64_t events;    /* a window with less than this says nothing */
};

/**
 * coh_adapt_fits - the policy that fits `counts`: IST_CELL_READ_MOSTLY, MIGRATORY or DELEGATED, the
 * linearizable ones: none of the others can be put in place of these unasked. Pure.
 */
uint32_t coh_adapt_fits(const struct coh_counts *counts, uint32_t policy);

/**
 * coh_adapt_undecided - MIGRATORY holds, or DELEGATED does, and for `counts` no rule says which of
 * them is faster: single operations of several, that contend for little content.
 */
int coh_adapt_undecided(const struct coh_counts *counts, uint32_t policy);

/**
 * coh_adapt - a window of `counts` is over. Returns the policy that is to hold now: another than
 * before only when `windows` windows in a row have agreed on it.
 */
uint32_t coh_adapt(struct coh_adapt *adapt, const struct coh_counts *counts);

/* ---- Trial: which of two policies is faster here (policy_trial.c) ---- */

/* All zeros: nothing was tried yet. A hostile value is a trial too early, too late, or judged
 * wrong. */
struct coh_trial {
	uint32_t trying;   /* the policy that holds is on trial */
	uint32_t wait;     /* windows until the next trial; of a trial: it has won one */
	uint32_t patience; /* their number grows with this at each trial in vain */
	uint64_t before;   /* what a use cost of late, under the one that is not on trial */
};

/**
 * coh_trial - a window under `policy` is over, in which a use cost `cost`, in any unit of time.
 * Returns the policy that is to hold now: `other` for a window now and then, for another one if it
 * costs an eighth less, and from then on if it does again.
 */
uint32_t coh_trial(struct coh_trial *trial, uint32_t policy, uint32_t other, uint64_t cost);

#endif
