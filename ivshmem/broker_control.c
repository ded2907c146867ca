/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_control.c: the control socket: who may ask, a few at a time, and what the rest of the
 * broker wants of them and of the owner of the processes. docs/protocol.md, "The control socket".
 */
#include "broker_control.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASKER_SECONDS 5 /* for the request, and for each row to be taken */
#define SEND_BUFFER 16384

struct ivshm_process ivshm_controls_process(const struct ivshm_controls *controls,
					    unsigned instance)
{
	return controls->ops->process(controls->context, instance);
}

void ivshm_controls_about(const struct ivshm_controls *controls, struct ivshm_control *out)
{
	out->row.age_ns = ivshm_clock_ns() - controls->since_ns;
	snprintf(out->text, sizeof(out->text), "%s", controls->path);
}

/* ---- Who may ask ----------------------------------------------------------------------------- */

static int take(struct ivshm_controls *controls, int fd)
{
	struct ivshm_asker stranger = {.socket = {.fd = fd}}, *asker = controls->asker;
	int size = SEND_BUFFER;
	struct ucred who;
	socklen_t length = sizeof(who);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length)) {
		r = -errno;
		close(fd);
		return r;
	}
	if (who.uid != 0 && who.uid != geteuid()) {
		ivshm_asker_refuse(&stranger, EACCES, "user %u may not control this",
				   (unsigned)who.uid);
		return 0;
	}
	while (asker < &controls->asker[IVSHM_ASKERS_MAX] && asker->socket.fd >= 0)
		asker++;
	if (asker == &controls->asker[IVSHM_ASKERS_MAX]) {
		ivshm_asker_refuse(&stranger, EAGAIN, "%u others are asking already",
				   IVSHM_ASKERS_MAX);
		return 0;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*asker = (struct ivshm_asker){
		.controls = controls,
		.socket = {.fd = fd, .ready = ivshm_asker_ready, .owner = asker}};
	r = ivshm_watch_add(controls->broker, &asker->socket, EPOLLIN | EPOLLRDHUP);
	if (r)
		ivshm_asker_hang_up(asker);
	else
		ivshm_broker_tick_later(controls->broker);
	return r;
}

