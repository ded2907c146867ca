/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client.c: a VM process's side of the broker's socket.
 *
 * The take_ functions check one message and keep what it says. They return NULL, or what is wrong
 * with it. A descriptor they keep is taken out of the packet; the others are closed.
 */
#include "client_internal.h"
#include "log.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define JOIN_SECONDS 10
#define PACKETS_A_DISPATCH 256

static bool inside(const struct ivshm_client *client, uint64_t offset, uint64_t size)
{
	return offset <= client->size && size <= client->size - offset;
}

/* The memory is what it is said to be, and stays so: no SIGBUS later. */
static const char *check_memory(int fd, uint64_t size)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (fstat(fd, &st) || (uint64_t)st.st_size != size)
		return "the memory has another size";
	if (seals < 0 || (seals & wanted) != wanted)
		return "the memory's size is not sealed";
	return NULL;
}

static const char *take_welcome(struct ivshm_client *client, struct ivshm_packet *packet)
{
	const struct ist_wire *wire = &packet->wire;
	uint64_t page = wire->page_size;
	const char *wrong;

	if (IVSHM_WIRE_ABI_MAJOR(wire->abi) != IST_ABI_MAJOR)
		return "another ABI";
	if (wire->count == 0 || wire->count > IST_PEERS_MAX || wire->id >= wire->count)
		return "an ID or a number of peers out of range";
	if (wire->incarnation == 0)
		return "no incarnation";
	if (wire->vectors == 0 || wire->vectors > IST_VECTORS_MAX)
		return "a number of vectors out of range";
	if (page != 4096 && page != 2ull << 20 && page != 1ull << 30)
		return "no page size";
	if (wire->size < IST_REGIONS_OFFSET || wire->size & (wire->size - 1))
		return "no size of a group";
	if (wire->length > wire->size / wire->count || wire->length % page || wire->offset % page ||
	    wire->offset > wire->size - wire->length * wire->count ||
	    (wire->length && wire->offset < IST_REGIONS_OFFSET))
		return "output sections beyond the memory";
	if (packet->fds_count != 1)
		return "no memory";
	wrong = check_memory(packet->fds[0], wire->size);
	if (wrong)
		return wrong;

	client->memory = packet->fds[0];
	packet->fds_count = 0;
	client->id = wire->id;
	client->incarnation = wire->incarnation;
	client->vectors = wire->vectors;
	client->max_peers = wire->count;
	client->size = wire->size;
	client->page_size = page;
	client->output_offset = wire->length ? wire->offset : 0;
	client->output_size = wire->length;
	memcpy(client->group, wire->name, sizeof(client->group));
	return NULL;
}

/* As the memory: no SIGBUS later. What is no regular file is a BPF map, whose size is fixed. */
const char *ivshm_client_take_run_state(struct ivshm_packet *packet, int *page)
{
	struct stat st;

	if (packet->fds_count != 1 || packet->wire.size != IST_RUN_STATE_SIZE)
		return "no run-state page";
	if (fstat(packet->fds[0], &st))
		return "no run-state page";
	if (S_ISREG(st.st_mode) && check_memory(packet->fds[0], IST_RUN_STATE_SIZE))
		return "a run-state page that may shrink";
	*page = packet->fds[0];
	packet->fds_count = 0;
	return NULL;
}

static uint64_t end_of_directory(const struct ivshm_client *client, uint64_t offset, uint64_t size)
{
	return offset + IST_PAGE_DIRECTORY_SIZE(size / IST_PAGE, client->max_peers);
}

/* Page directories lie behind everything else, in the order of their regions. */
static const char *check_directory(const struct ivshm_client *client, const struct ist_wire *wire)
{
	uint64_t sections = client->output_offset + client->output_size * client->max_peers;
	uint64_t free_from = sections;

	if (client->directories && wire->offset + wire->size > client->directories)
		return "over a page directory";
	if ((wire->coherence == IST_COHERENCE_PAGE) != (wire->length != 0))
		return "a page directory without pages, or pages without";
	if (wire->length == 0)
		return NULL;
	for (unsigned i = 0; i < client->regions; i++)
		if (client->region[i].directory)
			free_from = end_of_directory(client, client->region[i].directory,
						     client->region[i].size);
	if (client->page_size != IST_PAGE || wire->length % IST_PAGE || wire->length < free_from ||
	    wire->length < wire->offset + wire->size || !inside(client, wire->length, 0) ||
	    end_of_directory(client, wire->length, wire->size) > client->size)
		return "a page directory over something else, or beyond the memory";
	return NULL;
}

