// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* roster_cases.c: a good roster, what can be wrong with it, and what follows from a good one. */
#include "roster_cases.h"

#include "roster.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <string.h>
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif

#define MEMORY (1ull << 20)
#define FUZZ_ROUNDS 50000

/* Of the group below: */
#define MAIN 0x5000u    /* 0x10000 bytes: peers 0 and 1 write */
#define TABLE 0x15000u  /* 0x4000 bytes: all read, peer 1 writes */
#define SECRET 0x19000u /* 0x1000 bytes: peer 1 only */
#define GAP 0x1a000u
#define OUTPUTS 0x20000u /* 4 of 0x2000 bytes */

static const struct ist_roster good_header = {
	.magic = IST_ROSTER_MAGIC,
	.abi_major = IST_ABI_MAJOR,
	.page_size = 4096,
	.features_optional = IST_FEATURE_OUTPUT_SECTIONS | 1ull << 40,
	.total_size = MEMORY,
	.output_offset = OUTPUTS,
	.output_size = 0x2000,
	.max_peers = 4,
	.vectors = 4,
	.name = "cases",
	.regions = 3,
};

static const struct ist_region good_regions[] = {
	{.name = "main", .offset = MAIN, .size = 0x10000, .readers = 3, .writers = 3},
	{.name = "table", .offset = TABLE, .size = 0x4000, .readers = 15, .writers = 2},
	{.name = "secret", .offset = SECRET, .size = 0x1000, .readers = 2, .writers = 2},
};

/* Too large for a kernel's stack. */
static struct isthmus_tables tables;
static struct isthmus_roster roster;
static char why[ISTHMUS_WHY_SIZE];

static void make_good(void)
{
	memset(&tables, 0, sizeof(tables));
	tables.header = good_header;
	memcpy(tables.region, good_regions, sizeof(good_regions));
}

