/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's whole firmware, 64 KiB that end at 4 GiB: each processor reads
 * and writes words at random places of a range, for ever. A processor's words
 * for talking to the test are at 0x1000 + 0x100 * its number; see walk.py.
 */
#define BASE	0xffff0000
#define WHERE	0		/* of the range; 0: wait */
#define MASK	4		/* its size, a power of two, minus 4 */
#define ROUNDS	8
#define SEED	12
#define WAKE	16		/* not 0: start the other processor */

#define APIC_ID		0xfee00020
#define APIC_ICR	0xfee00300
#define OTHERS		0xc0000
#define INIT		0x4500
#define STARTUP_AT_F000	0x46f0

	.text
	.code16
other:				/* at 0xf0000, where a copy of this is */
	jmp	enter

	.balign	8
table:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
table_pointer:
	.word	23
	.long	BASE + table - other

enter:
	cli
	lgdtl	%cs:(table_pointer - other)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$8, $(BASE + flat - other)

	.code32
flat:
	mov	$16, %eax
	mov	%eax, %ds
	mov	APIC_ID, %edi
	shr	$24, %edi
	shl	$8, %edi
	add	$0x1000, %edi
walk:
	incl	ROUNDS(%edi)
	cmpl	$0, WAKE(%edi)
	je	1f
	movl	$0, WAKE(%edi)
	movl	$(OTHERS | INIT), APIC_ICR
	movl	$(OTHERS | STARTUP_AT_F000), APIC_ICR
	movl	$(OTHERS | STARTUP_AT_F000), APIC_ICR
1:	mov	WHERE(%edi), %esi
	test	%esi, %esi
	je	walk
	mov	SEED(%edi), %eax
	mov	%eax, %ecx
	shl	$13, %ecx
	xor	%ecx, %eax
	mov	%eax, %ecx
	shr	$17, %ecx
	xor	%ecx, %eax
	mov	%eax, %ecx
	shl	$5, %ecx
	xor	%ecx, %eax
	mov	%eax, SEED(%edi)
	mov	%eax, %ecx
	and	MASK(%edi), %ecx
	mov	(%esi,%ecx), %edx
	test	$0x40000000, %eax
	je	walk
	mov	%eax, (%esi,%ecx)
	jmp	walk

	.org	0xfff0
	.code16
	jmp	enter
	.balign	16
