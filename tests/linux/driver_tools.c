/* SPDX-License-Identifier: BSD-2-Clause */
/* driver_tools.c: what the driver's tests stand on: TAP, the device's calls, children. */
#include "guest_driver.h"

struct ist_linux_info info;
const struct ist_roster *roster;
const struct ist_region *regions;
const struct ist_peer *peers;
const struct ist_linux_counts *counts;
uint64_t place;
int device;
unsigned tests, failures;
const char *device_path;

bool ok(bool good, const char *format, ...)
{
	va_list arguments;
	int error = errno;

	printf("%sok %u - ", good ? "" : "not ", ++tests);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(good ? "\n" : " (errno: %s)\n", strerrorname_np(error));
	fflush(stdout);
	failures += !good;
	return good;
}

void skip(const char *what, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tests, what, why);
}

/* The call failed, and with this error. */
bool fails(long result, int error)
{
	return result == -1 && errno == error;
}

void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

int open_device(int flags)
{
	int fd = open(device_path, flags | O_CLOEXEC);

	if (fd < 0)
		bail(device_path);
	return fd;
}

void open_all(void)
{
	device = open_device(O_RDWR);
	info = info_of(device);
	roster = map(device, IST_ROSTER_OFFSET, IST_PAGE, PROT_READ);
	regions = map(device, IST_REGION_TABLE_OFFSET, IST_PAGE, PROT_READ);
	peers = map(device, IST_PEER_TABLE_OFFSET, 2 * IST_PAGE, PROT_READ);
	counts = map(device, IST_LINUX_COUNTS, IST_PAGE, PROT_READ);
	if (roster == MAP_FAILED || regions == MAP_FAILED || peers == MAP_FAILED ||
	    counts == MAP_FAILED)
		bail("mmap");
}

void close_all(void)
{
	munmap((void *)(uintptr_t)roster, IST_PAGE);
	munmap((void *)(uintptr_t)regions, IST_PAGE);
	munmap((void *)(uintptr_t)peers, 2 * IST_PAGE);
	munmap((void *)(uintptr_t)counts, IST_PAGE);
	close(device);
}

struct ist_linux_info info_of(int fd)
{
	struct ist_linux_info it;

	if (ioctl(fd, IST_IOCTL_INFO, &it))
		bail("IST_IOCTL_INFO");
	return it;
}

void *map(int fd, uint64_t offset, uint64_t size, int protection)
{
	return mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)offset);
}

/* Can it be mapped like this? 0, or the errno. */
int try_map(int fd, uint64_t offset, uint64_t size, int protection)
{
	void *at = map(fd, offset, size, protection);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, size);
	return 0;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int wait_counts(int fd, uint32_t seen, uint64_t deadline_ns)
{
	struct ist_linux_wait wait = {.deadline_ns = deadline_ns, .seen = seen};

	return ioctl(fd, IST_IOCTL_WAIT, &wait);
}

int ring(int fd, uint32_t peer, uint32_t incarnation, uint32_t vector)
{
	struct ist_linux_ring ring = {.peer = peer, .incarnation = incarnation, .vector = vector};

	return ioctl(fd, IST_IOCTL_RING, &ring);
}

int hold(int fd, uint64_t offset, uint32_t on)
{
	struct ist_linux_hold hold = {.offset = offset, .on = on};

	return ioctl(fd, IST_IOCTL_HOLD, &hold);
}

uint32_t total_of(const struct ist_linux_counts *of)
{
	return __atomic_load_n(&of->total, __ATOMIC_ACQUIRE);
}

pid_t spawn(int (*body)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		_exit(body());
	}
	if (pid < 0)
		bail("fork");
	return pid;
}

int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
