/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux_driver.h: our driver as libisthmus meets it in linux_tree.h's guest: it stands between the
 * library and ioctl() and mmap() (WRAP_ in the Makefile). Include it once. The real one is met in
 * tests/linux.
 */
#ifndef TESTS_LINUX_DRIVER_H
#define TESTS_LINUX_DRIVER_H

#include <check.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "tests/linux_tree.h"

#define SECOND 1000000000ull
#define DOORBELL 0x0cu
#define FILES 512
#define WORDS 64

static struct tree tree;

static struct driver {
	struct ist_linux_info info;
	int counts_fd, registers_fd, run_fd;
	struct ist_linux_counts *counts;
	uint32_t *registers;
	struct ist_run_state *run;
	uint32_t clients; /* so far */
	uint32_t client[FILES];
	struct held {
		int fd;
		uint64_t offset;
	} held[WORDS];
	unsigned holds, hold_calls;
	struct ist_linux_ring ring;
	unsigned rings, waits;
	uint64_t last_wait_ns; /* how long was asked for */
	int error[5];          /* by ioctl's number: what it returns instead */
	unsigned fail_mmap;    /* the n-th from now on */
	pthread_mutex_t lock;
	pthread_cond_t moved;
} driver;

static inline void deliver(uint32_t vector)
{
	pthread_mutex_lock(&driver.lock);
	__atomic_fetch_add(&driver.counts->count[vector], 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&driver.counts->total, 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&driver.moved);
	pthread_mutex_unlock(&driver.lock);
}

/* Everything fails from here on, and who waits is told. */
static inline void unbind(void)
{
	pthread_mutex_lock(&driver.lock);
	for (unsigned i = 0; i < 5; i++)
		driver.error[i] = ENODEV;
	pthread_cond_broadcast(&driver.moved);
	pthread_mutex_unlock(&driver.lock);
}

static inline int driver_wait(const struct ist_linux_wait *wait)
{
	struct timespec until = {(time_t)(wait->deadline_ns / SECOND),
				 (long)(wait->deadline_ns % SECOND)};
	uint64_t now = ist_time_ns();
	int err = 0;

	driver.last_wait_ns = wait->deadline_ns > now ? wait->deadline_ns - now : 0;
	if (wait->deadline_ns == IST_FOREVER)
		until.tv_sec = INT32_MAX;
	pthread_mutex_lock(&driver.lock);
	if (driver.waits++ == 0)
		err = EINTR; /* a signal came */
	while (!err && driver.counts->total == wait->seen) {
		err = pthread_cond_clockwait(&driver.moved, &driver.lock, CLOCK_MONOTONIC, &until);
		if (driver.error[3])
			err = driver.error[3];
	}
	pthread_mutex_unlock(&driver.lock);
	return err;
}

