/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h: named objects in a region (abi.h, "Objects").
 *
 * The directory is changed under one lock word that names its holder. A holder that dies loses it:
 * whatever it was doing, a slot counts only once its state says READY, and where free memory starts
 * is computed from the READY slots, so there is nothing to undo.
 */
#ifndef IST_CORE_ARENA_H
#define IST_CORE_ARENA_H

#include "group.h"

struct ist_arena_object {
	uint32_t slot; /* in the directory */
	uint32_t type; /* IST_OBJECT_* */
	uint8_t *memory;
	uint64_t size;
	uint64_t parameters[4];
};

/* Makes a fresh object's memory, which holds arbitrary bytes, ready for its first user. */
typedef void ist_arena_format(uint8_t *memory, const uint64_t parameters[4]);

/*
 * Takes the directory's lock of a region this peer may write, formatting the arena when nobody has.
 * Blocks up to one second. Returns 0; -ETIMEDOUT; -ENOSPC the region is too small for an arena;
 * -EPROTO what is there is no arena; or as ist_platform_hold().
 */
int ist_arena_lock(struct ist_group *group, const struct ist_group_region *region);
void ist_arena_unlock(struct ist_group *group, const struct ist_group_region *region);

/*
 * The object of this name and type, made with `size` and `parameters` when there is none. The lock
 * is held. Returns 0; -EEXIST it is of another type, and *out is that; -EDQUOT this peer has made
 * as many objects, or as much of them, as it may; -ENOSPC; -EPROTO the directory is corrupt.
 */
int ist_arena_open(struct ist_group *group, const struct ist_group_region *region, const char *name,
		   uint32_t type, uint64_t size, const uint64_t parameters[4],
		   ist_arena_format *format, struct ist_arena_object *out);

/* The same, and -ENOENT when there is none. */
int ist_arena_find(struct ist_group *group, const struct ist_group_region *region, const char *name,
		   uint32_t type, struct ist_arena_object *out);

/*
 * The next object of this type from the directory's slot *slot on; out->slot + 1 is where to go on.
 * The lock is held. Returns 0; -ENOENT there is none any more; -EPROTO.
 */
int ist_arena_next(struct ist_group *group, const struct ist_group_region *region, uint32_t slot,
		   uint32_t type, struct ist_arena_object *out);

/* Whether a name may name an object: 1..31 printable ASCII characters without blanks. */
int ist_name_valid(const char *name);

#endif
