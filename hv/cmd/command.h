/* SPDX-License-Identifier: BSD-2-Clause */
/* command.h: the commands of `isthmus`. Each takes its own argv and returns an exit status. */
#ifndef HV_CMD_COMMAND_H
#define HV_CMD_COMMAND_H

#include <stdio.h>

#include "ivshmem/config.h"

#define EXIT_USAGE 2

int command_check(int argc, char **argv);
int command_run(int argc, char **argv);
int command_up(int argc, char **argv);

/* The last word on a wrong command line: where help is. Returns EXIT_USAGE. */
int usage_hint(const char *command);

/* The configuration, if all it asks for is there. The errors are told; NULL on any. */
struct ivshm_config *load_usable(const char *path);

/*
 * The directory of the groups' sockets, into `out`: `given` by the user, or the default one when
 * that is NULL. Tells the error. 0 or -errno.
 */
int find_runtime_dir(const char *given, char *out, size_t size);

#endif
