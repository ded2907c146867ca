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
	uint64_t changes; /* what the roster's word of that name says */
	uint64_t *kept;   /* where that is stored before it is there; or NULL */
};

/*
 * Creates the group's memory with its page size and NUMA policy, seals its size and writes the
 * roster, without peers. Returns 0 or -errno with one line in `error`.
 */
int ivshm_memory_create(struct ivshm_memory *memory, const struct ivshm_config *config,
			const struct ivshm_group_config *group, char *error, size_t error_size);

/*
 * Maps what a peer has handed back, which the caller has checked, and takes it over. `layout`,
 * `changes` and `kept` stay as they are. 0 or -errno.
 */
int ivshm_memory_adopt(struct ivshm_memory *memory, int fd);

void ivshm_memory_destroy(struct ivshm_memory *memory);

/* The roster is only ever written here, never read: its truth is the broker's own. */

/* A new incarnation of peer `id`: its fields, then its word with IST_PEER_JOINING. */
void ivshm_roster_admit(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			const char *name, uint32_t vectors, uint32_t kind);

/* Another state of an incarnation. */
void ivshm_roster_set_state(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			    uint32_t state);

/* What an ID is, whatever is there: where it is JOINING, from the beginning of its admission. */
void ivshm_roster_restore(struct ivshm_memory *memory, uint32_t id, uint32_t incarnation,
			  uint32_t state, const char *name, uint32_t vectors, uint32_t kind);

/* For memory.c: everything that stays as it is. */
void ivshm_roster_write(struct ivshm_memory *memory, const struct ivshm_config *config,
			const struct ivshm_group_config *group);

#endif
