// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_vm.c: isthmus-vm as its users see it, with tiny guests on the real KVM: exit statuses, lines
 * on stderr, rights in the memory slots, doorbells, and that nothing is left.
 */
#include <check.h>
#include <dirent.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "hv/vm/vm.h"
#include "tests/broker_fixture.h"
#include "tests/vm_guest.h"

/* The fixture's layout: IDs, and offsets in the group. */
#define LEFT 0u
#define RIGHT 1u
#define SHARED 0x5000u
#define TABLE 0x15000u
#define OUTPUT 0x17000u
#define UNUSED 0x1b000u

static struct fixture f;
static char image[128], stats[128];
static unsigned long refused_request; /* KVM's answer to it is refused_errno */
static int refused_errno;

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == refused_request) {
		errno = refused_errno;
		return -1;
	}
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

/* ---- Guests ---------------------------------------------------------------------------------- */

GUEST(exit, "mov $0x12a, %eax\n" GUEST_EXIT);

GUEST(console, "mov $'a', %al\n out %al, $0xe9\n"
	       "lea 1f(%rip), %rax\n mov %rax, 0x210000\n"
	       "movq $4, 0x210008\n"
	       "mov $0x210000, %eax\n out %eax, $0xec\n"
	       /* outside RAM: nothing */
	       "movq $-4, 0x210000\n mov $0x210000, %eax\n out %eax, $0xec\n"
	       "mov $-8, %eax\n out %eax, $0xec\n"
	       "xor %eax, %eax\n" GUEST_EXIT "1: .ascii \"bcd\\n\"\n");

GUEST(print_on, "movq $0x210100, 0x210000\n movq $4096, 0x210008\n mov $0x210000, %eax\n"
		"1: out %eax, $0xec\n jmp 1b\n");

/* The boot block, the TSC, argv[1]. */
GUEST(boot, "mov %rdi, 0x210000\n movq $1152, 0x210008\n"
	    "mov $0x210000, %eax\n out %eax, $0xec\n"
	    "mov %rdi, %rbx\n rdtsc\n mov %eax, 0x210020\n mov %edx, 0x210024\n"
	    "movq $0x210020, 0x210000\n movq $8, 0x210008\n"
	    "mov $0x210000, %eax\n out %eax, $0xec\n"
	    "mov 64(%rbx), %rax\n mov 8(%rax), %rax\n mov %rax, 0x210000\n"
	    "mov $0x210000, %eax\n out %eax, $0xec\n"
	    "mov 72(%rbx), %eax\n" GUEST_EXIT);

GUEST(triple, "mov $0x1234, %ebx\n ud2\n");
GUEST(write_text, "movl $0, 0x200000\n" GUEST_EXIT);
GUEST(run_data, "movb $0xf4, 0x210000\n mov $0x210000, %eax\n jmp *%rax\n");
GUEST(null, "mov 0, %eax\n" GUEST_EXIT);
GUEST(halt, "cli\n hlt\n" GUEST_EXIT);
GUEST(idle, "sti\n1: hlt\n jmp 1b\n");
GUEST(vector_store, "mov $0xe0000000, %eax\n vmovups %ymm0, (%rax)\n");
GUEST(report, "movq $14, 0x210000\n movq $4, 0x210008\n movq $0xbeef, 0x210010\n"
	      "movq $0x201040, 0x210018\n mov $0x210000, %eax\n out %eax, $0xf8\n hlt\n");
GUEST(report_division, "movq $0, 0x210000\n movq $0x201040, 0x210018\n"
		       "mov $0x210000, %eax\n out %eax, $0xf8\n hlt\n");
GUEST(report_odd, "movq $99, 0x210000\n mov $0x210000, %eax\n out %eax, $0xf8\n hlt\n");
GUEST(report_nowhere, "mov $0xfffffff8, %eax\n out %eax, $0xf8\n hlt\n");

/*
 * Status 0 when ports and addresses nobody has give all ones. It maps an address nobody has where
 * nothing is mapped: in the first page directory (the monitor's tables start at 0x20000).
 */
GUEST(unknown, "mov $0x80, %edx\n in %dx, %eax\n mov %eax, %ebx\n out %eax, %dx\n"
	       "out %ax, $0xe9\n out %al, $0xf4\n in $0xe9, %al\n and %al, %bl\n"
	       "mov $0xe0000083, %eax\n mov %rax, 0x22ff8\n mov $0x3fe00000, %eax\n"
	       "mov %ebx, (%rax)\n and (%rax), %ebx\n mov %ebx, %eax\n not %eax\n" GUEST_EXIT);

