/* SPDX-License-Identifier: BSD-2-Clause */
/* up.c: `isthmus up FILE`: the broker and all instances, from the first to the last. */
#include "child.h"
#include "command.h"
#include "console.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ivshmem/broker.h"
#include "ivshmem/log.h"

#define GRACE_MS 2000 /* from SIGTERM to SIGKILL */
#define ERROR_SIZE 1024

static const char usage[] =
	"Usage: isthmus up [OPTION...] FILE\n"
	"Create the groups of FILE and start its instances. Ends when they have ended, with\n"
	"status 0 if all of theirs were 0; Ctrl-C and SIGTERM end them all.\n\n"
	"      --no-kvm           run app instances as processes\n"
	"      --runtime-dir DIR  where the groups' sockets are\n"
	"  -q, --quiet            say nothing but errors\n"
	"  -v, --verbose          say more\n";

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
	bool waits;        /* for instances that others start: only a signal ends it */
	bool stopping;     /* the instances have been told to end */
	bool abandoned;    /* and so has the writing of their last lines */
	int64_t kill_time; /* when those that are still there are killed; 0: no such time */
	int status;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
	up->kill_time = now_ms() + GRACE_MS;
	signal_all(up, SIGTERM);
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
		up->abandoned = !up->alive;
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
	struct child_end end = child_reap(child);
	char how[64];

	up->alive--;
	if (up->stopping)
		return;
	if (end.signal)
		snprintf(how, sizeof(how), "killed by signal %d", end.signal);
	else
		snprintf(how, sizeof(how), "ended with status %d", end.status);
	if (!end.started) {
		ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: %s", child->name, how);
		stop(up, EXIT_FAILURE);
	} else if (end.signal || end.status) {
		ivshm_log(IVSHM_LOG_ERROR, "%s: %s", child->name, how);
		up->status = EXIT_FAILURE;
	} else {
		ivshm_log(IVSHM_LOG_DEBUG, "%s: %s", child->name, how);
	}
}

/* Waits until something happens, and handles it. */
static void serve(struct up *up)
{
	int64_t timeout = -1;
	int n;

	if (up->kill_time) {
		timeout = up->kill_time - now_ms();
		if (timeout < 0)
			timeout = 0;
	}
	for (unsigned i = 0; i < up->children; i++)
		up->poll[POLL_CHILDREN + i].fd = up->child[i].pidfd;
	n = poll(up->poll, POLL_CHILDREN + up->children, (int)timeout);
	if (n < 0)
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
	if (up->kill_time && now_ms() >= up->kill_time) {
		signal_all(up, SIGKILL);
		up->kill_time = 0;
	}
}

/* The first that cannot be started ends them all. */
static void start_all(struct up *up)
{
	char error[ERROR_SIZE];
	unsigned index = 0;

	for (unsigned i = 0; i < up->config->instances_count; i++) {
		const struct ivshm_instance_config *instance = &up->config->instances[i];
		struct child *child = &up->child[index];

		if (!instance->autostart)
			continue;
		if (child_start(child, instance, &up->options, &up->signal_mask,
				console_input(up->console, index), error, sizeof(error))) {
			ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: %s", instance->name,
				  error);
			stop(up, EXIT_FAILURE);
			return;
		}
		up->alive++;
		console_started(up->console, index++);
		ivshm_log(IVSHM_LOG_DEBUG, "%s: process %d", child->name, (int)child->pid);
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
	/* nohup(1) wants it ignored. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &up->signal_mask);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The consoles, of the instances to be started. */
static int open_console(struct up *up)
{
	unsigned total = up->config->instances_count;
	const char **names;
	int ret;

	names = calloc(total + 1u, sizeof(*names));
	up->child = calloc(total + 1u, sizeof(*up->child));
	up->poll = calloc(POLL_CHILDREN + (size_t)total, sizeof(*up->poll));
	if (!names || !up->child || !up->poll) {
		free(names);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < total; i++) {
		up->child[i].pidfd = -1;
		if (up->config->instances[i].autostart)
			names[up->children++] = up->config->instances[i].name;
	}
	up->waits = up->children < total || !total;
	ret = console_create(names, up->children, &up->console);
	free(names);
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

/* Everything after the options. Returns the exit status. */
static int up_main(struct up *up, const char *given_dir)
{
	char dir[PATH_MAX], real_dir[PATH_MAX], error[ERROR_SIZE];
	int signals;
	int ret;

	up->status = EXIT_FAILURE;
	if (find_runtime_dir(given_dir, dir, sizeof(dir)))
		return EXIT_FAILURE;
	signals = open_signals(up);
	if (signals < 0) {
		ivshm_log(IVSHM_LOG_ERROR, "signals: %s", strerror(-signals));
		return EXIT_FAILURE;
	}
	raise_descriptor_limit();
	ret = ivshm_broker_create(up->config, dir, error, sizeof(error), &up->broker);
	if (ret) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", error);
		goto close_signals;
	}
	/* The instances may change their directory. */
	up->options.dir = realpath(dir, real_dir);
	ret = up->options.dir ? open_console(up) : -errno;
	if (ret) {
		ivshm_log(IVSHM_LOG_ERROR, "%s", strerror(-ret));
		goto destroy_broker;
	}
	for (unsigned i = 0; i < POLL_CHILDREN + up->children; i++)
		up->poll[i].events = POLLIN;
	up->poll[POLL_BROKER].fd = ivshm_broker_fd(up->broker);
	up->poll[POLL_SIGNALS].fd = signals;
	up->poll[POLL_CONSOLE].fd = console_fd(up->console);
	up->status = EXIT_SUCCESS;
	live(up);
	/* An abandoned one still uses its console; it ends with the process. */
	if (!up->abandoned)
		console_destroy(up->console);
destroy_broker:
	ivshm_broker_destroy(up->broker);
	free(up->child);
	free(up->poll);
close_signals:
	close(signals);
	return up->status;
}

int command_up(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},    {"no-kvm", no_argument, NULL, 'K'},
		{"quiet", no_argument, NULL, 'q'},   {"runtime-dir", required_argument, NULL, 'd'},
		{"verbose", no_argument, NULL, 'v'}, {0},
	};
	struct up up = {0};
	struct ivshm_config *config;
	const char *dir = NULL;
	bool no_kvm = false;
	int option;
	int status;

	argv[0] = (char[]){"isthmus up"};
	while ((option = getopt_long(argc, argv, "hqv", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case 'K':
			no_kvm = true;
			break;
		case 'q':
			ivshm_log_level = IVSHM_LOG_ERROR;
			break;
		case 'd':
			dir = optarg;
			break;
		case 'v':
			up.options.verbose = true;
			ivshm_log_level = IVSHM_LOG_DEBUG;
			break;
		default:
			return usage_hint("up");
		}
	}
	if (argc - optind != 1) {
		fputs("isthmus up: one FILE is needed\n", stderr);
		return usage_hint("up");
	}
	config = load_usable(argv[optind]);
	if (!config)
		return EXIT_FAILURE;
	up.config = config;
	up.options.kvm = launch_has_kvm(config, no_kvm);
	status = up_main(&up, dir);
	ivshm_config_free(config);
	return status;
}
