/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_bells.c: bells DEVICE OTHER COUNT RUN: rings peer OTHER's doorbell COUNT times, on every
 * vector, while OTHER does the same. Neither may lose one: a number is stored in the region "raw"
 * before each ring, the other looks at it only after its doorbell, and tells what it saw. After
 * each burst all must have been seen. Meanwhile the receiver polls or sleeps, and its interrupts
 * are masked and unmasked (MSI-X function mask), all by turns.
 * RUN is the same number on both sides, and another one each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <isthmus/abi.h>

#define LOST_NS 20000000000ull /* not seen for that long: lost */
#define BURST_MAX 32u
#define SPINS 32u /* few: the other may need this processor, and a pause may be an exit */
/* At most, at random. A change stops this guest for as long as its monitor's KVM needs to let go of
   each vector's eventfd (some 70 ms in the test bed): rings must find it running mostly. */
#define MASKED_US 3000u
#define OPEN_US 600000u
#define MODE_ROUNDS 256u /* wake-ups between polling and sleeping */

/* Written by one peer, read by the other. */
struct side {
	uint64_t run, done;
	uint64_t sent[IST_VECTORS_MAX];
	uint64_t seen[IST_VECTORS_MAX]; /* of the other's sent */
} __attribute__((aligned(IST_LINE_PAIR)));

static struct ist_linux_info info;
static const struct ist_linux_counts *counts;
static volatile uint32_t *registers;
static struct side *mine, *theirs;
static uint64_t masked; /* times */
static bool over;
static int device, other;

static void fail(const char *what, int error)
{
	printf("bells: %s: %s\n", what, strerror(error));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static void sleep_until_more(uint32_t total)
{
	struct ist_linux_wait wait = {.deadline_ns = now_ns() + 50000000u, .seen = total};

	if (ioctl(device, IST_IOCTL_WAIT, &wait) != 0 && errno != ETIMEDOUT)
		fail("IST_IOCTL_WAIT", errno);
}

static void *receive(void *unused)
{
	uint32_t seen[IST_VECTORS_MAX] = {0};

	(void)unused;
	for (uint64_t round = 0; !__atomic_load_n(&over, __ATOMIC_RELAXED); round++) {
		uint32_t total = __atomic_load_n(&counts->total, __ATOMIC_ACQUIRE);
		bool any = false;

		for (uint32_t v = 0; v < info.vectors; v++) {
			uint32_t count = __atomic_load_n(&counts->count[v], __ATOMIC_ACQUIRE);

			if (count == seen[v])
				continue;
			seen[v] = count;
			store(&mine->seen[v], load(&theirs->sent[v]));
			any = true;
		}
		if (!any && round / MODE_ROUNDS % 2 == 0)
			sleep_until_more(total);
	}
	return NULL;
}

/* The function mask of the device's MSI-X capability, while other threads ring and wait. */
static void *mask(void *unused)
{
	uint8_t config[256];
	uint16_t control;
	struct stat st;
	char path[64];
	off_t at;
	int fd;

	(void)unused;
	if (fstat(device, &st) != 0)
		fail("fstat", errno);
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device/config", major(st.st_rdev),
		 minor(st.st_rdev));
	fd = open(path, O_RDWR);
	if (fd < 0 || pread(fd, config, sizeof(config), 0) != sizeof(config))
		fail(path, errno);
	for (at = config[0x34]; at != 0 && config[at] != 0x11; at = config[at + 1])
		;
	if (at == 0)
		fail("MSI-X capability", ENOENT);
	at += 2;
	for (unsigned seed = 1; !__atomic_load_n(&over, __ATOMIC_RELAXED); masked++) {
		if (pread(fd, &control, sizeof(control), at) != sizeof(control))
			fail(path, errno);
		control = (uint16_t)(masked % 2 == 0 ? control | 0x4000u : control & ~0x4000u);
		if (pwrite(fd, &control, sizeof(control), at) != sizeof(control))
			fail(path, errno);
		usleep((useconds_t)rand_r(&seed) % (masked % 2 == 0 ? MASKED_US : OPEN_US));
	}
	control = (uint16_t)(control & ~0x4000u);
	if (pwrite(fd, &control, sizeof(control), at) != sizeof(control))
		fail(path, errno);
	close(fd);
	return NULL;
}

/* ---- Ringing --------------------------------------------------------------------------------- */

/* By a register write, or by the kernel: both must ring. */
static void ring(uint32_t vector, bool by_register)
{
	struct ist_linux_ring call = {.peer = (uint32_t)other, .vector = vector};

	if (by_register && registers != NULL) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		registers[info.doorbell / 4] = IST_DOORBELL(other, vector);
	} else if (ioctl(device, IST_IOCTL_RING, &call) != 0) {
		fail("IST_IOCTL_RING", errno);
	}
}

