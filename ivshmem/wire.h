/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.h: one packet of the broker's socket: a struct ist_wire and its descriptors. */
#ifndef IVSHM_WIRE_H
#define IVSHM_WIRE_H

#include "abi.h"

#define IVSHM_WIRE_FDS_MAX (IST_VECTORS_MAX + 1u) /* the last: a pager's */

#define IVSHM_WIRE_ABI (IST_ABI_MAJOR << 16 | IST_ABI_MINOR)
#define IVSHM_WIRE_ABI_MAJOR(abi) ((abi) >> 16)
#define IVSHM_WIRE_ABI_MINOR(abi) ((abi)&0xffffu)

struct ivshm_packet {
	struct ist_wire wire;
	unsigned fds_count;
	int fds[IVSHM_WIRE_FDS_MAX]; /* received: the caller's to close */
};

/*
 * Sends without blocking and without SIGPIPE. Returns 0; -EAGAIN: the other side does not read;
 * -ETOOMANYREFS: too many descriptors of this user are under way; -EPIPE and others: it is gone.
 */
int ivshm_wire_send(int socket, const struct ivshm_packet *packet);

/*
 * Receives without blocking. What it returns has its size checked and all strings terminated; on an
 * error no descriptor is left open. Returns 0; -EAGAIN: there is nothing; -EPIPE: the other side is
 * gone; -EMSGSIZE: not the size of a struct ist_wire; -ETOOMANYREFS: too many descriptors;
 * -EMFILE: there was no room for those that came; -EBADMSG: a string without end.
 */
int ivshm_wire_receive(int socket, struct ivshm_packet *packet);

/* Closes the descriptors that came with a packet. */
void ivshm_wire_close_fds(struct ivshm_packet *packet);

/* Copies a string into a field of a packet, which cuts it and pads it with NULs. */
void ivshm_wire_set_string(char *field, size_t size, const char *text);

#endif
