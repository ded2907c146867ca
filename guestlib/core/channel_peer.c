/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * channel_peer.c: what became of the other end of a channel.
 *
 * Three words say that there may be news: the roster's `changes`, the generation in the other end's
 * wake word, and its owner word, marked when that client of its peer has died. What they mean is
 * found here, off the data path (docs/protocol.md, "Channels").
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
	uint64_t known = channel->other_owner;

	/* Acquire: pairs with the broker's release after it wrote the tables. */
	look.changes = ist_load_acquire(channel->changes);
	/* Acquire: pairs with the kernel that marks the word after its holder's last store. Looked
	   at before the generation: so it is not a later one's. */
	look.word = ist_load_acquire(&channel->other->owner);
	/* Acquire: pairs with the release in ist_channel_open(), after the owner was written. */
	look.generation = IST_WAKE_GENERATION(ist_load_acquire(&channel->other->wake));
	look.owner = 0;
	if (ist_group_gone(channel->group)) {
		look.error = -ENODEV;
	} else if (ist_group_right(channel->group, channel->region) != IST_RIGHT_WRITE) {
		look.error = -EACCES; /* the broker has raised `changes` for that, too */
	} else if (ist_load(&channel->memory->broken)) {
		look.error = -EPROTO;
	} else if (look.generation == channel->other_generation) {
		if (!known)
			look.error = channel->gone;
		else if (look.word != known) /* marked, or another is just taking the end over */
			look.error = -EOWNERDEAD;
		else
			look.error = fate_error(channel, known);
		if (!look.error)
			look.owner = known;
	} else {
		/* Whoever was known has detached, or another has attached since it died. */
		look.error = known ? fate_error(channel, known) : 0;
		if (known && !look.error)
			look.error = -EPIPE;
		look.word = ist_load_acquire(&channel->other->owner);
		if (look.generation & 1)
			look.owner = look.word;
		if (!look.owner && !look.error)
			look.error = -EPIPE; /* it came and went */
	}
	return look;
}

int ist_channel_settle(struct ist_channel *channel, const struct ist_channel_look *look)
{
	if (look->error == -EPROTO || look->error == -ENODEV || look->error == -EACCES)
		return channel->error = look->error;
	channel->changes_seen = look->changes;
	/* Somebody new: its own fate has not been looked at yet. */
	if (look->generation != channel->other_generation)
		channel->changes_seen--;
	channel->gone = look->owner ? 0 : look->error;
	channel->other_owner = look->owner;
	channel->other_generation = look->generation;
	channel->other_poll = IST_WAKE(IST_WAKE_POLL, 0, look->generation);
	channel->other_word = look->word;
	return look->error;
}

int ist_channel_break(struct ist_channel *channel)
{
	if (ist_group_gone(channel->group))
		return channel->error = -ENODEV;
	/* What was read may be nothing that anybody wrote, and what is written lands nowhere. */
	if (ist_group_right(channel->group, channel->region) != IST_RIGHT_WRITE)
		return channel->error = -EACCES;
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
