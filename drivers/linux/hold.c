// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* hold.c: owner words in shared memory that must not outlive the process that wrote them. */
#include "isthmus.h"

static u64 owner_of(struct isthmus_file *file)
{
	struct isthmus *isthmus = file->isthmus;

	return IST_OWNER(isthmus->id, isthmus->incarnation, file->client);
}

int isthmus_hold(struct isthmus_file *file, const struct ist_linux_hold *hold)
{
	struct isthmus *isthmus = file->isthmus;
	unsigned long index = hold->offset / sizeof(u64);
	bool was;
	int error;

	mutex_lock(&isthmus->mutex);
	was = xa_load(&file->holds, index);
	error = isthmus_hold_check(&isthmus->roster, isthmus->id, hold);
	if (error == -EACCES && was && !hold->on)
		error = 0; /* a right that it had when it declared the word */
	if (error) {
		/* nothing changes */
	} else if (isthmus->gone) {
		error = -ENODEV;
	} else if (was && !hold->on) {
		xa_erase(&file->holds, index);
		file->holds_count--;
	} else if (!was && hold->on && file->holds_count == IST_LINUX_HOLDS_MAX) {
		error = -ENOSPC;
	} else if (!was && hold->on) {
		error = xa_err(xa_store(&file->holds, index, xa_mk_value(1), GFP_KERNEL_ACCOUNT));
		if (!error)
			file->holds_count++;
	}
	mutex_unlock(&isthmus->mutex);
	return error;
}

/* The file ends, or can reach the memory no more. Under the mutex, the device not gone yet. */
bool isthmus_holds_end(struct isthmus_file *file)
{
	u64 owner = owner_of(file);
	unsigned long index;
	bool any = false;
	void *entry;

	/* Exchanged, as survivors look at these words, and hostile peers write to them. */
	xa_for_each(&file->holds, index, entry) {
		u64 *word = (u64 *)file->isthmus->memory + index;

		/* Where this peer may not write any more no store lands. */
		if (isthmus_right(&file->isthmus->roster, file->isthmus->id, index * sizeof(u64),
				  sizeof(u64)) != IST_RIGHT_WRITE)
			continue;
		any |= cmpxchg(word, owner, owner | IST_OWNER_DIED) == owner;
	}
	xa_destroy(&file->holds);
	file->holds_count = 0;
	return any;
}

/* Who waits for what was held looks again: the other peers, and this one's other clients. */
void isthmus_holds_tell(struct isthmus *isthmus)
{
	for (u32 id = 0; isthmus->vectors && id < isthmus->roster.max_peers; id++) {
		u64 word = isthmus_group_word(isthmus, id);

		if (id != isthmus->id && !isthmus_reachable(word, 0))
			isthmus_device_ring(isthmus, id, IST_PEER_INCARNATION(word),
					    IST_VECTOR_ROSTER);
	}
	isthmus_deliver(isthmus, IST_VECTOR_ROSTER);
}
