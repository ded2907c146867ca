/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait.c: waiting for our own doorbells, in any number of threads.
 *
 * One waiter polls the eventfds and the broker's socket for all; the others sleep on a condition
 * variable. Whoever polls counts what it found and wakes them, and any of them polls next. Nothing
 * is lost between two of them: an eventfd stays readable until somebody has read and counted it.
 */
#include "host.h"
#include "words.h"

#include <isthmus/app.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

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
 * counts once: a hostile peer chooses the value.
 */
static bool take(int fd)
{
	uint64_t value;
	struct iovec data = {.iov_base = &value, .iov_len = sizeof(value)};

	return preadv2(fd, &data, 1, -1, RWF_NOWAIT) == sizeof(value);
}

/* Polls once, until the deadline, and counts what it finds. Returns whether that was a doorbell. */
static bool poll_all(struct ist_host *host, uint64_t deadline)
{
	struct ist_host_bells *bells = &host->bells;
	struct pollfd fds[IST_VECTORS_MAX + 2];
	uint32_t i, kick = bells->vectors, sock = bells->vectors + 1;
	struct timespec timeout;
	bool counted = false;
	uint64_t now;

	for (i = 0; i < bells->vectors; i++)
		fds[i] = (struct pollfd){.fd = bells->fd[i], .events = POLLIN};
	fds[kick] = (struct pollfd){.fd = bells->kick, .events = POLLIN};
	fds[sock] = (struct pollfd){.fd = host->sock, .events = POLLIN};
	if (ist_load32(&host->peers.gone) == IST_HOST_GONE_OVER)
		fds[sock].fd = -1;
	now = deadline == IST_FOREVER ? 0 : ist_time_ns();
	timeout = to_timespec(deadline > now ? deadline - now : 0);
	if (ppoll(fds, sock + 1, deadline == IST_FOREVER ? NULL : &timeout, NULL) <= 0)
		return false;
	/* The table of peers first: who is woken by vector 0 may ring a newcomer at once. */
	if (fds[sock].revents || fds[IST_VECTOR_ROSTER].revents)
		ist_host_drain(host);
	for (i = 0; i < bells->vectors; i++) {
		if (!fds[i].revents || !take(bells->fd[i]))
			continue;
		/* Release: who acquires the new total finds the vector's count. */
		__atomic_fetch_add(&bells->count[i], 1, __ATOMIC_RELEASE);
		__atomic_fetch_add(&bells->total, 1, __ATOMIC_RELEASE);
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
