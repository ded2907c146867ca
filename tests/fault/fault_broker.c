/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_broker.c: the n-th call that can fail does, for every n: in creating a broker, in letting
 * two peers in and out, one of QEMU's in, and in ending it. Each time the error is clear, the next
 * peer gets in, and nothing is left: no descriptor, no file.
 */
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/legacy_client.h"
#include "tests/nth_call.h"

static bool old_kernel; /* without SO_PEERPIDFD */

FAULT(int, -1, memfd_create, ENFILE, (const char *name, unsigned flags), name, flags)
FAULT(int, -1, ftruncate, ENOSPC, (int fd, off_t size), fd, size)
FAULT(int, -1, mkdir, EACCES, (const char *path, mode_t mode), path, mode)
FAULT(int, -1, chmod, EPERM, (const char *path, mode_t mode), path, mode)
FAULT(int, -1, socket, EMFILE, (int domain, int type, int protocol), domain, type, protocol)
FAULT(int, -1, bind, EADDRINUSE, (int fd, const struct sockaddr *a, socklen_t size), fd, a, size)
FAULT(int, -1, listen, ENOBUFS, (int fd, int backlog), fd, backlog)
FAULT(int, -1, accept4, EMFILE, (int fd, struct sockaddr *a, socklen_t *size, int flags), fd, a,
      size, flags)
FAULT(int, -1, eventfd, EMFILE, (unsigned count, int flags), count, flags)
FAULT(int, -1, epoll_create1, EMFILE, (int flags), flags)
FAULT(int, -1, timerfd_create, EMFILE, (int clock, int flags), clock, flags)
FAULT(int, -1, setsockopt, ENOBUFS,
      (int fd, int level, int name, const void *value, socklen_t size), fd, level, name, value,
      size)
FAULT(ssize_t, -1, sendmsg, ENOBUFS, (int fd, const struct msghdr *message, int flags), fd, message,
      flags)
FAULT(ssize_t, -1, send, ENOBUFS, (int fd, const void *data, size_t size, int flags), fd, data,
      size, flags)
FAULT(ssize_t, -1, read, EIO, (int fd, void *data, size_t size), fd, data, size)
FAULT(int, ENOSPC, posix_fallocate, ENOSPC, (int fd, off_t offset, off_t size), fd, offset, size)

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	if (old_kernel && name != SO_PEERCRED) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return fails("getsockopt", EMFILE) ? -1 : REAL(getsockopt)(fd, level, name, value, size);
}

/* Taking out and changing need nothing that could be short. */
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation == EPOLL_CTL_ADD && fails("epoll_ctl", ENOSPC))
		return -1;
	return REAL(epoll_ctl)(epoll, operation, fd, event);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	/* Only the broker's own: the allocator's failures are injected as its own. */
	if (fd >= 0 && fails("mmap", ENOMEM))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return fails("open", EMFILE) ? -1 : REAL(open)(path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	return fails("fcntl", EPERM) ? -1 : REAL(fcntl)(fd, command, argument);
}

long syscall(long number, ...)
{
	va_list arguments;
	long a[6];

	va_start(arguments, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_pidfd_open && fails("pidfd_open", EMFILE))
		return -1;
	if (number == SYS_io_setup && fails("io_setup", EAGAIN))
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* A sanitizer brings its own allocator and has its own ways to make it fail. */
#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

void *malloc(size_t size)
{
	return fails("malloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails("calloc", ENOMEM) ? NULL : __libc_calloc(count, size);
}
#endif

/* ---- A run ----------------------------------------------------------------------------------- */

static struct fixture f;

static void dispatch(void)
{
	fault.armed = true;
	must(ivshm_broker_dispatch(f.broker) == 0);
	fault.armed = false;
}

static void settle(void)
{
	struct pollfd p = {.fd = ivshm_broker_fd(f.broker), .events = POLLIN};

	while (poll(&p, 1, 0) == 1)
		dispatch();
}

/* Drives the broker until there is something to read, or the connection's end. */
static void await(int fd)
{
	struct pollfd p[2] = {{.fd = ivshm_broker_fd(f.broker), .events = POLLIN},
			      {.fd = fd, .events = POLLIN}};

	do {
		must(poll(p, 2, FIXTURE_PATIENCE_MS) > 0);
		if (p[0].revents)
			dispatch();
	} while (!p[1].revents);
}

static int receive(int fd, struct ivshm_packet *packet)
{
	await(fd);
	return ivshm_wire_receive(fd, packet);
}

/* Joins, or is refused. Returns the connection or -1. */
static int try_join(const char *name)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_HELLO, .abi = IVSHM_WIRE_ABI}};
	int fd = raw_connect(&f);

	settle();
	ivshm_wire_set_string(packet.wire.name, sizeof(packet.wire.name), name);
	ivshm_wire_send(fd, &packet); /* may be refused already */
	while (receive(fd, &packet) == 0) {
		ivshm_wire_close_fds(&packet);
		if (packet.wire.type == IST_WIRE_READY) {
			raw_send(fd, IST_WIRE_READY, "");
			settle();
			return fd;
		}
		if (packet.wire.type == IST_WIRE_ERROR) {
			must(packet.wire.code != 0 && packet.wire.text[0] != '\0');
			break;
		}
	}
	close(fd);
	settle();
	return -1;
}

