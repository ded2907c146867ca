/* SPDX-License-Identifier: BSD-2-Clause */
/* channel_open.c: making a channel, attaching to one of its ends, detaching. */
#include "arena.h"
#include "channel.h"
#include "platform.h"
#include "words.h"

#define LINES_DEFAULT 128u
#define BYTES_DEFAULT 65536u
#define BYTES_NONE 1u
#define SPIN_START_NS 50000u

/* The object's parts: memory header and lines, then the byte ring at the next page. */
static uint64_t ring_offset(uint64_t lines)
{
	uint64_t end = sizeof(struct ist_channel_memory) + lines * sizeof(struct ist_line);

	return (end + IST_PAGE - 1) & ~(uint64_t)(IST_PAGE - 1);
}

static int power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static int sizes_valid(uint64_t lines, uint64_t bytes)
{
	return power_of_two(lines) && lines >= IST_CHANNEL_LINES_MIN &&
	       lines <= IST_CHANNEL_LINES_MAX &&
	       (!bytes ||
		(power_of_two(bytes) && bytes >= IST_LINE && bytes <= IST_CHANNEL_BYTES_MAX));
}

/* Empty: every line as if a lap had gone before. Generations go on, so that nobody is mistaken. */
static void format_lines(struct ist_channel_memory *memory, uint64_t lines)
{
	struct ist_line *line = (struct ist_line *)(void *)(memory + 1);
	uint64_t i;

	for (i = 0; i < lines; i++)
		ist_store_release(&line[i].header, IST_LINE_HEADER(i - lines, 0, 0));
	ist_store_release(&memory->credit, 0);
	ist_store_release(&memory->broken, 0);
}

static void format(uint8_t *bytes, const uint64_t parameters[4])
{
	struct ist_channel_memory *memory = (struct ist_channel_memory *)(void *)bytes;

	__builtin_memset(memory, 0, sizeof(*memory));
	memory->lines = parameters[0];
	memory->bytes = parameters[1];
	format_lines(memory, parameters[0]);
}

/*
 * Where an end takes up: at the receiver's credit; a sender after what is committed from there on,
 * at most one lap. Of the ring, it takes what these messages are in.
 */
static int recover(struct ist_channel *channel)
{
	uint64_t first = ist_load_acquire(&channel->memory->credit), n, header;
	uint32_t now = IST_WAKE_GENERATION(ist_load_acquire(&channel->memory->sender.wake));
	int ring_used = 0;
	const struct ist_line *line;
	struct ist_long where;

	channel->key_generation = now;
	for (n = first; n - first <= channel->line_mask; n++) {
		line = &channel->lines[n & channel->line_mask];
		header = ist_load_acquire(&line->header);
		if (IST_LINE_SEQUENCE(header) != ((n + 1) & IST_SEQUENCE_MASK))
			break;
		if (n == first)
			channel->key_generation =
				now - ((now - IST_LINE_GENERATION(header)) & 0xffu);
		if (channel->role == IST_RECEIVER)
			break;
		if (IST_LINE_LENGTH(header) == IST_LINE_LONG) {
			if (ist_channel_read_long(channel, line, &where))
				return ist_channel_break(channel);
			if (!ring_used++)
				channel->ring_next = channel->ring_credit = where.offset;
			ist_channel_ring_advance(channel, &where);
		}
		channel->ring_end[n & channel->line_mask] = channel->ring_next;
	}
	channel->credit = first;
	channel->next = n;
	channel->key = channel->key_generation & 0xffu;
	return 0;
}

/* Before this end's owner word names this client, and when it does so no longer. */
static int hold_own(struct ist_channel *channel, int on)
{
	const uint8_t *word = (const uint8_t *)&channel->own->owner;

	return ist_platform_hold(channel->group, (uint64_t)(word - channel->group->base), on);
}

/* Attaches, under the arena's lock. */
static int attach(struct ist_channel *channel)
{
	struct ist_channel_memory *memory = channel->memory;
	uint64_t owner = ist_load_acquire(&channel->own->owner);
	uint64_t other = ist_load_acquire(&channel->other->owner);
	int error, other_here = ist_group_fate(channel->group, other) == IST_FATE_HERE;

	if (ist_group_fate(channel->group, owner) == IST_FATE_HERE)
		return -EBUSY;
	if (ist_load(&memory->broken)) {
		if (other_here)
			return -EPROTO;
		format_lines(memory, channel->line_mask + 1);
	}
	channel->changes_seen = ist_load_acquire(channel->changes) - 1; /* look soon */
	channel->other_generation = IST_WAKE_GENERATION(ist_load_acquire(&channel->other->wake));
	channel->other_owner = other_here && (channel->other_generation & 1) ? other : 0;
	channel->other_poll = IST_WAKE(IST_WAKE_POLL, 0, channel->other_generation);
	channel->other_word = other;
	channel->generation = IST_WAKE_GENERATION(ist_load(&channel->own->wake));
	error = recover(channel);
	if (!error)
		error = hold_own(channel, 1);
	if (error)
		return error;

	channel->generation = (channel->generation + 1) | 1;
	if (channel->role == IST_SENDER)
		channel->key = channel->generation & 0xffu;
	ist_store_release(&channel->own->owner, ist_group_owner(channel->group));
	/* Release: who sees the new generation sees the new owner. Pairs with ist_channel_look().
	 */
	ist_store_release(
		&channel->own->wake,
		IST_WAKE(channel->flags & IST_CHANNEL_POLL ? IST_WAKE_POLL : IST_WAKE_AWAKE, 0,
			 channel->generation));
	ist_channel_kick(channel);
	return 0;
}

