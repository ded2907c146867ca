/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_open.c: making a cell, taking a seat in it, giving it up. */
#include "cell_layout.h"
#include "cell_operation.h"
#include "platform.h"

#define SPIN_START_NS 50000u
#define REPAIRS 64u /* tries: beyond them a peer plays with the word */

/* Before the seat's owner word names this client, and when it does so no longer. */
static int hold_seat(struct ist_cell *cell, int on)
{
	const uint8_t *word = (const uint8_t *)&cell->own->owner;

	return ist_platform_hold(cell->group, (uint64_t)(word - cell->group->base), on);
}

/* A free seat, rather than one whose owner is gone; how many are taken. -ENOSPC: all are. */
static int find_seat(struct ist_cell *cell, uint32_t *taken)
{
	uint32_t i, empty = cell->seats, dead = cell->seats;
	uint64_t owner;

	*taken = 0;
	for (i = 0; i < cell->seats; i++) {
		owner = ist_load_acquire(&cell->all[i].owner);
		if (ist_group_fate(cell->group, owner) == IST_FATE_HERE) {
			++*taken;
			continue;
		}
		__atomic_fetch_and(&cell->memory->consumers, ~((uint64_t)1 << i), __ATOMIC_RELAXED);
		if (!owner && empty == cell->seats)
			empty = i;
		if (owner && dead == cell->seats)
			dead = i;
	}
	cell->seat = empty < cell->seats ? empty : dead;
	if (cell->seat == cell->seats)
		return -ENOSPC;
	cell->own = &cell->all[cell->seat];
	return 0;
}

/*
 * A cell that was broken is made anew by the first to open it when nobody else has it open. What is
 * wrong with the word or the version will be found by who uses it: here it is looked for.
 */
static int broken(const struct ist_cell *cell)
{
	struct ist_directory word = coh_load(&cell->memory->directory);
	uint64_t version = ist_load_acquire(&cell->memory->version);

	coh_confirm(&cell->memory->directory, &word);
	return coh_check(word, cell->seats) || IST_DIR_STATE(word.control) == IST_DIR_POISONED ||
	       !ist_cell_where_valid(cell, IST_CELL_WHERE(version)) ||
	       (cell->pool.flush && !ist_replica_sound(cell, version));
}

/*
 * Takes a seat, under the arena's lock. What its last owner left unfinished is finished first.
 * Owner before the word: a survivor that looks at the word from then on finds it busy with one that
 * lives, and one that looked before changes the word first, or fails.
 */
static int sit_down(struct ist_cell *cell, const struct ist_arena_object *object)
{
	struct ist_cell_memory *memory = cell->memory;
	uint64_t bit;
	struct ist_directory word;
	uint32_t taken, tries;
	int error = find_seat(cell, &taken);

	if (error)
		return error;
	if (broken(cell)) {
		if (taken)
			return -EPROTO;
		ist_cell_clear(memory, object->parameters, object->type);
	}
	if (cell->pool.flush)
		error = ist_replica_seat(cell, taken);
	if (error)
		return error;
	error = hold_seat(cell, 1);
	if (error)
		return error;
	if (cell->policy->seated)
		cell->policy->seated(cell);
	ist_store_release(&cell->own->owner, ist_group_owner(cell->group));
	COH_TRACE(&memory->directory, COH_JOIN, cell->seat, memory->directory, memory->directory);
	error = -EAGAIN;
	bit = (uint64_t)1 << cell->seat;
	__atomic_fetch_and(&memory->waiters, ~bit, __ATOMIC_RELAXED);
	__atomic_fetch_and(&memory->watchers, ~bit, __ATOMIC_RELAXED);
	/* Whoever else repairs it changes the word: once. */
	for (tries = 0; tries < REPAIRS && error == -EAGAIN; tries++) {
		word = coh_load(&memory->directory);
		error = IST_DIR_BUSY(word.control) == cell->seat + 1
				? ist_cell_repair(cell, word, cell->seat)
				: 0;
	}
	if (error && error != -EOWNERDEAD) {
		ist_store_release(&cell->own->owner, 0);
		hold_seat(cell, 0);
		return error == -EAGAIN ? -EPROTO : error;
	}
	cell->error = error; /* to be told */
	return 0;
}

/* The handle itself: it has no seat, or has it no more. */
static void discard(struct ist_cell *cell)
{
	if (cell->policy && cell->policy->fini)
		cell->policy->fini(cell);
	ist_cell_near_fini(cell);
	ist_platform_free(cell->results);
	ist_platform_free(cell);
}

