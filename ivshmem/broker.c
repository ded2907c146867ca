/* SPDX-License-Identifier: BSD-2-Clause */
/* broker.c: all groups of a configuration behind one epoll descriptor, in one thread. */
#include "bell_count.h"
#include "broker_internal.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_A_DISPATCH 256
#define WARNINGS_A_SECOND 10

int ivshm_runtime_dir(char *out, size_t size)
{
	const char *own = getenv("ISTHMUS_RUNTIME_DIR");
	const char *session = getenv("XDG_RUNTIME_DIR");
	char here[PATH_MAX];
	int length;

	if (own && *own == '/')
		length = snprintf(out, size, "%s", own);
	else if (own && *own && !getcwd(here, sizeof(here)))
		return -errno;
	else if (own && *own)
		length = snprintf(out, size, "%s/%s", here, own);
	else if (session && *session)
		length = snprintf(out, size, "%s/isthmus", session);
	else if (geteuid() == 0)
		length = snprintf(out, size, "/run/isthmus");
	else
		return -ENOENT;
	return (size_t)length < size ? 0 : -ENAMETOOLONG;
}

int ivshm_watch_add(struct ivshm_broker *broker, struct ivshm_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (epoll_ctl(broker->epoll, EPOLL_CTL_ADD, watch->fd, &event))
		return -errno;
	watch->epoll = broker->epoll;
	watch->added = true;
	return 0;
}

