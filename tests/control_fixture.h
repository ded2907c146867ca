/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control_fixture.h: a control socket of broker_fixture.h's broker, an owner of processes behind it
 * who counts what he is asked, and who asks.
 */
#ifndef TESTS_CONTROL_FIXTURE_H
#define TESTS_CONTROL_FIXTURE_H

#include "ivshmem/broker_internal.h"
#include "ivshmem/control.h"
#include "ivshmem/door.h"
#include "tests/broker_fixture.h"

/* ---- The owner of the processes -------------------------------------------------------------- */

/* What he was asked, and what he says. By the instance's number. */
static struct {
	struct ivshm_process process[8];
	unsigned starts, stops, downs, prepared, committed, abandoned;
	unsigned started, stopped; /* the last */
	int result;                /* of start(), stop() and prepare() */
} owner;

static inline struct ivshm_process process_of(void *context, unsigned instance)
{
	(void)context;
	return owner.process[instance];
}

static inline int on_start(void *context, unsigned instance)
{
	const struct fixture *f = context;

	must(instance < f->broker->config->instances_count);
	owner.starts++;
	owner.started = instance;
	return owner.result;
}

static inline int on_stop(void *context, unsigned instance)
{
	const struct fixture *f = context;

	must(instance < f->broker->config->instances_count);
	owner.stops++;
	owner.stopped = instance;
	return owner.result;
}

static inline void on_down(void *context)
{
	(void)context;
	owner.downs++;
}

static inline int on_prepare(void *context, const struct ivshm_config *next)
{
	(void)context;
	(void)next;
	owner.prepared++;
	return owner.result;
}

static inline void on_commit(void *context)
{
	(void)context;
	owner.committed++;
}

static inline void on_abandon(void *context)
{
	(void)context;
	owner.abandoned++;
}

/* The context is the fixture. */
static const struct ivshm_control_ops control_ops = {.process = process_of,
						     .start = on_start,
						     .stop = on_stop,
						     .down = on_down,
						     .prepare = on_prepare,
						     .commit = on_commit,
						     .abandon = on_abandon};

static inline int control_serve(struct fixture *f)
{
	return ivshm_broker_serve_control(f->broker, f->dir, &control_ops, f, f->error,
					  sizeof(f->error));
}

/* ---- Who asks -------------------------------------------------------------------------------- */

static inline int control_connect(const struct fixture *f)
{
	int fd = ivshm_door_enter(&ivshm_control_door, f->dir, "1");

	must(fd >= 0);
	return fd;
}

static inline void control_ask(int fd, uint32_t type, const char *name)
{
	struct ivshm_control request = {.row = {.type = type}};

	snprintf(request.row.name, sizeof(request.row.name), "%s", name);
	must(ivshm_control_send(fd, &request) == 0);
}

static inline int control_receive(struct fixture *f, int fd, struct ivshm_control *out)
{
	fixture_await(f, fd);
	return ivshm_control_receive(fd, out, MSG_DONTWAIT);
}

/* The PEER row of an ID. */
static inline struct ivshm_control_row control_peer(struct fixture *f, uint32_t id)
{
	struct ivshm_control_row row = {0};
	struct ivshm_control message;
	int fd = control_connect(f);

	control_ask(fd, IVSHM_CONTROL_STATUS, "");
	do {
		must(control_receive(f, fd, &message) == 0);
		if (message.row.type == IVSHM_CONTROL_PEER && message.row.index == id)
			row = message.row;
	} while (message.row.type != IVSHM_CONTROL_DONE);
	must(row.type == IVSHM_CONTROL_PEER);
	close(fd);
	fixture_settle(f);
	return row;
}

#endif
