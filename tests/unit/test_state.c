/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_state.c: the state file: what is stored is found, what cannot be is refused in one line, and
 * a writer that is killed at any instruction leaves the record of before or the one of after.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem/process.h"
#include "ivshmem/state.h"
#include "tests/stops.h"
#include "tests/suite.h"

static char path[64], error[256];
static struct ivshm_state state;

static struct ivshm_state_group a_group(void)
{
	struct ivshm_state_group group = {.memory_device = 1, .memory_inode = 77};

	group.facts.total_size = 1 << 20;
	group.facts.page_size = 4096;
	group.facts.vectors = 4;
	group.facts.max_peers = 8;
	group.facts.regions = 1;
	group.facts.members = 2;
	strcpy(group.facts.region[0].name, "main");
	group.facts.region[0].size = 65536;
	group.facts.region[0].readers = group.facts.region[0].writers = 3;
	strcpy(group.facts.member[0].name, "left");
	strcpy(group.facts.member[1].name, "right");
	return group;
}

static struct ivshm_state_peer a_peer(uint32_t incarnation)
{
	struct ivshm_state_peer peer = {.state = IST_PEER_LIVE,
					.incarnation = incarnation,
					.kind = IST_KIND_PROCESS,
					.pid = 1000 + (int32_t)incarnation,
					.start = 5000 + incarnation};

	for (unsigned i = 0; i < IVSHM_WIRE_FDS_MAX; i++)
		peer.bell[i] = incarnation * 100u + i;
	return peer;
}

static void setup(void)
{
	struct ivshm_state_group group = a_group();

	snprintf(path, sizeof(path), "/tmp/ist-state.XXXXXX");
	close(mkstemp(path));
	ck_assert_int_eq(ivshm_state_create(&state, path, &group, error, sizeof(error)), 0);
}

static void teardown(void)
{
	ivshm_state_close(&state);
	unlink(path);
}

static void reopen(void)
{
	ivshm_state_close(&state);
	ck_assert_int_eq(ivshm_state_open(&state, path, error, sizeof(error)), 0);
}

START_TEST(what_is_stored_is_found)
{
	struct ivshm_state_group group = a_group();
	struct ivshm_state_peer peer = a_peer(3);
	struct ivshm_state_process process = {.pid = 12, .flags = IVSHM_STATE_STARTED, .start = 9};
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_mem_eq(ivshm_state_group(&state), &group, sizeof(group));
	ck_assert_uint_eq(ivshm_state_peer(&state, 1)->state, IST_PEER_ABSENT);
	for (unsigned round = 0; round < 3; round++) {
		group.memory_inode = round;
		peer.incarnation = round + 1;
		process.start = round + 1;
		ivshm_state_set_group(&state, &group);
		ivshm_state_set_peer(&state, 1, &peer);
		ivshm_state_set_process(&state, 0, &process);
		reopen();
		ck_assert_mem_eq(ivshm_state_group(&state), &group, sizeof(group));
		ck_assert_mem_eq(ivshm_state_peer(&state, 1), &peer, sizeof(peer));
		ck_assert_mem_eq(ivshm_state_process(&state, 0), &process, sizeof(process));
	}
	ivshm_state_remove(&state);
	ck_assert_int_eq(ivshm_state_open(&state, path, error, sizeof(error)), -ENOENT);
}
END_TEST

static void expect_none(const char *why)
{
	char line[sizeof(error)];

	snprintf(line, sizeof(line), "%s %s: it counts as none", path, why);
	ck_assert_int_eq(ivshm_state_open(&state, path, error, sizeof(error)), -ESTALE);
	ck_assert_str_eq(error, line);
	ck_assert_ptr_null(state.file);
}

START_TEST(what_is_none_is_refused)
{
	struct ivshm_state_group group = a_group();

	state.file->magic++;
	ivshm_state_close(&state);
	expect_none("is not a whole state file");
	ck_assert_int_eq(chmod(path, 0644), 0);
	expect_none("could be written by others");
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(truncate(path, 100), 0);
	expect_none("has not the size of a state file");
	ck_assert_int_eq(truncate(path, 0), 0);
	expect_none("has not the size of a state file");

	/* A new one takes the place of anything but a folder. */
	ck_assert_int_eq(ivshm_state_create(&state, path, &group, error, sizeof(error)), 0);
	state.file->version++;
	ivshm_state_close(&state);
	expect_none("is of another version");
	ck_assert_int_eq(ivshm_state_create(&state, path, &group, error, sizeof(error)), 0);
	state.file->boot[0] ^= 1;
	ivshm_state_close(&state);
	expect_none("is of another boot");
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(ivshm_state_open(&state, path, error, sizeof(error)), -ELOOP);
}
END_TEST

/* Each byte of a sound file, changed: it is sound, or refused; nobody crashes. */
START_TEST(garbage_is_refused)
{
	static struct ivshm_state_file copy;
	struct ivshm_state_peer peer = a_peer(1);
	unsigned refused = 0;

	ivshm_state_set_peer(&state, 0, &peer);
	for (size_t at = 0; at < sizeof(copy); at++) {
		copy = *state.file;
		((uint8_t *)&copy)[at] ^= 0x80;
		refused += !ivshm_state_is_sound(&copy);
	}
	/* Names, numbers, places: those of every ID at least. */
	ck_assert_uint_gt(refused, 8 * 2 * IST_PEERS_MAX);
	memset(&copy, 0xff, sizeof(copy));
	ck_assert(!ivshm_state_is_sound(&copy));
	memset(&copy, 0, sizeof(copy));
	ck_assert(!ivshm_state_is_sound(&copy));
	copy = *state.file;
	copy.peer[5] = copy.peer[0]; /* LIVE, and no member */
	ck_assert(!ivshm_state_is_sound(&copy));
}
END_TEST

