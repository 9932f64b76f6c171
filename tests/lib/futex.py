# SPDX-License-Identifier: GPL-2.0-or-later
"""futex(2) on a word of a file, as a program of the host uses it"""

import ctypes
import mmap
import os
import threading

SYS_FUTEX = 202     # x86-64
WAIT, WAKE, REQUEUE = 0, 1, 3
ALL = 0x7fffffff

_libc = ctypes.CDLL(None, use_errno=True)


class Word:
    """A 32-bit word of a file, which is mapped."""

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
    """Wakes up to count waiters. Returns the number of woken waiters."""
    return Word(path, offset).futex(WAKE, count)


def waiters(path, offset):
    """The number of waiters in the word's queue, with QEMU's threads for
    guests. FUTEX_CMP_REQUEUE moves them from the queue to the same queue, which
    counts them."""
    word = Word(path, offset)
    count = _libc.syscall(SYS_FUTEX, ctypes.byref(word.word), REQUEUE, 0,
                          ctypes.c_long(ALL), ctypes.byref(word.word), 0)
    if count < 0:
        raise OSError(ctypes.get_errno(), "FUTEX_REQUEUE")
    return count


class Waiter:
    """A thread that waits for the word. After the end of the thread, result is
    0 if the thread was woken."""

    def __init__(self, path, offset, expected):
        self.word, self.expected = Word(path, offset), expected
        self.done, self.result = False, None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.result = self.word.futex(WAIT, self.expected)
        self.done = True

    @property
    def asleep(self):
        """Whether the thread is in the word's queue"""
        try:
            with open(f"/proc/self/task/{self.thread.native_id}/syscall",
                      encoding="ascii") as f:
                words = f.read().split()
        except FileNotFoundError:
            return False
        return words[:2] == [str(SYS_FUTEX),
                             hex(ctypes.addressof(self.word.word))]
