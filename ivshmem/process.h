/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h: which process, which eventfd: what stays true of them when who knew them is gone.
 *
 * A pid is used again. Pid and start time together name one process of this boot.
 */
#ifndef IVSHM_PROCESS_H
#define IVSHM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * When the process that this pidfd holds has started, in clock ticks since boot
 * (/proc/PID/stat). 0; -ESRCH it has ended; or another -errno.
 */
int ivshm_process_start(pid_t pid, int pidfd, uint64_t *start);

/* A pidfd of the process with this pid and start time. -ESRCH: it has ended. */
int ivshm_process_open(pid_t pid, uint64_t start);

/* Whether the process that this pidfd holds has not ended. */
bool ivshm_process_lives(int pidfd);

/*
 * What names the object behind an eventfd as long as anybody holds it: the `eventfd-id` of
 * /proc/self/fdinfo, plus one, so that 0 is none. 0; -EINVAL it is no eventfd, or this kernel tells
 * none; or another -errno.
 */
int ivshm_eventfd_id(int fd, uint64_t *id);

#endif