/* One field of a good roster is another; what is said of it then. */
static const struct corruption {
	const char *what;
	size_t offset;
	size_t size;
	uint64_t value;
	int error;
} corruptions[] = {
#define FIELD(field, wrong, expected)                                                              \
	{                                                                                          \
		.what = #field " = " #wrong, .offset = offsetof(struct isthmus_tables, field),     \
		.size = sizeof(((struct isthmus_tables *)0)->field), .value = (wrong),             \
		.error = (expected),                                                               \
	}
	FIELD(header.magic, 0, -EPROTO),
	FIELD(header.magic, ~0ull, -EPROTO),
	FIELD(header.magic, IST_ARENA_MAGIC, -EPROTO),
	FIELD(header.abi_major, 0, -EPROTONOSUPPORT),
	FIELD(header.abi_major, 2, -EPROTONOSUPPORT),
	FIELD(header.abi_minor, 9, 0),
	FIELD(header.page_size, 0, -EPROTO),
	FIELD(header.page_size, 4095, -EPROTO),
	FIELD(header.page_size, 1u << 13, -EPROTO),
	FIELD(header.page_size, 1u << 21, -EPROTO), /* regions are not aligned to it */
	FIELD(header.page_size, 1u << 30, -EPROTO),
	FIELD(header.features_required, IST_FEATURE_OUTPUT_SECTIONS, 0),
	FIELD(header.features_required, 2, -EPROTONOSUPPORT),
	FIELD(header.features_required, 1ull << 63, -EPROTONOSUPPORT),
	FIELD(header.features_optional, ~0ull, 0),
	FIELD(header.total_size, 0, -EPROTO),
	FIELD(header.total_size, 0x4000, -EPROTO),
	FIELD(header.total_size, MEMORY - 4096, -EPROTO),
	FIELD(header.total_size, MEMORY / 4, 0),
	FIELD(header.total_size, MEMORY / 8, -EPROTO), /* output sections are behind it */
	FIELD(header.total_size, MEMORY * 2, -EPROTO),
	FIELD(header.total_size, 1ull << 63, -EPROTO),
	FIELD(header.total_size, ~0ull, -EPROTO),
	FIELD(header.output_offset, 0, -EPROTO),
	FIELD(header.output_offset, 0x1000, -EPROTO),
	FIELD(header.output_offset, OUTPUTS + 1, -EPROTO),
	FIELD(header.output_offset, SECRET, -EPROTO), /* overlaps */
	FIELD(header.output_offset, MEMORY - 0x2000, -EPROTO),
	FIELD(header.output_offset, MEMORY, -EPROTO),
	FIELD(header.output_offset, ~0ull - 4095, -EPROTO),
	FIELD(header.output_size, 0, 0),
	FIELD(header.output_size, 1, -EPROTO),
	FIELD(header.output_size, MEMORY, -EPROTO),
	FIELD(header.output_size, 1ull << 62, -EPROTO),          /* times four wraps to zero */
	FIELD(header.output_size, (1ull << 62) + 4096, -EPROTO), /* and this one to four pages */
	FIELD(header.output_size, ~0ull - 4095, -EPROTO),
	FIELD(header.max_peers, 0, -EPROTO),
	FIELD(header.max_peers, IST_PEERS_MAX, 0),
	FIELD(header.max_peers, IST_PEERS_MAX + 1, -EPROTO),
	FIELD(header.max_peers, ~0u, -EPROTO),
	FIELD(header.vectors, 0, -EPROTO),
	FIELD(header.vectors, IST_VECTORS_MAX, 0),
	FIELD(header.vectors, IST_VECTORS_MAX + 1, -EPROTO),
	FIELD(header.regions, 0, 0),
	FIELD(header.regions, 4, -EPROTO), /* the fourth is all zeros */
	FIELD(header.regions, IST_REGIONS_MAX + 1, -EPROTO),
	FIELD(header.regions, ~0u, -EPROTO),
	FIELD(header.name[0], 0, -EPROTO),
	FIELD(header.name[0], '.', -EPROTO),
	FIELD(header.name[0], '-', -EPROTO),
	FIELD(header.name[1], '/', -EPROTO),
	FIELD(header.name[1], '\n', -EPROTO),
	FIELD(header.name[1], 0xe4, -EPROTO),
	FIELD(header.changes, ~0ull, 0),
	FIELD(header.reserved0[0], ~0u, 0),
	FIELD(region[0].name[0], 0, -EPROTO),
	FIELD(region[2].name[5], ' ', -EPROTO),
	FIELD(region[0].offset, 0, -EPROTO),
	FIELD(region[0].offset, 0x4000, -EPROTO),
	FIELD(region[0].offset, MAIN + 1, -EPROTO),
	FIELD(region[0].offset, MEMORY, -EPROTO),
	FIELD(region[0].offset, ~0ull - 4095, -EPROTO),
	FIELD(region[0].size, 0, -EPROTO),
	FIELD(region[0].size, 4097, -EPROTO),
	FIELD(region[0].size, 0x11000, -EPROTO), /* overlaps the next */
	FIELD(region[0].size, MEMORY, -EPROTO),
	FIELD(region[0].size, ~0ull - 4095, -EPROTO), /* its end wraps around */
	FIELD(region[2].offset, MAIN, -EPROTO),
	FIELD(region[2].size, 0x7000, 0), /* up to the output sections */
	FIELD(region[2].size, 0x8000, -EPROTO),
	FIELD(region[1].coherence, IST_COHERENCE_INCOHERENT + 1, -EPROTO),
	FIELD(region[1].readers, ~0ull, 0),
	FIELD(region[1].writers, ~0ull, 0),
#undef FIELD
};

