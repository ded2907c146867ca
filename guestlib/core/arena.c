/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.c: named objects in a region; see arena.h. */
#include "arena.h"

#include "platform.h"
#include "words.h"

#include <isthmus/app.h>

#define LOCK_TIMEOUT_NS 1000000000ull
#define LOCK_NAP_NS 50000ull

static struct ist_arena *arena_of(const struct ist_group *group,
				  const struct ist_group_region *region)
{
	return (struct ist_arena *)(void *)(group->base + region->offset);
}

static struct ist_object *slots_of(struct ist_arena *arena)
{
	return (struct ist_object *)(void *)(arena + 1);
}

int ist_name_valid(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (i == IST_NAME_SIZE - 1 || name[i] <= ' ' || name[i] > '~')
			return 0;
	return i > 0;
}

static int take_lock(struct ist_group *group, uint64_t *lock)
{
	uint64_t me = ist_group_owner(group), holder, deadline = 0;

	for (;;) {
		holder = 0;
		/* Acquire: pairs with the release in ist_arena_unlock(). */
		if (ist_cas(lock, &holder, me))
			return 0;
		/* A dead holder's stores are visible: the word that tells of its death, its owner
		   word or the roster's, was acquired. */
		if (ist_group_fate(group, holder) != IST_FATE_HERE && ist_cas(lock, &holder, me))
			return 0;
		if (!deadline)
			deadline = ist_time_ns() + LOCK_TIMEOUT_NS;
		else if (ist_time_ns() > deadline)
			return -ETIMEDOUT;
		ist_sleep_ns(LOCK_NAP_NS);
	}
}

int ist_arena_lock(struct ist_group *group, const struct ist_group_region *region)
{
	struct ist_arena *arena = arena_of(group, region);
	uint64_t magic;
	uint32_t i;
	int error;

	if (region->size < IST_ARENA_SIZE + IST_OBJECT_ALIGN)
		return -ENOSPC;
	error = ist_platform_hold(group, region->offset + offsetof(struct ist_arena, lock), 1);
	if (error)
		return error;
	error = take_lock(group, &arena->lock);
	if (error) {
		ist_platform_hold(group, region->offset + offsetof(struct ist_arena, lock), 0);
		return error;
	}
	magic = ist_load(&arena->magic);
	if (magic == IST_ARENA_MAGIC)
		return 0;
	if (magic) {
		ist_arena_unlock(group, region);
		return -EPROTO;
	}
	for (i = 0; i < IST_ARENA_SLOTS; i++)
		ist_store32(&slots_of(arena)[i].state, IST_OBJECT_FREE);
	ist_store_release(&arena->magic, IST_ARENA_MAGIC);
	return 0;
}

void ist_arena_unlock(struct ist_group *group, const struct ist_group_region *region)
{
	uint64_t me = ist_group_owner(group);

	/* Only what is still mine: another peer may have scribbled over the word. */
	ist_cas(&arena_of(group, region)->lock, &me, 0);
	ist_platform_hold(group, region->offset + offsetof(struct ist_arena, lock), 0);
}

/* One READY slot, read once and checked; -EPROTO when it cannot be. */
static int slot_read(const struct ist_group_region *region, const struct ist_object *slot,
		     struct ist_object *copy)
{
	/* The lock orders this against other writers; a hostile one only spoils the copy. */
	__builtin_memcpy(copy, slot, sizeof(*copy));
	copy->name[IST_NAME_SIZE - 1] = '\0';
	if (copy->offset < IST_ARENA_SIZE || copy->offset % IST_OBJECT_ALIGN ||
	    copy->offset > region->size || copy->size > region->size - copy->offset)
		return -EPROTO;
	return 0;
}

static struct ist_arena_object place(const struct ist_group *group,
				     const struct ist_group_region *region, uint32_t slot,
				     const struct ist_object *copy)
{
	struct ist_arena_object out = {
		.slot = slot,
		.type = copy->type,
		.memory = group->base + region->offset + copy->offset,
		.size = copy->size,
	};

	__builtin_memcpy(out.parameters, copy->parameters, sizeof(copy->parameters));
	return out;
}

