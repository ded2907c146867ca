/* SPDX-License-Identifier: BSD-2-Clause */
/* up.c: `isthmus up FILE`: the broker and all instances, from the first to the last. */
#include "up.h"
#include "attach.h"
#include "command.h"
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem/broker.h"
#include "ivshmem/log.h"
#include "ivshmem/state.h"

/* What is polled: these, then a pidfd for each instance. */
enum { POLL_BROKER, POLL_SIGNALS, POLL_CONSOLE, POLL_CHILDREN };

static void signal_all(const struct up *up, int signal)
{
	for (unsigned i = 0; i < up->children; i++)
		child_signal(up->child[i], signal);
}

void up_stop(struct up *up, int status)
{
	if (up->stopping)
		return;
	up->stopping = true;
	up->status = status;
	signal_all(up, SIGTERM);
	alarm(UP_GRACE_SECONDS);
}

void up_stop_now(struct up *up)
{
	signal_all(up, SIGKILL);
	up->abandoned = !up->alive;
}

static void on_signal(struct up *up)
{
	struct signalfd_siginfo info;

	while (read(up->poll[POLL_SIGNALS].fd, &info, sizeof(info)) == sizeof(info)) {
		if (!up->stopping)
			up_stop(up, 128 + (int)info.ssi_signo);
		else if (info.ssi_signo == SIGALRM)
			signal_all(up, SIGKILL);
		else
			up_stop_now(up);
	}
}

static void on_broker(struct up *up)
{
	int ret = ivshm_broker_dispatch(up->broker);

	if (ret) {
		ivshm_log(IVSHM_LOG_ERROR, "broker: %s", strerror(-ret));
		up->poll[POLL_BROKER].fd = -1;
		up_stop(up, EXIT_FAILURE);
	}
}

static void on_console(struct up *up)
{
	if (up_look_at_consoles(up) && !up->stopping) {
		ivshm_log(IVSHM_LOG_ERROR, "standard output takes no more: ending");
		up_stop(up, EXIT_FAILURE);
	}
}

static void on_child(struct up *up, unsigned index)
{
	struct child *child = up->child[index];
	bool started;
	int end = child_reap(child, &started);
	char how[64];

	attach_close(child->attach);
	console_ended(child->console, child->stream);
	up->alive--;
	child->ended = true;
	child->status = end;
	child->unknown = child->adopted;
	child->since_ns = ivshm_clock_ns();
	child->kill_ns = 0;
	up_keep(up, child);
	ivshm_control_ended(up->broker, index);
	if (up->stopping)
		return;
	if (child->told) {
		child->waits = true;
		ivshm_log(IVSHM_LOG_INFO, "%s: stopped", child->instance->name);
		return;
	}
	if (child->unknown)
		snprintf(how, sizeof(how), "ended; whose child it was is gone, and how is unknown");
	else if (WIFSIGNALED(end))
		snprintf(how, sizeof(how), "killed by signal %d", WTERMSIG(end));
	else
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(end));
	child->waits |= !started;
	ivshm_log(end ? IVSHM_LOG_ERROR : IVSHM_LOG_DEBUG, "%s: %s%s", child->instance->name,
		  started ? "" : "could not start: ", how);
	if (!started && !child->asked)
		up_stop(up, EXIT_FAILURE);
	else if (end)
		up->status = EXIT_FAILURE;
}

/* Waits until something happens, and handles it. */
static void serve(struct up *up)
{
	int timeout = up_kill_late(up);

	for (unsigned i = 0; i < up->children; i++)
		up->poll[POLL_CHILDREN + i].fd = up->child[i]->pidfd;
	if (poll(up->poll, up->poll_count, timeout) < 0)
		return;
	if (up->poll[POLL_SIGNALS].revents)
		on_signal(up);
	if (up->poll[POLL_BROKER].revents)
		on_broker(up);
	if (up->poll[POLL_CONSOLE].revents)
		on_console(up);
	for (unsigned i = 0; i < up->children; i++)
		if (up->poll[POLL_CHILDREN + i].revents)
			on_child(up, i);
}

int up_start(struct up *up, unsigned index)
{
	struct child *child = up->child[index];
	int ret = child_start(child, &up->options, &up->signal_mask, attach_input(child->attach),
			      console_input(child->console, child->stream), up_keep, up);

	if (ret)
		return ret;
	up->alive++;
	child->since_ns = ivshm_clock_ns();
	child->told = child->ended = child->unknown = false;
	child->waits = !child->instance->autostart;
	ivshm_log(IVSHM_LOG_DEBUG, "%s: process %d", child->instance->name, (int)child->pid);
	return 0;
}

