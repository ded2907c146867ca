/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_linux_device.c: a Linux guest with our module: the group through /dev/isthmusN. The driver
 * is played by this test, which stands between the library and ioctl() and mmap() (WRAP_ in the
 * Makefile); the real one is met in tests/linux.
 */
#include <check.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "tests/linux_tree.h"
#include "tests/suite.h"

#include "guestlib/core/group.h"

#define SECOND 1000000000ull
#define DOORBELL 0x0cu
#define FILES 512
#define WORDS 64

static struct tree tree;
static struct ist_group *group;
static const struct ist_channel_options polling = {"shared", 8, IST_CHANNEL_POLL, 1};
static const struct ist_channel_options sleeping = {"shared", 8, 0, 1};

/* ---- The driver ---- */

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

static void deliver(uint32_t vector)
{
	pthread_mutex_lock(&driver.lock);
	__atomic_fetch_add(&driver.counts->count[vector], 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&driver.counts->total, 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&driver.moved);
	pthread_mutex_unlock(&driver.lock);
}

/* Everything fails from here on, and who waits is told. */
static void unbind(void)
{
	pthread_mutex_lock(&driver.lock);
	for (unsigned i = 0; i < 5; i++)
		driver.error[i] = ENODEV;
	pthread_cond_broadcast(&driver.moved);
	pthread_mutex_unlock(&driver.lock);
}

static int driver_wait(const struct ist_linux_wait *wait)
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

static int driver_hold(int fd, const struct ist_linux_hold *hold)
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

static uint64_t *held_word(unsigned i)
{
	return (uint64_t *)(void *)(tree.memory.map + driver.held[i].offset);
}

/* A process is killed: the kernel closes its file. */
static void die(struct ist_group *dead)
{
	uint64_t owner = ist_group_owner(dead), *word;

	for (unsigned i = 0; i < driver.holds; i++) {
		word = held_word(i);
		if (*word == owner)
			*word |= IST_OWNER_DIED;
	}
	deliver(IST_VECTOR_ROSTER);
}

static void *shared_page(const char *name, size_t size, int *fd)
{
	void *page;

	*fd = memfd_create(name, MFD_CLOEXEC);
	must(*fd >= 0 && ftruncate(*fd, (off_t)size) == 0);
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	must(page != MAP_FAILED);
	return page;
}

static void setup(void)
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

static void teardown(void)
{
	munmap(driver.counts, IST_PAGE);
	munmap(driver.registers, IST_PAGE);
	munmap(driver.run, IST_RUN_STATE_SIZE);
	close(driver.run_fd);
	close(driver.counts_fd);
	close(driver.registers_fd);
	tree_remove(&tree);
}

/* ---- Which device ---- */

START_TEST(opens)
{
	struct ist_region_info region;
	struct ist_group *again;
	unsigned fds = count_descriptors();

	ck_assert_int_eq(ist_group_open(_i ? "ping" : NULL, &group), 0);
	ck_assert_str_eq(ist_group_name(group), "ping");
	ck_assert_uint_eq(ist_group_self(group), TREE_ID);
	ck_assert_uint_eq(ist_group_vectors(group), FIXTURE_VECTORS);
	ck_assert_uint_eq(ist_group_max_peers(group), FIXTURE_PEERS);
	ck_assert_int_eq(ist_group_interrupts(group), 1);
	ck_assert_int_eq(ist_peer_wait(group, "third", 0, NULL), 0);
	ck_assert_int_eq(ist_region_find(group, "shared", &region), 0);
	ck_assert_int_eq(region.right, IST_WRITE);
	*(volatile char *)region.address = 42;
	ck_assert_int_eq(tree.memory.map[tree.memory.layout.region_offset[0]], 42);
	ck_assert_int_eq(ist_region_get(group, 1, &region), 0);
	ck_assert_int_eq(region.right, IST_READ);
	tree.memory.map[tree.memory.layout.region_offset[1]] = 43;
	ck_assert_int_eq(*(volatile char *)region.address, 43);
	/* Every open is a holder of its own, also in one process. */
	ck_assert_int_eq(ist_group_open(NULL, &again), 0);
	ck_assert_uint_eq(ist_group_owner(group), IST_OWNER(TREE_ID, TREE_INCARNATION, 1));
	ck_assert_uint_eq(ist_group_owner(again), IST_OWNER(TREE_ID, TREE_INCARNATION, 2));
	ist_group_close(again);
	ist_group_close(group);
	ck_assert_uint_eq(count_descriptors(), fds);
}
END_TEST

