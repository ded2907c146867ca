/* SPDX-License-Identifier: BSD-2-Clause */
/* test_host_join.c: libisthmus in a process, against a broker that says what no broker should. */
#include <check.h>
#include <stddef.h>

#include "tests/served_group.h"
#include "tests/suite.h"

#define SIZE 0x10000u
#define STEPS 6
#define FDS_MAX 20

enum { WELCOME, REGION_0, REGION_1, SELF, OTHER, READY };

struct step {
	struct ist_wire wire;
	size_t length;
	unsigned fds;
	int fd[FDS_MAX];
};

struct conversation {
	int memory;
	uint8_t *map;
	struct step step[STEPS + 2];
	unsigned steps;
};

static char dir[64], path[96];

static int bell(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	must(fd >= 0);
	return fd;
}

static struct step *add_step(struct conversation *c, uint32_t type, uint32_t id, const char *name)
{
	struct step *step = &c->step[c->steps++];

	step->length = sizeof(step->wire);
	step->wire.type = type;
	step->wire.abi = IVSHM_WIRE_ABI;
	step->wire.id = id;
	strcpy(step->wire.name, name);
	return step;
}

static void add_region(struct conversation *c, uint32_t id, const char *name, uint64_t offset,
		       uint32_t right)
{
	struct step *step = add_step(c, IST_WIRE_REGION, id, name);

	step->wire.offset = offset;
	step->wire.size = 0x1000;
	step->wire.right = right;
}

static void add_peer(struct conversation *c, uint32_t id, const char *name)
{
	struct step *step = add_step(c, IST_WIRE_PEER, id, name);

	step->wire.incarnation = 7;
	step->wire.vectors = 2;
	step->fds = 2;
	for (unsigned i = 0; i < FDS_MAX; i++)
		step->fd[i] = bell();
}

/* What a good broker says, of a group of four peers, two regions and output sections. */
static void make(struct conversation *c)
{
	struct ist_roster *roster;
	struct step *step;

	memset(c, 0, sizeof(*c));
	c->memory = memfd_create("group", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(c->memory >= 0 && ftruncate(c->memory, SIZE) == 0);
	must(fcntl(c->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	c->map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory, 0);
	must(c->map != MAP_FAILED);
	roster = (void *)(c->map + IST_ROSTER_OFFSET);
	roster->magic = IST_ROSTER_MAGIC;
	roster->abi_major = IST_ABI_MAJOR;
	roster->page_size = 0x1000;
	roster->total_size = SIZE;
	roster->output_offset = 0x7000;
	roster->output_size = 0x1000;
	roster->max_peers = 4;
	roster->vectors = 2;
	roster->regions = 2;

	step = add_step(c, IST_WIRE_WELCOME, 0, "ping");
	step->wire.incarnation = 7;
	step->wire.vectors = 2;
	step->wire.count = 4;
	step->wire.size = SIZE;
	step->wire.page_size = 0x1000;
	step->wire.offset = 0x7000;
	step->wire.length = 0x1000;
	step->fds = 1;
	for (unsigned i = 0; i < FDS_MAX; i++)
		step->fd[i] = c->memory;
	add_region(c, 0, "first", 0x5000, IST_RIGHT_WRITE);
	add_region(c, 1, "second", 0x6000, IST_RIGHT_READ);
	add_peer(c, 0, "left");
	add_peer(c, 1, "right");
	add_step(c, IST_WIRE_READY, 0, "");
}

static void say(int sock, const struct step *step)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(step->fd))];
	} control = {0};
	struct iovec data = {(void *)(uintptr_t)&step->wire, step->length};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (step->fds) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(step->fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), step->fd, step->fds * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(step->fds * sizeof(int));
	}
	sendmsg(sock, &message, MSG_NOSIGNAL); /* the other side may have had enough */
}

