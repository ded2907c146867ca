/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_reload.c: going over to another configuration: who is told what, in which order, and that it
 * is all or nothing.
 */
#include <check.h>
#include <sys/stat.h>

#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/fast_ticks.h"
#include "tests/suite.h"

static struct fixture f;

#include "tests/reload_group.h"

#define SHARED 0u
#define TABLE 1u
#define EXTRA 2u

#define SHARED_RO "size: 64K, access: rw, rights: [{instance: left, access: ro}]"
#define SHARED_RO_LINE "group 'ping': region 'shared' is ro instead of rw for 'left'\n"
#define TABLE_RW                                                                                   \
	"size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, access: rw}, "     \
	"{instance: right, access: rw}, {instance: third, access: none}]"
#define TABLE_RW_LINE "group 'ping': region 'table' is rw instead of ro for 'right'\n"
#define EXTRA_TEXT "      - {name: extra, size: 16K, access: ro}\n"
#define EXTRA_LINE "group 'ping': region 'extra' of 16K is new\n"

/* Joins in a process's place, as the ABI's minor number `minor` and as a kind. */
static struct raw live_as(const char *name, uint32_t minor, uint32_t kind)
{
	struct ivshm_packet hello = {
		.wire = {.type = IST_WIRE_HELLO, .abi = IST_ABI_MAJOR << 16 | minor, .kind = kind}};
	struct raw raw = {.socket = raw_connect(&f)};
	struct ivshm_packet packet;

	memset(raw.own, -1, sizeof(raw.own));
	memset(raw.peer, -1, sizeof(raw.peer));
	snprintf(hello.wire.name, sizeof(hello.wire.name), "%s", name);
	must(ivshm_wire_send(raw.socket, &hello) == 0);
	packet = raw_expect(&f, raw.socket, IST_WIRE_WELCOME);
	raw.memory = packet.fds[0];
	raw.size = packet.wire.size;
	raw.id = packet.wire.id;
	raw.map = mmap(NULL, raw.size, PROT_READ, MAP_SHARED, raw.memory, 0);
	must(raw.map != MAP_FAILED);
	do {
		must(raw_receive(&f, raw.socket, &packet) == 0);
		if (packet.fds_count == FIXTURE_VECTORS)
			raw_keep_peer(&raw, &packet);
		else
			ivshm_wire_close_fds(&packet); /* with a pager's */
	} while (packet.wire.type != IST_WIRE_READY);
	raw_send(raw.socket, IST_WIRE_READY, "");
	fixture_settle(&f);
	return raw;
}

/* ---- Rights ---------------------------------------------------------------------------------- */

/* Roster and vector 0 first; the answer when the VM has answered, and not before. */
START_TEST(less)
{
	struct raw left = raw_live(&f, "left");
	struct ist_wire told;
	uint64_t changes;
	int fd;

	rings(left.own[0]);
	changes = raw_changes(&left);
	write_file((struct text){.shared = SHARED_RO});
	fd = ask_reload(0);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	ck_assert_uint_eq(roster_right(&left, SHARED, 1), IST_RIGHT_WRITE);
	ck_assert_uint_gt(raw_changes(&left), changes);
	ck_assert_uint_gt(rings(left.own[0]), 0);
	told = expect_right(left.socket, SHARED, IST_RIGHT_READ);
	ck_assert(is_quiet(fd));
	right_done(left.socket, told, 0);
	ck_assert_str_eq(answer(fd), SHARED_RO_LINE "= 0");
	ck_assert_uint_eq(owner.prepared + owner.committed, 2);
	ck_assert(is_quiet(left.socket));

	/* The same again: nothing changes. */
	fd = ask_reload(0);
	ck_assert_str_eq(answer(fd), "= 0");
	raw_leave(&f, &left);
}
END_TEST

