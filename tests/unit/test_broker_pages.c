/* SPDX-License-Identifier: BSD-2-Clause */
/* test_broker_pages.c: what a broker does for page-coherent regions: directories, bells, recalls.
 */
#include <check.h>

#include "tests/broker_fixture.h"
#include "tests/suite.h"

#define PAGES 16u /* of region "shared", which is page-coherent here */

static struct fixture f;

static void start(void)
{
	fixture_configure(&f);
	f.region[0].coherence = IST_COHERENCE_PAGE;
	f.region[0].tenure_ns = 50000;
	f.region[0].recall_ns = 1000000000;
	must(fixture_serve(&f) == 0);
}

static struct ivshm_packet hello(int fd, uint32_t kind, uint32_t abi, const char *name)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_HELLO, .abi = abi, .kind = kind}};

	snprintf(packet.wire.name, sizeof(packet.wire.name), "%s", name);
	must(ivshm_wire_send(fd, &packet) == 0);
	return packet;
}

/* A process that joins, as a VM or as itself, and its end of the socket, which it inherited. */
struct vm {
	pid_t pid;
	int socket;
	int memory;
	struct ist_page *entry;
	uint32_t id;
	uint64_t offset; /* of the region */
	int bell;
};

static struct vm join_as(uint32_t kind, const char *name)
{
	struct vm vm = {.bell = -1};
	struct ivshm_packet packet;
	int go[2], number;

	/* The connection has to be of the process that is to be ended. */
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, go) == 0);
	vm.pid = fork();
	must(vm.pid >= 0);
	if (vm.pid == 0) {
		struct iovec one = {"x", 1};
		union {
			struct cmsghdr head;
			char space[CMSG_SPACE(sizeof(int))];
		} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS}};
		struct msghdr message = {.msg_iov = &one,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		number = raw_connect(&f);
		memcpy(CMSG_DATA(&control.head), &number, sizeof(number));
		must(sendmsg(go[1], &message, 0) == 1);
		for (;;)
			pause();
	}
	close(go[1]);
	{
		char byte;
		struct iovec one = {&byte, 1};
		union {
			struct cmsghdr head;
			char space[CMSG_SPACE(sizeof(int))];
		} control;
		struct msghdr message = {.msg_iov = &one,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};

		must(recvmsg(go[0], &message, 0) == 1);
		memcpy(&vm.socket, CMSG_DATA(&control.head), sizeof(vm.socket));
		close(go[0]);
	}
	hello(vm.socket, kind, 0x10001, name);
	packet = raw_expect(&f, vm.socket, IST_WIRE_WELCOME);
	vm.memory = packet.fds[0];
	vm.id = packet.wire.id;
	packet = raw_expect(&f, vm.socket, IST_WIRE_REGION);
	ck_assert_uint_eq(packet.wire.coherence, IST_COHERENCE_PAGE);
	ck_assert_uint_ne(packet.wire.length, 0);
	vm.offset = packet.wire.offset;
	vm.entry = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vm.memory,
			(off_t)packet.wire.length);
	must(vm.entry != MAP_FAILED);
	vm.entry = (void *)((char *)vm.entry + sizeof(struct ist_page_directory));
	packet = raw_expect(&f, vm.socket, IST_WIRE_REGION);
	ck_assert_uint_eq(packet.wire.length, 0);
	do {
		must(raw_receive(&f, vm.socket, &packet) == 0);
		if (packet.wire.type != IST_WIRE_PEER)
			break;
		ck_assert_uint_eq(packet.fds_count, FIXTURE_VECTORS + 1);
		if (packet.wire.id == vm.id)
			vm.bell = packet.fds[--packet.fds_count];
		ivshm_wire_close_fds(&packet);
	} while (1);
	must(packet.wire.type == IST_WIRE_READY);
	raw_send(vm.socket, IST_WIRE_READY, "");
	fixture_settle(&f);
	return vm;
}

static struct vm join(const char *name)
{
	return join_as(IST_KIND_APP, name);
}

