/* SPDX-License-Identifier: BSD-2-Clause */
/* wire.c: packets of the broker's socket (abi.h, "The broker's socket"). */
#include "host.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int ist_host_send(int sock, const struct ist_wire *wire, int flags)
{
	ssize_t sent;

	do
		sent = send(sock, wire, sizeof(*wire), flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return (size_t)sent == sizeof(*wire) ? 0 : -EPROTO;
}

int ist_host_send_fds(int sock, const struct ist_host_packet *packet)
{
	union {
		char bytes[CMSG_SPACE(sizeof(packet->fd))];
		struct cmsghdr align;
	} control = {0};
	struct iovec data = {(void *)(uintptr_t)&packet->wire, sizeof(packet->wire)};
	struct msghdr header = {.msg_iov = &data, .msg_iovlen = 1};
	size_t size = packet->fds * sizeof(int);
	ssize_t sent;

	if (packet->fds) {
		control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS,
						 .cmsg_len = CMSG_LEN(size)};
		memcpy(CMSG_DATA(&control.align), packet->fd, size);
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(size);
	}
	do
		sent = sendmsg(sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM)
		return -EAGAIN; /* the broker will have taken some */
	return errno == ECONNRESET ? -EPIPE : -errno;
}

static void take_descriptors(struct msghdr *header, struct ist_host_packet *packet)
{
	struct cmsghdr *control;

	packet->fds = 0;
	/* The buffer holds one full array of descriptors, so what comes fits. */
	for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
		size_t size = control->cmsg_len - CMSG_LEN(0);

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(packet->fd + packet->fds, CMSG_DATA(control), size);
		packet->fds += (unsigned)(size / sizeof(int));
	}
}

int ist_host_receive(int sock, struct ist_host_packet *packet, int flags)
{
	union {
		char bytes[CMSG_SPACE(sizeof(packet->fd))];
		struct cmsghdr align;
	} control;
	struct iovec data = {.iov_base = &packet->wire, .iov_len = sizeof(packet->wire)};
	struct msghdr header;
	bool reset = false, starved;
	ssize_t length;

	for (;;) {
		header = (struct msghdr){.msg_iov = &data,
					 .msg_iovlen = 1,
					 .msg_control = control.bytes,
					 /* Without padding: no more descriptors than fit. */
					 .msg_controllen = CMSG_LEN(sizeof(packet->fd))};
		length = recvmsg(sock, &header, flags | MSG_CMSG_CLOEXEC);
		if (length >= 0)
			break;
		if (errno == EINTR)
			continue;
		/* The other side closed without reading all; what it sent before comes next. */
		if (errno == ECONNRESET && !reset) {
			reset = true;
			continue;
		}
		return errno == ECONNRESET ? -EPIPE : -errno;
	}
	if (length == 0)
		return -EPIPE;
	take_descriptors(&header, packet);
	if (!(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    (size_t)length == sizeof(packet->wire))
		return 0;
	/* The kernel drops descriptors that our own limit has no room for. */
	starved = header.msg_flags & MSG_CTRUNC &&
		  packet->fds < sizeof(packet->fd) / sizeof(packet->fd[0]);
	ist_host_packet_fini(packet);
	return starved ? -EMFILE : -EPROTO;
}

void ist_host_packet_fini(struct ist_host_packet *packet)
{
	while (packet->fds)
		close(packet->fd[--packet->fds]);
}
