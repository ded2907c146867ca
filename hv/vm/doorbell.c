// SPDX-License-Identifier: BSD-2-Clause
/* doorbell.c: a register write becomes a peer's eventfd; this VM's eventfds become interrupts. */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "group.h"

/* KVM rings (peer, vector) by itself from now on, or no longer. */
static int set_ioeventfd(const struct vmm_group *group, uint32_t peer, uint32_t vector, int fd,
			 uint32_t flags)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = IST_DOORBELL(peer, vector),
		.addr = group->registers + IST_V1_DOORBELL,
		.len = 4,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
	};

	return ioctl(group->vm, KVM_IOEVENTFD, &ioeventfd);
}

/* Where KVM refuses (its bus is full), vmm_doorbell_ops does it. */
static void attach_peer(struct vmm_group *group, uint32_t id)
{
	struct vmm_bells *bells = &group->peer[id];

	for (uint32_t vector = 0; vector < bells->vectors; vector++) {
		struct vmm_bell *bell = &bells->bell[vector];

		bell->kernel = set_ioeventfd(group, id, vector, bell->fd, 0) == 0;
	}
}

static void remove_peer(struct vmm_group *group, uint32_t id)
{
	struct vmm_bells *bells = &group->peer[id];

	for (uint32_t vector = 0; vector < bells->vectors; vector++) {
		struct vmm_bell *bell = &bells->bell[vector];

		if (bell->kernel && group->attached)
			set_ioeventfd(group, id, vector, bell->fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
		close(bell->fd);
	}
	bells->vectors = 0;
}

/* ---- The broker tells (main thread) ---- */

static void on_peer(void *context, const struct ivshm_client_peer *peer)
{
	struct vmm_group *group = context;
	struct vmm_bells *bells = &group->peer[peer->id];

	pthread_mutex_lock(&group->lock);
	remove_peer(group, peer->id);
	bells->incarnation = peer->incarnation;
	bells->vectors = peer->vectors;
	for (uint32_t vector = 0; vector < peer->vectors; vector++)
		bells->bell[vector] = (struct vmm_bell){.fd = peer->fds[vector]};
	if (group->attached)
		attach_peer(group, peer->id);
	pthread_mutex_unlock(&group->lock);
}

static void on_gone(void *context, uint32_t id, uint32_t incarnation, uint32_t state)
{
	struct vmm_group *group = context;

	(void)state; /* the roster tells the guest */
	pthread_mutex_lock(&group->lock);
	if (group->peer[id].incarnation == incarnation)
		remove_peer(group, id);
	pthread_mutex_unlock(&group->lock);
}

const struct ivshm_client_ops vmm_doorbell_client_ops = {on_peer, on_gone};

/* ---- The guest's register page (vCPU threads) ---- */

static void registers_read(void *context, uint64_t offset, unsigned size, uint8_t *data)
{
	struct vmm_group *group = context;
	uint64_t value;

	pthread_mutex_lock(&group->lock);
	value = ivshm_v1_read(&group->device, offset, size);
	pthread_mutex_unlock(&group->lock);
	memcpy(data, &value, size);
}

static void registers_write(void *context, uint64_t offset, unsigned size, const uint8_t *data)
{
	struct vmm_group *group = context;
	struct ivshm_v1_effect effect;
	uint64_t value = 0;

	memcpy(&value, data, size);
	pthread_mutex_lock(&group->lock);
	effect = ivshm_v1_write(&group->device, offset, size, value);
	if (effect.ring && effect.peer < IST_PEERS_MAX &&
	    effect.vector < group->peer[effect.peer].vectors &&
	    eventfd_write(group->peer[effect.peer].bell[effect.vector].fd, 1) == 0)
		group->doorbells_user++;
	pthread_mutex_unlock(&group->lock);
}

const struct vmm_claim_ops vmm_doorbell_ops = {registers_read, registers_write};

/* ---- Start and end ---- */

void vmm_doorbell_route(struct vmm_group *group)
{
	for (uint32_t vector = 0; vector < group->client.vectors; vector++)
		group->gsi[vector] =
			vmm_irq_add_msi(group->irqs, IST_BOOT_INTERRUPT(group->index, vector));
}

int vmm_doorbell_attach(struct vmm_group *group, struct vmm_error *error)
{
	const struct vmm_bells *own = &group->peer[group->client.id];
	int result = 0;

	for (uint32_t vector = 0; result == 0 && vector < own->vectors; vector++)
		result = vmm_irq_attach(group->irqs, own->bell[vector].fd, group->gsi[vector],
					error);
	if (result != 0)
		return result;
	group->attached = true;
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		attach_peer(group, id);
	return 0;
}

void vmm_doorbell_close(struct vmm_group *group)
{
	group->attached = false; /* the VM is gone, and its ioeventfds with it */
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		remove_peer(group, id);
}