/* The roster tells of more when the VM has it. */
START_TEST(more)
{
	struct raw right = raw_live(&f, "right");
	struct ist_wire told;
	int fd;

	write_file((struct text){.table = TABLE_RW});
	fd = ask_reload(0);
	told = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);
	ck_assert(is_quiet(fd));
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_READ);
	ck_assert_uint_eq(owner.committed, 0);
	right_done(right.socket, told, 0);
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_WRITE);
	ck_assert_str_eq(answer(fd), TABLE_RW_LINE "= 0");
	raw_leave(&f, &right);
}
END_TEST

/* One gets more and another less: what cannot be had is found out before anything is taken. */
START_TEST(more_is_refused)
{
	struct raw left = raw_live(&f, "left"), right = raw_live(&f, "right");
	struct ivshm_packet packet;
	struct ist_wire told;
	char line[256];
	int fd;

	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	write_file((struct text){.shared = SHARED_RO, .table = TABLE_RW});
	fd = ask_reload(0);
	told = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);
	right_done(right.socket, told, ENOMEM);
	snprintf(line, sizeof(line),
		 "! group 'ping': 'right' (pid %d) cannot have more: Cannot allocate memory\n= 12",
		 getpid());
	ck_assert_str_eq(answer(fd), line);
	ck_assert_uint_eq(owner.committed, 0);
	ck_assert_uint_eq(owner.abandoned, 1);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	ck_assert_uint_eq(roster_right(&left, TABLE, 1), IST_RIGHT_READ);
	/* It was told of nothing, and has what it had. */
	ck_assert(is_quiet(left.socket));
	ck_assert(is_quiet(right.socket));
	raw_leave(&f, &right);
	raw_leave(&f, &left);
}
END_TEST

/* Who does not answer when it gets more is told again what it has; its late answer is no matter. */
START_TEST(more_is_not_answered)
{
	struct raw right = raw_live(&f, "right");
	struct ist_wire first, second;
	char line[256];
	int fd;

	write_file((struct text){.table = TABLE_RW});
	fd = ask_reload(0);
	snprintf(line, sizeof(line), "! group 'ping': 'right' (pid %d) does not answer\n= 110",
		 getpid());
	ck_assert_str_eq(answer(fd), line);
	first = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);
	second = expect_right(right.socket, TABLE, IST_RIGHT_READ);
	right_done(right.socket, first, 0);
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_READ);
	right_done(right.socket, second, 0);
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_READ);
	ck_assert_uint_eq(owner.committed, 0);
	raw_leave(&f, &right);
}
END_TEST

/* Who does not answer when it gets less is named, and the lesser right stands. */
START_TEST(less_is_not_answered)
{
	struct raw left = raw_live(&f, "left"), again;
	char line[256];
	int fd;

	write_file((struct text){.shared = SHARED_RO});
	fd = ask_reload(0);
	snprintf(line, sizeof(line),
		 SHARED_RO_LINE
		 "! group 'ping': 'left' (pid %d) does not answer: it may still have "
		 "what it had\n= 5",
		 getpid());
	ck_assert_str_eq(answer(fd), line);
	ck_assert_uint_eq(owner.committed, 1);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_READ), 0);
	raw_leave(&f, &left);
	again = raw_live(&f, "left");
	ck_assert_uint_eq(roster_right(&again, SHARED, 0), IST_RIGHT_READ);
	raw_leave(&f, &again);
}
END_TEST

/* With --force it is killed: that is the answer. */
START_TEST(force)
{
	struct process left = process_start(&f); /* it answers when it is told to, and is not */
	char line[256];

	ck_assert_str_eq(process_ask(&f, &left, "join left"), "0 +0.1");
	ck_assert_str_eq(process_ask(&f, &left, "ready"), "0");
	write_file((struct text){.shared = SHARED_RO});
	snprintf(line, sizeof(line),
		 SHARED_RO_LINE "group 'ping': 'left' (pid %d) does not answer: killed\n= 0",
		 (int)left.pid);
	ck_assert_str_eq(answer(ask_reload(IVSHM_CONTROL_FORCE)), line);
	must(waitpid(left.pid, NULL, 0) == left.pid);
	close(left.control);
}
END_TEST

