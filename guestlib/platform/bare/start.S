/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.S: all of ring 0 in an app VM: descriptor tables, the step down to ring 3, counting of
 * doorbells, halting, and the report of faults.
 *
 * It is kept this small because some hosts emulate ring 0 instruction by instruction. No vector
 * register is touched here: they are the application's.
 */
#include "bare.h"

#define CODE0 0x08
#define DATA3 0x18
#define CODE3 0x20
#define TSS 0x28
#define RPL3 3
#define FLAGS3 0x202 /* interrupts on, and not the application's to turn off */

#define MSR_EOI 0x80b
#define MSR_SPURIOUS 0x80f
#define MSR_LVT_TIMER 0x832
#define MSR_TIMER_COUNT 0x838
#define MSR_TIMER_DIVIDE 0x83e
#define APIC_ENABLE 0x100
#define DIVIDE_BY_16 3

#define EXCEPTIONS 32
#define NMI 2
#define DOUBLE_FAULT 8
#define GENERAL_PROTECTION 13
#define HAS_ERROR_CODE 0x60227d00 /* 8, 10-14, 17, 21, 29, 30 */

#define VECTORS (BARE_VECTOR_DOORBELLS + BARE_GROUPS * BARE_GROUP_VECTORS)
#define ENTRY_SIZE 32

	.macro write_msr number
	mov	$\number, %ecx
	xor	%edx, %edx
	wrmsr
	.endm

	.macro end_interrupt
	push	%rax
	push	%rcx
	push	%rdx
	xor	%eax, %eax
	write_msr MSR_EOI
	pop	%rdx
	pop	%rcx
	pop	%rax
	iretq
	.endm

/*
 * One entry of ENTRY_SIZE bytes a vector (.org: an entry that is too long does not assemble). The
 * linker script puts them at a multiple of 64 KiB, so that the low half of an entry's address is
 * known here, for the gates below.
 */
	.macro next_entry
	.set	number, number + 1
	.org	ist_bare_vectors + number * ENTRY_SIZE
	.endm

	.section .text.vectors, "ax"
	.balign	ENTRY_SIZE
	.globl	ist_bare_vectors
ist_bare_vectors:
	.set	number, 0
	.rept	BARE_VECTOR_DOORBELLS
	.if	number == GENERAL_PROTECTION
	jmp	general_protection
	.elseif	number == BARE_VECTOR_TIMER
	end_interrupt
	.elseif	number == BARE_VECTOR_SPURIOUS
	iretq
	.else
	.if	number >= EXCEPTIONS || !((HAS_ERROR_CODE >> number) & 1)
	push	$0
	.endif
	push	$number
	jmp	report
	.endif
	next_entry
	.endr
	.rept	BARE_GROUPS * BARE_GROUP_VECTORS
	incl	ist_bare_counts + 4 * (number - BARE_VECTOR_DOORBELLS)(%rip)
	incl	ist_bare_totals + 4 * ((number - BARE_VECTOR_DOORBELLS) / BARE_GROUP_VECTORS)(%rip)
	end_interrupt
	next_entry
	.endr

	.text
/*
 * The one system call. hlt is not for ring 3, so it comes out at general_protection, with
 * interrupts off: none can come between the comparison there and the halt. A timer that did not
 * have to fire is left running: the next wait sets it anew, or returns early once.
 */
	.globl	ist_bare_wait
	.type	ist_bare_wait, @function
ist_bare_wait:
	hlt
	ret

general_protection:
	cmpq	$ist_bare_wait, 8(%rsp)
	jne	not_a_call
	add	$8, %rsp
	incq	(%rsp) /* past the hlt */
	cmp	%esi, (%rdi)
	jne	2f
	mov	%edx, %eax
	test	%eax, %eax
	jz	1f
	write_msr MSR_TIMER_COUNT
1:	sti
	hlt
2:	iretq

not_a_call:
	push	$GENERAL_PROTECTION
	/* falls through */

