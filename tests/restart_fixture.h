/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * restart_fixture.h: broker_fixture.h's broker in a process of its own, which can be killed, and
 * raw peers that come back to the next one.
 */
#ifndef TESTS_RESTART_FIXTURE_H
#define TESTS_RESTART_FIXTURE_H

#include "tests/broker_fixture.h"

typedef int restart_create(struct ivshm_config *config, const char *dir, char *error,
			   size_t error_size, struct ivshm_broker **out);

struct restart {
	struct fixture f;
	pid_t broker;
	int control; /* closed: it ends in good order */
};

/* Serves until there is an end at `control`. */
static inline void restart_serve(struct ivshm_broker *broker, int control)
{
	struct pollfd p[2] = {{.fd = ivshm_broker_fd(broker), .events = POLLIN},
			      {.fd = control, .events = POLLIN}};

	do {
		must(poll(p, 2, -1) > 0);
		must(ivshm_broker_dispatch(broker) == 0);
	} while (!p[1].revents);
	ivshm_broker_destroy(broker);
}

/* Begins to serve, in a new process. Returns what `create` did; then f.error is its, too. */
static inline int restart_begin(struct restart *r, restart_create *create)
{
	struct {
		int result;
		char error[sizeof(r->f.error)];
	} said = {0};
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	r->f.broker = NULL;
	r->broker = fork();
	must(r->broker >= 0);
	if (r->broker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(dup2(pair[1], PROCESS_CONTROL) == PROCESS_CONTROL);
		close_range(PROCESS_CONTROL + 1, ~0u, 0);
		said.result = create(&r->f.config, r->f.dir, said.error, sizeof(said.error),
				     &r->f.broker);
		must(send(PROCESS_CONTROL, &said, sizeof(said), MSG_NOSIGNAL) > 0);
		if (said.result == 0)
			restart_serve(r->f.broker, PROCESS_CONTROL);
		_exit(0);
	}
	close(pair[1]);
	must(recv(pair[0], &said, sizeof(said), 0) == sizeof(said));
	memcpy(r->f.error, said.error, sizeof(said.error));
	r->control = pair[0];
	if (said.result) {
		close(r->control);
		must(waitpid(r->broker, NULL, 0) == r->broker);
	}
	return said.result;
}

static inline void restart_kill(struct restart *r)
{
	must(kill(r->broker, SIGKILL) == 0);
	must(waitpid(r->broker, NULL, 0) == r->broker);
	close(r->control);
}

/* Ends it in good order: nothing is left. */
static inline void restart_end(struct restart *r)
{
	int status;

	close(r->control);
	must(waitpid(r->broker, &status, 0) == r->broker && status == 0);
	must(rmdir(r->f.dir) == 0);
}

/* ---- Coming back ---- */

static inline void raw_send_fds(int socket, const struct ist_wire *wire, const int *fds,
				unsigned count)
{
	struct ivshm_packet packet = {.wire = *wire, .fds_count = count};
	int r;

	if (count)
		memcpy(packet.fds, fds, count * sizeof(int));
	r = ivshm_wire_send(socket, &packet);
	/* Who is refused may have been so at the first of several. */
	must(r == 0 || r == -EPIPE);
}

static inline struct ist_wire raw_reattach_wire(const struct raw *raw, const char *name)
{
	struct ist_wire wire = {.type = IST_WIRE_REATTACH,
				.abi = IVSHM_WIRE_ABI,
				.id = raw->id,
				.incarnation = raw->incarnation,
				.count = FIXTURE_REGIONS};

	ivshm_wire_set_string(wire.name, sizeof(wire.name), name);
	return wire;
}

static inline void raw_send_bells(int socket, uint32_t id, uint32_t incarnation, const int *fds)
{
	struct ist_wire wire = {.type = IST_WIRE_BELLS,
				.abi = IVSHM_WIRE_ABI,
				.id = id,
				.incarnation = incarnation,
				.vectors = FIXTURE_VECTORS};

	raw_send_fds(socket, &wire, fds, FIXTURE_VECTORS);
}

