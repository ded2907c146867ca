// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_vm_group.c: isthmus-vm in a group, with tiny guests on the real KVM: rights in the memory
 * slots, doorbells, comings and goings.
 */
#include "ivshmem/run_state.h"
#include "tests/suite.h"
#include "tests/vm_run.h"

/* The fixture's layout: IDs, and offsets in the group. */
#define LEFT 0u
#define RIGHT 1u
#define SHARED 0x5000u
#define TABLE 0x15000u
#define OUTPUT 0x17000u
#define UNUSED 0x1b000u

/* ---- Guests ---------------------------------------------------------------------------------- */

GUEST(exit, "mov $0x12a, %eax\n" GUEST_EXIT);

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

/*
 * The run-state page: 9 there is none; 8 what it writes there lands; 0 it does not, and the page
 * says that this VM runs, as ID 1.
 */
GUEST(run_state, "mov 232(%rdi), %rbx\n mov $9, %eax\n test %rbx, %rbx\n jz 1f\n"
		 "movq $0, (%rbx)\n movl $77, 0x108(%rbx)\n"
		 "movabs $0x314e555254534921, %rcx\n mov $8, %eax\n cmp %rcx, (%rbx)\n jne 1f\n"
		 "2: cmpl $1, 0x108(%rbx)\n jne 2b\n xor %eax, %eax\n1:\n" GUEST_EXIT);

/*
 * Sleeps until vector 1 of its first group arrives (interrupt 0x41); status 7. Never: 8. Vector 0
 * may come before it, with the news that this peer is live itself, and is sent back to sleep.
 */
GUEST(sleep, "lea 3f(%rip), %rax\n mov %ax, 0x210410\n movw $8, 0x210412\n"
	     "movw $0x8e00, 0x210414\n shr $16, %rax\n mov %ax, 0x210416\n"
	     "lea 2f(%rip), %rax\n mov %ax, 0x210400\n movw $8, 0x210402\n"
	     "movw $0x8e00, 0x210404\n shr $16, %rax\n mov %ax, 0x210406\n"
	     "lea 4f(%rip), %rax\n movw $23, 0x211000\n mov %rax, 0x211002\n lgdt 0x211000\n"
	     "movw $0x41f, 0x211010\n movq $0x210000, 0x211012\n lidt 0x211010\n"
	     "mov $0x212000, %esp\n"
	     "mov $0x80f, %ecx\n mov $0x1ff, %eax\n xor %edx, %edx\n wrmsr\n"
	     "mov $'R', %al\n out %al, $0xe9\n"
	     "1: sti\n hlt\n cli\n mov $8, %eax\n jmp 5f\n"
	     "2: mov $0x212000, %esp\n"
	     "mov $0x80b, %ecx\n xor %eax, %eax\n xor %edx, %edx\n wrmsr\n jmp 1b\n"
	     "3: mov $7, %eax\n"
	     "5:\n" GUEST_EXIT ".balign 8\n"
	     "4: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n");

/* ---- A VM in a group ------------------------------------------------------------------------- */

static char group[160];

static void start_group(void)
{
	fixture_start(&f);
	snprintf(group, sizeof(group), "ping=%s", f.path);
	snprintf(image, sizeof(image), "%s.app", f.dir);
	snprintf(stats, sizeof(stats), "%s.json", f.dir);
}

static bool run_state_kept(void)
{
	struct ivshm_run_state *run;
	char error[256];

	if (ivshm_run_state_create(1, error, sizeof(error), &run))
		return false;
	ivshm_run_state_destroy(run);
	return true;
}

static void stop_group(void)
{
	unlink(image);
	unlink(stats);
	if (f.broker)
		fixture_stop(&f);
	f.broker = NULL;
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

START_TEST(run_state)
{
	struct vm vm;

	START(&vm, "right", run_state, "--group", group);
	run(&vm, 9);
	fixture_stop(&f);
	fixture_configure(&f);
	f.group.run_state = true;
	must(fixture_serve(&f) == 0);
	snprintf(group, sizeof(group), "ping=%s", f.path);
	START(&vm, "right", run_state, "--group", group);
	run(&vm, run_state_kept() ? 0 : 9);
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
	ck_assert_uint_eq(boot.group[0].registers, VMM_PCI_WINDOW_START);
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
	eventfd_write(raw.peer[RIGHT][IST_VECTOR_ROSTER], 1);
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
	Suite *suite = suite_create("vm_group");
	TCase *tcase = tcase_create("member");

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		printf("no /dev/kvm that can be used: no VM was run\n");
		return 77;
	}
	tcase_add_checked_fixture(tcase, start_group, stop_group);
	tcase_add_test(tcase, read_only_region);
	tcase_add_test(tcase, run_state);
	tcase_add_test(tcase, quiet);
	tcase_add_test(tcase, forbidden_region);
	tcase_add_test(tcase, boot_block_of_a_member);
	tcase_add_test(tcase, doorbell_by_the_kernel);
	tcase_add_test(tcase, doorbell_by_the_monitor);
	tcase_add_test(tcase, doorbell_wakes_the_guest);
	tcase_add_test(tcase, joins_and_leaves_while_running);
	tcase_add_test(tcase, ends_are_told);
	tcase_add_test(tcase, broker_goes);
	tcase_add_test(tcase, wrong_socket);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
