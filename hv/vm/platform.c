// SPDX-License-Identifier: BSD-2-Clause
/*
 * platform.c: COM1, power-off and reset. Output is gathered to lines: the vCPU that ends one writes
 * it, and waits while nobody takes it; what stays without an end, the main thread writes soon.
 */
#include "platform.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "acpi.h"
#include "vm.h"

#define COM1 0x3f8u
#define COM1_PIN 4u
#define GATHER_NS 10000000         /* 10 ms */
#define PIECE 1024u                /* less than PIPE_BUF */
#define KVM_PAGES_AT 0xfffbc000ull /* four: where nothing else can be */
#define LAST_WORDS_MS 1000         /* so long a full pipe may delay the end */

/* ---- Output ---- */

/* With the lock. */
static void arm(struct vmm_platform *platform)
{
	const struct itimerspec soon = {.it_value.tv_nsec = GATHER_NS};

	if (!platform->armed && timerfd_settime(platform->timer, 0, &soon, NULL) == 0)
		platform->armed = true;
}

/*
 * Writes all output there is, in order, waiting up to patience_ms (-1: until the VM ends) for room.
 * What is not written stays. A pipe that has room takes PIECE bytes without blocking.
 */
static void drain(struct vmm_platform *platform, int patience_ms)
{
	struct pollfd console = {.fd = platform->vm->options->console, .events = POLLOUT};
	uint8_t piece[PIECE];
	ssize_t written;
	size_t size;

	do {
		pthread_mutex_lock(&platform->lock);
		size = platform->serial.sent;
		size = size < sizeof(piece) ? size : sizeof(piece);
		memcpy(piece, platform->serial.output, size);
		pthread_mutex_unlock(&platform->lock);
		if (size == 0 || (patience_ms < 0 && vmm_vm_ended(platform->vm)))
			return;
		written = poll(&console, 1, patience_ms);
		if (written == 0)
			return;
		if (written > 0)
			written = write(console.fd, piece, size);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			written = (ssize_t)size; /* nobody reads it any more */
		pthread_mutex_lock(&platform->lock);
		if (written > 0)
			vmm_serial_take(&platform->serial, (size_t)written);
		pthread_mutex_unlock(&platform->lock);
	} while (true);
}

void vmm_platform_output(struct vmm_platform *platform)
{
	uint64_t expirations;
	ssize_t got = read(platform->timer, &expirations, sizeof(expirations));

	(void)got;
	/* Whoever writes now may have looked too early. */
	if (pthread_mutex_trylock(&platform->writing) == 0) {
		drain(platform, 0);
		pthread_mutex_unlock(&platform->writing);
	}
	pthread_mutex_lock(&platform->lock);
	platform->armed = false;
	if (platform->serial.sent != 0)
		arm(platform);
	pthread_mutex_unlock(&platform->lock);
}

/* ---- Input ---- */

/* With the lock. */
static void watch_input(struct vmm_platform *platform, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = VMM_EVENT_INPUT};

	/* Out of the set: its end would be told again and again otherwise. */
	epoll_ctl(platform->vm->events, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, STDIN_FILENO, &event);
	platform->paused = !on;
}

void vmm_platform_input(struct vmm_platform *platform)
{
	struct vmm_serial *serial = &platform->serial;
	uint8_t bytes[VMM_SERIAL_INPUT];
	unsigned room;
	ssize_t got;

	/* Reading does not block: there is some. The lock keeps the room. */
	pthread_mutex_lock(&platform->lock);
	room = vmm_serial_room(serial);
	got = room != 0 ? read(STDIN_FILENO, bytes, room) : 0;
	if (room != 0 && (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))) {
		epoll_ctl(platform->vm->events, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	} else if (got > 0) {
		bool before = vmm_serial_interrupt(serial);

		vmm_serial_receive(serial, bytes, (unsigned)got);
		if (!before && vmm_serial_interrupt(serial))
			eventfd_write(platform->interrupt, 1);
	}
	if (vmm_serial_room(serial) == 0)
		watch_input(platform, false);
	pthread_mutex_unlock(&platform->lock);
}

/* ---- Ports ---- */

