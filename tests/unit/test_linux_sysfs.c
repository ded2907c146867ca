/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_linux_sysfs.c: a Linux guest without our module: the group through the PCI device's files in
 * sysfs: which device, what of it is refused, memory, doorbells, waiting without interrupts.
 */
#include <check.h>

#include "tests/linux_tree.h"
#include "tests/suite.h"

#include "guestlib/core/group.h"

#define SECOND 1000000000ull
#define V1 "0000:00:04.0"
#define V2 "0000:00:05.0"
#define BAR0 0x140u /* where in its page the registers are */

static struct tree tree;
static uint32_t *registers;
static int registers_fd;
static struct ist_group *group;

static void put(const char *function, const char *name, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/%s", function, name);
	tree_write(tree.sys, path, text);
}

static void link_file(const char *function, const char *name, int fd)
{
	char path[96];

	snprintf(path, sizeof(path), "bus/pci/devices/%s/%s", function, name);
	tree_link(tree.sys, path, fd);
}

static uint32_t *reg(uint32_t offset)
{
	return &registers[(BAR0 + offset) / sizeof(uint32_t)];
}

static void add_function(const char *name, const char *vendor, const char *device, int memory)
{
	put(name, "vendor", vendor);
	put(name, "device", device);
	put(name, "enable", "0\n");
	put(name, "resource", "0x00000000febf1140 0x00000000febf123f 0x0000000000040200\n");
	link_file(name, "resource0", registers_fd);
	put(name, "resource1", "");
	link_file(name, "resource2", memory);
}

static void setup(void)
{
	tree_make(&tree);
	registers_fd = memfd_create("registers", MFD_CLOEXEC);
	must(registers_fd >= 0 && ftruncate(registers_fd, IST_PAGE) == 0);
	registers = mmap(NULL, IST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, registers_fd, 0);
	must(registers != MAP_FAILED);
	*reg(IST_V1_POSITION) = TREE_ID;
	add_function(V1, "0x1af4\n", "0x1110\n", tree.memory.fd);
	/* Others are passed over. */
	put("0000:00:00.0", "vendor", "0x8086\n");
	put("0000:00:00.0", "device", "0x1237\n");
	put("0000:00:01.0", "vendor", "0x1af4\n");
	put("0000:00:01.0", "device", "0x1041\n");
	put("0000:00:02.0", "vendor", "\n");
}

static void teardown(void)
{
	munmap(registers, IST_PAGE);
	close(registers_fd);
	tree_remove(&tree);
}

static void check_group(void)
{
	struct ist_region_info region;
	struct ist_peer_info peer;

	ck_assert_str_eq(ist_group_name(group), "ping");
	ck_assert_uint_eq(ist_group_self(group), TREE_ID);
	ck_assert_uint_eq(group->incarnation, TREE_INCARNATION);
	ck_assert_uint_eq(ist_group_vectors(group), FIXTURE_VECTORS);
	ck_assert_uint_eq(ist_group_max_peers(group), FIXTURE_PEERS);
	ck_assert_int_eq(ist_group_interrupts(group), 0);
	ck_assert_int_eq(ist_peer_find(group, "left", &peer), 0);
	ck_assert_int_eq(peer.state, IST_STATE_LIVE);
	ck_assert_int_eq(ist_region_find(group, "shared", &region), 0);
	ck_assert_int_eq(region.right, IST_WRITE);
	ck_assert_uint_eq(region.size, 65536);
	*(volatile char *)region.address = 42;
	ck_assert_int_eq(tree.memory.map[tree.memory.layout.region_offset[0]], 42);
	tree.memory.map[tree.memory.layout.region_offset[0]] = 0;
	ck_assert_int_eq(ist_region_find(group, "table", &region), 0);
	ck_assert_int_eq(region.right, IST_READ);
	tree.memory.map[tree.memory.layout.region_offset[1]] = 43;
	ck_assert_int_eq(*(volatile char *)region.address, 43);
}

START_TEST(opens)
{
	char text[8] = "";
	unsigned fds = count_descriptors();

	ck_assert_int_eq(ist_group_open(_i ? "ping" : NULL, &group), 0);
	check_group();
	ck_assert_int_eq(ist_exits(&(uint32_t){0}), -ENODEV);
	ck_assert_int_eq(ist_linux_read(tree.sys, "bus/pci/devices/" V1 "/enable", text, 8), 0);
	ck_assert_str_eq(text, "1"); /* somebody must have told the device to answer */
	ist_group_close(group);
	ck_assert_uint_eq(count_descriptors(), fds);
}
END_TEST

START_TEST(opens_v2)
{
	put(V1, "device", "0x1111\n");
	*reg(IST_V1_POSITION) = 99;
	*reg(IST_V2_ID) = TREE_ID;
	add_function(V2, "0x110a\n", "0x4106\n", tree.memory.fd);
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	check_group();
	ist_group_close(group);
}
END_TEST

