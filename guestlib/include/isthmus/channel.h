/* SPDX-License-Identifier: BSD-2-Clause */
/* channel.h: messages from one sender to one receiver through shared memory. */
#ifndef ISTHMUS_CHANNEL_H
#define ISTHMUS_CHANNEL_H

#include <isthmus/types.h>

IST_BEGIN_DECLS

/*
 * A channel is found by name. Either end may open it first; whoever comes first makes it. Messages
 * have boundaries, arrive whole, once and in order. Up to 56 bytes travel in one cache line; longer
 * ones, up to the size of the byte ring, through the ring.
 *
 * Threads: one thread at a time may use one end; the two ends are independent.
 *
 * When the other end goes away, everything it committed is still received; then calls return
 *   -EPIPE       it closed the channel or left the group
 *   -EOWNERDEAD  it died
 * until another incarnation attaches; ist_channel_wait_peer() waits for that. Should the new one
 * attach before this end noticed, the error is returned once, and the next call goes on with it.
 * A receiver that died may have taken messages whose release it had not published: the next
 * incarnation receives those again, and first of all.
 *   -EPROTO      the other end wrote what no correct end writes. The channel is broken for both:
 *                close it; once neither end is attached, the next open starts it afresh, empty.
 * In a Linux guest every call may return
 *   -ENODEV      the device was taken away; close everything.
 * Processes of one Linux guest are ends of their own: the two ends of a channel may both be there,
 * and one that dies does so alone.
 */

enum ist_role {
	IST_SENDER,
	IST_RECEIVER,
};

#define IST_CHANNEL_POLL 1u /* this end never sleeps: it spins when it waits */

/* All zero means the defaults. The first opener's lines and bytes hold for both. */
struct ist_channel_options {
	const char *region; /* region the channel lives in; NULL: the first one this peer may write
			       that is not incoherent */
	uint32_t lines;     /* messages in flight, a power of two, 8 .. 65536; 0: 128 */
	uint32_t flags;     /* IST_CHANNEL_POLL */
	uint64_t bytes;     /* byte ring, a power of two, up to 4 GiB; 0: 64 KiB; 1: none */
};

/**
 * ist_channel_open - attach to one end of a channel, making the channel if there is none
 * @options: NULL for the defaults
 *
 * Both ends must be able to write the region. Does not wait for the other end.
 * Returns 0; -EBUSY a live peer has this end; -ENOENT no such region; -EACCES no right to write
 * it; -EEXIST the name belongs to an object of another kind; -EDQUOT this instance may make no more
 * in that region; -ENOSPC the region is full, or this process of a Linux guest has 4096 ends
 * already; -EINVAL bad name or sizes; -EOPNOTSUPP the region is incoherent; -ETIMEDOUT another peer
 * keeps the directory locked; -EPROTO the directory or the channel is corrupt; -ENOMEM.
 */
IST_API int ist_channel_open(struct ist_group *group, const char *name, enum ist_role role,
			     const struct ist_channel_options *options, struct ist_channel **out);

/** ist_channel_close - detach. What was committed stays for the receiver. NULL is allowed. */
IST_API void ist_channel_close(struct ist_channel *channel);

/** ist_channel_wait_peer - wait until the other end is attached. Returns 0; -ETIMEDOUT; -EPROTO. */
IST_API int ist_channel_wait_peer(struct ist_channel *channel, uint64_t timeout_ns);

/** ist_channel_max_message - the longest message, in bytes. */
IST_API uint64_t ist_channel_max_message(const struct ist_channel *channel);

/**
 * ist_channel_send - send one message
 *
 * Waits for room up to the timeout: spins while that pays, then sleeps (never with
 * IST_CHANNEL_POLL). The message is committed when this returns 0: it survives the sender's death.
 * A release store publishes it. No allocation; no system call and no exit unless the receiver
 * sleeps.
 * Returns 0; -EMSGSIZE; -ETIMEDOUT; -EPIPE, -EOWNERDEAD, -EPROTO as above.
 */
IST_API int ist_channel_send(struct ist_channel *channel, const void *data, size_t size,
			     uint64_t timeout_ns);

/** ist_channel_try_send - the same without waiting. -EAGAIN: no room. */
IST_API int ist_channel_try_send(struct ist_channel *channel, const void *data, size_t size);

/**
 * ist_channel_recv - receive one message
 * @data, @capacity: where it is copied
 *
 * Returns the message's length (0 is a message too); -EMSGSIZE it is longer than capacity and
 * stays, the first in line; -ETIMEDOUT; -EPIPE, -EOWNERDEAD, -EPROTO as above.
 */
IST_API int64_t ist_channel_recv(struct ist_channel *channel, void *data, size_t capacity,
				 uint64_t timeout_ns);

/** ist_channel_try_recv - the same without waiting. -EAGAIN: nothing there. */
IST_API int64_t ist_channel_try_recv(struct ist_channel *channel, void *data, size_t capacity);

/**
 * ist_channel_reserve - room for one message, to be written in place
 * @size: bytes wanted
 * @out: where to write; valid until commit
 *
 * At most one reservation at a time; reserving again replaces it. Returns as ist_channel_send().
 */
IST_API int ist_channel_reserve(struct ist_channel *channel, size_t size, uint64_t timeout_ns,
				void **out);
IST_API int ist_channel_try_reserve(struct ist_channel *channel, size_t size, void **out);

/**
 * ist_channel_commit - send what was reserved
 * @size: bytes, at most what was reserved
 *
 * Never blocks. Returns 0; -EINVAL nothing is reserved, or less than that.
 */
IST_API int ist_channel_commit(struct ist_channel *channel, size_t size);

/**
 * ist_channel_peek - look at the next message in place
 * @out: the message; valid until release. The sender could still change it: read once, check, use.
 *
 * Returns the length, or as ist_channel_recv(). Peeking again returns the same message.
 */
IST_API int64_t ist_channel_peek(struct ist_channel *channel, uint64_t timeout_ns,
				 const void **out);
IST_API int64_t ist_channel_try_peek(struct ist_channel *channel, const void **out);

/** ist_channel_release - done with the peeked message. Returns 0; -EINVAL nothing was peeked. */
IST_API int ist_channel_release(struct ist_channel *channel);

struct ist_message {
	void *data;
	size_t size; /* bytes; for receiving: in capacity, out length */
};

/**
 * ist_channel_try_send_batch - send up to @count messages, publishing and waking once
 *
 * Returns how many were sent (the first ones), or an error when the first could not be.
 */
IST_API int ist_channel_try_send_batch(struct ist_channel *channel,
				       const struct ist_message *messages, unsigned count);

/**
 * ist_channel_try_recv_batch - receive up to @count messages
 *
 * Returns how many were received, or an error when the first could not be.
 */
IST_API int ist_channel_try_recv_batch(struct ist_channel *channel, struct ist_message *messages,
				       unsigned count);

IST_END_DECLS

#endif