static void read_serial(void *context, uint64_t offset, unsigned size, uint8_t *data)
{
	struct vmm_platform *platform = context;

	pthread_mutex_lock(&platform->lock);
	for (unsigned i = 0; i < size; i++)
		data[i] = vmm_serial_read(&platform->serial, (unsigned)offset + i);
	if (platform->paused && vmm_serial_room(&platform->serial) != 0)
		watch_input(platform, true);
	pthread_mutex_unlock(&platform->lock);
}

static void write_serial(void *context, uint64_t offset, unsigned size, const uint8_t *data)
{
	struct vmm_platform *platform = context;
	struct vmm_serial *serial = &platform->serial;
	bool before, write_now;

	pthread_mutex_lock(&platform->lock);
	before = vmm_serial_interrupt(serial);
	for (unsigned i = 0; i < size; i++)
		vmm_serial_write(serial, (unsigned)offset + i, data[i]);
	if (!before && vmm_serial_interrupt(serial))
		eventfd_write(platform->interrupt, 1);
	write_now = serial->sent == sizeof(serial->output) ||
		    (serial->sent != 0 && serial->output[serial->sent - 1] == '\n');
	if (!write_now && serial->sent != 0)
		arm(platform);
	pthread_mutex_unlock(&platform->lock);
	if (write_now) {
		pthread_mutex_lock(&platform->writing);
		drain(platform, -1);
		pthread_mutex_unlock(&platform->writing);
	}
}

static void read_power(void *context, uint64_t offset, unsigned size, uint8_t *data)
{
	(void)context, (void)offset;
	memset(data, 0, size);
}

static void write_power(void *context, uint64_t offset, unsigned size, const uint8_t *data)
{
	struct vmm_platform *platform = context;
	uint64_t port = VMM_PORT_SLEEP_CONTROL + offset;

	if (size != 1)
		return;
	if (port == VMM_PORT_SLEEP_CONTROL && data[0] == VMM_SLEEP_OFF)
		vmm_vm_end(platform->vm, 0);
	else if (port == VMM_PORT_RESET && data[0] == VMM_RESET_VALUE)
		vmm_vm_end(platform->vm, VMM_STATUS_RESET);
}

static const struct vmm_claim_ops serial_ops = {read_serial, write_serial};
static const struct vmm_claim_ops power_ops = {read_power, write_power};

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

void vmm_platform_init(struct vmm_platform *platform, struct vmm_vm *vm)
{
	*platform = (struct vmm_platform){.vm = vm, .interrupt = -1, .timer = -1};
	pthread_mutex_init(&platform->lock, NULL);
	pthread_mutex_init(&platform->writing, NULL);
	vmm_serial_init(&platform->serial);
}

int vmm_platform_start(struct vmm_platform *platform, struct vmm_error *error)
{
	struct epoll_event input = {.events = EPOLLIN, .data.u32 = VMM_EVENT_INPUT};
	struct epoll_event output = {.events = EPOLLIN, .data.u32 = VMM_EVENT_OUTPUT};
	struct vmm_vm *vm = platform->vm;
	int result = prepare_kvm(vm, error);

	if (result != 0)
		return result;
	vmm_bus_claim(&vm->ports, COM1, VMM_SERIAL_REGISTERS, &serial_ops, platform);
	vmm_bus_claim(&vm->ports, VMM_PORT_SLEEP_CONTROL,
		      VMM_PORT_RESET + 1 - VMM_PORT_SLEEP_CONTROL, &power_ops, platform);
	platform->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	platform->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	/* A file or /dev/null cannot be watched: then there is no input. */
	if (platform->interrupt < 0 || platform->timer < 0 ||
	    epoll_ctl(vm->events, EPOLL_CTL_ADD, platform->timer, &output) != 0 ||
	    (epoll_ctl(vm->events, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0 && errno != EPERM &&
	     errno != EBADF))
		return vmm_fail(error, errno, "cannot watch for events: %m");
	return vmm_irq_attach(&vm->irqs, platform->interrupt, COM1_PIN, error);
}

void vmm_platform_fini(struct vmm_platform *platform)
{
	drain(platform, LAST_WORDS_MS);
	if (platform->timer >= 0)
		close(platform->timer);
	if (platform->interrupt >= 0)
		close(platform->interrupt);
	pthread_mutex_destroy(&platform->writing);
	pthread_mutex_destroy(&platform->lock);
}
