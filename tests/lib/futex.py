# SPDX-License-Identifier: GPL-2.0-or-later
"""futex(2) on a word of a file, as any program of the host would use it."""

import ctypes
import mmap
import os
import threading

SYS_FUTEX = 202     # x86-64
WAIT, WAKE = 0, 1

_libc = ctypes.CDLL(None, use_errno=True)


class _Word:
    """A 32-bit word of a file, mapped."""

    def __init__(self, path, offset):
        fd = os.open(path, os.O_RDWR)
        try:
            self.map = mmap.mmap(fd, 0)
        finally:
            os.close(fd)
        self.word = ctypes.c_uint32.from_buffer(self.map, offset)

    def futex(self, op, value):
        return _libc.syscall(SYS_FUTEX, ctypes.byref(self.word), op, value,
                             None, None, 0)


def wake(path, offset, count):
    """Wakes up to count waiters; how many there were."""
    return _Word(path, offset).futex(WAKE, count)


class Waiter:
    """Waits in a thread of its own, from now on."""

    def __init__(self, path, offset, expected):
        self.word, self.expected = _Word(path, offset), expected
        self.done = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        self.word.futex(WAIT, self.expected)
        self.done = True
