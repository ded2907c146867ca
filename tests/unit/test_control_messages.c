/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_control_messages.c: how many messages a peer has sent and received: what its channels in the
 * group's memory say, whatever else is there.
 */
#include <check.h>

#include "ivshmem/log.h"
#include "tests/control_group.h"
#include "tests/suite.h"

#define SHARED 0x5000u /* the region's offset, */
#define SHARED_SIZE 0x10000u

static struct ist_object *object(struct raw *peer, uint32_t index)
{
	return (struct ist_object *)(void *)(peer->map + SHARED + sizeof(struct ist_arena)) + index;
}

/* A channel at `offset` of the region, as its slot and its own words say. */
static void put_channel(struct raw *peer, uint32_t index, uint64_t offset, uint64_t sender,
			uint64_t receiver, uint64_t credit)
{
	struct ist_channel_memory channel = {
		.sender.owner = sender, .receiver.owner = receiver, .credit = credit};
	struct ist_arena arena = {.magic = IST_ARENA_MAGIC};

	memcpy(peer->map + SHARED, &arena, sizeof(arena));
	*object(peer, index) = (struct ist_object){
		.state = IST_OBJECT_READY, .type = IST_OBJECT_CHANNEL, .offset = offset};
	memcpy(peer->map + SHARED + offset, &channel, sizeof(channel));
}

static void expect_messages(uint32_t id, uint64_t sent, uint64_t received)
{
	struct ivshm_control_row row = control_peer(&f, id);

	ck_assert_uint_eq(row.sent, sent);
	ck_assert_uint_eq(row.received, received);
}

START_TEST(messages)
{
	struct raw left = raw_live(&f, "left"), right = raw_live(&f, "right");
	uint64_t l = IST_OWNER(0, 1, 0), r = IST_OWNER(1, 1, 3);

	expect_messages(0, 0, 0);
	put_channel(&left, 0, 0x4000, l, r, 7);
	put_channel(&left, 1, 0x5000, r, l, 100);
	put_channel(&left, 126, 0xf000, l, 0, 1000); /* nobody receives */
	expect_messages(0, 1007, 100);
	expect_messages(1, 100, 7);
	/* No channel, or none yet. */
	object(&left, 0)->type = IST_OBJECT_CELL;
	object(&left, 1)->state = IST_OBJECT_FREE;
	expect_messages(0, 1000, 0);
	/* Another incarnation than is there, one that is nobody's, one beyond all. */
	put_channel(&left, 0, 0x4000, IST_OWNER(0, 2, 0), IST_OWNER(3, 1, 0), 5);
	put_channel(&left, 1, 0x5000, UINT64_MAX, IST_OWNER(63, 1, 0), 5);
	expect_messages(0, 1000, 0);
	expect_messages(1, 0, 0);
	raw_leave(&f, &left);
	expect_messages(0, 0, 0);
	raw_leave(&f, &right);
}
END_TEST

/* A slot that leads out of the region is not followed, and the rest is counted. */
START_TEST(messages_elsewhere)
{
	static const uint64_t offsets[] = {SHARED_SIZE - 511, SHARED_SIZE, UINT64_MAX - 100,
					   1ull << 63};
	struct raw left = raw_live(&f, "left");

	for (uint32_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		put_channel(&left, i, 0x4000, IST_OWNER(0, 1, 0), 0, 9);
		object(&left, i)->offset = offsets[i];
	}
	expect_messages(0, 0, 0);
	put_channel(&left, 9, SHARED_SIZE - sizeof(struct ist_channel_memory), IST_OWNER(0, 1, 0),
		    0, 9);
	expect_messages(0, 9, 0);
	memset(left.map + SHARED, 0xff, SHARED_SIZE);
	expect_messages(0, 0, 0);
	((struct ist_arena *)(void *)(left.map + SHARED))->magic = IST_ARENA_MAGIC;
	expect_messages(0, 0, 0);
	raw_leave(&f, &left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control, messages");
	TCase *tests = tcase_create("messages");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, control_start, control_stop);
	tcase_add_test(tests, messages);
	tcase_add_test(tests, messages_elsewhere);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