/* It has hung up and lives: nobody can tell it anything. */
START_TEST(hung_up)
{
	struct raw left = raw_live(&f, "left");
	char line[256];

	raw_close(&left);
	fixture_settle(&f);
	write_file((struct text){.shared = SHARED_RO});
	snprintf(line, sizeof(line),
		 SHARED_RO_LINE
		 "! group 'ping': 'left' (pid %d) does not answer: it may still have "
		 "what it had\n= 5",
		 getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
}
END_TEST

/* A process is told, and named; nobody waits for it. */
START_TEST(asked)
{
	struct raw left = live_as("left", 2, IST_KIND_PROCESS);
	char line[256];

	write_file((struct text){.shared = SHARED_RO});
	snprintf(line, sizeof(line),
		 SHARED_RO_LINE "group 'ping': 'left' (pid %d) is only asked: a process\n= 0",
		 getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_READ), 0);

	/* And back: the roster follows what it has. */
	write_file((struct text){0});
	ck_assert_str_eq(answer(ask_reload(0)),
			 "group 'ping': region 'shared' is rw instead of ro for 'left'\n= 0");
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_WRITE), 0);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	raw_leave(&f, &left);
}
END_TEST

/* Who speaks an older ABI: a VM keeps what it has, and so does everybody; a process is named. */
START_TEST(older)
{
	struct raw left = live_as("left", 1, IST_KIND_APP);
	char line[256];

	write_file((struct text){.shared = SHARED_RO});
	snprintf(line, sizeof(line),
		 "! not while it runs: group 'ping': region 'shared' is ro instead of rw for "
		 "'left': 'left' (pid %d) speaks ABI 1.1, this takes 1.2\n= 16",
		 getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	raw_leave(&f, &left);

	left = live_as("left", 1, IST_KIND_PROCESS);
	snprintf(line, sizeof(line),
		 SHARED_RO_LINE
		 "group 'ping': 'left' (pid %d) is only asked: a process, which hears "
		 "of it when it joins again\n= 0",
		 getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
	ck_assert(is_quiet(left.socket));
	raw_leave(&f, &left);
}
END_TEST

/* A QEMU is told nothing, and has everything mapped: the roster says what it is asked. */
START_TEST(asked_of_qemu)
{
	char line[256];
	int fd;

	reload_stop();
	start_with((struct text){.left = "kind: qemu, autostart: false",
				 .more = "    legacy: trusted\n"});
	fd = ivshm_door_enter(&ivshm_legacy_door, f.dir, "left@ping");
	must(fd >= 0);
	fixture_settle(&f);
	write_file((struct text){.left = "kind: qemu, autostart: false",
				 .more = "    legacy: trusted\n",
				 .shared = SHARED_RO});
	snprintf(line, sizeof(line),
		 SHARED_RO_LINE "group 'ping': 'left' (pid %d) is only asked: it is a QEMU\n= 0",
		 getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
	close(fd);
}
END_TEST

/* An app that runs as a process: its pager cannot let go of a region. */
START_TEST(pages_of_a_process)
{
	char left[160], line[256];
	struct text text = {.shared = "size: 64K, access: rw, coherence: page", .left = left};
	struct raw raw;

	reload_stop();
	snprintf(left, sizeof(left), "kind: app, image: /etc/passwd, memory: 16M");
	start_with(text);
	raw = live_as("left", 2, IST_KIND_PROCESS);
	text.shared = "size: 64K, access: rw, coherence: page, rights: [{instance: left, access: "
		      "ro}]";
	write_file(text);
	snprintf(line, sizeof(line),
		 "! not while it runs: group 'ping': region 'shared' is ro instead of rw for "
		 "'left': 'left' (pid %d) is a process, and the region page-coherent\n= 16",
		 getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
	raw_leave(&f, &raw);
	raw = live_as("left", 2, IST_KIND_APP);
	raw_send(raw.socket, IST_WIRE_BYE, "");
	raw_close(&raw);
	fixture_settle(&f);
	ck_assert_str_eq(answer(ask_reload(0)), SHARED_RO_LINE "= 0");
}
END_TEST

/* ---- Who comes meanwhile --------------------------------------------------------------------- */

START_TEST(joins_meanwhile)
{
	struct raw right = raw_live(&f, "right"), left;
	struct ist_wire told;
	struct ivshm_packet packet, hello;
	int fd, old;

	write_file((struct text){.shared = SHARED_RO, .table = TABLE_RW});
	fd = ask_reload(0);
	told = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);

	/* One that could not be told. */
	old = raw_connect(&f);
	hello = (struct ivshm_packet){
		.wire = {.type = IST_WIRE_HELLO, .abi = IST_ABI_MAJOR << 16 | 1, .name = "left"}};
	must(ivshm_wire_send(old, &hello) == 0);
	raw_expect_error(&f, old, EAGAIN, "group 'ping' is being changed");

	/* It is told what is in force, and then what has changed; and is waited for. */
	left = raw_live(&f, "left");
	packet = raw_expect(&f, right.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	right_done(right.socket, told, 0);
	ck_assert_uint_eq(owner.committed, 1);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	told = expect_right(left.socket, SHARED, IST_RIGHT_READ);
	ck_assert(is_quiet(fd));
	right_done(left.socket, told, 0);
	ck_assert_str_eq(answer(fd), SHARED_RO_LINE TABLE_RW_LINE "= 0");
	raw_leave(&f, &left);
	raw_leave(&f, &right);
}
END_TEST

/* Another one meanwhile, a START, and who asked hangs up: the first goes on. */
START_TEST(second)
{
	struct ivshm_control request = {.row = {.type = IVSHM_CONTROL_START, .name = "third"}};
	struct raw left = raw_live(&f, "left");
	int fd, other;

	write_file((struct text){.shared = SHARED_RO});
	fd = ask_reload(0);
	other = ask_reload(0);
	ck_assert_str_eq(answer(other), "= 16");
	other = ivshm_door_enter(&ivshm_control_door, f.dir, "1");
	must(other >= 0 && ivshm_control_send(other, &request) == 0);
	ck_assert_str_eq(answer(other), "= 16");
	ck_assert_uint_eq(owner.starts, 0);
	close(fd);
	fixture_settle(&f);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_READ), 0);
	ck_assert_str_eq(answer(ask_reload(0)), "= 0");
	raw_leave(&f, &left);
}
END_TEST

/* ---- Regions --------------------------------------------------------------------------------- */

START_TEST(region_added)
{
	struct raw left = raw_live(&f, "left"), right;
	const struct ist_roster *roster = (const void *)(left.map + IST_ROSTER_OFFSET);
	const struct ist_region *table = (const void *)(left.map + IST_REGION_TABLE_OFFSET);
	struct ivshm_packet packet;
	struct ist_wire told;
	int fd;

	write_file((struct text){.more = EXTRA_TEXT});
	fd = ask_reload(0);
	packet = raw_expect(&f, left.socket, IST_WIRE_REGION);
	ck_assert_uint_eq(packet.wire.id, EXTRA);
	ck_assert_uint_eq(packet.wire.offset, 0x17000);
	ck_assert_uint_eq(packet.wire.size, 0x4000);
	ck_assert_uint_eq(packet.wire.right, IST_RIGHT_NONE);
	ck_assert_str_eq(packet.wire.name, "extra");
	told = expect_right(left.socket, EXTRA, IST_RIGHT_READ);
	ck_assert_uint_eq(roster->regions, 2);
	right_done(left.socket, told, 0);
	ck_assert_uint_eq(roster->regions, 3);
	ck_assert_str_eq(table[EXTRA].name, "extra");
	ck_assert_uint_eq(table[EXTRA].offset, 0x17000);
	ck_assert_uint_eq(table[EXTRA].size, 0x4000);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 0), IST_RIGHT_READ);
	ck_assert_str_eq(answer(fd), EXTRA_LINE "= 0");
	/* Who comes later is told of three at once. */
	right = live_as("right", 2, IST_KIND_APP);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 1), IST_RIGHT_READ);
	raw_leave(&f, &right);
	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	raw_leave(&f, &left);
}
END_TEST