START_TEST(which)
{
	char path[256];

	ck_assert_int_eq(ist_group_open("pong", &group), -ENOENT);
	tree_write(tree.sys, "class/isthmus/isthmus7/group", "pong\n");
	ck_assert_int_eq(ist_group_open(NULL, &group), -EINVAL);
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	ist_group_close(group);
	/* There, but nobody made its node: no reason to look elsewhere. */
	ck_assert_int_eq(ist_group_open("pong", &group), -ENODEV);
	/* What its name says, the device must confirm. */
	tree_link(tree.dev, "isthmus7", tree.memory.fd);
	strcpy(driver.info.name, "pang");
	ck_assert_int_eq(ist_group_open("pong", &group), -EPROTO);
	/* A name without end, a device without a group: neither is the one. */
	tree_write(tree.sys, "class/isthmus/isthmus7/group",
		   "pingpingpingpingpingpingpingpingping\n");
	snprintf(path, sizeof(path), "%s/class/isthmus/isthmus0/group", tree.sys);
	must(remove(path) == 0);
	ck_assert_int_eq(ist_group_open("ping", &group), -ENOENT);
}
END_TEST

START_TEST(refuses)
{
	struct ist_linux_info *info = &driver.info;
	char path[256];

	REFUSES(EPROTO, info->version++);
	REFUSES(EPROTO, info->personality = 0);
	REFUSES(EPROTO, info->personality = 3);
	REFUSES(EPROTO, info->id = FIXTURE_PEERS);
	REFUSES(EPROTO, info->id = 2); /* of another incarnation */
	REFUSES(EPROTO, info->incarnation = 0);
	REFUSES(EPROTO, info->incarnation++);
	REFUSES(EPROTO, info->vectors = IST_VECTORS_MAX + 1);
	REFUSES(EPROTO, info->max_peers--);
	REFUSES(EPROTO, info->max_peers = IST_PEERS_MAX + 1);
	REFUSES(EPROTO, info->regions = 1);
	REFUSES(EPROTO, info->client = 0);
	REFUSES(EPROTO, driver.clients = IST_CLIENTS_MAX - 1);
	REFUSES(EPROTO, info->doorbell = 2);
	REFUSES(EPROTO, info->doorbell = IST_PAGE);
	REFUSES(EPROTO, info->size *= 2);
	REFUSES(EPROTO, info->name[0] = 0);
	REFUSES(EPROTO, memset(info->name, 'p', IST_NAME_SIZE));
	REFUSES(EPROTO, strcpy(info->name, "pings"));
	REFUSES(EPROTO, info->rights[1] = IST_RIGHT_WRITE + 1);
	REFUSES(EPROTO, tree_roster(&tree)->magic++);
	REFUSES(EPROTO, tree_roster(&tree)->regions = 3);
	REFUSES(EPROTO, memset(tree.memory.map, 0xff, IST_REGIONS_OFFSET));
	REFUSES(ENODEV, driver.error[0] = ENODEV);
	REFUSES(ENOTTY, driver.error[0] = ENOTTY); /* no device of ours */
	REFUSES(ENODEV, (snprintf(path, sizeof(path), "%s/isthmus0", tree.dev), remove(path)));
}
END_TEST

START_TEST(nth_mapping_fails)
{
	unsigned fds = count_descriptors(), failed = 0;
	int err;

	do {
		driver.fail_mmap = ++failed;
		err = ist_group_open("ping", &group);
		if (err)
			ck_assert_int_eq(err, -ENOMEM);
	} while (err);
	driver.fail_mmap = 0;
	ck_assert_uint_gt(failed,
			  8); /* head, counts, registers, who runs, all, roster, two regions */
	ist_group_close(group);
	ck_assert_uint_eq(count_descriptors(), fds);
}
END_TEST

/* ---- Who runs ---- */

/* Of the incarnation that is there, as the page says at this moment; of another nothing. */
START_TEST(who_runs)
{
	struct ist_run_peer *peer = &driver.run->peer[2];

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_peer_running(group, 2), -ENODATA);
	*peer = (struct ist_run_peer){.incarnation = 5, .threads = 1, .running = 1};
	ck_assert_int_eq(ist_peer_running(group, 2), 1);
	peer->running = 0;
	ck_assert_int_eq(ist_peer_running(group, 2), 0);
	peer->incarnation = 4;
	ck_assert_int_eq(ist_peer_running(group, 2), -ENODATA);
	ist_group_close(group);
}
END_TEST

/* The driver has none, or what it has is none: everything works, and nothing is known. */
START_TEST(nobody_says_who_runs)
{
	driver.run->peer[2] = (struct ist_run_peer){.incarnation = 5, .threads = 1, .running = 1};
	if (_i == 0)
		driver.info.run_state = 0;
	if (_i == 1)
		driver.run->magic++;
	if (_i == 2)
		driver.run->abi_major++;
	if (_i == 3)
		driver.run->max_peers = FIXTURE_PEERS - 1;
	if (_i == 4)
		driver.run->max_peers = IST_PEERS_MAX + 1;
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_peer_running(group, 2), -ENODATA);
	ist_group_close(group);
}
END_TEST

