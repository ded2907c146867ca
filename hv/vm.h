/* SPDX-License-Identifier: BSD-2-Clause */
/* vm.h: one virtual machine: made, run, ended. */
#pragma once

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ivshmem/bell.h"

#include "group.h"
#include "irq.h"
#include "platform.h"
#include "vcpu.h"

#define VMM_STATUS_NOT_STARTED 125
#define VMM_STATUS_FAULT 126
#define VMM_STATUS_RUNNING (-1)
#define VMM_STATUS_RESET (-2) /* ended, to be started again */

/* Events of the main thread; below: the broker of that group. */
enum vmm_event {
	VMM_EVENT_ENDED = IST_GROUPS_MAX,
	VMM_EVENT_SIGNAL,
	VMM_EVENT_INPUT,
	VMM_EVENT_OUTPUT,
	VMM_EVENT_LIMIT,
	VMM_EVENT_RETURN, /* time to try again for a broker that has gone */
	VMM_EVENT_VECTORS /* and on: one-shot interrupts of that group */
};

struct vmm_limit {
	int timer;           /* timerfd; -1: no group has a limit */
	unsigned next;       /* vector to be sampled, over all groups' */
	uint64_t apart_ns;   /* samples are, now; */
	uint64_t sampled_ns; /* when one was last, */
	uint64_t used_ns;    /* and the CPU time of the vCPU threads then */
};

struct vmm_pause {
	bool on; /* atomic; changes under the lock */
	pthread_mutex_t lock;
	pthread_cond_t left, over; /* a vCPU has come out; the pause has */
};

struct vmm_vm {
	const struct vmm_options *options;
	uint64_t started_ns; /* CLOCK_MONOTONIC at vmm_vm_init() */
	uint64_t first_run_ns;
	int kvm;
	int fd;
	int events;           /* epoll: the two below and the brokers */
	int signals;          /* signalfd */
	int ended;            /* eventfd: the VM has a status */
	int status;           /* atomic; VMM_STATUS_RUNNING until somebody ends it */
	pthread_mutex_t lock; /* of all that is below, while vCPU threads are there */
	struct vmm_memory memory;
	struct vmm_irqs irqs;
	int returns;                  /* timerfd: for brokers that have gone */
	uint32_t pause_ms;            /* until the next try; 0: none has gone */
	bool alone;                   /* atomic; see vmm_console_alone() */
	struct ivshm_bell bell;       /* rings peers where KVM does not */
	uint32_t pci_address;         /* of a Linux VM: the register at VMM_PORT_PCI */
	struct vmm_platform platform; /* of a Linux VM */
	struct vmm_limit limit;
	unsigned groups;
	struct vmm_group *group[IST_GROUPS_MAX];
	struct vmm_pause pause;
	unsigned vcpus;
	struct vmm_vcpu vcpu[VMM_VCPUS_MAX];
};

/*
 * Makes a VM and lets it run. `options` must outlive it. On an error one text is in *error and
 * nothing is left. Joined groups show this peer as live.
 */
int vmm_vm_init(struct vmm_vm *vm, const struct vmm_options *options, struct vmm_error *error);

/*
 * Serves it until it ends or SIGTERM or SIGINT comes, which the caller has blocked. Returns its
 * exit status as isthmus-vm(1) tells it.
 */
int vmm_vm_run(struct vmm_vm *vm);

/* Leaves the groups, frees everything, writes the statistics when that was asked for. */
void vmm_vm_fini(struct vmm_vm *vm);

/* ---- limit.c: doorbells that come too often ---- */

/* vmm_vm_run() looks after vectors, where a group has a limit. */
int vmm_limit_start(struct vmm_vm *vm, struct vmm_error *error);
void vmm_limit_fini(struct vmm_vm *vm);

/* By the main thread, when VMM_EVENT_LIMIT has come. Under the VM's lock. */
void vmm_limit_serve(struct vmm_vm *vm);

/* ---- pause.c ---- */

void vmm_pause_init(struct vmm_pause *pause);
/*
 * No vCPU is in the guest from begin to end. By one thread at a time, no vCPU's. False: one has not
 * come out in time; the pause is to be ended all the same.
 */
bool vmm_pause_begin(struct vmm_vm *vm);
void vmm_pause_end(struct vmm_vm *vm);

/* ---- broker.c: a broker's end, and coming back to the next one ---- */

/* A broker has sent something, or has ended. */
void vmm_broker_serve(struct vmm_vm *vm, struct vmm_group *group);

/* The timer says so: tries for those that have gone. */
void vmm_broker_return(struct vmm_vm *vm);

/* ---- console.c ---- */

/*
 * A broker has ended, and with it, perhaps, who reads the console: from now on the oldest there
 * makes room for the newest; or not any more. Not with the VM's lock: whoever has it may be waiting
 * for room.
 */
void vmm_console_alone(struct vmm_vm *vm, bool alone);

/* Waits for room, as poll(2) does; -1: for ever. Any thread. */
int vmm_console_wait(const struct vmm_vm *vm, int patience_ms);

/* ---- stats.c ---- */

/*
 * Writes the object of --stats from what an ended VM has counted, but for its end; NULL without a
 * file. vmm_stats_end() adds the resident size and closes it: when guest memory is unmapped, so
 * that only the monitor's own counts. What cannot be written is told.
 */
FILE *vmm_stats_begin(const struct vmm_vm *vm);
void vmm_stats_end(const struct vmm_options *options, FILE *out);

/* ---- app.c (abi.h, "App boot") and linux.c ---- */

/* Loads what the guest needs in RAM, points the first vCPU at the entry. */
int vmm_app_load(struct vmm_vm *vm, struct vmm_error *error);
int vmm_linux_load(struct vmm_vm *vm, struct vmm_error *error);

/* ---- For who runs in it ---- */

/* Gives the VM its exit status. True for the first caller, the only one that counts. Any thread. */
bool vmm_vm_end(struct vmm_vm *vm, int status);

/* Has it one? Any thread. */
bool vmm_vm_ended(const struct vmm_vm *vm);

/* The main thread is woken when `fd` is readable. 0 or -1 and errno. */
int vmm_vm_watch(struct vmm_vm *vm, int fd, uint32_t event);

/* Changes with any of its pagers' coh_pager_moments(); odd while one of these is. Any thread. */
uint32_t vmm_vm_moments(const struct vmm_vm *vm);

/* A vCPU could not go on for one of them. Any thread. */
void vmm_vm_met(const struct vmm_vm *vm);
