/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_layout.c: what a cell's object is: its parameters, what they allow, and where things are in
   it. Parameters come from shared memory: they are checked before anything is computed of them. */
#include "cell_layout.h"

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

uint64_t ist_cell_total(const uint64_t parameters[4], uint32_t type)
{
	return lay_out(parameters, type).total;
}

void ist_cell_clear(struct ist_cell_memory *memory, const uint64_t parameters[4], uint32_t type)
{
	__builtin_memset(memory, 0, lay_out(parameters, type).total);
	memory->policy = kind_of(parameters) == IST_CELL_ADAPTIVE ? IST_CELL_MIGRATORY
								  : (uint32_t)kind_of(parameters);
	memory->version =
		IST_CELL_VERSION(0, in_head(parameters, type) ? IST_CELL_HEAD : IST_CELL_SLOT(0));
}

void ist_cell_format(uint8_t *bytes, const uint64_t parameters[4])
{
	ist_cell_clear((struct ist_cell_memory *)(void *)bytes, parameters, IST_OBJECT_CELL);
}

void ist_cell_format_replica(uint8_t *bytes, const uint64_t parameters[4])
{
	ist_cell_clear((struct ist_cell_memory *)(void *)bytes, parameters, IST_OBJECT_REPLICA);
}

int ist_cell_ask(const struct ist_cell_options *options, uint64_t parameters[4])
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

int ist_cell_fit(struct ist_cell *cell, const struct ist_arena_object *object, uint64_t wanted)
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
	cell->here = !cell->policy->operate;
	cell->tells = cell->kind == IST_CELL_PRODUCER_CONSUMER;
	cell->noted = (cell->kind == IST_CELL_MIGRATORY ? IST_CELL_NOTE_WRITE : 0) |
		      (cell->kind == IST_CELL_ADAPTIVE ? IST_CELL_NOTE_COUNT : 0);
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
