/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_tell.c: what a connection is told, and how far it has been told.
 *
 * There is no queue of messages: what to send next follows from the state of the group and from
 * what this link was told last. A peer that never reads its socket costs nothing more, and misses
 * nothing that still matters when it does.
 */
#include "broker_internal.h"

#include <errno.h>
#include <sys/epoll.h>

static void make_welcome(const struct ivshm_link *link, struct ivshm_packet *packet)
{
	const struct ivshm_group *group = link->group;
	struct ist_wire *wire = &packet->wire;

	wire->type = IST_WIRE_WELCOME;
	wire->abi = IVSHM_WIRE_ABI;
	wire->id = link->id;
	wire->incarnation = group->seat[link->id].incarnation;
	wire->vectors = group->config->vectors;
	wire->count = group->config->max_peers;
	wire->size = group->memory.layout.total_size;
	wire->page_size = group->config->page_size;
	wire->offset = group->memory.layout.output_offset;
	wire->length = group->config->output_size;
	ivshm_wire_set_string(wire->name, sizeof(wire->name), group->config->name);
	packet->fds[packet->fds_count++] = group->memory.fd;
}

static void make_run_state(const struct ivshm_link *link, struct ivshm_packet *packet)
{
	packet->wire.type = IST_WIRE_RUN_STATE;
	packet->wire.size = IST_RUN_STATE_SIZE;
	packet->fds[packet->fds_count++] = link->group->run_page;
}

static void make_region(const struct ivshm_link *link, struct ivshm_packet *packet)
{
	const struct ivshm_group *group = link->group;
	const struct ivshm_region_config *region = &group->config->regions[link->at];
	struct ist_wire *wire = &packet->wire;

	wire->type = IST_WIRE_REGION;
	wire->id = link->at;
	wire->right = ivshm_config_right(group->broker->config, group->config, link->at, link->id);
	wire->coherence = region->coherence;
	wire->offset = group->memory.layout.region_offset[link->at];
	wire->size = region->size;
	wire->length = group->memory.layout.directory_offset[link->at];
	ivshm_wire_set_string(wire->name, sizeof(wire->name), region->name);
}

bool ivshm_link_pages(const struct ivshm_link *link)
{
	const struct ivshm_group *group = link->group;
	uint32_t kind = group->seat[link->id].kind;

	return group->bells != group->config->vectors &&
	       (kind == IST_KIND_APP || kind == IST_KIND_LINUX ||
		ivshm_config_paged(group->broker->config, group->config, link->id));
}

static void make_peer(const struct ivshm_link *link, uint32_t id, struct ivshm_packet *packet)
{
	const struct ivshm_group *group = link->group;
	const struct ivshm_seat *seat = &group->seat[id];
	unsigned instance = group->config->member[id];
	struct ist_wire *wire = &packet->wire;

	wire->type = IST_WIRE_PEER;
	wire->id = id;
	wire->incarnation = seat->incarnation;
	wire->vectors = group->config->vectors;
	wire->kind = seat->kind;
	ivshm_wire_set_string(wire->name, sizeof(wire->name),
			      group->broker->config->instances[instance].name);
	while (packet->fds_count < (ivshm_link_pages(link) ? group->bells : wire->vectors)) {
		packet->fds[packet->fds_count] = seat->fds[packet->fds_count];
		packet->fds_count++;
	}
}

static bool is_news(const struct ivshm_link *link, uint32_t id)
{
	const struct ivshm_group *group = link->group;

	return id != link->id && link->told[id].incarnation == 0 &&
	       group->seat[id].state == IST_PEER_LIVE &&
	       ivshm_seat_rings(&group->seat[id],
				ivshm_link_pages(link) ? group->bells : group->config->vectors);
}

static int tell_peer(struct ivshm_link *link, uint32_t id)
{
	struct ivshm_packet packet = {0};
	int r;

	make_peer(link, id, &packet);
	r = ivshm_wire_send(link->socket.fd, &packet);
	if (r == 0 && id != link->id)
		link->told[id].incarnation = packet.wire.incarnation;
	return r;
}

