/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* step.c: what each step makes of the directory word. Its twin in the model is word.pml. */
#include "step.h"

/* The word, taken apart. */
struct parts {
	uint32_t state;
	uint32_t busy;
	uint32_t owner;
	uint64_t epoch;
	uint64_t sharers;
};

static struct parts apart(struct ist_directory word)
{
	return (struct parts){
		.state = IST_DIR_STATE(word.control),
		.busy = IST_DIR_BUSY(word.control),
		.owner = IST_DIR_OWNER(word.control),
		.epoch = IST_DIR_EPOCH(word.control),
		.sharers = word.sharers,
	};
}

static uint64_t everybody(unsigned peers)
{
	return peers >= IST_PEERS_MAX ? ~(uint64_t)0 : coh_bit(peers) - 1;
}

static int check(const struct parts *p, unsigned peers)
{
	if (p->busy > peers || p->owner > peers || p->sharers & ~everybody(peers))
		return -EPROTO;
	switch (p->state) {
	case IST_DIR_SHARED:
		return p->owner || !p->sharers ? -EPROTO : 0;
	case IST_DIR_MODIFIED:
		return !p->owner || p->sharers != coh_bit(p->owner - 1) ? -EPROTO : 0;
	default:
		return p->owner || p->sharers ? -EPROTO : 0;
	}
}

int coh_check(struct ist_directory word, unsigned peers)
{
	struct parts p = apart(word);

	return check(&p, peers);
}

static void next_epoch(struct parts *p)
{
	p->epoch = (p->epoch + 1) & IST_DIR_EPOCH_MASK;
}

static void set_modified(struct parts *p, unsigned peer)
{
	p->state = IST_DIR_MODIFIED;
	p->owner = peer + 1;
	p->sharers = coh_bit(peer);
}

/* A bit goes: with the last one, and with the owner's, so does the state. */
static void clear_bit(struct parts *p, unsigned peer)
{
	p->sharers &= ~coh_bit(peer);
	if (!p->sharers) {
		p->state = IST_DIR_NONE;
		p->owner = 0;
	}
}

static int claim(struct parts *p, const struct coh_event *event, struct coh_result *out)
{
	uint64_t others = p->sharers & ~coh_bit(event->peer);

	if (p->busy)
		return -EBUSY;
	if (p->state == IST_DIR_POISONED)
		return -EIO;
	p->busy = event->peer + 1;
	next_epoch(p);
	/* Who reads may go on reading: only an owner has to be asked. */
	if (event->type == COH_CLAIM_S && p->state != IST_DIR_MODIFIED)
		others = 0;
	out->holders = others;
	if (others)
		out->actions |= event->type == COH_CLAIM_X ? COH_ASK_INV : COH_ASK_DOWN;
	return 0;
}

/* Whoever goes on after a claim: it must be the claim that the epoch is of. */
static int mine(const struct parts *p, const struct coh_event *event)
{
	return p->busy == event->peer + 1 && p->epoch == event->epoch ? 0 : -ESTALE;
}

static int set(struct parts *p, const struct coh_event *event, struct coh_result *out)
{
	int n = mine(p, event);

	if (n)
		return n;
	if (p->state == IST_DIR_POISONED)
		return -EIO;
	if (event->type == COH_SET_X) {
		if (p->sharers & ~coh_bit(event->peer))
			return -EAGAIN;
		set_modified(p, event->peer);
		out->actions |= COH_MAY_READ | COH_MAY_WRITE;
		return 0;
	}
	out->actions |= COH_MAY_READ;
	if (p->state == IST_DIR_MODIFIED) /* the own one stays what it is */
		return p->owner == event->peer + 1 ? 0 : -EAGAIN;
	p->state = IST_DIR_SHARED;
	p->sharers |= coh_bit(event->peer);
	return 0;
}

static int release(struct parts *p, const struct coh_event *event, struct coh_result *out)
{
	int n = mine(p, event);

	if (n)
		return n;
	p->busy = 0;
	out->actions |= COH_WAKE;
	return 0;
}

