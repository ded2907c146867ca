/* SPDX-License-Identifier: BSD-2-Clause */
/* platform.c: groups as the boot block gives them, doorbells by register write and interrupt. */
#include "platform.h"

#include "bare.h"
#include "heap.h"
#include "roster.h"
#include "run_state.h"

#include <isthmus/app.h>

struct place {
	const struct ist_boot_group *boot; /* NULL: not open */
	uint32_t index;
};

static struct place places[IST_GROUPS_MAX];
static struct ist_heap heap;

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

static int read_roster(const struct ist_boot_group *boot, struct ist_group *group)
{
	struct ist_roster_head head;
	int error = ist_roster_head(group->base, &head);

	if (error)
		return error;
	if (head.total_size != group->size || head.max_peers != group->max_peers ||
	    head.vectors != group->vectors)
		return -EPROTO;
	return ist_roster_regions(&head, boot->rights, group);
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
	if (!ist_name_is_sound(boot->name) || boot->memory_size < IST_REGIONS_OFFSET ||
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
	group->whole = 1;
	error = read_roster(boot, group);
	if (error)
		return error;
	if (boot->run_state && boot->run_state_size >= IST_RUN_STATE_SIZE)
		ist_run_state_set(group, (const void *)boot->run_state);
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

/* One application, one client: it dies with its peer. */
int ist_platform_hold(struct ist_group *group, uint64_t offset, int on)
{
	(void)group;
	(void)offset;
	(void)on;
	return 0;
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
