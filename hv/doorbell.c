// SPDX-License-Identifier: BSD-2-Clause
/* doorbell.c: a write to this VM's doorbell register becomes a peer's eventfd. */

#include "vm.h"

_Static_assert(IST_V1_DOORBELL == IST_V2_DOORBELL, "one place in either personality");

/*
 * KVM rings the peer's vectors by itself from now on, or no longer. Where it refuses (its bus is
 * full), the function rings; then there is nothing to take back.
 */
static void set_ioeventfds(const struct vmm_group *group, uint32_t id, uint32_t flags)
{
	const struct ivshm_client_peer *peer = &group->peer[id];

	if (!group->attached || group->registers == VMM_NOWHERE)
		return;
	for (uint32_t vector = 0; vector < peer->vectors; vector++) {
		struct kvm_ioeventfd ioeventfd = {
			.datamatch = IST_DOORBELL(id, vector),
			.addr = group->registers + IST_V1_DOORBELL,
			.len = 4,
			.fd = peer->fds[vector],
			.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
		};

		ioctl(group->vm->fd, KVM_IOEVENTFD, &ioeventfd);
	}
}

static void set_all(const struct vmm_group *group, uint32_t flags)
{
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		set_ioeventfds(group, id, flags);
}

static void remove_peer(struct vmm_group *group, uint32_t id)
{
	struct ivshm_client_peer *peer = &group->peer[id];

	set_ioeventfds(group, id, KVM_IOEVENTFD_FLAG_DEASSIGN);
	for (uint32_t vector = 0; vector < peer->vectors; vector++)
		close(peer->fds[vector]);
	peer->vectors = 0;
}

/* ---- The broker tells ---- */

static void on_peer(void *context, const struct ivshm_client_peer *peer)
{
	struct vmm_group *group = context;

	group->peer[peer->id] = *peer;
	set_ioeventfds(group, peer->id, 0);
	if (peer->pager >= 0)
		coh_pager_peer(group->pager, peer->id, peer->incarnation, peer->pager);
}

static void on_gone(void *context, uint32_t id, uint32_t incarnation, uint32_t state)
{
	struct vmm_group *group = context;

	(void)state; /* the roster tells the guest */
	remove_peer(group, id);
	coh_pager_gone(group->pager, id, incarnation);
}

static unsigned get_bells(void *context, uint32_t id, int out[IST_VECTORS_MAX + 1])
{
	const struct vmm_group *group = context;
	const struct ivshm_client_peer *peer = &group->peer[id];
	int pager = coh_pager_bell(group->pager, id);

	for (uint32_t vector = 0; vector < peer->vectors; vector++)
		out[vector] = peer->fds[vector];
	if (pager >= 0)
		out[peer->vectors] = pager;
	return peer->vectors + (pager >= 0);
}

const struct ivshm_client_ops vmm_doorbell_client_ops = {on_peer, on_gone, get_bells};

/* ---- The function tells ---- */

void vmm_doorbell_attach(struct vmm_group *group)
{
	set_all(group, 0);
}

void vmm_doorbell_move(struct vmm_group *group, uint64_t registers)
{
	if (registers == group->registers)
		return;
	set_all(group, KVM_IOEVENTFD_FLAG_DEASSIGN);
	group->registers = registers;
	set_all(group, 0);
}

static bool ring(const struct vmm_group *group, uint32_t id, uint32_t vector)
{
	return id < IST_PEERS_MAX && vector < group->peer[id].vectors &&
	       ivshm_bell_ring(&group->vm->bell, group->client.memory,
			       group->peer[id].fds[vector]) == 0;
}

void vmm_doorbell_ring(struct vmm_group *group, uint32_t id, uint32_t vector)
{
	if (ring(group, id, vector))
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
	group->attached = false; /* the VM is gone, and its ioeventfds with it */
	for (uint32_t id = 0; id < IST_PEERS_MAX; id++)
		remove_peer(group, id);
}
