/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pci_machine.h: a Linux VM's memory, buses, interrupts and PCI functions without a processor: KVM
 * is a model of it behind ioctl(), the test does what a guest and its vCPU threads would.
 *
 * The machine is "right" in one or two groups like that of broker_fixture.h. Include it once.
 */
#ifndef TESTS_PCI_MACHINE_H
#define TESTS_PCI_MACHINE_H

#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "hv/vm.h"
#include "tests/broker_fixture.h"

#define MODEL_FD 1000000 /* no descriptor of this process */
#define MODEL_SLOTS 512u
#define MODEL_WIRES 512u
#define MODEL_ADDRESS_BITS 46
#define RAM_SIZE (64ull << 20)
#define GROUP_SIZE 0x20000u /* of the fixture's group, and offsets in it */
#define SHARED 0x5000u
#define TABLE 0x15000u
#define OUTPUT 0x17000u
#define RIGHT 1u

/* ---- KVM ------------------------------------------------------------------------------------- */

static struct {
	struct kvm_userspace_memory_region slot[MODEL_SLOTS];
	struct kvm_ioeventfd bell[MODEL_WIRES];
	struct {
		struct kvm_irqfd irqfd;
		bool there;
		uint64_t stale; /* found when it was attached, and not read */
	} wire[MODEL_WIRES];
	struct kvm_irq_routing_entry route[256];
	unsigned bells, routes;
	unsigned changes;   /* of slots */
	unsigned commits;   /* of routes */
	unsigned countdown; /* this call fails; 0: none does */
	bool fired;
	unsigned injected;
	struct {
		uint64_t address;
		uint32_t data;
	} message[64]; /* the last ones injected */
} kvm;

static pthread_mutex_t kvm_lock = PTHREAD_MUTEX_INITIALIZER;

static void inject(uint64_t address, uint32_t data)
{
	kvm.message[kvm.injected % 64].address = address;
	kvm.message[kvm.injected++ % 64].data = data;
}

static void inject_gsi(uint32_t gsi)
{
	for (unsigned i = 0; i < kvm.routes; i++) {
		const struct kvm_irq_routing_entry *route = &kvm.route[i];

		if (route->gsi == gsi && route->type == KVM_IRQ_ROUTING_MSI)
			inject((uint64_t)route->u.msi.address_hi << 32 | route->u.msi.address_lo,
			       route->u.msi.data);
	}
}

/* What irqfds do by themselves. */
static void kvm_run_wire(unsigned i)
{
	uint64_t count = kvm.wire[i].there ? rings((int)kvm.wire[i].irqfd.fd) : 0;

	if (count > kvm.wire[i].stale)
		inject_gsi(kvm.wire[i].irqfd.gsi);
	if (count != 0)
		kvm.wire[i].stale = 0;
}

static void kvm_run(void)
{
	for (unsigned i = 0; i < MODEL_WIRES; i++)
		kvm_run_wire(i);
}

static int set_slot(const struct kvm_userspace_memory_region *region)
{
	uint64_t start = region->guest_phys_addr, end = start + region->memory_size;

	must(region->slot < MODEL_SLOTS);
	kvm.changes++;
	if (region->memory_size == 0) {
		if (kvm.slot[region->slot].memory_size == 0)
			return EINVAL;
		kvm.slot[region->slot].memory_size = 0;
		return 0;
	}
	must(kvm.slot[region->slot].memory_size == 0); /* a move keeps old flags: never done */
	if ((start | end) % 4096 != 0 || end < start || end > 1ull << MODEL_ADDRESS_BITS)
		return EINVAL;
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct kvm_userspace_memory_region *other = &kvm.slot[i];

		if (other->memory_size != 0 &&
		    start < other->guest_phys_addr + other->memory_size &&
		    other->guest_phys_addr < end)
			return EEXIST;
	}
	kvm.slot[region->slot] = *region;
	return 0;
}

