/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_fixture.h: a broker driven by the test's own thread, raw connections to it, and peers in
 * processes of their own.
 *
 * The group "ping": left (ID 0), right (1), third (2); regions "shared" (writable by all) and
 * "table" (written by left, not seen by third); one output section of a page each; 3 vectors.
 */
#ifndef TESTS_BROKER_FIXTURE_H
#define TESTS_BROKER_FIXTURE_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem/broker.h"
#include "ivshmem/client.h"
#include "ivshmem/wire.h"
#include "tests/must.h"

#define FIXTURE_REGIONS 2u
#define FIXTURE_VECTORS 3u
#define FIXTURE_PEERS 4u
#define FIXTURE_PATIENCE_MS 20000

#define FIXTURE_DESCRIPTORS 512 /* more than a test ever has */

/* How many descriptors are open. Without opening one. */
static inline unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < FIXTURE_DESCRIPTORS; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

struct fixture {
	char dir[64];
	char path[96]; /* of the socket */
	char error[256];
	struct ivshm_config config;
	struct ivshm_group_config group;
	struct ivshm_region_config region[2];
	struct ivshm_region_right rights[2];
	struct ivshm_instance_config instance[3];
	struct ivshm_broker *broker; /* NULL: it is in a process of its own (restart_fixture.h) */
};

static inline void fixture_configure(struct fixture *f)
{
	static char names[][8] = {"left", "right", "third", "ping", "shared", "table"};
	const char *tmp = getenv("TMPDIR");

	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "%s/brk.XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	must(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/ping.sock", f->dir);
	for (unsigned i = 0; i < 3; i++) {
		f->instance[i].name = names[i];
		f->group.member[i] = i;
	}
	f->group.name = names[3];
	f->group.page_size = 4096;
	f->group.output_size = 4096;
	f->group.vectors = FIXTURE_VECTORS;
	f->group.max_peers = FIXTURE_PEERS;
	f->group.members_count = 3;
	f->group.regions = f->region;
	f->group.regions_count = FIXTURE_REGIONS;
	f->region[0].name = names[4];
	f->region[0].size = 65536;
	f->region[0].access = IST_RIGHT_WRITE;
	f->region[1].name = names[5];
	f->region[1].size = 8192;
	f->region[1].access = IST_RIGHT_READ;
	f->region[1].coherence = IST_COHERENCE_INCOHERENT;
	f->rights[0] = (struct ivshm_region_right){names[0], IST_RIGHT_WRITE};
	f->rights[1] = (struct ivshm_region_right){names[2], IST_RIGHT_NONE};
	f->region[1].rights = f->rights;
	f->region[1].rights_count = 2;
	f->config.groups = &f->group;
	f->config.groups_count = 1;
	f->config.instances = f->instance;
	f->config.instances_count = 3;
}

static inline int fixture_serve(struct fixture *f)
{
	return ivshm_broker_create(&f->config, f->dir, f->error, sizeof(f->error), &f->broker);
}

static inline void fixture_start(struct fixture *f)
{
	fixture_configure(f);
	must(fixture_serve(f) == 0);
}

/* The directory was there before the broker, so it stays; nothing in it may. */
static inline void fixture_stop(struct fixture *f)
{
	ivshm_broker_destroy(f->broker);
	must(rmdir(f->dir) == 0);
}

/* Lets the broker do all that it has to do now. */
static inline void fixture_settle(struct fixture *f)
{
	struct pollfd p = {.events = POLLIN};

	if (!f->broker)
		return;
	p.fd = ivshm_broker_fd(f->broker);
	while (poll(&p, 1, 0) == 1)
		must(ivshm_broker_dispatch(f->broker) == 0);
}

/* Drives the broker until `fd` can be read. */
static inline void fixture_await(struct fixture *f, int fd)
{
	struct pollfd p[2] = {{.fd = f->broker ? ivshm_broker_fd(f->broker) : -1, .events = POLLIN},
			      {.fd = fd, .events = POLLIN}};

	do {
		must(poll(p, 2, FIXTURE_PATIENCE_MS) > 0);
		if (p[0].revents)
			must(ivshm_broker_dispatch(f->broker) == 0);
	} while (!p[1].revents);
}

/* ---- Raw connections ------------------------------------------------------------------------- */

