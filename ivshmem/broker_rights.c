/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_rights.c: which right each peer has, while that changes. docs/protocol.md, "Live change".
 *
 * As with all that a link is told: what to send next follows from what is to be and what this link
 * was told last. While a reload tries whether all can be had, what is to be is the more of what is
 * and what will be.
 */
#include "broker_internal.h"
#include "log.h"

#include <errno.h>

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

bool ivshm_link_is_vm(const struct ivshm_link *link)
{
	uint32_t kind = link->group->seat[link->id].kind;

	return kind == IST_KIND_APP || kind == IST_KIND_LINUX;
}

/* ---- The roster ------------------------------------------------------------------------------ */

/* What the roster may say: never more than the peer has. */
static uint32_t roster_right(const struct ivshm_group *group, unsigned index, uint32_t id)
{
	const struct ivshm_link *link = group->seat[id].link;
	uint32_t right = ivshm_config_right(group->broker->config, group->config, index, id);

	/* QEMU maps everything. Who is being told of the regions will be told what is then. */
	if (!link || link->legacy ||
	    (index >= link->rights.regions && link->stage <= IVSHM_STAGE_REGIONS))
		return right;
	if (index >= link->rights.regions)
		return IST_RIGHT_NONE;
	return lesser(right, link->rights.has[index]);
}

static void look_at(const struct ivshm_group *group, unsigned index, uint64_t *readers,
		    uint64_t *writers)
{
	*readers = *writers = 0;
	for (uint32_t id = 0; id < group->config->members_count; id++) {
		uint32_t right = roster_right(group, index, id);

		if (right != IST_RIGHT_NONE)
			*readers |= 1ull << id;
		if (right == IST_RIGHT_WRITE)
			*writers |= 1ull << id;
	}
}

void ivshm_group_rights_create(struct ivshm_group *group)
{
	for (unsigned i = 0; i < group->config->regions_count; i++)
		look_at(group, i, &group->readers[i], &group->writers[i]);
}

bool ivshm_group_rights_write(struct ivshm_group *group)
{
	bool changed = false;

	for (unsigned i = 0; i < group->config->regions_count; i++) {
		uint64_t readers, writers;

		look_at(group, i, &readers, &writers);
		if (readers == group->readers[i] && writers == group->writers[i])
			continue;
		group->readers[i] = readers;
		group->writers[i] = writers;
		ivshm_roster_set_rights(&group->memory, i, readers, writers);
		changed = true;
	}
	if (changed)
		ivshm_roster_changed(&group->memory);
	return changed;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static unsigned wanted_regions(const struct ivshm_group *group)
{
	return group->next ? group->next->regions_count : group->config->regions_count;
}

static uint32_t wanted_right(const struct ivshm_link *link, unsigned index)
{
	const struct ivshm_group *group = link->group;
	uint32_t now = ivshm_config_right(group->broker->config, group->config, index, link->id);
	uint32_t next = now;

	if (group->next)
		next = ivshm_config_right(group->broker->next, group->next, index, link->id);
	return next > now ? next : now;
}

/* Of one that it is not told of yet, or that is to be taken back. */
static void make_new_region(const struct ivshm_link *link, unsigned index,
			    struct ivshm_packet *packet)
{
	const struct ivshm_group *group = link->group;
	const struct ivshm_group_config *config = group->next ? group->next : group->config;
	struct ist_wire *wire = &packet->wire;
	struct ivshm_layout layout;

	wire->type = IST_WIRE_REGION;
	wire->id = index;
	wire->right = IST_RIGHT_NONE;
	/* It was possible when the configurations were compared. */
	if (index >= wanted_regions(group) || ivshm_layout_compute(config, &layout))
		return;
	wire->coherence = config->regions[index].coherence;
	wire->offset = layout.region_offset[index];
	wire->size = config->regions[index].size;
	ivshm_wire_set_string(wire->name, sizeof(wire->name), config->regions[index].name);
}

void ivshm_link_told_region(struct ivshm_link *link, const struct ist_wire *wire)
{
	link->rights.told[wire->id] = wire->right;
	link->rights.has[wire->id] = wire->right;
	link->rights.number[wire->id] = 0;
	link->rights.regions = wire->id + 1;
}

static int tell_right(struct ivshm_link *link, unsigned index, uint32_t right)
{
	struct ivshm_told_rights *rights = &link->rights;
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_RIGHT,
					       .id = index,
					       .right = right,
					       .count = rights->numbers + 1}};
	int r;

	if (packet.wire.count == 0)
		packet.wire.count = 1;
	r = ivshm_wire_send(link->socket.fd, &packet);
	if (r)
		return r;
	rights->numbers = rights->number[index] = packet.wire.count;
	rights->told[index] = right;
	return 0;
}

int ivshm_link_tell_rights(struct ivshm_link *link)
{
	struct ivshm_told_rights *rights = &link->rights;
	unsigned wanted = wanted_regions(link->group);
	struct ivshm_packet packet = {0};
	int r;

	if (link->legacy || link->minor < 2)
		return 1;
	for (unsigned i = 0; i < rights->regions; i++) {
		uint32_t right = i < wanted ? wanted_right(link, i) : IST_RIGHT_NONE;

		if (rights->told[i] != right)
			return tell_right(link, i, right);
	}
	if (rights->regions == wanted)
		return 1;
	make_new_region(link, rights->regions < wanted ? rights->regions : rights->regions - 1,
			&packet);
	r = ivshm_wire_send(link->socket.fd, &packet);
	if (r)
		return r;
	if (rights->regions < wanted)
		ivshm_link_told_region(link, &packet.wire);
	else
		rights->regions--;
	return 0;
}

/* ---- Hearing --------------------------------------------------------------------------------- */

int ivshm_link_right_done(struct ivshm_link *link, const struct ist_wire *wire)
{
	struct ivshm_told_rights *rights = &link->rights;

	if (link->minor < 2 || wire->id >= IST_REGIONS_MAX || wire->count == 0 ||
	    wire->right > IST_RIGHT_WRITE) {
		ivshm_link_refuse(link, EPROTO, "an answer to no RIGHT");
		return -EPROTO;
	}
	/* To one that another has followed, or whose region was taken back. */
	if (wire->id >= rights->regions || rights->number[wire->id] != wire->count)
		return 0;
	rights->number[wire->id] = 0;
	if (wire->code != 0) {
		/* It has what it had: so that is what it was told. */
		rights->refused = wire->code;
		rights->told[wire->id] = rights->has[wire->id];
		return 0;
	}
	rights->has[wire->id] = rights->told[wire->id];
	if (ivshm_group_rights_write(link->group))
		ivshm_group_ring_all(link->group);
	return 0;
}

bool ivshm_link_rights_pending(const struct ivshm_link *link)
{
	unsigned wanted = wanted_regions(link->group);

	/* Rights of who could not be told do not change while it is there. */
	if (link->stage == IVSHM_STAGE_HELLO || !ivshm_link_is_vm(link) || link->bye ||
	    link->minor < 2)
		return false;
	for (unsigned i = 0; i < link->rights.regions; i++) {
		uint32_t right = i < wanted ? wanted_right(link, i) : IST_RIGHT_NONE;

		if (link->rights.told[i] != right || link->rights.number[i] != 0)
			return true;
	}
	return link->ready && link->rights.regions != wanted;
}