/* One connection: says its part, makes the peer live, and ends when the peer hangs up. */
static void hold(int listener, const struct conversation *c)
{
	struct ist_peer *peer = (void *)(c->map + IST_PEER_TABLE_OFFSET);
	int sock = accept(listener, NULL, NULL);
	struct ist_wire wire;

	must(sock >= 0);
	must(recv(sock, &wire, sizeof(wire), 0) == sizeof(wire));
	must(wire.type == IST_WIRE_HELLO && wire.abi >> 16 == IST_ABI_MAJOR);
	must(wire.kind == IST_KIND_PROCESS && !strcmp(wire.name, "left"));
	for (unsigned i = 0; i < c->steps; i++)
		say(sock, &c->step[i]);
	while (c->steps >= STEPS && recv(sock, &wire, sizeof(wire), 0) > 0)
		if (wire.type == IST_WIRE_READY)
			__atomic_store_n(&peer->word, IST_PEER_WORD(IST_PEER_LIVE, 7),
					 __ATOMIC_RELEASE);
	_exit(0);
}

/* What ist_group_open() makes of it; nothing may be left of a failure. */
static int open_against(const struct conversation *c)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err;
	struct ist_group *group;
	unsigned fds;
	pid_t pid;

	strcpy(address.sun_path, path);
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(listener, 1) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hold(listener, c);
	}
	fds = count_descriptors();
	err = ist_group_open("ping", &group);
	if (!err)
		ist_group_close(group);
	ck_assert_uint_eq(count_descriptors(), fds);
	peer_join(pid);
	close(listener);
	must(unlink(path) == 0);
	return err;
}

static void start(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/join.XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	must(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ping.sock", dir);
	setenv("ISTHMUS_RUNTIME_DIR", dir, 1);
	setenv("ISTHMUS_INSTANCE", "left", 1);
}

static void stop(void)
{
	must(rmdir(dir) == 0);
}

START_TEST(good_words)
{
	struct conversation c;

	make(&c);
	ck_assert_int_eq(open_against(&c), 0);
}
END_TEST

/* One field of one message. */
static const struct {
	const char *what;
	unsigned step;
	size_t at, size;
	uint64_t value;
} lies[] = {
#define LIE(step, field, value)                                                                    \
	{                                                                                          \
#step " " #field " " #value, step, offsetof(struct ist_wire, field),               \
			sizeof(((struct ist_wire *)0)->field), (uint64_t)(value)                   \
	}
	LIE(WELCOME, type, 99),
	LIE(WELCOME, type, IST_WIRE_READY),
	LIE(WELCOME, abi, 2u << 16),
	LIE(WELCOME, id, 4),
	LIE(WELCOME, id, 1),
	LIE(WELCOME, incarnation, 0),
	LIE(WELCOME, incarnation, 8),
	LIE(WELCOME, vectors, 0),
	LIE(WELCOME, vectors, 17),
	LIE(WELCOME, vectors, 3),
	LIE(WELCOME, count, 0),
	LIE(WELCOME, count, 65),
	LIE(WELCOME, count, 3),
	LIE(WELCOME, size, 0),
	LIE(WELCOME, size, SIZE - 0x1000),
	LIE(WELCOME, size, 2 * SIZE),
	LIE(WELCOME, size, SIZE / 2),
	LIE(WELCOME, size, 1ull << 63),
	LIE(WELCOME, page_size, 0),
	LIE(WELCOME, page_size, 0x800),
	LIE(WELCOME, page_size, 0x3000),
	LIE(WELCOME, page_size, 2 * SIZE),
	LIE(WELCOME, page_size, 0x2000),
	LIE(WELCOME, page_size, 1ull << 63),
	LIE(WELCOME, offset, 0),
	LIE(WELCOME, offset, 0x4000),
	LIE(WELCOME, offset, 0x6000),
	LIE(WELCOME, offset, 0x7001),
	LIE(WELCOME, offset, 0xd000),
	LIE(WELCOME, offset, SIZE),
	LIE(WELCOME, offset, ~0xfffull),
	LIE(WELCOME, length, 0),
	LIE(WELCOME, length, 0x3000),
	LIE(WELCOME, length, 1ull << 62),
	LIE(WELCOME, length, 0x1001),
	LIE(REGION_0, type, IST_WIRE_GONE),
	LIE(REGION_0, id, 1),
	LIE(REGION_1, id, 0),
	LIE(REGION_1, id, 32),
	LIE(REGION_0, right, 3),
	LIE(REGION_0, offset, 0x4000),
	LIE(REGION_0, offset, 0x5001),
	LIE(REGION_1, offset, 0x5000),
	LIE(REGION_1, offset, 0x7000),
	LIE(REGION_1, offset, ~0xfffull),
	LIE(REGION_0, size, 0),
	LIE(REGION_0, size, 0x1001),
	LIE(REGION_0, size, 0x2000),
	LIE(REGION_1, size, 0x2000),
	LIE(REGION_1, size, ~0xfffull),
	LIE(REGION_1, type, IST_WIRE_READY),
	LIE(SELF, id, 1),
	LIE(SELF, incarnation, 0),
	LIE(SELF, incarnation, 8),
	LIE(SELF, vectors, 1),
	LIE(SELF, vectors, 16),
	LIE(SELF, type, IST_WIRE_READY),
	LIE(OTHER, id, 0),
	LIE(OTHER, id, 4),
	LIE(OTHER, id, UINT32_MAX),
	LIE(OTHER, incarnation, 0),
	LIE(OTHER, vectors, 3),
	LIE(OTHER, type, IST_WIRE_REGION),
	LIE(READY, type, IST_WIRE_WELCOME),
	LIE(READY, type, 0),
};

START_TEST(one_lie)
{
	struct conversation c;

	make(&c);
	/* The lowest bytes: little-endian, as the wire. */
	memcpy((uint8_t *)&c.step[lies[_i].step].wire + lies[_i].at, &lies[_i].value,
	       lies[_i].size);
	ck_assert_msg(open_against(&c) == -EPROTO, "%s", lies[_i].what);
}
END_TEST

START_TEST(names_end)
{
	struct conversation c;

	for (unsigned step = WELCOME; step <= REGION_1; step++) {
		make(&c);
		memset(c.step[step].wire.name, 'x', IST_NAME_SIZE);
		ck_assert_int_eq(open_against(&c), -EPROTO);
		make(&c);
		c.step[step].wire.name[0] = 0;
		ck_assert_int_eq(open_against(&c), -EPROTO);
	}
}
END_TEST

START_TEST(wrong_descriptors)
{
	static const struct {
		unsigned step, fds;
	} wrong[] = {{WELCOME, 0}, {WELCOME, 2},   {WELCOME, 17}, {REGION_0, 1}, {SELF, 0},
		     {SELF, 1},    {SELF, 3},      {SELF, 16},    {SELF, 17},    {SELF, 20},
		     {OTHER, 3},   {REGION_1, 20}, {OTHER, 20}};
	struct conversation c;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		make(&c);
		c.step[wrong[i].step].fds = wrong[i].fds;
		for (unsigned k = 0; k < FDS_MAX; k++) {
			if (c.step[wrong[i].step].fd[k] == 0)
				c.step[wrong[i].step].fd[k] = bell();
		}
		ck_assert_int_eq(open_against(&c), -EPROTO);
	}
	/* An eventfd is no memory. */
	make(&c);
	c.step[WELCOME].fd[0] = bell();
	ck_assert_int_lt(open_against(&c), 0);
}
END_TEST

