/* SPDX-License-Identifier: BSD-2-Clause */
/* app_fault.c: does the wrong thing that argv[1] names; status 99 when nothing comes of it. */
#include <isthmus/isthmus.h>

void abort(void);

#define NOTHING_HAPPENED 99
#define NO_SUCH_FAULT 98

static volatile int zero;
static char data_bytes[16] = "\xc3"; /* ret */

static void null_read(void)
{
	zero = *(volatile int *)(uintptr_t)zero;
}

static void call(uintptr_t address)
{
	((void (*)(void))address)();
}

static void null_jump(void)
{
	call((uintptr_t)zero);
}

static void text_write(void)
{
	*(volatile char *)(uintptr_t)text_write = 0;
}

static void data_jump(void)
{
	call((uintptr_t)data_bytes);
}

static void divide(void)
{
	zero = 100 / zero;
}

static void invalid(void)
{
	__builtin_trap();
}

static void big_frame(void)
{
	volatile char frame[100 << 10];

	/* From the top down: the first byte beyond the stack is the guard's. */
	for (size_t i = sizeof(frame); i > 0; i -= 64)
		frame[i - 1] = 1;
}

static int recurse(volatile int *depth)
{
	volatile int deeper = *depth + 1;

	return deeper ? recurse(&deeper) + deeper : 0;
}

static void recursion(void)
{
	zero = recurse(&zero);
}

static void interrupts_off(void)
{
	__asm__ volatile("cli; hlt");
}

static void halt(void)
{
	__asm__ volatile("hlt");
}

static void port(void)
{
	__asm__ volatile("outb %%al, $0x80" : : "a"(0));
}

static void memory(void)
{
	*(volatile uint32_t *)0x5000000000 = 1;
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void far_memory(void)
{
	zero = *(volatile int *)0xffff800000000000;
}

static void give_up(void)
{
	abort();
}

static const struct {
	const char *name;
	void (*make)(void);
} faults[] = {
	{"null-read", null_read},
	{"null-jump", null_jump},
	{"text-write", text_write},
	{"data-jump", data_jump},
	{"divide", divide},
	{"invalid", invalid},
	{"big-frame", big_frame},
	{"recursion", recursion},
	{"interrupts-off", interrupts_off},
	{"halt", halt},
	{"port", port},
	{"memory", memory},
	{"breakpoint", breakpoint},
	{"far-memory", far_memory},
	{"abort", give_up},
};

static int same(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return *left == *right;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (!same(argv[1], faults[i].name))
			continue;
		ist_print("about to: %s\n", argv[1]);
		faults[i].make();
		return NOTHING_HAPPENED;
	}
	return NO_SUCH_FAULT;
}