/* Once refused, it is let in: the cause has passed. */
static int join(const char *name)
{
	int fd = try_join(name);

	if (fd < 0) {
		must(fault.failed);
		fd = try_join(name);
	}
	must(fd >= 0);
	return fd;
}

static void leave(int fd)
{
	raw_send(fd, IST_WIRE_BYE, "");
	close(fd);
	settle();
}

/* QEMU's peer: all of its greeting, or nothing but the end. Returns the connection or -1. */
static int try_join_legacy(void)
{
	static const int64_t greeting[] = {0, 2, -1, 2, 2, 2};
	int fd = legacy_connect(&f, "third");
	uint8_t bytes[8];
	int descriptor, r = 0;

	for (unsigned i = 0; r == 0 && i < sizeof(greeting) / sizeof(greeting[0]); i++) {
		await(fd);
		r = legacy_try(fd, bytes, &descriptor);
		if (r == 0 && descriptor >= 0)
			close(descriptor);
		must(r == 0 ? bytes[0] == (uint8_t)greeting[i] && (descriptor >= 0) == (i > 1)
			    : i == 0);
	}
	settle();
	if (r == 0)
		return fd;
	close(fd);
	return -1;
}

/* It stays until the broker goes: its process is this one. */
static int join_legacy(void)
{
	int fd = try_join_legacy();

	if (fd < 0) {
		must(fault.failed);
		fd = try_join_legacy();
	}
	must(fd >= 0);
	must(f.broker->group[0].seat[2].state == IST_PEER_LIVE);
	return fd;
}

/* ---- Who asks what runs ---- */

/* Whether the whole answer came; if not, it was hung up on. */
static bool try_status(void)
{
	struct ivshm_control message = {.row = {.type = IVSHM_CONTROL_STATUS}};
	int fd = ivshm_door_enter(&ivshm_control_door, f.dir, "1"), r;
	struct pollfd p[2] = {{.fd = ivshm_broker_fd(f.broker), .events = POLLIN},
			      {.events = POLLIN}};

	if (fd == -ENOENT) /* bind() said that the first number is taken */
		fd = ivshm_door_enter(&ivshm_control_door, f.dir, "2");
	p[1].fd = fd;

	must(fd >= 0 && ivshm_control_send(fd, &message) == 0);
	do {
		must(poll(p, 2, FIXTURE_PATIENCE_MS) > 0);
		if (p[0].revents)
			dispatch();
		r = p[1].revents ? ivshm_control_receive(fd, &message, MSG_DONTWAIT) : 0;
	} while (r == 0 && !(p[1].revents && message.row.type == IVSHM_CONTROL_DONE));
	must(r == 0 || r == -EPIPE);
	close(fd);
	settle();
	return r == 0;
}

static int live(void)
{
	struct ivshm_packet packet;
	int left = join("left");
	int right = join("right");

	must(receive(left, &packet) == 0); /* even when it could not be sent at first */
	must(packet.wire.type == IST_WIRE_PEER && packet.fds_count == FIXTURE_VECTORS);
	ivshm_wire_close_fds(&packet);
	if (!try_status()) {
		must(fault.failed);
		must(try_status());
	}
	leave(right);
	must(receive(left, &packet) == 0);
	must(packet.wire.type == IST_WIRE_GONE && packet.wire.state == IST_PEER_ABSENT);
	leave(left);
	return join_legacy();
}

/* Returns whether there was an n-th call. */
static bool run(unsigned n)
{
	unsigned before = count_descriptors();
	int r, legacy;

	fault.calls = 0;
	fault.fail_at = n;
	fault.failed = NULL;
	fixture_configure(&f);
	f.instance[2].kind = IST_KIND_QEMU;
	f.config.path = f.dir;
	must(rmdir(f.dir) == 0); /* made by the broker */

	fault.armed = true;
	r = fixture_serve(&f);
	if (r == 0) {
		r = control_serve(&f);
		if (r)
			ivshm_broker_destroy(f.broker);
	}
	fault.armed = false;
	if (r == 0) {
		legacy = live();
		fault.armed = true;
		ivshm_broker_destroy(f.broker);
		fault.armed = false;
		close(legacy);
	} else {
		must(fault.failed);
		must(f.error[0] != '\0' && !strchr(f.error, '\n'));
		printf("# %u: %s: %s\n", n, fault.failed, f.error);
	}
	must(access(f.dir, F_OK) == -1 && errno == ENOENT);
	if (count_descriptors() != before)
		fprintf(stderr, "call %u, %s: left open\n", n, fault.failed);
	must(count_descriptors() == before);
	return fault.failed != NULL;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ivshm_log_level = IVSHM_LOG_ERROR;
	for (unsigned old = 0; old < 2; old++) {
		unsigned n = 1;

		old_kernel = old;
		while (run(n))
			n++;
		must(n > 30); /* or the calls are not made through this program */
		printf("ok %u - %u failures%s\n", old + 1, n - 1,
		       old ? ", without SO_PEERPIDFD" : "");
	}
	printf("1..2\n");
	return 0;
}
