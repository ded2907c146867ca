/* SPDX-License-Identifier: BSD-2-Clause */
/* test_roster_read.c: what the library makes of a roster's words, sane and not. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "roster.h"
#include "tests/suite.h"

static _Alignas(4096) uint8_t memory[IST_REGIONS_OFFSET];
static struct ist_peer *const table = (struct ist_peer *)(void *)(memory + IST_PEER_TABLE_OFFSET);
static struct ist_group group = {.base = memory,
				 .size = sizeof(memory),
				 .id = 1,
				 .incarnation = 5,
				 .vectors = 2,
				 .max_peers = 3};

static void put(uint32_t id, uint32_t state, uint32_t incarnation, const char *name)
{
	table[id].word = IST_PEER_WORD(state, incarnation);
	table[id].vectors = 2;
	memset(table[id].name, 0, IST_NAME_SIZE);
	memcpy(table[id].name, name, strnlen(name, IST_NAME_SIZE));
}

START_TEST(words_and_owners)
{
	put(2, IST_PEER_LIVE, 9, "two");
	ck_assert_uint_eq(ist_group_peer_word(&group, 2), IST_PEER_WORD(IST_PEER_LIVE, 9));
	table[3].word = IST_PEER_WORD(IST_PEER_LIVE, 1);
	ck_assert_uint_eq(ist_group_peer_word(&group, 3), 0);
	ck_assert_uint_eq(ist_group_peer_word(&group, UINT32_MAX), 0);
	ck_assert_uint_eq(ist_group_owner(&group), IST_OWNER(1, 5, 0));
	group.client = IST_CLIENTS_MAX - 1;
	ck_assert_uint_eq(ist_group_owner(&group), IST_OWNER(1, 5, IST_CLIENTS_MAX - 1));
	ck_assert_uint_eq(ist_group_owner(&group) & IST_OWNER_DIED, 0);
	group.client = 0;
}
END_TEST

START_TEST(fates)
{
	static const enum ist_fate fate[] = {[IST_PEER_ABSENT] = IST_FATE_LEFT,
					     [IST_PEER_JOINING] = IST_FATE_HERE,
					     [IST_PEER_LIVE] = IST_FATE_HERE,
					     [IST_PEER_LEAVING] = IST_FATE_HERE,
					     [IST_PEER_DEAD] = IST_FATE_DIED};

	for (uint32_t state = 0; state < 256; state++) {
		put(2, state, 9, "two");
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 9, 0)),
				 state < 5 ? fate[state] : IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 9, 77)),
				 state < 5 ? fate[state] : IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 9, 77) | IST_OWNER_DIED),
				 IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 8, 0)), IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 10, 0)), IST_FATE_DIED);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 0, 0)), IST_FATE_DIED);
	}
	put(2, IST_PEER_ABSENT, 0, "");
	ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 0, 0)), IST_FATE_DIED);
	ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(3, 1, 0)), IST_FATE_DIED);
	ck_assert_int_eq(ist_group_fate(&group, 0), IST_FATE_DIED); /* no ID at all */
	ck_assert_int_eq(ist_group_fate(&group, UINT64_MAX), IST_FATE_DIED);
}
END_TEST

START_TEST(senseless_entries)
{
	struct ist_peer_info info, untouched;

	memset(&info, 0x5a, sizeof(info));
	untouched = info;
	put(0, 5, 1, "two");
	ck_assert_int_eq(ist_peer_get(&group, 0, &info), -EPROTO);
	put(0, IST_PEER_LIVE, 1, "two");
	table[0].vectors = IST_VECTORS_MAX + 1;
	ck_assert_int_eq(ist_peer_get(&group, 0, &info), -EPROTO);
	put(0, IST_PEER_LIVE, 1, "exactly-thirty-two-characters-xx");
	ck_assert_int_eq(ist_peer_get(&group, 0, &info), -EPROTO);
	ck_assert_int_eq(ist_peer_get(&group, 3, &info), -EINVAL);
	ck_assert_mem_eq(&info, &untouched, sizeof(info));

	/* They do not hide the others. */
	put(1, IST_PEER_ABSENT, 0, "two");
	put(2, IST_PEER_LEAVING, 9, "two");
	ck_assert_int_eq(ist_peer_find(&group, "two", &info), 0);
	ck_assert_uint_eq(info.id, 2);
	ck_assert_uint_eq(info.incarnation, 9);
	ck_assert_int_eq(info.state, IST_STATE_LEAVING);
	ck_assert_int_eq(ist_peer_find(&group, "exactly-thirty-two-characters-xx", &info), -ENOENT);
	ck_assert_int_eq(ist_peer_find(&group, "tw", &info), -ENOENT);
	ck_assert_int_eq(ist_peer_find(&group, "", &info), -ENOENT);
}
END_TEST