/* Who is not told of it, as it could not follow: it is named. */
START_TEST(region_not_seen)
{
	struct raw left = live_as("left", 1, IST_KIND_APP);
	struct raw right = live_as("right", 2, IST_KIND_PROCESS);
	struct ivshm_packet packet;
	char line[512];

	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	write_file((struct text){.more = EXTRA_TEXT});
	snprintf(line, sizeof(line),
		 EXTRA_LINE
		 "group 'ping': 'right' (pid %d) sees new regions when it joins again\n"
		 "group 'ping': 'left' (pid %d) sees new regions when it joins again\n= 0",
		 getpid(), getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
	ck_assert(is_quiet(left.socket));
	ck_assert_uint_eq(roster_right(&left, EXTRA, 0), IST_RIGHT_NONE);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 1), IST_RIGHT_NONE);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 2), IST_RIGHT_READ);
	raw_leave(&f, &right);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 1), IST_RIGHT_READ);
	packet = raw_expect(&f, left.socket, IST_WIRE_GONE);
	raw_leave(&f, &left);
}
END_TEST

START_TEST(region_taken_back)
{
	struct raw left = raw_live(&f, "left");
	const struct ist_roster *roster = (const void *)(left.map + IST_ROSTER_OFFSET);
	struct ivshm_packet packet;
	char line[256];
	int fd;

	write_file((struct text){.more = EXTRA_TEXT});
	fd = ask_reload(0);
	raw_expect(&f, left.socket, IST_WIRE_REGION);
	right_done(left.socket, expect_right(left.socket, EXTRA, IST_RIGHT_READ), ENOMEM);
	snprintf(line, sizeof(line),
		 "! group 'ping': 'left' (pid %d) cannot have more: Cannot allocate "
		 "memory\n= 12",
		 getpid());
	ck_assert_str_eq(answer(fd), line);
	packet = raw_expect(&f, left.socket, IST_WIRE_REGION);
	ck_assert_uint_eq(packet.wire.id, EXTRA);
	ck_assert_uint_eq(packet.wire.size, 0);
	ck_assert_uint_eq(roster->regions, 2);

	/* And once more, with success. */
	fd = ask_reload(0);
	raw_expect(&f, left.socket, IST_WIRE_REGION);
	right_done(left.socket, expect_right(left.socket, EXTRA, IST_RIGHT_READ), 0);
	ck_assert_str_eq(answer(fd), EXTRA_LINE "= 0");
	ck_assert_uint_eq(roster->regions, 3);
	raw_leave(&f, &left);
}
END_TEST

