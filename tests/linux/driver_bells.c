/* SPDX-License-Identifier: BSD-2-Clause */
/* driver_bells.c: ringing, being rung, and waiting for it in each way there is. */
#include "guest_driver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

static bool comes(uint32_t vector, uint32_t before)
{
	uint64_t deadline = now_ns() + PATIENCE_NS;

	while (__atomic_load_n(&counts->count[vector], __ATOMIC_ACQUIRE) == before) {
		uint32_t seen = total_of(counts);

		if (counts->count[vector] == before && wait_counts(device, seen, deadline))
			return false;
	}
	return true;
}

void test_ring_errors(void)
{
	struct ist_linux_ring odd = {.peer = info.id, .reserved = 1};
	uint32_t absent = info.max_peers;

	for (uint32_t i = 0; i < info.max_peers; i++)
		if (IST_PEER_STATE(peers[i].word) == IST_PEER_ABSENT)
			absent = i;
	ok(fails(ring(device, info.max_peers, 0, 0), EINVAL), "RING: no such peer: EINVAL");
	ok(fails(ring(device, ~0u, 0, 0), EINVAL), "RING: no such peer at all: EINVAL");
	ok(fails(ring(device, info.id, 0, roster->vectors), EINVAL),
	   "RING: no such vector: EINVAL");
	ok(fails(ioctl(device, IST_IOCTL_RING, &odd), EINVAL), "RING: reserved field: EINVAL");
	if (!info.vectors) {
		ok(fails(ring(device, info.id, 0, 0), EINVAL), "RING: without doorbells: EINVAL");
		return;
	}
	ok(fails(ring(device, info.id, info.incarnation + 1, 0), EPIPE),
	   "RING: another incarnation: EPIPE");
	if (absent < info.max_peers)
		ok(fails(ring(device, absent, 0, 0), EPIPE), "RING: an absent peer: EPIPE");
}

void test_doorbells(void)
{
	volatile uint32_t *registers = NULL;

	if (info.registers)
		registers = map(device, IST_LINUX_REGISTERS, IST_PAGE, PROT_READ | PROT_WRITE);
	for (uint32_t v = 0; v < info.vectors; v++) {
		uint32_t before = counts->count[v], total = total_of(counts);

		ok(!ring(device, info.id, info.incarnation, v) && comes(v, before) &&
			   total_of(counts) != total,
		   "vector %u: RING is counted", v);
		if (!registers)
			continue;
		before = counts->count[v];
		registers[info.doorbell / 4] = IST_DOORBELL(info.id, v);
		ok(comes(v, before), "vector %u: a register write is counted", v);
	}
	if (registers)
		munmap((void *)(uintptr_t)registers, IST_PAGE);
}

void test_read_poll(void)
{
	struct ist_linux_counts got;
	int other = open_device(O_RDWR | O_NONBLOCK);
	struct pollfd polled = {.fd = other, .events = POLLIN | POLLPRI};

	ok(fails(read(other, &got, sizeof(got)), EAGAIN), "read(): nothing yet: EAGAIN");
	ok(fails(read(other, &got, sizeof(got) - 1), EINVAL), "read(): too little room: EINVAL");
	ok(poll(&polled, 1, 0) == 0, "poll(): nothing yet");
	if (info.vectors) {
		ok(!ring(device, info.id, 0, info.vectors - 1) && poll(&polled, 1, 10000) == 1 &&
			   polled.revents == POLLIN,
		   "poll(): POLLIN after a doorbell");
		ok(read(other, &got, sizeof(got)) == (ssize_t)sizeof(got) &&
			   got.total == total_of(counts) &&
			   !memcmp(got.count, counts->count, sizeof(got.count)),
		   "read(): the counts");
		ok(fails(read(other, &got, sizeof(got)), EAGAIN), "read(): each once");
		ok(poll(&polled, 1, 0) == 0, "poll(): nothing more");
	}
	close(other);
}

void test_eventfds(void)
{
	struct ist_linux_eventfd event = {.vector = info.vectors, .fd = -1};
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), second = open_device(O_RDWR);
	int regular = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	uint64_t value = 0;

	ok(fails(ioctl(device, IST_IOCTL_EVENTFD, &event), EINVAL), "EVENTFD: no vector: EINVAL");
	for (event.vector = 0; event.vector < info.vectors; event.vector++) {
		event.fd = fd;
		ok(!ioctl(device, IST_IOCTL_EVENTFD, &event) &&
			   !ring(device, info.id, 0, event.vector) &&
			   poll(&polled, 1, 10000) == 1 && read(fd, &value, 8) == 8 && value == 1,
		   "EVENTFD: signalled with vector %u", event.vector);
		event.fd = -1;
		if (ioctl(device, IST_IOCTL_EVENTFD, &event))
			bail("IST_IOCTL_EVENTFD");
	}
	event.vector = 0;
	if (info.vectors) {
		uint32_t before = counts->count[0];

		event.fd = 9999;
		ok(fails(ioctl(device, IST_IOCTL_EVENTFD, &event), EBADF), "EVENTFD: no fd: EBADF");
		event.fd = regular;
		ok(fails(ioctl(device, IST_IOCTL_EVENTFD, &event), EINVAL),
		   "EVENTFD: not an eventfd: EINVAL");
		ok(!ring(device, info.id, 0, 0) && comes(0, before) &&
			   fails(read(fd, &value, 8), EAGAIN),
		   "EVENTFD: none after -1");
		event.fd = fd;
		ioctl(second, IST_IOCTL_EVENTFD, &event);
		close(second); /* with an eventfd still there */
		second = -1;
		before = counts->count[0];
		ok(!ring(device, info.id, 0, 0) && comes(0, before) &&
			   fails(read(fd, &value, 8), EAGAIN),
		   "EVENTFD: none after the file is closed");
	}
	close(second);
	close(regular);
	close(fd);
}

static void nothing(int signal)
{
	(void)signal;
}

static int ring_later(void)
{
	usleep(100000);
	return ring(device, info.id, 0, 0) ? 1 : 0;
}

void test_wait(void)
{
	struct ist_linux_wait odd = {.reserved = 1};
	struct itimerval soon = {.it_value = {.tv_usec = 50000}, .it_interval = {.tv_usec = 50000}};
	struct itimerval never = {.it_value = {.tv_usec = 0}};
	struct sigaction action = {.sa_handler = nothing};
	uint32_t seen = total_of(counts);
	uint64_t from = now_ns();

	ok(fails(ioctl(device, IST_IOCTL_WAIT, &odd), EINVAL), "WAIT: reserved field: EINVAL");
	ok(!wait_counts(device, seen - 1, 0), "WAIT: has moved already: 0");
	ok(fails(wait_counts(device, seen, 0), ETIMEDOUT), "WAIT: long past: ETIMEDOUT");
	ok(fails(wait_counts(device, seen, from + 30000000), ETIMEDOUT) &&
		   now_ns() >= from + 30000000,
	   "WAIT: until the deadline: ETIMEDOUT, not early");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	ok(fails(wait_counts(device, seen, ~0ull), EINTR), "WAIT: a signal: EINTR");
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	if (info.vectors) {
		pid_t pid = spawn(ring_later);

		ok(!wait_counts(device, seen, now_ns() + PATIENCE_NS), "WAIT: a doorbell: 0");
		ok(reap(pid) == 0, "rung by a child, on the same file");
	}
}