/* On the stack: vector, error code, rip, cs, rflags, rsp, ss. The report ends this VM. */
report:
	mov	%rax, fault + 64(%rip)
	mov	%rbx, fault + 72(%rip)
	mov	%rcx, fault + 80(%rip)
	mov	%rdx, fault + 88(%rip)
	mov	%rsi, fault + 96(%rip)
	mov	%rdi, fault + 104(%rip)
	mov	%rbp, fault + 112(%rip)
	mov	%r8, fault + 120(%rip)
	mov	%r9, fault + 128(%rip)
	mov	%r10, fault + 136(%rip)
	mov	%r11, fault + 144(%rip)
	mov	%r12, fault + 152(%rip)
	mov	%r13, fault + 160(%rip)
	mov	%r14, fault + 168(%rip)
	mov	%r15, fault + 176(%rip)
	pop	fault(%rip)
	pop	fault + 8(%rip)
	mov	%cr2, %rax
	mov	%rax, fault + 16(%rip)
	pop	fault + 24(%rip)
	pop	fault + 32(%rip)
	pop	fault + 40(%rip)
	pop	fault + 48(%rip)
	pop	fault + 56(%rip)
	mov	$fault, %eax
	out	%eax, $BARE_PORT_FAULT
1:	hlt
	jmp	1b

/* In: rdi, the boot block; it goes through to ist_bare_main(). */
	.globl	_start
_start:
	lgdt	gdt_pointer(%rip)
	lidt	idt_pointer(%rip)
	mov	$TSS, %eax
	ltr	%ax
	mov	$(APIC_ENABLE | BARE_VECTOR_SPURIOUS), %eax
	write_msr MSR_SPURIOUS
	mov	$DIVIDE_BY_16, %eax
	write_msr MSR_TIMER_DIVIDE
	mov	$BARE_VECTOR_TIMER, %eax /* one-shot */
	write_msr MSR_LVT_TIMER
	mov	$stack0_top, %esp
	push	$(DATA3 | RPL3)
	push	$ist_bare_stack_top - 8 /* as after a call */
	push	$FLAGS3
	push	$(CODE3 | RPL3)
	push	$ist_bare_main
	xor	%ebp, %ebp
	iretq

/*
 * Descriptors hold addresses in pieces, which no relocation can express: the linker script computes
 * the pieces ist_bare_*_bits_*.
 */
	.section .rodata
	.balign	16
idt:
	.set	number, 0
	.rept	VECTORS
	.word	number * ENTRY_SIZE, CODE0
	.if	number == NMI || number == DOUBLE_FAULT
	.byte	1 /* a stack of its own: the other may be unusable */
	.else
	.byte	0
	.endif
	.byte	0x8e /* interrupt gate */
	.word	ist_bare_vectors_bits_16
	.quad	0
	.set	number, number + 1
	.endr
idt_end:

idt_pointer:
	.word	idt_end - idt - 1
	.quad	idt
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.data
	.balign	16
gdt: /* writable: ltr marks the task segment busy */
	.quad	0
	.quad	0x00af9b000000ffff /* CODE0 */
	.quad	0x00cf93000000ffff
	.quad	0x00cff3000000ffff /* DATA3 */
	.quad	0x00affb000000ffff /* CODE3 */
	.word	tss_end - ist_bare_tss - 1, ist_bare_tss_bits_0 /* TSS */
	.byte	ist_bare_tss_bits_16, 0x89, 0, ist_bare_tss_bits_24
	.quad	0
gdt_end:

	.balign	16
	.globl	ist_bare_tss
ist_bare_tss:
	.long	0
	.quad	stack0_top, 0, 0, 0
	.quad	stack1_top /* NMI, double fault */
	.zero	58
	.word	ports - ist_bare_tss
ports: /* a bit a port, 0: allowed: those of the hypervisor, 0xe8 to 0xff */
	.fill	0xe8 / 8, 1, 0xff
	.fill	0x18 / 8, 1, 0
	.byte	0xff /* the processor reads two bytes at a time */
tss_end:

	.bss
	.balign	64
	.globl	ist_bare_counts, ist_bare_totals
ist_bare_totals:
	.zero	4 * BARE_GROUPS
	.balign	64
ist_bare_counts:
	.zero	4 * BARE_GROUPS * BARE_GROUP_VECTORS
fault: /* struct ist_boot_fault */
	.zero	184
	.balign	16
	.zero	1024
stack0_top:
	.zero	1024
stack1_top:

	.section .note.GNU-stack, "", @progbits
