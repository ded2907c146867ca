// SPDX-License-Identifier: BSD-2-Clause
/* vm.c: a virtual machine's life. */
#include "vm.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "image.h"

static int open_kvm(struct vmm_vm *vm, struct vmm_error *error)
{
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return vmm_fail(error, errno, "/dev/kvm: %m");
	if (ioctl(vm->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return vmm_fail(error, ENOTSUP, "/dev/kvm: not KVM's stable interface");
	do {
		vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	} while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0)
		return vmm_fail(error, errno, "KVM refuses a VM: %m");
	vm->memory.vm = vm->fd;
	vmm_irq_init(&vm->irqs, vm->fd);
	return 0;
}

int vmm_vm_watch(struct vmm_vm *vm, int fd, uint32_t what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

	return epoll_ctl(vm->events, EPOLL_CTL_ADD, fd, &event);
}

static int join_groups(struct vmm_vm *vm, struct vmm_error *error)
{
	uint64_t next = vm->options->kernel != NULL ? VMM_PCI_WINDOW64_START : VMM_GROUPS_START;

	while (vm->groups < vm->options->groups) {
		struct vmm_group **group = &vm->group[vm->groups];
		int result = vmm_group_create(vm, vm->groups, &next, error, group);

		if (result != 0)
			return result;
		vm->groups++;
		if ((*group)->watch >= 0 &&
		    vmm_vm_watch(vm, (*group)->watch, VMM_EVENT_VECTORS + (*group)->index) != 0)
			return vmm_fail(error, errno, "cannot watch for events: %m");
	}
	return 0;
}

static int create_vcpus(struct vmm_vm *vm, struct vmm_error *error)
{
	int result = 0;

	for (; result == 0 && vm->vcpus < vm->options->vcpus; vm->vcpus += result == 0)
		result = vmm_vcpu_create(&vm->vcpu[vm->vcpus], vm, vm->vcpus, error);
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
	result = ivshm_bell_create(&vm->bell);
	if (result != 0)
		return vmm_fail(error, -result, "asynchronous I/O (see fs.aio-max-nr): %s",
				strerror(-result));
	vm->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	vm->returns = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	vm->events = epoll_create1(EPOLL_CLOEXEC);
	if (vm->ended < 0 || vm->signals < 0 || vm->returns < 0 || vm->events < 0 ||
	    vmm_vm_watch(vm, vm->returns, VMM_EVENT_RETURN) != 0 ||
	    vmm_vm_watch(vm, vm->ended, VMM_EVENT_ENDED) != 0 ||
	    vmm_vm_watch(vm, vm->signals, VMM_EVENT_SIGNAL) != 0)
		result = vmm_fail(error, errno, "cannot watch for events: %m");
	return result;
}

/* No vCPU runs before all is there, and the brokers may show this peer as live. */
static int start(struct vmm_vm *vm, struct vmm_error *error)
{
	int result = 0;

	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; result == 0 && i < vm->groups; i++)
		result = vmm_group_start(vm->group[i], error);
	for (unsigned i = 0; result == 0 && i < vm->vcpus; i++)
		result = vmm_vcpu_start(&vm->vcpu[i], error);
	for (unsigned i = 0; result == 0 && i < vm->groups; i++) {
		struct ivshm_client *client = &vm->group[i]->client;

		if (vmm_run_state_tell(vm, vm->group[i]) != 0 || ivshm_client_ready(client) != 0 ||
		    vmm_vm_watch(vm, client->socket, i) != 0)
			result = vmm_fail(error, EPIPE, "the broker of group '%s' is gone",
					  client->group);
	}
	if (result != 0)
		vmm_vm_end(vm, VMM_STATUS_NOT_STARTED);
	pthread_mutex_unlock(&vm->lock);
	return result;
}