/* Status: how many exits one port access is. */
GUEST(exits, "in $0xfc, %eax\n mov %eax, %ebx\n in $0xfc, %eax\n sub %ebx, %eax\n" GUEST_EXIT);

/* Writes five times at 0x40 of `table`; status: the byte there. And one everywhere it may write. */
GUEST(write_table, "mov 160(%rdi), %rbx\n mov $5, %ecx\n"
		   "1: movl $0xffffffff, 0x15040(%rbx)\n dec %ecx\n jnz 1b\n"
		   "movl $0x11, 0x5000(%rbx)\n movl $0x22, 0x18000(%rbx)\n" /* shared, own output */
		   "movl $0x33, 0x17000(%rbx)\n movl $0x44, 0x1000(%rbx)\n" /* left's, roster */
		   "movl $0x55, 0x1b000(%rbx)\n"                            /* nothing there */
		   "movzbl 0x15040(%rbx), %eax\n" GUEST_EXIT);

/* Status 0 when `table`, which it may not see, and the unused end give all ones; writes to both. */
GUEST(forbidden, "mov 160(%rdi), %rbx\n mov 0x15000(%rbx), %rax\n and 0x1b000(%rbx), %rax\n"
		 "movl $1, 0x15000(%rbx)\n not %rax\n" GUEST_EXIT);

/* Rings left's vector 2, then what must ring nobody, in every way that could be misunderstood. */
GUEST(ring, "mov 176(%rdi), %rbx\n movl $2, 12(%rbx)\n"
	    "movl $0x50001, 12(%rbx)\n movl $3, 12(%rbx)\n movl $0xffffffff, 12(%rbx)\n"
	    "movw $2, 12(%rbx)\n movb $2, 12(%rbx)\n xor %eax, %eax\n mov $2, %al\n"
	    "mov %rax, 12(%rbx)\n mov %eax, 11(%rbx)\n mov %eax, 8(%rbx)\n mov %eax, 16(%rbx)\n"
	    "mov %eax, 0x10c(%rbx)\n mov %rax, 8(%rbx)\n"
	    "mov 8(%rbx), %eax\n" GUEST_EXIT);

/* Rings left's vector 1 until shared memory says stop. */
GUEST(ring_on, "mov 176(%rdi), %rbx\n mov 160(%rdi), %rcx\n mov $'R', %al\n out %al, $0xe9\n"
	       "1: movl $1, 12(%rbx)\n cmpl $0, 0x5000(%rcx)\n je 1b\n"
	       "xor %eax, %eax\n" GUEST_EXIT);

/* Waits for shared memory to become 1; status 5. */
GUEST(wait_memory, "mov 160(%rdi), %rcx\n mov $'R', %al\n out %al, $0xe9\n"
		   "1: cmpl $0, 0x5000(%rcx)\n je 1b\n mov $5, %eax\n" GUEST_EXIT);

/* Sleeps until vector 1 of its first group arrives (interrupt 0x41); status 7. Never: 8. */
GUEST(sleep, "lea 3f(%rip), %rax\n mov %ax, 0x210410\n movw $8, 0x210412\n"
	     "movw $0x8e00, 0x210414\n shr $16, %rax\n mov %ax, 0x210416\n"
	     "lea 4f(%rip), %rax\n movw $23, 0x211000\n mov %rax, 0x211002\n lgdt 0x211000\n"
	     "movw $0x41f, 0x211010\n movq $0x210000, 0x211012\n lidt 0x211010\n"
	     "mov $0x212000, %esp\n"
	     "mov $0x80f, %ecx\n mov $0x1ff, %eax\n xor %edx, %edx\n wrmsr\n"
	     "mov $'R', %al\n out %al, $0xe9\n"
	     "sti\n hlt\n cli\n mov $8, %eax\n jmp 5f\n"
	     "3: mov $7, %eax\n"
	     "5:\n" GUEST_EXIT ".balign 8\n"
	     "4: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n");

/* ---- Running one ----------------------------------------------------------------------------- */

struct vm {
	pid_t pid;
	int fd[2]; /* its stdout and stderr; -1 at their end */
	char text[2][8192];
	size_t used[2];
};

#define OUT 0
#define ERR 1

/* Where isthmus-vm is: beside the tests' folder in the build directory. */
static const char *program(void)
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
static int run_here(char **argv)
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
static void launch(struct vm *vm, char **argv)
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