static const char *take_region(struct ivshm_client *client, struct ivshm_packet *packet)
{
	const struct ist_wire *wire = &packet->wire;
	struct ivshm_client_region *region = &client->region[client->regions];
	uint64_t free_from = IST_REGIONS_OFFSET;
	const char *wrong;

	if (client->regions > 0)
		free_from = region[-1].offset + region[-1].size;
	if (wire->id != client->regions || wire->id >= IST_REGIONS_MAX)
		return "an index out of order";
	if (wire->size == 0 || wire->size % client->page_size || wire->offset % client->page_size ||
	    !inside(client, wire->offset, wire->size))
		return "beyond the memory";
	if (wire->offset < free_from ||
	    (client->output_size && wire->offset + wire->size > client->output_offset))
		return "over something else";
	if (wire->right > IST_RIGHT_WRITE)
		return "an unknown right";
	if (wire->coherence > IST_COHERENCE_INCOHERENT)
		return "an unknown coherence";
	wrong = check_directory(client, wire);
	if (wrong)
		return wrong;

	memcpy(region->name, wire->name, sizeof(region->name));
	region->offset = wire->offset;
	region->size = wire->size;
	region->right = wire->right;
	region->coherence = wire->coherence;
	region->directory = wire->length;
	if (!client->directories)
		client->directories = wire->length;
	client->regions++;
	return NULL;
}

static const char *take_peer(struct ivshm_client *client, struct ivshm_packet *packet)
{
	const struct ist_wire *wire = &packet->wire;
	struct ivshm_client_peer peer;

	if (wire->id >= client->max_peers)
		return "an ID out of range";
	if (wire->incarnation == 0)
		return "no incarnation";
	if (client->present[wire->id])
		return "a peer that is there already";
	if (wire->vectors == 0 || wire->vectors > IST_VECTORS_MAX ||
	    packet->fds_count != wire->vectors + (client->directories != 0))
		return "not as many doorbells as vectors";
	if (wire->id == client->id &&
	    (wire->incarnation != client->incarnation || wire->vectors != client->vectors))
		return "not who this is";

	peer.id = wire->id;
	peer.incarnation = wire->incarnation;
	peer.vectors = wire->vectors;
	peer.kind = wire->kind;
	memcpy(peer.name, wire->name, sizeof(peer.name));
	for (unsigned i = 0; i < IST_VECTORS_MAX; i++)
		peer.fds[i] = i < wire->vectors ? packet->fds[i] : -1;
	peer.pager = client->directories ? packet->fds[wire->vectors] : -1;
	packet->fds_count = 0;
	client->present[wire->id] = wire->incarnation;
	client->ops->peer(client->context, &peer);
	return NULL;
}

static const char *take_gone(struct ivshm_client *client, struct ivshm_packet *packet)
{
	const struct ist_wire *wire = &packet->wire;

	if (wire->id >= client->max_peers || wire->id == client->id)
		return "an ID out of range";
	if (wire->incarnation == 0 || client->present[wire->id] != wire->incarnation)
		return "a peer that is not there";
	if (wire->state != IST_PEER_ABSENT && wire->state != IST_PEER_DEAD)
		return "an unknown state";
	client->present[wire->id] = 0;
	client->ops->gone(client->context, wire->id, wire->incarnation, wire->state);
	return NULL;
}

/* The first packet is WELCOME, then this peer's own PEER comes before anyone else's and READY. */
static const char *take_joining(struct ivshm_client *client, struct ivshm_packet *packet,
				bool *ready)
{
	uint32_t type = packet->wire.type;
	bool welcomed = client->memory >= 0;
	bool self = welcomed && client->present[client->id];

	if (type == IST_WIRE_WELCOME && !welcomed)
		return take_welcome(client, packet);
	if (type == IST_WIRE_RUN_STATE && welcomed && client->run_state < 0 &&
	    client->regions == 0 && !self)
		return ivshm_client_take_run_state(packet, &client->run_state);
	if (type == IST_WIRE_REGION && welcomed && !self)
		return take_region(client, packet);
	if (type == IST_WIRE_PEER && (self || (welcomed && packet->wire.id == client->id)))
		return take_peer(client, packet);
	if (type == IST_WIRE_READY && self) {
		*ready = true;
		return NULL;
	}
	return "out of order";
}

/* The broker's numbers are this system's. */
int ivshm_client_error(const struct ist_wire *wire)
{
	return wire->code > 0 && wire->code < 4096 ? -(int)wire->code : -EPROTO;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for a packet, until the deadline. */
static int receive_by(int socket, struct ivshm_packet *packet, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = {.fd = socket, .events = POLLIN};
		int r = ivshm_wire_receive(socket, packet);
		int64_t left = deadline_ms - now_ms();

		if (r != -EAGAIN)
			return r;
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
	}
}

/* Takes packets until READY. */
static int join(struct ivshm_client *client, const char *path, char *error, size_t error_size)
{
	int64_t deadline_ms = now_ms() + JOIN_SECONDS * 1000;
	struct ivshm_packet packet;
	bool ready = false;

	while (!ready) {
		int r = receive_by(client->socket, &packet, deadline_ms);
		const char *wrong;

		if (r)
			return ivshm_fail(error, error_size, r, "%s: the broker: %s", path,
					  r == -EPIPE ? "it has hung up" : strerror(-r));
		if (packet.wire.type == IST_WIRE_ERROR)
			r = ivshm_fail(error, error_size, ivshm_client_error(&packet.wire),
				       "%s: %s", path, packet.wire.text);
		else if ((wrong = take_joining(client, &packet, &ready)))
			r = ivshm_fail(error, error_size, -EPROTO,
				       "%s: the broker sent message %u: %s", path, packet.wire.type,
				       wrong);
		ivshm_wire_close_fds(&packet);
		if (r)
			return r;
	}
	return 0;
}

