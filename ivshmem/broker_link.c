/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_link.c: a connection: who is behind it, and its two ends.
 *
 * Its socket and its process end independently. An incarnation that did not say BYE ends with its
 * process: until then its mappings may be in use.
 */
#include "broker_internal.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

/* Enough for some packets. Descriptors under way count against the limits of the broker's user. */
#define SEND_BUFFER 4096
#define UNREAD_MAX 256u /* packets taken of one link in a go when its end is near */

void ivshm_link_free(struct ivshm_link *link)
{
	struct ivshm_link **at = &link->group->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	free(link);
}

/* Unread packets would make the other side's next read fail, before it reads why. */
static void close_socket(struct ivshm_link *link)
{
	for (unsigned i = 0; i < UNREAD_MAX; i++) {
		if (recv(link->socket.fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) <= 0)
			break;
	}
	ivshm_watch_close(&link->socket);
}

/* The connection is over. Frees the link, unless it is kept until its process has ended. */
static void hang_up(struct ivshm_link *link)
{
	bool admitted = link->stage != IVSHM_STAGE_HELLO;

	close_socket(link);
	if (link->stage == IVSHM_STAGE_BACK) { /* it may try again */
		link->away = true;
		memset(link->told, 0, sizeof(link->told));
		link->stage = IVSHM_STAGE_DEAF;
		return;
	}
	link->stage = IVSHM_STAGE_DEAF;
	if (admitted && !link->bye) {
		ivshm_seat_leaving(link);
		return;
	}
	ivshm_watch_close(&link->process);
	if (admitted)
		ivshm_seat_end(link, IST_PEER_ABSENT);
	else
		link->group->strangers--;
	ivshm_link_free(link);
}

static void on_socket(void *owner, uint32_t events)
{
	struct ivshm_link *link = owner;
	int r = 0;

	if (events & ~(uint32_t)EPOLLOUT)
		r = ivshm_link_receive(link);
	if (r && r != -EAGAIN)
		hang_up(link);
	else if (events & EPOLLOUT)
		ivshm_link_tell(link);
}

/* The process is gone, and its mappings with it. What it had sent before counts. */
static void on_process(void *owner, uint32_t events)
{
	struct ivshm_link *link = owner;
	struct ivshm_group *group = link->group;
	int r = link->socket.fd < 0 ? -EPIPE : 0;

	(void)events;
	for (unsigned i = 0; r == 0 && i < UNREAD_MAX; i++)
		r = ivshm_link_receive(link);
	if (link->socket.fd >= 0)
		close_socket(link);
	ivshm_watch_close(&link->process);
	if (link->stage == IVSHM_STAGE_HELLO) {
		link->group->strangers--;
	} else {
		link->stage = IVSHM_STAGE_DEAF;
		ivshm_seat_end(link, link->bye ? IST_PEER_ABSENT : IST_PEER_DEAD);
	}
	ivshm_link_free(link);
	if (!group->memory.map)
		ivshm_group_renew(group);
}

static bool may_join(const struct ivshm_group *group, uid_t uid)
{
	if (uid == 0 || uid == geteuid())
		return true;
	for (unsigned i = 0; i < group->users_count; i++) {
		if (group->users[i] == uid)
			return true;
	}
	return false;
}

/* A pidfd of who connected. */
static int open_process(int socket, pid_t pid)
{
	struct pollfd p = {.fd = socket, .events = POLLRDHUP};
	int fd;
	socklen_t size = sizeof(fd);

	if (!getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size))
		return fd;
	if (errno != ENOPROTOOPT)
		return -errno;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	/* Who has not hung up by now has lived until now: its number is still its own. */
	if (poll(&p, 1, 0) != 0) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

static int identify(struct ivshm_link *link)
{
	struct ivshm_group *group = link->group;
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(link->socket.fd, SOL_SOCKET, SO_PEERCRED, &who, &size))
		return -errno;
	link->pid = who.pid;
	link->uid = who.uid;
	if (!may_join(group, who.uid)) {
		ivshm_link_refuse(link, EACCES, "user %u may not join group '%s'",
				  (unsigned)who.uid, group->config->name);
		return -EACCES;
	}
	if (!link->legacy && group->strangers >= IVSHM_STRANGERS_MAX) {
		ivshm_link_refuse(link, EAGAIN, "%u connections have not said HELLO yet",
				  group->strangers);
		return -EBUSY;
	}
	link->process.fd = open_process(link->socket.fd, who.pid);
	return link->process.fd < 0 ? link->process.fd : 0;
}