/* The usual arguments for instance `name` and the guest, then those given, up to a NULL. */
static void prepare(const char *name, const uint8_t *code, const uint8_t *end, va_list more)
{
	static char storage[32][160];
	unsigned count = 0;
	const char *next;

	must(guest_write(image, code, end, 0) == 0);
	for (const char *fixed[] = {"isthmus-vm", "--name", name, "--image", image, "--memory",
				    "16M", "--stats", stats, NULL};
	     fixed[count] != NULL; count++)
		snprintf(storage[count], sizeof(storage[0]), "%s", fixed[count]);
	while ((next = va_arg(more, const char *)) != NULL)
		snprintf(storage[count++], sizeof(storage[0]), "%s", next);
	for (unsigned i = 0; i < count; i++)
		arguments[i] = storage[i];
	arguments[count] = NULL;
}

static void launch_guest(struct vm *vm, const char *name, const uint8_t *code, const uint8_t *end,
			 ...)
{
	va_list more;

	va_start(more, end);
	prepare(name, code, end, more);
	va_end(more);
	launch(vm, arguments);
}

#define START(vm, name, guest, ...)                                                                \
	launch_guest(vm, name, guest_##guest, guest_##guest##_end, ##__VA_ARGS__, NULL)

static void take(struct vm *vm, int which)
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
static void watch(struct vm *vm, int which, const char *text)
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
static int finish(struct vm *vm)
{
	int status;

	watch(vm, OUT, NULL);
	must(waitpid(vm->pid, &status, 0) == vm->pid);
	if (f.broker)
		fixture_settle(&f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A number of the statistics it has written. */
static long stat_of(const char *key)
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

static unsigned lines(const char *text)
{
	unsigned count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

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

/* ---- A VM alone ------------------------------------------------------------------------------ */

static void run(struct vm *vm, int status)
{
	int got = finish(vm);

	ck_assert_msg(got == status, "status %d instead of %d: %s", got, status, vm->text[ERR]);
}

/* It ends with this status and exactly this line on stderr. */
static void run_line(struct vm *vm, int status, const char *line)
{
	char whole[512];

	run(vm, status);
	snprintf(whole, sizeof(whole), "isthmus-vm: %s\n", line);
	ck_assert_str_eq(vm->text[ERR], whole);
}

START_TEST(exit_status)
{
	struct vm vm;

	START(&vm, "one", exit);
	run(&vm, 0x2a);
	ck_assert_str_eq(vm.text[OUT], "");
	ck_assert_str_eq(vm.text[ERR], "");
	ck_assert_int_ge(stat_of("exits"), 1);
	ck_assert_int_eq(stat_of("user_io"), 1);
	ck_assert_int_eq(stat_of("user_mmio"), 0);
	ck_assert_int_eq(stat_of("dropped_writes"), 0);
	ck_assert_int_eq(stat_of("dropped_reads"), 0);
	ck_assert_int_eq(stat_of("unknown_accesses"), 0);
	ck_assert_int_eq(stat_of("doorbells_user"), 0);
	ck_assert_int_gt(stat_of("start_to_run_ns"), 0);
	ck_assert_int_gt(stat_of("rss_kib"), 0);
}
END_TEST

START_TEST(more_vcpus)
{
	struct vm vm;

	START(&vm, "one", exit, "--vcpus", "3", "--cpus", "0,0,0", "--numa", "preferred:0");
	run(&vm, 0x2a);
}
END_TEST

START_TEST(console)
{
	struct vm vm;

	START(&vm, "one", console);
	run(&vm, 0);
	ck_assert_str_eq(vm.text[OUT], "abcd\n");
	ck_assert_str_eq(vm.text[ERR], "");
	ck_assert_int_eq(stat_of("user_io"), 5);
}
END_TEST

START_TEST(console_closed)
{
	struct vm vm;

	START(&vm, "one", console);
	close(vm.fd[OUT]);
	vm.fd[OUT] = -1;
	run(&vm, 0);
}
END_TEST

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

START_TEST(boot_block)
{
	uint64_t before = now_ns(), after, tsc, time;
	struct ist_boot boot;
	struct vm vm;

	START(&vm, "one", boot, "--", "argument", "-v");
	run(&vm, 3);
	after = now_ns();
	ck_assert_uint_eq(vm.used[OUT], sizeof(boot) + 16);
	memcpy(&boot, vm.text[OUT], sizeof(boot));
	memcpy(&tsc, vm.text[OUT] + sizeof(boot), sizeof(tsc));
	ck_assert_mem_eq(vm.text[OUT] + sizeof(boot) + 8, "argument", 8);
	ck_assert_uint_eq(boot.magic, IST_BOOT_MAGIC);
	ck_assert_uint_eq(boot.abi, IST_ABI_MAJOR << 16 | IST_ABI_MINOR);
	ck_assert_uint_eq(boot.size, sizeof(boot));
	ck_assert_uint_eq(boot.ram_size, 16 << 20);
	ck_assert_uint_eq(boot.free_start, GUEST_DATA + GUEST_DATA_SIZE);
	ck_assert_uint_eq(boot.free_end, 16 << 20);
	ck_assert_uint_eq(boot.argc, 3);
	ck_assert_uint_eq(boot.groups, 0);
	ck_assert_str_eq(boot.instance, "one");
	/* The guest's time is the host's: later than when it was started, not later than now. */
	ck_assert_uint_gt(tsc, boot.tsc_base);
	time = boot.time_base_ns +
	       (uint64_t)((unsigned __int128)(tsc - boot.tsc_base) * 1000000000u / boot.tsc_hz);
	ck_assert_uint_ge(time, before);
	ck_assert_uint_le(time, after);
}
END_TEST

START_TEST(triple_fault)
{
	struct vm vm;

	START(&vm, "left", triple);
	run_line(&vm, 126, "left: triple fault at RIP 0x200005");
	ck_assert_int_ge(stat_of("exits"), 1);
	START(&vm, "left", triple, "-v");
	run(&vm, 126);
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "left: triple fault at RIP 0x200005\n"));
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "rbx 0000000000001234"));
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "rip 0000000000200005"));
}
END_TEST