/* ---- Killed at every instruction ---- */

#define RECORDS 3u

static void write_records(void)
{
	for (uint32_t n = 1; n <= RECORDS; n++) {
		struct ivshm_state_peer peer = a_peer(n);
		struct ivshm_state_group group = a_group();

		group.memory_inode = n;
		ivshm_state_set_peer(&state, 0, &peer);
		ivshm_state_set_group(&state, &group);
	}
}

static uint32_t seen;
static unsigned stores, torn, older, unsound;

/* No assertion: TSan does not want one that allocates in here. */
static void look(void)
{
	struct ivshm_state_peer peer = *ivshm_state_peer(&state, 0);
	struct ivshm_state_peer whole = a_peer(peer.incarnation);

	if (peer.incarnation == 0)
		memset(&whole, 0, sizeof(whole));
	stores++;
	torn += memcmp(&peer, &whole, sizeof(peer)) != 0;
	older += peer.incarnation < seen;
	unsound += !ivshm_state_is_sound(state.file);
	seen = peer.incarnation;
}

/* What is in the file ahead of a store is what a SIGKILL there would leave. */
START_TEST(a_killed_writer_leaves_whole_records)
{
	stops_begin(state.file, sizeof(*state.file), STOPS_STORES, look);
	write_records();
	stops_end();
	look();
	ck_assert_uint_gt(stores, 100);
	reopen();
	look();
	ck_assert_uint_eq(torn, 0);
	ck_assert_uint_eq(older, 0);
	ck_assert_uint_eq(unsound, 0);
	ck_assert_uint_eq(seen, RECORDS);
	ck_assert_uint_eq(ivshm_state_group(&state)->memory_inode, RECORDS);
}
END_TEST

/* ---- Which process, which eventfd ---- */

START_TEST(processes_are_told_apart)
{
	uint64_t start;
	pid_t child = fork();
	int pidfd, again;

	if (child == 0) {
		pause();
		_exit(0);
	}
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	ck_assert_int_ge(pidfd, 0);
	ck_assert_int_eq(ivshm_process_start(child, pidfd, &start), 0);
	ck_assert_uint_gt(start, 0);
	ck_assert(ivshm_process_lives(pidfd));
	again = ivshm_process_open(child, start);
	ck_assert_int_ge(again, 0);
	close(again);
	/* A pid that is used again: the same number, another start. */
	ck_assert_int_eq(ivshm_process_open(child, start - 1), -ESRCH);
	kill(child, SIGKILL);
	while (ivshm_process_lives(pidfd))
		;
	ck_assert_int_eq(ivshm_process_start(child, pidfd, &start), -ESRCH);
	ck_assert_int_eq(ivshm_process_open(child, start), -ESRCH); /* not waited for yet */
	waitpid(child, NULL, 0);
	ck_assert_int_eq(ivshm_process_open(child, start), -ESRCH);
	close(pidfd);
}
END_TEST

START_TEST(eventfds_are_told_apart)
{
	int first = eventfd(0, 0), second = eventfd(0, 0), copy = dup(first);
	int file = open("/dev/null", O_RDONLY);
	uint64_t id[3] = {0};

	ck_assert_int_eq(ivshm_eventfd_id(first, &id[0]), 0);
	ck_assert_int_eq(ivshm_eventfd_id(second, &id[1]), 0);
	ck_assert_int_eq(ivshm_eventfd_id(copy, &id[2]), 0);
	ck_assert_uint_ne(id[0], 0);
	ck_assert_uint_ne(id[0], id[1]);
	ck_assert_uint_eq(id[0], id[2]);
	ck_assert_int_eq(ivshm_eventfd_id(file, &id[0]), -EINVAL);
	ck_assert_int_eq(ivshm_eventfd_id(-1, &id[0]), -ENOENT);
	close(first);
	close(second);
	close(copy);
	close(file);
}
END_TEST

/* ---- Facts ---- */

START_TEST(differences_are_named)
{
	static const struct {
		size_t offset;
		const char *text;
	} cases[] = {
#define FACT(field) offsetof(struct ivshm_facts, field)
		{FACT(vectors), "vectors was 4 and is 5"},
		{FACT(max_peers), "max_peers was 8 and is 9"},
		{FACT(output_size), "output was 0 and is 1"},
		{FACT(region[0].size), "size of region 'main' was 65536 and is 65537"},
		{FACT(region[0].writers), "region 'main' has another access"},
		{FACT(region[0].coherence), "region 'main' has another coherence"},
		{FACT(region[0].offset), "region 'main' has another place"},
		{FACT(region[0].recall_ns), "region 'main' has another tenure or recall"},
		{FACT(region[0].name), "region 0 was 'main' and is 'nain'"},
		{FACT(member[1].name), "instance 'right' is gone"},
		{FACT(member[0].kind), "instance 'left' has another kind"},
		{FACT(total_size), "size was 1048576 and is 1048577"},
	};
	struct ivshm_facts old = a_group().facts;

	ck_assert(!ivshm_facts_differ(&old, &old, error, sizeof(error)));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ivshm_facts new = old;

		((uint8_t *)&new)[cases[i].offset]++;
		ck_assert(ivshm_facts_differ(&old, &new, error, sizeof(error)));
		ck_assert_str_eq(error, cases[i].text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tests = tcase_create("state");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_is_stored_is_found);
	tcase_add_test(tests, what_is_none_is_refused);
	tcase_add_test(tests, garbage_is_refused);
	tcase_add_test(tests, a_killed_writer_leaves_whole_records);
	tcase_add_test(tests, processes_are_told_apart);
	tcase_add_test(tests, eventfds_are_told_apart);
	tcase_add_test(tests, differences_are_named);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
