/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_group_host.c: libisthmus in processes, against the real broker: who is there, and may do
 * what.
 */
#include <check.h>
#include <stdint.h>

#include "tests/joined_group.h"
#include "tests/suite.h"

/* ---- Joining --------------------------------------------------------------------------------- */

START_TEST(who_and_where)
{
	struct ist_group *g = NULL;
	char path[128];

	served_start(&served);
	ck_assert_int_eq(ist_group_open("pong", &g), -ENOENT);
	ck_assert_int_eq(ist_group_open("", &g), -ENOENT);
	ck_assert_int_eq(ist_group_open("../ping", &g), -ENOENT);
	ck_assert_int_eq(ist_group_open("a-name-of-more-than-thirty-one-characters", &g), -ENOENT);

	setenv("ISTHMUS_INSTANCE", "stranger", 1);
	ck_assert_int_eq(ist_group_open("ping", &g), -EACCES);
	setenv("ISTHMUS_INSTANCE", "a-name-of-more-than-thirty-one-characters", 1);
	ck_assert_int_eq(ist_group_open("ping", &g), -EACCES);
	unsetenv("ISTHMUS_INSTANCE");
	ck_assert_int_eq(ist_group_open("ping", &g), -EACCES);
	setenv("ISTHMUS_INSTANCE", "left", 1);

	setenv("ISTHMUS_GROUPS", "", 1);
	ck_assert_int_eq(ist_group_open(NULL, &g), -ENOENT);
	setenv("ISTHMUS_GROUPS", "ping pong", 1);
	ck_assert_int_eq(ist_group_open(NULL, &g), -EINVAL);
	setenv("ISTHMUS_GROUPS", "pong", 1);
	ck_assert_int_eq(ist_group_open(NULL, &g), -ENOENT);
	ck_assert_ptr_null(g);
	setenv("ISTHMUS_GROUPS", " ping ", 1);
	ck_assert_int_eq(ist_group_open(NULL, &g), 0);
	ck_assert_str_eq(ist_group_name(g), "ping");
	ist_group_close(g);

	unsetenv("ISTHMUS_GROUPS");
	ck_assert_int_eq(ist_group_open(NULL, &g), 0);
	ist_group_close(g);
	snprintf(path, sizeof(path), "%s/pong.sock", served.fixture.dir);
	must(symlink("nowhere", path) == 0);
	ck_assert_int_eq(ist_group_open(NULL, &g), -EINVAL);
	must(unlink(path) == 0);

	setenv("XDG_RUNTIME_DIR", served.fixture.dir, 1);
	setenv("ISTHMUS_RUNTIME_DIR", "", 1);
	ck_assert_int_eq(ist_group_open("ping", &g), -ENOENT);
	ck_assert_int_eq(ist_group_open(NULL, &g), -ENOENT);
	snprintf(path, sizeof(path), "%s/isthmus", served.fixture.dir);
	must(symlink(".", path) == 0);
	ck_assert_int_eq(ist_group_open("ping", &g), 0);
	ist_group_close(g);
	must(unlink(path) == 0);
	ist_group_close(NULL);
	served_stop(&served);
}
END_TEST

START_TEST(join_leave_join)
{
	struct ist_peer_info info;
	struct ist_group *g;
	unsigned fds;

	served_start(&served);
	fds = count_descriptors();
	for (uint32_t i = 1; i <= 20; i++) {
		ck_assert_int_eq(ist_group_open("ping", &group), 0);
		ck_assert_int_eq(ist_group_open("ping", &g), -EBUSY);
		ck_assert_int_eq(ist_peer_get(group, 0, &info), 0);
		ck_assert_uint_eq(info.incarnation, i);
		ck_assert_int_eq(info.state, IST_STATE_LIVE);
		ist_group_close(group);
		ck_assert_uint_eq(count_descriptors(), fds);
	}
	served_stop(&served);
}
END_TEST

START_TEST(what_it_is)
{
	struct ist_region_info info;

	ck_assert_str_eq(ist_group_name(group), "ping");
	ck_assert_uint_eq(ist_group_self(group), 0);
	ck_assert_uint_eq(ist_group_max_peers(group), FIXTURE_PEERS);
	ck_assert_uint_eq(ist_group_vectors(group), FIXTURE_VECTORS);
	ck_assert_int_eq(ist_region_get(group, 0, &info), 0);
	ck_assert_str_eq(info.name, "shared");
	ck_assert_uint_eq(info.size, 65536);
	ck_assert_int_eq(info.right, IST_WRITE);
	ck_assert_uint_eq(info.coherence, IST_COHERENCE_HARDWARE);
	ck_assert_int_eq(ist_region_get(group, 1, &info), 0);
	ck_assert_str_eq(info.name, "table");
	ck_assert_int_eq(info.right, IST_WRITE);
	ck_assert_uint_eq(info.coherence, IST_COHERENCE_INCOHERENT);
	ck_assert_int_eq(ist_region_get(group, 2, &info), -ENOENT);
	ck_assert_int_eq(ist_region_get(group, UINT32_MAX, &info), -ENOENT);
	ck_assert_int_eq(ist_region_find(group, "tab", &info), -ENOENT);
	ck_assert_int_eq(ist_region_find(group, "", &info), -ENOENT);
	ck_assert_int_eq(ist_region_find(group, "a-name-of-more-than-thirty-one-characters", &info),
			 -ENOENT);
}
END_TEST

/* ---- Rights ---------------------------------------------------------------------------------- */