/* With the device the page is gone; what is left in its place says nothing, and can be read. */
START_TEST(who_ran_before_the_end)
{
	uint32_t seen = 0;

	driver.run->peer[2] = (struct ist_run_peer){.incarnation = 5, .threads = 1, .running = 1};
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_peer_running(group, 2), 1);
	unbind();
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), -ENODEV);
	ck_assert_int_lt(ist_peer_running(group, 2), 0);
	ist_group_close(group);
}
END_TEST

/* ---- Doorbells ---- */

START_TEST(rings_by_register)
{
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(driver.registers[DOORBELL / 4], IST_DOORBELL(2, 1));
	ck_assert_int_eq(ist_doorbell_ring(group, TREE_ID, 2), 0); /* another process, perhaps */
	ck_assert_uint_eq(driver.registers[DOORBELL / 4], IST_DOORBELL(TREE_ID, 2));
	ck_assert_int_eq(ist_doorbell_ring(group, 3, 1), -EPIPE);
	ck_assert_uint_eq(driver.rings, 0);
	ist_group_close(group);
}
END_TEST

START_TEST(rings_by_the_driver)
{
	driver.info.registers = 0;
	driver.info.doorbell = 77777; /* nobody's */
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(driver.rings, 1);
	ck_assert_uint_eq(driver.ring.peer, 2);
	ck_assert_uint_eq(driver.ring.incarnation, 5);
	ck_assert_uint_eq(driver.ring.vector, 1);
	ck_assert_uint_eq(driver.ring.reserved, 0);
	driver.error[1] = EPIPE;
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -EPIPE);
	driver.error[1] = EINVAL;
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -EPIPE);
	driver.error[1] = ENODEV;
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -ENODEV);
	ist_group_close(group);
}
END_TEST

static void *deliver_later(void *argument)
{
	ist_sleep_ns(20000000);
	deliver(*(const uint32_t *)argument);
	return NULL;
}

START_TEST(waits)
{
	uint32_t seen = 0, vector = 2;
	pthread_t thread;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 0), -ETIMEDOUT);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, 1000000), -ETIMEDOUT);
	deliver(1);
	deliver(1);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), 0);
	ck_assert_uint_eq(seen, 2);
	seen = 0;
	ck_assert(!pthread_create(&thread, NULL, deliver_later, &vector));
	ck_assert_int_eq(ist_doorbell_wait(group, 2, &seen, IST_FOREVER), 0);
	ck_assert_uint_eq(seen, 1);
	ck_assert(!pthread_join(thread, NULL));
	ck_assert_uint_gt(driver.waits, 2); /* one was interrupted */
	ist_group_close(group);
}
END_TEST

/* A device with too few interrupts: who waits looks again and again. */
START_TEST(deaf)
{
	uint32_t seen = 0;

	driver.info.vectors = _i ? FIXTURE_VECTORS - 1 : 0;
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_group_interrupts(group), 0);
	ck_assert_uint_eq(ist_group_vectors(group), FIXTURE_VECTORS);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), -ENOSYS);
	ck_assert_int_eq(ist_peer_wait(group, "none", 10000000, NULL), -ETIMEDOUT);
	ck_assert_uint_ge(driver.waits, 2);
	ck_assert_uint_le(driver.last_wait_ns, 1000000);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(driver.registers[DOORBELL / 4], IST_DOORBELL(2, 1));
	ist_group_close(group);
}
END_TEST

/* ---- Holding ---- */

START_TEST(declares_what_it_holds)
{
	struct ist_channel *s, *r, *other;
	struct ist_group *second;
	char byte;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_group_open(NULL, &second), 0);
	ck_assert_int_eq(ist_channel_open(group, "c", IST_SENDER, &polling, &s), 0);
	ck_assert_uint_eq(driver.holds, 1);
	/* The directory's lock, taken and given back, and the end. */
	ck_assert_uint_eq(driver.hold_calls, 3);
	ck_assert_uint_eq(*held_word(0), ist_group_owner(group));
	ck_assert_int_eq(ist_channel_open(second, "c", IST_SENDER, &polling, &other), -EBUSY);
	ck_assert_uint_eq(driver.holds, 1);
	ck_assert_int_eq(ist_channel_open(second, "c", IST_RECEIVER, &polling, &r), 0);
	ck_assert_uint_eq(driver.holds, 2);
	ck_assert_int_eq(ist_channel_try_send(s, "x", 1), 0);
	ck_assert_int_eq(ist_channel_try_recv(r, &byte, 1), 1);
	die(group);
	ck_assert_int_eq(ist_channel_try_recv(r, &byte, 1), -EOWNERDEAD);
	ck_assert_int_eq(ist_channel_open(second, "c", IST_SENDER, &polling, &other), 0);
	ck_assert_int_eq(ist_channel_wait_peer(r, SECOND), 0);
	ist_channel_close(other);
	ist_channel_close(r);
	ist_group_close(second);
	/* The dead one's end was never given back. */
	ck_assert_uint_eq(driver.holds, 1);
	ist_channel_close(s);
	ck_assert_uint_eq(driver.holds, 0);
	ist_group_close(group);
}
END_TEST

