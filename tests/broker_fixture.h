/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_fixture.h: a broker driven by the test's own thread, and raw connections to it.
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
#include "ivshmem/wire.h"
#include "tests/descriptors.h"
#include "tests/must.h"

#define FIXTURE_REGIONS 2u
#define FIXTURE_VECTORS 3u
#define FIXTURE_PEERS 4u
#define FIXTURE_PATIENCE_MS 20000
#define PROCESS_CONTROL 3 /* a process's end of what the test tells it by, when it has one */

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

#endif