struct raw {
	int socket;
	int memory;
	uint8_t *map;
	size_t size;
	uint32_t id;
	uint32_t incarnation;
	int own[FIXTURE_VECTORS];                 /* its own doorbells */
	int peer[FIXTURE_PEERS][FIXTURE_VECTORS]; /* the others', as told in PEER */
	uint32_t told[FIXTURE_PEERS];             /* of which incarnations; itself too */
};

static inline int raw_connect(struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static inline void raw_send(int fd, uint32_t type, const char *name)
{
	struct ivshm_packet packet = {.wire = {.type = type, .abi = IVSHM_WIRE_ABI}};

	snprintf(packet.wire.name, sizeof(packet.wire.name), "%s", name);
	must(ivshm_wire_send(fd, &packet) == 0);
}

#define RAW_FDS_MAX 200u

/* Whatever bytes, with so many copies of stderr's descriptor. As sendmsg(2). */
static inline ssize_t raw_send_bytes(int fd, const void *bytes, size_t size, unsigned descriptors,
				     int flags)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(RAW_FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec data = {(void *)(uintptr_t)bytes, size};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	must(descriptors <= RAW_FDS_MAX);
	if (descriptors) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(descriptors * sizeof(int));
		for (unsigned i = 0; i < descriptors; i++)
			((int *)(void *)CMSG_DATA(&control.header))[i] = STDERR_FILENO;
	}
	return sendmsg(fd, &message, flags | MSG_NOSIGNAL);
}

static inline int raw_receive(struct fixture *f, int fd, struct ivshm_packet *packet)
{
	fixture_await(f, fd);
	return ivshm_wire_receive(fd, packet);
}

/* The next packet must be of this type. */
static inline struct ivshm_packet raw_expect(struct fixture *f, int fd, uint32_t type)
{
	struct ivshm_packet packet;

	must(raw_receive(f, fd, &packet) == 0);
	if (packet.wire.type != type)
		fprintf(stderr, "message %u instead of %u: %s\n", packet.wire.type, type,
			packet.wire.text);
	must(packet.wire.type == type);
	return packet;
}

/* The broker says this and hangs up. */
static inline void raw_expect_error(struct fixture *f, int fd, int code, const char *text)
{
	struct ivshm_packet packet = raw_expect(f, fd, IST_WIRE_ERROR);

	if (packet.wire.code != (uint32_t)code || strcmp(packet.wire.text, text) != 0)
		fprintf(stderr, "%u: %s\n", packet.wire.code, packet.wire.text);
	must(packet.wire.code == (uint32_t)code);
	must(strcmp(packet.wire.text, text) == 0);
	must(raw_receive(f, fd, &packet) == -EPIPE);
	close(fd);
}

static inline void raw_keep_peer(struct raw *raw, const struct ivshm_packet *packet)
{
	int *fds = packet->wire.id == raw->id ? raw->own : raw->peer[packet->wire.id];

	must(packet->fds_count == FIXTURE_VECTORS && packet->wire.id < FIXTURE_PEERS);
	for (unsigned i = 0; i < FIXTURE_VECTORS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = packet->fds[i];
	}
	raw->told[packet->wire.id] = packet->wire.incarnation;
}

/* Joins and takes everything up to the broker's READY. */
static inline struct raw raw_join(struct fixture *f, const char *name)
{
	struct raw raw = {.socket = raw_connect(f)};
	struct ivshm_packet packet;

	memset(raw.own, -1, sizeof(raw.own));
	memset(raw.peer, -1, sizeof(raw.peer));
	raw_send(raw.socket, IST_WIRE_HELLO, name);
	packet = raw_expect(f, raw.socket, IST_WIRE_WELCOME);
	must(packet.fds_count == 1);
	raw.memory = packet.fds[0];
	raw.size = packet.wire.size;
	raw.id = packet.wire.id;
	raw.incarnation = packet.wire.incarnation;
	raw.map = mmap(NULL, raw.size, PROT_READ | PROT_WRITE, MAP_SHARED, raw.memory, 0);
	must(raw.map != MAP_FAILED);
	if (f->group.run_state) {
		packet = raw_expect(f, raw.socket, IST_WIRE_RUN_STATE);
		ivshm_wire_close_fds(&packet);
	}
	raw_expect(f, raw.socket, IST_WIRE_REGION);
	raw_expect(f, raw.socket, IST_WIRE_REGION);
	for (;;) {
		must(raw_receive(f, raw.socket, &packet) == 0);
		if (packet.wire.type == IST_WIRE_READY)
			return raw;
		must(packet.wire.type == IST_WIRE_PEER);
		raw_keep_peer(&raw, &packet);
	}
}