static int set_bell(const struct kvm_ioeventfd *bell)
{
	must(bell->len == 4 && (bell->flags & KVM_IOEVENTFD_FLAG_DATAMATCH));
	for (unsigned i = 0; i < kvm.bells; i++) {
		const struct kvm_ioeventfd *other = &kvm.bell[i];

		if (other->addr != bell->addr || other->datamatch != bell->datamatch)
			continue;
		if (!(bell->flags & KVM_IOEVENTFD_FLAG_DEASSIGN))
			return EEXIST;
		if (other->fd != bell->fd)
			continue; /* KVM compares these too */
		kvm.bell[i] = kvm.bell[--kvm.bells];
		return 0;
	}
	if (bell->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		return ENOENT;
	must(kvm.bells < MODEL_WIRES);
	kvm.bell[kvm.bells++] = *bell;
	return 0;
}

static int set_wire(const struct kvm_irqfd *irqfd)
{
	unsigned at = 0;

	for (unsigned i = 0; i < MODEL_WIRES; i++) {
		if (!kvm.wire[i].there) {
			at = i;
		} else if (kvm.wire[i].irqfd.fd == irqfd->fd) {
			if (!(irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN))
				return EBUSY;
			must(kvm.wire[i].irqfd.gsi == irqfd->gsi);
			kvm_run_wire(i); /* a wait queue's removal reads the counter, too */
			kvm.wire[i].there = false;
			return 0;
		}
	}
	must(!(irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN));
	kvm.wire[at].irqfd = *irqfd;
	kvm.wire[at].there = true;
	kvm.wire[at].stale = rings((int)irqfd->fd);
	if (kvm.wire[at].stale != 0) {
		inject_gsi(irqfd->gsi);
		eventfd_write((int)irqfd->fd, kvm.wire[at].stale);
	}
	return 0;
}

static int set_routes(const struct kvm_irq_routing *table)
{
	unsigned pins = 0;

	must(table->nr <= 256);
	for (unsigned i = 0; i < table->nr; i++)
		if (table->entries[i].type == KVM_IRQ_ROUTING_IRQCHIP &&
		    table->entries[i].u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC) {
			must(table->entries[i].gsi == table->entries[i].u.irqchip.pin);
			pins++;
		}
	must(pins == 24);
	kvm.commits++;
	kvm.routes = table->nr;
	memcpy(kvm.route, table->entries, table->nr * sizeof(table->entries[0]));
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (fd != MODEL_FD)
		return (int)syscall(SYS_ioctl, fd, request, argument);
	pthread_mutex_lock(&kvm_lock);
	errno = 0;
	if (kvm.countdown != 0 && --kvm.countdown == 0) {
		kvm.fired = true;
		errno = ENOMEM;
	} else if (request == KVM_SET_USER_MEMORY_REGION) {
		errno = set_slot(argument);
	} else if (request == KVM_IOEVENTFD) {
		errno = set_bell(argument);
	} else if (request == KVM_IRQFD) {
		errno = set_wire(argument);
	} else if (request == KVM_SET_GSI_ROUTING) {
		errno = set_routes(argument);
	} else if (request == KVM_SIGNAL_MSI) {
		const struct kvm_msi *msi = argument;

		inject((uint64_t)msi->address_hi << 32 | msi->address_lo, msi->data);
	} else {
		fprintf(stderr, "ioctl 0x%lx is not in the model\n", request);
		abort();
	}
	pthread_mutex_unlock(&kvm_lock);
	return errno != 0 ? -1 : 0;
}

/* ---- The machine ----------------------------------------------------------------------------- */

static struct fixture *fixture[2]; /* apart: gcc loses the bounds of strings in an array of them */

static struct machine {
	struct vmm_options options;
	struct vmm_error error;
	struct vmm_vm vm;
	struct raw left[2]; /* the peer "left" in each */
} m;

static int brokers_stop;
static bool machine_run_state; /* its groups have a run-state page */

static void *drive_brokers(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&brokers_stop, __ATOMIC_ACQUIRE)) {
		struct pollfd p[2];

		for (unsigned i = 0; i < 2; i++)
			p[i] = (struct pollfd){
				.fd = fixture[i] ? ivshm_broker_fd(fixture[i]->broker) : -1,
				.events = POLLIN};
		must(poll(p, 2, 1) >= 0);
		for (unsigned i = 0; i < 2; i++)
			if (p[i].revents)
				must(ivshm_broker_dispatch(fixture[i]->broker) == 0);
	}
	return NULL;
}

/* Its groups too, as vm.c does it. Returns 0, or the first error. */
static int machine_make(void)
{
	uint64_t next = VMM_PCI_WINDOW64_START;
	pthread_t brokers;
	int result;

	brokers_stop = 0;
	must(pthread_create(&brokers, NULL, drive_brokers, NULL) == 0);
	m.vm = (struct vmm_vm){.options = &m.options,
			       .fd = MODEL_FD,
			       .memory.vm = MODEL_FD,
			       .lock = PTHREAD_MUTEX_INITIALIZER};
	must(ivshm_bell_create(&m.vm.bell) == 0);
	vmm_irq_init(&m.vm.irqs, MODEL_FD);
	result = vmm_memory_add_ram(&m.vm.memory, &m.options, &m.error);
	for (; result == 0 && m.vm.groups < m.options.groups; m.vm.groups += result == 0)
		result = vmm_group_create(&m.vm, m.vm.groups, &next, &m.error,
					  &m.vm.group[m.vm.groups]);
	for (unsigned i = 0; result == 0 && i < m.vm.groups; i++)
		result = vmm_group_start(m.vm.group[i], &m.error);
	__atomic_store_n(&brokers_stop, 1, __ATOMIC_RELEASE);
	must(pthread_join(brokers, NULL) == 0);
	return result;
}

static void machine_unmake(void)
{
	for (unsigned i = 0; i < m.vm.groups; i++)
		vmm_group_destroy(m.vm.group[i]);
	vmm_memory_free_ram(&m.vm.memory);
	ivshm_bell_destroy(&m.vm.bell);
	memset(&kvm, 0, sizeof(kvm)); /* the VM goes with its descriptor */
	for (unsigned i = 0; i < 2; i++)
		if (fixture[i])
			fixture_settle(fixture[i]);
}

