// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_vm_rights.c: isthmus-vm told of other rights while its guest runs, on the real KVM: nothing
 * lands that may not, nothing else is missed, and what cannot be had is answered.
 */
#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/suite.h"
#include "tests/vm_run.h"

#include "tests/reload_group.h"

#define SHARED 0x5000u
#define TABLE 0x15000u

#define TABLE_RO                                                                                   \
	"size: 8K, access: ro, coherence: incoherent, rights: [{instance: third, access: none}]"
#define TABLE_NONE                                                                                 \
	"size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, access: none}, "   \
	"{instance: third, access: none}]"

/*
 * Counts in the first word of `shared` and of `table`, which share a memory slot as long as both
 * are writable, and looks in `shared` whether it is there: status 9 when one store was missed. What
 * it reads from `table` goes to shared + 16. Until shared + 8 is 1; status 5.
 */
GUEST(count, "mov 160(%rdi), %rbx\n xor %rcx, %rcx\n mov $'R', %al\n out %al, $0xe9\n"
	     "1: inc %rcx\n mov %rcx, 0x5000(%rbx)\n mov %rcx, 0x15000(%rbx)\n"
	     "cmp %rcx, 0x5000(%rbx)\n jne 2f\n"
	     "mov 0x15000(%rbx), %rdx\n mov %rdx, 0x5010(%rbx)\n"
	     "cmpl $0, 0x5008(%rbx)\n je 1b\n mov $5, %eax\n jmp 3f\n"
	     "2: mov $9, %eax\n3:\n" GUEST_EXIT);

static char group[160];
static struct vm vm;
static struct raw right; /* looks on */

static void start_group(void)
{
	reload_start();
	snprintf(group, sizeof(group), "ping=%s", f.path);
	snprintf(image, sizeof(image), "%s.app", f.dir);
	snprintf(stats, sizeof(stats), "%s.json", f.dir);
	right = raw_live(&f, "right");
}

static void stop_group(void)
{
	raw_leave(&f, &right);
	unlink(image);
	unlink(stats);
	reload_stop();
}

static uint64_t word(uint32_t offset)
{
	return __atomic_load_n((const uint64_t *)(const void *)(right.map + offset),
			       __ATOMIC_RELAXED);
}

/* The guest goes on: it has done so many rounds since. */
static void await_rounds(uint64_t rounds)
{
	uint64_t until = word(SHARED) + rounds;

	for (unsigned i = 0; i < 200000 && word(SHARED) < until; i++)
		usleep(100);
	ck_assert_uint_ge(word(SHARED), until);
}

static void await_word(uint32_t offset, uint64_t value)
{
	for (unsigned i = 0; i < 200000 && word(offset) != value; i++)
		usleep(100);
	ck_assert_uint_eq(word(offset), value);
}

static void go_over(const char *table)
{
	const char *text;

	write_file((struct text){.table = table});
	text = answer(ask_reload(0));
	ck_assert_msg(strcmp(text + strlen(text) - 3, "= 0") == 0, "%s", text);
}

static void end_guest(int status)
{
	__atomic_store_n((uint32_t *)(void *)(right.map + SHARED + 8), 1, __ATOMIC_RELAXED);
	run(&vm, status);
}

static void start_guest(void)
{
	START(&vm, "left", count, "--group", group);
	watch(&vm, OUT, "R");
	await_rounds(10);
}

/* What was counted in `table` when the right was gone is the last that it ever says. */
START_TEST(nothing_lands)
{
	uint64_t last;

	start_guest();
	for (unsigned i = 0; i < 40; i++) {
		go_over(i % 2 ? TABLE_NONE : TABLE_RO);
		last = word(TABLE);
		await_rounds(5);
		ck_assert_uint_eq(word(TABLE), last);
		go_over(NULL);
		await_rounds(2);
		ck_assert_uint_gt(word(TABLE), last);
	}
	end_guest(5);
	ck_assert_int_gt(stat_of("dropped_writes"), 40 * 4);
	ck_assert_int_gt(stat_of("dropped_reads"), 20 * 4);
}
END_TEST

