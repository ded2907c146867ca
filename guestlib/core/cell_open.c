/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_open.c: making a cell, taking a seat in it, giving it up. */
#include "arena.h"
#include "cell.h"
#include "cell_replica.h"
#include "platform.h"

#define SPIN_START_NS 50000u
#define REPAIRS 64u /* tries: beyond them a peer plays with the word */

/* What the policies do otherwise than the core; NULL: there is no such policy in this library. */
static const struct ist_cell_policy plain;
static const struct ist_cell_policy *const policies[] = {
	[IST_CELL_ADAPTIVE] = &ist_cell_adaptive,
	[IST_CELL_READ_MOSTLY] = &plain,
	[IST_CELL_MIGRATORY] = &plain,
	[IST_CELL_PRODUCER_CONSUMER] = &ist_cell_push,
	[IST_CELL_WRITE_SHARED] = &ist_cell_merged,
	[IST_CELL_DELEGATED] = &ist_cell_delegate,
};

_Static_assert((int)IST_ADAPTIVE == IST_CELL_ADAPTIVE, "policies are the ABI's");
_Static_assert((int)IST_READ_MOSTLY == IST_CELL_READ_MOSTLY, "policies are the ABI's");
_Static_assert((int)IST_MIGRATORY == IST_CELL_MIGRATORY, "policies are the ABI's");
_Static_assert((int)IST_PRODUCER_CONSUMER == IST_CELL_PRODUCER_CONSUMER, "policies are the ABI's");
_Static_assert((int)IST_WRITE_SHARED == IST_CELL_WRITE_SHARED, "policies are the ABI's");
_Static_assert((int)IST_DELEGATED == IST_CELL_DELEGATED, "policies are the ABI's");
_Static_assert((int)IST_MERGE_REPLACE == IST_CELL_MERGE_REPLACE, "merges are the ABI's");
_Static_assert((int)IST_MERGE_SUM == IST_CELL_MERGE_SUM, "merges are the ABI's");
_Static_assert((int)IST_MERGE_MIN == IST_CELL_MERGE_MIN, "merges are the ABI's");
_Static_assert((int)IST_MERGE_MAX == IST_CELL_MERGE_MAX, "merges are the ABI's");
_Static_assert((int)IST_MERGE_OR == IST_CELL_MERGE_OR, "merges are the ABI's");
_Static_assert((int)IST_MERGE_OWN == IST_CELL_MERGE_OWN, "merges are the ABI's");
_Static_assert((int)IST_CELL_SEATS_MAX == IST_PEERS_MAX, "a seat is a peer in a directory word");

/* Of the object's parameters. */
enum { SIZE, KIND, SEATS, MERGE };

struct layout {
	uint64_t slots; /* offset of the first of two */
	uint64_t slot_stride;
	uint64_t common;
	uint64_t areas; /* offset of seat 0's */
	uint64_t area_stride;
	uint64_t total;
};

static uint64_t pairs(uint64_t size)
{
	return (size + IST_LINE_PAIR - 1) & ~(uint64_t)(IST_LINE_PAIR - 1);
}

static const struct ist_cell_policy *policy_of(uint64_t kind)
{
	return kind < sizeof(policies) / sizeof(policies[0]) ? policies[kind] : NULL;
}

/* The policy it is made with. */
static uint64_t kind_of(const uint64_t parameters[4])
{
	return parameters[KIND] & ~(uint64_t)IST_CELL_IN_PLACE;
}

static int merge_valid(uint64_t merge, uint64_t size)
{
	if (merge == IST_CELL_MERGE_REPLACE)
		return 1;
	return size % sizeof(uint64_t) == 0 &&
	       (merge <= IST_CELL_MERGE_OR ||
		(merge >= IST_CELL_MERGE_OWN && merge < IST_CELL_MERGES));
}

/* Of a replica the last parameter also says where the content is. */
static uint64_t merge_of(const uint64_t parameters[4], uint32_t type)
{
	return type == IST_OBJECT_REPLICA ? IST_REPLICA_MERGE(parameters[MERGE])
					  : parameters[MERGE];
}

