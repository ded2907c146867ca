/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c: rings an eventfd without blocking, ever.
 *
 * Who shares an eventfd can fill its counter and clear O_NONBLOCK, which belongs to all holders: a
 * write(2) could block for ever. The kernel's own signal, at the end of an asynchronous I/O,
 * cannot. So the doorbell is the completion of a read of no bytes.
 */
#include "host.h"

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 64  /* threads that ring at the same time */
#define TRIES 100 /* beyond them */

int ist_host_ringer_init(struct ist_host_ringer *ringer, int source)
{
	ringer->source = source;
	ringer->context = 0;
	return syscall(SYS_io_setup, SLOTS, &ringer->context) ? -errno : 0;
}

void ist_host_ringer_fini(struct ist_host_ringer *ringer)
{
	syscall(SYS_io_destroy, ringer->context);
}

int ist_host_ringer_ring(const struct ist_host_ringer *ringer, int eventfd)
{
	struct iocb read_nothing = {.aio_lio_opcode = IOCB_CMD_PREAD,
				    .aio_fildes = (uint32_t)ringer->source,
				    .aio_flags = IOCB_FLAG_RESFD,
				    .aio_resfd = (uint32_t)eventfd};
	struct iocb *list = &read_nothing;
	struct io_event done;
	unsigned tries;
	long submitted;
	int err;

	for (tries = 0; tries < TRIES; tries++) {
		submitted = syscall(SYS_io_submit, ringer->context, 1, &list);
		err = errno;
		/* One completion is taken for each, this one's or another thread's. */
		syscall(SYS_io_getevents, ringer->context, 0, 1, &done, NULL);
		if (submitted == 1)
			return 0;
		if (err != EAGAIN)
			break;
	}
	return -EPIPE;
}
