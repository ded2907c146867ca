// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* group.c: reads the roster out of shared memory, each word once. */
#include "isthmus.h"

#define PEER_TRIES 4 /* a peer's fields change on joining alone: who finds more sees garbage */

static struct ist_roster *header_of(struct isthmus *isthmus)
{
	return isthmus->memory + IST_ROSTER_OFFSET;
}

static struct ist_peer *peer_of(struct isthmus *isthmus, u32 id)
{
	return (struct ist_peer *)(isthmus->memory + IST_PEER_TABLE_OFFSET) + id;
}

/* A checked copy of the tables as they are now. As isthmus_roster_check(). */
int isthmus_group_look(struct isthmus *isthmus, u64 memory_size, struct isthmus_roster *out,
		       char why[ISTHMUS_WHY_SIZE])
{
	struct isthmus_tables *tables = &isthmus->tables;

	memcpy(&tables->header, header_of(isthmus), sizeof(tables->header));
	smp_rmb(); /* pairs with the broker's release of `regions` after it wrote an entry */
	memcpy(tables->region, isthmus->memory + IST_REGION_TABLE_OFFSET, sizeof(tables->region));
	barrier(); /* the copies are what is checked and used, not the memory again */
	return isthmus_roster_check(tables, memory_size, out, why);
}

/* Checks the roster and this device's place in it; one line says what is wrong. */
int isthmus_group_read(struct isthmus *isthmus, u64 memory_size)
{
	struct device *dev = &isthmus->pdev->dev;
	char why[ISTHMUS_WHY_SIZE];
	u64 word = 0;
	int error = isthmus_group_look(isthmus, memory_size, &isthmus->roster, why);

	if (!error) {
		if (isthmus->id < isthmus->roster.max_peers)
			word = isthmus_group_word(isthmus, isthmus->id);
		error = isthmus_roster_self(&isthmus->roster, isthmus->id, word, why);
		isthmus->incarnation = IST_PEER_INCARNATION(word);
	}
	if (error)
		dev_err(dev, "not bound: %s\n", why);
	return error ? -ENODEV : 0; /* with any other error the driver core says so once more */
}

u64 isthmus_group_changes(struct isthmus *isthmus)
{
	/* Pairs with the broker's release after it changed the tables. */
	return smp_load_acquire(&header_of(isthmus)->changes);
}

u64 isthmus_group_word(struct isthmus *isthmus, u32 id)
{
	/* Pairs with the broker's release after it wrote the peer's fields. */
	return smp_load_acquire(&peer_of(isthmus, id)->word);
}

/* A consistent copy of a peer's fields; false: they do not hold still, the broker is at it. */
bool isthmus_group_peer(struct isthmus *isthmus, u32 id, struct ist_peer *out)
{
	struct ist_peer *peer = peer_of(isthmus, id);
	u64 *from = (u64 *)peer->name, *to = (u64 *)out->name;

	for (int i = 0; i < PEER_TRIES; i++) {
		out->word = isthmus_group_word(isthmus, id);
		for (unsigned int j = 0; j < IST_NAME_SIZE / sizeof(u64); j++)
			to[j] = READ_ONCE(from[j]);
		out->vectors = READ_ONCE(peer->vectors);
		out->kind = READ_ONCE(peer->kind);
		smp_rmb(); /* pairs with the broker's exchange of `word` before it writes fields */
		if (READ_ONCE(peer->word) != out->word)
			continue;
		if (!isthmus_name_ok(out->name))
			strscpy(out->name, "?", sizeof(out->name));
		return true;
	}
	return false;
}

/* Of the peer's incarnation that is here now; false: nothing is known of that one. A hint: words
 * of different moments. */
bool isthmus_group_runs(struct isthmus *isthmus, u32 id, struct ist_run_peer *out)
{
	const struct ist_run_state *page = isthmus->run_state;
	u64 word = isthmus_group_word(isthmus, id);

	if (!page || isthmus_reachable(word, 0))
		return false;
	out->incarnation = READ_ONCE(page->peer[id].incarnation);
	out->threads = READ_ONCE(page->peer[id].threads);
	out->running = READ_ONCE(page->peer[id].running);
	out->switches = READ_ONCE(page->peer[id].switches);
	return out->incarnation == IST_PEER_INCARNATION(word);
}
