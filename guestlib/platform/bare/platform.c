/* SPDX-License-Identifier: BSD-2-Clause */
/* platform.c: groups as the boot block gives them, doorbells by register write and interrupt. */
#include "platform.h"

#include "bare.h"
#include "heap.h"

#include <isthmus/app.h>

#include <stdbool.h>

struct place {
	const struct ist_boot_group *boot; /* NULL: not open */
	uint32_t index;
};

static struct place places[IST_GROUPS_MAX];
static struct ist_heap heap;

/* The roster is shared: whatever is used is loaded once. */
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)

static bool name_is_sound(const char name[IST_NAME_SIZE])
{
	for (uint32_t i = 0; i < IST_NAME_SIZE; i++) {
		if (!name[i])
			return i > 0;
	}
	return false;
}

/* The index of a boot group, or -errno. */
static int find_group(const char *name)
{
	uint32_t groups = ist_bare_boot->groups;

	if (!name) {
		if (groups > 1)
			return -EINVAL;
		return groups ? 0 : -ENOENT;
	}
	for (uint32_t i = 0; i < groups; i++) {
		if (!strcmp(ist_bare_boot->group[i].name, name))
			return (int)i;
	}
	return -ENOENT;
}

static int read_region(struct ist_group *group, uint32_t index, uint32_t right)
{
	const struct ist_region *table = (const void *)(group->base + IST_REGION_TABLE_OFFSET);
	const struct ist_region *shared = &table[index];
	struct ist_group_region *region = &group->region[index];

	for (uint32_t i = 0; i < IST_NAME_SIZE; i++)
		region->name[i] = LOAD(shared->name[i]);
	region->offset = LOAD(shared->offset);
	region->size = LOAD(shared->size);
	region->coherence = LOAD(shared->coherence);
	region->right = right;
	if (!name_is_sound(region->name) || region->offset % IST_PAGE || region->size % IST_PAGE ||
	    region->offset < IST_REGIONS_OFFSET || region->offset > group->size ||
	    region->size > group->size - region->offset ||
	    region->coherence > IST_COHERENCE_INCOHERENT || right > IST_RIGHT_WRITE)
		return -EPROTO;
	return 0;
}

static int read_roster(const struct ist_boot_group *boot, struct ist_group *group)
{
	const struct ist_roster *roster = (const void *)(group->base + IST_ROSTER_OFFSET);
	int error = 0;

	group->regions = LOAD(roster->regions);
	if (LOAD(roster->magic) != IST_ROSTER_MAGIC || LOAD(roster->abi_major) != IST_ABI_MAJOR ||
	    LOAD(roster->features_required) & ~IST_FEATURES_KNOWN ||
	    LOAD(roster->total_size) != group->size ||
	    LOAD(roster->max_peers) != group->max_peers ||
	    LOAD(roster->vectors) != group->vectors || group->regions > IST_REGIONS_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < group->regions && !error; i++)
		error = read_region(group, i, boot->rights[i]);
	return error;
}

int ist_platform_open(const char *name, struct ist_group *group)
{
	const struct ist_boot_group *boot;
	int index = find_group(name), error;

	if (index < 0)
		return index;
	if (places[index].boot)
		return -EBUSY;
	boot = &ist_bare_boot->group[index];
	if (!name_is_sound(boot->name) || boot->memory_size < IST_REGIONS_OFFSET ||
	    boot->max_peers > IST_PEERS_MAX || boot->id >= boot->max_peers ||
	    boot->vectors > IST_VECTORS_MAX)
		return -EPROTO;
	group->base = (uint8_t *)boot->memory;
	group->size = boot->memory_size;
	memcpy(group->name, boot->name, sizeof(group->name));
	group->id = boot->id;
	group->incarnation = boot->incarnation;
	group->vectors = boot->vectors;
	group->max_peers = boot->max_peers;
	error = read_roster(boot, group);
	if (error)
		return error;
	places[index] = (struct place){.boot = boot, .index = (uint32_t)index};
	group->platform = &places[index];
	return 0;
}

void ist_platform_close(struct ist_group *group)
{
	struct place *place = group->platform;

	place->boot = NULL;
}

int ist_platform_ring(struct ist_group *group, uint32_t peer, uint32_t incarnation, uint32_t vector)
{
	const struct place *place = group->platform;
	volatile uint32_t *doorbell = (void *)(place->boot->registers + IST_V1_DOORBELL);

	/* The broker's descriptors lead to the living incarnation, or nowhere. */
	(void)incarnation;
	*doorbell = IST_DOORBELL(peer, vector);
	return 0;
}

/* Acquire: what a peer wrote before it rang is visible to who has seen the count move. */
uint32_t ist_platform_count(struct ist_group *group, uint32_t vector)
{
	const struct place *place = group->platform;

	return __atomic_load_n(&ist_bare_counts[place->index][vector], __ATOMIC_ACQUIRE);
}

uint32_t ist_platform_count_all(struct ist_group *group)
{
	const struct place *place = group->platform;

	return __atomic_load_n(&ist_bare_totals[place->index], __ATOMIC_ACQUIRE);
}

void ist_platform_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	const struct place *place = group->platform;

	ist_bare_wait_until(&ist_bare_totals[place->index], seen, deadline);
}

void ist_bare_heap_init(const struct ist_boot *boot)
{
	ist_heap_init(&heap, boot->free_start, boot->free_end);
}

void *ist_platform_alloc(size_t size)
{
	return ist_heap_alloc(&heap, size);
}

void ist_platform_free(void *memory)
{
	ist_heap_free(&heap, memory);
}

int ist_exits(uint32_t *out)
{
	__asm__ volatile("inl %1, %0" : "=a"(*out) : "N"(IST_PORT_EXITS) : "memory");
	return 0;
}