static int tell_gone(struct ivshm_link *link, uint32_t id)
{
	struct ivshm_told *told = &link->told[id];
	struct ivshm_packet packet = {
		.wire = {.type = IST_WIRE_GONE,
			 .id = id,
			 .incarnation = told->incarnation,
			 .state = told->state},
	};
	int r = ivshm_wire_send(link->socket.fd, &packet);

	if (r == 0)
		*told = (struct ivshm_told){0};
	return r;
}

/* Peers come and go. What is gone is told before who came in its place. Returns 1: all is told. */
static int tell_update(struct ivshm_link *link)
{
	for (uint32_t id = 0; id < link->group->config->max_peers; id++) {
		if (link->told[id].gone)
			return tell_gone(link, id);
		if (is_news(link, id))
			return tell_peer(link, id);
	}
	return 1;
}

/* The peers that are there when this one comes, each once. Returns 1: all are told. */
static int tell_present(struct ivshm_link *link)
{
	for (; link->at < link->group->config->max_peers; link->at++) {
		if (is_news(link, link->at))
			return tell_peer(link, link->at);
	}
	return 1;
}

/* The next packet of this stage, or 1: the stage is over. A packet not sent is made again later. */
static int tell_next(struct ivshm_link *link)
{
	struct ivshm_packet packet = {0};
	int r;

	if (link->legacy)
		return ivshm_legacy_tell_next(link);
	/* Who is back has all but the page, and has said whom it knows. */
	if (link->returned && link->stage >= IVSHM_STAGE_REGIONS &&
	    link->stage <= IVSHM_STAGE_PEERS)
		return 1;
	switch (link->stage) {
	case IVSHM_STAGE_WELCOME:
		make_welcome(link, &packet);
		break;
	case IVSHM_STAGE_RUN_STATE:
		if (!link->run_state)
			return 1;
		make_run_state(link, &packet);
		break;
	case IVSHM_STAGE_REGIONS:
		if (link->at == link->group->config->regions_count)
			return 1;
		make_region(link, &packet);
		break;
	case IVSHM_STAGE_SELF:
		make_peer(link, link->id, &packet);
		break;
	case IVSHM_STAGE_PEERS:
		return tell_present(link);
	case IVSHM_STAGE_READY:
		packet.wire.type = IST_WIRE_READY;
		break;
	default:
		return tell_update(link);
	}
	r = ivshm_wire_send(link->socket.fd, &packet);
	if (r)
		return r;
	if (link->stage == IVSHM_STAGE_REGIONS) {
		link->at++;
		return 0;
	}
	return 1;
}

static void wait_for_room(struct ivshm_link *link, bool blocked)
{
	if (link->blocked == blocked)
		return;
	link->blocked = blocked;
	link->ticks = 0;
	if (blocked)
		ivshm_broker_tick_later(link->group->broker);
	ivshm_watch_change(link->group->broker, &link->socket,
			   EPOLLIN | EPOLLRDHUP | (blocked ? EPOLLOUT : 0u));
}

void ivshm_link_tell(struct ivshm_link *link)
{
	int r = 0;

	link->deferred = false;
	while (link->stage > IVSHM_STAGE_BACK && link->stage < IVSHM_STAGE_DEAF) {
		r = tell_next(link);
		if (r < 0)
			break;
		if (r == 0)
			continue;
		if (link->stage == IVSHM_STAGE_UPDATES)
			break;
		link->stage++;
		link->at = 0;
	}
	if (link->socket.fd < 0)
		return;
	wait_for_room(link, r == -EAGAIN);
	if (r == -ENOMEM || r == -ENOBUFS || r == -ETOOMANYREFS) {
		link->deferred = true;
		ivshm_broker_tick_later(link->group->broker);
	} else if (r < 0 && r != -EAGAIN) {
		link->stage = IVSHM_STAGE_DEAF; /* the hang-up is reported by itself */
	}
	if (link->legacy && !link->ready && link->stage == IVSHM_STAGE_UPDATES) {
		link->ready = true;
		ivshm_seat_live(
			link); /* which tells this link too: once more, as it is ready now */
	}
}
