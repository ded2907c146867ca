/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_link.c: a connection: who is behind it, what it says, and its two ends.
 *
 * Its socket and its process end independently. An incarnation that did not say BYE ends with its
 * process: until then its mappings may be in use.
 */
#include "broker_internal.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
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

void ivshm_link_refuse(struct ivshm_link *link, int code, const char *format, ...)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_ERROR, .code = (uint32_t)code}};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(packet.wire.text, sizeof(packet.wire.text), format, arguments);
	va_end(arguments);
	if (!link->legacy)
		ivshm_wire_send(link->socket.fd, &packet);
	ivshm_broker_warn(link->group->broker, "group %s: refused pid %d of user %u: %s",
			  link->group->config->name, (int)link->pid, (unsigned)link->uid,
			  packet.wire.text);
}

static const char *instance_name(const struct ivshm_group *group, uint32_t id)
{
	return group->broker->config->instances[group->config->member[id]].name;
}

const char *ivshm_link_name(const struct ivshm_link *link)
{
	return instance_name(link->group, link->id);
}

uint32_t ivshm_group_find(const struct ivshm_group *group, const char *name)
{
	uint32_t id = 0;

	while (id < group->config->members_count && strcmp(instance_name(group, id), name) != 0)
		id++;
	return id;
}

/* Who would bypass the pagers may not join, nor who does not know of them. True: refused. */
static bool refuse_pages(struct ivshm_link *link, const struct ist_wire *wire, uint32_t id)
{
	const struct ivshm_group *group = link->group;
	const struct ivshm_region_config *paged =
		ivshm_config_paged(group->broker->config, group->config, id);

	if (wire->kind == IST_KIND_APP || wire->kind == IST_KIND_LINUX ||
	    (wire->kind == IST_KIND_PROCESS && paged)) {
		if (IVSHM_WIRE_ABI_MINOR(wire->abi) >= 1)
			return false;
		ivshm_link_refuse(link, EPROTONOSUPPORT,
				  "group '%s' has a page-coherent region: that takes isthmus ABI "
				  "1.1, not 1.%u",
				  group->config->name, IVSHM_WIRE_ABI_MINOR(wire->abi));
		return true;
	}
	if (paged)
		ivshm_link_refuse(link, EACCES,
				  "instance '%s' has no pager: it has no right on page-coherent "
				  "region '%s'",
				  wire->name, paged->name);
	return paged;
}

static void end(struct ivshm_link *link, uint32_t state)
{
	ivshm_watch_close(&link->process);
	ivshm_seat_end(link, state);
	ivshm_link_free(link);
}

/*
 * Who is held for and says HELLO has left meanwhile, and its BYE met no broker. One process joins
 * an ID once at a time.
 */
static void free_seat(const struct ivshm_link *link, uint32_t id)
{
	struct ivshm_link *sitting = link->group->seat[id].link;

	if (sitting && sitting->away && !sitting->legacy && sitting->pid == link->pid)
		end(sitting, IST_PEER_ABSENT);
}

/* It has a seat. */
static void welcome(struct ivshm_link *link)
{
	link->group->strangers--;
	link->stage = IVSHM_STAGE_WELCOME;
	ivshm_link_tell(link);
}

static int hear_hello(struct ivshm_link *link, const struct ist_wire *wire)
{
	struct ivshm_group *group = link->group;
	uint32_t id = ivshm_group_find(group, wire->name);
	int r;

	link->holds = false;

	if (IVSHM_WIRE_ABI_MAJOR(wire->abi) != IST_ABI_MAJOR) {
		ivshm_link_refuse(link, EPROTONOSUPPORT,
				  "isthmus ABI %u.%u is not spoken here (this broker: %u.%u)",
				  IVSHM_WIRE_ABI_MAJOR(wire->abi), IVSHM_WIRE_ABI_MINOR(wire->abi),
				  IST_ABI_MAJOR, IST_ABI_MINOR);
		return -EPROTO;
	}
	if (wire->kind > IST_KIND_PROCESS) {
		ivshm_link_refuse(link, EINVAL, "%u is not a kind of instance", wire->kind);
		return -EPROTO;
	}
	if (id == group->config->members_count) {
		ivshm_link_refuse(link, EACCES, "instance '%s' is not in group '%s'", wire->name,
				  group->config->name);
		return -EACCES;
	}
	if (group->bells != group->config->vectors && refuse_pages(link, wire, id))
		return -EACCES;
	if (!group->memory.map && ivshm_group_renew(group)) {
		link->holds = true;
		link->held = *wire;
		return 0;
	}
	free_seat(link, id);
	if (group->seat[id].link) {
		ivshm_link_refuse(link, EBUSY, "instance '%s' is already in group '%s' (pid %d)",
				  wire->name, group->config->name, (int)group->seat[id].link->pid);
		return -EBUSY;
	}
	r = ivshm_seat_admit(link, id, wire->kind);
	if (r) {
		ivshm_link_refuse(link, -r, "instance '%s': no eventfds: %s", wire->name,
				  strerror(-r));
		return r;
	}
	link->run_state = group->run_page >= 0 && IVSHM_WIRE_ABI_MINOR(wire->abi) >= 1;
	welcome(link);
	return 0;
}