START_TEST(page_rights)
{
	struct vm vm;

	START(&vm, "one", write_text);
	run_line(&vm, 126, "one: triple fault at RIP 0x200000");
	START(&vm, "one", run_data);
	run_line(&vm, 126, "one: triple fault at RIP 0x210000");
	START(&vm, "one", null);
	run_line(&vm, 126, "one: triple fault at RIP 0x200000");
}
END_TEST

START_TEST(halted_for_ever)
{
	struct vm vm;

	START(&vm, "one", halt);
	run_line(&vm, 126, "one: halted for ever: interrupts are off at RIP 0x200002");
}
END_TEST

START_TEST(not_emulated)
{
	struct vm vm;

	START(&vm, "one", vector_store);
	run(&vm, 126);
	ck_assert_uint_eq(lines(vm.text[ERR]), 1);
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "one: instruction that KVM cannot emulate"));
}
END_TEST

START_TEST(memory_error)
{
	struct vm vm;

	refused_request = KVM_RUN;
	refused_errno = EFAULT;
	START(&vm, "one", exit);
	run_line(&vm, 126, "one: KVM cannot go on: Bad address at RIP 0x200000");
}
END_TEST

START_TEST(reported_faults)
{
	struct vm vm;

	START(&vm, "left", report);
	run_line(&vm, 126, "left: guest page fault at RIP 0x201040: read of 0xbeef (error 0x4)");
	START(&vm, "left", report_division);
	run_line(&vm, 126, "left: guest divide error at RIP 0x201040 (error 0x0)");
	START(&vm, "left", report_odd);
	run_line(&vm, 126, "left: guest exception 99 at RIP 0x0 (error 0x0)");
	START(&vm, "left", report_nowhere);
	run(&vm, 126);
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "fault report outside RAM (0xfffffff8)"));
}
END_TEST

START_TEST(unknown_accesses)
{
	struct vm vm;

	START(&vm, "one", unknown);
	run(&vm, 0);
	ck_assert_str_eq(vm.text[ERR], "");
	ck_assert_str_eq(vm.text[OUT], "");
	ck_assert_int_eq(stat_of("unknown_accesses"), 7);
}
END_TEST

START_TEST(exits_are_counted)
{
	struct vm vm;
	int count;

	START(&vm, "one", exits);
	count = finish(&vm);
	ck_assert_int_ge(count, 1);
	ck_assert_int_lt(count, 50);
}
END_TEST

START_TEST(signals)
{
	struct vm vm;

	START(&vm, "one", idle);
	usleep(100000);
	kill(vm.pid, SIGTERM);
	run(&vm, 143);
	ck_assert_str_eq(vm.text[ERR], "");
	START(&vm, "one", idle, "--vcpus", "2");
	usleep(100000);
	kill(vm.pid, SIGINT);
	run(&vm, 130);
}
END_TEST