/* The object, made if there is none. Who does not ask for a replica opens one that is there. */
static int find_or_make(struct ist_group *group, const struct ist_group_region *region,
			const struct ist_group_region *pool, const char *name,
			uint64_t parameters[4], struct ist_arena_object *object)
{
	int error;

	if (!parameters[SIZE]) {
		error = ist_arena_find(group, region, name, IST_OBJECT_CELL, object);
	} else if (!pool) {
		error = ist_arena_open(group, region, name, IST_OBJECT_CELL,
				       ist_cell_total(parameters, IST_OBJECT_CELL), parameters,
				       ist_cell_format, object);
	} else {
		error = ist_arena_find(group, region, name, IST_OBJECT_REPLICA, object);
		if (error != -ENOENT)
			return error;
		error = ist_replica_place(group, region, pool, parameters[SIZE], parameters[MERGE],
					  &parameters[MERGE]);
		if (error)
			return error;
		return ist_arena_open(group, region, name, IST_OBJECT_REPLICA,
				      ist_cell_total(parameters, IST_OBJECT_REPLICA), parameters,
				      ist_cell_format_replica, object);
	}
	return error == -EEXIST && object->type == IST_OBJECT_REPLICA ? 0 : error;
}

int ist_cell_open(struct ist_group *group, const char *name, const struct ist_cell_options *options,
		  struct ist_cell **out)
{
	static const struct ist_cell_options defaults;
	const struct ist_group_region *region, *pool = NULL;
	struct ist_arena_object object;
	uint64_t parameters[4];
	struct ist_cell *cell;
	int error;

	if (!options)
		options = &defaults;
	if (!name || !ist_name_valid(name))
		return -EINVAL;
	error = ist_cell_ask(options, parameters);
	if (!error)
		error = options->content_region
				? ist_replica_regions(group, options, &region, &pool)
				: ist_group_find_writable(group, options->region, &region);
	if (error)
		return error;
	if (ist_group_gone(group))
		return -ENODEV;
	cell = ist_platform_alloc(sizeof(*cell));
	if (!cell)
		return -ENOMEM;
	cell->group = group;
	cell->flags = options->flags;
	cell->mine = IST_CELL_NOTHING;
	cell->spin_ns = SPIN_START_NS;
	ist_cell_know_own(cell);
	error = ist_arena_lock(group, region);
	if (error)
		goto out_free;
	error = find_or_make(group, region, pool, name, parameters, &object);
	if (!error)
		error = ist_cell_fit(cell, &object, options->size);
	if (!error)
		error = sit_down(cell, &object);
	ist_arena_unlock(group, region);
	if (error)
		goto out_free;
	*out = cell;
	return 0;

out_free:
	discard(cell);
	return error;
}

void ist_cell_close(struct ist_cell *cell)
{
	uint64_t bit;

	if (!cell)
		return;
	if (cell->control)
		ist_cell_abandon(cell);
	bit = (uint64_t)1 << cell->seat;
	__atomic_fetch_and(&cell->memory->consumers, ~bit, __ATOMIC_RELAXED);
	ist_store_release(&cell->own->owner, 0);
	hold_seat(cell, 0);
	discard(cell);
}

size_t ist_cell_size(const struct ist_cell *cell)
{
	return cell->size;
}

int ist_cell_info(struct ist_cell *cell, struct ist_cell_info *out)
{
	uint64_t version = ist_load_acquire(&cell->memory->version);
	uint32_t now, i, taken = 0;

	if (ist_group_gone(cell->group))
		return -ENODEV;
	now = __atomic_load_n(&cell->memory->policy, __ATOMIC_RELAXED);
	if (now > IST_CELL_DELEGATED || !ist_cell_where_valid(cell, IST_CELL_WHERE(version)))
		return -EPROTO;
	for (i = 0; i < cell->seats; i++)
		taken += ist_group_fate(cell->group, ist_load_acquire(&cell->all[i].owner)) ==
			 IST_FATE_HERE;
	out->size = cell->size;
	out->seats = cell->seats;
	out->seats_taken = taken;
	out->policy = (enum ist_policy)cell->kind;
	out->now = (enum ist_policy)now;
	out->version = IST_CELL_NUMBER(version) + (IST_CELL_WHERE(version) == IST_CELL_MOVING);
	out->repairs = ist_load(&cell->memory->repairs);
	out->since_ns = ist_load(&cell->memory->since);
	out->switches = ist_load(&cell->memory->switches);
	return 0;
}
