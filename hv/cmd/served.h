/* SPDX-License-Identifier: BSD-2-Clause */
/* served.h: what a broker of another process serves, seen from outside. */
#ifndef HV_CMD_SERVED_H
#define HV_CMD_SERVED_H

#include <stddef.h>

/*
 * A file that is the memory of a group that is served in `dir`, in /proc, for as long as its broker
 * lives. 0; or -errno, which is told: -ENOENT nobody serves it, -EACCES another user does.
 */
int served_memory(const char *dir, const char *group, char *path, size_t size);

#endif
