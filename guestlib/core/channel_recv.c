/* SPDX-License-Identifier: BSD-2-Clause */
/* channel_recv.c: the receiving end. */
#include "channel.h"
#include "copy.h"
#include "words.h"

/* A few line transfers long. */
#define SHORT_TRIES 64u

/* Release: pairs with the acquire in the sender's refresh_credit(). */
static void publish_credit(struct ist_channel *channel)
{
	ist_store_release(&channel->memory->credit, channel->next);
	channel->credit = channel->next;
	channel->ring_taken = 0;
	if (ist_unlikely(ist_load(&channel->other->wake) != channel->other_poll))
		ist_channel_kick(channel);
}

/* The next message's header has another generation than expected: another sender wrote it. */
static int new_sender(struct ist_channel *channel, uint64_t header)
{
	uint32_t behind = (IST_LINE_GENERATION(header) - channel->key_generation) & 0xffu;
	uint32_t now = IST_WAKE_GENERATION(ist_load_acquire(&channel->other->wake));
	int known = channel->other_owner || channel->gone, error;
	struct ist_channel_look look;

	if (behind > now - channel->key_generation)
		return ist_channel_break(channel);
	channel->key_generation += behind;
	channel->key = channel->key_generation & 0xffu;
	if ((int32_t)(channel->key_generation - channel->other_generation) <= 0)
		return 0; /* reported already */
	look = ist_channel_look(channel);
	error = ist_channel_settle(channel, &look);
	/* The first sender of all replaces nobody. */
	return known || channel->error ? error : 0;
}

/* No message behind this header, at first sight: 0 to look again, or the error to return. */
static __attribute__((noinline)) int no_message(struct ist_channel *channel,
						const struct ist_line *line, uint64_t header)
{
	uint64_t sequence = IST_LINE_SEQUENCE(header);
	struct ist_channel_look look;
	int error;

	if (sequence == ((channel->next + 1) & IST_SEQUENCE_MASK))
		return new_sender(channel, header);
	if (sequence != ((channel->next - channel->line_mask) & IST_SEQUENCE_MASK))
		return ist_channel_break(channel);
	if (channel->credit != channel->next)
		publish_credit(channel);
	if (!channel->gone && !ist_channel_other_changed(channel))
		return -EAGAIN;
	look = ist_channel_look(channel);
	/* What it committed before it went comes first. */
	if (look.error && ist_load_acquire(&line->header) != header)
		return 0;
	error = ist_channel_settle(channel, &look);
	return error ? error : -EAGAIN;
}

static inline const void *held_data(const struct ist_channel *channel)
{
	if (channel->held_long)
		return channel->ring + channel->held_offset;
	return channel->lines[channel->next & channel->line_mask].payload;
}

/* The next message, held: its length, or an error. */
static inline int64_t next_message(struct ist_channel *channel)
{
	const struct ist_line *line = &channel->lines[channel->next & channel->line_mask];
	struct ist_long where;
	uint64_t header;
	uint32_t length;
	int error;

	if (ist_unlikely(channel->held))
		return (int64_t)channel->held - 1;
	if (ist_unlikely(channel->error))
		return channel->error;
	/* Acquire: pairs with the release in the sender's publish(). */
	while (header = ist_load_acquire(&line->header),
	       ist_unlikely(header >> 8 != ist_channel_expected(channel))) {
		error = no_message(channel, line, header);
		if (error)
			return error;
	}
	length = IST_LINE_LENGTH(header);
	channel->held_long = 0;
	if (ist_unlikely(length > IST_INLINE_MAX)) {
		if (length != IST_LINE_LONG || ist_channel_read_long(channel, line, &where))
			return ist_channel_break(channel);
		channel->held_long = 1;
		channel->held_offset = where.offset;
		channel->held = where.length + 1;
		return (int64_t)where.length;
	}
	channel->held = length + 1;
	return length;
}

static inline void release(struct ist_channel *channel)
{
	if (channel->held_long)
		channel->ring_taken += channel->held - 1;
	channel->held = 0;
	channel->next++;
	if (ist_unlikely(channel->next - channel->credit > channel->line_mask / 4 ||
			 channel->ring_taken > channel->ring_size / 8))
		publish_credit(channel);
}

/* Out with the held message. */
static inline int64_t take(struct ist_channel *channel, void *data, size_t capacity)
{
	size_t size = (size_t)channel->held - 1;

	if (ist_unlikely(size > capacity))
		return -EMSGSIZE;
	ist_copy(data, held_data(channel), size);
	release(channel);
	return (int64_t)size;
}

int64_t ist_channel_try_peek(struct ist_channel *channel, const void **out)
{
	int64_t length;

	if (channel->role != IST_RECEIVER)
		return -EINVAL;
	length = next_message(channel);
	if (length >= 0)
		*out = held_data(channel);
	return length;
}

int64_t ist_channel_peek(struct ist_channel *channel, uint64_t timeout_ns, const void **out)
{
	int64_t length = ist_channel_try_peek(channel, out);

	if (length != -EAGAIN)
		return length;
	length = ist_channel_wait(channel, next_message, timeout_ns);
	if (length >= 0)
		*out = held_data(channel);
	return length;
}

int ist_channel_release(struct ist_channel *channel)
{
	if (channel->role != IST_RECEIVER || !channel->held)
		return -EINVAL;
	release(channel);
	return 0;
}

/* The next message, if it is a short one that is there and fits; -EAGAIN in every other case. */
static inline int64_t take_short(struct ist_channel *channel, void *data, size_t capacity)
{
	const struct ist_line *line = &channel->lines[channel->next & channel->line_mask];
	uint64_t header = ist_load_acquire(&line->header);
	uint32_t length = IST_LINE_LENGTH(header);

	if (header >> 8 != ist_channel_expected(channel) ||
	    ist_unlikely(length > IST_INLINE_MAX || length > capacity))
		return -EAGAIN;
	ist_copy(data, line->payload, length);
	channel->held_long = 0;
	release(channel);
	return length;
}

static inline int64_t recv_message(struct ist_channel *channel, void *data, size_t capacity,
				   uint64_t timeout_ns)
{
	unsigned tries = timeout_ns ? SHORT_TRIES : 1;
	int64_t length;

	if (ist_unlikely(channel->role != IST_RECEIVER))
		return -EINVAL;
	/* Most messages are short, and there or about to be: before anything else is looked at. */
	if (ist_likely(!channel->held && !channel->error)) {
		do {
			length = take_short(channel, data, capacity);
			if (length >= 0)
				return length;
			if (--tries)
				ist_relax();
		} while (tries);
	}
	length = next_message(channel);
	if (length == -EAGAIN && timeout_ns)
		length = ist_channel_wait(channel, next_message, timeout_ns);
	return length < 0 ? length : take(channel, data, capacity);
}

int64_t ist_channel_try_recv(struct ist_channel *channel, void *data, size_t capacity)
{
	return recv_message(channel, data, capacity, 0);
}

int64_t ist_channel_recv(struct ist_channel *channel, void *data, size_t capacity,
			 uint64_t timeout_ns)
{
	int64_t length = recv_message(channel, data, capacity, timeout_ns);

	return ist_unlikely(length == -EAGAIN) ? -ETIMEDOUT : length;
}

int ist_channel_try_recv_batch(struct ist_channel *channel, struct ist_message *messages,
			       unsigned count)
{
	int64_t length = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		length = ist_channel_try_recv(channel, messages[i].data, messages[i].size);
		if (length < 0)
			break;
		messages[i].size = (size_t)length;
	}
	return i ? (int)i : (int)length;
}