static void machine_configure(unsigned personality, unsigned groups)
{
	memset(&m, 0, sizeof(m));
	memset(&kvm, 0, sizeof(kvm));
	ivshm_log_level = IVSHM_LOG_ERROR;
	m.options = (struct vmm_options){.name = "right",
					 .kernel = "none",
					 .personality = personality,
					 .memory = RAM_SIZE,
					 .vcpus = 1,
					 .groups = groups};
	for (unsigned i = 0; i < groups; i++) {
		fixture[i] = calloc(1, sizeof(*fixture[i]));
		must(fixture[i]);
		fixture_configure(fixture[i]);
		fixture[i]->group.run_state = machine_run_state;
		must(fixture_serve(fixture[i]) == 0);
		strcpy(m.options.group[i].name, "ping");
		m.options.group[i].socket = fixture[i]->path;
		m.left[i] = raw_live(fixture[i], "left");
	}
}

static void machine_start(unsigned personality, unsigned groups)
{
	machine_configure(personality, groups);
	must(machine_make() == 0);
	kvm_run();
}

static void machine_stop(void)
{
	machine_unmake();
	for (unsigned i = 0; i < m.options.groups; i++) {
		raw_leave(fixture[i], &m.left[i]);
		fixture_stop(fixture[i]);
		free(fixture[i]);
		fixture[i] = NULL;
	}
}

/* ---- What a guest does ----------------------------------------------------------------------- */

static void out(uint16_t port, unsigned size, uint32_t value)
{
	vmm_exit_port(&m.vm, port, size, (uint8_t *)&value, true);
}

static uint32_t in(uint16_t port, unsigned size)
{
	uint32_t value = 0;

	vmm_exit_port(&m.vm, port, size, (uint8_t *)&value, false);
	return value;
}

static uint32_t config_read(unsigned device, uint32_t offset, unsigned size)
{
	out(0xcf8, 4, 0x80000000u | device << 11 | (offset & ~3u));
	return in((uint16_t)(0xcfc + (offset & 3)), size);
}

static void config_write(unsigned device, uint32_t offset, unsigned size, uint32_t value)
{
	out(0xcf8, 4, 0x80000000u | device << 11 | (offset & ~3u));
	out((uint16_t)(0xcfc + (offset & 3)), size, value);
}

static uint8_t *slot_at(uint64_t address, unsigned size, bool write)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct kvm_userspace_memory_region *slot = &kvm.slot[i];
		uint64_t offset = address - slot->guest_phys_addr;

		if (slot->memory_size != 0 && address >= slot->guest_phys_addr &&
		    offset + size <= slot->memory_size)
			return write && (slot->flags & KVM_MEM_READONLY)
				       ? NULL
				       : (uint8_t *)(uintptr_t)slot->userspace_addr + offset;
	}
	return NULL;
}

static uint64_t load(uint64_t address, unsigned size)
{
	const uint8_t *memory = slot_at(address, size, false);
	uint64_t value = 0;

	if (memory != NULL)
		memcpy(&value, memory, size);
	else
		vmm_exit_memory(&m.vm, address, size, (uint8_t *)&value, false);
	return value;
}

static void store(uint64_t address, unsigned size, uint64_t value)
{
	uint8_t *memory = slot_at(address, size, true);

	if (memory != NULL) {
		memcpy(memory, &value, size);
		return;
	}
	for (unsigned i = 0; i < kvm.bells; i++) {
		const struct kvm_ioeventfd *bell = &kvm.bell[i];

		if (bell->addr == address && size == 4 && bell->datamatch == (uint32_t)value) {
			must(eventfd_write(bell->fd, 1) == 0);
			return;
		}
	}
	vmm_exit_memory(&m.vm, address, size, (uint8_t *)&value, true);
}

static inline uint32_t capability(unsigned device, uint8_t id)
{
	uint32_t at = config_read(device, PCI_CAPABILITY_LIST, 1);

	while (at != 0 && config_read(device, at, 1) != id)
		at = config_read(device, at + 1, 1);
	must(at != 0);
	return at;
}

static inline uint64_t bar(unsigned device, unsigned number)
{
	uint64_t low = config_read(device, PCI_BASE_ADDRESS_0 + 4 * number, 4) & ~0xfu;

	if (number == IST_BAR_MEMORY)
		low |= (uint64_t)config_read(device, PCI_BASE_ADDRESS_3, 4) << 32;
	return low;
}

static void set_command(unsigned device, uint32_t command)
{
	config_write(device, PCI_COMMAND, 2, command);
}

/* As Linux does: decoding off meanwhile. */
static inline void move_memory(unsigned device, uint64_t base)
{
	uint32_t command = config_read(device, PCI_COMMAND, 2);

	set_command(device, command & ~(uint32_t)PCI_COMMAND_MEMORY);
	config_write(device, PCI_BASE_ADDRESS_2, 4, (uint32_t)base);
	config_write(device, PCI_BASE_ADDRESS_3, 4, (uint32_t)(base >> 32));
	set_command(device, command);
}

#endif