START_TEST(wrong_lengths)
{
	static const size_t lengths[] = {1, 64, 255};
	struct conversation c;

	for (unsigned step = 0; step < STEPS; step++) {
		for (unsigned i = 0; i < 3; i++) {
			make(&c);
			c.step[step].length = lengths[i];
			ck_assert_int_eq(open_against(&c), -EPROTO);
		}
	}
}
END_TEST

/* The broker hangs up at any point. */
START_TEST(cut_short)
{
	struct conversation c;

	for (unsigned steps = 0; steps < STEPS; steps++) {
		make(&c);
		c.steps = steps;
		ck_assert_int_eq(open_against(&c), -ENOENT);
	}
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		uint32_t code;
		int err;
	} refused[] = {{EACCES, -EACCES}, {EPERM, -EACCES},      {EBUSY, -EBUSY},
		       {ENOENT, -ENOENT}, {ENOMEM, -ENOMEM},     {EMFILE, -ENOMEM},
		       {EPROTO, -EPROTO}, {UINT32_MAX, -EPROTO}, {0, -EPROTO}};
	struct conversation c;

	for (unsigned step = 0; step < STEPS; step++) {
		for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
			make(&c);
			c.step[step].wire.type = IST_WIRE_ERROR;
			c.step[step].wire.code = refused[i].code;
			c.steps = step + 1;
			ck_assert_int_eq(open_against(&c), refused[i].err);
		}
	}
}
END_TEST

