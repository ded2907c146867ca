/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_replica_open.c: cells whose content is in incoherent memory: what is refused, and a hostile
 * peer's words.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "platform/incoherent.h"
#include "tests/suite.h"

#define REGION 524288u
#define POOL 16384u
#define PEERS 4u

static struct ist_cell_options options;
static struct ist_group *alice, *bob;

static void setup(void)
{
	incoherent_create(REGION, POOL, PEERS);
	alice = mem_join(0);
	bob = mem_join(1);
	options = (struct ist_cell_options){.size = 40, .content_region = "pool", .seats = 4};
}

static void teardown(void)
{
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

START_TEST(no_object_in_incoherent_memory)
{
	const struct ist_cell_options there = {.region = "pool", .size = 40};
	const struct ist_channel_options ends = {.region = "pool"};
	struct ist_region_info info;
	struct ist_channel *channel;
	struct ist_cell *cell;

	ck_assert_int_eq(ist_cell_open(alice, "c", &there, &cell), -EOPNOTSUPP);
	ck_assert_int_eq(ist_channel_open(alice, "c", IST_SENDER, &ends, &channel), -EOPNOTSUPP);
	ck_assert_int_eq(ist_region_find(alice, "pool", &info), 0);
	ck_assert_uint_eq(info.coherence, IST_COHERENCE_INCOHERENT);
	/* Nobody has made an arena of it. */
	ck_assert_uint_eq(*(const uint64_t *)info.address, 0);
	/* It is passed over where none is asked for. */
	alice->region[0].right = IST_RIGHT_READ;
	ck_assert_int_eq(ist_cell_open(alice, "c", &(struct ist_cell_options){.size = 8}, &cell),
			 -EACCES);
}
END_TEST

static int opens(struct ist_group *group, const char *name, const struct ist_cell_options *with)
{
	struct ist_cell *cell;
	int error = ist_cell_open(group, name, with, &cell);

	if (!error)
		ist_cell_close(cell);
	return error;
}

START_TEST(refused_openings)
{
	struct ist_cell_options other = options;

	other.policy = IST_PRODUCER_CONSUMER;
	ck_assert_int_eq(opens(alice, "r", &other), -EOPNOTSUPP);
	other = options, other.content_region = "main";
	ck_assert_int_eq(opens(alice, "r", &other), -EINVAL);
	other = options, other.content_region = "nowhere";
	ck_assert_int_eq(opens(alice, "r", &other), -ENOENT);
	other = options, other.region = "view";
	ck_assert_int_eq(opens(alice, "r", &other), -EINVAL);
	other = options, other.size = POOL; /* for each of PEERS, twice */
	ck_assert_int_eq(opens(alice, "r", &other), -ENOSPC);
	alice->region[1].right = IST_RIGHT_READ;
	ck_assert_int_eq(opens(alice, "r", &options), -EACCES);
	alice->region[1].right = IST_RIGHT_WRITE;
	alice->region[0].coherence = IST_COHERENCE_PAGE;
	ck_assert_int_eq(opens(alice, "r", &options), -EINVAL);
	alice->region[0].coherence = IST_COHERENCE_HARDWARE;
	ck_assert_int_eq(opens(alice, "r", &options), 0);
	/* Who does not ask for it finds it, and who asks for it finds no other. */
	other = options, other.content_region = NULL;
	ck_assert_int_eq(opens(bob, "r", &other), 0);
	ck_assert_int_eq(opens(bob, "r", NULL), 0);
	ck_assert_int_eq(opens(bob, "plain", &other), 0);
	ck_assert_int_eq(opens(bob, "plain", &options), -EEXIST);
	other = options, other.size++;
	ck_assert_int_eq(opens(bob, "r", &other), -EMSGSIZE);
	/* Who may not write the pool cannot be given it. */
	bob->region[1].right = IST_RIGHT_READ;
	ck_assert_int_eq(opens(bob, "r", NULL), -EACCES);
	bob->region[1].coherence = IST_COHERENCE_HARDWARE;
	ck_assert_int_eq(opens(bob, "r", NULL), -EPROTO);
}
END_TEST

/* Contents do not touch each other, in any order of making and opening. */
START_TEST(many_replicas)
{
	struct ist_cell *cell[16];
	uint8_t content[300], found[300];
	char name[] = "a";
	unsigned i, made;

	for (i = 0; i < 16; i++, name[0]++) {
		options.size = 1 + i * 17;
		if (ist_cell_open(i % 2 ? alice : bob, name, &options, &cell[i]))
			break;
		memset(content, (int)(i + 1), sizeof(content));
		ck_assert_int_eq(ist_cell_write(cell[i], content, 0), 0);
	}
	made = i; /* a page at least each: as many as fit */
	ck_assert_uint_eq(made, POOL / IST_PAGE);
	for (i = 0, name[0] = 'a'; i < made; i++, name[0]++) {
		ist_cell_close(cell[i]);
		ck_assert_int_eq(ist_cell_open(i % 2 ? bob : alice, name, NULL, &cell[i]), 0);
		ck_assert_int_eq(ist_cell_read(cell[i], found, NULL, 0), 0);
		memset(content, (int)(i + 1), sizeof(content));
		ck_assert_int_eq(memcmp(found, content, ist_cell_size(cell[i])), 0);
		ist_cell_close(cell[i]);
	}
}
END_TEST

/* What no correct peer writes is an error, and the cell is made anew when nobody has it open. */
START_TEST(hostile_words)
{
	uint8_t content[40] = {1};
	struct ist_cell *a, *b;
	uint64_t version;

	ck_assert_int_eq(ist_cell_open(alice, "r", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "r", NULL, &b), 0);
	ck_assert_int_eq(ist_cell_write(a, content, 0), 0);
	switch (_i) {
	case 0:
		a->memory->data[1] = 0;
		break;
	case 1:
		a->memory->data[1] = PEERS + 1;
		break;
	case 2:
		a->memory->data[1] = UINT64_MAX;
		break;
	default:
		a->memory->version = IST_CELL_VERSION(7, IST_CELL_HEAD + (unsigned)_i % 2);
	}
	ck_assert_int_eq(ist_cell_read(b, content, NULL, 0), -EPROTO);
	ck_assert_int_eq(ist_cell_read(b, content, NULL, 0), -EPROTO);
	ck_assert_int_eq(opens(bob, "r", NULL), -EPROTO); /* Alice is there */
	ist_cell_close(a);
	ist_cell_close(b);
	ck_assert_int_eq(ist_cell_open(bob, "r", NULL, &b), 0);
	ck_assert_int_eq(ist_cell_read(b, content, &version, 0), 0);
	ck_assert_uint_eq(version, 0);
	ck_assert_uint_eq(content[0], 0);
	ist_cell_close(b);
}
END_TEST

/* A place that leads out of the pool, or to more peers than there are. */
START_TEST(hostile_places)
{
	static const uint64_t places[] = {
		IST_REPLICA_PLACE(0, 0, PEERS, 0),
		IST_REPLICA_PLACE(0, 3, PEERS, 0),
		IST_REPLICA_PLACE(0, 31, PEERS, 0),
		IST_REPLICA_PLACE(0, 255, PEERS, 0),
		IST_REPLICA_PLACE(0, 1, 0, 0),
		IST_REPLICA_PLACE(0, 1, PEERS - 1, 0),
		IST_REPLICA_PLACE(0, 1, PEERS + 1, 0),
		IST_REPLICA_PLACE(0, 1, 255, 0),
		IST_REPLICA_PLACE(0, 1, PEERS, 4),
		IST_REPLICA_PLACE(1, 1, PEERS, 0),
		IST_REPLICA_PLACE(0, 1, PEERS, (1ull << 40) - 1),
	};
	struct ist_object *slot = (void *)(mem_region() + sizeof(struct ist_arena));

	ck_assert_int_eq(opens(alice, "r", &options), 0);
	ck_assert_uint_eq(slot->type, IST_OBJECT_REPLICA);
	ck_assert_uint_eq(slot->parameters[3], IST_REPLICA_PLACE(0, 1, PEERS, 0));
	slot->parameters[3] = places[_i];
	ck_assert_int_eq(opens(bob, "r", NULL), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replica, openings");
	TCase *test = tcase_create("openings");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, no_object_in_incoherent_memory);
	tcase_add_test(test, refused_openings);
	tcase_add_test(test, many_replicas);
	tcase_add_loop_test(test, hostile_words, 0, 5);
	tcase_add_loop_test(test, hostile_places, 0, 11);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
