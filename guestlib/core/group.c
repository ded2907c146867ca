/* SPDX-License-Identifier: BSD-2-Clause */
/* group.c: a joined group: who is in it, where its regions are, its doorbells. */
#include "group.h"

#include "platform.h"
#include "run_state.h"
#include "words.h"

#include <isthmus/app.h>

/* How often a peer's fields may change under a reader before the roster is called corrupt. */
#define READ_TRIES 100
/* Waiters look at the roster at least this often: a hostile peer can swallow a doorbell. */
#define LOOK_NS 100000000ull

_Static_assert((int)IST_STATE_ABSENT == IST_PEER_ABSENT, "states are the roster's");
_Static_assert((int)IST_STATE_JOINING == IST_PEER_JOINING, "states are the roster's");
_Static_assert((int)IST_STATE_LIVE == IST_PEER_LIVE, "states are the roster's");
_Static_assert((int)IST_STATE_LEAVING == IST_PEER_LEAVING, "states are the roster's");
_Static_assert((int)IST_STATE_DEAD == IST_PEER_DEAD, "states are the roster's");
_Static_assert((int)IST_NONE == IST_RIGHT_NONE, "rights are the roster's");
_Static_assert((int)IST_READ == IST_RIGHT_READ, "rights are the roster's");
_Static_assert((int)IST_WRITE == IST_RIGHT_WRITE, "rights are the roster's");
_Static_assert(sizeof(((struct ist_peer_info *)0)->name) == IST_NAME_SIZE, "names are the ABI's");
_Static_assert(sizeof(((struct ist_region_info *)0)->name) == IST_NAME_SIZE, "names are the ABI's");

/* Before ABI 1.2 they are what they were at the start, wherever that is told. */
static uint32_t rights_are_live(const struct ist_group *group)
{
	const struct ist_roster *roster = (const void *)(group->base + IST_ROSTER_OFFSET);

	return __atomic_load_n(&roster->abi_minor, __ATOMIC_RELAXED) >= 2;
}

int ist_group_open(const char *name, struct ist_group **out)
{
	struct ist_group *group = ist_platform_alloc(sizeof(*group));
	int err;

	if (!group)
		return -ENOMEM;
	err = ist_platform_open(name, group);
	if (err) {
		ist_platform_free(group);
		return err;
	}
	group->live = rights_are_live(group);
	*out = group;
	return 0;
}

void ist_group_close(struct ist_group *group)
{
	if (!group)
		return;
	ist_platform_close(group);
	ist_platform_free(group);
}

const char *ist_group_name(const struct ist_group *group)
{
	return group->name;
}

uint32_t ist_group_self(const struct ist_group *group)
{
	return group->id;
}

uint32_t ist_group_max_peers(const struct ist_group *group)
{
	return group->max_peers;
}

uint32_t ist_group_vectors(const struct ist_group *group)
{
	return group->vectors;
}

int ist_group_interrupts(const struct ist_group *group)
{
	return !group->deaf;
}

/* ---- Peers ---- */

static const struct ist_peer *roster_peer(const struct ist_group *group, uint32_t id)
{
	return (const struct ist_peer *)(const void *)(group->base + IST_PEER_TABLE_OFFSET) + id;
}

uint64_t ist_group_peer_word(const struct ist_group *group, uint32_t id)
{
	return id < group->max_peers ? ist_load_acquire(&roster_peer(group, id)->word) : 0;
}

const uint64_t *ist_group_changes(const struct ist_group *group)
{
	return (const uint64_t *)(const void *)(group->base + IST_ROSTER_OFFSET +
						offsetof(struct ist_roster, changes));
}

uint64_t ist_group_owner(const struct ist_group *group)
{
	return IST_OWNER(group->id, group->incarnation, group->client);
}

enum ist_fate ist_group_fate(const struct ist_group *group, uint64_t owner)
{
	uint32_t incarnation = IST_OWNER_INCARNATION(owner);
	uint64_t word = ist_group_peer_word(group, IST_OWNER_ID(owner));