/* The memory is not what was announced. */
START_TEST(wrong_memory)
{
	struct conversation c;

	for (unsigned seals = 0; seals < 3; seals++) {
		make(&c);
		c.step[WELCOME].fd[0] = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		must(ftruncate(c.step[WELCOME].fd[0], SIZE) == 0);
		if (seals)
			must(fcntl(c.step[WELCOME].fd[0], F_ADD_SEALS,
				   seals == 1 ? F_SEAL_SHRINK : F_SEAL_GROW) == 0);
		ck_assert_int_eq(open_against(&c), -EPROTO);
	}
	for (size_t at = 0; at < offsetof(struct ist_roster, name); at += 4) {
		if (at == offsetof(struct ist_roster, features_optional) ||
		    at == offsetof(struct ist_roster, features_optional) + 4)
			continue;
		make(&c);
		c.map[IST_ROSTER_OFFSET + at] ^= 0x80;
		ck_assert_int_eq(open_against(&c), -EPROTO);
	}
	/* What we may ignore, we ignore. */
	make(&c);
	c.map[IST_ROSTER_OFFSET + offsetof(struct ist_roster, features_optional)] = 0x80;
	c.map[IST_ROSTER_OFFSET + offsetof(struct ist_roster, abi_minor)] = 9;
	ck_assert_int_eq(open_against(&c), 0);
}
END_TEST

/* RUN_STATE before the conversation's step `at`: a page of `size` bytes in a file of `real`. */
static void tell_run_state(struct conversation *c, unsigned at, uint64_t size, off_t real,
			   int seals)
{
	struct step *step = &c->step[at];
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && ftruncate(fd, real) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	memmove(step + 1, step, (c->steps - at) * sizeof(*step));
	c->steps++;
	memset(step, 0, sizeof(*step));
	step->length = sizeof(step->wire);
	step->wire.type = IST_WIRE_RUN_STATE;
	step->wire.size = size;
	step->fds = 1;
	step->fd[0] = fd;
}

START_TEST(run_state)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
	const off_t size = IST_RUN_STATE_SIZE;
	struct conversation c;

	/* What is in the page matters later, and to nobody's joining. */
	make(&c);
	tell_run_state(&c, REGION_0, IST_RUN_STATE_SIZE, size, seals);
	ck_assert_int_eq(open_against(&c), 0);

	make(&c);
	tell_run_state(&c, REGION_0, IST_RUN_STATE_SIZE, size, F_SEAL_GROW);
	ck_assert_int_eq(open_against(&c), -EPROTO);
	make(&c);
	tell_run_state(&c, REGION_0, IST_RUN_STATE_SIZE, size / 2, seals);
	ck_assert_int_eq(open_against(&c), -EPROTO);
	make(&c);
	tell_run_state(&c, REGION_0, IST_RUN_STATE_SIZE + 4096, size + 4096, seals);
	ck_assert_int_eq(open_against(&c), -EPROTO);
	make(&c);
	tell_run_state(&c, REGION_0, IST_RUN_STATE_SIZE, size, seals);
	c.step[REGION_0].fds = 0;
	ck_assert_int_eq(open_against(&c), -EPROTO);
	/* Twice, and too late. */
	make(&c);
	tell_run_state(&c, REGION_0, IST_RUN_STATE_SIZE, size, seals);
	tell_run_state(&c, REGION_0, IST_RUN_STATE_SIZE, size, seals);
	ck_assert_int_eq(open_against(&c), -EPROTO);
	make(&c);
	tell_run_state(&c, OTHER, IST_RUN_STATE_SIZE, size, seals);
	ck_assert_int_eq(open_against(&c), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host_join");
	TCase *words = tcase_create("words");

	tcase_add_checked_fixture(words, start, stop);
	tcase_add_test(words, good_words);
	tcase_add_loop_test(words, one_lie, 0, sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(words, names_end);
	tcase_add_test(words, wrong_descriptors);
	tcase_add_test(words, wrong_lengths);
	tcase_add_test(words, cut_short);
	tcase_add_test(words, refusals);
	tcase_add_test(words, wrong_memory);
	tcase_add_test(words, run_state);
	suite_add_tcase(suite, words);
	return suite_run(suite);
}