/* Takes over the socket, on errors too. */
int ivshm_link_create(struct ivshm_group *group, int socket, const struct ivshm_legacy *legacy)
{
	struct ivshm_link *link = calloc(1, sizeof(*link));
	int size = SEND_BUFFER;
	int r;

	if (!link) {
		close(socket);
		return -ENOMEM;
	}
	link->group = group;
	link->legacy = legacy;
	link->socket = (struct ivshm_watch){.fd = socket, .ready = on_socket, .owner = link};
	link->process = (struct ivshm_watch){.fd = -1, .ready = on_process, .owner = link};
	r = identify(link);
	if (r)
		goto out;
	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	r = ivshm_watch_add(group->broker, &link->socket, EPOLLIN | EPOLLRDHUP);
	if (r)
		goto out;
	r = ivshm_watch_add(group->broker, &link->process, EPOLLIN);
	if (r)
		goto out;
	link->next = group->links;
	group->links = link;
	group->strangers++;
	if (!legacy)
		ivshm_broker_tick_later(group->broker);
	else if (ivshm_legacy_join(link, legacy->id))
		hang_up(link);
	else
		ivshm_link_welcome(link);
	return 0;

out:
	ivshm_watch_close(&link->process);
	close_socket(link);
	free(link);
	return r;
}

void ivshm_link_tick(struct ivshm_link *link)
{
	if (link->deferred)
		ivshm_link_tell(link);
	if (link->blocked && link->ticks < IVSHM_PATIENCE_SECONDS * IVSHM_TICKS_A_SECOND) {
		ivshm_broker_tick_later(link->group->broker);
		if (++link->ticks == IVSHM_PATIENCE_SECONDS * IVSHM_TICKS_A_SECOND)
			ivshm_broker_warn(link->group->broker,
					  "group %s: peer %s (pid %d) has not read its socket for "
					  "%d seconds",
					  link->group->config->name, ivshm_link_name(link),
					  (int)link->pid, IVSHM_PATIENCE_SECONDS);
	}
	if (link->stage != IVSHM_STAGE_HELLO && link->stage != IVSHM_STAGE_BACK)
		return;
	ivshm_broker_tick_later(link->group->broker);
	if (++link->ticks <= IVSHM_HELLO_SECONDS * IVSHM_TICKS_A_SECOND)
		return;
	if (link->holds)
		ivshm_link_refuse(link, EAGAIN, "group '%s' waits for its memory",
				  link->group->config->name);
	else
		ivshm_link_refuse(link, ETIMEDOUT, "no %s in %d seconds",
				  link->stage == IVSHM_STAGE_BACK ? "READY" : "HELLO",
				  IVSHM_HELLO_SECONDS);
	hang_up(link);
}

/* Whose HELLO has waited. One that is refused is gone from the list: it begins anew. */
void ivshm_group_hear_held(struct ivshm_group *group)
{
	struct ivshm_link *link = group->links;

	while (link) {
		struct ist_wire wire = link->held;

		if (!link->holds) {
			link = link->next;
			continue;
		}
		if (ivshm_link_hello(link, &wire))
			hang_up(link);
		link = group->links;
	}
}

/* Whose process is known, and nothing more of it is here: a link without a socket. NULL: no room.
 */
struct ivshm_link *ivshm_link_await(struct ivshm_group *group, uint32_t id, pid_t pid, int pidfd)
{
	struct ivshm_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->group = group;
	link->id = id;
	link->pid = pid;
	link->stage = IVSHM_STAGE_DEAF;
	link->away = true;
	link->socket = (struct ivshm_watch){.fd = -1, .ready = on_socket, .owner = link};
	link->process = (struct ivshm_watch){.fd = pidfd, .ready = on_process, .owner = link};
	if (pidfd >= 0 && ivshm_watch_add(group->broker, &link->process, EPOLLIN)) {
		free(link);
		return NULL;
	}
	link->next = group->links;
	group->links = link;
	return link;
}

/* The broker goes, the peer stays: its roster entry is left as it is. */
void ivshm_link_destroy(struct ivshm_link *link)
{
	if (link->socket.fd >= 0)
		close_socket(link);
	ivshm_watch_close(&link->process);
	if (link->stage != IVSHM_STAGE_HELLO) {
		struct ivshm_seat *seat = &link->group->seat[link->id];

		for (uint32_t i = 0; i < link->group->bells; i++)
			if (seat->fds[i] >= 0)
				close(seat->fds[i]);
	}
	ivshm_link_free(link);
}
