// SPDX-License-Identifier: BSD-2-Clause
/*
 * platform.c: COM1, power-off and reset. Output is gathered to lines: the vCPU that ends one writes
 * it, and waits while nobody takes it; what stays without an end, the main thread writes soon.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "vm.h"

#define COM1_PIN 4u
#define GATHER_NS 10000000         /* 10 ms */
#define PIECE 1024u                /* less than PIPE_BUF */
#define KVM_PAGES_AT 0xfffbc000ull /* four: where nothing else can be */
#define LAST_WORDS_MS 1000         /* so long a full pipe may delay the end */

/* ---- Output ---- */

static void arm(struct vmm_platform *platform)
{
	const struct itimerspec soon = {.it_value.tv_nsec = GATHER_NS};

	if (!platform->armed && timerfd_settime(platform->timer, 0, &soon, NULL) == 0)
		platform->armed = true;
}

/*
 * Writes all output there is, in order, waiting up to patience_ms (-1: until the VM ends) for room.
 * What is not written stays. A pipe that has room takes PIECE bytes without blocking. The VM's lock
 * is let go of meanwhile.
 */
static void drain(struct vmm_vm *vm, int patience_ms)
{
	struct vmm_serial *serial = &vm->platform.serial;
	int console = vm->options->console;

	while (serial->sent != 0 && (patience_ms >= 0 || !vmm_vm_ended(vm))) {
		size_t size = serial->sent < PIECE ? serial->sent : PIECE;
		uint8_t piece[PIECE];
		ssize_t written;
		int ready;

		memcpy(piece, serial->output, size);
		pthread_mutex_unlock(&vm->lock);
		ready = vmm_console_wait(vm, patience_ms);
		written = ready > 0 ? write(console, piece, size) : ready;
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			written = (ssize_t)size; /* nobody reads it any more */
		pthread_mutex_lock(&vm->lock);
		if (written > 0)
			vmm_serial_take(serial, (size_t)written);
		if (ready == 0)
			break;
	}
}

void vmm_platform_output(struct vmm_vm *vm)
{
	struct vmm_platform *platform = &vm->platform;
	eventfd_t expirations;

	eventfd_read(platform->timer, &expirations); /* a timerfd is read likewise */
	/* Whoever writes now may have looked too early. */
	if (pthread_mutex_trylock(&platform->writing) == 0) {
		drain(vm, 0);
		pthread_mutex_unlock(&platform->writing);
	}
	platform->armed = false;
	if (platform->serial.sent != 0)
		arm(platform);
}

/* ---- Input ---- */

/* Out of the set: its end would be told again and again otherwise. */
static void watch_input(struct vmm_vm *vm, bool on)
{
	if (on)
		vmm_vm_watch(vm, STDIN_FILENO, VMM_EVENT_INPUT);
	else
		epoll_ctl(vm->events, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	vm->platform.paused = !on;
}

void vmm_platform_input(struct vmm_vm *vm)
{
	struct vmm_serial *serial = &vm->platform.serial;
	bool before = vmm_serial_interrupt(serial);
	unsigned room = vmm_serial_room(serial);
	uint8_t bytes[VMM_SERIAL_INPUT];
	/* Reading does not block: there is some. */
	ssize_t got = room != 0 ? read(STDIN_FILENO, bytes, room) : 0;

	if (room != 0 && (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)))
		epoll_ctl(vm->events, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	if (got > 0)
		vmm_serial_receive(serial, bytes, (unsigned)got);
	if (!before && vmm_serial_interrupt(serial))
		eventfd_write(vm->platform.interrupt, 1);
	if (vmm_serial_room(serial) == 0)
		watch_input(vm, false);
}

/* ---- Ports ---- */

void vmm_platform_serial(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data,
			 bool write)
{
	struct vmm_platform *platform = &vm->platform;
	struct vmm_serial *serial = &platform->serial;
	bool before = vmm_serial_interrupt(serial);

	for (unsigned i = 0; i < size; i++)
		if (write)
			vmm_serial_write(serial, offset + i, data[i]);
		else
			data[i] = vmm_serial_read(serial, offset + i);
	if (!before && vmm_serial_interrupt(serial))
		eventfd_write(platform->interrupt, 1);
	if (platform->paused && vmm_serial_room(serial) != 0)
		watch_input(vm, true);
	if (!write || serial->sent == 0)
		return;
	if (serial->sent < sizeof(serial->output) && serial->output[serial->sent - 1] != '\n') {
		arm(platform);
		return;
	}
	pthread_mutex_unlock(&vm->lock);
	pthread_mutex_lock(&platform->writing);
	pthread_mutex_lock(&vm->lock);
	drain(vm, -1);
	pthread_mutex_unlock(&platform->writing);
}

void vmm_platform_power(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data,
			bool write)
{
	unsigned port = VMM_PORT_SLEEP_CONTROL + offset;

	if (!write)
		memset(data, 0, size);
	else if (size == 1 && port == VMM_PORT_SLEEP_CONTROL && data[0] == VMM_SLEEP_OFF)
		vmm_vm_end(vm, 0);
	else if (size == 1 && port == VMM_PORT_RESET && data[0] == VMM_RESET_VALUE)
		vmm_vm_end(vm, VMM_STATUS_RESET);
}

/* ---- Life ---- */

/* What KVM needs to know before there are vCPUs. */
static int prepare_kvm(const struct vmm_vm *vm, struct vmm_error *error)
{
	uint64_t identity = KVM_PAGES_AT;
	/* The PICs, which nobody initializes, are not heard: vCPU 0's LINT0 stays masked. */
	struct kvm_enable_cap quirks = {
		.cap = KVM_CAP_DISABLE_QUIRKS,
		.args = {KVM_X86_QUIRK_LINT0_REENABLED},
	};

	/* For code without paging on processors that cannot run it. */
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) != 0 ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, KVM_PAGES_AT + IST_PAGE) != 0)
		return vmm_fail(error, errno, "KVM refuses its own pages: %m");
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &quirks) != 0)
		return vmm_fail(error, errno, "KVM cannot keep LINT0 masked: %m");
	return 0;
}

void vmm_platform_init(struct vmm_platform *platform)
{
	*platform = (struct vmm_platform){
		.interrupt = -1, .timer = -1, .writing = PTHREAD_MUTEX_INITIALIZER};
	vmm_serial_init(&platform->serial);
}

int vmm_platform_start(struct vmm_vm *vm, struct vmm_error *error)
{
	struct vmm_platform *platform = &vm->platform;
	int result = prepare_kvm(vm, error);

	if (result != 0)
		return result;
	platform->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	platform->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	/* A file or /dev/null cannot be watched: then there is no input. */
	if (platform->interrupt < 0 || platform->timer < 0 ||
	    vmm_vm_watch(vm, platform->timer, VMM_EVENT_OUTPUT) != 0 ||
	    (vmm_vm_watch(vm, STDIN_FILENO, VMM_EVENT_INPUT) != 0 && errno != EPERM &&
	     errno != EBADF))
		return vmm_fail(error, errno, "cannot watch for events: %m");
	return vmm_irq_wire(&vm->irqs, platform->interrupt, COM1_PIN, true, error);
}

void vmm_platform_fini(struct vmm_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	drain(vm, LAST_WORDS_MS);
	pthread_mutex_unlock(&vm->lock);
	if (vm->platform.timer >= 0)
		close(vm->platform.timer);
	if (vm->platform.interrupt >= 0)
		close(vm->platform.interrupt);
}
