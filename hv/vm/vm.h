/* SPDX-License-Identifier: BSD-2-Clause */
/* vm.h: one virtual machine: made, run, ended. */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "pci.h"
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
	VMM_EVENT_VECTORS /* and on: one-shot interrupts of that group */
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
	pthread_mutex_t gate; /* vCPU threads wait here until all is there */
	bool gate_open;
	struct vmm_memory memory;
	struct vmm_bus mmio;
	struct vmm_bus ports;
	struct vmm_irqs irqs;
	struct vmm_pci pci;           /* of a Linux VM */
	struct vmm_platform platform; /* of a Linux VM */
	unsigned groups;
	struct vmm_group *group[IST_GROUPS_MAX];
	unsigned vcpus;
	struct vmm_vcpu vcpu[VMM_VCPUS_MAX];
};

/*
 * Makes a VM, up to its vCPU threads, which wait. `options` must outlive it. On an error one text
 * is in *error and nothing is left. Joined groups show this peer as live.
 */
int vmm_vm_init(struct vmm_vm *vm, const struct vmm_options *options, struct vmm_error *error);

/*
 * Lets it run until it ends or SIGTERM or SIGINT comes, which the caller has blocked. Returns its
 * exit status as isthmus-vm(1) tells it.
 */
int vmm_vm_run(struct vmm_vm *vm);

/* Leaves the groups, frees everything, writes the statistics when that was asked for. */
void vmm_vm_fini(struct vmm_vm *vm);

/* Gives the VM its exit status. True for the first caller, the only one that counts. Any thread. */
bool vmm_vm_end(struct vmm_vm *vm, int status);

/* Has it one? Any thread. */
bool vmm_vm_ended(const struct vmm_vm *vm);

/* Changes with any of its pagers' vmm_pager_moments(); odd while one of these is. Any thread. */
uint32_t vmm_vm_moments(const struct vmm_vm *vm);

#endif
