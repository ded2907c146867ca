// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_vm.c: isthmus-vm as its users see it, alone, with tiny guests on the real KVM: exit
 * statuses, lines on stderr, and that nothing is left.
 */
#include <sys/stat.h>
#include <time.h>

#include "tests/suite.h"
#include "tests/vm_run.h"

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

/* ---- A VM alone ------------------------------------------------------------------------------ */

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
	START(&vm, "one", halt); /* nothing else could wake it */
	usleep(100000);
	kill(vm.pid, SIGTERM);
	run(&vm, 143);
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
	fails(&bad, "image /: not a regular file");
	bad = good;
	bad.cpus_count = 1;
	bad.cpus[0] = 1000;
	fails(&bad, "there is no CPU 1000 for vCPU 0");
	bad = good;
	bad.numa = (struct ivshm_numa){IVSHM_NUMA_BIND, bad.nodes, 1};
	bad.nodes[0] = 63;
	fails(&bad, "--numa: no such nodes for guest RAM: Invalid argument");
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

int main(void)
{
	Suite *suite = suite_create("vm");
	TCase *tcase = tcase_create("alone");

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		printf("no /dev/kvm that can be used: no VM was run\n");
		return 77;
	}
	tcase_add_checked_fixture(tcase, start_alone, stop_alone);
	tcase_add_test(tcase, exit_status);
	tcase_add_test(tcase, more_vcpus);
	tcase_add_test(tcase, console);
	tcase_add_test(tcase, console_closed);
	tcase_add_test(tcase, boot_block);
	tcase_add_test(tcase, triple_fault);
	tcase_add_test(tcase, page_rights);
	tcase_add_test(tcase, not_emulated);
	tcase_add_test(tcase, memory_error);
	tcase_add_test(tcase, reported_faults);
	tcase_add_test(tcase, unknown_accesses);
	tcase_add_test(tcase, exits_are_counted);
	tcase_add_test(tcase, signals);
	tcase_add_test(tcase, stop_while_printing);
	tcase_add_test(tcase, dies_with_its_parent);
	tcase_add_test(tcase, start_failures);
	tcase_add_test(tcase, start_failure_of_the_program);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
