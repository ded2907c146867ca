/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * roster.h: what the driver decides from the roster. Pure: no device, no locks, no kernel, so that
 * the same code runs in isthmus.ko, in isthmus_selftest.ko and in a unit test in user space.
 * Everything here works on private copies: shared memory is read once, by the caller.
 */
#ifndef ISTHMUS_ROSTER_H
#define ISTHMUS_ROSTER_H

#include <isthmus/abi.h>

#define ISTHMUS_WHY_SIZE 128 /* bytes of a line that says why not */

/* The roster's tables as they were in shared memory: not checked yet. */
struct isthmus_tables {
	struct ist_roster header;
	struct ist_region region[IST_REGIONS_MAX];
};

struct isthmus_region {
	char name[IST_NAME_SIZE];
	uint64_t offset;
	uint64_t size;
	uint64_t readers;
	uint64_t writers;
	uint32_t coherence;
};

/* A roster that has been checked: regions lie in the memory, apart from one another. */
struct isthmus_roster {
	char name[IST_NAME_SIZE];
	uint32_t max_peers;
	uint32_t vectors;
	uint32_t regions;
	uint64_t size;
	uint64_t output_offset;
	uint64_t output_size; /* 0: no output sections */
	struct isthmus_region region[IST_REGIONS_MAX];
};

/*
 * Checks the tables against the size of the memory they lie in. 0; or -EPROTO (garbage),
 * -EPROTONOSUPPORT (of another version, or with a feature nobody told us of), and `why` says in
 * words what is wrong.
 */
int isthmus_roster_check(const struct isthmus_tables *tables, uint64_t memory_size,
			 struct isthmus_roster *out, char why[ISTHMUS_WHY_SIZE]);

/* Is this device's ID one of the group, and (by the roster's word of it) a peer that is there? */
int isthmus_roster_self(const struct isthmus_roster *roster, uint32_t id, uint64_t word,
			char why[ISTHMUS_WHY_SIZE]);

/* Is it 1 to 31 letters, digits, '.', '_' and '-', and then a NUL? */
int isthmus_name_ok(const char name[IST_NAME_SIZE]);

/*
 * What may change of a roster while the device is bound: rights, and regions at the end. `roster`
 * becomes `fresh`, which has been checked. *less: bit i: peer `id` has less of region i now;
 * *other: more or less, or it is new. 0; or -EPROTO, and nothing has changed: the rest is not what
 * it was.
 */
int isthmus_roster_follow(struct isthmus_roster *roster, const struct isthmus_roster *fresh,
			  uint32_t id, uint32_t *less, uint32_t *other);

/* The peer's right on all bytes of the range: the least of its parts; IST_RIGHT_NONE in a gap. */
uint32_t isthmus_right(const struct isthmus_roster *roster, uint32_t id, uint64_t offset,
		       uint64_t size);

/* May this peer's owner words come to be there? 0, -EINVAL, or -EACCES: it may not write there. */
int isthmus_hold_check(const struct isthmus_roster *roster, uint32_t id,
		       const struct ist_linux_hold *hold);

/* Can a peer of this roster word be rung? 0 or -EPIPE. `incarnation` 0: whoever is there. */
int isthmus_reachable(uint64_t word, uint32_t incarnation);

/* What user space was told of a peer last. */
struct isthmus_peer {
	uint64_t word; /* state IST_PEER_ABSENT, IST_PEER_LIVE or IST_PEER_DEAD */
	char name[IST_NAME_SIZE];
};

/* What to tell now: at most two events, as an incarnation that ended unseen is told of too. */
struct isthmus_peer_event {
	uint32_t state; /* IST_PEER_ABSENT, IST_PEER_LIVE or IST_PEER_DEAD */
	char name[IST_NAME_SIZE];
};

/* Compares with the roster's word and name of now, takes them over, returns the events' number. */
unsigned int isthmus_peer_step(struct isthmus_peer *told, uint64_t word,
			       const char name[IST_NAME_SIZE], struct isthmus_peer_event event[2]);

#endif
