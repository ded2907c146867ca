/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach.h: DIR/INSTANCE.console: who connects there has the console of a guest, with others.
 *
 * It gets what the guest has printed last and all that it prints from then on; what it sends goes
 * to the guest. Nobody waits for it: who falls too far behind is hung up on.
 */
#pragma once

#include <stddef.h>

struct child;
struct attach; /* NULL: of an instance without; nothing happens to it */

/* One that runs keeps its stdin. 0; or -errno, which is told. */
int attach_create(const char *dir, const struct child *child, struct attach **out);

/* The guest's stdin; -1: it has none. */
int attach_input(const struct attach *attach);

/* Nobody can connect any more. By the thread that created it, while another may serve it. */
void attach_close(struct attach *attach);

/* Only when no other thread uses it. */
void attach_destroy(struct attach *attach);

/* ---- For one other thread ---- */

/* Readable when there is something to serve. */
int attach_fd(const struct attach *attach);
void attach_serve(struct attach *attach);

/* The guest has printed. */
void attach_output(struct attach *attach, const char *data, size_t size);

/* It will print no more: whoever has got all is hung up on. */
void attach_end(struct attach *attach);
