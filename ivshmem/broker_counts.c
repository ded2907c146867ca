/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_counts.c: how many messages peers have exchanged, read from the channels' own words when
 * somebody asks: the data path does nothing for it.
 *
 * The words are in memory that peers write. They are copied out of the memfd by pread(), which
 * neither allocates pages nor faults, and a hostile one is a wrong figure in somebody's status: so
 * many objects are looked at as a directory has slots, and nothing is followed but offsets.
 */
#include "broker_internal.h"

#include <string.h>
#include <unistd.h>

static bool copy(const struct ivshm_group *group, uint64_t offset, void *out, size_t size)
{
	return pread(group->memory.fd, out, size, (off_t)offset) == (ssize_t)size;
}

/* To whom the word belongs, if that incarnation is there now. */
static struct ivshm_messages *account(struct ivshm_messages counts[static IST_PEERS_MAX],
				      const struct ivshm_group *group, uint64_t owner)
{
	uint32_t id = IST_OWNER_ID(owner);

	if (id >= group->config->members_count || !group->seat[id].link ||
	    group->seat[id].incarnation != IST_OWNER_INCARNATION(owner))
		return NULL;
	return &counts[id];
}

static void count_channel(const struct ivshm_group *group, uint64_t offset,
			  struct ivshm_messages counts[static IST_PEERS_MAX])
{
	struct ist_channel_memory channel;
	struct ivshm_messages *of;

	if (!copy(group, offset, &channel, sizeof(channel)))
		return;
	of = account(counts, group, channel.sender.owner);
	if (of)
		of->sent += channel.credit;
	of = account(counts, group, channel.receiver.owner);
	if (of)
		of->received += channel.credit;
}

static void count_region(const struct ivshm_group *group, unsigned index,
			 struct ivshm_messages counts[static IST_PEERS_MAX])
{
	const uint64_t start = group->memory.layout.region_offset[index];
	const uint64_t size = group->config->regions[index].size;
	struct {
		struct ist_arena head;
		struct ist_object slot[IST_ARENA_SLOTS];
	} arena;

	if (size < sizeof(arena) || !copy(group, start, &arena.head, sizeof(arena.head)) ||
	    arena.head.magic != IST_ARENA_MAGIC || !copy(group, start, &arena, sizeof(arena)))
		return;
	for (unsigned i = 0; i < IST_ARENA_SLOTS; i++) {
		const struct ist_object *object = &arena.slot[i];

		if (object->state == IST_OBJECT_READY && object->type == IST_OBJECT_CHANNEL &&
		    object->offset <= size - sizeof(struct ist_channel_memory))
			count_channel(group, start + object->offset, counts);
	}
}

void ivshm_group_count(struct ivshm_group *group)
{
	memset(group->messages, 0, sizeof(group->messages));
	if (!group->memory.map) /* nobody has handed it back yet */
		return;
	for (unsigned i = 0; i < group->config->regions_count; i++)
		if (group->config->regions[i].coherence != IST_COHERENCE_INCOHERENT)
			count_region(group, i, group->messages);
}
