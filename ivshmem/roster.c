/* SPDX-License-Identifier: BSD-2-Clause */
/* roster.c: writes the roster, which guests and processes read at the same time. */
#include "memory.h"
#include "wire.h"

#include <string.h>
#include <time.h>

static struct ist_roster *header_of(struct ivshm_memory *memory)
{
	return (struct ist_roster *)(void *)(memory->map + IST_ROSTER_OFFSET);
}

static struct ist_peer *peer_of(struct ivshm_memory *memory, uint32_t id)
{
	return (struct ist_peer *)(void *)(memory->map + IST_PEER_TABLE_OFFSET) + id;
}

static struct ist_region *region_of(struct ivshm_memory *memory, unsigned index)
{
	return (struct ist_region *)(void *)(memory->map + IST_REGION_TABLE_OFFSET) + index;
}

/* All but the rights. */
static void write_region(struct ivshm_memory *memory, const struct ivshm_group_config *group,
			 unsigned index)
{
	const struct ivshm_region_config *from = &group->regions[index];
	struct ist_region *to = region_of(memory, index);
	char name[sizeof(to->name)];

	/* Whole, as a broker that has taken a group over stores what is there: nobody sees less. */
	ivshm_wire_set_string(name, sizeof(name), from->name);
	memcpy(to->name, name, sizeof(name));
	to->offset = memory->layout.region_offset[index];
	to->size = from->size;
	to->coherence = from->coherence;
	to->directory = memory->layout.directory_offset[index];
}

static void write_regions(struct ivshm_memory *memory, const struct ivshm_config *config,
			  const struct ivshm_group_config *group)
{
	for (unsigned i = 0; i < group->regions_count; i++) {
		struct ist_region *to = region_of(memory, i);

		write_region(memory, group, i);
		for (unsigned id = 0; id < group->members_count; id++) {
			uint32_t right = ivshm_config_right(config, group, i, id);

			if (right == IST_RIGHT_READ || right == IST_RIGHT_WRITE)
				to->readers |= 1ull << id;
			if (right == IST_RIGHT_WRITE)
				to->writers |= 1ull << id;
		}
	}
}

static const struct ivshm_limit_config *
limit_of(const struct ivshm_config *config, const struct ivshm_group_config *group, uint32_t id)
{
	const struct ivshm_instance_config *member = ivshm_config_member(config, group, id);

	for (unsigned i = 0; member && i < group->limits_count; i++)
		if (!strcmp(group->limits[i].instance, member->name))
			return &group->limits[i];
	return NULL;
}

void ivshm_roster_set_limits(struct ivshm_memory *memory, const struct ivshm_config *config,
			     const struct ivshm_group_config *group)
{
	for (uint32_t id = 0; id < group->max_peers; id++) {
		const struct ivshm_limit_config *limit = limit_of(config, group, id);
		struct ist_peer *to = peer_of(memory, id);

		/* Whoever reads some of before and some of now is limited by one or the other. */
		__atomic_store_n(&to->memory_max, limit ? limit->memory : 0, __ATOMIC_RELAXED);
		__atomic_store_n(&to->objects_max, limit ? limit->objects : 0, __ATOMIC_RELAXED);
		__atomic_store_n(&to->limits, limit ? limit->limits : 0, __ATOMIC_RELAXED);
	}
}

static void write_directories(struct ivshm_memory *memory, const struct ivshm_group_config *group)
{
	for (unsigned i = 0; i < group->regions_count; i++) {
		uint64_t offset = memory->layout.directory_offset[i];
		struct ist_page_directory *directory = (void *)(memory->map + offset);

		if (offset == 0)
			continue;
		directory->magic = IST_PAGE_DIRECTORY_MAGIC;
		directory->pages = group->regions[i].size / IST_PAGE;
		directory->page_size = IST_PAGE;
		directory->region = i;
		directory->tenure_ns = group->regions[i].tenure_ns;
		directory->recall_ns = group->regions[i].recall_ns;
	}
}

/* Nobody else has the memory yet, so plain stores do. */
void ivshm_roster_write(struct ivshm_memory *memory, const struct ivshm_config *config,
			const struct ivshm_group_config *group)
{
	struct ist_roster *roster = header_of(memory);

	write_regions(memory, config, group);
	ivshm_roster_set_limits(memory, config, group);
	write_directories(memory, group);
	roster->abi_major = IST_ABI_MAJOR;
	roster->abi_minor = IST_ABI_MINOR;
	roster->page_size = (uint32_t)group->page_size;
	/* Who does not know output sections can leave them alone. */
	roster->features_optional = group->output_size ? IST_FEATURE_OUTPUT_SECTIONS : 0;
	roster->total_size = memory->layout.total_size;
	roster->output_offset = memory->layout.output_offset;
	roster->output_size = group->output_size;
	roster->max_peers = group->max_peers;
	roster->vectors = group->vectors;
	ivshm_wire_set_string(roster->name, sizeof(roster->name), group->name);
	roster->regions = memory->regions = group->regions_count;
	roster->magic = IST_ROSTER_MAGIC;
}

