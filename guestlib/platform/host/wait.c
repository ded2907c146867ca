/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait.c: waiting for our own doorbells, in any number of threads.
 *
 * One waiter polls the eventfds and the broker's socket for all; the others sleep on a condition
 * variable. Whoever polls counts what it found and wakes them, and any of them polls next. Nothing
 * is lost between two of them: an eventfd stays readable until somebody has read and counted it.
 *
 * For the same reason a vector that is rung more often than the group allows can be left out: each
 * may run AHEAD_NS ahead of its pace, then it is looked at when it is no longer, or every PAUSE_NS.
 */
#include "host.h"
#include "words.h"

#include <isthmus/app.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define AHEAD_NS 10000000ull /* the rings of so long may come at once */
#define PAUSE_NS 1000000ull
#define RINGS_MAX (1u << 20) /* a hostile peer chooses the number */

int ist_host_bells_init(struct ist_host_bells *bells, const struct ist_host_peer *self)
{
	bells->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bells->kick < 0)
		return -errno;
	bells->vectors = self->vectors;
	__builtin_memcpy(bells->fd, self->fd, sizeof(bells->fd));
	pthread_mutex_init(&bells->lock, NULL);
	pthread_cond_init(&bells->moved, NULL);
	return 0;
}

void ist_host_bells_fini(struct ist_host_bells *bells)
{
	pthread_cond_destroy(&bells->moved);
	pthread_mutex_destroy(&bells->lock);
	close(bells->kick);
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

/*
 * Empties an eventfd without blocking, whatever flags a peer that shares it has set. A reading
 * counts once: a hostile peer chooses the value. 0: it was empty.
 */
static uint64_t take(int fd)
{
	uint64_t value = 0;
	struct iovec data = {.iov_base = &value, .iov_len = sizeof(value)};

	return preadv2(fd, &data, 1, -1, RWF_NOWAIT) == sizeof(value) ? value : 0;
}

/* Until when the vector is left out. */
static uint64_t held_until(const struct ist_host_bells *bells, uint32_t vector)
{
	uint64_t due = ist_load(&bells->due[vector]);

	return due > AHEAD_NS ? due - AHEAD_NS : 0;
}

/* Two threads that do this at a time may count one's rings only: it is a limit of many. */
static void count_against(struct ist_host_bells *bells, uint32_t vector, uint64_t rings)
{
	uint64_t due = ist_load(&bells->due[vector]), now, most;

	if (!bells->apart)
		return;
	now = ist_time_ns();
	most = now + AHEAD_NS + PAUSE_NS;
	due = (due > now ? due : now) + (rings < RINGS_MAX ? rings : RINGS_MAX) * bells->apart;
	__atomic_store_n(&bells->due[vector], due < most ? due : most, __ATOMIC_RELAXED);
}

/* Polls once, until the deadline, and counts what it finds. Returns whether that was a doorbell. */
static bool poll_all(struct ist_host *host, uint64_t deadline)
{
	struct ist_host_bells *bells = &host->bells;
	struct pollfd fds[IST_VECTORS_MAX + 2];
	uint32_t i, kick = bells->vectors, sock = bells->vectors + 1;
	struct timespec timeout;
	bool counted = false;
	uint64_t now = deadline == IST_FOREVER && !bells->apart ? 0 : ist_time_ns();

	for (i = 0; i < bells->vectors; i++) {
		uint64_t held = bells->apart ? held_until(bells, i) : 0;

		fds[i] = (struct pollfd){.fd = held > now ? -1 : bells->fd[i], .events = POLLIN};
		if (held > now && held < deadline)
			deadline = held;
	}
	fds[kick] = (struct pollfd){.fd = bells->kick, .events = POLLIN};
	fds[sock] = (struct pollfd){.fd = host->sock, .events = POLLIN};
	if (ist_load32(&host->peers.gone) == IST_HOST_GONE_OVER)
		fds[sock].fd = -1;
	timeout = to_timespec(deadline > now ? deadline - now : 0);
	if (ppoll(fds, sock + 1, deadline == IST_FOREVER ? NULL : &timeout, NULL) <= 0)
		return false;
	/* The table of peers first: who is woken by vector 0 may ring a newcomer at once. */
	if (fds[sock].revents || fds[IST_VECTOR_ROSTER].revents)
		ist_host_drain(host);
	for (i = 0; i < bells->vectors; i++) {
		uint64_t rings = fds[i].revents ? take(bells->fd[i]) : 0;

		if (!rings)
			continue;
		/* Release: who acquires the new total finds the vector's count. */
		__atomic_fetch_add(&bells->count[i], 1, __ATOMIC_RELEASE);
		__atomic_fetch_add(&bells->total, 1, __ATOMIC_RELEASE);
		count_against(bells, i, rings);
		counted = true;
	}
	return counted;
}

void ist_host_bells_wait(struct ist_host *host, uint32_t seen, uint64_t deadline)
{
	struct ist_host_bells *bells = &host->bells;
	struct timespec until = to_timespec(deadline);
	const uint64_t one = 1;
	bool leads, counted;

	pthread_mutex_lock(&bells->lock);
	if (ist_load32(&bells->total) != seen)
		goto unlock;
	if (bells->polled && ist_time_ns() < deadline) {
		if (deadline == IST_FOREVER)
			pthread_cond_wait(&bells->moved, &bells->lock);
		else
			pthread_cond_clockwait(&bells->moved, &bells->lock, CLOCK_MONOTONIC,
					       &until);
		goto unlock;
	}
	/* Even after the deadline what has arrived is counted, whoever else polls. */
	leads = !bells->polled;
	bells->polled = true;
	pthread_mutex_unlock(&bells->lock);

	counted = poll_all(host, deadline);

	pthread_mutex_lock(&bells->lock);
	if (leads) {
		take(bells->kick);
		bells->polled = false;
	} else if (counted && bells->polled) {
		/* The leader sleeps on eventfds that we have emptied. */
		(void)!write(bells->kick, &one, sizeof(one));
	}
	pthread_cond_broadcast(&bells->moved);
unlock:
	pthread_mutex_unlock(&bells->lock);
}