	if (owner & IST_OWNER_DIED || incarnation == 0 || incarnation != IST_PEER_INCARNATION(word))
		return IST_FATE_DIED;
	if (group->alone && IST_OWNER_ID(owner) == group->id &&
	    IST_OWNER_CLIENT(owner) != group->client)
		return IST_FATE_DIED;
	switch (IST_PEER_STATE(word)) {
	case IST_PEER_JOINING:
	case IST_PEER_LIVE:
	case IST_PEER_LEAVING:
		return IST_FATE_HERE;
	case IST_PEER_ABSENT:
		return IST_FATE_LEFT;
	default:
		return IST_FATE_DIED;
	}
}

uint32_t ist_group_peer_kind(const struct ist_group *group, uint32_t id)
{
	return id < group->max_peers ? ist_load32(&roster_peer(group, id)->kind) : IST_KIND_PROCESS;
}

/* Word, fields, word again: the fields are one incarnation's when the word has not moved. */
static int peer_read(const struct ist_peer *peer, uint64_t *word, char name[IST_NAME_SIZE],
		     uint32_t *vectors)
{
	uint64_t chunk[IST_NAME_SIZE / sizeof(uint64_t)];
	unsigned i, tries;

	for (tries = 0; tries < READ_TRIES; tries++) {
		*word = ist_load_acquire(&peer->word);
		/* Acquire: the second look at the word is not earlier than these. */
		for (i = 0; i < IST_NAME_SIZE / sizeof(uint64_t); i++)
			chunk[i] = ist_load_acquire((const uint64_t *)(const void *)peer->name + i);
		*vectors = ist_load32(&peer->vectors);
		if (ist_load(&peer->word) == *word) {
			__builtin_memcpy(name, chunk, IST_NAME_SIZE);
			return 0;
		}
		ist_relax();
	}
	return -EPROTO;
}

int ist_peer_get(struct ist_group *group, uint32_t id, struct ist_peer_info *out)
{
	struct ist_peer_info info = {.id = id};
	uint64_t word;
	int err;

	if (id >= group->max_peers)
		return -EINVAL;
	err = peer_read(roster_peer(group, id), &word, info.name, &info.vectors);
	if (err)
		return err;
	if (IST_PEER_STATE(word) > IST_PEER_DEAD || info.vectors > IST_VECTORS_MAX ||
	    info.name[IST_NAME_SIZE - 1])
		return -EPROTO;
	info.state = (enum ist_peer_state)IST_PEER_STATE(word);
	info.incarnation = IST_PEER_INCARNATION(word);
	*out = info;
	return 0;
}

static int name_is(const char name[IST_NAME_SIZE], const char *wanted)
{
	size_t length = __builtin_strlen(wanted);

	return length < IST_NAME_SIZE && !__builtin_memcmp(name, wanted, length + 1);
}

int ist_peer_find(struct ist_group *group, const char *name, struct ist_peer_info *out)
{
	struct ist_peer_info info;
	uint32_t id;

	for (id = 0; id < group->max_peers; id++) {
		if (ist_peer_get(group, id, &info) || !info.incarnation ||
		    !name_is(info.name, name))
			continue;
		*out = info;
		return 0;
	}
	return -ENOENT;
}

static uint64_t deadline_after(uint64_t timeout_ns)
{
	uint64_t now = ist_time_ns();

	return timeout_ns < IST_FOREVER - now ? now + timeout_ns : IST_FOREVER;
}

int ist_peer_wait(struct ist_group *group, const char *name, uint64_t timeout_ns,
		  struct ist_peer_info *out)
{
	uint64_t deadline = deadline_after(timeout_ns), now;
	struct ist_peer_info info;
	uint32_t seen;

	for (;;) {
		/* Before the roster: what changes after this look rings a doorbell not yet seen. */
		seen = ist_platform_count_all(group);
		if (!ist_peer_find(group, name, &info) && info.state == IST_STATE_LIVE) {
			if (out)
				*out = info;
			return 0;
		}
		if (ist_group_gone(group))
			return -ENODEV;
		now = ist_time_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		ist_platform_wait(group, seen, deadline - now < LOOK_NS ? deadline : now + LOOK_NS);
	}
}

