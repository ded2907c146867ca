/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process_peer.h: peers of broker_fixture.h's broker in processes of their own.
 *
 * A process is forked before there is a broker, and told what to do over a socket pair:
 *   join NAME, ready, dispatch, return, leave, close, bye-exit, fork, ring ID VECTOR, count VECTOR
 * It answers each with the call's result and what it has heard since: "0 +1.1 -1.1/4" is: right
 * (incarnation 1) came, and died.
 */
#ifndef TESTS_PROCESS_PEER_H
#define TESTS_PROCESS_PEER_H

#include "ivshmem/client.h"
#include "tests/broker_fixture.h"

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