/* Not a message that may come now. */
static int out_of_order(struct ivshm_link *link, const struct ist_wire *wire)
{
	static const char *const name[] = {
		[IST_WIRE_HELLO] = "HELLO",
		[IST_WIRE_WELCOME] = "WELCOME",
		[IST_WIRE_REGION] = "REGION",
		[IST_WIRE_PEER] = "PEER",
		[IST_WIRE_READY] = "READY",
		[IST_WIRE_GONE] = "GONE",
		[IST_WIRE_BYE] = "BYE",
		[IST_WIRE_ERROR] = "ERROR",
		[IST_WIRE_RUN_STATE] = "RUN_STATE",
		[IST_WIRE_THREAD] = "THREAD",
		[IST_WIRE_RECALL] = "RECALL",
		[IST_WIRE_REATTACH] = "REATTACH",
		[IST_WIRE_BELLS] = "BELLS",
	};

	if (wire->type >= sizeof(name) / sizeof(name[0]) || !name[wire->type])
		ivshm_link_refuse(link, EPROTO, "unknown message type %u", wire->type);
	else
		ivshm_link_refuse(link, EPROTO, "%s is out of order here", name[wire->type]);
	return -EPROTO;
}

static int hear(struct ivshm_link *link, const struct ist_wire *wire)
{
	bool told = link->stage == IVSHM_STAGE_UPDATES;

	if (wire->type == IST_WIRE_HELLO && link->stage == IVSHM_STAGE_HELLO && !link->holds)
		return hear_hello(link, wire);
	if (wire->type == IST_WIRE_READY && link->stage == IVSHM_STAGE_BACK)
		return ivshm_link_back(link);
	if (wire->type == IST_WIRE_THREAD && told && (!link->ready || link->returned) &&
	    link->run_state)
		return ivshm_link_thread(link, wire);
	if (wire->type == IST_WIRE_READY && told && !link->ready) {
		link->ready = true;
		ivshm_seat_live(link);
		return 0;
	}
	if (wire->type == IST_WIRE_BYE && link->stage > IVSHM_STAGE_HELLO && !link->bye) {
		link->bye = true;
		link->stage = IVSHM_STAGE_DEAF;
		ivshm_seat_leaving(link);
		return 0;
	}
	if (wire->type == IST_WIRE_RECALL && link->ready && !link->bye && ivshm_link_pages(link))
		return ivshm_recall(link, wire);
	if (wire->type == IST_WIRE_ERROR && link->stage > IVSHM_STAGE_HELLO && !link->bye &&
	    ivshm_link_pages(link)) {
		ivshm_broker_warn(link->group->broker, "group %s: peer %s (pid %d) says: %s",
				  link->group->config->name, instance_name(link->group, link->id),
				  (int)link->pid, wire->text);
		return 0;
	}
	return out_of_order(link, wire);
}

/* A packet with all that came with it, which whoever keeps it takes out. */
static int hear_packet(struct ivshm_link *link, struct ivshm_packet *packet)
{
	uint32_t type = packet->wire.type;

	if (type == IST_WIRE_REATTACH && link->stage == IVSHM_STAGE_HELLO && !link->holds)
		return ivshm_link_reattach(link, packet);
	if (type == IST_WIRE_BELLS && link->stage == IVSHM_STAGE_BACK)
		return ivshm_link_bells(link, packet);
	if (packet->fds_count == 0)
		return hear(link, &packet->wire);
	ivshm_link_refuse(link, EPROTO, "a peer sends no descriptors");
	return -EPROTO;
}

/* Takes one packet. Returns 0; -EAGAIN: there is none; others: the connection is over. */
static int receive_one(struct ivshm_link *link)
{
	struct ivshm_packet packet;
	int r;

	if (link->legacy)
		return ivshm_legacy_hear(link);
	r = ivshm_wire_receive(link->socket.fd, &packet);
	switch (r) {
	case 0:
		break;
	case -EMSGSIZE:
		ivshm_link_refuse(link, EMSGSIZE, "a message is %zu bytes, no more and no less",
				  sizeof(packet.wire));
		return r;
	case -EBADMSG:
		ivshm_link_refuse(link, EBADMSG, "a name or text is not terminated");
		return r;
	case -EMFILE:
		ivshm_link_refuse(link, EMFILE, "no room for the descriptors that came");
		return r;
	case -ETOOMANYREFS:
		ivshm_link_refuse(link, EPROTO, "a peer sends no descriptors");
		return r;
	default:
		return r;
	}
	r = hear_packet(link, &packet);
	ivshm_wire_close_fds(&packet);
	return r;
}

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
		r = receive_one(link);
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
		r = receive_one(link);
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
		welcome(link);
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
		if (hear_hello(link, &wire))
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
