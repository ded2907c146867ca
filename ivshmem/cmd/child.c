/* SPDX-License-Identifier: BSD-2-Clause */
/* child.c: an instance that this process has started: a process group of its own. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem/log.h"
#include "ivshmem/process.h"

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1u << 2)
#endif
#define VM_NOT_STARTED 125 /* isthmus-vm's exit status */

/* What a new process needs to know, made before there is one. */
struct plan {
	const struct launch *launch;
	const sigset_t *signal_mask;
	pid_t parent;
	bool bound; /* to its parent's life */
	int go[2];  /* the parent's word */
	bool piped; /* the input; /dev/null otherwise */
	/* Opened anew, for reading and writing: a pipe that can be read is never broken. */
	char input_path[32];
	char output_path[32];
};

/* In the new process: only what is safe between fork and exec. Returns -errno. */
static int become(const struct plan *plan)
{
	int input, output;
	char go;

	if (setpgid(0, 0) || (plan->bound && prctl(PR_SET_PDEATHSIG, SIGKILL)))
		return -errno;
	/* Without a word from the parent it is gone, and nobody knows of this process. */
	if (read(plan->go[0], &go, 1) != 1 || (plan->bound && getppid() != plan->parent))
		return -ESRCH;
	input = open(plan->input_path, (plan->piped ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	output = open(plan->output_path, O_RDWR | O_CLOEXEC);
	if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		return -errno;
	signal(SIGPIPE, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, plan->signal_mask, NULL))
		return -errno;
	return launch_exec(plan->launch);
}

/* It waits for the word: what is known of it, written down. 0 or -errno. */
static int identify(struct child *child, child_keep *keep, void *context)
{
	int r;

	child->pidfd = pidfd_open(child->pid, 0);
	if (child->pidfd < 0)
		return -errno;
	r = ivshm_process_start(child->pid, child->pidfd, &child->start);
	if (r == 0)
		keep(context, child);
	return r;
}

/* Forks and waits for the exec: 0, or its -errno. */
static int spawn(struct child *child, struct plan *plan, child_keep *keep, void *context)
{
	int result[2]; /* closed by the exec, or says why there was none */
	int failure = 0;

	if (pipe2(result, O_CLOEXEC))
		return -errno;
	if (pipe2(plan->go, O_CLOEXEC)) {
		failure = -errno;
		goto out_result;
	}
	child->pid = fork();
	if (!child->pid) {
		close(plan->go[1]);
		failure = become(plan);
		(void)!write(result[1], &failure, sizeof(failure));
		_exit(127);
	}
	if (child->pid < 0)
		failure = -errno;
	close(result[1]);
	result[1] = -1;
	close(plan->go[0]);
	if (!failure)
		failure = identify(child, keep, context);
	if (!failure && write(plan->go[1], "", 1) != 1)
		failure = -errno;
	close(plan->go[1]);
	/* Without handlers there is no EINTR. */
	if (!failure && read(result[0], &failure, sizeof(failure)) <= 0)
		failure = 0;
	if (failure && child->pid > 0) {
		kill(-child->pid, SIGKILL); /* the exec may have been done */
		kill(child->pid, SIGKILL);  /* it may have no group of its own yet */
		waitpid(child->pid, NULL, 0);
		if (child->pidfd >= 0)
			close(child->pidfd);
		child->pidfd = -1;
	}
out_result:
	close(result[0]);
	if (result[1] >= 0)
		close(result[1]);
	return failure;
}

int child_start(struct child *child, const struct launch_options *options,
		const sigset_t *signal_mask, int input, int output, child_keep *keep, void *context)
{
	struct launch launch;
	int ret = launch_prepare(child->instance, options, &launch);
	struct plan plan = {.launch = &launch,
			    .signal_mask = signal_mask,
			    .parent = getpid(),
			    .bound = child->instance->groups_count == 0,
			    .piped = input >= 0};

	if (ret)
		return ret;
	if (input < 0)
		strcpy(plan.input_path, "/dev/null");
	else
		snprintf(plan.input_path, sizeof(plan.input_path), "/proc/self/fd/%d", input);
	snprintf(plan.output_path, sizeof(plan.output_path), "/proc/self/fd/%d", output);
	child->vm = launch.vm;
	child->adopted = false;
	ret = spawn(child, &plan, keep, context);
	if (ret)
		ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: %s: %s", child->instance->name,
			  launch.argv[0], strerror(-ret));
	launch_fini(&launch);
	return ret;
}

int child_adopt(struct child *child, pid_t pid, uint64_t start)
{
	int pidfd = ivshm_process_open(pid, start);

	if (pidfd < 0)
		return pidfd;
	child->pid = pid;
	child->pidfd = pidfd;
	child->start = start;
	child->adopted = true;
	child->vm = false;
	return 0;
}

int child_open(const struct child *child, int number, int flags)
{
	char path[48];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)child->pid, number);
	/* What is no pipe is not opened: it could be a terminal, or wait. */
	if (stat(path, &st))
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EBADF;
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* It runs: so that was its descriptor, and no other's with its pid. */
	if (ivshm_process_lives(child->pidfd))
		return fd;
	close(fd);
	return -ESRCH;
}

/* Linux 6.9 has a signal to the group by pidfd; before that only the process itself is meant. */
static void signal_adopted(const struct child *child, int signal)
{
	if (syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, PIDFD_SIGNAL_PROCESS_GROUP) <
		    0 &&
	    errno == EINVAL)
		syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0);
}

void child_signal(const struct child *child, int signal)
{
	if (child->pidfd >= 0 && child->adopted)
		signal_adopted(child, signal);
	else if (child->pidfd >= 0)
		kill(-child->pid, signal);
}

int child_reap(struct child *child, bool *started)
{
	int status = 0;

	*started = true;
	if (child->adopted) {
		signal_adopted(child, SIGKILL);
	} else {
		/* Before it is waited for: until then nobody else can get the group's number. */
		kill(-child->pid, SIGKILL);
		waitpid(child->pid, &status, 0); /* no handlers: no EINTR */
		*started =
			!(child->vm && WIFEXITED(status) && WEXITSTATUS(status) == VM_NOT_STARTED);
	}
	close(child->pidfd);
	child->pidfd = -1;
	return status;
}