/* ---- Instances ------------------------------------------------------------------------------- */

#define FOURTH "  - {name: fourth, kind: process, command: [x], groups: [ping]}\n"

START_TEST(instance_added_and_removed)
{
	struct raw left = raw_live(&f, "left"), fourth;
	struct ivshm_packet packet;
	int fd;

	/* third, which runs, goes; fourth comes, before all others in the file. */
	owner.process[2] = (struct ivshm_process){.pid = 77, .pidfd = -1, .since_ns = 1};
	write_file((struct text){
		.table = "size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, "
			 "access: rw}]",
		.others =
			FOURTH "  - {name: right, kind: process, command: [x], groups: [ping]}\n"});
	fd = ask_reload(0);
	ck_assert_uint_eq(owner.stops, 1);
	ck_assert_uint_eq(owner.stopped, 2);
	ck_assert(is_quiet(fd));
	owner.process[2] = (struct ivshm_process){.ended = true};
	ivshm_control_ended(f.broker, 2);
	ck_assert_str_eq(answer(fd), "instance 'fourth' is new\ninstance 'third' is gone\n= 0");
	ck_assert_uint_eq(owner.starts, 1);
	ck_assert_uint_eq(owner.started, 1);
	/* It has the ID that was free; the others have theirs. */
	fourth = live_as("fourth", 2, IST_KIND_PROCESS);
	ck_assert_uint_eq(fourth.id, 2);
	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ck_assert_uint_eq(packet.wire.id, 2);
	ck_assert_str_eq(packet.wire.name, "fourth");
	ivshm_wire_close_fds(&packet);
	raw_leave(&f, &fourth);
	fd = raw_connect(&f);
	raw_send(fd, IST_WIRE_HELLO, "third");
	raw_expect_error(&f, fd, EACCES, "instance 'third' is not in group 'ping'");
	raw_leave(&f, &left);
}
END_TEST