static void channel_free(struct ist_channel *channel)
{
	ist_platform_free(channel->ring_end);
	ist_platform_free(channel);
}

int ist_channel_open(struct ist_group *group, const char *name, enum ist_role role,
		     const struct ist_channel_options *options, struct ist_channel **out)
{
	static const struct ist_channel_options defaults;
	const struct ist_group_region *region;
	struct ist_arena_object object;
	struct ist_channel *channel;
	uint64_t parameters[4] = {0}, lines, bytes;
	int error;

	if (!options)
		options = &defaults;
	lines = options->lines ? options->lines : LINES_DEFAULT;
	bytes = options->bytes ? options->bytes : BYTES_DEFAULT;
	if (bytes == BYTES_NONE)
		bytes = 0;
	if (!name || !ist_name_valid(name) || (role != IST_SENDER && role != IST_RECEIVER) ||
	    (options->flags & ~IST_CHANNEL_POLL) || !sizes_valid(lines, bytes))
		return -EINVAL;
	error = ist_group_find_writable(group, options->region, &region);
	if (error)
		return error;
	if (ist_group_gone(group))
		return -ENODEV;
	channel = ist_platform_alloc(sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	error = ist_arena_lock(group, region);
	if (error)
		goto out_free;

	parameters[0] = lines;
	parameters[1] = bytes;
	error = ist_arena_open(group, region, name, IST_OBJECT_CHANNEL, ring_offset(lines) + bytes,
			       parameters, format, &object);
	if (error)
		goto out_unlock;
	/* Another peer may have made it, with other sizes: these hold, if they are possible. */
	lines = object.parameters[0];
	bytes = object.parameters[1];
	error = -EPROTO;
	if (!sizes_valid(lines, bytes) || object.size < ring_offset(lines) + bytes)
		goto out_unlock;

	if (role == IST_SENDER) {
		error = -ENOMEM;
		channel->ring_end = ist_platform_alloc(lines * sizeof(*channel->ring_end));
		if (!channel->ring_end)
			goto out_unlock;
	}
	channel->group = group;
	channel->region = region;
	channel->role = role;
	channel->flags = options->flags;
	channel->memory = (struct ist_channel_memory *)(void *)object.memory;
	channel->lines = (struct ist_line *)(void *)(channel->memory + 1);
	channel->line_mask = lines - 1;
	channel->ring = object.memory + ring_offset(lines);
	channel->ring_size = bytes;
	channel->own = role == IST_SENDER ? &channel->memory->sender : &channel->memory->receiver;
	channel->other = role == IST_SENDER ? &channel->memory->receiver : &channel->memory->sender;
	channel->changes = ist_group_changes(group);
	channel->vector = IST_CHANNEL_VECTOR(object.slot, group->vectors);
	channel->spin_ns = SPIN_START_NS;
	error = attach(channel);
	if (error)
		goto out_unlock;
	ist_arena_unlock(group, region);
	*out = channel;
	return 0;

out_unlock:
	ist_arena_unlock(group, region);
out_free:
	channel_free(channel);
	return error;
}

void ist_channel_close(struct ist_channel *channel)
{
	if (!channel)
		return;
	/* Else the other end hears of it by this peer's end, or never: it waits for who is there.
	 */
	if (ist_group_right(channel->group, channel->region) == IST_RIGHT_WRITE) {
		if (channel->role == IST_RECEIVER && !channel->error)
			ist_store_release(&channel->memory->credit, channel->next);
		ist_store_release(&channel->own->wake,
				  IST_WAKE(IST_WAKE_POLL, 0, (channel->generation + 1) & ~1u));
		ist_store_release(&channel->own->owner, 0);
		ist_channel_kick(channel);
	}
	hold_own(channel, 0);
	channel_free(channel);
}

static int64_t ready_attached(struct ist_channel *channel)
{
	struct ist_channel_look look;

	if (channel->error)
		return channel->error;
	if (channel->other_owner && !ist_channel_other_changed(channel))
		return 0;
	look = ist_channel_look(channel);
	ist_channel_settle(channel, &look);
	if (channel->error)
		return channel->error;
	/* A newcomer's own fate is found by looking once more. */
	return channel->other_owner && !ist_channel_other_changed(channel) ? 0 : -EAGAIN;
}

int ist_channel_wait_peer(struct ist_channel *channel, uint64_t timeout_ns)
{
	int error = (int)ready_attached(channel);

	return error == -EAGAIN ? (int)ist_channel_wait(channel, ready_attached, timeout_ns)
				: error;
}

uint64_t ist_channel_max_message(const struct ist_channel *channel)
{
	return channel->ring_size > IST_INLINE_MAX ? channel->ring_size : IST_INLINE_MAX;
}
