/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_layout.h: a cell as an object of the arena. */
#ifndef IST_CORE_CELL_LAYOUT_H
#define IST_CORE_CELL_LAYOUT_H

#include "arena.h"
#include "cell.h"
#include "cell_replica.h"

/* The object's parameters. */
enum { SIZE, KIND, SEATS, MERGE };

/* What is asked for, as parameters. 0; -EINVAL; -EOPNOTSUPP. */
int ist_cell_ask(const struct ist_cell_options *options, uint64_t parameters[4]);

/* Bytes of an object of this type with these parameters, which are valid. */
uint64_t ist_cell_total(const uint64_t parameters[4], uint32_t type);

/* All zeros, version 0. */
void ist_cell_clear(struct ist_cell_memory *memory, const uint64_t parameters[4], uint32_t type);
void ist_cell_format(uint8_t *bytes, const uint64_t parameters[4]);
void ist_cell_format_replica(uint8_t *bytes, const uint64_t parameters[4]);

/* Fills in the handle from what the object is, if that is possible: 0; -EPROTO, -EOPNOTSUPP,
   -EMSGSIZE, -ENOMEM. */
int ist_cell_fit(struct ist_cell *cell, const struct ist_arena_object *object, uint64_t wanted);

#endif