START_TEST(no_more_to_hold)
{
	struct ist_channel *channel;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	driver.error[4] = ENOSPC;
	ck_assert_int_eq(ist_channel_open(group, "c", IST_SENDER, &polling, &channel), -ENOSPC);
	driver.error[4] = 0;
	ck_assert_int_eq(ist_channel_open(group, "c", IST_SENDER, &polling, &channel), 0);
	ist_channel_close(channel);
	ck_assert_uint_eq(driver.holds, 0);
	ist_group_close(group);
}
END_TEST

static bool is_held(uint64_t owner)
{
	bool held = false;

	pthread_mutex_lock(&driver.lock);
	for (unsigned i = 0; i < driver.holds; i++)
		held |= *held_word(i) == owner;
	pthread_mutex_unlock(&driver.lock);
	return held;
}

/* Threads that hand an end to one another: never two declarations of a word, never one too few. */
static void *open_and_close(void *unused)
{
	struct ist_channel *channel;

	(void)unused;
	for (unsigned i = 0; i < 2000; i++) {
		int err = ist_channel_open(group, "c", IST_SENDER, &polling, &channel);

		if (err == -EBUSY)
			continue;
		ck_assert_int_eq(err, 0);
		/* It is declared as long as it is ours. */
		ck_assert(is_held(ist_group_owner(group)));
		ist_channel_close(channel);
	}
	return NULL;
}

START_TEST(threads_share_a_word)
{
	pthread_t thread[2];

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(!pthread_create(&thread[i], NULL, open_and_close, NULL));
	for (unsigned i = 0; i < 2; i++)
		ck_assert(!pthread_join(thread[i], NULL));
	ck_assert_uint_eq(driver.holds, 0);
	ist_group_close(group);
}
END_TEST

/* ---- The device is taken away ---- */

static void *unbind_later(void *unused)
{
	ist_sleep_ns(20000000);
	unbind();
	return unused;
}

START_TEST(unbound_asleep)
{
	struct ist_region_info region;
	struct ist_channel *r, *s;
	pthread_t thread;
	uint32_t seen = 0;
	char byte;

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_region_get(group, 0, &region), 0);
	ck_assert_int_eq(ist_channel_open(group, "c", IST_RECEIVER, &sleeping, &r), 0);
	ck_assert_int_eq(ist_channel_open(group, "d", IST_SENDER, &sleeping, &s), 0);
	ck_assert(!pthread_create(&thread, NULL, unbind_later, NULL));
	ck_assert_int_eq(ist_channel_recv(r, &byte, 1, IST_FOREVER), -ENODEV);
	ck_assert(!pthread_join(thread, NULL));
	ck_assert_int_eq(ist_channel_send(s, &byte, 1, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -ENODEV);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_peer_wait(group, "third", IST_FOREVER, NULL), -ENODEV);
	ck_assert_int_eq(ist_channel_open(group, "e", IST_SENDER, &sleeping, &s), -ENODEV);
	/* The application's pointers point to memory still: its own now, zeros. */
	ck_assert_uint_eq(*(volatile uint64_t *)region.address, 0);
	*(volatile uint64_t *)region.address = 1;
	ck_assert_uint_ne(*(uint64_t *)(void *)(tree.memory.map +
						tree.memory.layout.region_offset[0] +
						sizeof(uint64_t)),
			  0); /* the arena is there as it was */
	ist_channel_close(r);
	ist_channel_close(s);
	ist_group_close(group);
	ck_assert_int_eq(ist_group_open(NULL, &group), -ENODEV);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linux_device");
	TCase *tests = tcase_create("linux_device");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, opens, 0, 2);
	tcase_add_test(tests, which);
	tcase_add_test(tests, refuses);
	tcase_add_test(tests, nth_mapping_fails);
	tcase_add_test(tests, who_runs);
	tcase_add_loop_test(tests, nobody_says_who_runs, 0, 5);
	tcase_add_test(tests, who_ran_before_the_end);
	tcase_add_test(tests, rings_by_register);
	tcase_add_test(tests, rings_by_the_driver);
	tcase_add_test(tests, waits);
	tcase_add_loop_test(tests, deaf, 0, 2);
	tcase_add_test(tests, declares_what_it_holds);
	tcase_add_test(tests, no_more_to_hold);
	tcase_add_test(tests, threads_share_a_word);
	tcase_add_test(tests, unbound_asleep);
	return suite_run(suite);
}
