/* SPDX-License-Identifier: BSD-2-Clause */
/* legacy_client.h: clients of QEMU's ivshmem-server protocol, as broker_fixture.h's raw ones. */
#ifndef TESTS_LEGACY_CLIENT_H
#define TESTS_LEGACY_CLIENT_H

#include "tests/broker_fixture.h"

struct legacy {
	int socket;
	pid_t pid; /* of the process that connected, for the broker the peer itself */
};

static inline void legacy_address(struct fixture *f, const char *name, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(out->sun_path, sizeof(out->sun_path), "%.60s/%.31s@ping.qemu", f->dir, name);
}

/* From this process. */
static inline int legacy_connect(struct fixture *f, const char *name)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	legacy_address(f, name, &address);
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

/* From a process that does nothing else, on a socket that stays this one's. */
static inline struct legacy legacy_start(struct fixture *f, const char *name)
{
	struct legacy legacy = {.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_un address;
	int connected[2];
	char byte;

	legacy_address(f, name, &address);
	must(legacy.socket >= 0 && pipe2(connected, O_CLOEXEC) == 0);
	legacy.pid = fork();
	must(legacy.pid >= 0);
	if (legacy.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(connect(legacy.socket, (struct sockaddr *)&address, sizeof(address)) == 0);
		/* The broker's descriptors, of which it must be the only holder, go first. */
		must(dup2(connected[1], PROCESS_CONTROL) == PROCESS_CONTROL);
		close_range(PROCESS_CONTROL + 1, ~0u, 0);
		must(write(PROCESS_CONTROL, "", 1) == 1);
		for (;;)
			pause();
	}
	close(connected[1]);
	must(read(connected[0], &byte, 1) == 1);
	close(connected[0]);
	return legacy;
}

/* Ends its process. The socket stays open. */
static inline void legacy_kill(struct fixture *f, struct legacy *legacy)
{
	must(kill(legacy->pid, SIGKILL) == 0);
	must(waitpid(legacy->pid, NULL, 0) == legacy->pid);
	fixture_settle(f);
}

/*
 * Takes one message without waiting. 0; -EAGAIN: there is none; -EPIPE: the broker has hung up.
 * *descriptor -1: it came with none.
 */
static inline int legacy_try(int socket, uint8_t bytes[8], int *descriptor)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(4 * sizeof(int))]; /* surplus ones would be seen */
	} control;
	struct iovec data = {bytes, 8};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*descriptor = -1;
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	must(n == 8 && !(message.msg_flags & MSG_CTRUNC));
	if (header) {
		must(header->cmsg_type == SCM_RIGHTS);
		must(header->cmsg_len == CMSG_LEN(sizeof(int)));
		memcpy(descriptor, CMSG_DATA(header), sizeof(int));
	}
	return 0;
}

/* The next message must be this number, in these eight bytes; its descriptor, or -1. */
static inline int legacy_expect(struct fixture *f, int socket, int64_t number)
{
	uint8_t bytes[8];
	int descriptor;

	fixture_await(f, socket);
	must(legacy_try(socket, bytes, &descriptor) == 0);
	for (unsigned i = 0; i < 8; i++)
		must(bytes[i] == (uint8_t)((uint64_t)number >> 8 * i));
	return descriptor;
}

/* The same, `count` times, each with a descriptor. */
static inline void legacy_expect_bells(struct fixture *f, int socket, uint32_t id, unsigned count,
				       int *bell)
{
	for (unsigned i = 0; i < count; i++) {
		bell[i] = legacy_expect(f, socket, id);
		must(bell[i] >= 0);
	}
}

static inline void legacy_expect_end(struct fixture *f, int socket)
{
	uint8_t bytes[8];
	int descriptor;

	fixture_await(f, socket);
	must(legacy_try(socket, bytes, &descriptor) == -EPIPE);
}

/* Version, ID and memory: the group's, which is the result. */
static inline int legacy_welcome(struct fixture *f, int socket, uint32_t id)
{
	int memory;

	must(legacy_expect(f, socket, 0) == -1);
	must(legacy_expect(f, socket, id) == -1);
	memory = legacy_expect(f, socket, -1);
	must(memory >= 0);
	return memory;
}

#endif
