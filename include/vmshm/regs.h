/* SPDX-License-Identifier: MIT */
/*
 * VMShm register contract between the device and its drivers.
 *
 * Only #defines, no types and no includes, so that the same bytes compile in
 * QEMU, in a kernel module and in a bare-metal test. docs/spec.md is the whole
 * contract; a difference between the two is a bug.
 *
 * (read acts)  a read does something, the value is its result
 * (RO)         a read has no side effect, a write is ignored
 * (RW)         a latch: it keeps the written value until the next write
 * (WO)         a write acts, a read gives 0
 *
 * A 64-bit value is two 32-bit registers, low half first (LO, then HI).
 */
#ifndef VMSHM_REGS_H
#define VMSHM_REGS_H

/* PCI identity and BARs */
#define VMSHM_PCI_VENDOR_ID	0x1af4
#define VMSHM_PCI_DEVICE_ID	0x6661
#define VMSHM_BAR_REGS		0	/* registers; command memory */
#define VMSHM_BAR_BUFFER	1	/* the open object; 1 MiB */
#define VMSHM_BAR_NAME		2	/* object name; 1 KiB */
#define VMSHM_BAR_MSIX		3	/* MSI-X, with VMSHM_F_FUTEX */
#define VMSHM_BAR_ARENA		4	/* many objects; not there in 2010 */

#define VMSHM_BUFFER_SIZE	0x100000	/* bytes of BAR1 */
#define VMSHM_NAME_SIZE		0x400		/* bytes of BAR2 */
#define VMSHM_REGS_SIZE		0x1000		/* bytes of BAR0, registers */
#define VMSHM_BAR0_SIZE		0x40000		/* with VMSHM_F_MEMORY */

/* The contract of 2010 */
#define VMSHM_REG_OPEN		0x00	/* read acts: 0 or an errno */
#define VMSHM_REG_CLOSE		0x20	/* read acts: 0 */

/* The second half; a device of 2010 does not have VMSHM_ID at REG_ID */
#define VMSHM_REG_ID		0x40	/* RO: VMSHM_ID */
#define VMSHM_REG_VERSION	0x44	/* RO: major << 16 | minor */
#define VMSHM_REG_FEATURES	0x48	/* RO: VMSHM_F_* */
#define VMSHM_REG_MAX_OBJECTS	0x4c	/* RO: concurrent attachments */
#define VMSHM_REG_RW_SIZE_LO	0x50	/* RO: bytes of BAR4's writable span */
#define VMSHM_REG_RW_SIZE_HI	0x54
#define VMSHM_REG_RO_SIZE_LO	0x58	/* RO: bytes of the read-only span, */
#define VMSHM_REG_RO_SIZE_HI	0x5c	/*     which follows the writable one */
#define VMSHM_REG_MAILBOXES	0x60	/* RO: how many; VMSHM_F_MEMORY */
#define VMSHM_REG_VECTORS	0x64	/* RO: MSI-X vectors */
#define VMSHM_REG_SLOTS		0x68	/* RO: slots with a record; 0: none */
#define VMSHM_REG_DOORBELL	0x70	/* WO: executes mailbox n's request */

#define VMSHM_ID		0x68736d76	/* "vmsh", little-endian */
#define VMSHM_VERSION_MAJOR	1
#define VMSHM_VERSION_MINOR	1

#define VMSHM_F_ARENA		0x1	/* BAR4 and the commands are there */
#define VMSHM_F_CREATE		0x2	/* objects can be made and changed */
#define VMSHM_F_READONLY	0x4	/* no object can be attached writable */
#define VMSHM_F_FUTEX		0x8	/* MSI-X, and waiting and waking */
#define VMSHM_F_MEMORY		0x10	/* command memory in BAR0 */

/* The request, latched until COMMAND is written */
#define VMSHM_REG_FLAGS		0x80	/* RW: VMSHM_RQ_* */
#define VMSHM_REG_HANDLE	0x84	/* RW: an attachment */
#define VMSHM_REG_OFFSET_LO	0x88	/* RW: bytes into the object */
#define VMSHM_REG_OFFSET_HI	0x8c
#define VMSHM_REG_LENGTH_LO	0x90	/* RW: bytes */
#define VMSHM_REG_LENGTH_HI	0x94
#define VMSHM_REG_PLACE_LO	0x98	/* RW: bytes into BAR4 */
#define VMSHM_REG_PLACE_HI	0x9c
#define VMSHM_REG_MODE		0xa0	/* RW: permission bits for CREATE */

#define VMSHM_RQ_READONLY	0x1	/* ATTACH, HOLD: for reading only */
#define VMSHM_RQ_HANDLE		0x2	/* what HANDLE is, not a name */
#define VMSHM_RQ_NOREPLACE	0x4	/* RENAME: EEXIST if there is one */
/* From 1.1 on */
#define VMSHM_RQ_HOLD		0x8	/* CREATE: returns a handle */
#define VMSHM_RQ_GROW		0x10	/* RESIZE: never smaller */
#define VMSHM_RQ_LIMIT		0x20	/* ATTACH: LENGTH is a limit */
#define VMSHM_RQ_MODE		0x40	/* SETATTR: permission bits, */
#define VMSHM_RQ_ATIME		0x80	/*     time of last access, */
#define VMSHM_RQ_MTIME		0x100	/*     time of last modification */

