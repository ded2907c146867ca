/* SPDX-License-Identifier: BSD-2-Clause */
/* channel_send.c: the sending end. */
#include "channel.h"
#include "copy.h"
#include "words.h"

/*
 * Takes over the receiver's credit. Acquire: pairs with the release in publish_credit(), so that
 * lines and bytes are written again only after the receiver's last look at them.
 */
static int refresh_credit(struct ist_channel *channel)
{
	uint64_t credit = ist_load_acquire(&channel->memory->credit);

	if (credit - channel->credit > channel->next - channel->credit)
		return ist_channel_break(channel);
	if (credit != channel->credit) {
		channel->credit = credit;
		channel->ring_credit = channel->ring_end[(credit - 1) & channel->line_mask];
	}
	return 0;
}

static int line_free(const struct ist_channel *channel)
{
	return channel->next - channel->credit <= channel->line_mask;
}

/* Whether `size` bytes fit, contiguously; where they would start. */
static int ring_free(const struct ist_channel *channel, uint64_t size, uint64_t *start)
{
	uint64_t offset = channel->ring_next & (channel->ring_size - 1);

	*start = channel->ring_next;
	if (size > channel->ring_size - offset)
		*start += channel->ring_size - offset;
	/* With nothing in the ring, what is skipped to its end is not in anybody's way. */
	return channel->ring_credit == channel->ring_next ||
	       *start + size - channel->ring_credit <= channel->ring_size;
}

/* Room for one message: 0, and what is held is set; or -errno. */
static int reserve(struct ist_channel *channel, uint64_t size, void **out)
{
	uint64_t start = 0;
	int is_long = size > IST_INLINE_MAX, error;

	if (ist_unlikely(is_long && size > channel->ring_size))
		return -EMSGSIZE;
	if (ist_unlikely(channel->error))
		return channel->error;
	if (ist_unlikely(channel->gone || ist_channel_other_changed(channel))) {
		struct ist_channel_look look = ist_channel_look(channel);

		error = ist_channel_settle(channel, &look);
		if (error)
			return error;
	}
	if (ist_unlikely(!line_free(channel) || (is_long && !ring_free(channel, size, &start)))) {
		error = refresh_credit(channel);
		if (error)
			return error;
		if (!line_free(channel) || (is_long && !ring_free(channel, size, &start)))
			return -EAGAIN;
	}
	channel->held_offset = start & (channel->ring_size - 1);
	channel->held_long = (uint32_t)is_long;
	channel->held = size + 1;
	*out = is_long ? (void *)(channel->ring + channel->held_offset)
		       : (void *)channel->lines[channel->next & channel->line_mask].payload;
	return 0;
}

/* Publishes message `next`, whose payload is in its line. */
static inline void publish_line(struct ist_channel *channel, uint64_t length)
{
	struct ist_line *line = &channel->lines[channel->next & channel->line_mask];

	/* Release: pairs with the acquire in the receiver's next_message(). */
	ist_store_release(&line->header, ist_channel_expected(channel) << 8 | length);
	channel->ring_end[channel->next & channel->line_mask] = channel->ring_next;
	channel->next++;
	channel->held = 0;
}

/* Publishes what was reserved, without waking anybody. */
static inline void publish(struct ist_channel *channel, uint64_t size)
{
	struct ist_long where;

	if (ist_likely(!channel->held_long)) {
		publish_line(channel, size);
		return;
	}
	where.offset = channel->held_offset;
	where.length = size;
	__builtin_memcpy(channel->lines[channel->next & channel->line_mask].payload, &where,
			 sizeof(where));
	ist_channel_ring_advance(channel, &where);
	publish_line(channel, IST_LINE_LONG);
}

static inline void kick(struct ist_channel *channel)
{
	/* A receiver that polls needs neither fence nor doorbell. */
	if (ist_unlikely(ist_load(&channel->other->wake) != channel->other_poll))
		ist_channel_kick(channel);
}

int ist_channel_try_reserve(struct ist_channel *channel, size_t size, void **out)
{
	if (channel->role != IST_SENDER)
		return -EINVAL;
	return reserve(channel, size, out);
}

static int64_t ready_to_reserve(struct ist_channel *channel)
{
	void *ignored;
	uint64_t wanted = channel->held - 1;
	int error = reserve(channel, wanted, &ignored);

	/* The size wanted stays for the next try. */
	channel->held = wanted + 1;
	return error;
}

int ist_channel_reserve(struct ist_channel *channel, size_t size, uint64_t timeout_ns, void **out)
{
	int error = ist_channel_try_reserve(channel, size, out);

	if (ist_likely(error != -EAGAIN))
		return error;
	channel->held = (uint64_t)size + 1;
	error = (int)ist_channel_wait(channel, ready_to_reserve, timeout_ns);
	channel->held = 0;
	return error ? error : reserve(channel, size, out);
}

int ist_channel_commit(struct ist_channel *channel, size_t size)
{
	if (channel->role != IST_SENDER || size >= channel->held)
		return -EINVAL;
	/* A long reservation that turned out short still goes through the ring: it is there. */
	publish(channel, size);
	kick(channel);
	return 0;
}

/* Whether a short message can go out at once: nothing at all is in the way. */
static inline int clear_to_send(const struct ist_channel *channel, size_t size)
{
	return ist_likely(size <= IST_INLINE_MAX && channel->role == IST_SENDER &&
			  !channel->error && !channel->gone && line_free(channel) &&
			  !ist_channel_other_changed(channel));
}

static inline void send_short(struct ist_channel *channel, const void *data, size_t size)
{
	ist_copy(channel->lines[channel->next & channel->line_mask].payload, data, size);
	publish_line(channel, size);
}

/* In every other case. */
static __attribute__((noinline)) int send_any(struct ist_channel *channel, const void *data,
					      size_t size, uint64_t timeout_ns)
{
	void *room;
	int error = ist_channel_try_reserve(channel, size, &room);

	if (error == -EAGAIN && timeout_ns)
		error = ist_channel_reserve(channel, size, timeout_ns, &room);
	if (error)
		return error;
	ist_copy(room, data, size);
	publish(channel, size);
	kick(channel);
	return 0;
}

static inline int send_message(struct ist_channel *channel, const void *data, size_t size,
			       uint64_t timeout_ns)
{
	if (!clear_to_send(channel, size))
		return send_any(channel, data, size, timeout_ns);
	send_short(channel, data, size);
	kick(channel);
	return 0;
}

int ist_channel_try_send(struct ist_channel *channel, const void *data, size_t size)
{
	return send_message(channel, data, size, 0);
}

int ist_channel_send(struct ist_channel *channel, const void *data, size_t size,
		     uint64_t timeout_ns)
{
	int error = send_message(channel, data, size, timeout_ns);

	return ist_unlikely(error == -EAGAIN) ? -ETIMEDOUT : error;
}

int ist_channel_try_send_batch(struct ist_channel *channel, const struct ist_message *messages,
			       unsigned count)
{
	unsigned i;
	void *room;
	int error = 0;

	for (i = 0; i < count; i++) {
		if (clear_to_send(channel, messages[i].size)) {
			send_short(channel, messages[i].data, messages[i].size);
			continue;
		}
		error = ist_channel_try_reserve(channel, messages[i].size, &room);
		if (error)
			break;
		ist_copy(room, messages[i].data, messages[i].size);
		publish(channel, messages[i].size);
	}
	if (i)
		kick(channel);
	return i ? (int)i : error;
}
