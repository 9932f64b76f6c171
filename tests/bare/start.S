/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry of both CPUs: flat 32-bit segments, no paging, no interrupts. */

#define MB_MAGIC	0x1badb002
#define MB_FLAGS	0x2
#define AP_PAGE		0x8000		/* as in smp.c */
#define CODE_SEG	0x08
#define DATA_SEG	0x10

	.section .multiboot, "a"
	.balign	4
	.long	MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	.macro	set_segments
	mov	$DATA_SEG, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	%ecx, %fs
	mov	%ecx, %gs
	mov	%ecx, %ss
	.endm

	.text
	.code32
	.globl	start
start:
	cli
	lgdt	gdt_pointer
	ljmp	$CODE_SEG, $1f
1:	set_segments
	mov	$bsp_stack_top, %esp
	push	%ebx			/* multiboot information */
	push	%eax			/* multiboot magic */
	call	guest_main
2:	cli
	hlt
	jmp	2b

ap_start:
	set_segments
	mov	$ap_stack_top, %esp
	call	ap_main
3:	cli
	hlt
	jmp	3b

/*
 * irq.c: an interrupt, with its number for the handler. A KVM that has to
 * emulate each instruction does not know iret; so flags and return address
 * trade places, and popf and ret do the same.
 */
	.macro	irq_entry number
	.globl	irq_entry_\number
irq_entry_\number:
	pusha
	cld
	push	$\number - 1
	call	irq_handler
	add	$4, %esp
	mov	32(%esp), %eax		/* behind what pusha has pushed */
	xchg	%eax, 40(%esp)
	mov	%eax, 36(%esp)
	popa
	lea	4(%esp), %esp
	popf
	ret
	.endm

	irq_entry 1
	irq_entry 2

/* smp.c copies this to AP_PAGE, where the second CPU starts in real mode. */
	.globl	trampoline, trampoline_end
	.code16
trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	AP_PAGE + (gdt_pointer - trampoline)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$CODE_SEG, $ap_start
	.balign	8
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
trampoline_end:

	.data
	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* code, 0 to 4 GiB */
	.quad	0x00cf93000000ffff	/* data, 0 to 4 GiB */
gdt_end:

	.bss
	.balign	16
	.skip	16384
bsp_stack_top:
	.skip	16384
ap_stack_top:

	.section .note.GNU-stack, "", @progbits
