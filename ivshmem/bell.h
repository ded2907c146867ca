/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bell.h: rings eventfds without blocking, ever. Whoever holds an eventfd can fill it and take away
 * its O_NONBLOCK, which all holders share, so write(2) could block; its use as the completion event
 * of asynchronous I/O cannot. The I/O is a read of no bytes.
 */
#ifndef IVSHM_BELL_H
#define IVSHM_BELL_H

#include <linux/aio_abi.h>

struct ivshm_bell {
	aio_context_t context;
};

/* 0; or -errno: -EAGAIN when the system has no more contexts (fs.aio-max-nr). */
int ivshm_bell_create(struct ivshm_bell *bell);
void ivshm_bell_destroy(struct ivshm_bell *bell);

/*
 * `source`: a file of which no bytes can be read at once, as a memfd. 0; or -errno, and nobody is
 * rung. One thread at a time.
 */
int ivshm_bell_ring(struct ivshm_bell *bell, int source, int eventfd);

#endif