static unsigned up_index(const struct up *up, const struct child *child)
{
	return (unsigned)(child->instance - up->config->instances);
}

void up_keep(void *context, const struct child *child)
{
	struct up *up = context;
	struct ivshm_state_process process = {.pid = child->pid,
					      .flags = IVSHM_STATE_STARTED,
					      .start = child->start,
					      .since_ns = ivshm_clock_ns()};

	if (child->pidfd < 0) {
		process.flags |= IVSHM_STATE_ENDED | (child->unknown ? IVSHM_STATE_UNKNOWN : 0) |
				 (child->told ? IVSHM_STATE_TOLD : 0);
		process.since_ns = child->since_ns;
		process.status = child->status;
	}

	ivshm_broker_set_process(up->broker, up_index(up, child), &process);
}

/* What an `up` that was killed has started of this one. */
static int adopt(struct up *up, struct child *child)
{
	struct ivshm_state_process process;
	int ret;

	if (!ivshm_broker_process(up->broker, up_index(up, child), &process) ||
	    !(process.flags & IVSHM_STATE_STARTED))
		return 0;
	child->known = true;
	child->since_ns = process.since_ns;
	child->status = process.status;
	child->ended = process.flags & IVSHM_STATE_ENDED;
	child->unknown = process.flags & IVSHM_STATE_UNKNOWN;
	child->told = process.flags & IVSHM_STATE_TOLD;
	child->waits |= child->told;
	if (child->ended)
		return 0;
	ret = child_adopt(child, process.pid, process.start);
	if (ret == 0) {
		up->alive++;
		ivshm_log(IVSHM_LOG_INFO, "%s: taken over, process %d", child->instance->name,
			  (int)child->pid);
	} else if (ret == -ESRCH) {
		child->ended = child->unknown = true;
		child->since_ns = ivshm_clock_ns();
		ivshm_log(IVSHM_LOG_WARN, "%s: ended while nobody was there to see how",
			  child->instance->name);
		up_keep(up, child);
		ret = 0;
	}
	return ret;
}

/* The first that cannot be started ends them all. */
static void start_all(struct up *up)
{
	for (unsigned i = 0; i < up->children && !up->stopping; i++)
		if (up->child[i]->instance->autostart && !up->child[i]->known && up_start(up, i))
			up_stop(up, EXIT_FAILURE);
}

/*
 * For instances that others start, or that somebody stopped: only a signal ends it, or `down`. And
 * for what a reload brings.
 */
static bool waits(const struct up *up)
{
	if (up->next && !up->stopping)
		return true;
	for (unsigned i = 0; i < up->children && !up->stopping; i++)
		if (up->child[i]->waits)
			return true;
	return false;
}

static void live(struct up *up)
{
	start_all(up);
	if (waits(up))
		for (unsigned i = 0; i < up->config->groups_count; i++)
			ivshm_log(IVSHM_LOG_WARN, "group %s is open in %s; Ctrl-C ends it",
				  up->config->groups[i].name, up->options.dir);
	while (up->alive || waits(up))
		serve(up);
	up->over = true;
	for (unsigned i = 0; i < up->children; i++) /* some may never have started */
		attach_close(up->child[i]->attach);
	up_finish_consoles(up);
	while (up->consoles && !up->abandoned)
		serve(up);
}

static int open_signals(struct up *up)
{
	struct sigaction hangup;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGALRM);
	/* nohup(1) wants it ignored. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &up->signal_mask);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The consoles, of all instances. 0; or -errno, which is told. */