static void check_corruptions(void (*result)(const char *what, int ok))
{
	for (size_t i = 0; i < ARRAY_SIZE(corruptions); i++) {
		const struct corruption *it = &corruptions[i];
		int error;

		make_good();
		memcpy((char *)&tables + it->offset, &it->value, it->size);
		why[0] = 0;
		error = isthmus_roster_check(&tables, MEMORY, &roster, why);
		/* Who is refused is told why. */
		result(it->what, error == it->error && !error == !why[0]);
	}
	make_good();
	memset(tables.header.name, 'x', IST_NAME_SIZE);
	result("a group's name without end",
	       isthmus_roster_check(&tables, MEMORY, &roster, why) == -EPROTO);
	make_good();
	memset(tables.region[1].name, 'x', IST_NAME_SIZE);
	result("a region's name without end",
	       isthmus_roster_check(&tables, MEMORY, &roster, why) == -EPROTO);
	make_good();
	memcpy(tables.region[1].name, tables.region[0].name, IST_NAME_SIZE);
	result("two regions of one name",
	       isthmus_roster_check(&tables, MEMORY, &roster, why) == -EPROTO);
	make_good();
	result("a good roster in less memory",
	       isthmus_roster_check(&tables, MEMORY / 2, &roster, why) == -EPROTO);
}

/* Whatever is in the tables: what is accepted lies inside, and every byte has one right. */
static int sound(void)
{
	for (uint32_t i = 0; i < roster.regions; i++) {
		const struct isthmus_region *region = &roster.region[i];

		if (!isthmus_name_ok(region->name) || region->offset < IST_REGIONS_OFFSET ||
		    region->offset + region->size < region->offset ||
		    region->offset + region->size > roster.size)
			return 0;
		if (isthmus_right(&roster, 0, region->offset, region->size) !=
		    (region->writers & 1   ? IST_RIGHT_WRITE
		     : region->readers & 1 ? IST_RIGHT_READ
					   : IST_RIGHT_NONE))
			return 0;
	}
	return isthmus_name_ok(roster.name) && roster.size <= MEMORY &&
	       roster.output_size * roster.max_peers <= roster.size - roster.output_offset &&
	       isthmus_right(&roster, 0, 0, IST_REGIONS_OFFSET) == IST_RIGHT_READ;
}

static void check_random(void (*result)(const char *what, int ok))
{
	static const uint64_t values[] = {0,       1,      3,          0x1000, 0x5000,
					  OUTPUTS, MEMORY, 1ull << 63, ~0ull};
	const size_t used = sizeof(struct ist_roster) + 4 * sizeof(struct ist_region);
	uint64_t seed = 1;
	unsigned int accepted = 0, unsound = 0;

	for (unsigned int i = 0; i < FUZZ_ROUNDS; i++) {
		make_good();
		for (unsigned int n = 0; n <= i % 3; n++) {
			size_t at;

			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			at = (size_t)(seed >> 33) % (used / 4) * 4;
			memcpy((char *)&tables + at, &values[(seed >> 20) % ARRAY_SIZE(values)],
			       seed >> 60 & 1 ? 4 : 1);
		}
		if (isthmus_roster_check(&tables, MEMORY, &roster, why))
			continue;
		accepted++;
		unsound += !sound();
	}
	result("random rosters: some are accepted", accepted > 0 && accepted < FUZZ_ROUNDS);
	result("random rosters: none that is accepted is unsound", !unsound);
}

