/* SPDX-License-Identifier: BSD-2-Clause */
/* up.c: `isthmus up FILE`: the broker and all instances, from the first to the last. */
#include "attach.h"
#include "child.h"
#include "command.h"
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem/broker.h"
#include "ivshmem/log.h"

#define GRACE_SECONDS 2 /* from SIGTERM to SIGKILL */

/* What is polled: these, then a pidfd for each instance. */
enum { POLL_BROKER, POLL_SIGNALS, POLL_CONSOLE, POLL_CHILDREN };

struct up {
	const struct ivshm_config *config;
	struct launch_options options;
	struct ivshm_broker *broker;
	struct console *console;
	sigset_t signal_mask; /* of before, for the instances */
	struct pollfd *poll;
	struct child *child; /* the instances that this starts, in the file's order */
	unsigned children;
	unsigned alive;
	bool waits;     /* for instances that others start: only a signal ends it */
	bool stopping;  /* the instances have been told to end */
	bool abandoned; /* and so has the writing of their last lines */
	int status;
};

static void signal_all(const struct up *up, int signal)
{
	for (unsigned i = 0; i < up->children; i++)
		child_signal(&up->child[i], signal);
}

/* Ends everything; the first reason gives the exit status. */
static void stop(struct up *up, int status)
{
	if (up->stopping)
		return;
	up->stopping = true;
	up->status = status;
	signal_all(up, SIGTERM);
	alarm(GRACE_SECONDS);
}

static void on_signal(struct up *up)
{
	struct signalfd_siginfo info;

	while (read(up->poll[POLL_SIGNALS].fd, &info, sizeof(info)) == sizeof(info)) {
		if (!up->stopping) {
			stop(up, 128 + (int)info.ssi_signo);
			continue;
		}
		signal_all(up, SIGKILL);
		up->abandoned = !up->alive && info.ssi_signo != SIGALRM;
	}
}

static void on_broker(struct up *up)
{
	int ret = ivshm_broker_dispatch(up->broker);

	if (ret) {
		ivshm_log(IVSHM_LOG_ERROR, "broker: %s", strerror(-ret));
		up->poll[POLL_BROKER].fd = -1;
		stop(up, EXIT_FAILURE);
	}
}

static void on_console(struct up *up)
{
	if (console_state(up->console) == CONSOLE_BROKEN && !up->stopping) {
		ivshm_log(IVSHM_LOG_ERROR, "standard output takes no more: ending");
		stop(up, EXIT_FAILURE);
	}
}

static void on_child(struct up *up, struct child *child)
{
	bool started;
	int end = child_reap(child, &started);
	char how[64];

	attach_close(child->attach);
	up->alive--;
	if (up->stopping)
		return;
	if (WIFSIGNALED(end))
		snprintf(how, sizeof(how), "killed by signal %d", WTERMSIG(end));
	else
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(end));
	ivshm_log(end ? IVSHM_LOG_ERROR : IVSHM_LOG_DEBUG, "%s: %s%s", child->instance->name,
		  started ? "" : "could not start: ", how);
	if (!started)
		stop(up, EXIT_FAILURE);
	else if (end)
		up->status = EXIT_FAILURE;
}

/* Waits until something happens, and handles it. */
static void serve(struct up *up)
{
	for (unsigned i = 0; i < up->children; i++)
		up->poll[POLL_CHILDREN + i].fd = up->child[i].pidfd;
	if (poll(up->poll, POLL_CHILDREN + up->children, -1) < 0)
		return;
	if (up->poll[POLL_SIGNALS].revents)
		on_signal(up);
	if (up->poll[POLL_BROKER].revents)
		on_broker(up);
	if (up->poll[POLL_CONSOLE].revents)
		on_console(up);
	for (unsigned i = 0; i < up->children; i++)
		if (up->poll[POLL_CHILDREN + i].revents)
			on_child(up, &up->child[i]);
}

/* The first that cannot be started ends them all. */
static void start_all(struct up *up)
{
	for (unsigned i = 0; i < up->children; i++) {
		struct child *child = &up->child[i];

		if (child_start(child, &up->options, &up->signal_mask, attach_input(child->attach),
				console_input(up->console, i))) {
			stop(up, EXIT_FAILURE);
			return;
		}
		up->alive++;
		console_started(up->console, i);
		ivshm_log(IVSHM_LOG_DEBUG, "%s: process %d", child->instance->name,
			  (int)child->pid);
	}
}

