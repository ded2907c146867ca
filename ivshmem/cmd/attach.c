/* SPDX-License-Identifier: BSD-2-Clause */
/* attach.c: DIR/INSTANCE.console: who connects there has the console of a guest, with others. */
#include "attach.h"
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ivshmem/door.h"
#include "ivshmem/log.h"

#define CLIENTS_MAX 8u
#define HISTORY_BYTES 4096u /* what a new client sees of the past */
#define RING_BYTES 65536u   /* how far a client may be behind */
#define INPUT_BYTES 65536u

struct client {
	int fd;        /* -1: none */
	uint64_t sent; /* of attach.total */
};

struct attach {
	struct ivshm_door door;
	bool open;      /* the door */
	bool ended;     /* the guest */
	int epoll;      /* of the listener, the pipe and the clients; edges */
	int input[2];   /* a pipe to the guest */
	uint64_t total; /* bytes that the guest has printed */
	struct client client[CLIENTS_MAX];
	char ring[RING_BYTES]; /* the last of them */
};

/* Every change is an edge: then all are looked at. */
static int watch(const struct attach *attach, int operation, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};

	return epoll_ctl(attach->epoll, operation, fd, &event) ? -errno : 0;
}

/* The pipe to the guest: a new one, or that of a guest which has one. */
static int open_input(struct attach *attach, const struct child *child)
{
	int fd = child->pidfd < 0 ? -ESRCH : child_open(child, STDIN_FILENO, O_RDONLY | O_NONBLOCK);

	if (fd == -ESRCH)
		return pipe2(attach->input, O_CLOEXEC) ? -errno : 0;
	if (fd < 0)
		return fd;
	attach->input[0] = fd;
	fd = child_open(child, STDIN_FILENO, O_WRONLY | O_NONBLOCK);
	if (fd < 0)
		return fd;
	attach->input[1] = fd;
	return 0;
}

int attach_create(const char *dir, const struct child *child, struct attach **out)
{
	struct attach *attach = calloc(1, sizeof(*attach));
	const char *name = child->instance->name;
	char error[1024];
	int ret;

	if (!attach) {
		ret = -ENOMEM;
		goto tell;
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		attach->client[i].fd = -1;
	attach->door.listener = attach->input[0] = attach->input[1] = -1;
	attach->epoll = epoll_create1(EPOLL_CLOEXEC);
	ret = attach->epoll < 0 ? -errno : open_input(attach, child);
	if (ret)
		goto tell;
	ret = ivshm_door_open(&attach->door, &ivshm_console_door, dir, name, 0600, error,
			      sizeof(error));
	if (ret) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", error);
		goto fail;
	}
	attach->open = true;
	ret = watch(attach, EPOLL_CTL_ADD, attach->door.listener);
	if (!ret)
		ret = watch(attach, EPOLL_CTL_ADD, attach->input[1]);
	if (ret)
		goto tell;
	*out = attach;
	return 0;

tell:
	ivshm_log(IVSHM_LOG_ERROR, "console '%s': %s", name, strerror(-ret));
fail:
	attach_destroy(attach);
	return ret;
}

int attach_input(const struct attach *attach)
{
	return attach ? attach->input[0] : -1;
}

void attach_close(struct attach *attach)
{
	if (!attach || !attach->open)
		return;
	ivshm_door_close(&attach->door);
	attach->open = false;
}

static void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void attach_destroy(struct attach *attach)
{
	if (!attach)
		return;
	attach_close(attach);
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		hang_up(&attach->client[i].fd);
	hang_up(&attach->door.listener);
	hang_up(&attach->input[0]);
	hang_up(&attach->input[1]);
	hang_up(&attach->epoll);
	free(attach);
}

int attach_fd(const struct attach *attach)
{
	return attach ? attach->epoll : -1;
}

/* When all places are taken, the last one's changes hands. */
static void take_client(struct attach *attach)
{
	struct client *client = attach->client;
	int fd = accept4(attach->door.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	while (client->fd >= 0 && client < &attach->client[CLIENTS_MAX - 1])
		client++;
	hang_up(&client->fd);
	client->fd = fd;
	client->sent = attach->total > HISTORY_BYTES ? attach->total - HISTORY_BYTES : 0;
	if (watch(attach, EPOLL_CTL_ADD, fd))
		hang_up(&client->fd);
	watch(attach, EPOLL_CTL_MOD, attach->door.listener); /* there may be more */
}

/* From the client to the guest, as much as its pipe takes. */
static void take_input(struct attach *attach, struct client *client)
{
	ssize_t n =
		splice(client->fd, NULL, attach->input[1], NULL, INPUT_BYTES, SPLICE_F_NONBLOCK);

	if (n > 0)
		watch(attach, EPOLL_CTL_MOD, client->fd); /* there may be more */
	else if (n == 0 || errno != EAGAIN)
		hang_up(&client->fd);
}

/* To the client, as much as it takes. */
static void send_output(struct attach *attach, struct client *client)
{
	while (client->fd >= 0 && client->sent < attach->total) {
		size_t at = client->sent % RING_BYTES;
		size_t size = attach->total - client->sent;
		ssize_t n;

		if (size > RING_BYTES - at)
			size = RING_BYTES - at;
		n = send(client->fd, attach->ring + at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			client->sent += (size_t)n;
		else if (errno == EAGAIN)
			return;
		else
			hang_up(&client->fd);
	}
	if (attach->ended)
		hang_up(&client->fd);
}

void attach_serve(struct attach *attach)
{
	struct epoll_event events[2 + CLIENTS_MAX];

	if (!attach || epoll_wait(attach->epoll, events, 2 + CLIENTS_MAX, 0) <= 0)
		return;
	take_client(attach);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (attach->client[i].fd >= 0)
			take_input(attach, &attach->client[i]);
		send_output(attach, &attach->client[i]);
	}
}

void attach_output(struct attach *attach, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		attach->ring[(attach->total + i) % RING_BYTES] = data[i];
	attach->total += size;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &attach->client[i];

		if (attach->total - client->sent > RING_BYTES)
			hang_up(&client->fd);
		send_output(attach, client);
	}
}

void attach_end(struct attach *attach)
{
	if (!attach || attach->ended)
		return;
	attach->ended = true;
	hang_up(&attach->door.listener);
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		send_output(attach, &attach->client[i]);
}
