/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_legacy.c: peers that speak QEMU's ivshmem-server protocol, each at a socket of its own.
 * docs/protocol.md, "QEMU's sockets". Source: QEMU docs/specs/ivshmem-spec.txt.
 *
 * Such a peer is a link as any other. What it is told follows, as for the others, from what it was
 * told last: the step of its welcome, and for each ID how many doorbells of which incarnation.
 */
#include "broker_internal.h"
#include "log.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define PROTOCOL_VERSION 0
#define MEMORY_FOLLOWS (-1)

/* ---- Telling --------------------------------------------------------------------------------- */

/* One message; `descriptor` -1: none. 0 or -errno, as ivshm_wire_send(). */
static int send_number(const struct ivshm_link *link, int64_t number, int descriptor)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	uint64_t little = htole64((uint64_t)number);
	struct iovec data = {&little, sizeof(little)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (descriptor >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	for (;;) {
		/* So few bytes are one buffer of the kernel's: all of them or none. */
		if (sendmsg(link->socket.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* QEMU must not be told a number again that was gone. The peer is passed over. */
static void pass_over(struct ivshm_link *link, uint32_t id)
{
	struct ivshm_told *told = &link->told[id];

	ivshm_broker_warn(link->group->broker,
			  "group %s: %s has been told of %u incarnations of peer %u: QEMU takes no "
			  "more, its doorbells to it go nowhere until it is started again",
			  link->group->config->name, ivshm_link_name(link), IST_QEMU_INCARNATIONS,
			  id);
	told->incarnation = link->group->seat[id].incarnation;
	told->vectors = link->group->config->vectors;
	told->unnumbered = 1;
}

/* The next doorbell of an ID, its own included. */
static int tell_doorbell(struct ivshm_link *link, uint32_t id)
{
	const struct ivshm_seat *seat = &link->group->seat[id];
	struct ivshm_told *told = &link->told[id];
	int r;

	if (told->first && seat->incarnation - told->first >= IST_QEMU_INCARNATIONS) {
		pass_over(link, id);
		return 0;
	}
	r = send_number(link, IST_QEMU_NUMBER(id, seat->incarnation), seat->fds[told->vectors]);
	if (r == 0) {
		told->incarnation = seat->incarnation;
		told->first = told->first ? told->first : seat->incarnation;
		told->vectors++;
	}
	return r;
}

static int tell_gone(struct ivshm_link *link, uint32_t id)
{
	struct ivshm_told *told = &link->told[id];
	int r = 0;

	if (!told->unnumbered)
		r = send_number(link, IST_QEMU_NUMBER(id, told->incarnation), -1);
	if (r == 0)
		*told = (struct ivshm_told){.first = told->first};
	return r;
}

/* Doorbells of an incarnation that were begun to be told are told to the last, unless it ends. */
static bool is_news(const struct ivshm_link *link, uint32_t id)
{
	const struct ivshm_told *told = &link->told[id];

	if (id == link->id)
		return false;
	if (told->incarnation == 0)
		return link->group->seat[id].state == IST_PEER_LIVE &&
		       ivshm_seat_rings(&link->group->seat[id], link->group->config->vectors);
	return !told->gone && told->vectors < link->group->config->vectors;
}

static int tell_update(struct ivshm_link *link)
{
	for (uint32_t id = 0; id < link->group->config->max_peers; id++) {
		if (link->told[id].gone)
			return tell_gone(link, id);
		if (is_news(link, id))
			return tell_doorbell(link, id);
	}
	return 1;
}

static int tell_present(struct ivshm_link *link)
{
	for (; link->at < link->group->config->max_peers; link->at++) {
		if (is_news(link, link->at))
			return tell_doorbell(link, link->at);
	}
	return 1;
}

/* Version, ID, memory. */
static int tell_welcome(struct ivshm_link *link)
{
	int r;

	switch (link->at) {
	case 0:
		r = send_number(link, PROTOCOL_VERSION, -1);
		break;
	case 1:
		r = send_number(link,
				IST_QEMU_NUMBER(link->id, link->group->seat[link->id].incarnation),
				-1);
		break;
	case 2:
		r = send_number(link, MEMORY_FOLLOWS, link->group->memory.fd);
		break;
	default:
		return 1;
	}
	if (r == 0)
		link->at++;
	return r;
}

int ivshm_legacy_tell_next(struct ivshm_link *link)
{
	switch (link->stage) {
	case IVSHM_STAGE_WELCOME:
		return tell_welcome(link);
	case IVSHM_STAGE_PEERS:
		return tell_present(link);
	case IVSHM_STAGE_READY: /* its own doorbells come after those of others */
		if (link->told[link->id].vectors < link->group->config->vectors)
			return tell_doorbell(link, link->id);
		return 1;
	case IVSHM_STAGE_UPDATES:
		return tell_update(link);
	default:
		return 1;
	}
}

/* ---- Coming ---------------------------------------------------------------------------------- */

/* Whatever it says is wrong. A descriptor that comes with it is dropped by the kernel. */
int ivshm_legacy_hear(struct ivshm_link *link)
{
	char byte;
	ssize_t n = recv(link->socket.fd, &byte, sizeof(byte), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	ivshm_link_refuse(link, EPROTO, "instance '%s': QEMU's protocol has no messages to us",
			  ivshm_link_name(link));
	return -EPROTO;
}

/* Who connects is the instance whose socket this is, and wants to join. */
int ivshm_legacy_join(struct ivshm_link *link, uint32_t id)
{
	struct ivshm_group *group = link->group;
	const struct ivshm_instance_config *instance =
		&group->broker->config->instances[group->config->member[id]];
	int r;

	if (group->seat[id].link) {
		ivshm_link_refuse(link, EBUSY, "instance '%s' is already in group '%s' (pid %d)",
				  instance->name, group->config->name,
				  (int)group->seat[id].link->pid);
		return -EBUSY;
	}
	r = ivshm_seat_admit(link, id, IST_KIND_QEMU);
	if (r) {
		ivshm_link_refuse(link, -r, "instance '%s': no eventfds: %s", instance->name,
				  strerror(-r));
		return r;
	}
	return 0;
}

static void on_listener(void *owner, uint32_t events)
{
	struct ivshm_legacy *legacy = owner;

	(void)events;
	ivshm_group_accept(legacy->group, &legacy->listener, legacy);
}

static int open_door(struct ivshm_legacy *legacy, const char *dir, char *error, size_t error_size)
{
	struct ivshm_group *group = legacy->group;
	const struct ivshm_group_config *config = group->config;
	const char *instance = group->broker->config->instances[config->member[legacy->id]].name;
	char name[2 * IST_NAME_SIZE];
	int r;

	snprintf(name, sizeof(name), "%s@%s", instance, config->name);
	r = ivshm_door_open(&legacy->door, &ivshm_legacy_door, dir, name,
			    config->users_count ? 0666 : 0600, error, error_size);
	if (r)
		return r;
	legacy->listener = (struct ivshm_watch){
		.fd = legacy->door.listener, .ready = on_listener, .owner = legacy};
	r = ivshm_watch_add(group->broker, &legacy->listener, EPOLLIN);
	if (r) {
		ivshm_watch_close(&legacy->listener);
		ivshm_door_close(&legacy->door);
		return ivshm_fail(error, error_size, r, "group '%s', instance '%s': %s",
				  config->name, instance, strerror(-r));
	}
	ivshm_log(IVSHM_LOG_INFO, "group %s: served to %s at %s", config->name, instance,
		  legacy->door.socket_path);
	return 0;
}

int ivshm_group_open_legacy(struct ivshm_group *group, const char *dir, char *error,
			    size_t error_size)
{
	const struct ivshm_group_config *config = group->config;
	const struct ivshm_instance_config *instances = group->broker->config->instances;
	unsigned count = 0;

	for (uint32_t id = 0; id < config->members_count; id++)
		count += instances[config->member[id]].kind == IST_KIND_QEMU;
	if (count == 0)
		return 0;
	group->legacy = calloc(count, sizeof(group->legacy[0]));
	if (!group->legacy)
		return ivshm_fail(error, error_size, -ENOMEM, "group '%s': out of memory",
				  config->name);
	for (uint32_t id = 0; id < config->members_count; id++) {
		struct ivshm_legacy *legacy = &group->legacy[group->legacy_count];
		int r;

		if (instances[config->member[id]].kind != IST_KIND_QEMU)
			continue;
		*legacy = (struct ivshm_legacy){.group = group, .id = id};
		r = open_door(legacy, dir, error, error_size);
		if (r) {
			ivshm_group_close_legacy(group);
			return r;
		}
		group->legacy_count++;
	}
	return 0;
}

void ivshm_group_close_legacy(struct ivshm_group *group)
{
	while (group->legacy_count > 0) {
		struct ivshm_legacy *legacy = &group->legacy[--group->legacy_count];

		ivshm_watch_close(&legacy->listener);
		ivshm_door_close(&legacy->door);
	}
	free(group->legacy);
	group->legacy = NULL;
}