static void write_table(struct ist_group *mine)
{
	struct ist_region_info info, shared;

	signal(SIGSEGV, SIG_DFL); /* not the sanitizer's */
	must(ist_region_find(mine, "table", &info) == 0 && info.right == IST_READ);
	must(ist_region_find(mine, "shared", &shared) == 0);
	*(volatile uint32_t *)shared.address = *(volatile uint32_t *)info.address;
	*(volatile uint32_t *)info.address = 1;
}

static void look_behind(struct ist_group *mine)
{
	struct ist_region_info shared, table;

	signal(SIGSEGV, SIG_DFL);
	must(ist_region_find(mine, "shared", &shared) == 0);
	must(ist_region_find(mine, "table", &table) == 0);
	must(table.right == IST_NONE && !table.address);
	*(volatile uint32_t *)shared.address = 1;
	/* The table comes behind the region "shared" in the group. */
	*(volatile uint32_t *)shared.address =
		*(volatile uint32_t *)(void *)((uint8_t *)shared.address + shared.size);
}

static void write_before(struct ist_group *mine)
{
	signal(SIGSEGV, SIG_DFL);
	/* The last byte of the roster comes before the first region. */
	((volatile uint8_t *)flags(mine))[-1] = 0;
}

static void expect_fault(const char *name, void (*body)(struct ist_group *))
{
	int status;
	pid_t pid = peer_start(name, body);

	must(waitpid(pid, &status, 0) == pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSEGV);
}

START_TEST(rights_hold)
{
	struct ist_region_info table;

	ck_assert_int_eq(ist_region_find(group, "table", &table), 0);
	set(table.address, 42);
	expect_fault("right", write_table);
	ck_assert_uint_eq(get(flags(group)), 42); /* it could read */
	ck_assert_uint_eq(get(table.address), 42);
	expect_fault("third", look_behind);
	ck_assert_uint_eq(get(flags(group)), 1);
	expect_fault("third", write_before);
}
END_TEST

/* ---- Peers ----------------------------------------------------------------------------------- */

static void until_told(struct ist_group *mine)
{
	await(flags(mine), 1);
}

START_TEST(peers_come_and_go)
{
	struct ist_peer_info info = {0};
	pid_t right;

	ck_assert_int_eq(ist_peer_get(group, FIXTURE_PEERS, &info), -EINVAL);
	ck_assert_int_eq(ist_peer_get(group, 1, &info), 0);
	ck_assert_int_eq(info.state, IST_STATE_ABSENT);
	ck_assert_uint_eq(info.incarnation, 0);
	ck_assert_int_eq(ist_peer_find(group, "right", &info), -ENOENT);
	ck_assert_int_eq(ist_peer_wait(group, "right", 0, NULL), -ETIMEDOUT);
	ck_assert_int_eq(ist_peer_wait(group, "nobody", 1000000, &info), -ETIMEDOUT);

	right = peer_start("right", until_told);
	ck_assert_int_eq(ist_peer_wait(group, "right", PATIENCE_NS, &info), 0);
	ck_assert_uint_eq(info.id, 1);
	ck_assert_uint_eq(info.incarnation, 1);
	ck_assert_uint_eq(info.vectors, FIXTURE_VECTORS);
	ck_assert_str_eq(info.name, "right");
	ck_assert_int_eq(ist_peer_wait(group, "right", 0, NULL), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), 0);
	set(flags(group), 1);
	peer_join(right);
	await_state(1, 1, IST_STATE_ABSENT);
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), -EPIPE);

	right = peer_start("right", forever);
	ck_assert_int_eq(ist_peer_wait(group, "right", IST_FOREVER, &info), 0);
	ck_assert_uint_eq(info.incarnation, 2);
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), 0);
	peer_kill(right);
	await_state(1, 2, IST_STATE_DEAD);
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), -EPIPE);
	ck_assert_int_eq(ist_peer_find(group, "right", &info), 0);
	ck_assert_int_eq(info.state, IST_STATE_DEAD);
}
END_TEST

/* ---- Time and console ------------------------------------------------------------------------ */

START_TEST(time_and_console)
{
	uint64_t before = ist_time_ns();
	uint32_t exits;
	char text[64] = "";
	int ends[2], old = dup(1);

	ist_sleep_ns(2000000);
	ck_assert_uint_ge(ist_time_ns() - before, 2000000);
	ck_assert_int_eq(ist_exits(&exits), -ENODEV);

	must(old >= 0 && pipe(ends) == 0 && dup2(ends[1], 1) == 1);
	ck_assert_int_eq(ist_print("%s %d", "forty", 2), 7);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(read(ends[0], text, sizeof(text)), -1); /* no line yet */
	ck_assert_int_eq(ist_print("%c", '\n'), 1);
	ck_assert_int_eq(read(ends[0], text, sizeof(text) - 1), 8);
	dup2(old, 1);
	ck_assert_str_eq(text, "forty 2\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group_host");
	TCase *with = tcase_create("joined"), *without = tcase_create("alone");

	tcase_add_checked_fixture(with, start, stop);
	tcase_add_test(with, what_it_is);
	tcase_add_test(with, rights_hold);
	tcase_add_test(with, peers_come_and_go);
	tcase_add_test(without, who_and_where);
	tcase_add_test(without, join_leave_join);
	tcase_add_test(without, time_and_console);
	suite_add_tcase(suite, with);
	suite_add_tcase(suite, without);
	return suite_run(suite);
}
