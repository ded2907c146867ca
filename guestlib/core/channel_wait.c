/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * channel_wait.c: waiting for the other end, and waking it.
 *
 * Arm, fence, look again, sleep; publish, fence, look whether the other is armed, ring: either the
 * sleeper sees what was published or the publisher sees that it is armed (Dekker). The publisher
 * leaves its fence out while the other end's word says that it polls. That word may be old for as
 * long as a store takes to leave the store buffer, just after a polling end was followed by one
 * that sleeps: so the first sleep of an attachment is short.
 *
 * Who has lost its processor while it had work to do gets it back in its time, which is longer than
 * any spin: where the run-state page says so, the waiter sleeps: soon, not at once. It may have
 * been taken off for an interrupt's sake; and where two pairs share two processors, each with one
 * end on one, and both that wait sleep at the same time, each lets the other pair's end run, and so
 * on. Who sleeps of its own accord is about to be woken: there it spins as it would without the
 * page.
 */
#include "channel.h"
#include "platform.h"
#include "run_state.h"
#include "wait.h"
#include "words.h"

#include <isthmus/app.h>

#define FIRST_SLEEP_NS 1000000ull
/* More looks at the page in a row than this, a few us, say that the other end is off. */
#define LOOKS_OFF 4u

void ist_channel_kick(struct ist_channel *channel)
{
	uint64_t wake, owner;

	ist_fence(); /* pairs with the one in channel_sleep() */
	wake = ist_load_acquire(&channel->other->wake);
	if (IST_WAKE_STATE(wake) != IST_WAKE_ARMED || wake == channel->rung)
		return;
	owner = ist_load(&channel->other->owner);
	if (ist_platform_ring(channel->group, IST_OWNER_ID(owner), IST_OWNER_INCARNATION(owner),
			      channel->vector) == 0)
		channel->rung = wake;
}

/* Whether the other end was taken off its processor: not asleep, and not running. */
static int preempted(const struct ist_channel *channel)
{
	uint64_t owner = channel->other_owner;

	return ist_run_state_of(channel->group, IST_OWNER_ID(owner),
				IST_OWNER_INCARNATION(owner)) == 0 &&
	       IST_WAKE_STATE(ist_load(&channel->other->wake)) != IST_WAKE_ARMED;
}

/* Returns what `ready` did, at last -EAGAIN; or -EBUSY: the other end is preempted. */
static int64_t spin(struct ist_channel *channel, int64_t (*ready)(struct ist_channel *),
		    uint64_t until)
{
	int64_t result;
	unsigned i, off = 0;

	for (i = 0;; i++) {
		result = ready(channel);
		if (result != -EAGAIN)
			return result;
		if (i % IST_SPINS_A_LOOK == 0 && !(channel->flags & IST_CHANNEL_POLL)) {
			off = preempted(channel) ? off + 1 : 0;
			if (off > LOOKS_OFF)
				return -EBUSY;
		}
		ist_relax(); /* also keeps loads from running ahead, to be thrown away */
		if (i % IST_SPINS_A_LOOK == IST_SPINS_A_LOOK - 1 && until != IST_FOREVER &&
		    ist_time_ns() >= until)
			return -EAGAIN;
	}
}

/* Arms and sleeps until rung, or until the time. */
static int64_t channel_sleep(struct ist_channel *channel, int64_t (*ready)(struct ist_channel *),
			     uint64_t deadline)
{
	uint32_t seen = ist_platform_count_all(channel->group);
	uint64_t most = channel->armed ? IST_SLEEP_NS : FIRST_SLEEP_NS;
	int64_t result;

	ist_store_release(&channel->own->wake,
			  IST_WAKE(IST_WAKE_ARMED, ++channel->armed, channel->generation));
	ist_fence(); /* pairs with the one in ist_channel_kick() */
	result = ready(channel);
	if (result == -EAGAIN)
		ist_platform_wait(channel->group, seen,
				  ist_earlier(deadline, ist_later(ist_time_ns(), most)));
	ist_store_release(&channel->own->wake,
			  IST_WAKE(IST_WAKE_AWAKE, channel->armed, channel->generation));
	return result;
}

int64_t ist_channel_wait(struct ist_channel *channel, int64_t (*ready)(struct ist_channel *),
			 uint64_t timeout_ns)
{
	uint64_t deadline = IST_FOREVER, now;
	int64_t result;

	if (timeout_ns == 0)
		return -ETIMEDOUT;
	if (channel->flags & IST_CHANNEL_POLL) {
		if (timeout_ns != IST_FOREVER)
			deadline = ist_later(ist_time_ns(), timeout_ns);
		result = spin(channel, ready, deadline);
		return result == -EAGAIN ? -ETIMEDOUT : result;
	}
	now = ist_time_ns();
	deadline = ist_later(now, timeout_ns);
	for (;;) {
		result = spin(channel, ready,
			      ist_earlier(deadline, ist_later(now, channel->spin_ns)));
		if (result != -EAGAIN && result != -EBUSY) {
			channel->spin_ns = ist_earlier(channel->spin_ns * 2, IST_SPIN_MAX_NS);
			return result;
		}
		/* A preemption says nothing of how long the other end takes when it runs. */
		if (result == -EAGAIN && channel->spin_ns > IST_SPIN_MIN_NS)
			channel->spin_ns /= 2;
		result = channel_sleep(channel, ready, deadline);
		if (result != -EAGAIN)
			return result;
		if (ist_group_gone(channel->group))
			return ist_channel_break(channel);
		now = ist_time_ns();
		if (now >= deadline) {
			result = ready(channel);
			return result == -EAGAIN ? -ETIMEDOUT : result;
		}
	}
}
