/* SPDX-License-Identifier: BSD-2-Clause */
/* child.c: an instance that this process has started: a process group of its own. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem/log.h"

#define VM_NOT_STARTED 125 /* isthmus-vm's exit status */

/* In the new process: only what is safe between fork and exec. Returns -errno. */
static int become(const struct launch *launch, const sigset_t *signal_mask, pid_t parent, int input,
		  int output)
{
	if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;
	if (getppid() != parent) /* it died before prctl() */
		return -ESRCH;
	if (input < 0)
		input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		return -errno;
	signal(SIGPIPE, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, signal_mask, NULL))
		return -errno;
	return launch_exec(launch);
}

/* Forks and waits for the exec: 0, or its -errno. */
static int spawn(struct child *child, const struct launch *launch, const sigset_t *signal_mask,
		 int input, int output)
{
	pid_t parent = getpid();
	int result[2]; /* closed by the exec, or says why there was none */
	int failure = 0;

	if (pipe2(result, O_CLOEXEC))
		return -errno;
	child->pid = fork();
	if (!child->pid) {
		failure = become(launch, signal_mask, parent, input, output);
		(void)!write(result[1], &failure, sizeof(failure));
		_exit(127);
	}
	if (child->pid < 0)
		failure = -errno;
	close(result[1]);
	/* Without handlers there is no EINTR. */
	if (!failure && read(result[0], &failure, sizeof(failure)) <= 0) {
		child->pidfd = pidfd_open(child->pid, 0);
		failure = child->pidfd < 0 ? -errno : 0;
	}
	if (failure && child->pid > 0) {
		kill(-child->pid, SIGKILL); /* the exec may have been done */
		waitpid(child->pid, NULL, 0);
	}
	close(result[0]);
	return failure;
}

int child_start(struct child *child, const struct launch_options *options,
		const sigset_t *signal_mask, int input, int output)
{
	struct launch launch;
	int ret = launch_prepare(child->instance, options, &launch);

	if (ret)
		return ret;
	child->vm = launch.vm;
	ret = spawn(child, &launch, signal_mask, input, output);
	if (ret)
		ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: %s: %s", child->instance->name,
			  launch.argv[0], strerror(-ret));
	launch_fini(&launch);
	return ret;
}

void child_signal(const struct child *child, int signal)
{
	if (child->pidfd >= 0)
		kill(-child->pid, signal);
}

int child_reap(struct child *child, bool *started)
{
	int status = 0;

	/* Before it is waited for: until then nobody else can get the group's number. */
	kill(-child->pid, SIGKILL);
	waitpid(child->pid, &status, 0); /* no handlers: no EINTR */
	*started = !(child->vm && WIFEXITED(status) && WEXITSTATUS(status) == VM_NOT_STARTED);
	close(child->pidfd);
	child->pidfd = -1;
	return status;
}