void ivshm_roster_changed(struct ivshm_memory *memory)
{
	memory->changes++;
	/* First where the next broker finds it: no number is used for two changes. */
	if (memory->kept)
		__atomic_store_n(memory->kept, memory->changes, __ATOMIC_RELEASE);
	/* Release: pairs with the acquire load of `changes` by who then looks for what changed. */
	__atomic_store_n(&header_of(memory)->changes, memory->changes, __ATOMIC_RELEASE);
}

void ivshm_roster_set_rights(struct ivshm_memory *memory, unsigned index, uint64_t readers,
			     uint64_t writers)
{
	struct ist_region *region = region_of(memory, index);

	__atomic_store_n(&region->readers, readers, __ATOMIC_RELAXED);
	__atomic_store_n(&region->writers, writers, __ATOMIC_RELAXED);
}

void ivshm_roster_add_regions(struct ivshm_memory *memory, const struct ivshm_group_config *group)
{
	for (unsigned i = memory->regions; i < group->regions_count; i++)
		write_region(memory, group, i);
	memory->regions = group->regions_count;
	/* Release: pairs with the acquire load of `regions` by who then reads the entries. */
	__atomic_store_n(&header_of(memory)->regions, group->regions_count, __ATOMIC_RELEASE);
}

static void store_word(struct ivshm_memory *memory, uint32_t id, uint64_t word)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	__atomic_store_n(&peer_of(memory, id)->since_ns,
			 (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
			 __ATOMIC_RELAXED);
	/* Release: pairs with the acquire load of `word` by who reads the peer's fields. */
	__atomic_store_n(&peer_of(memory, id)->word, word, __ATOMIC_RELEASE);
	ivshm_roster_changed(memory);
}

/* The state that personality v2 shows of a peer: 0 whenever an incarnation begins or ends. */
static void clear_state_table(struct ivshm_memory *memory, uint32_t id)
{
	uint32_t *table = (uint32_t *)(void *)(memory->map + IST_STATE_TABLE_OFFSET);

	__atomic_store_n(&table[id], 0, __ATOMIC_RELAXED);
}

/* Everything of an admission up to JOINING. */
static void write_peer(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
		       const char *name, uint32_t vectors, uint32_t kind)
{
	struct ist_peer *peer = peer_of(memory, id);
	uint64_t words[IST_NAME_SIZE / sizeof(uint64_t)];
	char padded[IST_NAME_SIZE];

	ivshm_wire_set_string(padded, sizeof(padded), name);
	memcpy(words, padded, sizeof(words));
	/*
	 * The word changes before the fields do, or who reads the fields meanwhile would find it
	 * unchanged. An exchange, as its acquire keeps the stores to the fields behind it; pairs
	 * with the reader's acquire fence before it loads `word` again.
	 */
	(void)__atomic_exchange_n(&peer->word, IST_PEER_WORD(IST_PEER_ABSENT, incarnation),
				  __ATOMIC_ACQ_REL);
	for (unsigned i = 0; i < IST_NAME_SIZE / sizeof(uint64_t); i++) {
		uint64_t *field = (uint64_t *)(void *)peer->name + i;

		__atomic_store_n(field, words[i], __ATOMIC_RELAXED);
	}
	__atomic_store_n(&peer->vectors, vectors, __ATOMIC_RELAXED);
	__atomic_store_n(&peer->kind, kind, __ATOMIC_RELAXED);
}

void ivshm_roster_admit(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			const char *name, uint32_t vectors, uint32_t kind)
{
	write_peer(memory, id, incarnation, name, vectors, kind);
	clear_state_table(memory, id);
	store_word(memory, id, IST_PEER_WORD(IST_PEER_JOINING, incarnation));
}

/*
 * The state table is not cleared of who is JOINING: it was when the last incarnation ended, and who
 * joins may have its device in use by now.
 */
void ivshm_roster_restore(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			  uint32_t state, const char *name, uint32_t vectors, uint32_t kind)
{
	if (state == IST_PEER_JOINING)
		write_peer(memory, id, incarnation, name, vectors, kind);
	ivshm_roster_set_state(memory, id, incarnation, state);
}

void ivshm_roster_set_state(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			    uint32_t state)
{
	if (state == IST_PEER_ABSENT || state == IST_PEER_DEAD)
		clear_state_table(memory, id);
	store_word(memory, id, IST_PEER_WORD(state, incarnation));
}
