/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pci_vm.c: a group's PCI function on the real KVM, used by tiny kernels: memory where the
 * guest puts it, interrupts masked and let go, one-shot ones. A guest says a letter for every step
 * that went well.
 */
#include <check.h>

#include "hv/vm.h"
#include "tests/broker_fixture.h"
#include "tests/kernel_guest.h"
#include "tests/suite.h"

#define RIGHT 1u
#define SHARED 0x5000u

/* Device 1. */
#define SELECT(offset) "mov $0x80000800+" #offset ", %eax\n mov $0xcf8, %edx\n out %eax, %dx\n"
#define CONFIG_READ(offset) SELECT(offset) "mov $0xcfc, %edx\n in %dx, %eax\n"
#define CONFIG_WRITE(offset, value)                                                                \
	SELECT(offset) "mov $0xcfc, %edx\n mov $" #value ", %eax\n out %eax, %dx\n"
#define TEXT_(value) #value
#define TEXT(value) TEXT_(value)
#define EXPECT(value) "cmp $" TEXT(value) ", %eax\n jne 9f\n"
#define SAY(letter) "mov $'" #letter "', %al\n mov $0x3f8, %edx\n out %al, %dx\n"
#define LOAD(address) "movabs $" #address ", %rbx\n mov (%rbx), %eax\n"
#define STORE(address, value) "movabs $" #address ", %rbx\n movl $" #value ", (%rbx)\n"

#define MAGIC 0x54534921 /* the roster's first four bytes */
#define NOBODY -1

/* 2 MiB each at 256 and 300 GiB are mapped too. */
#define MAP_WINDOW                                                                                 \
	"mov %cr3, %rax\n mov (%rax), %rbx\n and $-4096, %rbx\n"                                   \
	"movq $0x300003, 256*8(%rbx)\n movq $0x301003, 300*8(%rbx)\n"                              \
	"movabs $0x4000000083, %rax\n mov %rax, 0x300000\n"                                        \
	"movabs $0x4b00000083, %rax\n mov %rax, 0x301000\n"

/* Interrupt 0x50 counts at 0x303000. */
#define TAKE_INTERRUPTS                                                                            \
	"lea 8f(%rip), %rax\n mov %ax, 0x302500\n movw $0x10, 0x302502\n"                          \
	"movw $0x8e00, 0x302504\n shr $16, %rax\n mov %ax, 0x302506\n"                             \
	"movw $0x50f, 0x304000\n movq $0x302000, 0x304002\n lidt 0x304000\n mov $0x320000, %esp\n" \
	"mov $0x1b, %ecx\n rdmsr\n or $0xc00, %eax\n wrmsr\n"                                      \
	"mov $0x80f, %ecx\n mov $0x1ff, %eax\n xor %edx, %edx\n wrmsr\n"

#define AWAIT(count) "1: sti\n nop\n nop\n cli\n cmpl $" #count ", 0x303000\n jne 1b\n"
#define RING_MYSELF STORE(0xd000000c, 0x10001)

#define END                                                                                        \
	"9:\n" KERNEL_OFF "8: push %rax\n push %rcx\n push %rdx\n incl 0x303000\n"                 \
	"mov $0x80b, %ecx\n xor %eax, %eax\n xor %edx, %edx\n wrmsr\n"                             \
	"pop %rdx\n pop %rcx\n pop %rax\n iretq\n"