/* Read-only: the last count is read. Not at all: all ones. */
START_TEST(what_is_read)
{
	uint64_t last;

	start_guest();
	go_over(TABLE_RO);
	last = word(TABLE);
	await_rounds(2); /* it has tried to write */
	await_word(SHARED + 16, last);
	go_over(TABLE_NONE);
	await_rounds(2);
	await_word(SHARED + 16, UINT64_MAX);
	ck_assert_uint_eq(word(TABLE), last);
	go_over(TABLE_RO);
	await_word(SHARED + 16, last);
	end_guest(5);
	ck_assert_ptr_nonnull(strstr(vm.text[ERR],
				     "write to read-only region 'table' of group 'ping' at offset "
				     "0x0 dropped (1 so far)"));
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "forbidden region 'table'"));
}
END_TEST

/* Slots are changed and nothing is missed in the region beside it: the guest looks. */
START_TEST(nothing_is_missed)
{
	start_guest();
	for (unsigned i = 0; i < 60; i++)
		go_over(i % 2 ? NULL : TABLE_RO);
	await_rounds(10);
	end_guest(5);
}
END_TEST

/* A region that was not there: its memory comes while the guest runs. */
GUEST(extra, "mov 160(%rdi), %rbx\n mov $'R', %al\n out %al, $0xe9\n"
	     "1: movl $7, 0x17000(%rbx)\n cmpl $0, 0x5008(%rbx)\n je 1b\n"
	     "mov 0x17000(%rbx), %eax\n" GUEST_EXIT);

START_TEST(a_new_region)
{
	struct ivshm_packet packet;
	int fd;

	START(&vm, "left", extra, "--group", group);
	watch(&vm, OUT, "R");
	usleep(1000);
	ck_assert_uint_eq(word(0x17000), 0);
	write_file((struct text){.more = "      - {name: extra, size: 16K, access: rw}\n"});
	fd = ask_reload(0);
	/* `right`, which is this test, answers too. */
	packet = raw_expect(&f, right.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	raw_expect(&f, right.socket, IST_WIRE_REGION);
	right_done(right.socket, expect_right(right.socket, 2, IST_RIGHT_WRITE), 0);
	ck_assert_str_eq(answer(fd), "group 'ping': region 'extra' of 16K is new\n= 0");
	await_word(0x17000, 7);
	end_guest(7);
}
END_TEST

/* ---- KVM refuses ----------------------------------------------------------------------------- */

/* Starts the guest in a process of the test's, where KVM can be made to refuse. */
static void start_refusing(void)
{
	refused_request = KVM_SET_USER_MEMORY_REGION;
	refused_errno = ENOMEM;
	refused_in = mmap(NULL, sizeof(*refused_in), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(refused_in != MAP_FAILED);
	start_guest();
}

static void end_refusing(void)
{
	must(munmap(refused_in, sizeof(*refused_in)) == 0);
	refused_in = NULL;
	refused_request = 0;
}

/* The slot of both goes, two come: whichever cannot be had, the VM ends. That is revocation too. */
START_TEST(refused_less)
{
	uint64_t last;

	start_refusing();
	*refused_in = _i + 1;
	go_over(TABLE_RO);
	last = word(TABLE);
	run(&vm, VMM_STATUS_FAULT);
	ck_assert_uint_eq(word(TABLE), last);
	ck_assert_ptr_nonnull(strstr(vm.text[ERR], "region 'table' cannot be taken away"));
	end_refusing();
}
END_TEST

/* Two slots go, one comes: the reload fails, and the VM goes on with what it had. */
START_TEST(refused_more)
{
	uint64_t last;

	start_refusing();
	go_over(TABLE_RO);
	last = word(TABLE);
	*refused_in = _i + 1;
	write_file((struct text){0});
	ck_assert_ptr_nonnull(
		strstr(answer(ask_reload(0)), ") cannot have more: Cannot allocate memory\n= 12"));
	await_rounds(5);
	ck_assert_uint_eq(word(TABLE), last);
	ck_assert_uint_eq(roster_right(&right, 1, 0), IST_RIGHT_READ);
	go_over(NULL);
	await_rounds(2);
	ck_assert_uint_gt(word(TABLE), last);
	end_guest(5);
	end_refusing();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rights of a running VM");
	TCase *tests = tcase_create("rights");

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		puts("1..0 # SKIP no /dev/kvm");
		return 77;
	}
	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, start_group, stop_group);
	tcase_add_test(tests, nothing_lands);
	tcase_add_test(tests, what_is_read);
	tcase_add_test(tests, nothing_is_missed);
	tcase_add_test(tests, a_new_region);
	tcase_add_loop_test(tests, refused_less, 0, 3);
	tcase_add_loop_test(tests, refused_more, 0, 3);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
