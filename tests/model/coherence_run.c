/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_run.c: instances as threads around one word, who really race, die and come back; the
 * trace of it, for coherence/replay.pml.
 *
 *   coherence_run page|cell SEED STEPS [late-install|ack-first|reap-blind]
 *
 * An instance is two threads, one that requests and one that answers, and a permission. Steps that
 * change the word are swaps decided on what was loaded before, so they fail and are decided anew.
 * The last argument is a mistake to be made. Epochs begin shortly before they wrap.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/coherence_unit.h"

static int cells, late_install, ack_first, reap_blind;

/* A survivor: load, look, swap. Only a swap of what was loaded before the look counts. */
static void reap(struct thread *t, unsigned peer)
{
	struct coh_event event = {.type = chance(t, 8) ? COH_REAP : COH_REAP_LOST, .peer = peer};
	struct ist_directory word;
	struct coh_result result;

	if (begin(t->peer))
		return;
	word = coh_load(&unit.word);
	if (unit.life[t->peer] != LIVE || unit.looking || unit.life[peer] != FENCED ||
	    coh_step(word, &event, PEERS, &result)) {
		pthread_mutex_unlock(&unit.lock);
		return;
	}
	if (event.type == COH_REAP_LOST && IST_DIR_OWNER(word.control) != peer + 1) {
		event.type = COH_REAP;
		coh_step(word, &event, PEERS, &result);
	}
	unit.looking = 1;
	end(COH_LOOK, peer);
	dawdle(t);
	if (begin(t->peer)) {
		pthread_mutex_lock(&unit.lock);
		unit.looking = 0;
		pthread_mutex_unlock(&unit.lock);
		return;
	}
	unit.looking = 0;
	if (reap_blind) { /* whatever the word is by now */
		word = coh_load(&unit.word);
		if (coh_step(word, &event, PEERS, &result)) {
			pthread_mutex_unlock(&unit.lock);
			return;
		}
	}
	if (coh_cas(&unit.word, &word, result.word))
		end_changed(event.type, peer, word, result.word);
	else
		pthread_mutex_unlock(&unit.lock);
}

static void reap_others(struct thread *t)
{
	for (unsigned peer = 0; peer < PEERS; peer++)
		if (peer != t->peer)
			reap(t, peer);
	sched_yield();
}

static int ask(struct thread *t, const struct coh_result *claim)
{
	uint32_t type = claim->actions & COH_ASK_INV ? COH_HEAR_INV : COH_HEAR_DOWN;

	for (unsigned peer = 0; peer < PEERS; peer++) {
		if (!(claim->holders & coh_bit(peer)))
			continue;
		if (begin(t->peer))
			return -1;
		unit.inbox[peer] = (struct question){type, claim->epoch};
		end(COH_ASK, peer);
		dawdle(t);
	}
	return 0;
}

/* A holder that does not answer: one that SET still waits for. */
static int force(struct thread *t, const struct coh_result *claim)
{
	struct coh_result result;

	for (unsigned peer = 0; peer < PEERS; peer++) {
		if (peer == t->peer || !(claim->holders & coh_bit(peer)))
			continue;
		if (begin(t->peer))
			return -1;
		if (!(unit.word.sharers & coh_bit(peer)) ||
		    (claim->actions & COH_ASK_DOWN &&
		     IST_DIR_OWNER(unit.word.control) != peer + 1)) {
			pthread_mutex_unlock(&unit.lock);
			continue;
		}
		unit.perm[peer] = 0;
		end(COH_CUT, peer);
		dawdle(t);
		return change(t->peer, COH_REVOKE, peer, claim->epoch, &result) == -1 ? -1 : 0;
	}
	return 0;
}

static int install(struct thread *t, int write)
{
	if (begin(t->peer))
		return -1;
	if (write)
		unit.perm[t->peer] = 2;
	else if (!unit.perm[t->peer])
		unit.perm[t->peer] = 1;
	unit.inside[t->peer] = cells && write;
	end(COH_INSTALL, t->peer);
	return 0;
}

/* Inside of a cell's write section: nobody else writes, so nothing is torn. */
static int section(struct thread *t)
{
	unsigned long seen = __atomic_load_n(&unit.content[0], __ATOMIC_RELAXED);

	if (seen != __atomic_load_n(&unit.content[1], __ATOMIC_RELAXED))
		__atomic_store_n(&unit.torn, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&unit.content[0], seen + 1, __ATOMIC_RELAXED);
	dawdle(t);
	__atomic_store_n(&unit.content[1], seen + 1, __ATOMIC_RELAXED);
	if (begin(t->peer))
		return -1;
	unit.perm[t->peer] = 0;
	unit.inside[t->peer] = 0;
	end(COH_DROP, t->peer);
	return 0;
}