static void live(struct up *up)
{
	start_all(up);
	if (up->waits && !up->stopping)
		for (unsigned i = 0; i < up->config->groups_count; i++)
			ivshm_log(IVSHM_LOG_WARN, "group %s is open in %s; Ctrl-C ends it",
				  up->config->groups[i].name, up->options.dir);
	while (up->alive || (up->waits && !up->stopping))
		serve(up);
	for (unsigned i = 0; i < up->children; i++) /* some may never have started */
		attach_close(up->child[i].attach);
	console_finish(up->console);
	while (console_state(up->console) != CONSOLE_DONE && !up->abandoned)
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

/* The consoles, of the instances to be started. 0; or -errno, which is told. */
static int open_consoles(struct up *up)
{
	unsigned total = up->config->instances_count;
	struct console *console = NULL;
	int ret = 0;

	up->child = calloc(total, sizeof(*up->child));
	up->poll = calloc(POLL_CHILDREN + (size_t)total, sizeof(*up->poll));
	if (!up->child || !up->poll)
		ret = -ENOMEM;
	for (unsigned i = 0; !ret && i < total; i++) {
		const struct ivshm_instance_config *instance = &up->config->instances[i];
		struct child *child = &up->child[up->children];

		if (!instance->autostart)
			continue;
		*child = (struct child){.instance = instance, .pidfd = -1};
		if (instance->kind == IST_KIND_LINUX &&
		    (ret = attach_create(up->options.dir, instance->name, &child->attach)))
			return ret;
		up->children++;
	}
	up->waits = up->children < total;
	if (!ret)
		ret = console_create(up->child, up->children, &console);
	if (ret)
		ivshm_log(IVSHM_LOG_ERROR, "consoles: %s", strerror(-ret));
	up->console = console;
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

/* Everything with a configuration. Returns the exit status. */
static int up_main(struct up *up)
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
	if (ivshm_broker_create(up->config, up->options.dir, error, sizeof(error), &up->broker)) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", error);
		goto close_signals;
	}
	if (open_consoles(up))
		goto close_consoles;
	for (unsigned i = 0; i < POLL_CHILDREN + up->children; i++)
		up->poll[i].events = POLLIN;
	up->poll[POLL_BROKER].fd = ivshm_broker_fd(up->broker);
	up->poll[POLL_SIGNALS].fd = signals;
	up->poll[POLL_CONSOLE].fd = console_fd(up->console);
	up->status = EXIT_SUCCESS;
	live(up);
close_consoles:
	/* Abandoned ones are still in use; they end with the process. */
	if (up->console && !up->abandoned)
		console_destroy(up->console);
	for (unsigned i = 0; i < up->children && !up->abandoned; i++)
		attach_destroy(up->child[i].attach);
	ivshm_broker_destroy(up->broker);
	free(up->child);
	free(up->poll);
close_signals:
	close(signals);
	return up->status;
}

static int up(const struct command_line *line)
{
	struct up up = {.options = {.dir = line->dir, .verbose = line->verbose}};
	struct ivshm_config *config = load_usable(line->operand[0]);
	int status;

	if (!config)
		return EXIT_FAILURE;
	up.config = config;
	up.options.config = config;
	up.options.no_kvm = launch_why_no_kvm(config, line->no_kvm);
	status = up_main(&up);
	ivshm_config_free(config);
	return status;
}

const struct command command_up = {
	.name = "up",
	.usage = "Usage: isthmus up [OPTION...] FILE\n"
		 "Create the groups of FILE and start its instances. Ends when they have ended, "
		 "with\n"
		 "status 0 if all of theirs were 0; Ctrl-C and SIGTERM end them all.\n\n"
		 "      --no-kvm           run app instances as processes\n"
		 "      --runtime-dir DIR  where the groups' sockets are\n"
		 "  -q, --quiet            say nothing but errors\n"
		 "  -v, --verbose          say more\n",
	.options = "hKqDv",
	.operands = "one FILE is",
	.operands_count = 1,
	.main = up,
};
