// SPDX-License-Identifier: BSD-2-Clause
/*
 * vector.c: this VM's eventfds become interrupts. While the device lets a vector through, its
 * eventfd is an irqfd; while it does not, nobody listens and the eventfd keeps what comes. KVM
 * looks at an eventfd when it takes it, so that nothing is lost in between. One-shot interrupts
 * change the device with each delivery: those go through the main thread, as do those that come too
 * often (limit.c).
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "vm.h"

#define APP_MSI_ADDRESS 0xfee00000u /* vCPU 0 */

static int own_fd(const struct vmm_group *group, uint32_t vector)
{
	return group->peer[group->client.id].fds[vector];
}

static enum vmm_way way_now(const struct vmm_group *group, uint32_t vector, uint64_t *address,
			    uint32_t *data)
{
	if (!group->attached)
		return VMM_WAY_WAIT;
	if (group->vm->options->kernel == NULL) {
		*address = APP_MSI_ADDRESS;
		*data = IST_BOOT_INTERRUPT(group->index, vector);
		return group->vector[vector].paced ? VMM_WAY_PACED : VMM_WAY_KERNEL;
	}
	if (!ivshm_device_vector(&group->device, vector, address, data))
		return VMM_WAY_WAIT;
	if (ivshm_device_one_shot(&group->device))
		return VMM_WAY_WATCH;
	return group->vector[vector].paced ? VMM_WAY_PACED : VMM_WAY_KERNEL;
}

/* The rings so far, 0: none. Others hold the eventfd too: it may be empty again, or blocking. */
static uint64_t take(int eventfd)
{
	uint64_t rings;
	struct iovec vector = {&rings, sizeof(rings)};

	return preadv2(eventfd, &vector, 1, -1, RWF_NOWAIT) == (ssize_t)sizeof(rings) ? rings : 0;
}

/* From one way to another, through waiting. */
static int set_way(struct vmm_group *group, uint32_t vector, enum vmm_way way,
		   struct vmm_error *error)
{
	struct vmm_vector *own = &group->vector[vector];
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = vector};
	int fd = own_fd(group, vector), result = 0;

	if (way == own->way)
		return 0;
	if (own->way == VMM_WAY_KERNEL)
		result = vmm_irq_wire(&group->vm->irqs, fd, own->gsi, false, error);
	else if (own->way == VMM_WAY_WATCH)
		epoll_ctl(group->watch, EPOLL_CTL_DEL, fd, NULL);
	if (result != 0)
		return result;
	own->way = VMM_WAY_WAIT;
	if (way == VMM_WAY_KERNEL)
		result = vmm_irq_wire(&group->vm->irqs, fd, own->gsi, true, error);
	else if (way == VMM_WAY_WATCH && epoll_ctl(group->watch, EPOLL_CTL_ADD, fd, &event) != 0)
		result = vmm_fail(error, errno, "cannot watch a doorbell: %m");
	if (result == 0)
		own->way = way;
	return result;
}

int vmm_vectors_update(struct vmm_group *group, struct vmm_error *error)
{
	const uint32_t vectors = group->client.vectors;
	enum vmm_way way[IST_VECTORS_MAX];
	int result = 0, one;

	/* Whose message changes while its way stays the kernel's gets the new one by its route. */
	for (uint32_t i = 0; i < vectors; i++) {
		uint64_t address;
		uint32_t data;

		way[i] = way_now(group, i, &address, &data);
		if (way[i] == VMM_WAY_KERNEL)
			vmm_irq_route(&group->vm->irqs, group->vector[i].gsi, address, data);
	}
	result = vmm_irq_commit(&group->vm->irqs, error);
	for (uint32_t i = 0; i < vectors; i++) {
		one = set_way(group, i, result == 0 ? way[i] : VMM_WAY_WAIT, error);
		result = result != 0 ? result : one;
	}
	return result;
}

uint64_t vmm_vectors_pending(struct vmm_group *group)
{
	struct pollfd events[IST_VECTORS_MAX];
	uint64_t pending = 0;

	for (uint32_t i = 0; i < group->client.vectors; i++)
		events[i] = (struct pollfd){.fd = own_fd(group, i), .events = POLLIN};
	if (poll(events, group->client.vectors, 0) <= 0)
		return 0;
	/* KVM does not read what it found when it took an eventfd: that has been delivered. */
	for (uint32_t i = 0; i < group->client.vectors; i++)
		if (group->vector[i].way == VMM_WAY_WAIT && (events[i].revents & POLLIN))
			pending |= 1ull << i;
	return pending;
}

void vmm_vectors_serve(struct vmm_group *group)
{
	struct epoll_event event[IST_VECTORS_MAX];
	int count = epoll_wait(group->watch, event, IST_VECTORS_MAX, 0);

	for (int i = 0; i < count; i++) {
		uint32_t vector = event[i].data.u32, data;
		uint64_t address;

		/* The guest may have closed it since, and the delivery before this one does. */
		if (group->vector[vector].way != VMM_WAY_WATCH ||
		    way_now(group, vector, &address, &data) != VMM_WAY_WATCH ||
		    take(own_fd(group, vector)) == 0)
			continue;
		vmm_irq_send(&group->vm->irqs, address, data);
		vmm_function_effect(group, ivshm_device_delivered(&group->device));
	}
}

int vmm_vector_pace(struct vmm_group *group, uint32_t vector, bool paced)
{
	struct vmm_error error;
	int result;

	group->vector[vector].paced = paced;
	result = vmm_vectors_update(group, &error);
	if (result == 0)
		return 0;
	vmm_group_complain(group, error.text);
	/* What KVM does not take is delivered here; what it does not let go of it goes on with. */
	group->vector[vector].paced = group->vector[vector].way != VMM_WAY_KERNEL;
	vmm_vectors_update(group, &error);
	return result;
}

uint64_t vmm_vector_deliver(struct vmm_group *group, uint32_t vector)
{
	uint64_t address, rings;
	uint32_t data;

	if (group->vector[vector].way != VMM_WAY_PACED ||
	    way_now(group, vector, &address, &data) != VMM_WAY_PACED)
		return 0;
	rings = take(own_fd(group, vector));
	if (rings != 0)
		vmm_irq_send(&group->vm->irqs, address, data);
	return rings;
}