static inline struct raw raw_live(struct fixture *f, const char *name)
{
	struct raw raw = raw_join(f, name);

	raw_send(raw.socket, IST_WIRE_READY, "");
	fixture_settle(f);
	return raw;
}

static inline void raw_close(struct raw *raw)
{
	munmap(raw->map, raw->size);
	close(raw->memory);
	close(raw->socket);
	for (unsigned i = 0; i < FIXTURE_VECTORS; i++) {
		close(raw->own[i]);
		for (unsigned id = 0; id < FIXTURE_PEERS; id++) {
			if (raw->peer[id][i] >= 0)
				close(raw->peer[id][i]);
		}
	}
}

static inline void raw_leave(struct fixture *f, struct raw *raw)
{
	raw_send(raw->socket, IST_WIRE_BYE, "");
	raw_close(raw);
	fixture_settle(f);
}

/* The word of a peer in the roster. */
static inline uint64_t raw_word(const struct raw *raw, uint32_t id)
{
	const struct ist_peer *table = (const void *)(raw->map + IST_PEER_TABLE_OFFSET);

	return __atomic_load_n(&table[id].word, __ATOMIC_ACQUIRE);
}

/* Drives the broker until the roster shows this. */
static inline void raw_await_word(struct fixture *f, const struct raw *raw, uint32_t id,
				  uint64_t word)
{
	for (unsigned ms = 0; !f->broker && raw_word(raw, id) != word; ms++) {
		must(ms < FIXTURE_PATIENCE_MS);
		usleep(1000);
	}
	while (raw_word(raw, id) != word) {
		struct pollfd p = {.fd = ivshm_broker_fd(f->broker), .events = POLLIN};

		must(poll(&p, 1, FIXTURE_PATIENCE_MS) == 1);
		must(ivshm_broker_dispatch(f->broker) == 0);
	}
	fixture_settle(f);
}

static inline uint64_t raw_changes(const struct raw *raw)
{
	const struct ist_roster *roster = (const void *)(raw->map + IST_ROSTER_OFFSET);

	return __atomic_load_n(&roster->changes, __ATOMIC_ACQUIRE);
}

/* How often a doorbell was rung since the last look. */
static inline uint64_t rings(int eventfd)
{
	eventfd_t count;

	return eventfd_read(eventfd, &count) ? 0 : count;
}

/* ---- Peers in processes ---------------------------------------------------------------------- */
/*
 * A process is forked before there is a broker, and told what to do over a socket pair:
 *   join NAME, ready, dispatch, return, leave, close, bye-exit, fork, ring ID VECTOR, count VECTOR
 * It answers each with the call's result and what it has heard since: "0 +1.1 -1.1/4" is: right
 * (incarnation 1) came, and died.
 */
#define PROCESS_CONTROL 3 /* a process's end of it */

struct process {
	pid_t pid;
	int control;
};

struct process_state {
	struct ivshm_client client;
	int doorbell[IST_PEERS_MAX][IST_VECTORS_MAX];
	unsigned pagers; /* bells of pagers that came, and were closed */
	char heard[2048];
	char error[256];
};

static inline void process_peer(void *context, const struct ivshm_client_peer *peer)
{
	struct process_state *state = context;
	size_t used = strlen(state->heard);

	memcpy(state->doorbell[peer->id], peer->fds, sizeof(peer->fds));
	if (peer->pager >= 0) {
		state->pagers++;
		close(peer->pager);
	}
	snprintf(state->heard + used, sizeof(state->heard) - used, " +%u.%u", peer->id,
		 peer->incarnation);
}

static inline void process_gone(void *context, uint32_t id, uint32_t incarnation, uint32_t how)
{
	struct process_state *state = context;
	size_t used = strlen(state->heard);

	for (unsigned i = 0; i < IST_VECTORS_MAX; i++) {
		if (state->doorbell[id][i] >= 0)
			close(state->doorbell[id][i]);
	}
	snprintf(state->heard + used, sizeof(state->heard) - used, " -%u.%u/%u", id, incarnation,
		 how);
}