/* Where there is room: a slot that is free, and the end of what is used. */
struct room {
	uint32_t slot; /* IST_ARENA_SLOTS: there is none */
	uint64_t end;
	uint64_t objects; /* of this peer, whichever incarnation of it made them, */
	uint64_t memory;  /* and their bytes */
};

static int find(struct ist_group *group, const struct ist_group_region *region, const char *name,
		uint32_t type, struct room *room, struct ist_arena_object *out)
{
	struct ist_object *slots = slots_of(arena_of(group, region)), copy;
	uint32_t i;

	room->slot = IST_ARENA_SLOTS;
	room->end = IST_ARENA_SIZE;
	room->objects = room->memory = 0;
	for (i = 0; i < IST_ARENA_SLOTS; i++) {
		if (ist_load32(&slots[i].state) != IST_OBJECT_READY) {
			if (room->slot == IST_ARENA_SLOTS)
				room->slot = i;
			continue;
		}
		if (slot_read(region, &slots[i], &copy))
			return -EPROTO;
		if (copy.offset + copy.size > room->end)
			room->end = copy.offset + copy.size;
		if (IST_OWNER_ID(copy.creator) == group->id) {
			room->objects++;
			room->memory += copy.size;
		}
		if (__builtin_strcmp(copy.name, name) == 0) {
			*out = place(group, region, i, &copy);
			return copy.type == type ? 0 : -EEXIST;
		}
	}
	return -ENOENT;
}

int ist_arena_find(struct ist_group *group, const struct ist_group_region *region, const char *name,
		   uint32_t type, struct ist_arena_object *out)
{
	struct room room;

	return find(group, region, name, type, &room, out);
}

int ist_arena_next(struct ist_group *group, const struct ist_group_region *region, uint32_t slot,
		   uint32_t type, struct ist_arena_object *out)
{
	struct ist_object *slots = slots_of(arena_of(group, region)), copy;

	for (; slot < IST_ARENA_SLOTS; slot++) {
		if (ist_load32(&slots[slot].state) != IST_OBJECT_READY)
			continue;
		if (slot_read(region, &slots[slot], &copy))
			return -EPROTO;
		if (copy.type == type) {
			*out = place(group, region, slot, &copy);
			return 0;
		}
	}
	return -ENOENT;
}

int ist_arena_open(struct ist_group *group, const struct ist_group_region *region, const char *name,
		   uint32_t type, uint64_t size, const uint64_t parameters[4],
		   ist_arena_format *format, struct ist_arena_object *out)
{
	struct ist_object *slots = slots_of(arena_of(group, region)), copy;
	const struct ist_limits limits = ist_group_limits(group);
	struct room room;
	uint64_t end;
	int error = find(group, region, name, type, &room, out);

	if (error != -ENOENT)
		return error;
	/* Sums of sizes that are each within the region: they do not wrap. */
	if (room.objects >= limits.objects || room.memory > limits.memory ||
	    size > limits.memory - room.memory)
		return -EDQUOT;
	end = (room.end + IST_OBJECT_ALIGN - 1) & ~(uint64_t)(IST_OBJECT_ALIGN - 1);
	if (room.slot == IST_ARENA_SLOTS || end > region->size || size > region->size - end)
		return -ENOSPC;

	__builtin_memset(&copy, 0, sizeof(copy));
	copy.type = type;
	copy.offset = end;
	copy.size = size;
	copy.creator = ist_group_owner(group);
	__builtin_memcpy(copy.name, name, __builtin_strlen(name));
	__builtin_memcpy(copy.parameters, parameters, sizeof(copy.parameters));
	format(group->base + region->offset + end, copy.parameters);
	__builtin_memcpy(&slots[room.slot], &copy, sizeof(copy));
	/* Release: who sees READY sees the slot and the formatted memory. */
	ist_store32_release(&slots[room.slot].state, IST_OBJECT_READY);
	*out = place(group, region, room.slot, &copy);
	return 0;
}