/* A descriptor that is in the set can be changed: no memory is needed. */
void ivshm_watch_change(struct ivshm_broker *broker, struct ivshm_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	epoll_ctl(broker->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

/*
 * Closing alone takes a descriptor out of the set only when nobody else has a copy, as a process
 * that was forked and has not executed its program yet.
 */
void ivshm_watch_close(struct ivshm_watch *watch)
{
	if (watch->added)
		epoll_ctl(watch->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->added = false;
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

static void set_timer(struct ivshm_broker *broker, bool ticking)
{
	struct timespec period = {.tv_nsec = ticking ? 1000000000 / IVSHM_TICKS_A_SECOND : 0};
	struct itimerspec every = {.it_interval = period, .it_value = period};

	timerfd_settime(broker->timer.fd, 0, &every, NULL);
	broker->ticking = ticking;
}

void ivshm_broker_tick_later(struct ivshm_broker *broker)
{
	if (!broker->ticking)
		set_timer(broker, true);
}

static void tick(void *owner, uint32_t events)
{
	struct ivshm_broker *broker = owner;

	(void)events;
	/* Whoever needs another tick says so; setting the timer anew makes it unreadable. */
	set_timer(broker, false);
	for (unsigned i = 0; i < broker->groups_count; i++)
		ivshm_group_tick(&broker->group[i]);
	ivshm_controls_tick(broker->controls);
	ivshm_reload_tick(broker);
}

uint64_t ivshm_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void ivshm_broker_warn(struct ivshm_broker *broker, const char *format, ...)
{
	char line[256];
	struct timespec now;
	va_list arguments;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (broker->warned_second != (uint64_t)now.tv_sec) {
		if (broker->warnings > WARNINGS_A_SECOND)
			ivshm_log(IVSHM_LOG_WARN, "%u more warnings held back",
				  broker->warnings - WARNINGS_A_SECOND);
		broker->warned_second = (uint64_t)now.tv_sec;
		broker->warnings = 0;
	}
	if (++broker->warnings > WARNINGS_A_SECOND)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	ivshm_log(IVSHM_LOG_WARN, "%s", line);
}

static int make_dir(struct ivshm_broker *broker, const char *dir, char *error, size_t error_size)
{
	char *copy = strdup(dir);
	int r;

	if (!copy)
		return ivshm_fail(error, error_size, -ENOMEM, "%s: out of memory", dir);
	if (mkdir(dir, 0755)) {
		r = errno == EEXIST ? 0 : -errno;
		free(copy);
		return r ? ivshm_fail(error, error_size, r, "%s: %s", dir, strerror(-r)) : 0;
	}
	broker->made_dir = copy;
	return 0;
}

static int open_events(struct ivshm_broker *broker, char *error, size_t error_size)
{
	int r = ivshm_bell_create(&broker->bell);

	if (r)
		return ivshm_fail(error, error_size, r,
				  "broker: asynchronous I/O (see fs.aio-max-nr): %s", strerror(-r));
	broker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (broker->epoll < 0) {
		r = -errno;
		goto out_bell;
	}
	broker->timer.ready = tick;
	broker->timer.owner = broker;
	broker->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (broker->timer.fd < 0) {
		r = -errno;
		goto out_epoll;
	}
	r = ivshm_watch_add(broker, &broker->timer, EPOLLIN);
	if (r)
		goto out_timer;
	return 0;

out_timer:
	close(broker->timer.fd);
out_epoll:
	close(broker->epoll);
out_bell:
	ivshm_bell_destroy(&broker->bell);
	return ivshm_fail(error, error_size, r, "broker: epoll: %s", strerror(-r));
}

static int create(const struct ivshm_config *config, struct ivshm_config *attach, const char *dir,
		  char *error, size_t error_size, struct ivshm_broker **out)
{
	struct ivshm_broker *broker =
		calloc(1, sizeof(*broker) + config->groups_count * sizeof(broker->group[0]));
	int r;

	if (!broker)
		return ivshm_fail(error, error_size, -ENOMEM, "broker: out of memory");
	broker->config = config;
	broker->attach = attach;
	r = open_events(broker, error, error_size);
	if (r) {
		free(broker);
		return r;
	}
	r = make_dir(broker, dir, error, error_size);
	if (r)
		goto out_destroy;
	ivshm_broker_run_create(broker);
	for (unsigned i = 0; i < config->groups_count; i++) {
		r = ivshm_group_create(&broker->group[i], broker, &config->groups[i], dir, error,
				       error_size);
		if (r)
			goto out_destroy;
		broker->groups_count++;
	}
	*out = broker;
	return 0;

out_destroy:
	ivshm_broker_keep(broker);
	ivshm_broker_destroy(broker);
	return r;
}

int ivshm_broker_create(struct ivshm_config *config, const char *dir, char *error,
			size_t error_size, struct ivshm_broker **out)
{
	return create(config, NULL, dir, error, error_size, out);
}

int ivshm_broker_attach(struct ivshm_config *config, const char *dir, char *error,
			size_t error_size, struct ivshm_broker **out)
{
	return create(config, config, dir, error, error_size, out);
}

void ivshm_broker_keep(struct ivshm_broker *broker)
{
	broker->keep = true;
}

int ivshm_broker_fd(const struct ivshm_broker *broker)
{
	return broker->epoll;
}

/* One event at a time: what handles it may free the owners of others. */
int ivshm_broker_dispatch(struct ivshm_broker *broker)
{
	for (unsigned i = 0; i < EVENTS_A_DISPATCH; i++) {
		struct epoll_event event;
		struct ivshm_watch *watch;
		int n = epoll_wait(broker->epoll, &event, 1, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			break;
		watch = event.data.ptr;
		watch->ready(watch->owner, event.events);
		ivshm_reload_step(broker);
	}
	return 0;
}

void ivshm_broker_destroy(struct ivshm_broker *broker)
{
	while (broker->groups_count > 0)
		ivshm_group_destroy(&broker->group[--broker->groups_count]);
	ivshm_run_state_destroy(broker->run);
	ivshm_bell_count_destroy(broker->bells);
	ivshm_reload_destroy(broker);
	ivshm_controls_close(broker->controls);
	if (broker->made_dir)
		rmdir(broker->made_dir);
	free(broker->made_dir);
	/* Who waits for the end of all hears of it when nothing is left. */
	ivshm_controls_destroy(broker->controls);
	ivshm_watch_close(&broker->timer);
	close(broker->epoll);
	ivshm_bell_destroy(&broker->bell);
	free(broker);
}
