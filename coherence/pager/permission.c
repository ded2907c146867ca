// SPDX-License-Identifier: BSD-2-Clause
/* permission.c: permissions of pages by userfaultfd. */
#include "permission.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <isthmus/abi.h>

#include "internal.h"

#ifndef UFFD_FEATURE_WP_UNPOPULATED /* Linux 6.4, with UFFDIO_CONTINUE_MODE_WP */
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18: of memory that mlock() was called for, too */
#endif

#define FEATURES                                                                                   \
	(UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_THREAD_ID)
#define MODES (UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP)
#define FAULTS_MAX 16u

/* One that sees the faults of the kernel too: KVM's are. */
static int open_uffd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int device;

	if (fd >= 0 || errno != EPERM)
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0) {
		if (errno != EACCES)
			errno = EPERM; /* what there is not cannot be opened */
		return -1;
	}
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	close(device);
	return fd;
}

/* A kernel that does not know one of the features gives none. */
static int ask_for(int fd, uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};

	return ioctl(fd, UFFDIO_API, &api) == 0 ? 0 : -errno;
}

int coh_permissions_open(struct coh_permissions *permissions, int memory, bool moments, char *error,
			 size_t error_size)
{
	int n;

	permissions->memory = memory;
	permissions->fd = open_uffd();
	if (permissions->fd < 0)
		return coh_pager_fail(error, error_size, -errno,
				      "page coherence takes userfaultfd: be root, or give the user "
				      "/dev/userfaultfd: %s",
				      strerror(errno));
	/* isthmus-vm(1), ENVIRONMENT: the older way can be taken on a newer kernel. */
	n = getenv("ISTHMUS_PAGER_6_1") != NULL
		    ? -EINVAL
		    : ask_for(permissions->fd, FEATURES | UFFD_FEATURE_WP_UNPOPULATED);
	permissions->atomic = n == 0;
	permissions->whole = !permissions->atomic && !moments;
	if (n == -EINVAL)
		n = ask_for(permissions->fd, FEATURES);
	if (n == 0)
		return 0;
	coh_permissions_close(permissions);
	return coh_pager_fail(
		error, error_size, n,
		"page coherence takes userfaultfd with minor faults and write protection "
		"of shared memory (Linux 5.19): %s",
		strerror(-n));
}

void coh_permissions_close(struct coh_permissions *permissions)
{
	if (permissions->fd >= 0)
		close(permissions->fd);
	permissions->fd = -1;
}

int coh_permissions_take(struct coh_permissions *permissions, void *base, size_t size)
{
	struct uffdio_register range = {.range = {(uintptr_t)base, size}, .mode = MODES};

	/* A huge page would be mapped as a whole, whatever is allowed of its parts. */
	if (madvise(base, size, MADV_NOHUGEPAGE) != 0 && errno != EINVAL)
		return -errno;
	if (madvise(base, size, MADV_DONTFORK) != 0)
		return -errno;
	if (ioctl(permissions->fd, UFFDIO_REGISTER, &range) != 0)
		return -errno;
	return 0;
}

/* The kernel says EAGAIN when the mapping is being changed meanwhile. */
static int again(int fd, unsigned long request, void *argument)
{
	int n;

	do
		n = ioctl(fd, request, argument);
	while (n != 0 && errno == EAGAIN);
	return n == 0 ? 0 : -errno;
}

static int wake(const struct coh_permissions *permissions, void *base)
{
	struct uffdio_range range = {(uintptr_t)base, IST_PAGE};

	return again(permissions->fd, UFFDIO_WAKE, &range);
}

void coh_permissions_wake(const struct coh_permissions *permissions, void *base, size_t size)
{
	struct uffdio_range range = {(uintptr_t)base, size};

	again(permissions->fd, UFFDIO_WAKE, &range);
}

int coh_permissions_drop(void *base, size_t size)
{
	return madvise(base, size, MADV_DONTNEED_LOCKED) == 0 ? 0 : -errno;
}