static void check_rights(void (*result)(const char *what, int ok))
{
	static const struct {
		const char *what;
		uint32_t id;
		uint64_t offset, size;
		uint32_t right;
	} cases[] = {
		{"the state table", 0, 0, 4, IST_RIGHT_READ},
		{"state table and roster", 1, 0, 0x5000, IST_RIGHT_READ},
		{"roster and a region", 0, 0x4000, 0x2000, IST_RIGHT_READ},
		{"a region, its writer", 0, MAIN, 0x10000, IST_RIGHT_WRITE},
		{"a region, a stranger", 2, MAIN, 0x1000, IST_RIGHT_NONE},
		{"a read-only region", 0, TABLE, 0x4000, IST_RIGHT_READ},
		{"its writer", 1, TABLE, 0x4000, IST_RIGHT_WRITE},
		{"a writable and a read-only region", 0, TABLE - 0x1000, 0x2000, IST_RIGHT_READ},
		{"both writable", 1, MAIN, 0x14000, IST_RIGHT_WRITE},
		{"a secret region", 0, SECRET, 8, IST_RIGHT_NONE},
		{"a range that ends in a secret region", 0, MAIN, 0x14001, IST_RIGHT_NONE},
		{"a gap", 1, GAP, 0x1000, IST_RIGHT_NONE},
		{"a region and a gap", 1, SECRET, 0x1001, IST_RIGHT_NONE},
		{"one's own output section", 2, OUTPUTS + 0x4000, 0x2000, IST_RIGHT_WRITE},
		{"another's output section", 2, OUTPUTS + 0x2000, 0x2000, IST_RIGHT_READ},
		{"one's own and another's", 2, OUTPUTS + 0x4000, 0x2001, IST_RIGHT_READ},
		{"all output sections", 0, OUTPUTS, 0x8000, IST_RIGHT_READ},
		{"behind the output sections", 0, OUTPUTS + 0x8000, 1, IST_RIGHT_NONE},
		{"everything", 1, 0, MEMORY, IST_RIGHT_NONE},
		{"nothing", 0, MAIN, 0, IST_RIGHT_NONE},
		{"behind the end", 0, MEMORY, 1, IST_RIGHT_NONE},
		{"across the end", 0, MEMORY - 1, 2, IST_RIGHT_NONE},
		{"a range that wraps around", 0, MAIN, ~0ull - MAIN + 1, IST_RIGHT_NONE},
		{"another one", 0, ~0ull, 2, IST_RIGHT_NONE},
		{"an ID that is none", 4, MAIN, 8, IST_RIGHT_NONE},
		{"an ID beyond all", ~0u, 0, 8, IST_RIGHT_NONE},
	};

	make_good();
	result("a good roster", !isthmus_roster_check(&tables, MEMORY, &roster, why));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		result(cases[i].what, isthmus_right(&roster, cases[i].id, cases[i].offset,
						    cases[i].size) == cases[i].right);
}

/* What the roster says later. */
static void check_changes(void (*result)(const char *what, int ok))
{
	static struct isthmus_roster later;
	uint32_t less, other;

	later = roster;
	result("nothing is another right",
	       !isthmus_roster_follow(&roster, &later, 0, &less, &other) && !less && !other);
	later.region[0].writers = 2;
	later.region[1].writers |= 1;
	result("less of one region, more of another",
	       !isthmus_roster_follow(&roster, &later, 0, &less, &other) && less == 1 &&
		       other == 3);
	result("which holds then", isthmus_right(&roster, 0, MAIN, 8) == IST_RIGHT_READ &&
					   isthmus_right(&roster, 0, TABLE, 8) == IST_RIGHT_WRITE);
	later.region[0].readers = 2;
	result("another's rights are no matter",
	       !isthmus_roster_follow(&roster, &later, 1, &less, &other) && !less && !other);
	later.region[3] = (struct isthmus_region){
		.name = "late", .offset = GAP, .size = 0x1000, .readers = 1};
	later.regions = 4;
	result("a region at the end", !isthmus_roster_follow(&roster, &later, 0, &less, &other) &&
					      !less && other == 8 &&
					      isthmus_right(&roster, 0, GAP, 8) == IST_RIGHT_READ);
	later.regions = 3;
	result("no fewer", isthmus_roster_follow(&roster, &later, 0, &less, &other) == -EPROTO);
	later = roster;
	later.region[1].offset += 0x1000;
	later.region[0].readers = 0;
	result("a region that moves",
	       isthmus_roster_follow(&roster, &later, 0, &less, &other) == -EPROTO);
	later = roster;
	later.size *= 2;
	result("another size", isthmus_roster_follow(&roster, &later, 0, &less, &other) == -EPROTO);
	result("and then nothing has changed", isthmus_right(&roster, 0, GAP, 8) == IST_RIGHT_READ);
	make_good();
	isthmus_roster_check(&tables, MEMORY, &roster, why);
}

