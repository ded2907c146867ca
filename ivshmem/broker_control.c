/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_control.c: the control socket: who may ask, what is asked, and when it is answered.
 * docs/protocol.md, "The control socket".
 *
 * A few connections, each with one request. What to send next is kept, not what was to be sent.
 */
#include "broker_reload.h"
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASKERS_MAX 8u
#define ASKER_SECONDS 5 /* for the request, and for each row to be taken */
#define SEND_BUFFER 16384
#define ROWS_A_GO 32u /* each may take a look at /proc */

enum asker_stage {
	ASKER_SILENT, /* has not asked yet */
	ASKER_STATUS, /* is being told */
	ASKER_STOP,   /* waits for an instance's end */
	ASKER_DOWN,   /* waits for the end of all */
	ASKER_RELOAD, /* waits for another configuration to be in force, or not */
	ASKER_LINES,  /* is being told what that brought */
};

struct asker {
	struct ivshm_controls *controls;
	struct ivshm_watch socket; /* fd -1: nobody */
	enum asker_stage stage;
	struct ivshm_status_at at; /* ASKER_STATUS: the row to be sent next */
	bool wants_room;           /* for it: waits for EPOLLOUT */
	unsigned instance;         /* ASKER_STOP: whose end */
	char *lines, *line;        /* ASKER_LINES: all, and the next */
	int code;                  /* and then this */
	unsigned ticks;            /* since it has done anything */
};

struct ivshm_controls {
	struct ivshm_broker *broker;
	const struct ivshm_control_ops *ops;
	void *context;
	struct ivshm_door door;
	struct ivshm_watch listener;
	bool paused; /* no accept() before the next tick: no descriptors were left */
	uint64_t since_ns;
	char *path; /* of the configuration, absolute */
	struct asker asker[ASKERS_MAX];
};

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

static void hang_up(struct asker *asker)
{
	ivshm_watch_close(&asker->socket);
	free(asker->lines);
	asker->lines = NULL;
}

/* Answers and hangs up. There is room for one: nothing else was sent. */
static void answer(struct asker *asker, struct ivshm_control *message)
{
	ivshm_control_send(asker->socket.fd, message);
	hang_up(asker);
}

static void done(struct asker *asker)
{
	struct ivshm_control message = {.row = {.type = IVSHM_CONTROL_DONE}};

	answer(asker, &message);
}

__attribute__((format(printf, 3, 4))) static void refuse(struct asker *asker, int code,
							 const char *format, ...)
{
	struct ivshm_control message = {.row = {.type = IVSHM_CONTROL_ERROR, .code = code}};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);
	answer(asker, &message);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* The line at asker->line, or the end. */
static void make_line(const struct asker *asker, struct ivshm_control *out)
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
static void tell(struct asker *asker)
{
	struct ivshm_broker *broker = asker->controls->broker;
	struct ivshm_control message;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ROWS_A_GO; i++) {
		if (asker->stage == ASKER_LINES)
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
		if (asker->stage == ASKER_LINES)
			asker->line += strcspn(asker->line, "\n") + 1;
		else
			ivshm_status_next(&asker->at);
	}
	if (r && r != -EAGAIN) {
		hang_up(asker);
	} else if (!asker->wants_room) {
		asker->wants_room = true;
		ivshm_watch_change(broker, &asker->socket, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	}
}

/* The pid that has joined a group as this instance, or 0. */
static pid_t joined_pid(const struct ivshm_broker *broker, unsigned instance)
{
	for (unsigned g = 0; g < broker->groups_count; g++) {
		const struct ivshm_group *group = &broker->group[g];

		for (unsigned id = 0; id < group->config->members_count; id++) {
			if (group->config->member[id] == instance && group->seat[id].link)
				return group->seat[id].link->pid;
		}
	}
	return 0;
}

static void stop(struct asker *asker, unsigned instance)
{
	struct ivshm_controls *controls = asker->controls;
	const char *name = controls->broker->config->instances[instance].name;
	struct ivshm_process process = ivshm_controls_process(controls, instance);
	pid_t other = joined_pid(controls->broker, instance);
	int r;

	if (process.pid == 0 && other) {
		refuse(asker, EPERM, "instance '%s' was not started here (pid %d)", name,
		       (int)other);
		return;
	}
	if (process.pid == 0) {
		refuse(asker, ESRCH, "instance '%s' does not run", name);
		return;
	}
	asker->stage = ASKER_STOP;
	asker->instance = instance;
	r = controls->ops->stop(controls->context, instance);
	if (r == -ESHUTDOWN)
		refuse(asker, ESHUTDOWN, "all is being ended");
	else if (r)
		refuse(asker, -r, "instance '%s': %s", name, strerror(-r));
}

static void start(struct asker *asker, unsigned instance)
{
	struct ivshm_controls *controls = asker->controls;
	const char *name = controls->broker->config->instances[instance].name;
	struct ivshm_process process = ivshm_controls_process(controls, instance);
	pid_t pid = process.pid ? process.pid : joined_pid(controls->broker, instance);
	int r;

	if (pid) {
		refuse(asker, EEXIST, "instance '%s' runs (pid %d)", name, (int)pid);
		return;
	}
	r = controls->ops->start(controls->context, instance);
	if (r == -ESHUTDOWN)
		refuse(asker, ESHUTDOWN, "all is being ended");
	else if (r)
		refuse(asker, -r, "instance '%s' could not start: %s", name, strerror(-r));
	else
		done(asker);
}

