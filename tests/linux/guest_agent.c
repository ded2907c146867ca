/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_agent.c: init of the test bed's Linux guests: runs what comes over the serial line.
 *
 * What it is told, a line each:    run ID COMMAND    by a shell, several at a time
 *                                  kill ID           SIGKILL to all of that command's processes
 * What it says, a line each:       ~up RELEASE       once
 *                                  ~ID|TEXT          a line of the command's output
 *                                  ~ID=STATUS        its end: exit status, or 128 + signal
 *                                  ~!LEVEL|TEXT      a line of the kernel's log: warnings and worse
 * The kernel itself is kept from this line (but when it dies), so that nothing gets in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define JOBS_MAX 16u
#define LINE_MAX_SIZE 2048u
#define KLOG_CONSOLE_LEVEL 8
#define KERN_WARNING_LEVEL 4

enum { POLL_SERIAL, POLL_KMSG, POLL_SIGNALS, POLL_JOBS };

struct line {
	size_t used;
	char text[LINE_MAX_SIZE];
};

struct job {
	pid_t pid; /* 0: the slot is free, or (output not at its end) the shell has ended */
	int output;
	int status;
	char id[16]; /* empty: free */
	struct line line;
};

static struct job jobs[JOBS_MAX];
static struct line input;
static int serial, kmsg, signals;

/* ---- Saying ---------------------------------------------------------------------------------- */

static void say(const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(serial, text, size);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
}

static void say_line(const char *id, char mark, const char *text)
{
	char line[LINE_MAX_SIZE + 64];
	int n = snprintf(line, sizeof(line), "~%s%c%s\n", id, mark, text);

	if (n > 0)
		say(line, (size_t)n);
}

/* Reads what there is; calls for each whole line (or what fills the buffer). 0 at the end. */
static ssize_t take_lines(int fd, struct line *line, void (*each)(void *, char *), void *context)
{
	char block[512];
	ssize_t n = read(fd, block, sizeof(block));

	for (ssize_t i = 0; i < n; i++) {
		char c = block[i];

		if (c == '\r')
			continue;
		if (c != '\n')
			line->text[line->used++] = c;
		if (c == '\n' || line->used == sizeof(line->text) - 1) {
			line->text[line->used] = '\0';
			line->used = 0;
			each(context, line->text);
		}
	}
	if (n <= 0 && line->used > 0) {
		line->text[line->used] = '\0';
		line->used = 0;
		each(context, line->text);
	}
	return n;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static struct job *find_job(const char *id)
{
	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (strcmp(jobs[i].id, id) == 0)
			return &jobs[i];
	return NULL;
}

static void become(const char *command, int output)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void run(const char *id, const char *command)
{
	struct job *job = find_job("");
	int ends[2];

	if (strlen(id) >= sizeof(jobs[0].id) || job == NULL || pipe2(ends, O_CLOEXEC) != 0) {
		say_line(id, '=', "125");
		return;
	}
	job->pid = fork();
	if (job->pid == 0)
		become(command, ends[1]);
	close(ends[1]);
	if (job->pid < 0) {
		close(ends[0]);
		job->pid = 0;
		say_line(id, '=', "125");
		return;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	job->output = ends[0];
	strcpy(job->id, id);
}

static void obey(void *context, char *line)
{
	char *word = strtok(line, " "), *id = strtok(NULL, " "), *rest = strtok(NULL, "");

	(void)context;
	if (word == NULL || id == NULL) {
		say_line("!3", '|', "agent: what was that?");
	} else if (strcmp(word, "run") == 0 && rest != NULL) {
		run(id, rest);
	} else if (strcmp(word, "kill") == 0) {
		struct job *job = find_job(id);

		if (job != NULL && job->pid > 0)
			kill(-job->pid, SIGKILL);
	} else {
		say_line("!3", '|', "agent: what was that?");
	}
}

static void job_line(void *context, char *text)
{
	struct job *job = context;

	say_line(job->id, '|', text);
}

/*
 * A job is over when its shell has ended and all its output is said; processes that it left in the
 * background keep the pipe, but not the job.
 */
static void finish(struct job *job)
{
	char status[16];
	int code = WIFEXITED(job->status) ? WEXITSTATUS(job->status) : 128 + WTERMSIG(job->status);

	while (take_lines(job->output, &job->line, job_line, job) > 0)
		;
	close(job->output);
	snprintf(status, sizeof(status), "%d", code);
	say_line(job->id, '=', status);
	job->id[0] = '\0';
	job->pid = 0;
}

static void reap(void)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < JOBS_MAX; i++) {
			if (jobs[i].id[0] == '\0' || jobs[i].pid != pid)
				continue;
			jobs[i].status = status;
			finish(&jobs[i]);
		}
	}
}