static inline int driver_hold(int fd, const struct ist_linux_hold *hold)
{
	unsigned i = 0;

	pthread_mutex_lock(&driver.lock);
	driver.hold_calls++;
	while (i < driver.holds &&
	       (driver.held[i].fd != fd || driver.held[i].offset != hold->offset))
		i++;
	/* The driver does not count; the library must. */
	ck_assert_uint_eq(i == driver.holds, hold->on);
	ck_assert_uint_lt(driver.holds, WORDS);
	if (hold->on)
		driver.held[driver.holds++] = (struct held){fd, hold->offset};
	else
		driver.held[i] = driver.held[--driver.holds];
	pthread_mutex_unlock(&driver.lock);
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;
	int err;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	err = driver.error[request & 0xff];
	if (err) {
		errno = err;
		return -1;
	}
	switch (request) {
	case IST_IOCTL_INFO:
		driver.client[fd] = ++driver.clients;
		*(struct ist_linux_info *)argument = driver.info;
		if (driver.info.client)
			((struct ist_linux_info *)argument)->client = driver.client[fd];
		break;
	case IST_IOCTL_RING:
		driver.ring = *(const struct ist_linux_ring *)argument;
		driver.rings++;
		break;
	case IST_IOCTL_WAIT:
		err = driver_wait(argument);
		break;
	case IST_IOCTL_HOLD:
		err = driver_hold(fd, argument);
		break;
	default:
		err = ENOTTY;
	}
	errno = err;
	return err ? -1 : 0;
}

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	const struct ivshm_layout *layout = &tree.memory.layout;

	if (driver.fail_mmap && --driver.fail_mmap == 0) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (flags & MAP_SHARED && (uint64_t)offset == IST_LINUX_COUNTS) {
		ck_assert_int_eq(protection, PROT_READ);
		return __real_mmap(at, size, protection, flags, driver.counts_fd, 0);
	}
	if (flags & MAP_SHARED && (uint64_t)offset == IST_LINUX_RUN_STATE) {
		ck_assert_int_eq(protection, PROT_READ);
		ck_assert_uint_eq(size, IST_RUN_STATE_SIZE);
		return __real_mmap(at, size, protection, flags, driver.run_fd, 0);
	}
	if (flags & MAP_SHARED && (uint64_t)offset == IST_LINUX_REGISTERS)
		return __real_mmap(at, size, protection, flags, driver.registers_fd, 0);
	/* Nothing is asked for that the driver would refuse: writable is "shared" alone, and
	   "right's" output section. */
	if (flags & MAP_SHARED && protection & PROT_WRITE && fd != tree.memory.fd &&
	    fd != driver.counts_fd && fd != driver.registers_fd && fd != driver.run_fd)
		ck_assert((uint64_t)offset == layout->region_offset[0] ||
			  (uint64_t)offset == layout->output_offset + TREE_ID * 4096);
	return __real_mmap(at, size, protection, flags, fd, offset);
}

static inline uint64_t *held_word(unsigned i)
{
	return (uint64_t *)(void *)(tree.memory.map + driver.held[i].offset);
}

/* A process is killed: the kernel closes its file. */
static inline void die(struct ist_group *dead)
{
	uint64_t owner = ist_group_owner(dead), *word;

	for (unsigned i = 0; i < driver.holds; i++) {
		word = held_word(i);
		if (*word == owner)
			*word |= IST_OWNER_DIED;
	}
	deliver(IST_VECTOR_ROSTER);
}

static inline void *shared_page(const char *name, size_t size, int *fd)
{
	void *page;

	*fd = memfd_create(name, MFD_CLOEXEC);
	must(*fd >= 0 && ftruncate(*fd, (off_t)size) == 0);
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	must(page != MAP_FAILED);
	return page;
}

static inline void setup(void)
{
	tree_make(&tree);
	memset(&driver, 0, sizeof(driver));
	pthread_mutex_init(&driver.lock, NULL);
	pthread_cond_init(&driver.moved, NULL);
	driver.counts = shared_page("counts", IST_PAGE, &driver.counts_fd);
	driver.registers = shared_page("registers", IST_PAGE, &driver.registers_fd);
	driver.run = shared_page("run state", IST_RUN_STATE_SIZE, &driver.run_fd);
	driver.run->magic = IST_RUN_STATE_MAGIC;
	driver.run->abi_major = IST_ABI_MAJOR;
	driver.run->max_peers = FIXTURE_PEERS;
	driver.info = (struct ist_linux_info){.version = IST_LINUX_VERSION,
					      .personality = 1,
					      .id = TREE_ID,
					      .incarnation = TREE_INCARNATION,
					      .vectors = FIXTURE_VECTORS,
					      .max_peers = FIXTURE_PEERS,
					      .regions = 2,
					      .client = 1,
					      .registers = 1,
					      .doorbell = DOORBELL,
					      .size = tree.memory.layout.total_size,
					      .name = "ping",
					      .run_state = 1,
					      .rights = {IST_RIGHT_WRITE, IST_RIGHT_READ}};
	tree_write(tree.sys, "class/isthmus/isthmus0/group", "ping\n");
	tree_link(tree.dev, "isthmus0", tree.memory.fd);
}

static inline void teardown(void)
{
	munmap(driver.counts, IST_PAGE);
	munmap(driver.registers, IST_PAGE);
	munmap(driver.run, IST_RUN_STATE_SIZE);
	close(driver.run_fd);
	close(driver.counts_fd);
	close(driver.registers_fd);
	tree_remove(&tree);
}

#endif
