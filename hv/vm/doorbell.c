// SPDX-License-Identifier: BSD-2-Clause
/* doorbell.c: a write to this VM's doorbell register becomes a peer's eventfd. */
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
_Static_assert(IST_V1_DOORBELL == IST_V2_DOORBELL, "one place in either personality");

/* Where KVM refuses (its bus is full), the function does it. */
static void attach_peer(struct vmm_group *group, uint32_t id)
{
	struct vmm_bells *bells = &group->peer[id];

	if (!group->attached || group->registers == VMM_BUS_NOWHERE)
		return;
	for (uint32_t vector = 0; vector < bells->vectors; vector++) {
		struct vmm_bell *bell = &bells->bell[vector];

		bell->kernel = set_ioeventfd(group, id, vector, bell->fd, 0) == 0;
	}
}

static void detach_peer(struct vmm_group *group, uint32_t id)
{
	struct vmm_bells *bells = &group->peer[id];

	for (uint32_t vector = 0; vector < bells->vectors; vector++) {
		struct vmm_bell *bell = &bells->bell[vector];

		if (bell->kernel)
			set_ioeventfd(group, id, vector, bell->fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
		bell->kernel = false;
	}
}

static void remove_peer(struct vmm_group *group, uint32_t id)
{
	struct vmm_bells *bells = &group->peer[id];

	detach_peer(group, id);
	for (uint32_t vector = 0; vector < bells->vectors; vector++)
		close(bells->bell[vector].fd);
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
	attach_peer(group, peer->id);
	pthread_mutex_unlock(&group->lock);
	if (peer->pager >= 0)
		vmm_pager_peer(group->pager, peer->id, peer->incarnation, peer->pager);
}

static void on_gone(void *context, uint32_t id, uint32_t incarnation, uint32_t state)
{
	struct vmm_group *group = context;

	(void)state; /* the roster tells the guest */
	pthread_mutex_lock(&group->lock);
	if (group->peer[id].incarnation == incarnation)
		remove_peer(group, id);
	pthread_mutex_unlock(&group->lock);
	vmm_pager_gone(group->pager, id, incarnation);
}

const struct ivshm_client_ops vmm_doorbell_client_ops = {on_peer, on_gone};

/* ---- The function tells ---- */

void vmm_doorbell_attach(struct vmm_group *group)
{
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		attach_peer(group, id);
}

void vmm_doorbell_move(struct vmm_group *group, uint64_t registers)
{
	if (registers == group->registers)
		return;
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		detach_peer(group, id);
	group->registers = registers;
	vmm_doorbell_attach(group);
}

static bool ring(const struct vmm_group *group, uint32_t peer, uint32_t vector)
{
	return peer < IST_PEERS_MAX && vector < group->peer[peer].vectors &&
	       eventfd_write(group->peer[peer].bell[vector].fd, 1) == 0;
}

void vmm_doorbell_ring(struct vmm_group *group, uint32_t peer, uint32_t vector)
{
	if (ring(group, peer, vector))
		group->doorbells_user++;
}

void vmm_doorbell_ring_others(struct vmm_group *group)
{
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		if (id != group->client.id)
			ring(group, id, IST_VECTOR_ROSTER);
}

void vmm_doorbell_close(struct vmm_group *group)
{
	/* The VM is gone, and its ioeventfds with it. */
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++) {
		for (uint32_t vector = 0; vector < IST_VECTORS_MAX; vector++)
			group->peer[id].bell[vector].kernel = false;
		remove_peer(group, id);
	}
}