/* A new connection, with REATTACH and all BELLS on it, and READY. */
static inline void raw_hand_back(struct fixture *f, struct raw *raw, const char *name)
{
	struct ist_wire wire = raw_reattach_wire(raw, name);

	close(raw->socket);
	raw->socket = raw_connect(f);
	raw_send_fds(raw->socket, &wire, &raw->memory, 1);
	raw_send_bells(raw->socket, raw->id, raw->incarnation, raw->own);
	for (uint32_t id = 0; id < FIXTURE_PEERS; id++)
		if (id != raw->id && raw->told[id])
			raw_send_bells(raw->socket, id, raw->told[id], raw->peer[id]);
	wire = (struct ist_wire){.type = IST_WIRE_READY, .abi = IVSHM_WIRE_ABI};
	raw_send_fds(raw->socket, &wire, NULL, 0);
}

/* What it may do is told anew. */
static inline void raw_confirm_rights(struct fixture *f, struct raw *raw)
{
	for (uint32_t i = 0; i < FIXTURE_REGIONS; i++) {
		struct ivshm_packet packet = raw_expect(f, raw->socket, IST_WIRE_RIGHT);

		must(packet.wire.id == i);
		packet.wire.type = IST_WIRE_RIGHT_DONE;
		must(ivshm_wire_send(raw->socket, &packet) == 0);
	}
}

/* The same, and the broker's answer. */
static inline void raw_return(struct fixture *f, struct raw *raw, const char *name)
{
	raw_hand_back(f, raw, name);
	raw_expect(f, raw->socket, IST_WIRE_READY);
	raw_confirm_rights(f, raw);
}

/* The next message must be this PEER, which is kept. */
static inline void raw_expect_peer(struct fixture *f, struct raw *raw, uint32_t id,
				   uint32_t incarnation)
{
	struct ivshm_packet packet = raw_expect(f, raw->socket, IST_WIRE_PEER);

	must(packet.wire.id == id && packet.wire.incarnation == incarnation);
	raw_keep_peer(raw, &packet);
}

static inline void raw_expect_gone(struct fixture *f, struct raw *raw, uint32_t id,
				   uint32_t incarnation, uint32_t state)
{
	struct ivshm_packet packet = raw_expect(f, raw->socket, IST_WIRE_GONE);

	must(packet.wire.id == id && packet.wire.incarnation == incarnation);
	must(packet.wire.state == state);
	raw->told[id] = 0;
}

/* That doorbell of that peer reaches it. */
static inline void raw_rings(const struct raw *from, const struct raw *to, unsigned vector)
{
	rings(to->own[vector]);
	must(eventfd_write(from->peer[to->id][vector], 1) == 0);
	must(rings(to->own[vector]) == 1);
}

/* A peer in a process of its own, live when this returns, which does nothing. */
static inline pid_t raw_idle_process(struct restart *r, const char *name)
{
	int pair[2];
	char byte;
	pid_t pid;

	must(pipe2(pair, O_CLOEXEC) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		struct raw raw;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		raw = raw_live(&r->f, name);
		raw_await_word(&r->f, &raw, raw.id, IST_PEER_WORD(IST_PEER_LIVE, raw.incarnation));
		must(write(pair[1], "", 1) == 1);
		for (;;)
			pause();
	}
	close(pair[1]);
	must(read(pair[0], &byte, 1) == 1);
	close(pair[0]);
	return pid;
}

static inline void raw_kill_process(pid_t pid)
{
	must(kill(pid, SIGKILL) == 0);
	must(waitpid(pid, NULL, 0) == pid);
}

/* Two live peers, of which each knows the other. */
static inline void restart_two(struct restart *r, restart_create *create, struct raw *left,
			       struct raw *right)
{
	must(restart_begin(r, create) == 0);
	*left = raw_live(&r->f, "left");
	*right = raw_live(&r->f, "right");
	raw_expect_peer(&r->f, left, right->id, 1);
	raw_await_word(&r->f, left, right->id, IST_PEER_WORD(IST_PEER_LIVE, 1));
}

#endif
