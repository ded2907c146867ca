/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client_return.c: back to a broker that was restarted: what this client has is handed to it.
 * docs/protocol.md, "The broker's restart".
 *
 * Nothing blocks: who calls this may have a guest that waits. An attempt keeps its connection and
 * how far it is; one that fails begins anew.
 */
#include "client_internal.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int give_up(struct ivshm_client *client, int code)
{
	if (client->attempt >= 0)
		close(client->attempt);
	if (client->new_run_page >= 0)
		close(client->new_run_page);
	client->attempt = client->new_run_page = -1;
	return code;
}

static int connect_again(struct ivshm_client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, client->path, sizeof(address.sun_path));
	client->handed = 0;
	client->attempt = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->attempt < 0)
		return -EAGAIN;
	/* Nobody serves, or many connect. */
	if (connect(client->attempt, (struct sockaddr *)&address, sizeof(address)))
		return give_up(client, -EAGAIN);
	return 0;
}

/* The n-th peer that is there beside this one, from 0 on; or IST_PEERS_MAX. */
static uint32_t find_other(const struct ivshm_client *client, uint32_t n)
{
	uint32_t id;

	for (id = 0; id < IST_PEERS_MAX; id++)
		if (id != client->id && client->present[id] && n-- == 0)
			break;
	return id;
}

/* REATTACH, BELLS of itself, BELLS of the others, READY: that of this number. False: the last. */
static bool make_message(const struct ivshm_client *client, uint32_t number,
			 struct ivshm_packet *packet)
{
	struct ist_wire *wire = &packet->wire;
	uint32_t id = client->id;

	wire->abi = IVSHM_WIRE_ABI;
	if (number == 0) {
		wire->type = IST_WIRE_REATTACH;
		wire->id = client->id;
		wire->incarnation = client->incarnation;
		wire->kind = client->kind;
		ivshm_wire_set_string(wire->name, sizeof(wire->name), client->instance);
		packet->fds[packet->fds_count++] = client->memory;
		return true;
	}
	if (number > 1)
		id = find_other(client, number - 2);
	if (id == IST_PEERS_MAX) {
		wire->type = IST_WIRE_READY;
		return false;
	}
	wire->type = IST_WIRE_BELLS;
	wire->id = id;
	wire->incarnation = client->present[id];
	wire->vectors = client->vectors;
	packet->fds_count = client->ops->bells(client->context, id, packet->fds);
	return true;
}

/* Until all is sent: 0; or -EAGAIN: later. */
static int hand_back(struct ivshm_client *client)
{
	bool more = true;

	while (client->handed != UINT32_MAX) {
		struct ivshm_packet packet = {0};
		int r;

		more = make_message(client, client->handed, &packet);
		r = ivshm_wire_send(client->attempt, &packet);
		if (r == -EPIPE)
			return 0; /* why is there to be read */
		if (r == -EAGAIN || r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM)
			return -EAGAIN; /* the broker will have read some */
		if (r)
			return give_up(client, -EAGAIN);
		client->handed = more ? client->handed + 1 : UINT32_MAX;
	}
	return 0;
}

/* The new connection has the old one's number: whoever uses that meanwhile has one or the other. */
static int sit_down(struct ivshm_client *client)
{
	if (dup3(client->attempt, client->socket, O_CLOEXEC) < 0)
		return give_up(client, -EAGAIN);
	close(client->attempt);
	client->attempt = -1;
	if (client->run_state >= 0)
		close(client->run_state);
	client->run_state = client->new_run_page;
	client->new_run_page = -1;
	return 0;
}

/* Reasons that pass. */
static bool is_passing(int code)
{
	return code == -EAGAIN || code == -EMFILE || code == -ENFILE || code == -ENOMEM ||
	       code == -ETIMEDOUT;
}

/* What the broker answers. 0: it has READY. */
static int hear_answer(struct ivshm_client *client, char *error, size_t error_size)
{
	for (;;) {
		struct ivshm_packet packet;
		const char *wrong = "out of order";
		int r = ivshm_wire_receive(client->attempt, &packet);

		if (r == -EAGAIN)
			return r;
		if (r)
			return give_up(client, -EAGAIN);
		if (packet.wire.type == IST_WIRE_READY) {
			ivshm_wire_close_fds(&packet);
			return sit_down(client);
		}
		if (packet.wire.type == IST_WIRE_ERROR) {
			r = ivshm_client_error(&packet.wire);
			wrong = packet.wire.text;
		} else if (packet.wire.type == IST_WIRE_RUN_STATE && client->new_run_page < 0) {
			wrong = ivshm_client_take_run_state(&packet, &client->new_run_page);
		}
		ivshm_wire_close_fds(&packet);
		if (!wrong)
			continue;
		give_up(client, 0);
		if (is_passing(r))
			return -EAGAIN;
		return ivshm_fail(error, error_size, r ? r : -EPROTO, "%s: %s", client->path,
				  wrong);
	}
}

int ivshm_client_return(struct ivshm_client *client, char *error, size_t error_size)
{
	int r = client->attempt < 0 ? connect_again(client) : 0;

	if (r == 0)
		r = hand_back(client);
	if (r == 0)
		r = hear_answer(client, error, error_size);
	return r;
}
