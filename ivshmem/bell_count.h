/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bell_count.h: a broker's BPF programs that count how often eventfds are rung; docs/protocol.md,
 * "The control socket". Built without BPF it is bell_count_absent.c, where nothing can be created.
 *
 * As the broker's: one thread, nothing blocks. What is created is gone with the process.
 */
#ifndef IVSHM_BELL_COUNT_H
#define IVSHM_BELL_COUNT_H

#include <stddef.h>
#include <stdint.h>

struct ivshm_bell_count;

/*
 * Loads the programs for at most so many eventfds and attaches them. Returns 0; -errno with one
 * line in `error`: this build, this kernel or our rights do not allow it.
 */
int ivshm_bell_count_create(uint32_t eventfds, char *error, size_t error_size,
			    struct ivshm_bell_count **out);

/* Detaches them. NULL is ignored. */
void ivshm_bell_count_destroy(struct ivshm_bell_count *count);

/*
 * Counts this eventfd, named by ivshm_eventfd_id(), from 0 on. Somebody holds it: the kernel gives
 * the name to another one when nobody does. 0; -E2BIG: they are as many as there can be; -EINVAL:
 * it has no name; -ENOMEM.
 */
int ivshm_bell_count_add(struct ivshm_bell_count *count, uint64_t eventfd);

/* It is not counted any more, if it was. Before it is closed. */
void ivshm_bell_count_remove(struct ivshm_bell_count *count, uint64_t eventfd);

/* How often it was rung since it was added. 0; -ENOENT: it was not. */
int ivshm_bell_count_read(const struct ivshm_bell_count *count, uint64_t eventfd, uint64_t *rings);

#endif
