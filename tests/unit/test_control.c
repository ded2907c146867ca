/* SPDX-License-Identifier: BSD-2-Clause */
/* test_control.c: the control socket: who may ask, what is answered, and that nobody waits for it.
 */
#include <check.h>
#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "ivshmem/broker_internal.h"
#include "ivshmem/door.h"
#include "ivshmem/log.h"
#include "tests/broker_fixture.h"
#include "tests/suite.h"

static struct fixture f;

/* The broker's ticks, a hundred times as fast: what it gives up on after 5 s, it does in 50 ms. */
int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	struct itimerspec fast = *new;

	fast.it_interval.tv_nsec /= 100;
	fast.it_value.tv_nsec /= 100;
	return (int)syscall(SYS_timerfd_settime, fd, flags, &fast, old);
}

/* The owner of the processes: what it was asked, and what it says. */
static struct {
	struct ivshm_process process[3];
	unsigned starts, stops, downs;
	int result;
} owner;

static struct ivshm_process process_of(void *context, unsigned instance)
{
	(void)context;
	return owner.process[instance];
}

static int on_start(void *context, unsigned instance)
{
	(void)context;
	ck_assert_uint_lt(instance, 3);
	owner.starts++;
	return owner.result;
}

static int on_stop(void *context, unsigned instance)
{
	(void)context;
	ck_assert_uint_lt(instance, 3);
	owner.stops++;
	return owner.result;
}

static void on_down(void *context)
{
	(void)context;
	owner.downs++;
}

static const struct ivshm_control_ops ops = {
	.process = process_of, .start = on_start, .stop = on_stop, .down = on_down};

static int serve_control(void)
{
	return ivshm_broker_serve_control(f.broker, f.dir, &ops, NULL, f.error, sizeof(f.error));
}

static void start(void)
{
	static char path[] = "no-such-file.yml";

	memset(&owner, 0, sizeof(owner));
	fixture_configure(&f);
	f.config.path = path;
	ck_assert_int_eq(fixture_serve(&f), 0);
	ck_assert_int_eq(serve_control(), 0);
}

static void stop(void)
{
	fixture_stop(&f);
}

