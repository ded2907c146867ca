// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_vm_linux.c: what a kernel finds when isthmus-vm has started it, and what its machine does:
 * console, power-off, reset. The kernels are a few instructions, on the real KVM.
 */
#include <linux/kvm.h>

#include "hv/image.h"
#include "hv/platform.h"
#include "tests/kernel_guest.h"
#include "tests/suite.h"
#include "tests/vm_run.h"

#define OFF "mov $0x600, %edx\n mov $0x34, %al\n out %al, %dx\n 9: hlt\n jmp 9b\n"
#define CONSOLE "mov $0x3f8, %edx\n"

GUEST(words, CONSOLE "lea 1f(%rip), %rsi\n mov $10, %ecx\n rep outsb\n" OFF
		     "1: .ascii \"one\\ntwo\\nen\"\n");

/* The zero page, what it points to, and the first bytes of the RSDP. */
GUEST(dump, "mov %rsi, %rbx\n" CONSOLE "mov $4096, %ecx\n rep outsb\n"
	    "mov 0x228(%rbx), %esi\n mov $16, %ecx\n rep outsb\n"
	    "mov 0x218(%rbx), %esi\n mov 0x21c(%rbx), %ecx\n rep outsb\n"
	    "mov 0x70(%rbx), %esi\n mov $8, %ecx\n rep outsb\n" OFF);

GUEST(dump_pvh,
      ".code32\n mov %ebx, %esi\n" CONSOLE "mov $512, %ecx\n rep outsb\n" OFF ".code64\n");

/* Says S, then what it hears; q: power off, r: reset, t: triple fault, p: words for ever. */
GUEST(echo, CONSOLE "mov $'S', %al\n out %al, %dx\n"
		    "1: mov $0x3fd, %edx\n in %dx, %al\n test $1, %al\n jz 1b\n"
		    "mov $0x3f8, %edx\n in %dx, %al\n"
		    "cmp $'q', %al\n je 2f\n cmp $'r', %al\n je 3f\n cmp $'t', %al\n je 4f\n"
		    "cmp $'p', %al\n je 5f\n out %al, %dx\n jmp 1b\n"
		    "2:" OFF "3: mov $0x602, %edx\n mov $1, %al\n out %al, %dx\n 6: hlt\n jmp 6b\n"
		    "4: ud2\n 5: mov $10, %al\n 7: out %al, %dx\n jmp 7b\n");

/* Ports that are an app's are nobody's; sleep types other than S5's do nothing. */
GUEST(other_ports, "mov $'x', %al\n out %al, $0xe9\n mov $0x34, %eax\n out %eax, $0xf4\n"
		   "mov $0x600, %edx\n mov $0x24, %al\n out %al, %dx\n mov $0x14, %al\n"
		   "out %al, %dx\n mov $0x34, %eax\n out %eax, %dx\n"
		   "mov $0x602, %edx\n mov $2, %al\n out %al, %dx\n" OFF);

static const char *name = "one";
static char initrd[160];
static int hand[2]; /* the guest hears what is written to hand[1] */

static void start(void)
{
	start_alone();
	snprintf(initrd, sizeof(initrd), "%s/initrd", f.dir);
	must(pipe2(hand, O_CLOEXEC) == 0);
	input = hand[0];
}

static void stop(void)
{
	unlink(initrd);
	if (hand[1] >= 0)
		close(hand[1]);
	close(hand[0]);
	stop_alone();
}

static void start_group(void)
{
	fixture_start(&f);
	snprintf(image, sizeof(image), "%s.kernel", f.dir);
	snprintf(stats, sizeof(stats), "%s.json", f.dir);
	must(pipe2(hand, O_CLOEXEC) == 0);
	input = hand[0];
	name = "right";
}

static void stop_group(void)
{
	close(hand[0]);
	close(hand[1]);
	unlink(image);
	unlink(stats);
	fixture_stop(&f);
}

static void launch_kernel(struct vm *vm, const uint8_t *code, const uint8_t *end, ...)
{
	va_list more;

	if (code != NULL)
		must(guest_write_kernel(image, code, end) == 0);
	va_start(more, end);
	prepare(name, "--kernel", "64M", more);
	va_end(more);
	launch(vm, arguments);
}