#define VMSHM_REG_COMMAND	0xb0	/* WO: VMSHM_CMD_*; done on return */
#define VMSHM_REG_STATUS	0xb4	/* RO: 0 or an errno, last command's */

#define VMSHM_CMD_STAT		1
#define VMSHM_CMD_ATTACH	2
#define VMSHM_CMD_DETACH	3
#define VMSHM_CMD_LIST		4
#define VMSHM_CMD_CREATE	5
#define VMSHM_CMD_UNLINK	6
#define VMSHM_CMD_RESIZE	7
#define VMSHM_CMD_RENAME	8
#define VMSHM_CMD_ALLOCATE	9
#define VMSHM_CMD_HOLD		10
#define VMSHM_CMD_LINK		11
#define VMSHM_CMD_RELEASE	12
#define VMSHM_CMD_SETATTR	13	/* from 1.1 on; in mailboxes only */
#define VMSHM_CMD_STATFS	14

/* The result of the last command that succeeded */
#define VMSHM_REG_RES_HANDLE	0xc0	/* RO: an attachment */
#define VMSHM_REG_RES_MODE	0xc4	/* RO: permission bits, 07777 */
#define VMSHM_REG_RES_SIZE_LO	0xc8	/* RO: bytes of the object now */
#define VMSHM_REG_RES_SIZE_HI	0xcc
#define VMSHM_REG_RES_IDENT_LO	0xd0	/* RO: differs after unlink + create */
#define VMSHM_REG_RES_IDENT_HI	0xd4
#define VMSHM_REG_RES_UID	0xd8	/* RO: owner on the host */
#define VMSHM_REG_RES_GID	0xdc	/* RO: group on the host */
#define VMSHM_REG_RES_MTIME_LO	0xe0	/* RO: seconds since 1970, UTC */
#define VMSHM_REG_RES_MTIME_HI	0xe4
#define VMSHM_REG_RES_MTIME_NS	0xe8	/* RO: nanoseconds of it */
#define VMSHM_REG_RES_COUNT	0xec	/* RO: names that LIST left in BAR2 */
#define VMSHM_REG_RES_BLOCKS_LO	0xf0	/* RO: 512-byte blocks of host memory */
#define VMSHM_REG_RES_BLOCKS_HI	0xf4

/* Granularity of OFFSET and PLACE; LENGTH is rounded up to it; bytes */
#define VMSHM_PAGE_SIZE		4096

/*
 * Waiting and waking, if VMSHM_F_FUTEX: futex(2) on the host for the guest. All
 * but FIRED take whole, aligned 64-bit accesses only.
 */
#define VMSHM_REG_SLOT		0x800	/* VMSHM_SLOTS times VMSHM_SLOT_SIZE: */
#define VMSHM_SLOT_PLACE	0x00	/* RW: bytes into BAR4, of the word */
#define VMSHM_SLOT_CONTROL	0x08	/* write acts: ARM | value; HOLD; 0 */
#define VMSHM_REG_FIRED		0xf00	/* RW1C: a bit a slot, 32-bit words */
#define VMSHM_REG_WAKE		0xf10	/* WO: count << 48 | place / 4 */
#define VMSHM_REG_START		0xf18	/* WO: ARM | n: by the record; n: end */

#define VMSHM_SLOTS		96	/* slots with registers */
#define VMSHM_SLOT_SIZE		16
#define VMSHM_SLOT_ARM		0x100000000	/* in a 64-bit constant */
#define VMSHM_SLOT_HOLD		0x200000000
#define VMSHM_SLOT_IS_IDLE	0	/* the values that CONTROL reads */
#define VMSHM_SLOT_IS_ARMED	1
#define VMSHM_SLOT_IS_FIRED	2
#define VMSHM_SLOT_IS_HELD	3	/* and the owner in bits 32 to 61 */
#define VMSHM_SLOT_OWNER_SHIFT	32
#define VMSHM_SLOT_VECTOR_SHIFT	40	/* with ARM: bits 40 to 47 */
#define VMSHM_WAKE_COUNT_SHIFT	48	/* 0 wakes none, 0xffff all */

/* The longest LENGTH of one ALLOCATE; bytes */
#define VMSHM_ALLOCATE_MAX	0x4000000

/* RENAME and LINK take their second name here; bytes into BAR2 */
#define VMSHM_NAME_SECOND	0x200

/*
 * Command memory, if VMSHM_F_MEMORY: RAM behind the registers in BAR0. The
 * offsets of a mailbox's fields are relative to the mailbox.
 */