/* Its console is full and nobody reads: it can be stopped all the same. */
START_TEST(stop_while_printing)
{
	struct vm vm;
	int status;

	START(&vm, "one", print_on);
	usleep(300000);
	kill(vm.pid, SIGTERM);
	must(waitpid(vm.pid, &status, 0) == vm.pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 143);
}
END_TEST

START_TEST(dies_with_its_parent)
{
	struct vm vm;
	pid_t parent;
	int out[2];
	char byte;

	START(&vm, "one", idle, "--die-with-parent");
	kill(vm.pid, SIGKILL);
	finish(&vm);
	must(pipe2(out, O_CLOEXEC) == 0);
	parent = fork();
	must(parent >= 0);
	if (parent == 0) {
		if (fork() == 0) {
			dup2(out[1], STDOUT_FILENO);
			execv(program(), arguments);
			_exit(99);
		}
		usleep(200000);
		_exit(0);
	}
	close(out[1]);
	must(waitpid(parent, NULL, 0) == parent);
	ck_assert_int_eq(read(out[0], &byte, 1), 0); /* the end of a pipe that only the VM holds */
	close(out[0]);
}
END_TEST

/* ---- Start failures -------------------------------------------------------------------------- */

/* In this process: exactly this error, and nothing is left of the attempt. */
static void fails(const struct vmm_options *options, const char *text)
{
	unsigned fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
	static struct vmm_vm vm;
	struct vmm_error error = {0};

	ck_assert_int_lt(vmm_vm_init(&vm, options, &error), 0);
	ck_assert_str_eq(error.text, text);
	ck_assert_uint_eq(entries("/proc/self/fd"), fds);
	for (int i = 0; entries("/proc/self/task") != threads && i < 1000; i++)
		usleep(1000); /* a joined thread is there a moment longer */
	ck_assert_uint_eq(entries("/proc/self/task"), threads);
}

static void *nothing(void *argument)
{
	return argument;
}

START_TEST(start_failures)
{
	struct vmm_options good = {.name = "one", .image = image, .memory = 16 << 20, .vcpus = 1};
	struct vmm_options bad = good;
	char text[400], long_argument[4096], *many[64];
	pthread_t thread;

	/* ThreadSanitizer starts a thread of its own with the first. */
	must(pthread_create(&thread, NULL, nothing, NULL) == 0);
	must(pthread_join(thread, NULL) == 0);
	must(guest_write(image, guest_exit, guest_exit_end, 0) == 0);
	bad.image = "/nowhere/guest.app";
	fails(&bad, "image /nowhere/guest.app: No such file or directory");
	bad.image = "/";
	fails(&bad, "image /: not a file of at most 1 GiB");
	bad = good;
	bad.cpus_count = 1;
	bad.cpus[0] = 1000;
	fails(&bad, "there is no CPU 1000 for vCPU 0");
	bad = good;
	bad.numa = VMM_NUMA_BIND;
	bad.nodes_count = 1;
	bad.nodes[0] = 63;
	fails(&bad, "--numa: there is no memory node 63");
	bad = good;
	memset(long_argument, 'x', sizeof(long_argument));
	long_argument[sizeof(long_argument) - 1] = '\0';
	for (unsigned i = 0; i < 64; i++)
		many[i] = long_argument;
	bad.args = many;
	bad.args_count = 64;
	fails(&bad, "the guest's arguments take more than 124 KiB");

	must(guest_write(image, guest_exit, guest_exit_end, GUEST_FILE_CODE) == 0);
	snprintf(text, sizeof(text),
		 "image %s: truncated: segment 0 ends beyond the file's 4096 bytes", image);
	fails(&good, text);
	must(guest_write(image, guest_exit, guest_exit_end, 0) == 0);
	bad = good;
	bad.memory = 2 << 20;
	snprintf(text, sizeof(text), "image %s: segment 0 ends at 0x%lx, beyond RAM (2 MiB)", image,
		 GUEST_CODE + (unsigned long)(guest_exit_end - guest_exit));
	fails(&bad, text);
}
END_TEST

START_TEST(start_failure_of_the_program)
{
	struct vm vm;
	char line[300];

	START(&vm, "one", exit, "--group", "ping=/nowhere/ping.sock");
	run(&vm, 125);
	ck_assert_uint_eq(lines(vm.text[ERR]), 1);
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "isthmus-vm: one: "));
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "/nowhere/ping.sock"));
	must(truncate(image, 100) == 0);
	launch(&vm, arguments);
	run(&vm, 125);
	ck_assert_int_eq(access(stats, F_OK), -1);
	must(unlink(image) == 0);
	arguments[9] = NULL; /* without the group */
	launch(&vm, arguments);
	snprintf(line, sizeof(line), "one: image %s: No such file or directory", image);
	run_line(&vm, 125, line);
	must(guest_write(image, guest_exit, guest_exit_end, 0) == 0); /* for the end of the test */
	launch(&vm, arguments);
	run(&vm, 0x2a);
}
END_TEST

