// SPDX-License-Identifier: BSD-2-Clause
/* vm.c: a virtual machine's life. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app.h"
#include "linux.h"
#include "stats.h"

#define WATCH_MS 1000

static int open_kvm(struct vmm_vm *vm, struct vmm_error *error)
{
	static const struct {
		int number;
		const char *name;
	} needed[] = {
		{KVM_CAP_READONLY_MEM, "read-only memory"},
		{KVM_CAP_IOEVENTFD, "ioeventfd"},
		{KVM_CAP_IRQFD, "irqfd"},
		{KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
		{KVM_CAP_BINARY_STATS_FD, "binary statistics"},
	};

	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return vmm_fail_errno(error, "/dev/kvm");
	if (ioctl(vm->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return vmm_fail(error, ENOTSUP, "/dev/kvm: not KVM's stable interface");
	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (ioctl(vm->kvm, KVM_CHECK_EXTENSION, needed[i].number) <= 0)
			return vmm_fail(error, ENOTSUP, "this KVM has no %s", needed[i].name);
	do {
		vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	} while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0)
		return vmm_fail_errno(error, "KVM refuses a VM");
	vm->memory.vm = vm->fd;
	vmm_irq_init(&vm->irqs, vm->fd);
	return 0;
}

static int watch_fd(struct vmm_vm *vm, int fd, uint32_t what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

	return epoll_ctl(vm->events, EPOLL_CTL_ADD, fd, &event);
}

static int join_groups(struct vmm_vm *vm, struct vmm_error *error)
{
	bool pci = vm->options->kernel != NULL;
	uint64_t next = pci ? VMM_PCI_WINDOW64_START : VMM_GROUPS_START;
	int result = 0;

	if (pci)
		vmm_pci_init(&vm->pci, &vm->ports);
	while (result == 0 && vm->groups < vm->options->groups) {
		struct vmm_group **group = &vm->group[vm->groups];

		result = vmm_group_create(vm->options, vm->groups, &vm->memory, &vm->mmio,
					  &vm->irqs, &next, error, group);
		if (result != 0)
			break;
		vm->groups++;
		(*group)->machine = vm;
		if (pci)
			vmm_pci_add(&vm->pci, *group);
		if ((*group)->watch >= 0 &&
		    watch_fd(vm, (*group)->watch, VMM_EVENT_VECTORS + (*group)->index) != 0)
			result = vmm_fail_errno(error, "cannot watch for events");
	}
	return result;
}

static int start_groups(struct vmm_vm *vm, struct vmm_error *error)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < vm->groups; i++)
		result = vmm_group_start(vm->group[i], error);
	return result;
}

static int create_vcpus(struct vmm_vm *vm, struct vmm_error *error)
{
	int result = 0;

	while (result == 0 && vm->vcpus < vm->options->vcpus) {
		result = vmm_vcpu_create(&vm->vcpu[vm->vcpus], vm, vm->vcpus, error);
		if (result == 0)
			vm->vcpus++;
	}
	return result;
}

/* What the main thread waits for. */
static int open_events(struct vmm_vm *vm, struct vmm_error *error)
{
	sigset_t signals;
	int result = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	vm->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	vm->events = epoll_create1(EPOLL_CLOEXEC);
	if (vm->ended < 0 || vm->signals < 0 || vm->events < 0 ||
	    watch_fd(vm, vm->ended, VMM_EVENT_ENDED) != 0 ||
	    watch_fd(vm, vm->signals, VMM_EVENT_SIGNAL) != 0)
		result = vmm_fail_errno(error, "cannot watch for events");
	return result;
}

static int start_threads(struct vmm_vm *vm, struct vmm_error *error)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < vm->vcpus; i++)
		result = vmm_vcpu_start(&vm->vcpu[i], error);
	return result;
}

/* Everything is mapped: the brokers may show this peer as live. */
static int make_live(struct vmm_vm *vm, struct vmm_error *error)
{
	for (unsigned i = 0; i < vm->groups; i++) {
		struct ivshm_client *client = &vm->group[i]->client;

		if (ivshm_client_ready(client) != 0 || watch_fd(vm, client->socket, i) != 0)
			return vmm_fail(error, EPIPE, "the broker of group '%s' is gone",
					client->group);
	}
	return 0;
}

static void open_gate(struct vmm_vm *vm)
{
	if (vm->gate_open)
		return;
	vm->gate_open = true;
	pthread_mutex_unlock(&vm->gate);
}

