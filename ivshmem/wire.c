/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.c: one packet of the broker's socket: a struct ist_wire and its descriptors. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(IVSHM_WIRE_FDS_MAX * sizeof(int))];
};

int ivshm_wire_send(int socket, const struct ivshm_packet *packet)
{
	union control control;
	struct iovec data = {(void *)(uintptr_t)&packet->wire, sizeof(packet->wire)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (packet->fds_count > 0) {
		size_t length = packet->fds_count * sizeof(int);

		memset(&control, 0, sizeof(control));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(length);
		memcpy(CMSG_DATA(&control.header), packet->fds, length);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(length);
	}
	for (;;) {
		if (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* Takes the descriptors out of the control messages. */
static void take_fds(struct msghdr *message, struct ivshm_packet *packet)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t length = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* The kernel wrote this into a buffer of just this many descriptors. */
		memcpy(packet->fds, CMSG_DATA(c), length);
		packet->fds_count = (unsigned)(length / sizeof(int));
	}
}

/* A read of 0 bytes: the end, or an empty packet. */
static int end_or_empty(int socket)
{
	struct pollfd p = {.fd = socket, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 && p.revents & (POLLRDHUP | POLLHUP | POLLERR) ? -EPIPE
										  : -EMSGSIZE;
}

int ivshm_wire_receive(int socket, struct ivshm_packet *packet)
{
	union control control;
	struct iovec data = {&packet->wire, sizeof(packet->wire)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 /* Without the padding, which has room for one more. */
				 .msg_controllen = CMSG_LEN(sizeof(packet->fds))};
	unsigned reset = 0;
	ssize_t length;
	int r;

	packet->fds_count = 0;
	/* Who closes without having read all is told of first, once; what it has sent comes after.
	 */
	do
		length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (length < 0 && (errno == EINTR || (errno == ECONNRESET && !reset++)));
	if (length < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;

	take_fds(&message, packet);
	if (length == 0 && packet->fds_count == 0)
		return end_or_empty(socket);
	/* The kernel drops descriptors that our own limit has no room for. */
	if (message.msg_flags & MSG_CTRUNC)
		r = packet->fds_count < IVSHM_WIRE_FDS_MAX ? -EMFILE : -ETOOMANYREFS;
	else if ((size_t)length != sizeof(packet->wire) || message.msg_flags & MSG_TRUNC)
		r = -EMSGSIZE;
	else if (!memchr(packet->wire.name, 0, sizeof(packet->wire.name)) ||
		 !memchr(packet->wire.text, 0, sizeof(packet->wire.text)))
		r = -EBADMSG;
	else
		return 0;
	ivshm_wire_close_fds(packet);
	return r;
}

void ivshm_wire_close_fds(struct ivshm_packet *packet)
{
	for (unsigned i = 0; i < packet->fds_count; i++)
		close(packet->fds[i]);
	packet->fds_count = 0;
}

void ivshm_wire_set_string(char *field, size_t size, const char *text)
{
	size_t length = strnlen(text, size - 1);

	memset(field, 0, size);
	memcpy(field, text, length);
}
