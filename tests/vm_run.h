/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm_run.h: isthmus-vm started by a test, with a tiny guest on the real KVM: what it writes, how it
 * ends, what it leaves.
 */
#ifndef TESTS_VM_RUN_H
#define TESTS_VM_RUN_H

#include <check.h>
#include <dirent.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "hv/vm.h"
#include "tests/broker_fixture.h"
#include "tests/vm_guest.h"

static struct fixture f;
static char image[128], stats[128];   /* files of the guest that runs */
static int input = -1;                /* stdin of isthmus-vm, -1: the test's own */
static unsigned long refused_request; /* KVM's answer to it is refused_errno */
static int refused_errno;
static int *refused_in; /* shared with it: how many calls from now; 0: none. NULL: each call */

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == refused_request &&
	    (refused_in == NULL || (*refused_in != 0 && --*refused_in == 0))) {
		errno = refused_errno;
		return -1;
	}
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

struct vm {
	pid_t pid;
	int fd[2]; /* its stdout and stderr; -1 at their end */
	char text[2][8192];
	size_t used[2];
};

#define OUT 0
#define ERR 1

/* Where isthmus-vm is: beside the tests' folder in the build directory. */
static inline const char *program(void)
{
	static char path[512];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 32);

	must(length > 0);
	path[length] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(path, '/') = '\0';
	return strcat(path, "/isthmus-vm");
}

/* What main() does, in this process: for what has to be refused from inside. */
static inline int run_here(char **argv)
{
	static struct vmm_vm vm;
	struct vmm_options options;
	struct vmm_error error;
	int argc = 0, status;

	while (argv[argc] != NULL)
		argc++;
	must(vmm_options_parse(argc, argv, &options) == VMM_OPTIONS_RUN);
	must(vmm_vm_init(&vm, &options, &error) == 0);
	status = vmm_vm_run(&vm);
	vmm_vm_fini(&vm);
	return status;
}

/* Starts isthmus-vm with these arguments, up to a NULL. */
static inline void launch(struct vm *vm, char **argv)
{
	int out[2], err[2];

	memset(vm, 0, sizeof(*vm));
	must(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	vm->pid = fork();
	must(vm->pid >= 0);
	if (vm->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		if (input >= 0)
			dup2(input, STDIN_FILENO);
		if (refused_request)
			_exit(run_here(argv));
		execv(program(), argv);
		_exit(99);
	}
	close(out[1]);
	close(err[1]);
	vm->fd[OUT] = out[0];
	vm->fd[ERR] = err[0];
}

static char *arguments[32];

/* The usual arguments for instance `name`, whose image is written, then those given, up to a NULL.
 */
static inline void prepare(const char *name, const char *image_option, const char *memory,
			   va_list more)
{
	static char storage[32][320];
	const char *const fixed[] = {"isthmus-vm", "--name", name,       "--stats", stats,
				     image_option, image,    "--memory", memory,    NULL};
	unsigned count = 0;
	const char *next;

	for (; fixed[count] != NULL; count++)
		snprintf(storage[count], sizeof(storage[0]), "%s", fixed[count]);
	while ((next = va_arg(more, const char *)) != NULL)
		snprintf(storage[count++], sizeof(storage[0]), "%s", next);
	for (unsigned i = 0; i < count; i++)
		arguments[i] = storage[i];
	arguments[count] = NULL;
}

static inline void launch_guest(struct vm *vm, const char *name, const uint8_t *code,
				const uint8_t *end, ...)
{
	va_list more;

	must(guest_write(image, code, end, 0) == 0);
	va_start(more, end);
	prepare(name, "--image", "16M", more);
	va_end(more);
	launch(vm, arguments);
}

#define START(vm, name, guest, ...)                                                                \
	launch_guest(vm, name, guest_##guest, guest_##guest##_end, ##__VA_ARGS__, NULL)

static inline void take(struct vm *vm, int which)
{
	size_t space = sizeof(vm->text[0]) - 1 - vm->used[which];
	ssize_t got = read(vm->fd[which], vm->text[which] + vm->used[which], space);

	must(space > 0 && got >= 0);
	vm->used[which] += (size_t)got;
	if (got == 0) {
		close(vm->fd[which]);
		vm->fd[which] = -1;
	}
}

/* Lets broker and VM run until the VM has written `text` there; NULL: until it has ended. */
static inline void watch(struct vm *vm, int which, const char *text)
{
	while (text != NULL ? strstr(vm->text[which], text) == NULL
			    : vm->fd[OUT] >= 0 || vm->fd[ERR] >= 0) {
		struct pollfd p[3] = {
			{.fd = vm->fd[OUT], .events = POLLIN},
			{.fd = vm->fd[ERR], .events = POLLIN},
			{.fd = f.broker ? ivshm_broker_fd(f.broker) : -1, .events = POLLIN}};

		must(poll(p, 3, FIXTURE_PATIENCE_MS) > 0);
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				take(vm, i);
		if (p[2].revents)
			must(ivshm_broker_dispatch(f.broker) == 0);
	}
}

/* Waits for its end: its exit status as a shell says it. */
static inline int finish(struct vm *vm)
{
	int status;

	watch(vm, OUT, NULL);
	must(waitpid(vm->pid, &status, 0) == vm->pid);
	if (f.broker)
		fixture_settle(&f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A number of the statistics it has written. */
static inline long stat_of(const char *key)
{
	static char text[4096];
	char quoted[64];
	FILE *file = fopen(stats, "r");
	const char *where;

	must(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	must(text[0] == '{' && strcmp(text + strlen(text) - 2, "}\n") == 0);
	snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
	where = strstr(text, quoted);
	must(where);
	return strtol(where + strlen(quoted), NULL, 10);
}

static inline unsigned lines(const char *text)
{
	unsigned count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static inline unsigned entries(const char *path)
{
	unsigned count = 0;
	DIR *dir = opendir(path);

	must(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static inline void run(struct vm *vm, int status)
{
	int got = finish(vm);

	ck_assert_msg(got == status, "status %d instead of %d: %s", got, status, vm->text[ERR]);
}

/* It ends with this status and exactly this line on stderr. */
static inline void run_line(struct vm *vm, int status, const char *line)
{
	char whole[512];

	run(vm, status);
	snprintf(whole, sizeof(whole), "isthmus-vm: %s\n", line);
	ck_assert_str_eq(vm->text[ERR], whole);
}

static inline void start_alone(void)
{
	fixture_configure(&f); /* for its directory's name */
	snprintf(image, sizeof(image), "%s/guest.app", f.dir);
	snprintf(stats, sizeof(stats), "%s/stats.json", f.dir);
}

static inline void stop_alone(void)
{
	unlink(image);
	unlink(stats);
	must(rmdir(f.dir) == 0);
}

#endif