#define VMSHM_MEM_EPOCH		0x1000	/* 32 bit: changes at reset, not 0 */
#define VMSHM_MEM_FIRED		0x1040	/* REG_FIRED's bits, in memory */
#define VMSHM_MEM_MAILBOX	0x4000	/* VMSHM_REG_MAILBOXES of them */
#define VMSHM_MAILBOX_SIZE	0x2000
#define VMSHM_MAILBOXES_MAX	14
#define VMSHM_VECTORS_MAX	8

/* Records of slots, VMSHM_REG_SLOTS of them: for VMSHM_REG_START */
#define VMSHM_MEM_RECORD	0x20000
#define VMSHM_RECORD_SIZE	32
#define VMSHM_SLOTS_MAX		2048
#define VMSHM_RECORD_PLACE	0x00	/* 64 bit: bytes into BAR4 */
#define VMSHM_RECORD_WAKE	0x08	/* 64 bit: as REG_WAKE, done first */
#define VMSHM_RECORD_EXPECTED	0x10	/* 32 bit */
#define VMSHM_RECORD_VECTOR	0x14	/* 32 bit */
#define VMSHM_RECORD_ZERO	0x18	/* zero up to the end */

/* The request */
#define VMSHM_MB_TAG		0x00	/* 32 bit */
#define VMSHM_MB_COMMAND	0x04	/* 32 bit: VMSHM_CMD_* */
#define VMSHM_MB_FLAGS		0x08	/* 32 bit: VMSHM_RQ_* */
#define VMSHM_MB_HANDLE		0x0c	/* 32 bit */
#define VMSHM_MB_OFFSET		0x10	/* 64 bit */
#define VMSHM_MB_LENGTH		0x18	/* 64 bit */
#define VMSHM_MB_PLACE		0x20	/* 64 bit */
#define VMSHM_MB_MODE		0x28	/* 32 bit */
#define VMSHM_MB_VECTOR		0x2c	/* 32 bit: of a deferred completion */
#define VMSHM_MB_ATIME		0x30	/* 64 bit: seconds, signed */
#define VMSHM_MB_MTIME		0x38	/* 64 bit: seconds, signed */
#define VMSHM_MB_ATIME_NS	0x40	/* 32 bit */
#define VMSHM_MB_MTIME_NS	0x44	/* 32 bit */
#define VMSHM_MB_ZERO		0x48	/* zero up to the results */
#define VMSHM_MB_NAMES		0x100	/* VMSHM_NAME_SIZE bytes, as BAR2 */

/* The results */
#define VMSHM_MB_RES_TAG	0x80	/* 32 bit: written last */
#define VMSHM_MB_RES_STATUS	0x84	/* 32 bit: 0 or an errno */
#define VMSHM_MB_RES_HANDLE	0x88	/* 32 bit */
#define VMSHM_MB_RES_COUNT	0x8c	/* 32 bit: LIST's entries in DATA */
#define VMSHM_MB_RES_NEXT	0x90	/* 64 bit: LIST's next OFFSET, or 0 */
#define VMSHM_MB_RES_TOTAL	0x98	/* 64 bit: STATFS, bytes */
#define VMSHM_MB_RES_FREE	0xa0	/* 64 bit: STATFS, bytes */
#define VMSHM_MB_RES_ATTR	0xc0	/* VMSHM_ATTR_* */
#define VMSHM_MB_DATA		0x500	/* up to the end: LIST's entries */

/* Attributes of an object; offsets into VMSHM_ATTR_SIZE bytes */
#define VMSHM_ATTR_IDENT	0x00	/* 64 bit */
#define VMSHM_ATTR_BYTES	0x08	/* 64 bit: size of the object */
#define VMSHM_ATTR_BLOCKS	0x10	/* 64 bit: 512-byte blocks */
#define VMSHM_ATTR_MTIME	0x18	/* 64 bit: seconds, signed */
#define VMSHM_ATTR_ATIME	0x20	/* 64 bit: seconds, signed */
#define VMSHM_ATTR_MTIME_NS	0x28	/* 32 bit */
#define VMSHM_ATTR_ATIME_NS	0x2c	/* 32 bit */
#define VMSHM_ATTR_MODE		0x30	/* 32 bit: permission bits, 07777 */
#define VMSHM_ATTR_UID		0x34	/* 32 bit */
#define VMSHM_ATTR_GID		0x38	/* 32 bit */
#define VMSHM_ATTR_NLINK	0x3c	/* 32 bit: names of the object */
#define VMSHM_ATTR_SIZE		0x40	/* bytes of all this */

/* An entry of LIST: attributes, then these */
#define VMSHM_LIST_BYTES	0x40	/* 32 bit: of this entry */
#define VMSHM_LIST_NAME	0x44	/* with its NUL */

#define VMSHM_TIME_NOW		0x3fffffff	/* in a _NS field of SETATTR */

#endif /* VMSHM_REGS_H */
