/* SPDX-License-Identifier: BSD-2-Clause */
/* driver_life.c: many processes, killed processes, and a device that goes away. */
#include "guest_driver.h"

#include <poll.h>
#include <sys/syscall.h>

static int busy(void)
{
	int own = open_device(O_RDWR);
	const struct ist_linux_counts *mine = map(own, IST_LINUX_COUNTS, IST_PAGE, PROT_READ);

	for (unsigned i = 0; i < 200; i++) {
		uint32_t seen = total_of(mine);

		if (ring(own, info.id, 0, i % info.vectors) ||
		    wait_counts(own, seen, now_ns() + PATIENCE_NS))
			return 1;
	}
	return 0;
}

/* Touches every page that may be touched. */
static void touch_all(int fd)
{
	for (uint32_t i = 0; i < info.regions; i++) {
		volatile uint8_t *at = map(fd, regions[i].offset, regions[i].size, PROT_READ);

		for (uint64_t n = 0; (void *)(uintptr_t)at != MAP_FAILED && n < regions[i].size;
		     n += IST_PAGE)
			(void)at[n];
	}
}

static int mapped_pipe[2];

static int hold_mappings(void)
{
	int own = open_device(O_RDWR);

	touch_all(own);
	map(own, IST_LINUX_COUNTS, IST_PAGE, PROT_READ);
	if (write(mapped_pipe[1], "", 1) != 1)
		return 1;
	for (;;)
		touch_all(own);
}

void test_processes(void)
{
	pid_t pid[4];
	bool good = true;
	char byte;

	for (unsigned i = 0; info.vectors && i < 4; i++)
		pid[i] = spawn(busy);
	for (unsigned i = 0; info.vectors && i < 4; i++)
		good &= reap(pid[i]) == 0;
	if (info.vectors)
		ok(good, "four processes ring and wait at once");
	if (pipe(mapped_pipe))
		bail("pipe");
	for (unsigned i = 0; i < 10; i++) {
		pid[0] = spawn(hold_mappings);
		good &= read(mapped_pipe[0], &byte, 1) == 1;
		kill(pid[0], SIGKILL);
		good &= reap(pid[0]) == 128 + SIGKILL;
	}
	ok(good && info_of(device).id == info.id, "ten processes are killed with mappings");
}

/* ---- The device goes away -------------------------------------------------------------------- */

static int reads_until_bus(void)
{
	int own = open_device(O_RDWR);
	volatile uint64_t *at = map(own, place, IST_PAGE, PROT_READ | PROT_WRITE);
	struct ist_linux_info me = info_of(own);

	hold(own, place + 40, 1);
	at[5] = IST_OWNER(me.id, me.incarnation, me.client);
	if (write(mapped_pipe[1], "", 1) != 1)
		return 1;
	for (;;)
		(void)at[0];
}

static int waits_for_ever(void)
{
	int own = open_device(O_RDWR);
	const struct ist_linux_counts *mine = map(own, IST_LINUX_COUNTS, IST_PAGE, PROT_READ);
	uint32_t seen = total_of(mine);
	int result;

	if (write(mapped_pipe[1], "", 1) != 1)
		return 1;
	do {
		result = wait_counts(own, seen, ~0ull);
		seen++;
	} while (!result);
	return fails(result, ENODEV) ? 42 : 43;
}

static volatile uint64_t *mapped; /* at `place`, since before */

static int read_mapped(void)
{
	return (int)mapped[0];
}

static int order(const char *verb, const char *function)
{
	char path[64];
	int fd, result;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/isthmus/%s", verb);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	result = fd < 0 ? -1 : (int)write(fd, function, strlen(function));
	close(fd);
	return result < 0 ? -1 : 0;
}

void test_unbind(void)
{
	char path[128], target[512];
	uint64_t saved = (mapped = map(device, place, IST_PAGE, PROT_READ | PROT_WRITE))[5];
	struct pollfd polled = {.fd = device};
	struct ist_linux_counts got;
	const char *function;
	pid_t reader, waiter;
	ssize_t length;
	char bytes[2];

	snprintf(path, sizeof(path), "/sys/class/isthmus/%s/device", strrchr(device_path, '/') + 1);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		bail(path);
	target[length] = 0;
	function = strrchr(target, '/') + 1;
	ok(fails(syscall(SYS_delete_module, "isthmus", O_NONBLOCK), EWOULDBLOCK),
	   "the module stays while a file is open");
	reader = spawn(reads_until_bus);
	waiter = spawn(waits_for_ever);
	for (size_t n = 0; n < 2;)
		n += (size_t)read(mapped_pipe[0], bytes, 1);
	ok(!order("unbind", function), "%s is unbound under its users", function);
	ok(reap(reader) == 128 + SIGBUS, "who reads the memory gets SIGBUS");
	ok(reap(waiter) == 42, "who waits gets ENODEV");
	ok(reap(spawn(read_mapped)) == 128 + SIGBUS, "a mapping of before: SIGBUS");
	ok(fails(ioctl(device, IST_IOCTL_INFO, &info), ENODEV), "INFO: ENODEV");
	ok(fails(ring(device, info.id, 0, 0), ENODEV), "RING: ENODEV");
	ok(fails(hold(device, place, 1), ENODEV), "HOLD: ENODEV");
	ok(fails(read(device, &got, sizeof(got)), ENODEV), "read(): ENODEV");
	ok(poll(&polled, 1, 0) == 1 && polled.revents & POLLHUP, "poll(): POLLHUP");
	ok(try_map(device, IST_ROSTER_OFFSET, IST_PAGE, PROT_READ) == ENODEV, "mmap(): ENODEV");
	munmap((void *)(uintptr_t)mapped, IST_PAGE);
	close_all(); /* all, or the name is not free for the next */
	ok(!order("bind", function), "it is bound again");
	for (unsigned i = 0; i < 100 && access(device_path, R_OK); i++)
		usleep(100000);
	open_all();
	mapped = map(device, place, IST_PAGE, PROT_READ | PROT_WRITE);
	ok((void *)(uintptr_t)mapped != MAP_FAILED, "and works");
	ok(mapped[5] & IST_OWNER_DIED, "what was held by then says so");
	mapped[5] = saved;
}
