/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_linux_device.c: a Linux guest with our module: the group through /dev/isthmusN, and who runs
 * there.
 */
#include <check.h>

#include "tests/linux_driver.h"
#include "tests/suite.h"

#include "guestlib/core/group.h"

static struct ist_group *group;

/* ---- Which device ---- */

START_TEST(opens)
{
	struct ist_region_info region;
	struct ist_group *again;
	unsigned fds = count_descriptors();

	ck_assert_int_eq(ist_group_open(_i ? "ping" : NULL, &group), 0);
	ck_assert_str_eq(ist_group_name(group), "ping");
	ck_assert_uint_eq(ist_group_self(group), TREE_ID);
	ck_assert_uint_eq(ist_group_vectors(group), FIXTURE_VECTORS);
	ck_assert_uint_eq(ist_group_max_peers(group), FIXTURE_PEERS);
	ck_assert_int_eq(ist_group_interrupts(group), 1);
	ck_assert_int_eq(ist_peer_wait(group, "third", 0, NULL), 0);
	ck_assert_int_eq(ist_region_find(group, "shared", &region), 0);
	ck_assert_int_eq(region.right, IST_WRITE);
	*(volatile char *)region.address = 42;
	ck_assert_int_eq(tree.memory.map[tree.memory.layout.region_offset[0]], 42);
	ck_assert_int_eq(ist_region_get(group, 1, &region), 0);
	ck_assert_int_eq(region.right, IST_READ);
	tree.memory.map[tree.memory.layout.region_offset[1]] = 43;
	ck_assert_int_eq(*(volatile char *)region.address, 43);
	/* Every open is a holder of its own, also in one process. */
	ck_assert_int_eq(ist_group_open(NULL, &again), 0);
	ck_assert_uint_eq(ist_group_owner(group), IST_OWNER(TREE_ID, TREE_INCARNATION, 1));
	ck_assert_uint_eq(ist_group_owner(again), IST_OWNER(TREE_ID, TREE_INCARNATION, 2));
	ist_group_close(again);
	ist_group_close(group);
	ck_assert_uint_eq(count_descriptors(), fds);
}
END_TEST

START_TEST(which)
{
	char path[256];

	ck_assert_int_eq(ist_group_open("pong", &group), -ENOENT);
	tree_write(tree.sys, "class/isthmus/isthmus7/group", "pong\n");
	ck_assert_int_eq(ist_group_open(NULL, &group), -EINVAL);
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	ist_group_close(group);
	/* There, but nobody made its node: no reason to look elsewhere. */
	ck_assert_int_eq(ist_group_open("pong", &group), -ENODEV);
	/* What its name says, the device must confirm. */
	tree_link(tree.dev, "isthmus7", tree.memory.fd);
	strcpy(driver.info.name, "pang");
	ck_assert_int_eq(ist_group_open("pong", &group), -EPROTO);
	/* A name without end, a device without a group: neither is the one. */
	tree_write(tree.sys, "class/isthmus/isthmus7/group",
		   "pingpingpingpingpingpingpingpingping\n");
	snprintf(path, sizeof(path), "%s/class/isthmus/isthmus0/group", tree.sys);
	must(remove(path) == 0);
	ck_assert_int_eq(ist_group_open("ping", &group), -ENOENT);
}
END_TEST