START_TEST(usage)
{
	static char *const wrong[][12] = {
		{"isthmus-vm", NULL},
		{"isthmus-vm", "--name", "a", NULL},
		{"isthmus-vm", "--image", "a", NULL},
		{"isthmus-vm", "--name", "", "--image", "a", NULL},
		{"isthmus-vm", "--name", "0123456789012345678901234567890123", "--image", "a",
		 NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--memory", "4G", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--memory", "1M", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--memory", "64Mb", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--memory", "18446744073709551615",
		 NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--memory", "-64M", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--vcpus", "0", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--vcpus", "17", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--cpus", "0,1", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--cpus", "0,", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--numa", "bind", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--numa", "bind:64", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--group", "ping", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--group", "=x", NULL},
		{"isthmus-vm", "--name", "a", "--image", "a", "--no-such-option", NULL},
	};
	static char *const help[][3] = {{"isthmus-vm", "--help", NULL},
					{"isthmus-vm", "--version", NULL}};
	struct vm vm;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		launch(&vm, (char **)wrong[i]);
		run(&vm, 2);
		ck_assert_uint_eq(lines(vm.text[ERR]), 1);
		ck_assert_str_eq(vm.text[OUT], "");
	}
	for (unsigned i = 0; i < 2; i++) {
		launch(&vm, (char **)help[i]);
		run(&vm, 0);
		ck_assert_uint_ge(lines(vm.text[OUT]), 1);
		ck_assert_str_eq(vm.text[ERR], "");
	}
}
END_TEST

/* ---- A VM in a group ------------------------------------------------------------------------- */

static char group[160];

static void start_group(void)
{
	fixture_start(&f);
	snprintf(group, sizeof(group), "ping=%s", f.path);
	snprintf(image, sizeof(image), "%s.app", f.dir);
	snprintf(stats, sizeof(stats), "%s.json", f.dir);
}

static void stop_group(void)
{
	unlink(image);
	unlink(stats);
	if (f.broker)
		fixture_stop(&f);
	f.broker = NULL;
}

static void start_alone(void)
{
	fixture_configure(&f); /* for its directory's name */
	snprintf(image, sizeof(image), "%s/guest.app", f.dir);
	snprintf(stats, sizeof(stats), "%s/stats.json", f.dir);
}

static void stop_alone(void)
{
	unlink(image);
	unlink(stats);
	must(rmdir(f.dir) == 0);
}

static uint32_t state_of(const struct raw *raw, uint32_t id)
{
	return IST_PEER_STATE(raw_word(raw, id));
}

START_TEST(read_only_region)
{
	static const char where[] =
		"isthmus-vm: right: write to read-only region 'table' of group 'ping' at offset "
		"0x40 dropped (";
	struct raw raw = raw_live(&f, "left");
	unsigned warnings = 0;
	struct vm vm;

	raw.map[TABLE + 0x40] = 0x5a;
	START(&vm, "right", write_table, "--group", group);
	run(&vm, 0x5a);
	ck_assert_uint_eq(raw.map[TABLE + 0x40], 0x5a);
	ck_assert_uint_eq(raw.map[TABLE + 0x41], 0);
	ck_assert_uint_eq(raw.map[SHARED], 0x11);
	ck_assert_uint_eq(raw.map[OUTPUT + 0x1000], 0x22);
	ck_assert_uint_eq(raw.map[OUTPUT], 0);
	ck_assert_uint_ne(raw.map[IST_ROSTER_OFFSET], 0x44);
	ck_assert_uint_eq(raw.map[UNUSED], 0);
	for (const char *next = vm.text[ERR]; (next = strstr(next, where)); next++)
		warnings++;
	ck_assert_uint_eq(warnings, 3); /* 1, 2 and 4 so far */
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "dropped (4 so far)\n"));
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "write to part 'output sections' of group"));
	ck_assert_int_eq(stat_of("dropped_writes"), 8);
	ck_assert_int_eq(stat_of("dropped_reads"), 0);
	ck_assert_uint_eq(state_of(&raw, RIGHT), IST_PEER_ABSENT);
	raw_leave(&f, &raw);
}
END_TEST