/* No right, no mapping: read-only for "right", absent for "third". */
START_TEST(no_right)
{
	volatile char *forbidden;
	int status;
	pid_t pid;

	*reg(IST_V1_POSITION) = _i ? 1 : 2;
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	forbidden = (char *)group->base + tree.memory.layout.region_offset[1];
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer's own would talk */
		*forbidden = 1;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ist_group_close(group);
}
END_TEST

START_TEST(doorbells_go_out)
{
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(*reg(IST_V1_DOORBELL), IST_DOORBELL(2, 1));
	ck_assert_int_eq(ist_doorbell_ring(group, 3, 1), -EPIPE);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, FIXTURE_VECTORS), -EINVAL);
	ck_assert_uint_eq(*reg(IST_V1_DOORBELL), IST_DOORBELL(2, 1));
	ck_assert_uint_eq(*reg(IST_V2_DOORBELL + 4), 0);
	ist_group_close(group);
}
END_TEST

/* QEMU's device has numbers for incarnations. */
START_TEST(numbers)
{
	ivshm_roster_admit(&tree.memory, 3, 5, "fourth", FIXTURE_VECTORS, IST_KIND_QEMU);
	ivshm_roster_set_state(&tree.memory, 3, 5, IST_PEER_LIVE);
	*reg(IST_V1_POSITION) = IST_QEMU_NUMBER(3, 5);
	ck_assert_uint_eq(*reg(IST_V1_POSITION), 3 + 4 * 64);
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	ck_assert_uint_eq(ist_group_self(group), 3);
	tree_peer(&tree, 2, 1025, IST_PEER_LIVE);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(*reg(IST_V1_DOORBELL), IST_DOORBELL(2, 1));
	tree_peer(&tree, 2, 1026, IST_PEER_LIVE);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	ck_assert_uint_eq(*reg(IST_V1_DOORBELL), IST_DOORBELL(64 + 2, 1));
	ist_group_close(group);
}
END_TEST