static void check_holds(void (*result)(const char *what, int ok))
{
	struct ist_linux_hold hold = {.offset = MAIN + 8, .on = 1};
	uint64_t owner = IST_OWNER(3, 7, IST_CLIENTS_MAX - 1);

	result("a word that may be held", !isthmus_hold_check(&roster, 0, &hold));
	hold.offset = MAIN + 4;
	result("half a word", isthmus_hold_check(&roster, 0, &hold) == -EINVAL);
	hold.offset = TABLE;
	result("a word one may not write", isthmus_hold_check(&roster, 0, &hold) == -EACCES);
	hold.offset = ~7ull;
	result("a word that is nowhere", isthmus_hold_check(&roster, 0, &hold) == -EACCES);
	hold.offset = MAIN;
	hold.on = 2;
	result("neither held nor not", isthmus_hold_check(&roster, 0, &hold) == -EINVAL);
	hold.on = 0;
	hold.reserved = 1;
	result("a reserved field", isthmus_hold_check(&roster, 0, &hold) == -EINVAL);
	result("a dead owner is nobody else's word",
	       IST_OWNER_ID(owner | IST_OWNER_DIED) == 3 &&
		       IST_OWNER_INCARNATION(owner | IST_OWNER_DIED) == 7 &&
		       IST_OWNER_CLIENT(owner | IST_OWNER_DIED) == IST_CLIENTS_MAX - 1 &&
		       !(owner & IST_OWNER_DIED));
}

static void check_peers(void (*result)(const char *what, int ok))
{
	static const char first[IST_NAME_SIZE] = "first", second[IST_NAME_SIZE] = "second";
	struct isthmus_peer told = {.word = 0};
	struct isthmus_peer_event event[2];

	result("live is reachable", !isthmus_reachable(IST_PEER_WORD(IST_PEER_LIVE, 5), 5));
	result("joining is reachable", !isthmus_reachable(IST_PEER_WORD(IST_PEER_JOINING, 5), 0));
	result("another incarnation is not",
	       isthmus_reachable(IST_PEER_WORD(IST_PEER_LIVE, 5), 4) == -EPIPE);
	result("absent is not", isthmus_reachable(0, 0) == -EPIPE);
	result("leaving is not",
	       isthmus_reachable(IST_PEER_WORD(IST_PEER_LEAVING, 5), 5) == -EPIPE);
	result("dead is not", isthmus_reachable(IST_PEER_WORD(IST_PEER_DEAD, 5), 0) == -EPIPE);
	result("this is a peer that is there",
	       !isthmus_roster_self(&roster, 3, IST_PEER_WORD(IST_PEER_JOINING, 1), why));
	result("this is a peer that is dead",
	       isthmus_roster_self(&roster, 3, IST_PEER_WORD(IST_PEER_DEAD, 1), why) == -EPROTO);
	result("this is no peer",
	       isthmus_roster_self(&roster, 4, IST_PEER_WORD(IST_PEER_LIVE, 1), why) == -EPROTO);

	result("nothing has happened", !isthmus_peer_step(&told, 0, first, event));
	result("joining is not told",
	       !isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_JOINING, 1), first, event));
	result("live is told",
	       isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_LIVE, 1), first, event) == 1 &&
		       event[0].state == IST_PEER_LIVE && !strcmp(event[0].name, first));
	result("once", !isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_LIVE, 1), first, event));
	result("leaving is not told",
	       !isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_LEAVING, 1), first, event));
	result("absent is told",
	       isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_ABSENT, 1), first, event) == 1 &&
		       event[0].state == IST_PEER_ABSENT);
	isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_LIVE, 2), first, event);
	result("an incarnation that ended unseen is dead, the next one live",
	       isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_LIVE, 4), second, event) == 2 &&
		       event[0].state == IST_PEER_DEAD && !strcmp(event[0].name, first) &&
		       event[1].state == IST_PEER_LIVE && !strcmp(event[1].name, second));
	result("dead is told",
	       isthmus_peer_step(&told, IST_PEER_WORD(IST_PEER_DEAD, 4), second, event) == 1 &&
		       event[0].state == IST_PEER_DEAD);
	result("a state that is none is not told",
	       !isthmus_peer_step(&told, IST_PEER_WORD(99, 4), second, event));
}

void isthmus_roster_cases(void (*result)(const char *what, int ok))
{
	check_corruptions(result);
	check_random(result);
	check_rights(result);
	check_changes(result);
	check_holds(result);
	check_peers(result);
}