static int in_head(const uint64_t parameters[4], uint32_t type)
{
	return type == IST_OBJECT_CELL && parameters[SIZE] <= IST_CELL_INLINE;
}

/* Whether write sections may change the content where readers find it: what for is a line that is
   asked for as soon as the first word is stored. Who reads most of the time finds it there. */
static int may_be_in_place(const uint64_t parameters[4])
{
	return kind_of(parameters) == IST_CELL_MIGRATORY ||
	       kind_of(parameters) == IST_CELL_ADAPTIVE;
}

static int parameters_valid(const uint64_t parameters[4], uint32_t type)
{
	uint64_t merge = merge_of(parameters, type);

	if (parameters[KIND] & IST_CELL_IN_PLACE &&
	    !(in_head(parameters, type) && may_be_in_place(parameters)))
		return 0;
	if (kind_of(parameters) == IST_CELL_WRITE_SHARED ? !merge_valid(merge, parameters[SIZE])
							 : merge != 0)
		return 0;
	/* What is pushed would be copies in coherent memory. */
	if (type == IST_OBJECT_REPLICA && (kind_of(parameters) == IST_CELL_PRODUCER_CONSUMER ||
					   IST_REPLICA_PEERS(parameters[MERGE]) > IST_PEERS_MAX))
		return 0;
	return parameters[SIZE] >= 1 && parameters[SIZE] <= IST_CELL_SIZE_MAX &&
	       kind_of(parameters) <= IST_CELL_DELEGATED && parameters[SEATS] >= 1 &&
	       parameters[SEATS] <= IST_CELL_SEATS_MAX;
}

/* All sizes are limited: nothing wraps. */
static struct layout lay_out(const uint64_t parameters[4], uint32_t type)
{
	const struct ist_cell_policy *policy = policy_of(kind_of(parameters));
	struct layout layout;

	layout.slots =
		sizeof(struct ist_cell_memory) + parameters[SEATS] * sizeof(struct ist_cell_seat);
	layout.slot_stride = in_head(parameters, type) ? 0 : pairs(parameters[SIZE]);
	/* The slots of a replica are elsewhere; in their place is what each peer's cache has. */
	layout.common = layout.slots +
			(type == IST_OBJECT_REPLICA
				 ? IST_REPLICA_PEERS(parameters[MERGE]) * sizeof(struct ist_replica)
				 : 2 * layout.slot_stride);
	layout.areas = layout.common;
	if (policy && policy->common)
		layout.areas += pairs(policy->common(parameters[SIZE]));
	layout.area_stride = policy && policy->area ? pairs(policy->area(parameters[SIZE])) : 0;
	layout.total = layout.areas + parameters[SEATS] * layout.area_stride;
	return layout;
}

/* All zeros, version 0. */
static void clear(struct ist_cell_memory *memory, const uint64_t parameters[4], uint32_t type)
{
	__builtin_memset(memory, 0, lay_out(parameters, type).total);
	memory->policy = kind_of(parameters) == IST_CELL_ADAPTIVE ? IST_CELL_MIGRATORY
								  : (uint32_t)kind_of(parameters);
	memory->version =
		IST_CELL_VERSION(0, in_head(parameters, type) ? IST_CELL_HEAD : IST_CELL_SLOT(0));
}

static void format(uint8_t *bytes, const uint64_t parameters[4])
{
	clear((struct ist_cell_memory *)(void *)bytes, parameters, IST_OBJECT_CELL);
}

static void format_replica(uint8_t *bytes, const uint64_t parameters[4])
{
	clear((struct ist_cell_memory *)(void *)bytes, parameters, IST_OBJECT_REPLICA);
}

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
		clear(memory, object->parameters, object->type);
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