/* Sends without blocking after this; connecting may wait for the broker to accept. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = JOIN_SECONDS};
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return r;
	}
	return fd;
}

static void close_all(struct ivshm_client *client)
{
	if (client->memory >= 0)
		close(client->memory);
	if (client->run_state >= 0)
		close(client->run_state);
	if (client->socket >= 0)
		close(client->socket);
	if (client->attempt >= 0)
		close(client->attempt);
	if (client->new_run_page >= 0)
		close(client->new_run_page);
	client->attempt = client->new_run_page = -1;
	client->memory = -1;
	client->run_state = -1;
	client->socket = -1;
}

static int send_type(struct ivshm_client *client, uint32_t type, uint32_t kind, const char *name)
{
	struct ivshm_packet packet = {.wire = {.type = type, .abi = IVSHM_WIRE_ABI, .kind = kind}};

	ivshm_wire_set_string(packet.wire.name, sizeof(packet.wire.name), name);
	return ivshm_wire_send(client->socket, &packet);
}

/* Who was told of peers is told that they are gone, and lets go of their doorbells. */
static void take_back_peers(struct ivshm_client *client)
{
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++) {
		if (client->present[id])
			client->ops->gone(client->context, id, client->present[id],
					  IST_PEER_ABSENT);
	}
}

int ivshm_client_join(struct ivshm_client *client, const char *path, const char *instance,
		      uint32_t kind, const struct ivshm_client_ops *ops, void *context, char *error,
		      size_t error_size)
{
	int r;

	*client = (struct ivshm_client){.socket = -1,
					.memory = -1,
					.run_state = -1,
					.kind = kind,
					.attempt = -1,
					.new_run_page = -1,
					.ops = ops,
					.context = context};
	if (strlen(instance) >= IST_NAME_SIZE)
		return ivshm_fail(error, error_size, -EINVAL, "instance '%s': the name is too long",
				  instance);
	r = connect_to(path);
	if (r < 0)
		return ivshm_fail(error, error_size, r, "%s: %s", path,
				  r == -ENOENT || r == -ECONNREFUSED ? "no broker serves this group"
								     : strerror(-r));
	client->socket = r;
	/* Both fit: the connection was made, and the name's length was looked at. */
	strcpy(client->path, path);
	strcpy(client->instance, instance);
	r = send_type(client, IST_WIRE_HELLO, kind, instance);
	/* The broker may have refused already: join() then reads why. */
	if (r && r != -EPIPE) {
		ivshm_fail(error, error_size, r, "%s: %s", path, strerror(-r));
		goto out;
	}
	r = join(client, path, error, error_size);
	if (r)
		goto out;
	return 0;

out:
	take_back_peers(client);
	close_all(client);
	return r;
}

int ivshm_client_thread(struct ivshm_client *client, uint32_t thread, uint32_t count)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_THREAD,
					       .abi = IVSHM_WIRE_ABI,
					       .id = thread,
					       .count = count}};

	return client->run_state < 0 ? 0 : ivshm_wire_send(client->socket, &packet);
}

uint64_t ivshm_client_directory_size(const struct ivshm_client *client, unsigned index)
{
	return IST_PAGE_DIRECTORY_SIZE(client->region[index].size / IST_PAGE, client->max_peers);
}

int ivshm_client_ready(struct ivshm_client *client)
{
	return send_type(client, IST_WIRE_READY, 0, "");
}

int ivshm_client_recall(struct ivshm_client *client, uint32_t id, uint32_t incarnation,
			uint64_t offset)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_RECALL,
					       .abi = IVSHM_WIRE_ABI,
					       .id = id,
					       .incarnation = incarnation,
					       .offset = offset}};

	return ivshm_wire_send(client->socket, &packet);
}

int ivshm_client_dispatch(struct ivshm_client *client)
{
	struct ivshm_packet packet;

	for (unsigned i = 0; i < PACKETS_A_DISPATCH; i++) {
		const char *wrong = "out of order";
		int r = ivshm_wire_receive(client->socket, &packet);

		if (r == -EAGAIN)
			return 0;
		if (r)
			return r;
		if (packet.wire.type == IST_WIRE_PEER)
			wrong = take_peer(client, &packet);
		else if (packet.wire.type == IST_WIRE_GONE)
			wrong = take_gone(client, &packet);
		else if (packet.wire.type == IST_WIRE_ERROR)
			wrong = packet.wire.text;
		ivshm_wire_close_fds(&packet);
		if (wrong) {
			ivshm_log(IVSHM_LOG_ERROR, "group %s: the broker sent message %u: %s",
				  client->group, packet.wire.type, wrong);
			return packet.wire.type == IST_WIRE_ERROR ? ivshm_client_error(&packet.wire)
								  : -EPROTO;
		}
	}
	return 0;
}

void ivshm_client_leave(struct ivshm_client *client)
{
	send_type(client, IST_WIRE_BYE, 0, "");
	close_all(client);
}