/* Nothing wakes who waits, and yet it sees what it waits for. */
START_TEST(waits_by_looking)
{
	uint32_t seen = 0;
	pid_t pid;

	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	ck_assert_int_eq(ist_doorbell_wait(group, 1, &seen, IST_FOREVER), -ENOSYS);
	ck_assert_int_eq(ist_peer_wait(group, "none", 0, NULL), -ETIMEDOUT);
	ck_assert_int_eq(ist_peer_wait(group, "none", 1000000, NULL), -ETIMEDOUT);
	pid = fork();
	if (pid == 0) {
		ist_sleep_ns(20000000);
		tree_peer(&tree, 3, 1, IST_PEER_LIVE);
		_exit(0);
	}
	ck_assert_int_eq(ist_peer_wait(group, "none", IST_FOREVER, NULL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ist_group_close(group);
}
END_TEST

/* One process a device; the next one takes over what a dead one held. */
START_TEST(one_at_a_time)
{
	struct ist_channel_options options = {"shared", 8, 0, 1};
	struct ist_channel *channel;
	struct ist_group *again;
	char byte;
	int ready[2], status;
	pid_t pid;

	must(pipe2(ready, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		must(ist_group_open("ping", &group) == 0);
		must(ist_channel_open(group, "c", IST_RECEIVER, &options, &channel) == 0);
		must(write(ready[1], "", 1) == 1);
		ist_channel_recv(channel, &byte, 1, IST_FOREVER);
		_exit(1);
	}
	close(ready[1]);
	must(read(ready[0], &byte, 1) == 1);
	ck_assert_int_eq(ist_group_open("ping", &group), -EBUSY);
	must(kill(pid, SIGKILL) == 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	ck_assert_int_eq(ist_group_open("ping", &again), -EBUSY);
	ck_assert_int_eq(ist_channel_open(group, "c", IST_RECEIVER, &options, &channel), 0);
	ist_channel_close(channel);
	ist_group_close(group);
	close(ready[0]);
}
END_TEST

START_TEST(which)
{
	struct ivshm_memory other;

	ck_assert_int_eq(ist_group_open("pong", &group), -ENOENT);
	tree.fixture.group.name = (char[]){"pong"};
	must(ivshm_memory_create(&other, &tree.fixture.config, &tree.fixture.group,
				 tree.fixture.error, sizeof(tree.fixture.error)) == 0);
	ivshm_roster_admit(&other, TREE_ID, 1, "right", FIXTURE_VECTORS, IST_KIND_QEMU);
	ivshm_roster_set_state(&other, TREE_ID, 1, IST_PEER_LIVE);
	add_function(V2, "0x1af4\n", "0x1110\n", other.fd);
	ck_assert_int_eq(ist_group_open(NULL, &group), -EINVAL);
	ck_assert_int_eq(ist_group_open("pong", &group), 0);
	ck_assert_str_eq(ist_group_name(group), "pong");
	ist_group_close(group);
	/* What is not a group of ours is nobody's candidate. */
	memset(other.map, 0, other.layout.total_size);
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ck_assert_str_eq(ist_group_name(group), "ping");
	ist_group_close(group);
	ivshm_memory_destroy(&other);
}
END_TEST

/* A host's instance is not in a guest, and a guest's group need not be looked for on a host. */
START_TEST(a_host_goes_first)
{
	must(setenv("ISTHMUS_INSTANCE", "left", 1) == 0);
	ck_assert_int_eq(ist_group_open("ping", &group), -ENOENT);
	must(setenv("ISTHMUS_INSTANCE", "", 1) == 0);
	must(setenv("ISTHMUS_RUNTIME_DIR", tree.fixture.dir, 1) == 0);
	ck_assert_int_eq(ist_group_open("ping", &group), -ENOENT);
	must(unsetenv("ISTHMUS_RUNTIME_DIR") == 0);
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	ist_group_close(group);
}
END_TEST

static void remove_in(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", tree.sys, V1, name);
	must(remove(path) == 0);
}

/* The memory's bytes in a file of another size. */
static void resize(off_t size)
{
	int fd = memfd_create("copy", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, tree.memory.map, 0x8000) == 0x8000 && ftruncate(fd, size) == 0);
	link_file(V1, "resource2", fd);
}

START_TEST(refuses)
{
	REFUSES(ENOENT, put(V1, "device", "0x1112\n"));
	REFUSES(ENOENT, put(V1, "vendor", "nonsense\n"));
	REFUSES(ENOENT, put(V1, "vendor", "0x11af4\n"));
	REFUSES(ENOENT, remove_in("vendor"));
	REFUSES(ENOENT, remove_in("resource2"));
	REFUSES(ENOENT, remove_in("resource0"));
	REFUSES(ENOENT, remove_in("resource1")); /* without doorbells its ID is none */
	REFUSES(ENOENT, remove_in("resource"));
	REFUSES(EPROTO, put(V1, "resource", ""));
	REFUSES(EPROTO, put(V1, "resource", "where?\n"));
	REFUSES(EPROTO, put(V1, "resource", "0xfebf1f40 0xfebf203f 0x40200\n"));
	REFUSES(EPROTO, tree_roster(&tree)->magic++);
	REFUSES(EPROTO, tree_roster(&tree)->abi_major++);
	REFUSES(EPROTO, tree_roster(&tree)->total_size *= 2);
	REFUSES(EPROTO, tree_roster(&tree)->total_size /= 2);
	REFUSES(EPROTO, tree_roster(&tree)->name[0] = 0);
	REFUSES(EPROTO, memset(tree_roster(&tree)->name, 'x', IST_NAME_SIZE));
	REFUSES(EPROTO, tree_roster(&tree)->regions = 3);
	REFUSES(EPROTO, memset(tree.memory.map, 0xff, IST_REGIONS_OFFSET));
	REFUSES(EPROTO, resize(0x4000));
	REFUSES(EPROTO, resize(0));
	REFUSES(EPROTO, resize(0x40000));
	REFUSES(EPROTO, *reg(IST_V1_POSITION) = FIXTURE_PEERS);
	REFUSES(EPROTO, *reg(IST_V1_POSITION) = UINT32_MAX); /* old QEMU, not set up yet */
	REFUSES(EPROTO, *reg(IST_V1_POSITION) = 3);          /* nobody has that ID */
	REFUSES(EPROTO, tree_peer(&tree, TREE_ID, 8, IST_PEER_DEAD));
	/* Without an "enable" there is nothing to enable. */
	teardown();
	setup();
	remove_in("enable");
	ck_assert_int_eq(ist_group_open(NULL, &group), 0);
	ist_group_close(group);
}
END_TEST

START_TEST(nothing_there)
{
	ist_linux_sys = "/nonexistent";
	ck_assert_int_eq(ist_group_open(NULL, &group), -ENOENT);
	ck_assert_int_eq(ist_group_open("ping", &group), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linux_sysfs");
	TCase *tests = tcase_create("linux_sysfs");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, opens, 0, 2);
	tcase_add_test(tests, opens_v2);
	tcase_add_loop_test(tests, no_right, 0, 2);
	tcase_add_test(tests, doorbells_go_out);
	tcase_add_test(tests, numbers);
	tcase_add_test(tests, waits_by_looking);
	tcase_add_test(tests, one_at_a_time);
	tcase_add_test(tests, which);
	tcase_add_test(tests, a_host_goes_first);
	tcase_add_test(tests, refuses);
	tcase_add_test(tests, nothing_there);
	return suite_run(suite);
}