static int protect(const struct coh_permissions *permissions, void *base, bool on)
{
	struct uffdio_writeprotect range = {
		.range = {(uintptr_t)base, IST_PAGE},
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return again(permissions->fd, UFFDIO_WRITEPROTECT, &range);
}

/* Maps what is in the memory; where nothing is yet, a page of zeros is made there first. */
static int map(const struct coh_permissions *permissions, void *base, uint64_t offset,
	       uint64_t mode)
{
	struct uffdio_continue range = {.range = {(uintptr_t)base, IST_PAGE}, .mode = mode};
	int n = again(permissions->fd, UFFDIO_CONTINUE, &range);

	if (n != -EFAULT)
		return n;
	if (fallocate(permissions->memory, 0, (off_t)offset, IST_PAGE) != 0)
		return -errno;
	range.mapped = 0;
	return again(permissions->fd, UFFDIO_CONTINUE, &range);
}

/* A vCPU that fails between these two sees one of the counts changed, or a moment that lasts. */
static void begin_moment(struct coh_permissions *permissions)
{
	__atomic_fetch_add(&permissions->lasting, 1, __ATOMIC_SEQ_CST);
}

static void end_moment(struct coh_permissions *permissions)
{
	__atomic_fetch_add(&permissions->moments, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&permissions->lasting, 1, __ATOMIC_SEQ_CST);
}

/*
 * Before Linux 6.4: what UFFDIO_CONTINUE maps is writable if the mapping is. So the mapping is not,
 * for a moment, until userfaultfd protects the entry; from then on mprotect() leaves it alone.
 */
static int map_protected(struct coh_permissions *permissions, void *base, uint64_t offset)
{
	int n, back;

	begin_moment(permissions);
	n = mprotect(base, IST_PAGE, PROT_READ) == 0 ? 0 : -errno;
	if (n == 0)
		n = map(permissions, base, offset, UFFDIO_CONTINUE_MODE_DONTWAKE);
	if (n == 0)
		n = protect(permissions, base, true);
	/* Where it could not be protected it must not stay, or this would make it writable. */
	if (n != 0 && n != -EEXIST)
		coh_permissions_drop(base, IST_PAGE);
	back = mprotect(base, IST_PAGE, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
	end_moment(permissions);
	if (n == 0)
		n = back;
	return n == 0 ? wake(permissions, base) : n;
}

static int permit_reading(struct coh_permissions *permissions, void *base, uint64_t offset,
			  bool writable)
{
	if (permissions->atomic)
		return map(permissions, base, offset, UFFDIO_CONTINUE_MODE_WP);
	if (!writable)
		return map(permissions, base, offset, 0);
	return permissions->whole ? -EOPNOTSUPP : map_protected(permissions, base, offset);
}

int coh_permission_set(struct coh_permissions *permissions, void *base, uint64_t offset,
		       bool writable, enum coh_permission from, enum coh_permission to)
{
	int n;

	if (to == COH_PAGE_NONE)
		return coh_permissions_drop(base, IST_PAGE);
	if (from != COH_PAGE_NONE)
		return protect(permissions, base, to == COH_PAGE_READ);
	n = to == COH_PAGE_READ ? permit_reading(permissions, base, offset, writable)
				: map(permissions, base, offset, 0);
	/* It was there all the time, so it is what was set: who faulted was late. */
	return n == -EEXIST ? wake(permissions, base) : n;
}

int coh_permission_decline_end(struct coh_permissions *permissions, void *base)
{
	int n = mprotect(base, IST_PAGE, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;

	end_moment(permissions);
	return n;
}

int coh_permission_decline(struct coh_permissions *permissions, void *base)
{
	int n;

	begin_moment(permissions);
	n = mprotect(base, IST_PAGE, PROT_READ) == 0 ? wake(permissions, base) : -errno;
	if (n != 0)
		coh_permission_decline_end(permissions, base);
	return n;
}

int coh_permission_faults(struct coh_permissions *permissions, struct coh_permission_fault *out,
			  unsigned max)
{
	struct uffd_msg message[FAULTS_MAX];
	size_t size = (max < FAULTS_MAX ? max : FAULTS_MAX) * sizeof(message[0]);
	ssize_t length = read(permissions->fd, message, size);
	int count = 0;

	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (size_t i = 0; i < (size_t)length / sizeof(message[0]); i++) {
		uint64_t flags = message[i].arg.pagefault.flags;

		if (message[i].event != UFFD_EVENT_PAGEFAULT)
			continue;
		out[count].address = (uintptr_t)message[i].arg.pagefault.address;
		out[count].present = (flags & UFFD_PAGEFAULT_FLAG_WP) != 0;
		/* Threads of the kernel fault for KVM. */
		out[count].own =
			syscall(SYS_tgkill, getpid(), message[i].arg.pagefault.feat.ptid, 0) == 0;
		out[count].needs = flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP)
					   ? COH_PAGE_WRITE
					   : COH_PAGE_READ;
		count++;
	}
	return count;
}