static void end_threads(struct vmm_vm *vm)
{
	vmm_vm_end(vm, VMM_STATUS_NOT_STARTED);
	open_gate(vm);
	for (unsigned i = 0; i < vm->vcpus; i++)
		vmm_vcpu_join(&vm->vcpu[i]);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Ends the threads and gives everything back. Groups are left last: their mappings are gone then.
 */
static void release(struct vmm_vm *vm)
{
	end_threads(vm);
	/* Before KVM's own workers are waited for: one may be waiting for a page. */
	for (unsigned i = 0; i < vm->groups; i++)
		vmm_pages_stop(vm->group[i]);
	for (unsigned i = 0; i < vm->vcpus; i++)
		vmm_vcpu_destroy(&vm->vcpu[i]);
	close_fd(vm->fd);
	close_fd(vm->kvm);
	vmm_memory_free_ram(&vm->memory);
	for (unsigned i = 0; i < vm->groups; i++)
		vmm_group_destroy(vm->group[i]);
	close_fd(vm->events);
	close_fd(vm->signals);
	close_fd(vm->ended);
	vmm_bus_fini(&vm->mmio);
	vmm_bus_fini(&vm->ports);
	vmm_platform_fini(&vm->platform);
	pthread_mutex_destroy(&vm->gate);
}

int vmm_vm_init(struct vmm_vm *vm, const struct vmm_options *options, struct vmm_error *error)
{
	int result;

	memset(vm, 0, sizeof(*vm));
	vm->options = options;
	vm->started_ns = vmm_stats_now();
	vm->status = VMM_STATUS_RUNNING;
	vm->kvm = vm->fd = vm->ended = vm->signals = vm->events = -1;
	vmm_bus_init(&vm->mmio);
	vmm_bus_init(&vm->ports);
	vmm_platform_init(&vm->platform, vm);
	pthread_mutex_init(&vm->gate, NULL);
	pthread_mutex_lock(&vm->gate);
	result = open_events(vm, error);
	if (result == 0)
		result = open_kvm(vm, error);
	/* Slots come before the interrupt controllers: after them the first one costs 7 ms. */
	if (result == 0)
		result = vmm_memory_add_ram(&vm->memory, options, error);
	if (result == 0)
		result = join_groups(vm, error);
	if (result == 0 && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) != 0)
		result = vmm_fail_errno(error, "KVM refuses an interrupt controller");
	if (result == 0 && options->kernel != NULL)
		result = vmm_platform_start(&vm->platform, error);
	if (result == 0)
		result = create_vcpus(vm, error);
	if (result == 0)
		result = options->kernel != NULL ? vmm_linux_load(vm, error)
						 : vmm_app_load(vm, error);
	if (result == 0)
		result = start_groups(vm, error);
	if (result == 0)
		result = start_threads(vm, error);
	if (result == 0)
		result = make_live(vm, error);
	if (result != 0)
		release(vm);
	return result;
}

/* ---- Running ---- */

static void on_broker(struct vmm_vm *vm, struct ivshm_client *client)
{
	if (ivshm_client_dispatch(client) == 0)
		return;
	epoll_ctl(vm->events, EPOLL_CTL_DEL, client->socket, NULL);
	vmm_log(vm->options, VMM_WARNING,
		"the broker of group '%s' is gone: going on with the peers there are",
		client->group);
}

static void on_signal(struct vmm_vm *vm)
{
	struct signalfd_siginfo information;

	if (read(vm->signals, &information, sizeof(information)) == sizeof(information))
		vmm_vm_end(vm, 128 + (int)information.ssi_signo);
}

int vmm_vm_run(struct vmm_vm *vm)
{
	open_gate(vm);
	while (!vmm_vm_ended(vm)) {
		struct epoll_event event;
		int count = epoll_wait(vm->events, &event, 1, WATCH_MS);

		if (count == 0 && vm->vcpus == 1 && vm->options->kernel == NULL)
			vmm_vcpu_watch(&vm->vcpu[0]);
		else if (count == 1 && event.data.u32 < vm->groups)
			on_broker(vm, &vm->group[event.data.u32]->client);
		else if (count == 1 && event.data.u32 == VMM_EVENT_SIGNAL)
			on_signal(vm);
		else if (count == 1 && event.data.u32 == VMM_EVENT_INPUT)
			vmm_platform_input(&vm->platform);
		else if (count == 1 && event.data.u32 == VMM_EVENT_OUTPUT)
			vmm_platform_output(&vm->platform);
		else if (count == 1 && event.data.u32 >= VMM_EVENT_VECTORS)
			vmm_vectors_serve(vm->group[event.data.u32 - VMM_EVENT_VECTORS]);
	}
	return __atomic_load_n(&vm->status, __ATOMIC_ACQUIRE);
}

void vmm_vm_fini(struct vmm_vm *vm)
{
	const struct vmm_options *options = vm->options;
	char *text = NULL;

	end_threads(vm);
	if (options->stats != NULL)
		text = vmm_stats_collect(vm);
	release(vm);
	if (text != NULL)
		vmm_stats_write(options, text);
	free(text);
}

bool vmm_vm_end(struct vmm_vm *vm, int status)
{
	int running = VMM_STATUS_RUNNING;

	if (!__atomic_compare_exchange_n(&vm->status, &running, status, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return false;
	eventfd_write(vm->ended, 1);
	return true;
}

bool vmm_vm_ended(const struct vmm_vm *vm)
{
	return __atomic_load_n(&vm->status, __ATOMIC_ACQUIRE) != VMM_STATUS_RUNNING;
}

uint32_t vmm_vm_moments(const struct vmm_vm *vm)
{
	uint32_t sum = 0, now = 0;

	for (unsigned i = 0; i < vm->groups; i++) {
		uint32_t one = vmm_pager_moments(vm->group[i]->pager);

		sum += one;
		now |= one & 1;
	}
	return sum << 1 | now;
}