static int finish(struct thread *t, int write, uint64_t epoch)
{
	struct coh_result result;

	dawdle(t);
	if (late_install && change(t->peer, COH_RELEASE, t->peer, epoch, &result))
		return -1;
	dawdle(t);
	if (install(t, write))
		return -1;
	dawdle(t);
	if (cells && write && section(t))
		return -1;
	if (late_install)
		return 0;
	return change(t->peer, COH_RELEASE, t->peer, epoch, &result);
}

/* A request, from its claim on. Returns 0 when it is over, -1 when the instance is. */
static int request(struct thread *t, int write)
{
	unsigned me = t->peer, tries = 0;
	struct coh_result claim, result;
	int n;

	for (;;) {
		int owner = IST_DIR_OWNER(coh_load(&unit.word).control) == me + 1;

		write |= cells && owner; /* an owner takes */
		n = -EAGAIN;
		if (cells && write)
			n = change(me, COH_TAKE, me, 0, &claim);
		if (!n)
			return finish(t, 1, claim.epoch);
		if (n == -EAGAIN)
			n = change(me, write ? COH_CLAIM_X : COH_CLAIM_S, me, 0, &claim);
		if (!n && cells && !write && IST_DIR_OWNER(claim.word.control) == me + 1)
			abort(); /* nobody but itself makes it owner */
		if (n == -EIO && !write)
			return 0;
		if (n == -EIO)
			n = change(me, COH_RESTORE, me, 0, &claim);
		else if (!n)
			break;
		if (!n)
			return finish(t, 1, claim.epoch);
		if (n == -1)
			return -1;
		reap_others(t);
	}
	if (ask(t, &claim))
		return -1;
	while ((n = change(me, write ? COH_SET_X : COH_SET_S, me, claim.epoch, &result)) ==
	       -EAGAIN) {
		reap_others(t);
		if (++tries % 64 == 0 && force(t, &claim))
			return -1;
		if (!chance(t, 400)) {
			n = -EIO; /* given up */
			break;
		}
	}
	if (n == -EIO)
		return change(me, COH_RELEASE, me, claim.epoch, &result);
	return n ? -1 : finish(t, write, claim.epoch);
}

static void *requester(void *argument)
{
	struct thread *t = argument;
	struct coh_result result;
	unsigned me = t->peer;
	int n = 0;

	/* A new incarnation: its predecessor's remains come first. */
	while (running(me) && n != -EALREADY)
		n = change(me, COH_REAP, me, 0, &result);
	if (begin(me))
		return NULL;
	unit.life[me] = LIVE;
	pthread_mutex_unlock(&unit.lock);
	while (running(me)) {
		unsigned have = __atomic_load_n(&unit.perm[me], __ATOMIC_RELAXED);
		int write = (int)chance(t, 2);

		dawdle(t);
		if (have < 1u + (unsigned)write && request(t, write) == -1)
			break;
	}
	return NULL;
}

/* A question that is not old: hears it. Returns its type, 0: there is none, -1. */
static int hear(struct thread *t, struct question *heard)
{
	struct ist_directory word;
	struct question *q = &unit.inbox[t->peer];

	if (begin(t->peer))
		return -1;
	word = coh_load(&unit.word);
	if (unit.life[t->peer] != LIVE || !q->type || q->epoch != IST_DIR_EPOCH(word.control) ||
	    !IST_DIR_BUSY(word.control) || IST_DIR_BUSY(word.control) == t->peer + 1) {
		pthread_mutex_unlock(&unit.lock);
		return 0;
	}
	*heard = *q;
	if (chance(t, 4)) /* else it is heard once more */
		q->type = 0;
	end(heard->type, t->peer);
	return (int)heard->type;
}

/* The permission goes, or is reduced; not in the middle of a write section. */
static int drop(struct thread *t, unsigned type, unsigned to)
{
	for (;;) {
		if (begin(t->peer))
			return -1;
		if (!unit.inside[t->peer])
			break;
		pthread_mutex_unlock(&unit.lock);
		sched_yield();
	}
	if (unit.perm[t->peer] > to)
		unit.perm[t->peer] = to;
	end(type, t->peer);
	return 0;
}