/* What is asked for, as parameters of an object. */
static int ask(const struct ist_cell_options *options, uint64_t parameters[4])
{
	static const uint64_t none[4];

	__builtin_memcpy(parameters, none, sizeof(none));
	parameters[SIZE] = options->size;
	parameters[KIND] = (uint64_t)options->policy;
	parameters[SEATS] = options->seats ? options->seats : IST_CELL_SEATS_MAX;
	if (options->policy == IST_WRITE_SHARED)
		parameters[MERGE] = options->merge;
	if (!options->content_region && options->size <= IST_CELL_INLINE &&
	    may_be_in_place(parameters))
		parameters[KIND] |= IST_CELL_IN_PLACE;
	if (options->flags & ~(IST_CELL_POLL | IST_CELL_NEAR) || !merge_valid(options->merge, 0))
		return -EINVAL;
	if (!options->size)
		return 0;
	if (!parameters_valid(parameters, IST_OBJECT_CELL))
		return -EINVAL;
	if (options->content_region && options->policy == IST_PRODUCER_CONSUMER)
		return -EOPNOTSUPP;
	return policy_of(kind_of(parameters)) ? 0 : -EOPNOTSUPP;
}

/* Fills in the handle from what the object is, if that is possible. */
static int fit(struct ist_cell *cell, const struct ist_arena_object *object, uint64_t wanted)
{
	struct layout layout;
	int error;

	if (!parameters_valid(object->parameters, object->type))
		return -EPROTO;
	cell->policy = policy_of(kind_of(object->parameters));
	if (!cell->policy)
		return -EOPNOTSUPP;
	if (wanted && wanted != object->parameters[SIZE])
		return -EMSGSIZE;
	layout = lay_out(object->parameters, object->type);
	if (object->size < layout.total)
		return -EPROTO;
	cell->memory = (struct ist_cell_memory *)(void *)object->memory;
	cell->all = (struct ist_cell_seat *)(void *)(cell->memory + 1);
	cell->seats = (uint32_t)object->parameters[SEATS];
	cell->merge = (uint32_t)merge_of(object->parameters, object->type);
	cell->kind = (uint32_t)kind_of(object->parameters);
	cell->size = object->parameters[SIZE];
	cell->words = (uint32_t)((cell->size + sizeof(uint64_t) - 1) / sizeof(uint64_t));
	cell->in_head = (uint32_t)in_head(object->parameters, object->type);
	cell->in_place = (object->parameters[KIND] & IST_CELL_IN_PLACE) != 0;
	cell->watch.migratory = cell->kind == IST_CELL_MIGRATORY;
	if (cell->in_head && !cell->policy->read && cell->size % sizeof(uint64_t) == 0)
		cell->quick = cell->words;
	cell->noted = cell->kind == IST_CELL_MIGRATORY || cell->kind == IST_CELL_ADAPTIVE;
	cell->slots = object->memory + layout.slots;
	cell->slot_stride = layout.slot_stride;
	cell->common = object->memory + layout.common;
	cell->areas = object->memory + layout.areas;
	cell->area_stride = layout.area_stride;
	cell->vector = IST_CHANNEL_VECTOR(object->slot, cell->group->vectors);
	if (object->type == IST_OBJECT_REPLICA) {
		error = ist_replica_fit(cell, object, object->memory + layout.slots);
		if (error)
			return error;
	}
	error = ist_cell_near_init(cell);
	if (error)
		return error;
	return cell->policy->init ? cell->policy->init(cell) : 0;
}

/* The handle itself: it has no seat, or has it no more. */
static void discard(struct ist_cell *cell)
{
	if (cell->policy && cell->policy->fini)
		cell->policy->fini(cell);
	ist_cell_near_fini(cell);
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
				       lay_out(parameters, IST_OBJECT_CELL).total, parameters,
				       format, object);
	} else {
		error = ist_arena_find(group, region, name, IST_OBJECT_REPLICA, object);
		if (error != -ENOENT)
			return error;
		error = ist_replica_place(group, region, pool, parameters[SIZE], parameters[MERGE],
					  &parameters[MERGE]);
		if (error)
			return error;
		return ist_arena_open(group, region, name, IST_OBJECT_REPLICA,
				      lay_out(parameters, IST_OBJECT_REPLICA).total, parameters,
				      format_replica, object);
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
	error = ask(options, parameters);
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
	error = ist_arena_lock(group, region);
	if (error)
		goto out_free;
	error = find_or_make(group, region, pool, name, parameters, &object);
	if (!error)
		error = fit(cell, &object, options->size);
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