START_TEST(quiet)
{
	struct vm vm;

	START(&vm, "right", write_table, "--group", group, "-q");
	run(&vm, 0);
	ck_assert_str_eq(vm.text[ERR], "");
	ck_assert_int_eq(stat_of("dropped_writes"), 8);
}
END_TEST

START_TEST(forbidden_region)
{
	struct raw raw = raw_live(&f, "left");
	struct vm vm;

	memset(raw.map + TABLE, 0x5a, 16);
	START(&vm, "third", forbidden, "--group", group);
	run(&vm, 0);
	ck_assert_uint_eq(raw.map[TABLE], 0x5a);
	ck_assert_ptr_nonnull(strstr(vm.text[ERR],
				     "read from forbidden region 'table' of group "
				     "'ping' at offset 0x0 gives all ones (1 so far)"));
	ck_assert_int_eq(stat_of("dropped_reads"), 2);
	ck_assert_int_eq(stat_of("dropped_writes"), 1);
	raw_leave(&f, &raw);
}
END_TEST

START_TEST(boot_block_of_a_member)
{
	struct ist_boot boot;
	struct vm vm;

	START(&vm, "right", boot, "--group", group, "--", "argument");
	run(&vm, 2);
	memcpy(&boot, vm.text[OUT], sizeof(boot));
	ck_assert_uint_eq(boot.groups, 1);
	ck_assert_str_eq(boot.group[0].name, "ping");
	ck_assert_uint_eq(boot.group[0].memory, VMM_GROUPS_START);
	ck_assert_uint_eq(boot.group[0].memory_size, 0x20000);
	ck_assert_uint_eq(boot.group[0].registers, VMM_REGISTERS_START);
	ck_assert_uint_eq(boot.group[0].id, RIGHT);
	ck_assert_uint_eq(boot.group[0].incarnation, 1);
	ck_assert_uint_eq(boot.group[0].vectors, FIXTURE_VECTORS);
	ck_assert_uint_eq(boot.group[0].max_peers, FIXTURE_PEERS);
	ck_assert_uint_eq(boot.group[0].rights[0], IST_RIGHT_WRITE);
	ck_assert_uint_eq(boot.group[0].rights[1], IST_RIGHT_READ);
	ck_assert_uint_eq(boot.group[0].rights[2], IST_RIGHT_NONE);
}
END_TEST

/* Both ways there is one ring, of the right vector, and nobody hears the wrong ones. */
static void check_ring(int in_user_space)
{
	struct raw raw = raw_live(&f, "left");
	struct vm vm;

	START(&vm, "right", ring, "--group", group);
	run(&vm, RIGHT); /* the position register */
	ck_assert_uint_eq(rings(raw.own[2]), 1);
	ck_assert_uint_eq(rings(raw.own[1]), 0);
	ck_assert_int_eq(stat_of("doorbells_user"), in_user_space);
	ck_assert_int_eq(stat_of("unknown_accesses"), 0);
	ck_assert_str_eq(vm.text[ERR], "");
	raw_leave(&f, &raw);
}

START_TEST(doorbell_by_the_kernel)
{
	check_ring(0);
}
END_TEST

START_TEST(doorbell_by_the_monitor)
{
	refused_request = KVM_IOEVENTFD; /* as when its bus is full */
	refused_errno = ENOSPC;
	check_ring(1);
}
END_TEST

START_TEST(doorbell_wakes_the_guest)
{
	struct raw raw = raw_live(&f, "left");
	struct ivshm_packet packet;
	struct vm vm;

	START(&vm, "right", sleep, "--group", group);
	watch(&vm, OUT, "R");
	packet = raw_expect(&f, raw.socket, IST_WIRE_PEER);
	raw_keep_peer(&raw, &packet);
	ck_assert_uint_eq(state_of(&raw, RIGHT), IST_PEER_LIVE);
	eventfd_write(raw.peer[RIGHT][1], 1);
	run(&vm, 7);
	raw_leave(&f, &raw);
}
END_TEST

static void await_ring(struct vm *vm, int eventfd)
{
	struct pollfd p = {.fd = eventfd, .events = POLLIN};

	do
		watch(vm, OUT, "R");
	while (poll(&p, 1, 10) == 0 && (fixture_settle(&f), true));
	ck_assert_uint_ge(rings(eventfd), 1);
}