/* Where no other client can be, ours is the only one alive. */
START_TEST(fates_of_clients)
{
	put(1, IST_PEER_LIVE, 5, "one");
	put(2, IST_PEER_LIVE, 9, "two");
	group.client = 3;
	for (group.alone = 0; group.alone < 2; group.alone++) {
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(1, 5, 3)), IST_FATE_HERE);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(1, 5, 4)),
				 group.alone ? IST_FATE_DIED : IST_FATE_HERE);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(2, 9, 4)), IST_FATE_HERE);
		ck_assert_int_eq(ist_group_fate(&group, IST_OWNER(1, 4, 3)), IST_FATE_DIED);
	}
}
END_TEST

/* ---- The header and the region table ---- */

static struct ist_roster *const header = (struct ist_roster *)(void *)(memory + IST_ROSTER_OFFSET);
static struct ist_region *const regions =
	(struct ist_region *)(void *)(memory + IST_REGION_TABLE_OFFSET);

static void make_roster(void)
{
	memset(memory, 0, sizeof(memory));
	header->magic = IST_ROSTER_MAGIC;
	header->abi_major = IST_ABI_MAJOR;
	header->abi_minor = IST_ABI_MINOR + 7;
	header->page_size = IST_PAGE;
	header->features_required = IST_FEATURE_OUTPUT_SECTIONS;
	header->features_optional = ~0ull;
	header->total_size = 0x10000;
	header->output_offset = 0xa000;
	header->output_size = 0x2000;
	header->max_peers = 3;
	header->vectors = 2;
	header->regions = 2;
	strcpy(header->name, "ping");
	for (unsigned i = 0; i < 2; i++) {
		strcpy(regions[i].name, i ? "second" : "first");
		regions[i].offset = i ? 0x8000 : 0x5000;
		regions[i].size = 0x2000;
		regions[i].coherence = i;
	}
	regions[0].readers = 7;
	regions[0].writers = 2;
	regions[1].readers = 4;
}

static int read_roster(const uint8_t *rights, struct ist_group *out)
{
	struct ist_roster_head head;
	int error = ist_roster_head(memory, &head);

	memset(out, 0, sizeof(*out));
	out->base = memory;
	out->id = 1;
	return error ? error : ist_roster_regions(&head, rights, out);
}

START_TEST(header_and_regions)
{
	const uint8_t rights[IST_REGIONS_MAX] = {IST_RIGHT_READ, IST_RIGHT_WRITE};
	struct ist_roster_head head;
	struct ist_group read;

	make_roster();
	ck_assert_int_eq(ist_roster_head(memory, &head), 0);
	ck_assert_uint_eq(head.page_size, IST_PAGE);
	ck_assert_uint_eq(head.total_size, 0x10000);
	ck_assert_uint_eq(head.output_offset, 0xa000);
	ck_assert_uint_eq(head.output_size, 0x2000);
	ck_assert_uint_eq(head.max_peers, 3);
	ck_assert_uint_eq(head.vectors, 2);
	ck_assert_uint_eq(head.regions, 2);
	ck_assert_str_eq(head.name, "ping");

	ck_assert_int_eq(read_roster(NULL, &read), 0);
	ck_assert_uint_eq(read.regions, 2);
	ck_assert_str_eq(read.region[1].name, "second");
	ck_assert_uint_eq(read.region[1].offset, 0x8000);
	ck_assert_uint_eq(read.region[1].size, 0x2000);
	ck_assert_uint_eq(read.region[1].coherence, 1);
	ck_assert_uint_eq(read.region[0].right, IST_RIGHT_WRITE);
	ck_assert_uint_eq(read.region[1].right, IST_RIGHT_NONE);
	regions[1].readers = 2;
	ck_assert_int_eq(read_roster(NULL, &read), 0);
	ck_assert_uint_eq(read.region[1].right, IST_RIGHT_READ);
	ck_assert_int_eq(read_roster(rights, &read), 0);
	ck_assert_uint_eq(read.region[0].right, IST_RIGHT_READ);
	ck_assert_uint_eq(read.region[1].right, IST_RIGHT_WRITE);

	header->regions = 0;
	header->output_offset = 0;
	header->output_size = 77;
	ck_assert_int_eq(read_roster(NULL, &read), 0);
	ck_assert_uint_eq(read.regions, 0);
}
END_TEST

