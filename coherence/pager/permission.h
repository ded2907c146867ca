/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * permission.h: none, read or write on a page of this process's mapping, by userfaultfd: the
 * mechanism, without any idea who may have what.
 */
#ifndef COH_PERMISSION_H
#define COH_PERMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coh_permission { COH_PAGE_NONE, COH_PAGE_READ, COH_PAGE_WRITE };

struct coh_permissions {
	int fd;           /* userfaultfd, or -1 */
	int memory;       /* memfd of what is mapped */
	bool atomic;      /* "present, but not writable" is one operation: Linux 6.4 */
	bool whole;       /* on a mapping that is writable reading is given with writing alone */
	uint32_t moments; /* atomic: that have passed, see coh_pager_moments() */
	uint32_t lasting; /* atomic: that there are now */
};

struct coh_permission_fault {
	uintptr_t address;
	enum coh_permission needs; /* at most: see `own` */
	bool present;              /* it may be read there already */
	bool own;                  /* by a thread of this process, which knows what it needs */
};

/*
 * `moments`: a store may fail for a moment (coh_pager_moments()), for what takes it: declining,
 * and, before Linux 6.4, giving reading alone. Returns 0, or -errno with one line in `error` that
 * says what it takes; -EPERM where that is a right.
 */
int coh_permissions_open(struct coh_permissions *permissions, int memory, bool moments, char *error,
			 size_t error_size);
void coh_permissions_close(struct coh_permissions *permissions);

/*
 * A mapping of `memory`, in pages of 4 KiB that nobody has touched yet, obeys from now on: nothing
 * is permitted there. A child that is forked has no mapping there: it would not obey. Returns 0 or
 * -errno.
 */
int coh_permissions_take(struct coh_permissions *permissions, void *base, size_t size);

/*
 * Changes the permission on the page at `base`, which is at `offset` of the memory and in a mapping
 * that is writable or not, from one to another; from nothing also where the kernel has lost what
 * was there. When it is more than before, who waits for it goes on; when it is less, it is gone
 * for all threads and for KVM when this returns. Returns 0 or -errno.
 */
int coh_permission_set(struct coh_permissions *permissions, void *base, uint64_t offset,
		       bool writable, enum coh_permission from, enum coh_permission to);

/*
 * A fault that is not `own` on a page where nothing is permitted: who waits there, a thread of the
 * kernel that asks for writing whatever its guest did, gives up, and the vCPU faults by itself,
 * which tells. Nothing is written there until the end of it. One page at a time, in a writable
 * mapping. Return 0 or -errno.
 */
int coh_permission_decline(struct coh_permissions *permissions, void *base);
int coh_permission_decline_end(struct coh_permissions *permissions, void *base);

/* All permissions at once: there are none from now on. Returns 0 or -errno. */
int coh_permissions_drop(void *base, size_t size);

/* Who waits there tries again. */
void coh_permissions_wake(const struct coh_permissions *permissions, void *base, size_t size);

/* Next faults, without blocking; `fd` is readable when there is one. Returns how many, or -errno.
 */
int coh_permission_faults(struct coh_permissions *permissions, struct coh_permission_fault *out,
			  unsigned max);

#endif
