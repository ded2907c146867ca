/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * channel_peer.c: what became of the other end of a channel.
 *
 * Two words say that there may be news: the roster's `changes` and the generation in the other
 * end's wake word. What they mean is found here, off the data path (docs/protocol.md, "Channels").
 */
#include "channel.h"
#include "words.h"

static int fate_error(const struct ist_channel *channel, uint64_t owner)
{
	switch (ist_group_fate(channel->group, owner)) {
	case IST_FATE_HERE:
		return 0;
	case IST_FATE_LEFT:
		return -EPIPE;
	default:
		return -EOWNERDEAD;
	}
}

struct ist_channel_look ist_channel_look(const struct ist_channel *channel)
{
	struct ist_channel_look look;

	/* Acquire: pairs with the broker's release after it wrote the tables, and with the release
	 * in ist_channel_open(), after the owner was written. */
	look.changes = ist_load_acquire(channel->changes);
	look.generation = IST_WAKE_GENERATION(ist_load_acquire(&channel->other->wake));
	look.owner = channel->other_owner;
	if (ist_load(&channel->memory->broken)) {
		look.error = -EPROTO;
	} else if (look.generation == channel->other_generation) {
		look.error = look.owner ? fate_error(channel, look.owner) : channel->gone;
		if (look.error)
			look.owner = 0;
	} else {
		/* Whoever was known has detached, or another has attached since it died. */
		look.error = look.owner ? fate_error(channel, look.owner) : 0;
		if (look.owner && !look.error)
			look.error = -EPIPE;
		look.owner = look.generation & 1 ? ist_load(&channel->other->owner) : 0;
		if (!look.owner && !look.error)
			look.error = -EPIPE; /* it came and went */
	}
	return look;
}

int ist_channel_settle(struct ist_channel *channel, const struct ist_channel_look *look)
{
	if (look->error == -EPROTO)
		return channel->error = -EPROTO;
	channel->changes_seen = look->changes;
	/* Somebody new: its own fate has not been looked at yet. */
	if (look->generation != channel->other_generation)
		channel->changes_seen--;
	channel->gone = look->owner ? 0 : look->error;
	channel->other_owner = look->owner;
	channel->other_generation = look->generation;
	channel->other_poll = IST_WAKE(IST_WAKE_POLL, 0, look->generation);
	return look->error;
}

int ist_channel_break(struct ist_channel *channel)
{
	channel->error = -EPROTO;
	ist_store_release(&channel->memory->broken, 1);
	/* This end is as good as detached: the other one looks, and sees why. */
	ist_store_release(&channel->own->wake,
			  IST_WAKE(IST_WAKE_POLL, 0, (channel->generation + 1) & ~1u));
	ist_channel_kick(channel);
	return -EPROTO;
}

int ist_channel_read_long(const struct ist_channel *channel, const struct ist_line *line,
			  struct ist_long *out)
{
	const uint64_t *words = (const uint64_t *)(const void *)line->payload;

	out->offset = ist_load(&words[0]);
	out->length = ist_load(&words[1]);
	return out->offset % IST_LINE || out->offset >= channel->ring_size ||
			       out->length > channel->ring_size - out->offset
		       ? -EPROTO
		       : 0;
}
