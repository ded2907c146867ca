/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor_pages.c: the floor of the page tier: isthmus-vm, in which a thread that knows nothing takes
 * the faults on the plain region "pages" of its first group and lets them go on, by userfaultfd.
 *
 *   floor_pages free OPTIONS OF isthmus-vm     a fault, UFFDIO_CONTINUE: one round trip
 *   floor_pages take OPTIONS OF isthmus-vm     before that another thread is asked, by an eventfd
 * each way, and takes the page out of a mapping of its own
 *
 * At its end it says on stderr how many, and how long the system calls took in the middle.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hv/vm.h"
#include "ivshmem/log.h"

#define PAGE 4096u
#define FAULTS_MAX 65536u

static struct {
	int fd, ask, answer;
	uint8_t *base;  /* where the guest sees the region */
	uint8_t *other; /* where somebody else does */
	uint64_t size, offset;
	bool take;
	unsigned count;
	uint32_t continued[FAULTS_MAX], taken[FAULTS_MAX]; /* ns */
} floor_of;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "floor_pages: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Somebody who has the pages, and gives up the one it is asked for. */
static void *holder(void *unused)
{
	uint64_t page, start;

	(void)unused;
	while (read(floor_of.ask, &page, sizeof(page)) == sizeof(page)) {
		start = now();
		must(madvise(floor_of.other + (page - 1) * PAGE, PAGE, MADV_DONTNEED) == 0,
		     "madvise");
		floor_of.taken[floor_of.count] = (uint32_t)(now() - start);
		must(write(floor_of.answer, &(uint64_t){1}, 8) == 8, "eventfd");
	}
	return NULL;
}

static void resolve(uint64_t address)
{
	uint64_t page = (address - (uintptr_t)floor_of.base) / PAGE, answer, start;
	struct uffdio_continue go = {.range = {(uintptr_t)floor_of.base + page * PAGE, PAGE}};

	if (floor_of.take) {
		page++; /* an eventfd does not tell 0 */
		must(write(floor_of.ask, &page, sizeof(page)) == sizeof(page), "eventfd");
		must(read(floor_of.answer, &answer, sizeof(answer)) == sizeof(answer), "eventfd");
	}
	start = now();
	must(ioctl(floor_of.fd, UFFDIO_CONTINUE, &go) == 0 || errno == EEXIST, "UFFDIO_CONTINUE");
	floor_of.continued[floor_of.count] = (uint32_t)(now() - start);
	if (floor_of.count < FAULTS_MAX - 1)
		floor_of.count++;
}

static void *handler(void *unused)
{
	struct pollfd p = {.fd = floor_of.fd, .events = POLLIN};
	struct uffd_msg message;

	(void)unused;
	while (poll(&p, 1, -1) > 0)
		if (read(floor_of.fd, &message, sizeof(message)) == sizeof(message))
			resolve(message.arg.pagefault.address);
	return NULL;
}

/* Where the guest sees the region of that name. */
static uint8_t *find(const struct vmm_group *group, const char *name, uint64_t *offset,
		     uint64_t *size)
{
	for (unsigned i = 0; i < group->client.regions; i++) {
		const struct ivshm_client_region *region = &group->client.region[i];

		*offset = region->offset;
		*size = region->size;
		if (strcmp(region->name, name) == 0)
			return group->host + region->offset;
	}
	fprintf(stderr, "floor_pages: no region '%s'\n", name);
	exit(1);
}

/* The region "pages" of the first group is ours, and the guest is told that it is held. */
static void take_over(const struct vmm_group *group)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MINOR};
	uint64_t unused[2], *meet;
	pthread_t thread;

	floor_of.base = find(group, "pages", &floor_of.offset, &floor_of.size);
	meet = (uint64_t *)(void *)find(group, "meet", &unused[0], &unused[1]);
	floor_of.other = mmap(NULL, floor_of.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			      group->client.memory, (off_t)floor_of.offset);
	must(floor_of.other != MAP_FAILED, "mmap");
	/* As somebody who has been there would leave it; and mapped there. */
	for (uint64_t i = 0; i < floor_of.size / PAGE; i++)
		*(uint64_t *)(void *)(floor_of.other + i * PAGE) = i + 1;
	floor_of.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	must(floor_of.fd >= 0 && ioctl(floor_of.fd, UFFDIO_API, &api) == 0, "userfaultfd");
	range.range.start = (uintptr_t)floor_of.base;
	range.range.len = floor_of.size;
	must(madvise(floor_of.base, floor_of.size, MADV_DONTNEED) == 0, "madvise");
	must(ioctl(floor_of.fd, UFFDIO_REGISTER, &range) == 0, "UFFDIO_REGISTER");
	floor_of.ask = eventfd(0, EFD_CLOEXEC);
	floor_of.answer = eventfd(0, EFD_CLOEXEC);
	must(floor_of.ask >= 0 && floor_of.answer >= 0, "eventfd");
	must(pthread_create(&thread, NULL, handler, NULL) == 0, "thread");
	must(pthread_create(&thread, NULL, holder, NULL) == 0, "thread");
	__atomic_store_n(&meet[0], 1, __ATOMIC_RELEASE); /* app_pages.c: HELD */
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t median(uint32_t *v)
{
	qsort(v, floor_of.count, sizeof(*v), by_size);
	return v[floor_of.count / 2];
}

int main(int argc, char **argv)
{
	static struct vmm_vm vm;
	struct vmm_options options;
	struct vmm_error error;
	sigset_t signals;
	int status;

	if (argc < 3 || (strcmp(argv[1], "free") != 0 && strcmp(argv[1], "take") != 0)) {
		fprintf(stderr, "usage: floor_pages free|take OPTIONS OF isthmus-vm\n");
		return 2;
	}
	floor_of.take = strcmp(argv[1], "take") == 0;
	argv[1] = argv[0];
	if (vmm_options_parse(argc - 1, argv + 1, &options) != VMM_OPTIONS_RUN)
		return 2;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (vmm_vm_init(&vm, &options, &error) != 0) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", error.text);
		return 1;
	}
	take_over(vm.group[0]);
	status = vmm_vm_run(&vm);
	fprintf(stderr, "floor faults=%u continue=%u", floor_of.count, median(floor_of.continued));
	fprintf(stderr, floor_of.take ? " drop=%u\n" : "\n", median(floor_of.taken));
	return status; /* all of it goes with the process */
}