/* The lines, and the end, come when it is over: which may be at once. */
static void reload(struct asker *asker, const struct ivshm_control *request)
{
	struct ivshm_controls *controls = asker->controls;
	int r;

	if (!controls->ops->prepare || *request->text != '/') {
		refuse(asker, EINVAL, "a reload takes an absolute path, and who starts instances");
		return;
	}
	asker->stage = ASKER_RELOAD;
	r = ivshm_reload_begin(controls->broker, request->text, request->row.flags);
	if (r)
		refuse(asker, -r, "reload: %s", strerror(-r));
}

static void hear(struct asker *asker, const struct ivshm_control *request)
{
	struct ivshm_controls *controls = asker->controls;
	const struct ivshm_config *config = controls->broker->config;
	unsigned instance = 0;

	switch (request->row.type) {
	case IVSHM_CONTROL_STATUS:
		asker->stage = ASKER_STATUS;
		tell(asker);
		return;
	case IVSHM_CONTROL_DOWN:
		asker->stage = ASKER_DOWN;
		controls->ops->down(controls->context);
		return;
	case IVSHM_CONTROL_START:
	case IVSHM_CONTROL_RELOAD:
		if (controls->broker->reload) {
			refuse(asker, EBUSY, "another reload is under way");
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
		refuse(asker, EPROTO, "unknown request %u", request->row.type);
		return;
	}
	while (instance < config->instances_count &&
	       strcmp(config->instances[instance].name, request->row.name) != 0)
		instance++;
	if (instance == config->instances_count)
		refuse(asker, ENOENT, "no instance '%s'", request->row.name);
	else if (request->row.type == IVSHM_CONTROL_STOP)
		stop(asker, instance);
	else
		start(asker, instance);
}

static void on_asker(void *owner, uint32_t events)
{
	struct asker *asker = owner;
	struct ivshm_control request;
	int r;

	if (!(events & ~(uint32_t)EPOLLOUT)) {
		if (asker->stage == ASKER_STATUS || asker->stage == ASKER_LINES)
			tell(asker);
		return;
	}
	/* Who has asked has nothing more to say: it hangs up, or is not of ours. */
	if (asker->stage != ASKER_SILENT) {
		hang_up(asker);
		return;
	}
	r = ivshm_control_receive(asker->socket.fd, &request, MSG_DONTWAIT);
	if (r == 0)
		hear(asker, &request);
	else if (r == -EPROTO)
		refuse(asker, EPROTO, "not a request of version %u", IVSHM_CONTROL_VERSION);
	else if (r != -EAGAIN)
		hang_up(asker);
}

/* ---- Who may ask ----------------------------------------------------------------------------- */

static int take(struct ivshm_controls *controls, int fd)
{
	struct asker stranger = {.socket = {.fd = fd}}, *asker = controls->asker;
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
		refuse(&stranger, EACCES, "user %u may not control this", (unsigned)who.uid);
		return 0;
	}
	while (asker < &controls->asker[ASKERS_MAX] && asker->socket.fd >= 0)
		asker++;
	if (asker == &controls->asker[ASKERS_MAX]) {
		refuse(&stranger, EAGAIN, "%u others are asking already", ASKERS_MAX);
		return 0;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*asker = (struct asker){.controls = controls,
				.socket = {.fd = fd, .ready = on_asker, .owner = asker}};
	r = ivshm_watch_add(controls->broker, &asker->socket, EPOLLIN | EPOLLRDHUP);
	if (r)
		hang_up(asker);
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
	for (unsigned i = 0; i < ASKERS_MAX; i++) {
		struct asker *asker = &controls->asker[i];

		if (asker->socket.fd < 0 ||
		    (asker->stage != ASKER_SILENT && asker->stage != ASKER_STATUS &&
		     asker->stage != ASKER_LINES))
			continue;
		if (++asker->ticks > ASKER_SECONDS * IVSHM_TICKS_A_SECOND)
			hang_up(asker);
		else
			ivshm_broker_tick_later(controls->broker);
	}
}

void ivshm_control_ended(struct ivshm_broker *broker, unsigned instance)
{
	struct ivshm_controls *controls = broker->controls;

	for (unsigned i = 0; controls && i < ASKERS_MAX; i++) {
		struct asker *asker = &controls->asker[i];

		if (asker->socket.fd >= 0 && asker->stage == ASKER_STOP &&
		    asker->instance == instance)
			done(asker);
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
	struct asker *asker = controls->asker;

	while (asker < &controls->asker[ASKERS_MAX] &&
	       (asker->socket.fd < 0 || asker->stage != ASKER_RELOAD))
		asker++;
	if (asker == &controls->asker[ASKERS_MAX]) {
		free(lines);
		return;
	}
	asker->stage = ASKER_LINES;
	asker->lines = asker->line = lines;
	asker->code = code;
	asker->ticks = 0;
	ivshm_broker_tick_later(controls->broker);
	tell(asker);
}

void ivshm_controls_renumber(struct ivshm_controls *controls, const unsigned *place, char *path)
{
	/* Who waits for the end of one that is gone has been told of it. */
	for (unsigned i = 0; i < ASKERS_MAX; i++)
		if (controls->asker[i].socket.fd >= 0 && controls->asker[i].stage == ASKER_STOP)
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
	for (unsigned i = 0; i < ASKERS_MAX; i++)
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
	for (unsigned i = 0; controls && i < ASKERS_MAX; i++)
		hang_up(&controls->asker[i]);
	if (controls)
		free(controls->path);
	free(controls);
}
