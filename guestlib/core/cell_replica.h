/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_replica.h: opening a replica: where its head and its content are. */
#ifndef IST_CORE_CELL_REPLICA_H
#define IST_CORE_CELL_REPLICA_H

#include <isthmus/cell.h>

#include "arena.h"

/*
 * The regions of the content that is asked for, and of its head. Returns 0; -ENOENT no such region;
 * -EINVAL it is not incoherent, or none that the hardware keeps coherent is before it, or another
 * one is asked for; -EACCES.
 */
int ist_replica_regions(const struct ist_group *group, const struct ist_cell_options *options,
			const struct ist_group_region **home, const struct ist_group_region **pool);

/* Room for the slots of a new one, as an IST_REPLICA_PLACE. The arena's lock is held. 0; -ENOSPC;
   -EPROTO. */
int ist_replica_place(struct ist_group *group, const struct ist_group_region *home,
		      const struct ist_group_region *pool, uint64_t size, uint64_t merge,
		      uint64_t *place);

/*
 * Fills in what a handle has of a replica, whose struct ist_replica of ID 0 is at `replicas`.
 * Returns 0; -EPROTO; -EACCES no right to write the pool; -EOPNOTSUPP this machine cannot.
 */
int ist_replica_fit(struct ist_cell *cell, const struct ist_arena_object *object,
		    uint8_t *replicas);

/* Whether it is said where the content of this version is, or it is version 0, not yet made. */
int ist_replica_sound(const struct ist_cell *cell, uint64_t version);

/* This handle is about to own its seat: version 0 is made, if it is not there. `taken` seats are.
   0; -EPROTO. */
int ist_replica_seat(struct ist_cell *cell, uint32_t taken);

#endif