static inline unsigned process_bells(void *context, uint32_t id, int out[IST_VECTORS_MAX + 1])
{
	const struct process_state *state = context;

	memcpy(out, state->doorbell[id], FIXTURE_VECTORS * sizeof(int));
	return FIXTURE_VECTORS;
}

/* Tries until it is back, or is told that it is not to be. */
static inline int process_return(struct process_state *state)
{
	int r;

	while ((r = ivshm_client_return(&state->client, state->error, sizeof(state->error))) ==
	       -EAGAIN)
		usleep(1000);
	return r;
}

static inline int process_do(struct process_state *state, const char *path, char *command)
{
	static const struct ivshm_client_ops ops = {
		.peer = process_peer, .gone = process_gone, .bells = process_bells};
	char *verb = strtok(command, " ");
	char *first = strtok(NULL, " ");
	char *second = strtok(NULL, " ");

	if (!strcmp(verb, "join"))
		return ivshm_client_join(&state->client, path, first, IST_KIND_APP, &ops, state,
					 state->error, sizeof(state->error));
	if (!strcmp(verb, "ready"))
		return ivshm_client_ready(&state->client);
	if (!strcmp(verb, "dispatch"))
		return ivshm_client_dispatch(&state->client);
	if (!strcmp(verb, "return"))
		return process_return(state);
	if (!strcmp(verb, "ring"))
		return eventfd_write(state->doorbell[atoi(first)][atoi(second)], 1);
	if (!strcmp(verb, "count"))
		return (int)rings(state->doorbell[state->client.id][atoi(first)]);
	if (!strcmp(verb, "leave"))
		ivshm_client_leave(&state->client);
	if (!strcmp(verb, "close"))
		close(state->client.socket);
	if (!strcmp(verb, "bye-exit")) {
		ivshm_client_leave(&state->client);
		_exit(0);
	}
	if (!strcmp(verb, "fork") && fork() == 0) {
		struct pollfd p = {.fd = PROCESS_CONTROL, .events = 0};

		poll(&p, 1, -1); /* keeps the connection until the test closes the control */
		_exit(0);
	}
	return 0;
}

static inline void process_run(int control, const char *path)
{
	static struct process_state state;
	char command[64], answer[4096];
	ssize_t length;

	memset(state.doorbell, -1, sizeof(state.doorbell));
	while ((length = recv(control, command, sizeof(command) - 1, 0)) > 0) {
		int r;

		command[length] = '\0';
		r = process_do(&state, path, command);
		length = snprintf(answer, sizeof(answer), "%d%s%s%s", r, state.heard,
				  *state.error ? " " : "", state.error);
		must(send(control, answer, (size_t)length, MSG_NOSIGNAL) == length);
		state.heard[0] = state.error[0] = '\0';
	}
	_exit(0);
}

static inline struct process process_start(struct fixture *f)
{
	struct process process;
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	process.pid = fork();
	must(process.pid >= 0);
	if (process.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		must(dup2(pair[1], PROCESS_CONTROL) == PROCESS_CONTROL);
		close_range(PROCESS_CONTROL + 1, ~0u, 0);
		process_run(PROCESS_CONTROL, f->path);
	}
	close(pair[1]);
	process.control = pair[0];
	return process;
}

static inline void process_tell(struct process *process, const char *command)
{
	must(send(process->control, command, strlen(command), MSG_NOSIGNAL) > 0);
}

/* Tells it, drives the broker meanwhile, and returns the answer (valid until the next one). */
static inline const char *process_ask(struct fixture *f, struct process *process,
				      const char *command)
{
	static char answer[4096];
	ssize_t length;

	process_tell(process, command);
	fixture_await(f, process->control);
	length = recv(process->control, answer, sizeof(answer) - 1, 0);
	must(length > 0);
	answer[length] = '\0';
	fixture_settle(f);
	return answer;
}

/* Ends it and waits until it is gone; the broker has not been driven since. */
static inline void process_kill(struct process *process)
{
	must(kill(process->pid, SIGKILL) == 0);
	must(waitpid(process->pid, NULL, 0) == process->pid);
	close(process->control);
}

#endif