/* ---- The kernel's log ------------------------------------------------------------------------ */

/* A record is "PREFIX,SEQUENCE,TIME,-;TEXT\n" and what belongs to it, a line each. */
static void take_kmsg(void)
{
	char record[LINE_MAX_SIZE], level[16];
	ssize_t n;

	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		char *text;
		long priority;

		if (n < 0) /* overwritten before it was read: go on with the next */
			continue;
		record[n] = '\0';
		priority = strtol(record, NULL, 10) & 7;
		text = strchr(record, ';');
		if (text == NULL || (priority > KERN_WARNING_LEVEL && !strstr(text, "isthmus")))
			continue;
		text[strcspn(text, "\n")] = '\0';
		snprintf(level, sizeof(level), "!%ld", priority);
		say_line(level, '|', text + 1);
	}
}

/* ---- Start ----------------------------------------------------------------------------------- */

static void mount_all(void)
{
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	mount("tmpfs", "/run", "tmpfs", 0, NULL);
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
}

static int open_serial(void)
{
	struct termios mode;
	int fd = open("/dev/ttyS0", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &mode) != 0)
		return -1;
	cfmakeraw(&mode);
	tcsetattr(fd, TCSANOW, &mode);
	return fd;
}

int main(void)
{
	struct pollfd polled[POLL_JOBS + JOBS_MAX];
	struct utsname name;
	sigset_t set;

	mount_all();
	klogctl(KLOG_CONSOLE_LEVEL, NULL, 1);
	serial = open_serial();
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (serial < 0 || kmsg < 0 || signals < 0)
		return 1; /* the kernel says that init is gone */
	setenv("PATH", "/bin:/test", 1);
	setenv("HOME", "/", 1);
	uname(&name);
	say_line("up", ' ', name.release);
	for (;;) {
		polled[POLL_SERIAL] = (struct pollfd){.fd = serial, .events = POLLIN};
		polled[POLL_KMSG] = (struct pollfd){.fd = kmsg, .events = POLLIN};
		polled[POLL_SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
		for (unsigned i = 0; i < JOBS_MAX; i++)
			polled[POLL_JOBS + i] =
				(struct pollfd){.fd = jobs[i].id[0] != '\0' ? jobs[i].output : -1,
						.events = POLLIN};
		if (poll(polled, POLL_JOBS + JOBS_MAX, -1) < 0)
			continue;
		if (polled[POLL_SERIAL].revents != 0)
			take_lines(serial, &input, obey, NULL);
		if (polled[POLL_KMSG].revents != 0)
			take_kmsg();
		for (unsigned i = 0; i < JOBS_MAX; i++)
			if (polled[POLL_JOBS + i].revents & POLLIN)
				take_lines(jobs[i].output, &jobs[i].line, job_line, &jobs[i]);
			else if (polled[POLL_JOBS + i].revents & POLLHUP)
				usleep(1000); /* no more output: wait for SIGCHLD */
		if (polled[POLL_SIGNALS].revents != 0)
			reap();
	}
}