static void end_threads(struct vmm_vm *vm)
{
	vmm_vm_end(vm, VMM_STATUS_NOT_STARTED);
	for (unsigned i = 0; i < vm->vcpus; i++)
		vmm_vcpu_join(&vm->vcpu[i]);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Ends the threads, gives everything back. Groups are left last: their mappings are gone then. */
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
	close_fd(vm->returns);
	close_fd(vm->signals);
	close_fd(vm->ended);
	ivshm_bell_destroy(&vm->bell);
	vmm_platform_fini(vm);
}

int vmm_vm_init(struct vmm_vm *vm, const struct vmm_options *options, struct vmm_error *error)
{
	int result;

	memset(vm, 0, sizeof(*vm));
	vm->options = options;
	vm->started_ns = vmm_stats_now();
	vm->status = VMM_STATUS_RUNNING;
	vm->kvm = vm->fd = vm->ended = vm->signals = vm->returns = vm->events = -1;
	vm->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	vmm_platform_init(&vm->platform);
	result = open_events(vm, error);
	if (result == 0)
		result = open_kvm(vm, error);
	/* Slots come before the interrupt controllers: after them the first one costs 7 ms. */
	if (result == 0)
		result = vmm_memory_add_ram(&vm->memory, options, error);
	if (result == 0)
		result = join_groups(vm, error);
	if (result == 0 && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) != 0)
		result = vmm_fail(error, errno, "KVM refuses an interrupt controller: %m");
	if (result == 0 && options->kernel != NULL)
		result = vmm_platform_start(vm, error);
	if (result == 0)
		result = create_vcpus(vm, error);
	if (result == 0)
		result = options->kernel != NULL ? vmm_linux_load(vm, error)
						 : vmm_app_load(vm, error);
	if (result == 0)
		result = start(vm, error);
	if (result != 0)
		release(vm);
	return result;
}

/* ---- Running ---- */

static void on_signal(struct vmm_vm *vm)
{
	struct signalfd_siginfo information;

	if (read(vm->signals, &information, sizeof(information)) == sizeof(information))
		vmm_vm_end(vm, 128 + (int)information.ssi_signo);
}

static void on_event(struct vmm_vm *vm, uint32_t event)
{
	if (event < vm->groups)
		vmm_broker_serve(vm, vm->group[event]);
	else if (event == VMM_EVENT_RETURN)
		vmm_broker_return(vm);
	else if (event == VMM_EVENT_INPUT)
		vmm_platform_input(vm);
	else if (event == VMM_EVENT_OUTPUT)
		vmm_platform_output(vm);
	else if (event >= VMM_EVENT_VECTORS)
		vmm_vectors_serve(vm->group[event - VMM_EVENT_VECTORS]);
}

int vmm_vm_run(struct vmm_vm *vm)
{
	while (!vmm_vm_ended(vm)) {
		struct epoll_event event;

		if (epoll_wait(vm->events, &event, 1, -1) != 1)
			continue;
		/* Without the lock: whoever has it may be waiting for somebody to read stderr. */
		if (event.data.u32 == VMM_EVENT_SIGNAL) {
			on_signal(vm);
			continue;
		}
		if (event.data.u32 < vm->groups && event.events & EPOLLHUP)
			vmm_console_alone(vm, true);
		pthread_mutex_lock(&vm->lock);
		on_event(vm, event.data.u32);
		pthread_mutex_unlock(&vm->lock);
	}
	return __atomic_load_n(&vm->status, __ATOMIC_ACQUIRE);
}

void vmm_vm_fini(struct vmm_vm *vm)
{
	FILE *stats;

	end_threads(vm);
	stats = vm->options->stats != NULL ? vmm_stats_begin(vm) : NULL;
	release(vm);
	if (stats != NULL)
		vmm_stats_end(vm->options, stats);
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
		uint32_t one = coh_pager_moments(vm->group[i]->pager);

		sum += one;
		now |= one & 1;
	}
	return sum << 1 | now;
}

void vmm_vm_met(const struct vmm_vm *vm)
{
	for (unsigned i = 0; i < vm->groups; i++)
		coh_pager_met(vm->group[i]->pager);
}