GUEST(memory, MAP_WINDOW CONFIG_READ(0) EXPECT(0x11101af4) SAY(a)
      /* its size */
      CONFIG_WRITE(0x18, -1) CONFIG_WRITE(0x1c, -1) CONFIG_READ(0x18) EXPECT(0xfffe000c)
	      CONFIG_READ(0x1c) EXPECT(-1) SAY(b)
      /* at 300 GiB, then with decoding on to 256 GiB */
      CONFIG_WRITE(0x18, 0) CONFIG_WRITE(0x1c, 0x4b) LOAD(0x4b00001000) EXPECT(NOBODY)
	      CONFIG_WRITE(0x04, 2) LOAD(0x4b00001000) EXPECT(MAGIC) LOAD(0x4000001000)
		      EXPECT(NOBODY) SAY(c) CONFIG_WRITE(0x1c, 0x40) LOAD(0x4b00001000)
			      EXPECT(NOBODY) LOAD(0x4000001000) EXPECT(MAGIC) SAY(d)
      /* over this code */
      CONFIG_WRITE(0x1c, 0) CONFIG_WRITE(0x18, 0x200000) LOAD(0x4000001000) EXPECT(NOBODY)
	      CONFIG_WRITE(0x18, 0xfee00000) CONFIG_WRITE(0x18, 0xfffe0000)
		      CONFIG_WRITE(0x1c, 0x7fffffff) CONFIG_WRITE(0x18, 0) SAY(e)
			      CONFIG_WRITE(0x1c, 0x40) LOAD(0x4000001000) EXPECT(MAGIC) SAY(f)
      /* registers: elsewhere, and not there */
      LOAD(0xd0000008) EXPECT(1) CONFIG_WRITE(0x10, 0xd0100000) LOAD(0xd0100008) EXPECT(1)
	      LOAD(0xd0000008) EXPECT(NOBODY) STORE(0xd010000c, 2) STORE(0xd000000c, 2) SAY(g)
		      CONFIG_WRITE(0x04, 0) LOAD(0xd0100008) EXPECT(NOBODY) LOAD(0x4000001000)
			      EXPECT(NOBODY) CONFIG_WRITE(0x04, 2) LOAD(0xd0100008) EXPECT(1) SAY(h)
      /* what it may write, and what it may not */
      STORE(0x4000005000, 0x1234) STORE(0x4000001000, 0) LOAD(0x4000001000) EXPECT(MAGIC) SAY(i)
	      END);

GUEST(interrupts, TAKE_INTERRUPTS CONFIG_WRITE(0x04, 6) SAY(a)
      /* MSI-X is off, then the vector masked: it waits, and shows */
      RING_MYSELF LOAD(0xd0001800) "and $2, %eax\n" EXPECT(2) SAY(b) STORE(0xd0001010, 0xfee00000)
	      STORE(0xd0001018, 0x50) CONFIG_WRITE(0x40, 0x80000000) LOAD(
		      0xd0001800) "and $2, %eax\n" EXPECT(2) "cmpl $0, 0x303000\n jne 9f\n" SAY(c)
		      STORE(0xd000101c, 0) AWAIT(1) LOAD(0xd0001800) "and $2, %eax\n" EXPECT(0)
			      SAY(d) RING_MYSELF AWAIT(2) SAY(e)
      /* the whole function masked, ten times */
      "mov $10, %ebp\n"
      "2:" CONFIG_WRITE(0x40, 0xc0000000) RING_MYSELF "mov 0x303000, %esi\n" CONFIG_WRITE(
	      0x40, 0x80000000) "1: sti\n nop\n nop\n cli\n cmp %esi, 0x303000\n je 1b\n dec "
				"%ebp\n jnz 2b\n" AWAIT(12) SAY(f) END);

GUEST(one_shot,
      MAP_WINDOW TAKE_INTERRUPTS CONFIG_READ(0) EXPECT(0x4106110a) CONFIG_WRITE(0x18, 0)
	      CONFIG_WRITE(0x1c, 0x40) CONFIG_WRITE(0x04, 6) SAY(a) CONFIG_WRITE(0x40, 0x01000000)
		      CONFIG_READ(0x40) "shr $24, %eax\n" EXPECT(1) STORE(0xd0001010, 0xfee00000)
			      STORE(0xd0001018, 0x50) STORE(0xd000101c,
							    0) CONFIG_WRITE(0x60, 0x80000000) SAY(b)
				      RING_MYSELF STORE(0xd0000008, 1) AWAIT(1) LOAD(0xd0000008)
					      EXPECT(0) SAY(c) RING_MYSELF STORE(0xd0000008, 1)
						      AWAIT(2) LOAD(0xd0000008) EXPECT(0) SAY(d)
      /* no longer one-shot: the kernel does it */
      CONFIG_WRITE(0x40, 0) STORE(0xd0000008, 1) RING_MYSELF AWAIT(3) LOAD(0xd0000008) EXPECT(1)
	      SAY(e) STORE(0xd0000010, 7) LOAD(0x4000000004) EXPECT(7) STORE(0x4000000004, 9)
		      LOAD(0x4000000004) EXPECT(7) SAY(f) END);

