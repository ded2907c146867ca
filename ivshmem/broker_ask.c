/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_ask.c: what is asked at the control socket, and when it is answered. docs/protocol.md,
 * "The control socket".
 *
 * What to send next is kept, not what was to be sent.
 */
#include "broker_control.h"
#include "broker_reload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ROWS_A_GO 32u /* each may take a look at /proc */

void ivshm_asker_hang_up(struct ivshm_asker *asker)
{
	ivshm_watch_close(&asker->socket);
	free(asker->lines);
	asker->lines = NULL;
}

/* Answers and hangs up. There is room for one: nothing else was sent. */
static void answer(struct ivshm_asker *asker, struct ivshm_control *message)
{
	ivshm_control_send(asker->socket.fd, message);
	ivshm_asker_hang_up(asker);
}

void ivshm_asker_done(struct ivshm_asker *asker)
{
	struct ivshm_control message = {.row = {.type = IVSHM_CONTROL_DONE}};

	answer(asker, &message);
}

void ivshm_asker_refuse(struct ivshm_asker *asker, int code, const char *format, ...)
{
	struct ivshm_control message = {.row = {.type = IVSHM_CONTROL_ERROR, .code = code}};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);
	answer(asker, &message);
}

/* The line at asker->line, or the end. */
static void make_line(const struct ivshm_asker *asker, struct ivshm_control *out)
{
	static const struct {
		char how;
		uint32_t flags;
	} hows[] = {{IVSHM_SAY_ERROR, IVSHM_CONTROL_WRONG},
		    {IVSHM_SAY_PLAIN, IVSHM_CONTROL_WRONG | IVSHM_CONTROL_PLAIN}};

	*out = (struct ivshm_control){.row = {.type = IVSHM_CONTROL_LINE}};
	if (asker->line && *asker->line) {
		for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++)
			if (*asker->line == hows[i].how)
				out->row.flags = hows[i].flags;
		snprintf(out->text, sizeof(out->text), "%.*s", (int)strcspn(asker->line + 1, "\n"),
			 asker->line + 1);
	} else if (asker->code) {
		out->row.type = IVSHM_CONTROL_ERROR;
		out->row.code = asker->code;
		snprintf(out->text, sizeof(out->text), "%s", strerror(asker->code));
	} else {
		out->row.type = IVSHM_CONTROL_DONE;
	}
}

/* Sends rows until all are sent, there is no room, or it is others' turn. */
static void tell(struct ivshm_asker *asker)
{
	struct ivshm_broker *broker = asker->controls->broker;
	struct ivshm_control message;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ROWS_A_GO; i++) {
		if (asker->stage == IVSHM_ASKER_LINES)
			make_line(asker, &message);
		else
			ivshm_status_row(broker, &asker->at, &message);
		r = ivshm_control_send(asker->socket.fd, &message);
		if (r == 0 && (message.row.type == IVSHM_CONTROL_DONE ||
			       message.row.type == IVSHM_CONTROL_ERROR))
			r = -EPIPE;
		if (r)
			break;
		asker->ticks = 0;
		if (asker->stage == IVSHM_ASKER_LINES)
			asker->line += strcspn(asker->line, "\n") + 1;
		else
			ivshm_status_next(&asker->at);
	}
	if (r && r != -EAGAIN) {
		ivshm_asker_hang_up(asker);
	} else if (!asker->wants_room) {
		asker->wants_room = true;
		ivshm_watch_change(broker, &asker->socket, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	}
}

