/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h: a group's memory: the sealed memfd, and the roster in it. */
#ifndef IVSHM_MEMORY_H
#define IVSHM_MEMORY_H

#include "config.h"
#include "layout.h"

struct ivshm_memory {
	int fd;
	uint8_t *map; /* all of it */
	struct ivshm_layout layout;
	uint64_t changes; /* what the roster's words of these names say */
	unsigned regions;
};

/*
 * Creates the group's memory with its page size and NUMA policy, seals its size and writes the
 * roster, without peers. Returns 0 or -errno with one line in `error`.
 */
int ivshm_memory_create(struct ivshm_memory *memory, const struct ivshm_config *config,
			const struct ivshm_group_config *group, char *error, size_t error_size);

void ivshm_memory_destroy(struct ivshm_memory *memory);

/* The roster is only ever written here, never read: its truth is the broker's own. */

/* A new incarnation of peer `id`: its fields, then its word with IST_PEER_JOINING. */
void ivshm_roster_admit(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			const char *name, uint32_t vectors, uint32_t kind);

/* Another state of an incarnation. */
void ivshm_roster_set_state(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			    uint32_t state);

/* Who may read and write a region, by ID. Told by ivshm_roster_changed(). */
void ivshm_roster_set_rights(struct ivshm_memory *memory, unsigned index, uint64_t readers,
			     uint64_t writers);

/*
 * The region table has grown to what `group` has, with nobody's rights; memory->layout says where.
 * Told likewise.
 */
void ivshm_roster_add_regions(struct ivshm_memory *memory, const struct ivshm_group_config *group);

/* Something has. */
void ivshm_roster_changed(struct ivshm_memory *memory);

/* For memory.c: everything that stays as it is. */
void ivshm_roster_write(struct ivshm_memory *memory, const struct ivshm_config *config,
			const struct ivshm_group_config *group);

#endif
