/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * served_group.h: the group of broker_fixture.h served by a broker in a process of its own, and
 * libisthmus peers in processes of theirs.
 */
#ifndef TESTS_SERVED_GROUP_H
#define TESTS_SERVED_GROUP_H

#include "tests/broker_fixture.h"

#include <isthmus/isthmus.h>

#define PATIENCE_NS 20000000000ull

struct served {
	struct fixture fixture;
	pid_t broker;
	int control; /* the broker ends when this is closed */
};

static inline void served_serve(struct fixture *f, int control, bool attach)
{
	struct pollfd p[2] = {{.fd = control, .events = POLLIN}, {.events = POLLIN}};

	must((attach ? ivshm_broker_attach : ivshm_broker_create)(
		     &f->config, f->dir, f->error, sizeof(f->error), &f->broker) == 0);
	must(write(control, "", 1) == 1);
	p[1].fd = ivshm_broker_fd(f->broker);
	while (poll(p, 2, -1) > 0 && !p[0].revents)
		must(ivshm_broker_dispatch(f->broker) == 0);
	fixture_stop(f);
	_exit(0);
}

static inline void served_fork(struct served *served, bool attach)
{
	int pair[2];
	char byte;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	served->broker = fork();
	must(served->broker >= 0);
	if (served->broker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Nothing of this process's: who takes a group over has none of its descriptors. */
		must(dup2(pair[1], PROCESS_CONTROL) == PROCESS_CONTROL);
		close_range(PROCESS_CONTROL + 1, ~0u, 0);
		served_serve(&served->fixture, PROCESS_CONTROL, attach);
	}
	close(pair[1]);
	served->control = pair[0];
	must(read(served->control, &byte, 1) == 1);
}

/*
 * `also` changes the configuration first. Sets the environment, too, in which libisthmus finds the
 * group, as instance "left".
 */
static inline void served_start_as(struct served *served, void (*also)(struct fixture *))
{
	fixture_configure(&served->fixture);
	if (also)
		also(&served->fixture);
	served_fork(served, false);
	must(setenv("ISTHMUS_RUNTIME_DIR", served->fixture.dir, 1) == 0);
	must(setenv("ISTHMUS_INSTANCE", "left", 1) == 0);
	must(unsetenv("ISTHMUS_GROUPS") == 0);
}

static inline void served_start(struct served *served)
{
	served_start_as(served, NULL);
}

/* For served_start_as(): region "shared" is page-coherent. */
static inline void served_paged(struct fixture *f)
{
	f->region[0].coherence = IST_COHERENCE_PAGE;
	f->region[0].tenure_ns = 50000;
	f->region[0].recall_ns = 1000000000;
}

static inline void served_stop(struct served *served)
{
	int status;

	close(served->control);
	must(waitpid(served->broker, &status, 0) == served->broker);
	must(status == 0);
}

/* The broker dies, and leaves what it has. */
static inline void served_murder(struct served *served)
{
	must(kill(served->broker, SIGKILL) == 0);
	must(waitpid(served->broker, NULL, 0) == served->broker);
	close(served->control);
}

/* The same; what it leaves is removed. */
static inline void served_kill(struct served *served)
{
	char path[sizeof(served->fixture.dir) + 16];

	served_murder(served);
	must(unlink(served->fixture.path) == 0);
	snprintf(path, sizeof(path), "%s/ping.lock", served->fixture.dir);
	must(unlink(path) == 0);
	snprintf(path, sizeof(path), "%s/ping.state", served->fixture.dir);
	must(unlink(path) == 0);
	must(rmdir(served->fixture.dir) == 0);
}

/* This process is instance `name` until `body` returns, and then it ends well. */
static inline void peer_be(const char *name, void (*body)(struct ist_group *))
{
	struct ist_group *group;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(setenv("ISTHMUS_INSTANCE", name, 1) == 0);
	must(ist_group_open("ping", &group) == 0);
	body(group);
	ist_group_close(group);
	_exit(0);
}

/* A process of its own is it. */
static inline pid_t peer_start(const char *name, void (*body)(struct ist_group *))
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0)
		peer_be(name, body);
	return pid;
}

static inline void peer_join(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0) == pid);
	must(status == 0);
}

static inline void peer_kill(pid_t pid)
{
	must(kill(pid, SIGKILL) == 0);
	must(waitpid(pid, NULL, 0) == pid);
}

/* The region "shared" as a row of flags. */
static inline uint32_t *flags(struct ist_group *of)
{
	struct ist_region_info info;

	must(ist_region_find(of, "shared", &info) == 0 && info.address);
	return info.address;
}

static inline void set(uint32_t *flag, uint32_t value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static inline uint32_t get(const uint32_t *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static inline void await(const uint32_t *flag, uint32_t value)
{
	uint64_t deadline = ist_time_ns() + PATIENCE_NS;

	while (get(flag) != value) {
		must(ist_time_ns() < deadline);
		ist_sleep_ns(100000);
	}
}

#endif