static void wait_all_seen(void)
{
	uint64_t deadline = now_ns() + LOST_NS;

	for (uint32_t v = 0; v < info.vectors; v++) {
		for (uint64_t spins = 0; load(&theirs->seen[v]) != mine->sent[v]; spins++) {
			__builtin_ia32_pause();
			if (spins % SPINS != 0)
				continue;
			if (now_ns() > deadline) {
				printf("bells: lost: vector %u, number %" PRIu64
				       ", the last seen is %" PRIu64 "\n",
				       v, mine->sent[v], load(&theirs->seen[v]));
				exit(1);
			}
			usleep(50);
		}
	}
}

static void ring_all(unsigned count)
{
	unsigned seed = info.id + 1;

	for (unsigned rung = 0; rung < count;) {
		unsigned burst = 1 + (unsigned)rand_r(&seed) % BURST_MAX;

		for (; burst > 0 && rung < count; burst--, rung++) {
			uint32_t vector = rung % info.vectors;

			store(&mine->sent[vector], mine->sent[vector] + 1);
			ring(vector, rand_r(&seed) % 2 != 0);
		}
		wait_all_seen();
	}
}

/* ---- Start ----------------------------------------------------------------------------------- */

static void *map(uint64_t offset, size_t size, int protection)
{
	void *at = mmap(NULL, size, protection, MAP_SHARED, device, (off_t)offset);

	if (at == MAP_FAILED)
		fail("mmap", errno);
	return at;
}

static struct side *map_raw(void)
{
	const struct ist_region *regions = map(IST_REGION_TABLE_OFFSET, IST_PAGE, PROT_READ);

	for (uint32_t i = 0; i < info.regions; i++)
		if (strcmp(regions[i].name, "raw") == 0)
			return map(regions[i].offset, IST_PEERS_MAX * sizeof(struct side),
				   PROT_READ | PROT_WRITE);
	fail("region raw", ENOENT);
	return NULL;
}

static void wait_word(const uint64_t *word, uint64_t value, const char *what)
{
	for (uint64_t deadline = now_ns() + LOST_NS; load(word) != value; usleep(1000))
		if (now_ns() > deadline)
			fail(what, ETIMEDOUT);
}

/* As long as the other goes on ringing it is waited for. One that has found a ring lost does not.
 */
static void wait_end(uint64_t run)
{
	uint64_t deadline = now_ns() + 2 * LOST_NS, before = 0;

	for (; load(&theirs->done) != run; usleep(1000)) {
		uint64_t sent = 0;

		for (uint32_t v = 0; v < info.vectors; v++)
			sent += load(&theirs->sent[v]);
		if (sent != before)
			deadline = now_ns() + 2 * LOST_NS;
		before = sent;
		if (now_ns() > deadline)
			fail("the other's end", ETIMEDOUT);
	}
}

int main(int argc, char **argv)
{
	pthread_t receiver, masker;
	struct side *sides;
	uint64_t run;

	if (argc != 5) {
		fputs("usage: bells DEVICE OTHER COUNT RUN\n", stderr);
		return 2;
	}
	device = open(argv[1], O_RDWR | O_CLOEXEC);
	if (device < 0)
		fail(argv[1], errno);
	if (ioctl(device, IST_IOCTL_INFO, &info) != 0)
		fail("IST_IOCTL_INFO", errno);
	other = atoi(argv[2]);
	run = strtoull(argv[4], NULL, 10);
	sides = map_raw();
	mine = &sides[info.id];
	theirs = &sides[other];
	counts = map(IST_LINUX_COUNTS, IST_PAGE, PROT_READ);
	if (info.registers)
		registers = map(IST_LINUX_REGISTERS, IST_PAGE, PROT_READ | PROT_WRITE);
	memset(mine, 0, sizeof(*mine));
	if (pthread_create(&receiver, NULL, receive, NULL) != 0)
		fail("thread", EAGAIN);
	store(&mine->run, run);
	wait_word(&theirs->run, run, "the other does not come");
	if (pthread_create(&masker, NULL, mask, NULL) != 0)
		fail("thread", EAGAIN);
	ring_all((unsigned)atoi(argv[3]));
	store(&mine->done, run);
	wait_end(run);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(receiver, NULL);
	pthread_join(masker, NULL);
	printf("bells ok: %s rung on %u vectors, masked %" PRIu64 " times\n", argv[3], info.vectors,
	       masked / 2);
	return 0;
}