void ivshm_asker_lines(struct ivshm_asker *asker, char *lines, int code)
{
	asker->stage = IVSHM_ASKER_LINES;
	asker->lines = asker->line = lines;
	asker->code = code;
	asker->ticks = 0;
	ivshm_broker_tick_later(asker->controls->broker);
	tell(asker);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* The pid that has joined a group as this instance, or 0. */
static pid_t joined_pid(const struct ivshm_broker *broker, const char *name)
{
	const struct ivshm_link *link = ivshm_reload_joined(broker, name, NULL);

	return link ? link->pid : 0;
}

static void stop(struct ivshm_asker *asker, unsigned instance)
{
	struct ivshm_controls *controls = asker->controls;
	const char *name = controls->broker->config->instances[instance].name;
	struct ivshm_process process = ivshm_controls_process(controls, instance);
	pid_t other = joined_pid(controls->broker, name);
	int r;

	if (process.pid == 0 && other) {
		ivshm_asker_refuse(asker, EPERM, "instance '%s' was not started here (pid %d)",
				   name, (int)other);
		return;
	}
	if (process.pid == 0) {
		ivshm_asker_refuse(asker, ESRCH, "instance '%s' does not run", name);
		return;
	}
	asker->stage = IVSHM_ASKER_STOP;
	asker->instance = instance;
	r = controls->ops->stop(controls->context, instance);
	if (r == -ESHUTDOWN)
		ivshm_asker_refuse(asker, ESHUTDOWN, "all is being ended");
	else if (r)
		ivshm_asker_refuse(asker, -r, "instance '%s': %s", name, strerror(-r));
}

static void start(struct ivshm_asker *asker, unsigned instance)
{
	struct ivshm_controls *controls = asker->controls;
	const char *name = controls->broker->config->instances[instance].name;
	struct ivshm_process process = ivshm_controls_process(controls, instance);
	pid_t pid = process.pid ? process.pid : joined_pid(controls->broker, name);
	int r;

	if (pid) {
		ivshm_asker_refuse(asker, EEXIST, "instance '%s' runs (pid %d)", name, (int)pid);
		return;
	}
	r = controls->ops->start(controls->context, instance);
	if (r == -ESHUTDOWN)
		ivshm_asker_refuse(asker, ESHUTDOWN, "all is being ended");
	else if (r)
		ivshm_asker_refuse(asker, -r, "instance '%s' could not start: %s", name,
				   strerror(-r));
	else
		ivshm_asker_done(asker);
}

/* The lines, and the end, come when it is over: which may be at once. */
static void reload(struct ivshm_asker *asker, const struct ivshm_control *request)
{
	struct ivshm_controls *controls = asker->controls;
	int r;

	if (!controls->ops->prepare || *request->text != '/') {
		ivshm_asker_refuse(asker, EINVAL,
				   "a reload takes an absolute path, and who starts instances");
		return;
	}
	asker->stage = IVSHM_ASKER_RELOAD;
	r = ivshm_reload_begin(controls->broker, request->text, request->row.flags);
	if (r)
		ivshm_asker_refuse(asker, -r, "reload: %s", strerror(-r));
}

static void hear(struct ivshm_asker *asker, const struct ivshm_control *request)
{
	struct ivshm_controls *controls = asker->controls;
	const struct ivshm_config *config = controls->broker->config;
	const struct ivshm_instance_config *found;
	unsigned instance;

	switch (request->row.type) {
	case IVSHM_CONTROL_STATUS:
		asker->stage = IVSHM_ASKER_STATUS;
		tell(asker);
		return;
	case IVSHM_CONTROL_DOWN:
		asker->stage = IVSHM_ASKER_DOWN;
		controls->ops->down(controls->context);
		return;
	case IVSHM_CONTROL_START:
	case IVSHM_CONTROL_RELOAD:
		if (controls->broker->reload) {
			ivshm_asker_refuse(asker, EBUSY, "another reload is under way");
			return;
		}
		if (request->row.type == IVSHM_CONTROL_RELOAD) {
			reload(asker, request);
			return;
		}
		break;
	case IVSHM_CONTROL_STOP:
		break;
	default:
		ivshm_asker_refuse(asker, EPROTO, "unknown request %u", request->row.type);
		return;
	}
	found = ivshm_config_instance(config, request->row.name);
	if (!found) {
		ivshm_asker_refuse(asker, ENOENT, "no instance '%s'", request->row.name);
		return;
	}
	instance = (unsigned)(found - config->instances);
	if (request->row.type == IVSHM_CONTROL_STOP)
		stop(asker, instance);
	else
		start(asker, instance);
}

void ivshm_asker_ready(void *owner, uint32_t events)
{
	struct ivshm_asker *asker = owner;
	struct ivshm_control request;
	int r;

	if (!(events & ~(uint32_t)EPOLLOUT)) {
		if (asker->stage == IVSHM_ASKER_STATUS || asker->stage == IVSHM_ASKER_LINES)
			tell(asker);
		return;
	}
	/* Who has asked has nothing more to say: it hangs up, or is not of ours. */
	if (asker->stage != IVSHM_ASKER_SILENT) {
		ivshm_asker_hang_up(asker);
		return;
	}
	r = ivshm_control_receive(asker->socket.fd, &request, MSG_DONTWAIT);
	if (r == 0)
		hear(asker, &request);
	else if (r == -EPROTO)
		ivshm_asker_refuse(asker, EPROTO, "not a request of version %u",
				   IVSHM_CONTROL_VERSION);
	else if (r != -EAGAIN)
		ivshm_asker_hang_up(asker);
}