int ist_peer_running(struct ist_group *group, uint32_t id)
{
	if (id >= group->max_peers)
		return -EINVAL;
	return ist_run_state_of(group, id, IST_PEER_INCARNATION(ist_group_peer_word(group, id)));
}

/* ---- Regions ---- */

uint32_t ist_group_right(const struct ist_group *group, const struct ist_group_region *region)
{
	const struct ist_region *entry =
		(const struct ist_region *)(const void *)(group->base + IST_REGION_TABLE_OFFSET) +
		(region - group->region);
	uint32_t mapped = ist_load32(&region->right), told = IST_RIGHT_NONE;

	/* Of a group that is lost the roster says nothing: -ENODEV is found elsewhere. */
	if (!group->live || ist_group_gone(group))
		return mapped;
	if (ist_load(&entry->writers) >> group->id & 1)
		told = IST_RIGHT_WRITE;
	else if (ist_load(&entry->readers) >> group->id & 1)
		told = IST_RIGHT_READ;
	return group->whole || told < mapped ? told : mapped;
}

int ist_region_get(struct ist_group *group, uint32_t index, struct ist_region_info *out)
{
	const struct ist_group_region *region;

	if (index >= group->regions)
		return -ENOENT;
	region = &group->region[index];
	__builtin_memcpy(out->name, region->name, IST_NAME_SIZE);
	out->right = (enum ist_right)ist_group_right(group, region);
	out->address = out->right == IST_NONE ? NULL : group->base + region->offset;
	out->size = region->size;
	out->coherence = region->coherence;
	return 0;
}

int ist_region_find(struct ist_group *group, const char *name, struct ist_region_info *out)
{
	uint32_t i;

	for (i = 0; i < group->regions; i++)
		if (name_is(group->region[i].name, name))
			return ist_region_get(group, i, out);
	return -ENOENT;
}

int ist_group_find_writable(const struct ist_group *group, const char *name,
			    const struct ist_group_region **out)
{
	uint32_t i;

	for (i = 0; i < group->regions; i++) {
		const struct ist_group_region *region = &group->region[i];

		if (name ? __builtin_strcmp(region->name, name) != 0
			 : ist_group_right(group, region) != IST_RIGHT_WRITE ||
				    region->coherence == IST_COHERENCE_INCOHERENT)
			continue;
		*out = region;
		if (ist_group_right(group, region) != IST_RIGHT_WRITE)
			return -EACCES;
		return region->coherence == IST_COHERENCE_INCOHERENT ? -EOPNOTSUPP : 0;
	}
	return name ? -ENOENT : -EACCES;
}

/* ---- Doorbells ---- */

int ist_doorbell_ring(struct ist_group *group, uint32_t peer, uint32_t vector)
{
	uint64_t word = ist_group_peer_word(group, peer);

	if (peer >= group->max_peers || vector >= group->vectors)
		return -EINVAL;
	if (ist_group_gone(group))
		return -ENODEV;
	if (IST_PEER_STATE(word) != IST_PEER_LIVE)
		return -EPIPE;
	ist_fence(); /* what was written before is seen by whoever the doorbell wakes */
	return ist_platform_ring(group, peer, IST_PEER_INCARNATION(word), vector);
}

int ist_doorbell_wait(struct ist_group *group, uint32_t vector, uint32_t *seen, uint64_t timeout_ns)
{
	uint64_t deadline = deadline_after(timeout_ns);
	uint32_t all, count;
	int looked = 0;

	if (vector >= group->vectors)
		return -EINVAL;
	if (group->deaf)
		return -ENOSYS;
	for (;;) {
		/* All before the one: a doorbell in between changes `all` under the sleeper. */
		all = ist_platform_count_all(group);
		count = ist_platform_count(group, vector);
		if (ist_group_gone(group))
			return -ENODEV;
		if (count != *seen) {
			*seen = count;
			return 0;
		}
		/* Even without a timeout the platform looks once at what has arrived. */
		if (looked && ist_time_ns() >= deadline)
			return -ETIMEDOUT;
		ist_platform_wait(group, all, deadline);
		looked = 1;
	}
}