#define KERNEL(vm, guest, ...)                                                                     \
	launch_kernel(vm, guest_##guest, guest_##guest##_end, ##__VA_ARGS__, NULL)
#define KERNEL_AGAIN(vm, ...) launch_kernel(vm, NULL, NULL, ##__VA_ARGS__, NULL)

static void put(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "w");

	must(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

START_TEST(console_and_power_off)
{
	struct vm vm;

	KERNEL(&vm, words);
	run(&vm, 0);
	ck_assert_str_eq(vm.text[OUT], "one\ntwo\nen");
	ck_assert_str_eq(vm.text[ERR], "");
	ck_assert_int_eq(stat_of("unknown_accesses"), 0);
}
END_TEST

START_TEST(zero_page)
{
	struct boot_params zero;
	struct vm vm;

	put(initrd, "disk", 4);
	KERNEL(&vm, dump, "--cmdline", "console=ttyS0 a", "--initrd", initrd);
	run(&vm, 0);
	ck_assert_uint_eq(vm.used[OUT], sizeof(zero) + 16 + 4 + 8);
	memcpy(&zero, vm.text[OUT], sizeof(zero));
	ck_assert_uint_eq(zero.hdr.header, 0x53726448);
	ck_assert_uint_eq(zero.hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(zero.hdr.ramdisk_image, (64 << 20) - 4096);
	ck_assert_uint_eq(zero.hdr.ramdisk_size, 4);
	ck_assert_uint_eq(zero.acpi_rsdp_addr, VMM_LINUX_ACPI);
	ck_assert_uint_eq(zero.e820_entries, 3);
	ck_assert_uint_eq(zero.e820_table[0].addr, 0);
	ck_assert_uint_eq(zero.e820_table[0].size, 0xa0000);
	ck_assert_uint_eq(zero.e820_table[0].type, 1);
	ck_assert_uint_eq(zero.e820_table[1].addr, VMM_LINUX_ACPI);
	ck_assert_uint_eq(zero.e820_table[1].type, 2);
	ck_assert_uint_eq(zero.e820_table[2].addr, 1 << 20);
	ck_assert_uint_eq(zero.e820_table[2].size, 63 << 20);
	ck_assert_mem_eq(vm.text[OUT] + sizeof(zero), "console=ttyS0 a\0diskRSD PTR ", 28);

	/* Above the hole goes on what does not fit below. */
	KERNEL(&vm, dump, "--memory", "4G");
	run(&vm, 0);
	memcpy(&zero, vm.text[OUT], sizeof(zero));
	ck_assert_uint_eq(zero.hdr.ramdisk_size, 0);
	ck_assert_uint_eq(zero.e820_entries, 4);
	ck_assert_uint_eq(zero.e820_table[2].size, (3ull << 30) - (1 << 20));
	ck_assert_uint_eq(zero.e820_table[3].addr, 4ull << 30);
	ck_assert_uint_eq(zero.e820_table[3].size, 1ull << 30);
	ck_assert_uint_eq(zero.e820_table[3].type, 1);
}
END_TEST

/* A kernel with a PVH entry: machine code at KERNEL_CODE, and the note. */
static void put_pvh(const uint8_t *code, const uint8_t *end)
{
	static struct {
		Elf64_Ehdr header;
		Elf64_Phdr program[2];
		Elf64_Nhdr note;
		char name[4];
		uint32_t entry;
		uint8_t code[256];
	} file;
	const size_t note = offsetof(typeof(file), note), text = offsetof(typeof(file), code);

	memset(&file, 0, sizeof(file));
	file.header = (Elf64_Ehdr){
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(file.header),
		.e_ehsize = sizeof(file.header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	file.program[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_W | PF_X,
				       .p_offset = text,
				       .p_vaddr = 0xffffffff80000000,
				       .p_paddr = KERNEL_CODE,
				       .p_filesz = sizeof(file.code),
				       .p_memsz = 4096};
	file.program[1] =
		(Elf64_Phdr){.p_type = PT_NOTE, .p_offset = note, .p_filesz = text - note};
	file.note = (Elf64_Nhdr){4, 4, 18};
	memcpy(file.name, "Xen", 4);
	file.entry = KERNEL_CODE;
	must((size_t)(end - code) <= sizeof(file.code));
	memcpy(file.code, code, (size_t)(end - code));
	put(image, &file, sizeof(file));
}

START_TEST(pvh_start_info)
{
	struct {
		uint32_t magic, version, flags, modules_count;
		uint64_t modules, cmdline, rsdp, memory;
		uint32_t memory_count, reserved;
	} info;
	struct {
		uint64_t address, size;
		uint32_t type, reserved;
	} range[3];
	uint64_t module[2];
	struct vm vm;

	put(initrd, "disk", 4);
	put_pvh(guest_dump_pvh, guest_dump_pvh_end);
	KERNEL_AGAIN(&vm, "--initrd", initrd, "--cmdline", "x");
	run(&vm, 0);
	ck_assert_uint_eq(vm.used[OUT], 512);
	memcpy(&info, vm.text[OUT], sizeof(info));
	ck_assert_uint_eq(info.magic, 0x336ec578);
	ck_assert_uint_eq(info.version, 1);
	ck_assert_uint_eq(info.modules_count, 1);
	ck_assert_uint_eq(info.cmdline, VMM_LINUX_CMDLINE);
	ck_assert_uint_eq(info.rsdp, VMM_LINUX_ACPI);
	ck_assert_uint_eq(info.memory_count, 3);
	memcpy(module, vm.text[OUT] + info.modules - VMM_LINUX_START_INFO, sizeof(module));
	ck_assert_uint_eq(module[0], (64 << 20) - 4096);
	ck_assert_uint_eq(module[1], 4);
	memcpy(range, vm.text[OUT] + info.memory - VMM_LINUX_START_INFO, sizeof(range));
	ck_assert_uint_eq(range[2].address, 1 << 20);
	ck_assert_uint_eq(range[2].size, 63 << 20);
	ck_assert_uint_eq(range[2].type, 1);
}
END_TEST

static void say(const char *text)
{
	must(write(hand[1], text, strlen(text)) == (ssize_t)strlen(text));
}

/* More than the FIFO holds, and what does not end a line comes out too. */
START_TEST(input_is_heard)
{
	char text[202] = "";
	struct vm vm;

	KERNEL(&vm, echo);
	watch(&vm, OUT, "S");
	memset(text, 'x', sizeof(text) - 2);
	text[sizeof(text) - 2] = '.';
	say(text);
	watch(&vm, OUT, text);
	say("q");
	run(&vm, 0);
	ck_assert_str_eq(vm.text[OUT] + 1, text);
}
END_TEST

START_TEST(input_ends)
{
	struct vm vm;

	KERNEL(&vm, echo);
	say("0123456789abcdef0123456789abcdef");
	close(hand[1]); /* with bytes that there is no room for yet */
	hand[1] = -1;
	watch(&vm, OUT, "S0123456789abcdef0123456789abcdef");
	kill(vm.pid, SIGTERM);
	run(&vm, 143);
	input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	KERNEL(&vm, words);
	run(&vm, 0);
	close(input);
}
END_TEST

START_TEST(reset_starts_again)
{
	char self[64], target[64] = "";
	struct vm vm;

	KERNEL(&vm, echo, "--vcpus", "2");
	watch(&vm, OUT, "S");
	ck_assert_int_ne(access(stats, F_OK), 0);
	say("ar");
	watch(&vm, OUT, "SaS");
	ck_assert_int_eq(access(stats, F_OK), 0);
	ck_assert_str_eq(vm.text[ERR], "");
	say("bt");
	watch(&vm, OUT, "SaSbS");
	watch(&vm, ERR, "isthmus-vm: one: triple fault: reset\n");
	/* The same process by the same name, and SIGTERM still ends it. */
	snprintf(self, sizeof(self), "/proc/%d/comm", vm.pid);
	must(read(open(self, O_RDONLY | O_CLOEXEC), target, sizeof(target) - 1) > 0);
	ck_assert_str_eq(target, "isthmus-vm\n");
	kill(vm.pid, SIGTERM);
	run(&vm, 143);
	ck_assert_uint_eq(lines(vm.text[ERR]), 1);
}
END_TEST

START_TEST(other_ports)
{
	struct vm vm;

	KERNEL(&vm, other_ports);
	run(&vm, 0);
	ck_assert_str_eq(vm.text[OUT], "");
	ck_assert_int_eq(stat_of("unknown_accesses"), 3);
}
END_TEST

/* Nobody reads its console: it can be stopped all the same. */
START_TEST(stop_while_printing)
{
	struct vm vm;
	int status;

	KERNEL(&vm, echo);
	watch(&vm, OUT, "S");
	say("p");
	usleep(300000);
	kill(vm.pid, SIGTERM);
	must(waitpid(vm.pid, &status, 0) == vm.pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 143);
}
END_TEST

START_TEST(start_failures)
{
	char line[400], large[257];
	struct vm vm;

	put(image, "#!/bin/sh\n", 10);
	KERNEL_AGAIN(&vm);
	snprintf(line, sizeof(line), "one: kernel %s: not a kernel: neither bzImage nor ELF",
		 image);
	run_line(&vm, 125, line);

	put_pvh(guest_dump_pvh, guest_dump_pvh_end);
	must(truncate(image, 300) == 0);
	KERNEL_AGAIN(&vm);
	snprintf(line, sizeof(line),
		 "one: kernel %s: truncated: segment 0 ends beyond the file's 300 bytes", image);
	run_line(&vm, 125, line);

	KERNEL(&vm, words, "--initrd", "/nowhere/initrd");
	run_line(&vm, 125, "one: initrd /nowhere/initrd: No such file or directory");
	KERNEL(&vm, words, "--initrd", "/dev/zero");
	run_line(&vm, 125, "one: initrd /dev/zero: not a regular file");
	put(initrd, "", 0);
	must(truncate(initrd, 512 << 20) == 0);
	KERNEL(&vm, words, "--initrd", initrd);
	snprintf(line, sizeof(line),
		 "one: initrd %s: 512 MiB do not fit beside the kernel into 64 MiB of RAM", initrd);
	run_line(&vm, 125, line);

	memset(large, 'x', 256);
	large[256] = '\0';
	KERNEL(&vm, words, "--cmdline", large);
	run_line(&vm, 125, "one: command line: 256 bytes, this kernel takes 255");
}
END_TEST

/* Its neighbour sees it leave in good order and come back as another incarnation. */
START_TEST(reset_rejoins)
{
	struct raw raw = raw_live(&f, "left");
	char group[160];
	uint64_t word;
	struct vm vm;

	snprintf(group, sizeof(group), "ping=%s", f.path);
	KERNEL(&vm, echo, "--group", group);
	watch(&vm, OUT, "S");
	word = raw_word(&raw, 1);
	ck_assert_uint_eq(IST_PEER_STATE(word), IST_PEER_LIVE);
	say("r");
	watch(&vm, OUT, "SS");
	ck_assert_uint_eq(raw_word(&raw, 1),
			  IST_PEER_WORD(IST_PEER_LIVE, IST_PEER_INCARNATION(word) + 1));
	say("q");
	run(&vm, 0);
	ck_assert_uint_eq(IST_PEER_STATE(raw_word(&raw, 1)), IST_PEER_ABSENT);
	ck_assert_str_eq(vm.text[ERR], "");
	raw_leave(&f, &raw);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vm_linux");
	TCase *tcase = tcase_create("linux");
	TCase *member = tcase_create("member");

	if (access("/dev/kvm", R_OK | W_OK) != 0) {
		printf("no /dev/kvm that can be used: no VM was run\n");
		return 77;
	}
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, console_and_power_off);
	tcase_add_test(tcase, zero_page);
	tcase_add_test(tcase, pvh_start_info);
	tcase_add_test(tcase, input_is_heard);
	tcase_add_test(tcase, input_ends);
	tcase_add_test(tcase, reset_starts_again);
	tcase_add_test(tcase, other_ports);
	tcase_add_test(tcase, stop_while_printing);
	tcase_add_test(tcase, start_failures);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(member, start_group, stop_group);
	tcase_add_test(member, reset_rejoins);
	suite_add_tcase(suite, member);
	return suite_run(suite);
}