/* An ID in the middle that is nobody's. */
START_TEST(a_hole)
{
	struct raw third;
	int fd;

	write_file((struct text){
		.others = "  - {name: third, kind: process, command: [x], groups: [ping]}\n"});
	ck_assert_str_eq(answer(ask_reload(0)), "instance 'right' is gone\n= 0");
	third = raw_live(&f, "third");
	ck_assert_uint_eq(third.id, 2);
	fd = raw_connect(&f);
	raw_send(fd, IST_WIRE_HELLO, "");
	raw_expect_error(&f, fd, EACCES, "instance '' is not in group 'ping'");
	raw_leave(&f, &third);
}
END_TEST

/* One that joined by itself cannot be stopped, so nothing is done. */
START_TEST(not_started_here)
{
	struct raw third = raw_live(&f, "third");
	char line[256];

	write_file((struct text){
		.table = "size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, "
			 "access: rw}]",
		.others = "  - {name: right, kind: process, command: [x], groups: [ping]}\n"});
	snprintf(line, sizeof(line),
		 "! not while it runs: instance 'third' is gone: it was not started here (pid %d)\n"
		 "= 16",
		 getpid());
	ck_assert_str_eq(answer(ask_reload(0)), line);
	raw_leave(&f, &third);
}
END_TEST

/* STATUS is asked, and not read on, while instances go: it ends where they end. */
START_TEST(status_meanwhile)
{
	struct ivshm_control m = {.row = {.type = IVSHM_CONTROL_STATUS}};
	unsigned instances = 0, peers = 0;
	int fd, status = ivshm_door_enter(&ivshm_control_door, f.dir, "1");

	write_file((struct text){
		.table = "size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, "
			 "access: rw}]",
		.others = "  - {name: right, kind: process, command: [x], groups: [ping]}\n"});
	must(status >= 0);
	fd = ask_reload(0);
	ck_assert_str_eq(answer(fd), "instance 'third' is gone\n= 0");
	must(ivshm_control_send(status, &m) == 0);
	do {
		fixture_await(&f, status);
		must(ivshm_control_receive(status, &m, MSG_DONTWAIT) == 0);
		instances += m.row.type == IVSHM_CONTROL_INSTANCE;
		peers += m.row.type == IVSHM_CONTROL_PEER;
		if (m.row.type == IVSHM_CONTROL_UP)
			ck_assert_str_eq(m.text, file);
	} while (m.row.type != IVSHM_CONTROL_DONE);
	ck_assert_uint_eq(instances, 2);
	ck_assert_uint_eq(peers, 2);
	close(status);
}
END_TEST

/* ---- Nothing --------------------------------------------------------------------------------- */

START_TEST(dry_run)
{
	struct raw left = raw_live(&f, "left");

	write_file((struct text){.shared = SHARED_RO, .table = TABLE_RW, .more = EXTRA_TEXT});
	ck_assert_str_eq(answer(ask_reload(IVSHM_CONTROL_DRY)),
			 SHARED_RO_LINE TABLE_RW_LINE EXTRA_LINE "= 0");
	ck_assert_uint_eq(owner.prepared, 0);
	ck_assert(is_quiet(left.socket));
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	raw_leave(&f, &left);
}
END_TEST

START_TEST(wrong_file)
{
	char line[512];

	write_file((struct text){.shared = "size: 1X", .table = "size: 8K, colour: red"});
	snprintf(line, sizeof(line),
		 "! %s:8:31: error: 'size': expected a size like 4096, 64M or 2G, found '1X'\n",
		 file);
	ck_assert_ptr_nonnull(strstr(answer(ask_reload(0)), "colour"));
	ck_assert_uint_eq(owner.prepared, 0);
	unlink(file);
	snprintf(line, sizeof(line),
		 "! %s:1:1: error: cannot read the file: No such file or directory\n= 2", file);
	ck_assert_str_eq(answer(ask_reload(0)), line);
	must(mkfifo(file, 0600) == 0);
	snprintf(line, sizeof(line), "! %s: not a file\n= 22", file);
	ck_assert_str_eq(answer(ask_reload(0)), line);
}
END_TEST