static struct fixture f;
static char kernel[128], console[128];

static void setup(void)
{
	fixture_start(&f);
	snprintf(kernel, sizeof(kernel), "%s/kernel", f.dir);
	snprintf(console, sizeof(console), "%s/console", f.dir);
}

static void teardown(void)
{
	unlink(kernel);
	unlink(console);
	fixture_stop(&f);
}

/* Runs the guest in a process of its own, as "right"; what it said is in `said`. */
static void run(const uint8_t *code, const uint8_t *end, unsigned personality, char said[32])
{
	struct vmm_options options = {.name = "right",
				      .kernel = kernel,
				      .cmdline = "",
				      .personality = personality,
				      .memory = 64 << 20,
				      .vcpus = 1,
				      .groups = 1};
	static struct vmm_vm vm;
	struct vmm_error error;
	int status, fd;
	pid_t pid;

	must(guest_write_kernel(kernel, code, end) == 0);
	strcpy(options.group[0].name, "ping");
	options.group[0].socket = f.path;
	fd = open(console, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0);
	options.console = fd;
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(30);
		ivshm_log_level = IVSHM_LOG_ERROR;
		if (vmm_vm_init(&vm, &options, &error) != 0) {
			fprintf(stderr, "%s\n", error.text);
			_exit(125);
		}
		status = vmm_vm_run(&vm);
		vmm_vm_fini(&vm);
		_exit(status);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd p = {.fd = ivshm_broker_fd(f.broker), .events = POLLIN};

		if (poll(&p, 1, 10) == 1)
			must(ivshm_broker_dispatch(f.broker) == 0);
	}
	fixture_settle(&f);
	memset(said, 0, 32);
	must(pread(fd, said, 31, 0) >= 0);
	close(fd);
	ck_assert_msg(status == 0, "status 0x%x; it said '%s'", (unsigned)status, said);
}

START_TEST(memory)
{
	struct raw left = raw_live(&f, "left");
	char said[32];

	run(guest_memory, guest_memory_end, 1, said);
	ck_assert_str_eq(said, "abcdefghi");
	ck_assert_uint_eq(left.map[SHARED], 0x34);
	ck_assert_uint_eq(left.map[SHARED + 1], 0x12);
	ck_assert_uint_eq(rings(left.own[2]), 1);
	raw_leave(&f, &left);
}
END_TEST

START_TEST(interrupts)
{
	char said[32];

	run(guest_interrupts, guest_interrupts_end, 1, said);
	ck_assert_str_eq(said, "abcdef");
}
END_TEST

START_TEST(one_shot)
{
	struct raw left = raw_live(&f, "left");
	char said[32];

	run(guest_one_shot, guest_one_shot_end, 2, said);
	ck_assert_str_eq(said, "abcdef");
	/* It came, changed its state, and went: the word is 0 again. */
	ck_assert_uint_ge(rings(left.own[0]), 2);
	ck_assert_uint_eq(left.map[4 * RIGHT], 0);
	raw_leave(&f, &left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci vm");
	TCase *tcase = tcase_create("kvm");

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		printf("no /dev/kvm that can be used: no VM was run\n");
		return 77;
	}
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, memory);
	tcase_add_test(tcase, interrupts);
	tcase_add_test(tcase, one_shot);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