/* One a call: the next event brings the next. */
static void on_listener(void *owner, uint32_t events)
{
	struct ivshm_controls *controls = owner;
	int fd = accept4(controls->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int r = fd < 0 ? -errno : take(controls, fd);

	(void)events;
	if (r == 0 || r == -EAGAIN || r == -EINTR || r == -ECONNABORTED)
		return;
	ivshm_broker_warn(controls->broker, "control: cannot take a connection: %s", strerror(-r));
	controls->paused = true;
	ivshm_watch_change(controls->broker, &controls->listener, 0);
	ivshm_broker_tick_later(controls->broker);
}

void ivshm_controls_tick(struct ivshm_controls *controls)
{
	if (!controls)
		return;
	if (controls->paused) {
		controls->paused = false;
		ivshm_watch_change(controls->broker, &controls->listener, EPOLLIN);
	}
	for (unsigned i = 0; i < IVSHM_ASKERS_MAX; i++) {
		struct ivshm_asker *asker = &controls->asker[i];

		if (asker->socket.fd < 0 ||
		    (asker->stage != IVSHM_ASKER_SILENT && asker->stage != IVSHM_ASKER_STATUS &&
		     asker->stage != IVSHM_ASKER_LINES))
			continue;
		if (++asker->ticks > ASKER_SECONDS * IVSHM_TICKS_A_SECOND)
			ivshm_asker_hang_up(asker);
		else
			ivshm_broker_tick_later(controls->broker);
	}
}

void ivshm_control_ended(struct ivshm_broker *broker, unsigned instance)
{
	struct ivshm_controls *controls = broker->controls;

	for (unsigned i = 0; controls && i < IVSHM_ASKERS_MAX; i++) {
		struct ivshm_asker *asker = &controls->asker[i];

		if (asker->socket.fd >= 0 && asker->stage == IVSHM_ASKER_STOP &&
		    asker->instance == instance)
			ivshm_asker_done(asker);
	}
}

const struct ivshm_control_ops *ivshm_controls_ops(const struct ivshm_controls *controls,
						   void **context)
{
	*context = controls->context;
	return controls->ops;
}

/* Who asked may have hung up: then nobody is told. */
void ivshm_controls_reloaded(struct ivshm_controls *controls, char *lines, int code)
{
	struct ivshm_asker *asker = controls->asker;

	while (asker < &controls->asker[IVSHM_ASKERS_MAX] &&
	       (asker->socket.fd < 0 || asker->stage != IVSHM_ASKER_RELOAD))
		asker++;
	if (asker == &controls->asker[IVSHM_ASKERS_MAX]) {
		free(lines);
		return;
	}
	ivshm_asker_lines(asker, lines, code);
}

void ivshm_controls_renumber(struct ivshm_controls *controls, const unsigned *place, char *path)
{
	/* Who waits for the end of one that is gone has been told of it. */
	for (unsigned i = 0; i < IVSHM_ASKERS_MAX; i++)
		if (controls->asker[i].socket.fd >= 0 &&
		    controls->asker[i].stage == IVSHM_ASKER_STOP)
			controls->asker[i].instance = place[controls->asker[i].instance];
	free(controls->path);
	controls->path = path;
}

/* ---- Its life -------------------------------------------------------------------------------- */

/* The lowest number that nobody serves. */
static int open_door(struct ivshm_controls *controls, const char *dir, char *error,
		     size_t error_size)
{
	int r = -EADDRINUSE;

	for (unsigned n = 1; r == -EADDRINUSE && n <= IVSHM_CONTROL_NUMBERS; n++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", n);
		r = ivshm_door_open(&controls->door, &ivshm_control_door, dir, name, 0600, error,
				    error_size);
	}
	return r;
}

int ivshm_broker_serve_control(struct ivshm_broker *broker, const char *dir,
			       const struct ivshm_control_ops *ops, void *context, char *error,
			       size_t error_size)
{
	struct ivshm_controls *controls = calloc(1, sizeof(*controls));
	int r;

	if (!controls)
		return ivshm_fail(error, error_size, -ENOMEM, "control: out of memory");
	*controls = (struct ivshm_controls){
		.broker = broker, .ops = ops, .context = context, .since_ns = ivshm_clock_ns()};
	for (unsigned i = 0; i < IVSHM_ASKERS_MAX; i++)
		controls->asker[i].socket.fd = -1;
	/* A configuration that was not read from a file keeps its name. */
	controls->path = realpath(broker->config->path, NULL);
	if (!controls->path)
		controls->path = strdup(broker->config->path);
	if (!controls->path) {
		r = ivshm_fail(error, error_size, -ENOMEM, "control: out of memory");
		goto out_free;
	}
	r = open_door(controls, dir, error, error_size);
	if (r)
		goto out_path;
	controls->listener = (struct ivshm_watch){
		.fd = controls->door.listener, .ready = on_listener, .owner = controls};
	r = ivshm_watch_add(broker, &controls->listener, EPOLLIN);
	if (r) {
		ivshm_fail(error, error_size, r, "control: %s", strerror(-r));
		goto out_door;
	}
	broker->controls = controls;
	return 0;

out_door:
	ivshm_watch_close(&controls->listener);
	ivshm_door_close(&controls->door);
out_path:
	free(controls->path);
out_free:
	free(controls);
	return r;
}

void ivshm_controls_close(struct ivshm_controls *controls)
{
	if (!controls)
		return;
	ivshm_watch_close(&controls->listener);
	ivshm_door_close(&controls->door);
}

void ivshm_controls_destroy(struct ivshm_controls *controls)
{
	for (unsigned i = 0; controls && i < IVSHM_ASKERS_MAX; i++)
		ivshm_asker_hang_up(&controls->asker[i]);
	if (controls)
		free(controls->path);
	free(controls);
}