#define REFUSES(change)                                                                            \
	do {                                                                                       \
		make_roster();                                                                     \
		change;                                                                            \
		ck_assert_int_eq(read_roster(NULL, &read), -EPROTO);                               \
	} while (0)

START_TEST(senseless_rosters)
{
	const uint8_t rights[IST_REGIONS_MAX] = {IST_RIGHT_WRITE, IST_RIGHT_WRITE + 1};
	struct ist_group read;

	REFUSES(header->magic ^= 1);
	REFUSES(header->abi_major++);
	REFUSES(header->features_required |= 2);
	REFUSES(header->page_size = 0);
	REFUSES(header->page_size = 2048);
	REFUSES(header->page_size = IST_PAGE + 1);
	REFUSES(header->page_size = 0x20000);
	REFUSES(header->total_size = 0);
	REFUSES(header->total_size = 0x4000);
	REFUSES(header->total_size = 0x18000);
	REFUSES(header->total_size = 1ull << 47);
	REFUSES(header->max_peers = 0);
	REFUSES(header->max_peers = IST_PEERS_MAX + 1);
	REFUSES(header->vectors = 0);
	REFUSES(header->vectors = IST_VECTORS_MAX + 1);
	REFUSES(header->regions = IST_REGIONS_MAX + 1);
	REFUSES(header->regions = 3); /* the third has no name */
	REFUSES(header->output_offset++);
	REFUSES(header->output_offset = 0x4000);
	REFUSES(header->output_offset = 0xb000); /* the third ends behind the memory */
	REFUSES(header->output_offset = 0ull - IST_PAGE);
	REFUSES(header->output_offset = 0x9000); /* in the second region */
	REFUSES(header->output_size = 0);
	REFUSES(header->output_size = 1ull << 63);
	REFUSES(regions[0].name[0] = 0);
	REFUSES(memset(regions[0].name, 'x', IST_NAME_SIZE));
	REFUSES(regions[0].offset = IST_ROSTER_OFFSET);
	REFUSES(regions[1].offset = 0x6000); /* in the first */
	REFUSES(regions[1].offset = 0x8800);
	REFUSES(regions[1].offset = 0ull - IST_PAGE);
	REFUSES(regions[1].size = 0);
	REFUSES(regions[1].size = 0x3000); /* in the output sections */
	REFUSES(regions[1].size = 0ull - IST_PAGE);
	REFUSES(regions[1].coherence = IST_COHERENCE_INCOHERENT + 1);
	make_roster();
	ck_assert_int_eq(read_roster(rights, &read), -EPROTO);
}
END_TEST

static int restless_stop;

static void *restless(void *argument)
{
	uint32_t incarnation = 0;

	(void)argument;
	while (!__atomic_load_n(&restless_stop, __ATOMIC_RELAXED))
		__atomic_store_n(&table[0].word, IST_PEER_WORD(IST_PEER_LIVE, ++incarnation),
				 __ATOMIC_RELEASE);
	return NULL;
}

/* A word that never rests keeps nobody for ever. */
START_TEST(restless_word)
{
	struct ist_peer_info info;
	pthread_t thread;

	put(0, IST_PEER_LIVE, 1, "zero");
	ck_assert(!pthread_create(&thread, NULL, restless, NULL));
	for (unsigned i = 0; i < 10000; i++) {
		int err = ist_peer_get(&group, 0, &info);

		ck_assert(err == 0 || err == -EPROTO);
	}
	__atomic_store_n(&restless_stop, 1, __ATOMIC_RELAXED);
	ck_assert(!pthread_join(thread, NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("roster_read");
	TCase *words = tcase_create("words");

	tcase_add_test(words, words_and_owners);
	tcase_add_test(words, fates);
	tcase_add_test(words, fates_of_clients);
	tcase_add_test(words, header_and_regions);
	tcase_add_test(words, senseless_rosters);
	tcase_add_test(words, senseless_entries);
	tcase_add_test(words, restless_word);
	suite_add_tcase(suite, words);
	return suite_run(suite);
}
