/* SPDX-License-Identifier: BSD-2-Clause */
/* join.c: the admission: HELLO, then what the broker says of the group, every word checked. */
#include "host.h"

#include <isthmus/app.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_S 10          /* a broker that says nothing for so long is none */
#define BYE_NS 1000000000ull /* and this is its time to take a good-bye */
#define NS_PER_MS 1000000ull

static int connect_to(const char *path)
{
	const struct timeval limit = {.tv_sec = ANSWER_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(sock, (struct sockaddr *)&address, sizeof(address))) {
		err = errno;
		close(sock);
		return err == ECONNREFUSED ? -ENOENT : err == EAGAIN ? -ETIMEDOUT : -err;
	}
	return sock;
}

/* A broker's refusal, as ist_group_open() documents it. */
static int refusal(uint32_t code)
{
	switch (code) {
	case EPERM:
	case EACCES:
		return -EACCES;
	case EEXIST:
	case EBUSY:
		return -EBUSY;
	case ENOENT:
		return -ENOENT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return -ENOMEM;
	case EAGAIN:
		return -ETIMEDOUT;
	default:
		return -EPROTO;
	}
}

/* The next packet, while the broker is to answer. */
static int answer(int sock, struct ist_host_packet *packet)
{
	int err = ist_host_receive(sock, packet, 0);

	if (err == -EAGAIN)
		return -ETIMEDOUT;
	if (err == -EPIPE)
		return -ENOENT;
	if (!err && packet->wire.type == IST_WIRE_ERROR) {
		ist_host_packet_fini(packet);
		return refusal(packet->wire.code);
	}
	return err;
}

static int take_welcome(const struct ist_host_packet *packet, struct ist_group *group,
			struct ist_roster_head *offer)
{
	const struct ist_wire *wire = &packet->wire;
	struct stat status;
	int seals;

	if (wire->type != IST_WIRE_WELCOME || wire->abi >> 16 != IST_ABI_MAJOR || packet->fds != 1)
		return -EPROTO;
	*offer = (struct ist_roster_head){.page_size = wire->page_size,
					  .total_size = wire->size,
					  .output_offset = wire->offset,
					  .output_size = wire->length,
					  .max_peers = wire->count,
					  .vectors = wire->vectors};
	if (!ist_roster_head_is_sound(offer) || wire->id >= wire->count || wire->incarnation == 0 ||
	    !ist_name_is_sound(wire->name))
		return -EPROTO;
	/* Sealed, the memory cannot shrink under us: no SIGBUS. */
	seals = fcntl(packet->fd[0], F_GET_SEALS);
	if (seals < 0 || fstat(packet->fd[0], &status))
		return -errno;
	if ((seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW) ||
	    (uint64_t)status.st_size != wire->size)
		return -EPROTO;
	group->size = wire->size;
	memcpy(group->name, wire->name, IST_NAME_SIZE);
	group->id = wire->id;
	group->incarnation = wire->incarnation;
	group->vectors = wire->vectors;
	group->max_peers = wire->count;
	return 0;
}

static int take_region(struct ist_host *host, struct ist_group *group,
		       struct ist_roster_head *offer, const struct ist_host_packet *packet)
{
	const struct ist_wire *wire = &packet->wire;
	struct ist_group_region region = {.offset = wire->offset,
					  .size = wire->size,
					  .right = wire->right,
					  .coherence = wire->coherence};
	int err;

	if (wire->id != group->regions || packet->fds)
		return -EPROTO;
	memcpy(region.name, wire->name, IST_NAME_SIZE);
	offer->regions++;
	err = ist_roster_add_region(offer, &region, group);
	return err ? err : ist_host_pages_take(host, wire);
}

/* Regions, then peers, this one first, until READY. */
static int take_rest(struct ist_host *host, struct ist_group *group, struct ist_roster_head *offer)
{
	const struct ist_host_peer *self = &host->peers.current->peer[group->id];
	struct ist_host_packet packet;
	int err;

	for (;;) {
		err = answer(host->sock, &packet);
		if (err)
			return err;
		if (packet.wire.type == IST_WIRE_READY && self->incarnation)
			err = 1;
		else if (packet.wire.type == IST_WIRE_RUN_STATE && !self->incarnation &&
			 !group->regions)
			err = ist_host_run_take(host, &packet);
		else if (packet.wire.type == IST_WIRE_REGION && !self->incarnation)
			err = take_region(host, group, offer, &packet);
		else if (packet.wire.type == IST_WIRE_PEER &&
			 (self->incarnation || packet.wire.id == group->id))
			err = ist_host_peers_add(&host->peers, &packet);
		else
			err = -EPROTO;
		ist_host_packet_fini(&packet);
		if (err)
			break;
	}
	if (err < 0)
		return err;
	return self->incarnation == group->incarnation && self->vectors == group->vectors ? 0
											  : -EPROTO;
}

/*
 * Says that we map nothing of the group, or no longer. The broker hangs up in its turn when it has
 * taken that: then we may join again.
 */
static void say_bye(int sock)
{
	const struct ist_wire bye = {.type = IST_WIRE_BYE,
				     .abi = IST_ABI_MAJOR << 16 | IST_ABI_MINOR};
	uint64_t deadline = ist_time_ns() + BYE_NS, now;
	struct pollfd ready = {.fd = sock, .events = POLLIN};
	struct ist_host_packet packet;

	if (ist_host_send(sock, &bye, MSG_DONTWAIT) || shutdown(sock, SHUT_WR))
		return;
	while ((now = ist_time_ns()) < deadline) {
		int err;

		if (poll(&ready, 1, (int)((deadline - now) / NS_PER_MS) + 1) <= 0)
			continue;
		err = ist_host_receive(sock, &packet, MSG_DONTWAIT);
		if (err == -EPIPE)
			break;
		if (!err)
			ist_host_packet_fini(&packet);
	}
}

int ist_host_join(struct ist_host *host, const char *path, struct ist_group *group,
		  struct ist_roster_head *offer)
{
	struct ist_wire hello = {.type = IST_WIRE_HELLO,
				 .abi = IST_ABI_MAJOR << 16 | IST_ABI_MINOR,
				 .kind = IST_KIND_PROCESS};
	struct ist_host_packet packet;
	int err;

	err = ist_host_instance(hello.name);
	if (err)
		return err;
	host->sock = connect_to(path);
	if (host->sock < 0)
		return host->sock;
	err = ist_host_send(host->sock, &hello, 0);
	/* A broker that has hung up has said why before. */
	if (err && err != -EPIPE)
		goto close_socket;
	err = answer(host->sock, &packet);
	if (err)
		goto bye;
	err = take_welcome(&packet, group, offer);
	if (err)
		goto close_memory;

	host->memory = packet.fd[0];
	err = ist_host_peers_init(&host->peers, host->sock, host->memory, group);
	if (err)
		goto close_memory;
	err = take_rest(host, group, offer);
	if (!err)
		err = ist_host_return_init(host, path, hello.name);
	if (err)
		goto close_peers;
	return 0;

close_peers:
	ist_host_pages_stop(host);
	ist_host_run_fini(host);
	ist_host_peers_fini(&host->peers);
close_memory:
	ist_host_packet_fini(&packet);
bye:
	say_bye(host->sock);
close_socket:
	close(host->sock);
	return err;
}

void ist_host_leave(struct ist_host *host)
{
	ist_host_pages_stop(host);
	ist_host_run_fini(host);
	ist_host_peers_fini(&host->peers);
	ist_host_return_fini(host);
	close(host->memory);
	say_bye(host->sock);
	close(host->sock);
}