static void recall(const struct vm *from, uint32_t id, uint32_t incarnation, uint64_t offset)
{
	struct ivshm_packet packet = {.wire = {.type = IST_WIRE_RECALL,
					       .abi = 0x10001,
					       .id = id,
					       .incarnation = incarnation,
					       .offset = offset}};

	must(ivshm_wire_send(from->socket, &packet) == 0);
	fixture_settle(&f);
}

static void end(struct vm *vm)
{
	int status;

	kill(vm->pid, SIGKILL);
	waitpid(vm->pid, &status, 0);
	munmap((char *)vm->entry - sizeof(struct ist_page_directory), 4096);
	close(vm->memory);
	close(vm->bell);
	close(vm->socket);
	fixture_settle(&f);
}

static bool lives(const struct vm *vm)
{
	siginfo_t info = {0};

	for (int i = 0; i < 100 && info.si_pid == 0; i++) {
		must(waitid(P_PID, (id_t)vm->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
		usleep(1000);
	}
	return info.si_pid == 0;
}

START_TEST(the_directory)
{
	const struct ist_page_directory *head;
	const struct ist_region *table;
	const uint8_t *map;
	struct vm left;

	start();
	left = join("left");
	map = mmap(NULL, 0x20000, PROT_READ, MAP_SHARED, left.memory, 0);
	must(map != MAP_FAILED);
	table = (const void *)(map + IST_REGION_TABLE_OFFSET);
	/* Behind the regions, and the output sections of four peers. */
	ck_assert_uint_eq(table[0].directory, 0x5000 + 0x10000 + 0x2000 + 4 * 0x1000);
	ck_assert_uint_eq(table[1].directory, 0);
	head = (const void *)(map + table[0].directory);
	ck_assert_int_eq(memcmp(head, "!PAGEDIR", 8), 0);
	ck_assert_uint_eq(head->pages, PAGES);
	ck_assert_uint_eq(head->page_size, 4096);
	ck_assert_uint_eq(head->region, 0);
	ck_assert_uint_eq(head->tenure_ns, 50000);
	ck_assert_uint_eq(head->recall_ns, 1000000000);
	munmap((void *)(uintptr_t)map, 0x20000);
	end(&left);
	fixture_stop(&f);
}
END_TEST

START_TEST(who_may_not_join)
{
	struct ivshm_packet packet;
	int fd;

	start();
	f.rights[0].access = IST_RIGHT_NONE;
	fd = raw_connect(&f);
	hello(fd, IST_KIND_QEMU, 0x10001, "left");
	raw_expect_error(&f, fd, EACCES,
			 "instance 'left' has no pager: it has no right on page-coherent region "
			 "'shared'");
	for (unsigned i = 0; i < 2; i++) {
		fd = raw_connect(&f);
		hello(fd, i == 0 ? IST_KIND_LINUX : IST_KIND_PROCESS, 0x10000, "left");
		raw_expect_error(&f, fd, EPROTONOSUPPORT,
				 "group 'ping' has a page-coherent region: that takes isthmus ABI "
				 "1.1, not 1.0");
	}
	/* A process without a right there: the bell of a pager is not for it, nor has it a say. */
	f.region[0].rights = f.rights;
	f.region[0].rights_count = 1;
	fd = raw_connect(&f);
	hello(fd, IST_KIND_PROCESS, 0x10001, "left");
	packet = raw_expect(&f, fd, IST_WIRE_WELCOME);
	ivshm_wire_close_fds(&packet);
	raw_expect(&f, fd, IST_WIRE_REGION);
	raw_expect(&f, fd, IST_WIRE_REGION);
	packet = raw_expect(&f, fd, IST_WIRE_PEER);
	ck_assert_uint_eq(packet.fds_count, FIXTURE_VECTORS);
	ivshm_wire_close_fds(&packet);
	raw_expect(&f, fd, IST_WIRE_READY);
	raw_send(fd, IST_WIRE_READY, "");
	raw_send(fd, IST_WIRE_RECALL, "");
	raw_expect_error(&f, dup(fd), EPROTO, "RECALL is out of order here");
	close(fd);
	fixture_settle(&f);
	ivshm_broker_destroy(f.broker);
	must(rmdir(f.dir) == 0);
}
END_TEST

/* Where the word tells the same story the accused is ended, else nothing happens. */
START_TEST(recalls)
{
	struct vm left, right;

	start();
	left = join_as(_i == 0 ? IST_KIND_APP : IST_KIND_PROCESS, "left");
	right = join_as(_i == 0 ? IST_KIND_PROCESS : IST_KIND_APP, "right");
	left.entry[3].directory = (struct ist_directory){
		IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, right.id + 1, 5), 1ull << right.id};
	recall(&left, right.id, 1, left.offset + 3 * 4096); /* nobody is busy */
	left.entry[3].directory.control =
		IST_DIR_CONTROL(IST_DIR_MODIFIED, left.id + 1, right.id + 1, 5);
	recall(&left, right.id, 1, left.offset + 2 * 4096); /* another page */
	recall(&left, right.id, 2, left.offset + 3 * 4096); /* another incarnation */
	recall(&right, left.id, 1, left.offset + 4 * 4096); /* who is not there */
	ck_assert(lives(&right));
	ck_assert(lives(&left));
	recall(&left, right.id, 1, left.offset + 3 * 4096 + 8);
	ck_assert(!lives(&right));
	fixture_settle(&f);
	end(&right);
	/* Who is busy itself. */
	right = join("right");
	left.entry[0].directory.control = IST_DIR_CONTROL(IST_DIR_NONE, right.id + 1, 0, 9);
	recall(&left, right.id, 2, left.offset);
	ck_assert(!lives(&right));
	end(&right);
	end(&left);
	fixture_stop(&f);
}
END_TEST

/* What a pager cannot do is for the broker's log, and does not end its connection. */
START_TEST(has_a_say)
{
	struct ivshm_packet packet = {
		.wire = {.type = IST_WIRE_ERROR, .code = EIO, .text = "it hurts"}};
	char said[256] = "";
	struct vm left;
	int out, log[2];

	start();
	left = join_as(IST_KIND_PROCESS, "left");
	must(pipe2(log, O_CLOEXEC | O_NONBLOCK) == 0);
	out = dup(STDERR_FILENO);
	must(dup2(log[1], STDERR_FILENO) >= 0);
	must(ivshm_wire_send(left.socket, &packet) == 0);
	fixture_settle(&f);
	must(dup2(out, STDERR_FILENO) >= 0);
	must(read(log[0], said, sizeof(said) - 1) > 0);
	ck_assert_msg(strstr(said, "group ping: peer left (pid ") && strstr(said, "says: it hurts"),
		      "%s", said);
	ck_assert(lives(&left));
	raw_send(left.socket, IST_WIRE_BYE, "");
	fixture_settle(&f);
	must(ivshm_wire_receive(left.socket, &packet) == -EAGAIN);
	close(log[0]);
	close(log[1]);
	close(out);
	end(&left);
	fixture_stop(&f);
}
END_TEST

START_TEST(recalls_that_are_none)
{
	static const struct {
		uint32_t id;
		uint64_t offset;
	} bad[] = {
		{0, 0},                /* itself, and no page */
		{1, 0x4fff},           /* before the region */
		{1, 0x5000 + 0x10000}, /* behind it: the other region */
		{1, UINT64_MAX},
		{4, 0x5000},
		{0xffffffff, 0x5000},
	};

	start();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vm left = join("left");

		recall(&left, bad[i].id, 1, bad[i].offset);
		raw_expect_error(&f, dup(left.socket), EINVAL,
				 "a recall of no page, or of no other peer");
		end(&left);
	}
	fixture_stop(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker pages");
	TCase *tests = tcase_create("broker pages");

	tcase_add_test(tests, the_directory);
	tcase_add_test(tests, who_may_not_join);
	tcase_add_loop_test(tests, recalls, 0, 2);
	tcase_add_test(tests, has_a_say);
	tcase_add_test(tests, recalls_that_are_none);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