static int answer(struct thread *t, const struct question *q)
{
	unsigned inv = q->type == COH_HEAR_INV, ack = inv ? COH_ACK_INV : COH_ACK_DOWN;
	struct coh_result result;

	dawdle(t);
	if (ack_first && change(t->peer, ack, t->peer, q->epoch, &result) == -1)
		return -1;
	dawdle(t);
	if (drop(t, inv ? COH_DROP : COH_REDUCE, inv ? 0 : 1))
		return -1;
	dawdle(t);
	if (ack_first)
		return 0;
	return change(t->peer, ack, t->peer, q->epoch, &result) == -1 ? -1 : 0;
}

static int evict(struct thread *t)
{
	struct ist_directory word;
	struct coh_result result;

	if (begin(t->peer))
		return -1;
	word = coh_load(&unit.word);
	if (unit.life[t->peer] != LIVE || unit.inside[t->peer] ||
	    !(word.sharers & coh_bit(t->peer)) || IST_DIR_BUSY(word.control) == t->peer + 1) {
		pthread_mutex_unlock(&unit.lock);
		return 0;
	}
	unit.perm[t->peer] = 0;
	end(COH_DROP, t->peer);
	dawdle(t);
	return change(t->peer, COH_EVICT, t->peer, IST_DIR_EPOCH(word.control), &result) == -1 ? -1
											       : 0;
}

static void *agent(void *argument)
{
	struct thread *t = argument;

	while (running(t->peer)) {
		struct question q;
		int heard = hear(t, &q);

		if (heard > 0 && answer(t, &q))
			break;
		if (heard == 0 && !chance(t, 50) && evict(t))
			break;
		dawdle(t);
		sched_yield();
	}
	return NULL;
}

/* What kills, fences, and lets come back. */
static void kill_and_revive(struct thread threads[PEERS][2], struct thread *self)
{
	for (;;) {
		unsigned peer = chance(self, PEERS);

		for (unsigned n = 20 + chance(self, 300); n; n--)
			sched_yield();
		if (begin(peer))
			break;
		unit.life[peer] = DYING;
		end(COH_DIE, peer);
		for (unsigned i = 0; i < 2; i++)
			pthread_join(threads[peer][i].id, NULL);
		pthread_mutex_lock(&unit.lock);
		unit.perm[peer] = 0;
		unit.inside[peer] = 0;
		/* What a cell's writer left is undone, as two slots would. */
		unit.content[1] = unit.content[0];
		unit.life[peer] = FENCED;
		end(COH_FENCE, peer);
		for (unsigned n = chance(self, 200); n; n--)
			sched_yield();
		pthread_mutex_lock(&unit.lock);
		unit.life[peer] = JOINING;
		end(COH_JOIN, peer);
		pthread_create(&threads[peer][0].id, NULL, requester, &threads[peer][0]);
		pthread_create(&threads[peer][1].id, NULL, agent, &threads[peer][1]);
	}
}

int main(int argc, char **argv)
{
	struct thread threads[PEERS][2], self = {.random = 1};

	if (argc < 4) {
		fprintf(stderr, "usage: coherence_run page|cell SEED STEPS [MISTAKE]\n");
		return 2;
	}
	cells = !strcmp(argv[1], "cell");
	self.random += strtoull(argv[2], NULL, 0) * 2654435761u;
	unit.limit = atol(argv[3]);
	late_install = argc > 4 && !strcmp(argv[4], "late-install");
	ack_first = argc > 4 && !strcmp(argv[4], "ack-first");
	reap_blind = argc > 4 && !strcmp(argv[4], "reap-blind");
	unit.last_epoch = IST_DIR_EPOCH_MASK - 99;
	unit.word.control = IST_DIR_CONTROL(IST_DIR_NONE, 0, 0, unit.last_epoch);
	for (unsigned i = 0; i < PEERS * 2; i++) {
		struct thread *t = &threads[i / 2][i % 2];

		*t = (struct thread){.peer = i / 2, .random = self.random + i * 7919};
		pthread_create(&t->id, NULL, i % 2 ? agent : requester, t);
	}
	kill_and_revive(threads, &self);
	for (unsigned i = 0; i < PEERS * 2; i++)
		pthread_join(threads[i / 2][i % 2].id, NULL);
	printf(".\n");
	return unit.torn || fflush(stdout) ? 1 : 0;
}
