/* SPDX-License-Identifier: BSD-2-Clause */
/* roster.c: a group's header and region table, read and checked; see roster.h. */
#include "roster.h"

#define SIZE_MAX_LOG2 46

/* Shared: whatever is used is loaded once. */
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)

static int power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* Whether `count` pieces of `size` bytes, in whole pages, lie between `from` and `to`. */
static int fits(const struct ist_roster_head *head, uint64_t offset, uint64_t size, uint64_t count,
		uint64_t from, uint64_t to)
{
	return offset % head->page_size == 0 && size % head->page_size == 0 && size > 0 &&
	       offset >= from && offset < to && size <= (to - offset) / count;
}

static void copy_name(char to[IST_NAME_SIZE], const char from[IST_NAME_SIZE])
{
	uint32_t i;

	for (i = 0; i < IST_NAME_SIZE; i++)
		to[i] = LOAD(from[i]);
}

int ist_name_is_sound(const char name[IST_NAME_SIZE])
{
	uint32_t i;

	for (i = 0; i < IST_NAME_SIZE; i++)
		if (!name[i])
			return i > 0;
	return 0;
}

int ist_roster_head_is_sound(const struct ist_roster_head *head)
{
	return power_of_two(head->page_size) && power_of_two(head->total_size) &&
	       head->page_size >= IST_PAGE && head->page_size <= head->total_size &&
	       head->total_size >= IST_REGIONS_OFFSET &&
	       head->total_size <= 1ull << SIZE_MAX_LOG2 && head->max_peers > 0 &&
	       head->max_peers <= IST_PEERS_MAX && head->vectors > 0 &&
	       head->vectors <= IST_VECTORS_MAX && head->regions <= IST_REGIONS_MAX &&
	       (!head->output_offset ||
		fits(head, head->output_offset, head->output_size, head->max_peers,
		     IST_REGIONS_OFFSET, head->total_size));
}

int ist_roster_head(const uint8_t *base, struct ist_roster_head *out)
{
	const struct ist_roster *roster = (const void *)(base + IST_ROSTER_OFFSET);

	if (LOAD(roster->magic) != IST_ROSTER_MAGIC || LOAD(roster->abi_major) != IST_ABI_MAJOR ||
	    LOAD(roster->features_required) & ~IST_FEATURES_KNOWN)
		return -EPROTO;
	out->page_size = LOAD(roster->page_size);
	out->total_size = LOAD(roster->total_size);
	out->output_offset = LOAD(roster->output_offset);
	out->output_size = LOAD(roster->output_size);
	out->max_peers = LOAD(roster->max_peers);
	out->vectors = LOAD(roster->vectors);
	out->regions = LOAD(roster->regions);
	copy_name(out->name, roster->name);
	return ist_roster_head_is_sound(out) ? 0 : -EPROTO;
}

int ist_roster_add_region(const struct ist_roster_head *head, const struct ist_group_region *region,
			  struct ist_group *group)
{
	const struct ist_group_region *next = &group->region[group->regions];
	uint64_t start = IST_REGIONS_OFFSET;
	uint64_t end = head->output_offset ? head->output_offset : head->total_size;

	if (group->regions)
		start = next[-1].offset + next[-1].size;
	if (group->regions == IST_REGIONS_MAX || !ist_name_is_sound(region->name) ||
	    !fits(head, region->offset, region->size, 1, start, end) ||
	    region->right > IST_RIGHT_WRITE || region->coherence > IST_COHERENCE_INCOHERENT)
		return -EPROTO;
	group->region[group->regions++] = *region;
	return 0;
}

static uint32_t right_of(const struct ist_region *region, uint32_t id)
{
	if (LOAD(region->writers) >> id & 1)
		return IST_RIGHT_WRITE;
	return LOAD(region->readers) >> id & 1 ? IST_RIGHT_READ : IST_RIGHT_NONE;
}

int ist_roster_regions(const struct ist_roster_head *head, const uint8_t *rights,
		       struct ist_group *group)
{
	const struct ist_region *table = (const void *)(group->base + IST_REGION_TABLE_OFFSET);
	struct ist_group_region region;
	uint32_t i;
	int error = 0;

	for (i = 0; i < head->regions && !error; i++) {
		copy_name(region.name, table[i].name);
		region.offset = LOAD(table[i].offset);
		region.size = LOAD(table[i].size);
		region.coherence = LOAD(table[i].coherence);
		region.right = rights ? rights[i] : right_of(&table[i], group->id);
		error = ist_roster_add_region(head, &region, group);
	}
	return error;
}
