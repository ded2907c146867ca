/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client_change.c: what the broker tells a VM that has joined about its rights and regions.
 * docs/protocol.md, "Live change".
 */
#include "client_internal.h"

#include <errno.h>

static const char *take_right(struct ivshm_client *client, const struct ist_wire *wire)
{
	struct ivshm_packet answer = {.wire = {.type = IST_WIRE_RIGHT_DONE,
					       .abi = IVSHM_WIRE_ABI,
					       .id = wire->id,
					       .right = wire->right,
					       .count = wire->count}};
	int r = -EOPNOTSUPP;

	if (wire->id >= client->regions)
		return "a region that is not there";
	if (wire->right > IST_RIGHT_WRITE)
		return "an unknown right";
	if (wire->count == 0)
		return "a message without a number";
	if (client->ops->right)
		r = client->ops->right(client->context, wire->id, wire->right);
	if (r == 0)
		client->region[wire->id].right = wire->right;
	answer.wire.code = (uint32_t)-r;
	/* There is room: a broker that reads nothing sends nothing either, and what it had sent
	 * before is a few packets. Of one that is gone the next receive tells. */
	ivshm_wire_send(client->socket, &answer);
	return NULL;
}

/* The broker's word of the last one is taken back: nobody has a right on it. */
static const char *take_back(struct ivshm_client *client, const struct ist_wire *wire)
{
	if (client->regions == 0 || wire->id != client->regions - 1 ||
	    client->region[wire->id].right != IST_RIGHT_NONE)
		return "a region that stays";
	client->regions--;
	return NULL;
}

const char *ivshm_client_take_change(struct ivshm_client *client, const struct ivshm_packet *packet)
{
	const struct ist_wire *wire = &packet->wire;

	if (packet->fds_count != 0)
		return "a descriptor";
	if (wire->type == IST_WIRE_RIGHT)
		return take_right(client, wire);
	if (wire->size == 0)
		return take_back(client, wire);
	if (wire->right != IST_RIGHT_NONE || wire->coherence == IST_COHERENCE_PAGE)
		return "a region that cannot come now";
	return ivshm_client_take_region(client, packet);
}