START_TEST(joins_and_leaves_while_running)
{
	struct raw raw, third;
	struct vm vm;

	START(&vm, "right", ring_on, "--group", group);
	watch(&vm, OUT, "R");
	for (int i = 0; i < 3; i++) {
		raw = raw_live(&f, "left");
		await_ring(&vm, raw.own[1]);
		raw_leave(&f, &raw);
	}
	third = raw_live(&f, "third");
	third.map[SHARED] = 1;
	run(&vm, 0);
	ck_assert_str_eq(vm.text[ERR], "");
	raw_leave(&f, &third);
}
END_TEST

START_TEST(ends_are_told)
{
	struct raw raw = raw_live(&f, "left");
	struct vm vm;

	START(&vm, "right", wait_memory, "--group", group);
	watch(&vm, OUT, "R");
	kill(vm.pid, SIGTERM);
	run(&vm, 143);
	ck_assert_uint_eq(state_of(&raw, RIGHT), IST_PEER_ABSENT);

	START(&vm, "right", wait_memory, "--group", group);
	watch(&vm, OUT, "R");
	kill(vm.pid, SIGKILL);
	run(&vm, -SIGKILL);
	ck_assert_uint_eq(state_of(&raw, RIGHT), IST_PEER_DEAD);

	/* A start that fails late: it has joined, and leaves in good order. */
	START(&vm, "right", exit, "--group", group, "--cpus", "1000");
	run_line(&vm, 125, "right: there is no CPU 1000 for vCPU 0");
	ck_assert_uint_eq(state_of(&raw, RIGHT), IST_PEER_ABSENT);

	START(&vm, "right", triple, "--group", group);
	run(&vm, 126);
	ck_assert_uint_ge(rings(raw.own[0]), 4);
	raw_leave(&f, &raw);
}
END_TEST

START_TEST(broker_goes)
{
	struct raw raw = raw_live(&f, "left");
	struct vm vm;

	START(&vm, "right", wait_memory, "--group", group);
	watch(&vm, OUT, "R");
	ivshm_broker_destroy(f.broker);
	f.broker = NULL;
	watch(&vm, ERR, "the broker of group 'ping' is gone");
	raw.map[SHARED] = 1;
	run(&vm, 5);
	ck_assert_uint_eq(lines(vm.text[ERR]), 1);
	raw_close(&raw);
	must(rmdir(f.dir) == 0);
}
END_TEST

START_TEST(wrong_socket)
{
	struct vm vm;
	char other[200], line[400];

	snprintf(other, sizeof(other), "pong=%s", f.path);
	START(&vm, "right", exit, "--group", other);
	snprintf(line, sizeof(line), "right: %s is the socket of group 'ping', not of 'pong'",
		 f.path);
	run_line(&vm, 125, line);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vm");
	TCase *alone = tcase_create("alone");
	TCase *member = tcase_create("member");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		printf("no /dev/kvm that can be used: no VM was run\n");
		return 77;
	}
	tcase_add_checked_fixture(alone, start_alone, stop_alone);
	tcase_add_test(alone, exit_status);
	tcase_add_test(alone, more_vcpus);
	tcase_add_test(alone, console);
	tcase_add_test(alone, console_closed);
	tcase_add_test(alone, boot_block);
	tcase_add_test(alone, triple_fault);
	tcase_add_test(alone, page_rights);
	tcase_add_test(alone, halted_for_ever);
	tcase_add_test(alone, not_emulated);
	tcase_add_test(alone, memory_error);
	tcase_add_test(alone, reported_faults);
	tcase_add_test(alone, unknown_accesses);
	tcase_add_test(alone, exits_are_counted);
	tcase_add_test(alone, signals);
	tcase_add_test(alone, stop_while_printing);
	tcase_add_test(alone, dies_with_its_parent);
	tcase_add_test(alone, start_failures);
	tcase_add_test(alone, start_failure_of_the_program);
	tcase_add_test(alone, usage);
	suite_add_tcase(suite, alone);
	tcase_add_checked_fixture(member, start_group, stop_group);
	tcase_add_test(member, read_only_region);
	tcase_add_test(member, quiet);
	tcase_add_test(member, forbidden_region);
	tcase_add_test(member, boot_block_of_a_member);
	tcase_add_test(member, doorbell_by_the_kernel);
	tcase_add_test(member, doorbell_by_the_monitor);
	tcase_add_test(member, doorbell_wakes_the_guest);
	tcase_add_test(member, joins_and_leaves_while_running);
	tcase_add_test(member, ends_are_told);
	tcase_add_test(member, broker_goes);
	tcase_add_test(member, wrong_socket);
	suite_add_tcase(suite, member);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
