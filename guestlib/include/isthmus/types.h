/* SPDX-License-Identifier: BSD-2-Clause */
/* types.h: what all of libisthmus shares: visibility, handles, rights, timeouts. */
#ifndef ISTHMUS_TYPES_H
#define ISTHMUS_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define IST_BEGIN_DECLS extern "C" {
#define IST_END_DECLS }
#else
#define IST_BEGIN_DECLS
#define IST_END_DECLS
#endif

#define IST_API __attribute__((visibility("default")))

/*
 * Errors. Functions return 0 or a count, or a negated errno value. The numbers are Linux's, on
 * every platform; <errno.h> has them on a host, <isthmus/errno.h> everywhere.
 */

/* Timeouts are relative, in nanoseconds. 0 does not wait; IST_FOREVER waits without limit. */
#define IST_FOREVER UINT64_MAX

struct ist_group;
struct ist_channel;

#endif
