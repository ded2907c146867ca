/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * channel.h: one end of a channel, private state. What is in shared memory is only ever copied out
 * of here (positions, generation) or checked against here (credit, headers).
 */
#ifndef IST_CORE_CHANNEL_H
#define IST_CORE_CHANNEL_H

#include <isthmus/channel.h>

#include "group.h"
#include "words.h"

struct ist_channel {
	/* Read or written for every message. */
	struct ist_line *lines;
	uint64_t line_mask;
	uint64_t next; /* number of the next message to send or receive */
	uint64_t key;  /* of its header: the sender's generation, modulo 256 */
	uint64_t
		credit; /* sender: messages known to be released; receiver: published as released */
	const uint64_t *changes; /* the roster's word ... */
	uint64_t changes_seen;   /* ... when the other end's fate was last looked up */
	struct ist_end *other;   /* the other end ... */
	uint64_t other_poll;     /* ... its wake word while it polls and is who it was ... */
	uint64_t other_word;     /* ... and its owner word when last looked at */
	uint64_t held;      /* sender: bytes reserved + 1; receiver: bytes peeked + 1; 0: nothing */
	uint32_t held_long; /* they are in the ring, from position `start` */
	uint32_t other_generation; /* the last one looked at */
	int error; /* for good: -EPROTO the channel is broken, -ENODEV the group is gone,
		      -EACCES this peer may not write its region any more */
	int gone;  /* what became of the other end, until another attaches */

	/* Long messages. A sender counts ring positions from its own beginning; they never wrap. */
	uint8_t *ring;
	uint64_t ring_size;
	uint64_t ring_next;   /* sender: position after the last message */
	uint64_t ring_credit; /* sender: position before which all is released */
	uint64_t *ring_end;   /* sender: position after each message, by line */
	uint64_t ring_taken;  /* receiver: bytes released and not published as such */
	uint64_t held_offset; /* of what is held, in the ring */

	uint64_t other_owner;    /* who the other end was known to be; 0: nobody */
	uint64_t rung;           /* the other end's word when it was last rung for */
	uint64_t spin_ns;        /* how long to spin before sleeping, adapted */
	uint32_t key_generation; /* receiver: the sender's whose messages are being taken */
	uint32_t generation;     /* this end's */
	uint32_t armed;          /* times this end armed */
	uint32_t vector;
	uint32_t flags;
	enum ist_role role;
	struct ist_group *group;
	const struct ist_group_region *region;
	struct ist_channel_memory *memory;
	struct ist_end *own;
};

/* channel_wait.c */

/*
 * Waits for `ready` to stop returning -EAGAIN: spins, then arms this end and sleeps. Returns what
 * it returned, or -ETIMEDOUT.
 */
int64_t ist_channel_wait(struct ist_channel *channel, int64_t (*ready)(struct ist_channel *),
			 uint64_t timeout_ns);

/* Rings the other end's doorbell if it sleeps: after a commit, a release, an attachment. */
void ist_channel_kick(struct ist_channel *channel);

/* channel_peer.c: what became of the other end */

struct ist_channel_look {
	uint64_t changes;
	uint64_t owner;
	uint64_t word; /* the owner word, whatever it is worth */
	uint32_t generation;
	int error; /* what the caller is to be told: 0, -EPIPE, -EOWNERDEAD, -EPROTO, -ENODEV */
};

/* Looks at the other end: has it come, gone, died, been replaced? Changes nothing. */
struct ist_channel_look ist_channel_look(const struct ist_channel *channel);

/* Takes over what a look has found. Returns its error. */
int ist_channel_settle(struct ist_channel *channel, const struct ist_channel_look *look);

/*
 * The other end's words are impossible: marks the channel broken for both ends, -EPROTO. When the
 * platform has lost the group that is why: -ENODEV. Returns which.
 */
int ist_channel_break(struct ist_channel *channel);

/* Whether a look would find something new. Three loads from two lines, usually cached. */
static inline int ist_channel_other_changed(const struct ist_channel *channel)
{
	return __atomic_load_n(channel->changes, __ATOMIC_RELAXED) != channel->changes_seen ||
	       IST_WAKE_GENERATION(__atomic_load_n(&channel->other->wake, __ATOMIC_RELAXED)) !=
		       channel->other_generation ||
	       __atomic_load_n(&channel->other->owner, __ATOMIC_RELAXED) != channel->other_word;
}

/* What the two ends share */

/* Message numbers in headers are modulo 2^48; with the key, the header without its length. */
#define IST_SEQUENCE_MASK ((1ull << 48) - 1)

static inline uint64_t ist_channel_expected(const struct ist_channel *channel)
{
	return ((channel->next + 1) & IST_SEQUENCE_MASK) << 8 | channel->key;
}

/* Sender: takes the bytes of a long message, and what was skipped to get there. */
static inline void ist_channel_ring_advance(struct ist_channel *channel,
					    const struct ist_long *where)
{
	uint64_t skipped = (where->offset - channel->ring_next) & (channel->ring_size - 1);

	channel->ring_next +=
		skipped + ((where->length + IST_LINE - 1) & ~(uint64_t)(IST_LINE - 1));
}

/*
 * Reads where a line says that its long message is, once. Returns 0, or -EPROTO when no correct
 * sender writes that.
 */
int ist_channel_read_long(const struct ist_channel *channel, const struct ist_line *line,
			  struct ist_long *out);

#endif
