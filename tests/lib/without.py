#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: without.py NUMBER COMMAND...

Runs a command without the system call of this number, which fails with ENOSYS
as on an older Linux (x86-64). Children of the command inherit this.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7fff0000, 0x00050000

# Of classic BPF: load a word of the call's data, compare, return
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def forbid(number):
    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in (
        (LOAD, 0, 0, 0),                # the number of the system call
        (JUMP_IF_EQUAL, 0, 1, number),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.ENOSYS),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW)))
    memory = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("<H6xQ", len(code) // 8, ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                 (PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
                  ctypes.c_char_p(program), 0, 0)):
        if libc.prctl(*call):
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    forbid(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