static int control_connect(void)
{
	int fd = ivshm_door_enter(&ivshm_control_door, f.dir, "1");

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void ask(int fd, uint32_t type, const char *name)
{
	struct ivshm_control request = {.row = {.type = type}};

	snprintf(request.row.name, sizeof(request.row.name), "%s", name);
	ck_assert_int_eq(ivshm_control_send(fd, &request), 0);
}

static int receive(int fd, struct ivshm_control *out)
{
	fixture_await(&f, fd);
	return ivshm_control_receive(fd, out, MSG_DONTWAIT);
}

static void expect(int fd, uint32_t type, struct ivshm_control *out)
{
	ck_assert_int_eq(receive(fd, out), 0);
	ck_assert_uint_eq(out->row.type, type);
}

/* It answers with this and hangs up. */
static void expect_error(int fd, int code, const char *text)
{
	struct ivshm_control message;

	expect(fd, IVSHM_CONTROL_ERROR, &message);
	ck_assert_str_eq(message.text, text);
	ck_assert_int_eq(message.row.code, code);
	ck_assert_int_eq(receive(fd, &message), -EPIPE);
	close(fd);
}

static void expect_done(int fd)
{
	struct ivshm_control message;

	expect(fd, IVSHM_CONTROL_DONE, &message);
	ck_assert_int_eq(receive(fd, &message), -EPIPE);
	close(fd);
}

/* The PEER row of an ID. */
static struct ivshm_control_row peer_row(uint32_t id)
{
	struct ivshm_control_row row = {0};
	struct ivshm_control message;
	int fd = control_connect();

	ask(fd, IVSHM_CONTROL_STATUS, "");
	do {
		ck_assert_int_eq(receive(fd, &message), 0);
		if (message.row.type == IVSHM_CONTROL_PEER && message.row.index == id)
			row = message.row;
	} while (message.row.type != IVSHM_CONTROL_DONE);
	close(fd);
	fixture_settle(&f);
	return row;
}

/* ---- Messages, as their peers' memory has them ----------------------------------------------- */

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
	struct ivshm_control_row row = peer_row(id);

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

/* ---- What is answered ------------------------------------------------------------------------ */

START_TEST(a_status)
{
	struct raw left = raw_live(&f, "left");
	struct ivshm_control m;
	int fd = control_connect();

	owner.process[1] = (struct ivshm_process){
		.ended = true, .status = 3 << 8, .since_ns = ivshm_clock_ns()};
	ask(fd, IVSHM_CONTROL_STATUS, "");
	expect(fd, IVSHM_CONTROL_UP, &m);
	ck_assert_int_eq(m.row.pid, getpid());
	ck_assert_str_eq(m.text, "no-such-file.yml");
	for (uint32_t i = 0; i < 3; i++) {
		static const char *const names[] = {"left", "right", "third"};

		expect(fd, IVSHM_CONTROL_INSTANCE, &m);
		ck_assert_uint_eq(m.row.index, i);
		ck_assert_str_eq(m.row.name, names[i]);
		ck_assert_int_eq(m.row.pid, 0);
		ck_assert_uint_eq(m.row.process,
				  i == 1 ? IVSHM_CONTROL_ENDED : IVSHM_CONTROL_NEVER);
		ck_assert_int_eq(m.row.code, i == 1 ? 3 << 8 : 0);
	}
	expect(fd, IVSHM_CONTROL_GROUP, &m);
	ck_assert_str_eq(m.row.name, "ping");
	ck_assert_uint_eq(m.row.size, 0x20000);
	ck_assert_uint_eq(m.row.page_size, 4096);
	ck_assert_uint_eq(m.row.count, 4);
	ck_assert_uint_eq(m.row.vectors, 3);
	ck_assert_uint_eq(m.row.flags, 0);
	expect(fd, IVSHM_CONTROL_REGION, &m);
	ck_assert_str_eq(m.row.name, "shared");
	ck_assert_uint_eq(m.row.offset, 0x5000);
	expect(fd, IVSHM_CONTROL_REGION, &m);
	ck_assert_str_eq(m.row.name, "table");
	ck_assert_uint_eq(m.row.size, 0x2000);
	ck_assert_uint_eq(m.row.coherence, IST_COHERENCE_INCOHERENT);
	expect(fd, IVSHM_CONTROL_PEER, &m);
	ck_assert_str_eq(m.row.name, "left");
	ck_assert_uint_eq(m.row.state, IST_PEER_LIVE);
	ck_assert_uint_eq(m.row.incarnation, 1);
	ck_assert_int_eq(m.row.pid, getpid());
	/* The fixture's HELLO has kind 0, an app VM's. */
	ck_assert_uint_eq(m.row.flags, IVSHM_CONTROL_JOINED | IVSHM_CONTROL_ENFORCED);
	ck_assert_uint_eq(m.row.rights, IST_RIGHT_WRITE | IST_RIGHT_WRITE << 2);
	expect(fd, IVSHM_CONTROL_PEER, &m);
	ck_assert_uint_eq(m.row.flags, 0);
	ck_assert_uint_eq(m.row.incarnation, 0);
	ck_assert_uint_eq(m.row.rights, IST_RIGHT_WRITE | IST_RIGHT_READ << 2);
	expect(fd, IVSHM_CONTROL_PEER, &m);
	ck_assert_str_eq(m.row.name, "third");
	ck_assert_uint_eq(m.row.rights, IST_RIGHT_WRITE);
	expect_done(fd);
	raw_leave(&f, &left);
	ck_assert_uint_eq(peer_row(0).state, IST_PEER_ABSENT);
	ck_assert_uint_eq(peer_row(0).incarnation, 1);
}
END_TEST

/* Each state that a peer goes through is told, with what belongs to it. */
START_TEST(states)
{
	struct raw left = raw_join(&f, "left");

	ck_assert_uint_eq(peer_row(0).state, IST_PEER_JOINING);
	raw_send(left.socket, IST_WIRE_READY, "");
	fixture_settle(&f);
	ck_assert_uint_eq(peer_row(0).state, IST_PEER_LIVE);
	raw_send(left.socket, IST_WIRE_BYE, "");
	fixture_settle(&f);
	ck_assert_uint_eq(peer_row(0).state, IST_PEER_LEAVING);
	raw_close(&left);
	fixture_settle(&f);
	ck_assert_uint_eq(peer_row(0).state, IST_PEER_ABSENT);
	ck_assert_int_eq(peer_row(0).pid, 0);
	ck_assert_uint_eq(peer_row(0).flags, 0);
}
END_TEST

/* The kernel takes a moment to stop what it was told to. */
static void await_flag(uint32_t id, uint32_t flag, bool set)
{
	for (unsigned i = 0; i < 2000 && !(peer_row(id).flags & flag) == set; i++)
		usleep(10000);
	ck_assert_int_eq(!!(peer_row(id).flags & flag), set);
}

START_TEST(stalled)
{
	struct process left;

	fixture_configure(&f);
	f.config.path = f.dir;
	left = process_start(&f);
	ck_assert_int_eq(fixture_serve(&f), 0);
	ck_assert_int_eq(serve_control(), 0);
	process_ask(&f, &left, "join left");
	process_ask(&f, &left, "ready");
	ck_assert_uint_eq(peer_row(0).flags & IVSHM_CONTROL_STALLED, 0); /* it sleeps */

	must(kill(left.pid, SIGSTOP) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, true);
	ck_assert_uint_eq(peer_row(0).state, IST_PEER_LIVE);
	must(kill(left.pid, SIGCONT) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, false);
	ck_assert_str_eq(process_ask(&f, &left, "count 1"), "0"); /* it goes on as before */

	must(ptrace(PTRACE_SEIZE, left.pid, NULL, NULL) == 0);
	ck_assert_uint_eq(peer_row(0).flags & IVSHM_CONTROL_STALLED, 0);
	must(ptrace(PTRACE_INTERRUPT, left.pid, NULL, NULL) == 0);
	must(waitpid(left.pid, NULL, 0) == left.pid);
	await_flag(0, IVSHM_CONTROL_STALLED, true);
	must(ptrace(PTRACE_DETACH, left.pid, NULL, NULL) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, false);

	must(kill(left.pid, SIGSTOP) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, true);
	process_kill(&left); /* a stalled one that dies is dead */
	fixture_settle(&f);
	ck_assert_uint_eq(peer_row(0).state, IST_PEER_DEAD);
	ck_assert_uint_eq(peer_row(0).flags, 0);
	fixture_stop(&f);
}
END_TEST

START_TEST(requests)
{
	struct ivshm_control m;
	int fd = control_connect(), other;

	ask(fd, IVSHM_CONTROL_START, "left");
	expect_done(fd);
	ck_assert_uint_eq(owner.starts, 1);

	owner.result = -ENOENT;
	fd = control_connect();
	ask(fd, IVSHM_CONTROL_START, "left");
	expect_error(fd, ENOENT, "instance 'left' could not start: No such file or directory");
	owner.result = -ESHUTDOWN;
	fd = control_connect();
	ask(fd, IVSHM_CONTROL_START, "left");
	expect_error(fd, ESHUTDOWN, "all is being ended");

	fd = control_connect();
	ask(fd, IVSHM_CONTROL_STOP, "left");
	expect_error(fd, ESRCH, "instance 'left' does not run");
	fd = control_connect();
	ask(fd, IVSHM_CONTROL_STOP, "nobody");
	expect_error(fd, ENOENT, "no instance 'nobody'");
	ck_assert_uint_eq(owner.stops, 0);

	/* Two wait for one end, and one for another's. */
	owner.result = 0;
	owner.process[0].pid = owner.process[1].pid = getpid();
	owner.process[0].pidfd = owner.process[1].pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	fd = control_connect();
	other = control_connect();
	ask(fd, IVSHM_CONTROL_STOP, "left");
	ask(other, IVSHM_CONTROL_STOP, "right");
	fixture_settle(&f);
	ck_assert_uint_eq(owner.stops, 2);
	ck_assert_int_eq(ivshm_control_receive(fd, &m, MSG_DONTWAIT), -EAGAIN);
	ivshm_control_ended(f.broker, 0);
	expect_done(fd);
	ck_assert_int_eq(ivshm_control_receive(other, &m, MSG_DONTWAIT), -EAGAIN);
	close(other); /* has had enough */
	fixture_settle(&f);
	ivshm_control_ended(f.broker, 1);
	close(owner.process[0].pidfd);

	fd = control_connect();
	ask(fd, IVSHM_CONTROL_DOWN, "");
	other = control_connect();
	ask(other, IVSHM_CONTROL_DOWN, "");
	fixture_settle(&f);
	ck_assert_uint_eq(owner.downs, 2);
	ck_assert_int_eq(ivshm_control_receive(fd, &m, MSG_DONTWAIT), -EAGAIN);
	stop();
	ck_assert_int_eq(ivshm_control_receive(fd, &m, MSG_DONTWAIT), -EPIPE);
	ck_assert_int_eq(ivshm_control_receive(other, &m, MSG_DONTWAIT), -EPIPE);
	close(fd);
	close(other);
	start();
}
END_TEST

/* ---- What is no request ---------------------------------------------------------------------- */

START_TEST(garbage)
{
	struct ivshm_control m = {.row = {.type = 99}};
	static char bytes[sizeof(m) + 100];
	static const char not_of_version[] = "not a request of version 3";
	const size_t lengths[] = {1, sizeof(m.row) - 1, sizeof(m), sizeof(bytes)};
	int fd = control_connect();

	ck_assert_int_eq(ivshm_control_send(fd, &m), 0);
	expect_error(fd, EPROTO, "unknown request 99");
	for (unsigned i = 0; i < 4; i++) {
		fd = control_connect();
		memset(bytes, 1, sizeof(bytes));
		memcpy(bytes, &(uint32_t[]){IVSHM_CONTROL_STATUS, IVSHM_CONTROL_VERSION}, 8);
		ck_assert_int_eq(send(fd, bytes, lengths[i], 0), (ssize_t)lengths[i]);
		expect_error(fd, EPROTO, not_of_version);
	}
	/* Another version; a name without end; an answer instead of a request. */
	fd = control_connect();
	memset(&m, 0, sizeof(m));
	m.row.type = IVSHM_CONTROL_STATUS;
	m.row.version = IVSHM_CONTROL_VERSION + 1;
	ck_assert_int_eq(send(fd, &m, sizeof(m.row), 0), sizeof(m.row));
	expect_error(fd, EPROTO, not_of_version);
	fd = control_connect();
	m.row.type = IVSHM_CONTROL_START;
	memset(m.row.name, 'x', sizeof(m.row.name));
	ck_assert_int_eq(ivshm_control_send(fd, &m), 0);
	expect_error(fd, ENOENT, "no instance 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'");
	fd = control_connect();
	ask(fd, IVSHM_CONTROL_DONE, "");
	expect_error(fd, EPROTO, "unknown request 10");
	close(control_connect()); /* nothing at all */
	fixture_settle(&f);
	ck_assert_uint_eq(owner.starts + owner.stops + owner.downs, 0);
}
END_TEST

/* Descriptors that come with a request are nobody's. */
START_TEST(descriptors)
{
	struct ivshm_control m = {
		.row = {.type = IVSHM_CONTROL_STATUS, .version = IVSHM_CONTROL_VERSION}};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec data = {&m, sizeof(m.row)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	unsigned before = count_descriptors();
	int fd = control_connect();

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(fd, &message, 0), sizeof(m.row));
	do
		ck_assert_int_eq(receive(fd, &m), 0);
	while (m.row.type != IVSHM_CONTROL_DONE);
	close(fd);
	fixture_settle(&f);
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

/* ---- Nobody waits for who asks --------------------------------------------------------------- */

#define ASKERS 8

START_TEST(a_crowd)
{
	int fd[ASKERS], more;

	for (unsigned i = 0; i < ASKERS; i++) {
		fd[i] = control_connect();
		fixture_settle(&f);
	}
	more = control_connect();
	ask(more, IVSHM_CONTROL_STATUS, ""); /* unread, which must not hide the reason */
	expect_error(more, EAGAIN, "8 others are asking already");
	close(fd[3]);
	fixture_settle(&f);
	fd[3] = control_connect();
	ask(fd[3], IVSHM_CONTROL_START, "left");
	expect_done(fd[3]);
	for (unsigned i = 0; i < ASKERS; i++)
		if (i != 3)
			close(fd[i]);
	fixture_settle(&f);
}
END_TEST

/*
 * Who does not read its answer, or asks nothing, is hung up on after 5 s; peers come and go, and
 * others are answered meanwhile.
 */
START_TEST(says_and_reads_nothing)
{
	static struct ivshm_instance_config many[IST_PEERS_MAX];
	static char names[IST_PEERS_MAX][8];
	struct ivshm_control m;
	struct raw left;
	unsigned rows = 0;
	int silent, deaf, r;

	fixture_configure(&f);
	f.config.path = f.dir;
	for (unsigned i = 0; i < IST_PEERS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "%s%u", i ? "p" : "left", i);
		many[i].name = names[i];
		f.group.member[i] = i;
	}
	snprintf(names[0], sizeof(names[0]), "left");
	f.config.instances = many;
	f.config.instances_count = f.group.members_count = IST_PEERS_MAX;
	f.group.max_peers = IST_PEERS_MAX;
	ck_assert_int_eq(fixture_serve(&f), 0);
	memset(&owner, 0, sizeof(owner));
	f.config.instances_count = 3; /* as many as the owner knows of */
	ck_assert_int_eq(serve_control(), 0);

	silent = control_connect();
	deaf = control_connect();
	ask(deaf, IVSHM_CONTROL_STATUS, "");
	fixture_settle(&f);
	left = raw_live(&f, "left");
	ck_assert_uint_eq(peer_row(0).state, IST_PEER_LIVE);
	fixture_await(&f, silent); /* until it is hung up on */
	ck_assert_int_eq(ivshm_control_receive(silent, &m, MSG_DONTWAIT), -EPIPE);
	raw_leave(&f, &left);
	/* What was sent is there; the rest never came. */
	for (unsigned i = 0; i < 20; i++)
		fixture_settle(&f);
	while ((r = receive(deaf, &m)) == 0) {
		ck_assert_uint_ne(m.row.type, IVSHM_CONTROL_DONE);
		rows++;
	}
	ck_assert_int_eq(r, -EPIPE);
	ck_assert_uint_gt(rows, 0);
	ck_assert_uint_lt(rows, IST_PEERS_MAX);
	close(silent);
	close(deaf);
	fixture_stop(&f);
}
END_TEST

/* ---- Two, and stale ones --------------------------------------------------------------------- */

START_TEST(numbers)
{
	struct ivshm_control_ups ups;
	struct fixture other;
	struct stat st;
	char path[96];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/1.control", f.dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	fixture_configure(&other);
	ck_assert_int_eq(rmdir(other.dir), 0);
	other.config.groups_count = 0;
	other.config.path = other.dir;
	snprintf(other.dir, sizeof(other.dir), "%s", f.dir);
	ck_assert_int_eq(fixture_serve(&other), 0);
	ck_assert_int_eq(ivshm_broker_serve_control(other.broker, f.dir, &ops, NULL, f.error,
						    sizeof(f.error)),
			 0);
	snprintf(path, sizeof(path), "%s/2.control", f.dir);
	ck_assert_int_eq(access(path, F_OK), 0);
	ivshm_broker_destroy(other.broker);
	ck_assert_int_eq(access(path, F_OK), -1);

	/* A killed one leaves 2; who comes next takes it. */
	pid = fork();
	if (pid == 0) {
		status = fixture_serve(&other) ||
			 ivshm_broker_serve_control(other.broker, f.dir, &ops, NULL, f.error,
						    sizeof(f.error));
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(fixture_serve(&other), 0);
	ck_assert_int_eq(ivshm_broker_serve_control(other.broker, f.dir, &ops, NULL, f.error,
						    sizeof(f.error)),
			 0);
	snprintf(path, sizeof(path), "%s/3.control", f.dir);
	ck_assert_int_eq(access(path, F_OK), -1);
	ivshm_broker_destroy(other.broker);

	/* A directory without any. */
	ck_assert_int_eq(ivshm_control_list("/proc", &ups, f.error, sizeof(f.error)), 0);
	ck_assert_uint_eq(ups.count, 0);
	ivshm_control_forget(&ups);
}
END_TEST

/* What is no answer to STATUS: whoever it is that answers. */
START_TEST(no_answers)
{
	static const struct ivshm_control_row answers[] = {
		{.type = IVSHM_CONTROL_ERROR, .code = 0},
		{.type = IVSHM_CONTROL_ERROR, .code = -EPERM},
		{.type = IVSHM_CONTROL_ERROR, .code = INT32_MIN},
		{.type = IVSHM_CONTROL_DONE}, /* of nothing */
		{.type = IVSHM_CONTROL_REGION, .index = IST_REGIONS_MAX, .name = "main"},
		{.type = IVSHM_CONTROL_GROUP, .name = "ping\", \"x\": \"y"},
		{.type = IVSHM_CONTROL_INSTANCE, .name = "\033[2J"},
		{.type = IVSHM_CONTROL_STATUS, .name = "left"},
	};
	struct ivshm_control answer = {.row = answers[_i]}, request;
	char dir[] = "/tmp/ist-control.XXXXXX", error[256];
	struct ivshm_control_ups ups;
	struct ivshm_door door;
	int socket, status;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(
		ivshm_door_open(&door, &ivshm_control_door, dir, "1", 0600, error, sizeof(error)),
		0);
	pid = fork();
	if (pid == 0) {
		struct pollfd asks = {.fd = door.listener, .events = POLLIN};

		must(poll(&asks, 1, FIXTURE_PATIENCE_MS) == 1);
		socket = accept(door.listener, NULL, NULL);
		must(socket >= 0 && ivshm_control_receive(socket, &request, 0) == 0);
		must(ivshm_control_send(socket, &answer) == 0);
		_exit(0);
	}
	ck_assert_int_eq(ivshm_control_list(dir, &ups, error, sizeof(error)), -EPROTO);
	ck_assert_ptr_nonnull(strstr(error, "is of another version"));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(door.listener);
	ivshm_door_close(&door);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *plain = tcase_create("control");
	TCase *own = tcase_create("own");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(plain, start, stop);
	tcase_add_test(plain, a_status);
	tcase_add_test(plain, states);
	tcase_add_test(plain, messages);
	tcase_add_test(plain, messages_elsewhere);
	tcase_add_test(plain, requests);
	tcase_add_test(plain, garbage);
	tcase_add_test(plain, descriptors);
	tcase_add_test(plain, a_crowd);
	tcase_add_test(plain, numbers);
	suite_add_tcase(suite, plain);
	tcase_add_test(own, stalled);
	tcase_add_test(own, says_and_reads_nothing);
	tcase_add_loop_test(own, no_answers, 0, 8);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