START_TEST(owner_refuses)
{
	owner.result = -ESHUTDOWN;
	write_file((struct text){.shared = SHARED_RO});
	ck_assert_str_eq(answer(ask_reload(0)), "! all is being ended\n= 108");
	ck_assert_uint_eq(owner.committed, 0);
	owner.result = 0;
	ck_assert_str_eq(answer(ask_reload(0)), SHARED_RO_LINE "= 0");
}
END_TEST

/* What may change when the instance does not run, may not when it does. */
START_TEST(running)
{
	owner.process[0] = (struct ivshm_process){.pid = 77, .pidfd = -1, .since_ns = 1};
	write_file((struct text){.left = "kind: process, command: [y]"});
	ck_assert_str_eq(answer(ask_reload(0)),
			 "! not while it runs: instance 'left': another 'command': 'left' has pid "
			 "77\n= 16");
	owner.process[0] = (struct ivshm_process){.ended = true};
	ck_assert_str_eq(answer(ask_reload(0)), "instance 'left': another 'command'\n= 0");
}
END_TEST

/* The users of a group: the socket opens for them and closes behind them. */
START_TEST(users)
{
	struct stat status;

	write_file((struct text){.more = "    users: [root]\n"});
	ck_assert_str_eq(answer(ask_reload(0)), "group 'ping': other 'users'\n= 0");
	must(stat(f.path, &status) == 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0666);
	write_file((struct text){0});
	ck_assert_str_eq(answer(ask_reload(0)), "group 'ping': other 'users'\n= 0");
	must(stat(f.path, &status) == 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	write_file((struct text){.more = "    users: [nobody-of-that-name]\n"});
	ck_assert_str_eq(answer(ask_reload(0)), "! group 'ping': no user "
						"'nobody-of-that-name'\n= 22");
}
END_TEST

/* An answer that nobody asked for. */
START_TEST(wrong_answers)
{
	struct ist_wire none = {.id = 99, .count = 1};
	struct raw left = raw_live(&f, "left");

	right_done(left.socket, (struct ist_wire){.id = 0, .count = 7}, 0); /* late: nothing */
	ck_assert(is_quiet(left.socket));
	right_done(left.socket, none, 0);
	raw_expect_error(&f, left.socket, EPROTO, "an answer to no RIGHT");
	left.socket = -1;
	raw_close(&left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload");
	TCase *tests = tcase_create("reload");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, reload_start, reload_stop);
	tcase_add_test(tests, less);
	tcase_add_test(tests, more);
	tcase_add_test(tests, more_is_refused);
	tcase_add_test(tests, more_is_not_answered);
	tcase_add_test(tests, less_is_not_answered);
	tcase_add_test(tests, force);
	tcase_add_test(tests, hung_up);
	tcase_add_test(tests, asked);
	tcase_add_test(tests, older);
	tcase_add_test(tests, asked_of_qemu);
	tcase_add_test(tests, pages_of_a_process);
	tcase_add_test(tests, joins_meanwhile);
	tcase_add_test(tests, second);
	tcase_add_test(tests, region_added);
	tcase_add_test(tests, region_not_seen);
	tcase_add_test(tests, region_taken_back);
	tcase_add_test(tests, instance_added_and_removed);
	tcase_add_test(tests, a_hole);
	tcase_add_test(tests, not_started_here);
	tcase_add_test(tests, status_meanwhile);
	tcase_add_test(tests, dry_run);
	tcase_add_test(tests, wrong_file);
	tcase_add_test(tests, owner_refuses);
	tcase_add_test(tests, running);
	tcase_add_test(tests, users);
	tcase_add_test(tests, wrong_answers);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