static int open_consoles(struct up *up)
{
	unsigned total = up->config->instances_count;
	int ret = 0;

	up->child = calloc(total, sizeof(struct child *));
	up->poll = calloc(POLL_CHILDREN + (size_t)total, sizeof(*up->poll));
	up->consoles_changed = epoll_create1(EPOLL_CLOEXEC);
	if (!up->child || !up->poll)
		ret = -ENOMEM;
	else if (up->consoles_changed < 0)
		ret = -errno;
	for (unsigned i = 0; !ret && i < total; i++) {
		const struct ivshm_instance_config *instance = &up->config->instances[i];
		struct child *child = calloc(1, sizeof(*child));

		if (!child) {
			ret = -ENOMEM;
			break;
		}
		*child = (struct child){
			.instance = instance, .pidfd = -1, .waits = !instance->autostart};
		up->child[up->children++] = child;
		ret = adopt(up, child);
		if (!ret && instance->kind == IST_KIND_LINUX && !child->ended &&
		    (instance->autostart || child->adopted) &&
		    attach_create(up->options.dir, child, &child->attach))
			return -EIO; /* told */
	}
	if (!ret)
		ret = up_add_console(up, up->child, up->children);
	if (ret)
		ivshm_log(IVSHM_LOG_ERROR, "consoles: %s", strerror(-ret));
	return ret;
}

/*
 * A group of 64 peers with 16 vectors each takes over a thousand descriptors, here and in every
 * process that joins it. Where the limit cannot be raised, a join that needs more is refused.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void free_children(struct up *up)
{
	for (unsigned i = 0; i < up->children; i++) {
		up->child[i]->next = up->gone;
		up->gone = up->child[i];
	}
	while (up->gone) {
		struct child *child = up->gone;

		up->gone = child->next;
		attach_destroy(child->attach);
		free(child);
	}
}

/* Everything with a configuration. Returns the exit status. */
static int up_main(struct up *up, struct ivshm_config *config)
{
	char error[1024];
	int signals;

	up->status = EXIT_FAILURE;
	signals = open_signals(up);
	if (signals < 0) {
		ivshm_log(IVSHM_LOG_ERROR, "signals: %s", strerror(-signals));
		return EXIT_FAILURE;
	}
	raise_descriptor_limit();
	if ((up->attach ? ivshm_broker_attach : ivshm_broker_create)(config, up->options.dir, error,
								     sizeof(error), &up->broker)) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", error);
		goto close_signals;
	}
	ivshm_broker_count_bells(up->broker);
	if (open_consoles(up)) {
		ivshm_broker_keep(up->broker);
		goto close_consoles;
	}
	if (ivshm_broker_serve_control(up->broker, up->options.dir, &up_control_ops, up, error,
				       sizeof(error))) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", error);
		ivshm_broker_keep(up->broker);
		goto close_consoles;
	}
	up->poll_count = POLL_CHILDREN + up->children;
	for (unsigned i = 0; i < up->poll_count; i++)
		up->poll[i].events = POLLIN;
	up->poll[POLL_BROKER].fd = ivshm_broker_fd(up->broker);
	up->poll[POLL_SIGNALS].fd = signals;
	up->poll[POLL_CONSOLE].fd = up->consoles_changed;
	up->status = EXIT_SUCCESS;
	live(up);
close_consoles:
	/* Abandoned ones are still in use; they end with the process. */
	while (up->consoles && !up->abandoned)
		up_drop_console(up, up->console[0]);
	ivshm_broker_destroy(up->broker);
	up_abandon(up);
	if (!up->abandoned)
		free_children(up);
	free(up->console);
	free(up->child);
	free(up->poll);
	if (up->consoles_changed >= 0)
		close(up->consoles_changed);
close_signals:
	close(signals);
	return up->status;
}

static int up(const struct command_line *line)
{
	struct up up = {.consoles_changed = -1,
			.attach = line->attach,
			.options = {.dir = line->dir, .verbose = line->verbose}};
	struct ivshm_config *config;
	int status;

	if (ivshm_config_load(line->operand[0], stderr, &config))
		return EXIT_FAILURE;
	up.config = config;
	up.options.config = config;
	up.options.no_kvm = launch_why_no_kvm(config, line->no_kvm);
	status = up_main(&up, config);
	ivshm_config_free(config);
	return status;
}

const struct command command_up = {
	.name = "up",
	.usage =
		"Usage: isthmus up [OPTION...] FILE\n"
		"Create the groups of FILE and start its instances. Ends when they have ended, "
		"with\n"
		"status 0 if all of theirs were 0; Ctrl-C and SIGTERM end them all.\n\n"
		"      --attach           take over what an `up` that was killed has left running\n"
		"      --no-kvm           run app instances as processes\n"
		"      --runtime-dir DIR  where the groups' sockets are\n"
		"  -q, --quiet            say nothing but errors\n"
		"  -v, --verbose          say more\n",
	.options = "hAKqDv",
	.operands = "one FILE is",
	.operands_count = 1,
	.main = up,
};
