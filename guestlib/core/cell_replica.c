/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_replica.c: the content of a replica: in incoherent memory, its pool, in slots that one peer
 * each writes (docs/protocol.md, "Replicas"). Who writes sends its lines home before it publishes;
 * who reads a version that its cache has not yet forgets the lines first, and says so for its
 * neighbours in `valid`.
 */
#include "cell_replica.h"

#include "cell.h"

#define PAIRS_OF(size) (((size) + IST_LINE_PAIR - 1) & ~(uint64_t)(IST_LINE_PAIR - 1))

/* Bytes of all slots. Sizes are limited: nothing wraps. */
static uint64_t extent(uint64_t size, uint64_t place)
{
	return 2 * (uint64_t)IST_REPLICA_PEERS(place) * PAIRS_OF(size);
}

/* Where the slots end, from the start of the pool; -EPROTO: not in it. */
static int end_of(const struct ist_group_region *pool, uint64_t size, uint64_t place, uint64_t *end)
{
	uint64_t start = IST_REPLICA_PAGE(place) * IST_PAGE;

	if (IST_REPLICA_PEERS(place) - 1 >= IST_PEERS_MAX || size > IST_CELL_SIZE_MAX ||
	    start > pool->size || extent(size, place) > pool->size - start)
		return -EPROTO;
	*end = start + extent(size, place);
	return 0;
}

int ist_replica_regions(const struct ist_group *group, const struct ist_cell_options *options,
			const struct ist_group_region **home, const struct ist_group_region **pool)
{
	const struct ist_group_region *first = group->region, *found = first;

	while (found < first + group->regions &&
	       __builtin_strcmp(found->name, options->content_region) != 0)
		found++;
	if (found == first + group->regions)
		return -ENOENT;
	if (found->coherence != IST_COHERENCE_INCOHERENT)
		return -EINVAL;
	*pool = found;
	while (found > first && (--found)->coherence != IST_COHERENCE_HARDWARE)
		;
	*home = found;
	if (found->coherence != IST_COHERENCE_HARDWARE ||
	    (options->region && __builtin_strcmp(found->name, options->region) != 0))
		return -EINVAL;
	return ist_group_right(group, found) == IST_RIGHT_WRITE &&
			       ist_group_right(group, *pool) == IST_RIGHT_WRITE
		       ? 0
		       : -EACCES;
}

int ist_replica_place(struct ist_group *group, const struct ist_group_region *home,
		      const struct ist_group_region *pool, uint64_t size, uint64_t merge,
		      uint64_t *place)
{
	uint64_t index = (uint64_t)(pool - group->region), last = 0, end;
	struct ist_arena_object object = {.slot = UINT32_MAX};
	int error;

	while ((error = ist_arena_next(group, home, object.slot + 1, IST_OBJECT_REPLICA,
				       &object)) == 0) {
		if (IST_REPLICA_REGION(object.parameters[3]) != index)
			continue;
		if (end_of(pool, object.parameters[0], object.parameters[3], &end))
			return -EPROTO;
		if (end > last)
			last = end;
	}
	if (error != -ENOENT)
		return error;
	*place =
		IST_REPLICA_PLACE(merge, index, group->max_peers, (last + IST_PAGE - 1) / IST_PAGE);
	return end_of(pool, size, *place, &end) ? -ENOSPC : 0;
}

int ist_replica_fit(struct ist_cell *cell, const struct ist_arena_object *object, uint8_t *replicas)
{
	const struct ist_group *group = cell->group;
	uint64_t place = object->parameters[3], end;
	const struct ist_group_region *pool;

	if (IST_REPLICA_REGION(place) >= group->regions)
		return -EPROTO;
	pool = &group->region[IST_REPLICA_REGION(place)];
	if (pool->coherence != IST_COHERENCE_INCOHERENT ||
	    IST_REPLICA_PEERS(place) != group->max_peers || group->id >= group->max_peers ||
	    end_of(pool, object->parameters[0], place, &end))
		return -EPROTO;
	if (ist_group_right(group, pool) != IST_RIGHT_WRITE)
		return -EACCES;
	cell->pool.peers = IST_REPLICA_PEERS(place);
	cell->pool.valid = &((struct ist_replica *)(void *)replicas)[group->id].valid;
	cell->slots = group->base + pool->offset + IST_REPLICA_PAGE(place) * IST_PAGE;
	cell->pool.flush = group->flush ? group->flush : ist_flush_here();
	return cell->pool.flush ? 0 : -EOPNOTSUPP;
}

void ist_cell_fetch(struct ist_cell *cell, const uint64_t *slot, uint64_t version)
{
	cell->pool.flush->invalidate(slot, cell->size);
	/* Release: who finds it loads nothing that the cache had before. Pairs with the acquire in
	   ist_cell_replica(). */
	ist_store_release(cell->pool.valid, IST_CELL_NUMBER(version) + 1);
}

static uint64_t *own_slot(const struct ist_cell *cell, uint32_t where)
{
	return ist_cell_peer_slot(cell, cell->group->id, where);
}

/* What is in the own slot of this number is at home, and is said to be there. */
static void settle(struct ist_cell *cell, uint32_t where)
{
	cell->pool.flush->write_back(own_slot(cell, where), cell->size);
	/* Release, behind the fence of the write-back: pairs with the acquire in
	 * ist_cell_replica().
	 */
	ist_store_release(&cell->memory->data[where], (uint64_t)cell->group->id + 1);
}

void ist_cell_send(struct ist_cell *cell, uint64_t version)
{
	settle(cell, IST_CELL_WHERE(version));
	/* Release: pairs with the acquire in look_at_slot(). */
	ist_store_release(&cell->memory->version, version);
	/* Its cache has what it wrote. */
	ist_store_release(cell->pool.valid, IST_CELL_NUMBER(version) + 1);
}

int ist_replica_sound(const struct ist_cell *cell, uint64_t version)
{
	uint64_t peer = ist_load_acquire(&cell->memory->data[IST_CELL_SLOT(version)]);

	return peer ? peer <= cell->pool.peers : IST_CELL_NUMBER(version) == 0;
}

int ist_replica_seat(struct ist_cell *cell, uint32_t taken)
{
	uint32_t where = IST_CELL_WHERE(ist_load_acquire(&cell->memory->version));

	if (ist_load_acquire(&cell->memory->data[where]))
		return 0;
	/* Whoever sits has seen to that. */
	if (taken)
		return -EPROTO;
	__builtin_memset(own_slot(cell, where), 0, cell->size);
	settle(cell, where);
	return 0;
}
