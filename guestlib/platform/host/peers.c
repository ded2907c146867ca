/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peers.c: the eventfds of the peers.
 *
 * Any thread rings, reading the table under RCU; who drains the broker's socket fills the other
 * table, publishes it, waits until nobody reads the old one, and only then closes the descriptors
 * that are no longer in it: a number closed earlier could be somebody else's file by the time it is
 * written to.
 */
#include "host.h"
#include "words.h"

#include <sys/socket.h>
#include <unistd.h>

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu-bp.h>

/* liburcu is not instrumented: ThreadSanitizer is told what its calls order. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define order_before(what) __tsan_release(what)
#define order_after(what) __tsan_acquire(what)
#else
#define order_before(what) ((void)(what))
#define order_after(what) ((void)(what))
#endif

#define BATCH 64   /* packets taken for one grace period */
#define BATCHES 16 /* in one drain: a broker that never pauses does not keep us */

struct retired {
	unsigned count;
	int fd[BATCH * IST_VECTORS_MAX];
};

int ist_host_peers_init(struct ist_host_peers *peers, int sock, int memory,
			const struct ist_group *group)
{
	peers->sock = sock;
	peers->self = group->id;
	peers->max_peers = group->max_peers;
	peers->current = &peers->tables[0];
	pthread_mutex_init(&peers->lock, NULL);
	return ist_host_ringer_init(&peers->ringer, memory);
}

void ist_host_peers_fini(struct ist_host_peers *peers)
{
	unsigned id, vector;

	for (id = 0; id < IST_PEERS_MAX; id++)
		for (vector = 0; vector < peers->current->peer[id].vectors; vector++)
			close(peers->current->peer[id].fd[vector]);
	ist_host_ringer_fini(&peers->ringer);
	pthread_mutex_destroy(&peers->lock);
}

static bool is_sound(const struct ist_host_peers *peers, const struct ist_host_packet *packet)
{
	return packet->wire.id < peers->max_peers && packet->wire.incarnation &&
	       packet->wire.vectors <= IST_VECTORS_MAX &&
	       packet->wire.vectors + (peers->pager ? 1 : 0) == packet->fds;
}

static void enter(struct ist_host_peers *peers, struct ist_host_table *table,
		  struct ist_host_packet *packet)
{
	struct ist_host_peer *peer = &table->peer[packet->wire.id];

	peer->incarnation = packet->wire.incarnation;
	for (peer->vectors = 0; peer->vectors < packet->wire.vectors; peer->vectors++)
		peer->fd[peer->vectors] = packet->fd[peer->vectors];
	if (peers->pager)
		coh_pager_peer(peers->pager, packet->wire.id, peer->incarnation,
			       packet->fd[peer->vectors]);
	packet->fds = 0;
}

static void retire(struct ist_host_peer *peer, struct retired *retired)
{
	while (peer->vectors)
		retired->fd[retired->count++] = peer->fd[--peer->vectors];
	peer->incarnation = 0;
}

int ist_host_peers_add(struct ist_host_peers *peers, struct ist_host_packet *packet)
{
	if (!is_sound(peers, packet) || peers->current->peer[packet->wire.id].incarnation)
		return -EPROTO;
	enter(peers, peers->current, packet);
	return 0;
}

/* A packet's effect on the table. What makes no sense changes nothing. */
static void apply(struct ist_host_peers *peers, struct ist_host_table *table,
		  struct ist_host_packet *packet, struct retired *retired)
{
	const struct ist_wire *wire = &packet->wire;

	if (wire->id >= peers->max_peers || wire->id == peers->self)
		return;
	if (wire->type == IST_WIRE_PEER && is_sound(peers, packet)) {
		retire(&table->peer[wire->id], retired);
		enter(peers, table, packet);
	} else if (wire->type == IST_WIRE_GONE &&
		   table->peer[wire->id].incarnation == wire->incarnation) {
		retire(&table->peer[wire->id], retired);
		if (peers->pager)
			coh_pager_gone(peers->pager, wire->id, wire->incarnation);
	}
}

/* One batch, under the lock. Returns whether there may be more. */
static bool drain_batch(struct ist_host_peers *peers)
{
	const struct ist_host_table *old = peers->current;
	struct ist_host_table *next = &peers->tables[old == &peers->tables[0]];
	struct ist_host_packet packet;
	struct retired retired;
	bool changed = false;
	unsigned taken;
	int err;

	retired.count = 0;
	for (taken = 0; taken < BATCH; taken++) {
		err = ist_host_receive(peers->sock, &packet, MSG_DONTWAIT);
		if (err == -EPROTO || err == -EMFILE)
			continue;
		if (err == -EAGAIN || err == -ENOMEM)
			break;
		if (err) {
			ist_store32(&peers->gone, IST_HOST_GONE_AWAY);
			break;
		}
		if (!changed)
			*next = *old;
		changed = true;
		apply(peers, next, &packet, &retired);
		ist_host_packet_fini(&packet);
	}
	if (changed) {
		order_before(&peers->current);
		rcu_xchg_pointer(&peers->current, next);
		synchronize_rcu();
		order_after(peers->tables);
		while (retired.count)
			close(retired.fd[--retired.count]);
	}
	return taken == BATCH;
}

void ist_host_peers_drain(struct ist_host_peers *peers)
{
	unsigned batches = 0;

	pthread_mutex_lock(&peers->lock);
	while (!ist_load32(&peers->gone) && drain_batch(peers) && ++batches < BATCHES)
		;
	pthread_mutex_unlock(&peers->lock);
}

int ist_host_peers_ring(struct ist_host_peers *peers, uint32_t id, uint32_t incarnation,
			uint32_t vector)
{
	const struct ist_host_peer *peer;
	int err = -EPIPE;

	rcu_read_lock();
	peer = &rcu_dereference(peers->current)->peer[id];
	order_after(&peers->current);
	if (incarnation && peer->incarnation == incarnation && vector < peer->vectors)
		err = ist_host_ringer_ring(&peers->ringer, peer->fd[vector]);
	order_before(peers->tables);
	rcu_read_unlock();
	return err;
}