/* A holder's answer, its word for itself, or another's for it. */
static int give_up(struct parts *p, const struct coh_event *event, struct coh_result *out)
{
	/* A bit that its own transition has set, or is about to, is not one to be given up. */
	if (p->busy == event->peer + 1)
		return -EBUSY;
	if (p->epoch != event->epoch || (!p->busy && event->type != COH_EVICT))
		return -ESTALE;
	if (event->type == COH_ACK_DOWN) {
		if (p->owner != event->peer + 1)
			return -EALREADY;
		p->state = IST_DIR_SHARED;
		p->owner = 0;
	} else {
		if (!(p->sharers & coh_bit(event->peer)))
			return -EALREADY;
		clear_bit(p, event->peer);
	}
	out->actions |= COH_WAKE;
	return 0;
}

static int take(struct parts *p, const struct coh_event *event, struct coh_result *out)
{
	if (p->busy)
		return -EBUSY;
	if (event->type == COH_RESTORE) {
		if (p->state != IST_DIR_POISONED)
			return -EALREADY;
	} else if (p->state == IST_DIR_POISONED) {
		return -EIO;
	} else if (p->state == IST_DIR_SHARED && p->sharers != coh_bit(event->peer)) {
		return -EAGAIN;
	}
	/* Of an owner there is nothing to ask: its permission ended when it was busy no more. */
	set_modified(p, event->peer);
	p->busy = event->peer + 1;
	next_epoch(p);
	out->actions |= COH_MAY_READ | COH_MAY_WRITE;
	return 0;
}

static int reap(struct parts *p, const struct coh_event *event, struct coh_result *out)
{
	int busy = p->busy == event->peer + 1, holds = (p->sharers & coh_bit(event->peer)) != 0;
	int lost = event->type == COH_REAP_LOST && p->owner == event->peer + 1;

	if (!busy && !holds)
		return -EALREADY;
	if (holds)
		clear_bit(p, event->peer);
	if (lost)
		p->state = IST_DIR_POISONED;
	if (busy) {
		/* What it asked of others is asked no more: their answers come too late. */
		p->busy = 0;
		next_epoch(p);
	}
	out->actions |= COH_WAKE;
	return 0;
}

static void poison(struct parts *p, struct coh_result *out)
{
	p->state = IST_DIR_POISONED;
	p->busy = 0;
	p->owner = 0;
	p->sharers = 0;
	next_epoch(p);
	out->actions |= COH_WAKE;
}

static int apply(struct parts *p, const struct coh_event *event, struct coh_result *out)
{
	switch (event->type) {
	case COH_CLAIM_S:
	case COH_CLAIM_X:
		return claim(p, event, out);
	case COH_SET_S:
	case COH_SET_X:
		return set(p, event, out);
	case COH_RELEASE:
		return release(p, event, out);
	case COH_ACK_INV:
	case COH_ACK_DOWN:
	case COH_EVICT:
	case COH_REVOKE:
		return give_up(p, event, out);
	case COH_TAKE:
	case COH_RESTORE:
		return take(p, event, out);
	case COH_REAP:
	case COH_REAP_LOST:
		return reap(p, event, out);
	default: /* BREAK of what is not broken */
		return -EALREADY;
	}
}

int coh_step(struct ist_directory word, const struct coh_event *event, unsigned peers,
	     struct coh_result *result)
{
	struct parts was = apart(word), p = was;
	struct coh_result out = {.actions = 0};
	int n;

	if (!coh_step_changes_word(event->type) || event->peer >= peers || peers > IST_PEERS_MAX)
		return -EINVAL;
	if (!check(&p, peers)) {
		n = apply(&p, event, &out);
	} else if (event->type == COH_BREAK) {
		poison(&p, &out);
		n = 0;
	} else {
		n = -EPROTO;
	}
	if (n)
		return n;
	if (p.state == was.state && p.owner == was.owner && p.sharers == was.sharers)
		out.actions |= COH_CONTROL_ONLY;
	out.word.control = IST_DIR_CONTROL(p.state, p.busy, p.owner, p.epoch);
	out.word.sharers = p.sharers;
	out.epoch = p.epoch;
	*result = out;
	return 0;
}
