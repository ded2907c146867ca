/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * isthmus.h: the driver's own structures, and which file does what with them.
 *
 * A struct isthmus lives as long as its device is bound or a file is open on it. When the device
 * goes away, `gone` is set and everything the hardware gave is taken back at once; files stay and
 * get -ENODEV. Locks, in the order they are taken: mutex, (mmap_lock,) here, lock.
 */
#ifndef ISTHMUS_H
#define ISTHMUS_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/idr.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "roster.h"

#ifndef CONFIG_64BIT
#error "isthmus: shared words are 64 bits wide and read whole: 64-bit kernels only"
#endif

struct isthmus;

struct isthmus_vector {
	struct isthmus *isthmus;
	u32 index;
	char name[24]; /* in /proc/interrupts */
};

struct isthmus {
	struct device dev;
	struct cdev cdev;
	struct pci_dev *pdev; /* not after `gone` */

	/* Fixed when the device is bound, but for `roster`'s rights and regions: those change under
	 * both locks below, and are read under either. */
	u32 personality;
	u32 id;
	u32 incarnation;
	u32 vectors;  /* with interrupts */
	u32 doorbell; /* offset of that register */
	bool page;    /* users may map the registers' page */
	bool numbers; /* the device is QEMU's, which has numbers for peers (IST_QEMU_NUMBER) */
	struct isthmus_roster roster;
	phys_addr_t memory_start;
	phys_addr_t registers_start;
	phys_addr_t run_state_start;
	bool rest; /* of the registers' page is claimed, so that nothing comes there */

	/*
	 * Who holds one of these two and finds the device not gone may use `registers`, `memory`
	 * and `run_state`. `here` is held for short, also in page faults: no user memory under it.
	 */
	struct mutex mutex; /* and files' holds; files come and go */
	struct rw_semaphore here;
	bool gone; /* changes under both */
	void __iomem *registers;
	void *memory;    /* write-back */
	void *run_state; /* the same; NULL: nobody says who runs */

	spinlock_t lock;                 /* counts, files and their events; taken in interrupts */
	struct ist_linux_counts *counts; /* a page, mapped by users */
	wait_queue_head_t wait;
	struct list_head files; /* changed under mutex and lock */

	struct ida clients;

	struct isthmus_tables tables; /* for who follows the roster, under the mutex */
	struct isthmus_roster fresh;
	struct work_struct peers_work;
	u64 changes; /* the roster's, when user space was last told of peers */
	struct isthmus_peer peer[IST_PEERS_MAX];

	struct isthmus_vector vector[IST_VECTORS_MAX];
};

/* An open file: to its group a client of this peer. */
struct isthmus_file {
	struct isthmus *isthmus;
	struct file *filp;
	struct list_head node;
	u32 client;
	u32 seen;    /* counts.total at the last read() */
	u64 changes; /* the roster's at INFO or the last read() */
	struct eventfd_ctx *event[IST_VECTORS_MAX];
	struct xarray holds; /* by word: offset / 8 */
	u32 holds_count;
};

static inline struct isthmus *isthmus_of(struct device *dev)
{
	return container_of(dev, struct isthmus, dev);
}

/* device.c: the PCI function: BARs, registers, interrupts. */
int isthmus_device_init(struct isthmus *isthmus);
void isthmus_device_fini(struct isthmus *isthmus);
int isthmus_device_start(struct isthmus *isthmus);  /* interrupts come from here on */
void isthmus_device_stop(struct isthmus *isthmus);  /* no more */
void isthmus_device_quiet(struct isthmus *isthmus); /* tells the device that nobody is there */
void isthmus_device_ring(struct isthmus *isthmus, u32 peer, u32 incarnation, u32 vector);

/* event.c: a doorbell has come, or must look as if it had; peers come and go. */
void isthmus_deliver(struct isthmus *isthmus, u32 vector);
void isthmus_peers_init(struct isthmus *isthmus);

/* rights.c: the roster says something else of this peer's rights, or of regions. */
void isthmus_rights_follow(struct isthmus *isthmus);

/* group.c: the roster in shared memory. */
int isthmus_group_read(struct isthmus *isthmus, u64 memory_size);
int isthmus_group_look(struct isthmus *isthmus, u64 memory_size, struct isthmus_roster *out,
		       char why[ISTHMUS_WHY_SIZE]);
u64 isthmus_group_changes(struct isthmus *isthmus);
u64 isthmus_group_word(struct isthmus *isthmus, u32 id);
bool isthmus_group_peer(struct isthmus *isthmus, u32 id, struct ist_peer *out);
bool isthmus_group_runs(struct isthmus *isthmus, u32 id, struct ist_run_peer *out);

/* file.c, map.c, hold.c: what users do. */
extern const struct file_operations isthmus_file_ops;
int isthmus_mmap(struct file *filp, struct vm_area_struct *vma);
int isthmus_hold(struct isthmus_file *file, const struct ist_linux_hold *hold);
bool isthmus_holds_end(struct isthmus_file *file); /* true: something was held; tell */
void isthmus_holds_tell(struct isthmus *isthmus);
void isthmus_file_revoke(struct isthmus_file *file); /* its mappings */
void isthmus_file_revoke_part(struct isthmus_file *file, u64 offset, u64 size);

/* sysfs.c */
extern const struct attribute_group *isthmus_groups[];

#endif
