// SPDX-License-Identifier: BSD-2-Clause
/*
 * fault_vm.c: starting a VM while the n-th call of some kind fails, for every n: a clear error each
 * time, and nothing left: no descriptor, no thread, no mapping.
 */
#include <dirent.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "hv/vm.h"
#include "tests/broker_fixture.h"
#include "tests/kernel_guest.h"

GUEST(exit, "xor %eax, %eax\n" GUEST_EXIT);
GUEST(off, KERNEL_OFF);

enum kind { IOCTL, MMAP, OPEN, SOCKET, EVENTFD, EPOLL, ALLOCATION, KINDS };

static const char *const kind_names[KINDS] = {"ioctl",   "mmap",           "open",      "socket",
					      "eventfd", "epoll or timer", "allocation"};

static __thread bool armed; /* the thread that starts the VM, while it does */
static enum kind failing;
static unsigned countdown;
static bool fired;
static unsigned long fired_request;

/* Is this the call that fails? */
static bool fails(enum kind kind, unsigned long request, int error)
{
	if (!armed || kind != failing || countdown == 0 || --countdown != 0)
		return false;
	fired = true;
	fired_request = request;
	errno = error;
	return true;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return fails(IOCTL, request, EIO) ? -1 : (int)syscall(SYS_ioctl, fd, request, argument);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (fails(MMAP, 0, ENOMEM))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	unsigned mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, unsigned);
	va_end(arguments);
	return fails(OPEN, 0, EMFILE) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int socket(int domain, int type, int protocol)
{
	return fails(SOCKET, 0, EMFILE) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int eventfd(unsigned count, int flags)
{
	return fails(EVENTFD, 0, EMFILE) ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
	return fails(EVENTFD, 0, EMFILE) ? -1 : (int)syscall(SYS_signalfd4, fd, mask, 8, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
	return fails(EPOLL, 0, EMFILE) ? -1 : (int)syscall(SYS_timerfd_create, clock, flags);
}

int epoll_create1(int flags)
{
	return fails(EPOLL, 0, EMFILE) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	return fails(EPOLL, 0, ENOMEM) ? -1 : (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

/* A sanitizer has an allocator of its own. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

void *malloc(size_t size)
{
	return fails(ALLOCATION, 0, ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(ALLOCATION, 0, ENOMEM) ? NULL : __libc_calloc(count, size);
}
#else
#define OWN_ALLOCATOR 0
#endif

/* ---- The group, in a process of its own -------------------------------------------------------
 */

static struct fixture f;

/* Serves until the other end of the pipe is closed. */
static void serve(int ready, int control)
{
	struct pollfd p[2] = {{.events = POLLIN}, {.fd = control, .events = POLLIN}};

	must(fixture_serve(&f) == 0);
	must(write(ready, "", 1) == 1);
	p[0].fd = ivshm_broker_fd(f.broker);
	while (!p[1].revents) {
		must(poll(p, 2, -1) > 0);
		if (p[0].revents)
			must(ivshm_broker_dispatch(f.broker) == 0);
	}
	fixture_settle(&f);
	ivshm_broker_destroy(f.broker);
	_exit(0);
}

static pid_t start_broker(int *control)
{
	int to[2], from[2];
	char byte;
	pid_t pid;

	fixture_configure(&f);
	f.group.doorbells = 100000;
	must(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		serve(from[1], to[0]);
	}
	close(to[0]);
	close(from[1]);
	must(read(from[0], &byte, 1) == 1);
	close(from[0]);
	*control = to[1];
	return pid;
}

/* ---- What is left -----------------------------------------------------------------------------
 */

static unsigned entries(const char *path)
{
	unsigned count = 0;
	DIR *dir = opendir(path);

	must(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Mappings of the VM's own: a vCPU's, a group's, and anything as large as guest RAM. */
static unsigned mappings(size_t ram)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	unsigned count = 0;
	char line[512];

	must(file);
	while (fgets(line, sizeof(line), file)) {
		must(sscanf(line, "%lx-%lx", &start, &end) == 2);
		count += strstr(line, "kvm") || strstr(line, "memfd:") || end - start == ram;
	}
	fclose(file);
	return count;
}

/* ---- The test ---------------------------------------------------------------------------------
 */

/* KVM may refuse these: something else is done then. */
static bool can_do_without(void)
{
	return failing == IOCTL &&
	       (fired_request == KVM_IOEVENTFD || fired_request == KVM_CHECK_EXTENSION);
}

/* False when there is no n-th call. */
static bool attempt(const struct vmm_options *options, enum kind kind, unsigned n)
{
	unsigned fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
	unsigned maps = mappings(options->memory);
	struct vmm_error error = {""};
	static struct vmm_vm vm;
	int result;

	failing = kind;
	countdown = n;
	fired = false;
	armed = true;
	result = vmm_vm_init(&vm, options, &error);
	armed = false;
	if (result == 0) {
		must(!fired || can_do_without());
		must(vmm_vm_run(&vm) == 0);
		vmm_vm_fini(&vm);
	} else {
		must(fired);
		must(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
	}
	must(entries("/proc/self/fd") == fds);
	for (int i = 0; entries("/proc/self/task") != threads && i < 1000; i++)
		usleep(1000); /* a joined thread is there a moment longer */
	must(entries("/proc/self/task") == threads);
	must(mappings(options->memory) == maps);
	return fired;
}

static void attempt_all(const struct vmm_options *options)
{
	for (enum kind kind = 0; kind < KINDS; kind++) {
		unsigned n = 1;

		if (kind == ALLOCATION && !OWN_ALLOCATOR)
			continue;
		while (attempt(options, kind, n))
			n++;
		must(n > 1);
		printf("# %s: %u times a failing %s\n", options->kernel ? "kernel" : "app", n - 1,
		       kind_names[kind]);
	}
}

int main(void)
{
	struct vmm_options options = {.name = "right",
				      .memory = (19 << 20) + 4096, /* no size an allocator maps */
				      .vcpus = 2,
				      .console = STDOUT_FILENO,
				      .groups = 1};
	char image[128];
	int control;
	pid_t broker;

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		printf("no /dev/kvm that can be used\n");
		return 77;
	}
	broker = start_broker(&control);
	snprintf(image, sizeof(image), "%s/guest", f.dir);
	strcpy(options.group[0].name, "ping");
	options.group[0].socket = f.path;

	must(guest_write(image, guest_exit, guest_exit_end, 0) == 0);
	options.image = image;
	attempt_all(&options);

	must(guest_write_kernel(image, guest_off, guest_off_end) == 0);
	options.image = NULL;
	options.kernel = options.initrd = image;
	options.cmdline = "";
	options.personality = 2;
	attempt_all(&options);

	close(control);
	must(waitpid(broker, NULL, 0) == broker);
	must(unlink(image) == 0 && rmdir(f.dir) == 0);
	return 0;
}
