/* SPDX-License-Identifier: BSD-2-Clause */
/* errno.h: the error numbers libisthmus returns, negated. Linux's numbers, also where there is no
 * Linux. */
#ifndef ISTHMUS_ERRNO_H
#define ISTHMUS_ERRNO_H

#if __STDC_HOSTED__
#include <errno.h>
#else
#define EPERM 1
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENOSPC 28
#define EPIPE 32
#define ENOSYS 38
#define ENODATA 61
#define EPROTO 71
#define EMSGSIZE 90
#define EOPNOTSUPP 95
#define ETIMEDOUT 110
#define ECONNREFUSED 111
#define EDQUOT 122
#define EOWNERDEAD 130
#endif

#endif
