// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* event.c: doorbells counted and passed on; peers' comings and goings told. */
#include "compat.h"
#include "isthmus.h"

/* A doorbell on a vector. In interrupts, and where the driver rings its own users. */
void isthmus_deliver(struct isthmus *isthmus, u32 vector)
{
	struct ist_linux_counts *counts = isthmus->counts;
	struct isthmus_file *file;
	unsigned long flags;

	spin_lock_irqsave(&isthmus->lock, flags);
	WRITE_ONCE(counts->count[vector], counts->count[vector] + 1);
	/* Pairs with the user's acquire: who sees the new total sees the vector's count. */
	smp_store_release(&counts->total, counts->total + 1);
	list_for_each_entry(file, &isthmus->files, node)
		if (file->event[vector])
			isthmus_eventfd_signal(file->event[vector]);
	spin_unlock_irqrestore(&isthmus->lock, flags);
	wake_up_interruptible(&isthmus->wait);

	/* Before it is registered nobody can hear of peers, and then the work looks anyway. */
	if (vector == IST_VECTOR_ROSTER && !READ_ONCE(isthmus->gone) &&
	    device_is_registered(&isthmus->dev) &&
	    isthmus_group_changes(isthmus) != READ_ONCE(isthmus->changes))
		schedule_work(&isthmus->peers_work);
}

static const char *state_name(u32 state)
{
	return state == IST_PEER_LIVE ? "live" : state == IST_PEER_DEAD ? "dead" : "absent";
}

static void tell(struct isthmus *isthmus, u32 id, const struct isthmus_peer_event *event)
{
	char peer[sizeof("PEER=") + IST_NAME_SIZE], number[16], state[16];
	char *environment[] = {peer, number, state, NULL};

	snprintf(peer, sizeof(peer), "PEER=%s", event->name);
	snprintf(number, sizeof(number), "ID=%u", id);
	snprintf(state, sizeof(state), "STATE=%s", state_name(event->state));
	kobject_uevent_env(&isthmus->dev.kobj, KOBJ_CHANGE, environment);
}

/* One look at the peer table; what changes meanwhile brings another doorbell. */
static bool look(struct isthmus *isthmus, bool quietly)
{
	struct isthmus_peer_event event[2];
	struct ist_peer peer;
	bool any = false;

	WRITE_ONCE(isthmus->changes, isthmus_group_changes(isthmus));
	for (u32 id = 0; id < isthmus->roster.max_peers; id++) {
		unsigned int count = 0;

		if (isthmus_group_peer(isthmus, id, &peer))
			count = isthmus_peer_step(&isthmus->peer[id], peer.word, peer.name, event);
		any |= count > 0;
		for (unsigned int i = 0; !quietly && i < count; i++)
			tell(isthmus, id, &event[i]);
	}
	return any;
}

static void peers_work(struct work_struct *work)
{
	struct isthmus *isthmus = container_of(work, struct isthmus, peers_work);

	if (look(isthmus, false))
		sysfs_notify(&isthmus->dev.kobj, NULL, "peers");
	isthmus_rights_follow(isthmus);
}

void isthmus_peers_init(struct isthmus *isthmus)
{
	INIT_WORK(&isthmus->peers_work, peers_work);
	look(isthmus, true);
}
