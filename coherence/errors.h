/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* errors.h: the error numbers of coherence/, where there is a libc, a kernel, or neither. */
#ifndef COH_ERRORS_H
#define COH_ERRORS_H

#if defined(__KERNEL__)
#include <linux/errno.h>
#elif __STDC_HOSTED__
#include <errno.h>
#else /* Linux's numbers, spelled as guestlib/include/isthmus/errno.h spells them */
#define EIO 5
#define EAGAIN 11
#define EBUSY 16
#define EINVAL 22
#define EPROTO 71
#define EALREADY 114
#define ESTALE 116
#endif

#endif