START_TEST(refuses)
{
	struct ist_linux_info *info = &driver.info;
	char path[256];

	REFUSES(EPROTO, info->version++);
	REFUSES(EPROTO, info->personality = 0);
	REFUSES(EPROTO, info->personality = 3);
	REFUSES(EPROTO, info->id = FIXTURE_PEERS);
	REFUSES(EPROTO, info->id = 2); /* of another incarnation */
	REFUSES(EPROTO, info->incarnation = 0);
	REFUSES(EPROTO, info->incarnation++);
	REFUSES(EPROTO, info->vectors = IST_VECTORS_MAX + 1);
	REFUSES(EPROTO, info->max_peers--);
	REFUSES(EPROTO, info->max_peers = IST_PEERS_MAX + 1);
	REFUSES(EPROTO, info->regions = 1);
	REFUSES(EPROTO, info->client = 0);
	REFUSES(EPROTO, driver.clients = IST_CLIENTS_MAX - 1);
	REFUSES(EPROTO, info->doorbell = 2);
	REFUSES(EPROTO, info->doorbell = IST_PAGE);
	REFUSES(EPROTO, info->size *= 2);
	REFUSES(EPROTO, info->name[0] = 0);
	REFUSES(EPROTO, memset(info->name, 'p', IST_NAME_SIZE));
	REFUSES(EPROTO, strcpy(info->name, "pings"));
	REFUSES(EPROTO, info->rights[1] = IST_RIGHT_WRITE + 1);
	REFUSES(EPROTO, tree_roster(&tree)->magic++);
	REFUSES(EPROTO, tree_roster(&tree)->regions = 3);
	REFUSES(EPROTO, memset(tree.memory.map, 0xff, IST_REGIONS_OFFSET));
	REFUSES(ENODEV, driver.error[0] = ENODEV);
	REFUSES(ENOTTY, driver.error[0] = ENOTTY); /* no device of ours */
	REFUSES(ENODEV, (snprintf(path, sizeof(path), "%s/isthmus0", tree.dev), remove(path)));
}
END_TEST

START_TEST(nth_mapping_fails)
{
	unsigned fds = count_descriptors(), failed = 0;
	int err;

	do {
		driver.fail_mmap = ++failed;
		err = ist_group_open("ping", &group);
		if (err)
			ck_assert_int_eq(err, -ENOMEM);
	} while (err);
	driver.fail_mmap = 0;
	ck_assert_uint_gt(failed,
			  8); /* head, counts, registers, who runs, all, roster, two regions */
	ist_group_close(group);
	ck_assert_uint_eq(count_descriptors(), fds);
}
END_TEST

/* ---- Who runs ---- */

/* Of the incarnation that is there, as the page says at this moment; of another nothing. */
START_TEST(who_runs)
{
	struct ist_run_peer *peer = &driver.run->peer[2];

	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_peer_running(group, 2), -ENODATA);
	*peer = (struct ist_run_peer){.incarnation = 5, .threads = 1, .running = 1};
	ck_assert_int_eq(ist_peer_running(group, 2), 1);
	peer->running = 0;
	ck_assert_int_eq(ist_peer_running(group, 2), 0);
	peer->incarnation = 4;
	ck_assert_int_eq(ist_peer_running(group, 2), -ENODATA);
	ist_group_close(group);
}
END_TEST

/* The driver has none, or what it has is none: everything works, and nothing is known. */
START_TEST(nobody_says_who_runs)
{
	driver.run->peer[2] = (struct ist_run_peer){.incarnation = 5, .threads = 1, .running = 1};
	if (_i == 0)
		driver.info.run_state = 0;
	if (_i == 1)
		driver.run->magic++;
	if (_i == 2)
		driver.run->abi_major++;
	if (_i == 3)
		driver.run->max_peers = FIXTURE_PEERS - 1;
	if (_i == 4)
		driver.run->max_peers = IST_PEERS_MAX + 1;
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_peer_running(group, 2), -ENODATA);
	ist_group_close(group);
}
END_TEST

/* With the device the page is gone; what is left in its place says nothing, and can be read. */
START_TEST(who_ran_before_the_end)
{
	uint32_t seen = 0;

	driver.run->peer[2] = (struct ist_run_peer){.incarnation = 5, .threads = 1, .running = 1};
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_int_eq(ist_peer_running(group, 2), 1);
	unbind();
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), -ENODEV);
	ck_assert_int_lt(ist_peer_running(group, 2), 0);
	ist_group_close(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linux_device");
	TCase *tests = tcase_create("linux_device");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, opens, 0, 2);
	tcase_add_test(tests, which);
	tcase_add_test(tests, refuses);
	tcase_add_test(tests, nth_mapping_fails);
	tcase_add_test(tests, who_runs);
	tcase_add_loop_test(tests, nobody_says_who_runs, 0, 5);
	tcase_add_test(tests, who_ran_before_the_end);
	return suite_run(suite);
}
