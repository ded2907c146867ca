/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client.c: the client against a broker that plays a script, true or spoilt. */
#include <check.h>

#include "tests/process_peer.h"
#include "tests/suite.h"

enum { WELCOME, SHARED, TABLE, SELF, OTHER, READY, STEPS };

static struct {
	char path[96];
	char dir[64];
	int listener;
	pid_t pid; /* who plays the broker */
	struct ivshm_packet script[STEPS + 4];
	unsigned steps;
	struct process_state state;
	unsigned descriptors;
} t;

static const struct ivshm_client_ops ops = {
	.peer = process_peer, .gone = process_gone, .bells = process_bells};

static int make_memory(uint64_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static void script_peer(struct ivshm_packet *p, uint32_t id, uint32_t incarnation)
{
	p->wire = (struct ist_wire){
		.type = IST_WIRE_PEER, .id = id, .incarnation = incarnation, .vectors = 2};
	snprintf(p->wire.name, sizeof(p->wire.name), "peer%u", id);
	p->fds_count = 2;
	for (unsigned i = 0; i < 2; i++)
		p->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static void setup(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *tmp = getenv("TMPDIR");

	memset(&t, 0, sizeof(t));
	memset(t.state.doorbell, -1, sizeof(t.state.doorbell));
	t.descriptors = count_descriptors();
	snprintf(t.dir, sizeof(t.dir), "%s/brk.XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	must(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/s", t.dir);
	strcpy(address.sun_path, t.path);
	t.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(bind(t.listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(t.listener, 1) == 0);

	t.script[WELCOME].wire = (struct ist_wire){
		.type = IST_WIRE_WELCOME,
		.abi = IVSHM_WIRE_ABI,
		.id = 1,
		.incarnation = 7,
		.vectors = 2,
		.count = 4,
		.size = 0x20000,
		.page_size = 4096,
		.offset = 0x10000,
		.length = 0x1000,
		.name = "ping",
	};
	t.script[WELCOME].fds_count = 1;
	t.script[WELCOME].fds[0] = make_memory(0x20000, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	t.script[SHARED].wire = (struct ist_wire){.type = IST_WIRE_REGION,
						  .right = IST_RIGHT_WRITE,
						  .offset = 0x5000,
						  .size = 0x1000,
						  .name = "shared"};
	t.script[TABLE].wire = (struct ist_wire){.type = IST_WIRE_REGION,
						 .id = 1,
						 .right = IST_RIGHT_READ,
						 .offset = 0x6000,
						 .size = 0xa000,
						 .coherence = 2,
						 .name = "table"};
	script_peer(&t.script[SELF], 1, 7);
	script_peer(&t.script[OTHER], 3, 2);
	t.script[READY].wire.type = IST_WIRE_READY;
	t.steps = STEPS;
}

/* Plays the script to who connects, then waits until it hangs up, or for READY and BYE. */
static void play(void)
{
	t.pid = fork();
	must(t.pid >= 0);
	if (t.pid == 0) {
		struct ivshm_packet p;
		int fd = accept(t.listener, NULL, NULL);
		unsigned said = 0;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(recv(fd, &p.wire, sizeof(p.wire), 0) == sizeof(p.wire));
		must(p.wire.type == IST_WIRE_HELLO && p.wire.abi == IVSHM_WIRE_ABI);
		must(!strcmp(p.wire.name, "right") && p.wire.kind == IST_KIND_LINUX);
		for (unsigned i = 0; i < t.steps; i++)
			ivshm_wire_send(fd, &t.script[i]);
		while (recv(fd, &p.wire, sizeof(p.wire), 0) > 0)
			said = said * 10 + p.wire.type;
		_exit((int)said); /* 57: READY, BYE */
	}
	for (unsigned i = 0; i < STEPS + 4; i++)
		ivshm_wire_close_fds(&t.script[i]);
	close(t.listener);
}

static int run(void)
{
	play();
	return ivshm_client_join(&t.state.client, t.path, "right", IST_KIND_LINUX, &ops, &t.state,
				 t.state.error, sizeof(t.state.error));
}

/* Ends, with nothing left open here; the broker has heard this. */
static void teardown(int said)
{
	int status;

	ck_assert_uint_eq(count_descriptors(), t.descriptors);
	must(waitpid(t.pid, &status, 0) == t.pid);
	ck_assert_int_eq(WEXITSTATUS(status), said);
	unlink(t.path);
	rmdir(t.dir);
}

static void expect_failure(int code, const char *text)
{
	char expected[256];

	snprintf(expected, sizeof(expected), "%s: %s", t.path, text);
	ck_assert_int_eq(run(), code);
	ck_assert_str_eq(t.state.error, expected);
	teardown(0);
}

START_TEST(joins)
{
	struct ivshm_client *c = &t.state.client;

	setup();
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(t.state.heard, " +1.7 +3.2");
	ck_assert_uint_eq(c->id, 1);
	ck_assert_uint_eq(c->incarnation, 7);
	ck_assert_uint_eq(c->vectors, 2);
	ck_assert_uint_eq(c->max_peers, 4);
	ck_assert_uint_eq(c->size, 0x20000);
	ck_assert_uint_eq(c->output_offset, 0x10000);
	ck_assert_uint_eq(c->output_size, 0x1000);
	ck_assert_str_eq(c->group, "ping");
	ck_assert_uint_eq(c->regions, 2);
	ck_assert_str_eq(c->region[1].name, "table");
	ck_assert_uint_eq(c->region[1].offset, 0x6000);
	ck_assert_uint_eq(c->region[1].size, 0xa000);
	ck_assert_uint_eq(c->region[1].right, IST_RIGHT_READ);
	ck_assert_uint_eq(c->region[1].coherence, IST_COHERENCE_INCOHERENT);
	ck_assert_int_eq(fcntl(c->memory, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(ivshm_client_dispatch(c), 0);
	ck_assert_int_eq(ivshm_client_ready(c), 0);
	ivshm_client_leave(c);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(57);
}
END_TEST

/* A field of a message, spoilt. Fields of 4 bytes, or 8 where `size` says so. */
#define FIELD(name) offsetof(struct ist_wire, name), sizeof(((struct ist_wire *)0)->name)
static const struct {
	unsigned step;
	size_t offset, size;
	uint64_t value;
	const char *wrong;
} spoilt[] = {
	{WELCOME, FIELD(abi), 0x20000, "another ABI"},
	{WELCOME, FIELD(abi), 0, "another ABI"},
	{WELCOME, FIELD(id), 4, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(id), 0xffffffff, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(count), 0, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(count), 65, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(incarnation), 0, "no incarnation"},
	{WELCOME, FIELD(vectors), 0, "a number of vectors out of range"},
	{WELCOME, FIELD(vectors), 17, "a number of vectors out of range"},
	{WELCOME, FIELD(page_size), 0, "no page size"},
	{WELCOME, FIELD(page_size), 8192, "no page size"},
	{WELCOME, FIELD(size), 0, "no size of a group"},
	{WELCOME, FIELD(size), 0x21000, "no size of a group"},
	{WELCOME, FIELD(size), 0x4000, "no size of a group"},
	{WELCOME, FIELD(size), 0x40000, "the memory has another size"},
	{WELCOME, FIELD(size), 1ull << 63, "the memory has another size"},
	{WELCOME, FIELD(offset), 0x1d000, "output sections beyond the memory"},
	{WELCOME, FIELD(offset), 0xfffffffffffff000, "output sections beyond the memory"},
	{WELCOME, FIELD(offset), 0x10001, "output sections beyond the memory"},
	{WELCOME, FIELD(offset), 0x1000, "output sections beyond the memory"},
	{WELCOME, FIELD(length), 0x8000, "output sections beyond the memory"},
	{WELCOME, FIELD(length), 0x8000000000000000, "output sections beyond the memory"},
	{WELCOME, FIELD(length), 1, "output sections beyond the memory"},
	{WELCOME, FIELD(type), IST_WIRE_READY, "out of order"},
	{WELCOME, FIELD(type), IST_WIRE_REGION, "out of order"},
	{WELCOME, FIELD(type), IST_WIRE_PEER, "out of order"},
	{WELCOME, FIELD(type), 99, "out of order"},
	{SHARED, FIELD(id), 1, "an index out of order"},
	{TABLE, FIELD(id), 0, "an index out of order"},
	{SHARED, FIELD(size), 0, "beyond the memory"},
	{SHARED, FIELD(size), 0x1001, "beyond the memory"},
	{SHARED, FIELD(size), 0x40000, "beyond the memory"},
	{SHARED, FIELD(size), 0xfffffffffffff000, "beyond the memory"},
	{SHARED, FIELD(offset), 0x5001, "beyond the memory"},
	{SHARED, FIELD(offset), 0xfffffffffffff000, "beyond the memory"},
	{SHARED, FIELD(offset), 0x1000, "over something else"},
	{TABLE, FIELD(offset), 0x5000, "over something else"},
	{TABLE, FIELD(size), 0xb000, "over something else"},
	{SHARED, FIELD(right), 3, "an unknown right"},
	{SHARED, FIELD(coherence), 3, "an unknown coherence"},
	{SHARED, FIELD(coherence), 1, "a page directory without pages, or pages without"},
	{SHARED, FIELD(length), 0x18000, "a page directory without pages, or pages without"},
	{SHARED, FIELD(type), IST_WIRE_WELCOME, "out of order"},
	{TABLE, FIELD(type), IST_WIRE_READY, "out of order"},
	{SELF, FIELD(id), 3, "out of order"},
	{SELF, FIELD(incarnation), 8, "not who this is"},
	{SELF, FIELD(vectors), 1, "not as many doorbells as vectors"},
	{SELF, FIELD(vectors), 0, "not as many doorbells as vectors"},
	{SELF, FIELD(vectors), 0xffffffff, "not as many doorbells as vectors"},
	{SELF, FIELD(type), IST_WIRE_GONE, "out of order"},
	{OTHER, FIELD(id), 4, "an ID out of range"},
	{OTHER, FIELD(id), 0xffffffff, "an ID out of range"},
	{OTHER, FIELD(id), 1, "a peer that is there already"},
	{OTHER, FIELD(incarnation), 0, "no incarnation"},
	{OTHER, FIELD(vectors), 3, "not as many doorbells as vectors"},
	{OTHER, FIELD(type), IST_WIRE_REGION, "out of order"},
	{READY, FIELD(type), 0, "out of order"},
	{READY, FIELD(type), IST_WIRE_WELCOME, "out of order"},
	{READY, FIELD(type), IST_WIRE_HELLO, "out of order"},
};

START_TEST(spoilt_field)
{
	struct ist_wire *wire;
	char text[128];

	setup();
	wire = &t.script[spoilt[_i].step].wire;
	memcpy((char *)wire + spoilt[_i].offset, &spoilt[_i].value, spoilt[_i].size);
	snprintf(text, sizeof(text), "the broker sent message %u: %s", wire->type,
		 spoilt[_i].wrong);
	expect_failure(-EPROTO, text);
}
END_TEST

/* Region 0 is page-coherent: its directory is behind the output sections of 0x14000. */
static const struct {
	uint64_t shared, table; /* where the directories are */
	const char *wrong;      /* NULL: nothing is */
} directories[] = {
	{0x14000, 0x15000, NULL},
	{0x1d000, 0x1e000, NULL},
	{0x14001, 0, "a page directory over something else, or beyond the memory"},
	{0x13000, 0, "a page directory over something else, or beyond the memory"},
	{0x5000, 0, "a page directory over something else, or beyond the memory"},
	{0x20000, 0, "a page directory over something else, or beyond the memory"},
	{0xfffffffffffff000, 0, "a page directory over something else, or beyond the memory"},
	{0x14000, 0x14000, "a page directory over something else, or beyond the memory"},
	{0x15000, 0x14000, "a page directory over something else, or beyond the memory"},
	{0x14000, 0x1f000, NULL},
	{0x14000, 0x20000, "a page directory over something else, or beyond the memory"},
};

START_TEST(page_directories)
{
	char text[128];

	setup();
	t.script[SHARED].wire.coherence = IST_COHERENCE_PAGE;
	t.script[SHARED].wire.length = directories[_i].shared;
	t.script[TABLE].wire.coherence = IST_COHERENCE_PAGE;
	t.script[TABLE].wire.length = directories[_i].table;
	for (unsigned step = SELF; step <= OTHER; step++) {
		struct ivshm_packet *packet = &t.script[step];

		packet->fds[packet->fds_count++] = eventfd(0, EFD_CLOEXEC);
	}
	if (directories[_i].wrong) {
		snprintf(text, sizeof(text), "the broker sent message 3: %s",
			 directories[_i].wrong);
		expect_failure(-EPROTO, text);
		return;
	}
	ck_assert_int_eq(run(), 0);
	ck_assert_uint_eq(t.state.client.region[0].directory, directories[_i].shared);
	ck_assert_uint_eq(t.state.client.region[1].directory, directories[_i].table);
	ck_assert_uint_eq(t.state.client.directories, directories[_i].shared);
	ivshm_client_leave(&t.state.client);
	ck_assert_uint_eq(t.state.pagers, 2);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(7);
}
END_TEST

/* A group with page directories whose peers have no pagers, and the other way round. */
START_TEST(bells_of_pagers)
{
	setup();
	if (_i == 0)
		t.script[SELF].fds[t.script[SELF].fds_count++] = eventfd(0, EFD_CLOEXEC);
	t.script[SHARED].wire.coherence = _i == 0 ? 0 : IST_COHERENCE_PAGE;
	t.script[SHARED].wire.length = _i == 0 ? 0 : 0x14000;
	expect_failure(-EPROTO, "the broker sent message 4: not as many doorbells as vectors");
}
END_TEST

START_TEST(spoilt_memory)
{
	struct ivshm_packet *welcome = &t.script[WELCOME];

	setup();
	close(welcome->fds[0]);
	welcome->fds[0] = make_memory(0x20000, F_SEAL_SHRINK);
	expect_failure(-EPROTO, "the broker sent message 2: the memory's size is not sealed");
	setup();
	close(welcome->fds[0]);
	welcome->fds[0] = make_memory(0x10000, F_SEAL_SHRINK | F_SEAL_GROW);
	expect_failure(-EPROTO, "the broker sent message 2: the memory has another size");
	setup();
	close(welcome->fds[0]);
	welcome->fds[0] = eventfd(0, EFD_CLOEXEC);
	expect_failure(-EPROTO, "the broker sent message 2: the memory has another size");
	setup();
	welcome->fds[1] = dup(welcome->fds[0]);
	welcome->fds_count = 2;
	expect_failure(-EPROTO, "the broker sent message 2: no memory");
	setup();
	ivshm_wire_close_fds(welcome);
	expect_failure(-EPROTO, "the broker sent message 2: no memory");
}
END_TEST

/* Descriptors where none belong are closed, and do no harm otherwise. */
START_TEST(extra_descriptors)
{
	setup();
	t.script[SHARED].fds[0] = eventfd(0, EFD_CLOEXEC);
	t.script[SHARED].fds_count = 1;
	t.script[READY].fds[0] = eventfd(0, EFD_CLOEXEC);
	t.script[READY].fds_count = 1;
	ck_assert_int_eq(run(), 0);
	ivshm_client_leave(&t.state.client);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(7);
}
END_TEST

START_TEST(region_index)
{
	setup();
	ivshm_wire_close_fds(&t.script[SELF]);
	t.script[SELF] = t.script[TABLE];
	t.script[SELF].wire.id = 0x7fffffff;
	expect_failure(-EPROTO, "the broker sent message 3: an index out of order");
}
END_TEST

START_TEST(refused)
{
	setup();
	ivshm_wire_close_fds(&t.script[0]);
	t.script[0] = (struct ivshm_packet){.wire = {.type = IST_WIRE_ERROR,
						     .code = EBUSY,
						     .text = "instance 'right' is busy"}};
	t.steps = 1;
	expect_failure(-EBUSY, "instance 'right' is busy");
	setup();
	ivshm_wire_close_fds(&t.script[3]);
	t.script[3] = (struct ivshm_packet){
		.wire = {.type = IST_WIRE_ERROR, .code = 0x80000000, .text = "worse"}};
	t.steps = 4;
	expect_failure(-EPROTO, "worse");
}
END_TEST

START_TEST(no_broker)
{
	struct ivshm_client c;
	char error[256], path[200];

	ck_assert_int_eq(ivshm_client_join(&c, "/nonexistent/ping.sock", "right", 0, &ops, NULL,
					   error, sizeof(error)),
			 -ENOENT);
	ck_assert_str_eq(error, "/nonexistent/ping.sock: no broker serves this group");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(ivshm_client_join(&c, path, "right", 0, &ops, NULL, error, sizeof(error)),
			 -ENAMETOOLONG);
	path[32] = '\0';
	ck_assert_int_eq(ivshm_client_join(&c, "/x", path, 0, &ops, NULL, error, sizeof(error)),
			 -EINVAL);
}
END_TEST

/* The broker goes silent in the middle of the script: peers told of are taken back. */
START_TEST(silence)
{
	setup();
	t.steps = READY;
	play();
	ck_assert_int_eq(ivshm_client_join(&t.state.client, t.path, "right", IST_KIND_LINUX, &ops,
					   &t.state, t.state.error, sizeof(t.state.error)),
			 -ETIMEDOUT);
	ck_assert_str_eq(t.state.heard, " +1.7 +3.2 -1.7/0 -3.2/0");
	teardown(0);
}
END_TEST

/* After joining: what may come, what may not, and the end. */
START_TEST(updates)
{
	static const struct {
		uint32_t type, id, incarnation, state;
		int result;
		const char *heard;
	} later[] = {
		{IST_WIRE_GONE, 3, 2, IST_PEER_DEAD, 0, " -3.2/4"},
		{IST_WIRE_GONE, 3, 2, IST_PEER_ABSENT, 0, " -3.2/0"},
		{IST_WIRE_GONE, 3, 2, IST_PEER_LIVE, -EPROTO, ""},
		{IST_WIRE_GONE, 3, 1, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_GONE, 2, 0, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_GONE, 1, 7, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_GONE, 0xffffffff, 1, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_PEER, 2, 1, 0, 0, " +2.1"},
		{IST_WIRE_PEER, 3, 3, 0, -EPROTO, ""},
		{IST_WIRE_PEER, 64, 3, 0, -EPROTO, ""},
		{IST_WIRE_WELCOME, 0, 1, 0, -EPROTO, ""},
		{IST_WIRE_REGION, 2, 1, 0, -EPROTO, ""},
		{IST_WIRE_READY, 0, 0, 0, -EPROTO, ""},
		{IST_WIRE_ERROR, 0, 0, 0, -EPROTO, ""},
		{0x10000, 0, 0, 0, -EPROTO, ""},
	};

	for (unsigned i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		struct ivshm_client *c = &t.state.client;
		struct ivshm_packet *p = &t.script[STEPS];
		struct pollfd wait;

		setup();
		if (later[i].type == IST_WIRE_PEER)
			script_peer(p, later[i].id, later[i].incarnation);
		p->wire.type = later[i].type;
		p->wire.id = later[i].id;
		p->wire.incarnation = later[i].incarnation;
		p->wire.state = later[i].state;
		t.steps = STEPS + 1;
		ck_assert_int_eq(run(), 0);
		t.state.heard[0] = '\0';
		wait = (struct pollfd){.fd = c->socket, .events = POLLIN};
		ck_assert_int_eq(poll(&wait, 1, FIXTURE_PATIENCE_MS), 1);
		ck_assert_int_eq(ivshm_client_dispatch(c), later[i].result);
		ck_assert_str_eq(t.state.heard, later[i].heard);
		ivshm_client_leave(c);
		for (uint32_t id = 0; id < 4; id++) {
			for (unsigned v = 0; v < 2 && c->present[id]; v++)
				close(t.state.doorbell[id][v]);
		}
		teardown(7);
	}
}
END_TEST

/* RUN_STATE comes before the script's message `at`. */
static void insert_run_state(unsigned at, uint64_t size, int fd)
{
	memmove(&t.script[at + 1], &t.script[at], (t.steps - at) * sizeof(t.script[0]));
	t.script[at] = (struct ivshm_packet){.wire = {.type = IST_WIRE_RUN_STATE, .size = size},
					     .fds_count = fd >= 0,
					     .fds = {fd}};
	t.steps++;
}

static int make_page(void)
{
	return make_memory(IST_RUN_STATE_SIZE, F_SEAL_SHRINK | F_SEAL_GROW);
}

START_TEST(run_state)
{
	struct ivshm_client *c = &t.state.client;

	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_page());
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(fcntl(c->run_state, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(ivshm_client_thread(c, 12, 1), 0);
	ck_assert_int_eq(ivshm_client_ready(c), 0);
	ivshm_client_leave(c);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown((10 * 100 + 57) & 255); /* THREAD, READY, BYE */
}
END_TEST

START_TEST(no_run_state)
{
	setup();
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(t.state.client.run_state, -1);
	ck_assert_int_eq(ivshm_client_thread(&t.state.client, 12, 1), 0);
	ivshm_client_leave(&t.state.client);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(7); /* BYE: no THREAD */
}
END_TEST

START_TEST(spoilt_run_state)
{
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, -1);
	expect_failure(-EPROTO, "the broker sent message 9: no run-state page");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE * 2, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: no run-state page");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_memory(IST_RUN_STATE_SIZE, 0));
	expect_failure(-EPROTO, "the broker sent message 9: a run-state page that may shrink");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE,
			 make_memory(4096, F_SEAL_SHRINK | F_SEAL_GROW));
	expect_failure(-EPROTO, "the broker sent message 9: a run-state page that may shrink");
	setup();
	insert_run_state(WELCOME, IST_RUN_STATE_SIZE, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: out of order");
	setup();
	insert_run_state(TABLE, IST_RUN_STATE_SIZE, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: out of order");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_page());
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: out of order");
}
END_TEST

START_TEST(broker_gone)
{
	struct pollfd wait;

	setup();
	ck_assert_int_eq(run(), 0);
	must(kill(t.pid, SIGKILL) == 0);
	wait = (struct pollfd){.fd = t.state.client.socket, .events = POLLIN};
	ck_assert_int_eq(poll(&wait, 1, FIXTURE_PATIENCE_MS), 1);
	ck_assert_int_eq(ivshm_client_dispatch(&t.state.client), -EPIPE);
	ck_assert_int_eq(ivshm_client_ready(&t.state.client), -EPIPE); /* and no SIGPIPE */
	ivshm_client_leave(&t.state.client);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tcase = tcase_create("client");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, joins);
	tcase_add_loop_test(tcase, spoilt_field, 0, sizeof(spoilt) / sizeof(spoilt[0]));
	tcase_add_loop_test(tcase, page_directories, 0,
			    sizeof(directories) / sizeof(directories[0]));
	tcase_add_loop_test(tcase, bells_of_pagers, 0, 2);
	tcase_add_test(tcase, spoilt_memory);
	tcase_add_test(tcase, extra_descriptors);
	tcase_add_test(tcase, region_index);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, no_broker);
	tcase_add_test(tcase, silence);
	tcase_add_test(tcase, updates);
	tcase_add_test(tcase, run_state);
	tcase_add_test(tcase, no_run_state);
	tcase_add_test(tcase, spoilt_run_state);
	tcase_add_test(tcase, broker_gone);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
