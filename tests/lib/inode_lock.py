# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of the host that is in the middle of a write(2) to an object.

During the write, the kernel holds the lock of the object's inode, so that every
other call that changes the object waits. The buffer of the write is a page that
this program provides by userfaultfd(2) when the test releases the lock. Needs
root.
"""

import ctypes
import mmap
import os
import select
import struct
import threading

SYS_USERFAULTFD = 323   # x86-64
UFFDIO_API = 0xc018aa3f
UFFDIO_REGISTER = 0xc020aa00
UFFDIO_ZEROPAGE = 0xc020aa04
MISSING = 1
SOON = 120              # seconds

_libc = ctypes.CDLL(None, use_errno=True)


class InodeLock:
    """Holds the lock of the inode of `obj` until release() or the end of the
    `with` block."""

    def __init__(self, obj):
        # A blocking userfaultfd is always readable for select(2).
        self.uffd = _libc.syscall(SYS_USERFAULTFD,
                                  os.O_CLOEXEC | os.O_NONBLOCK)
        if self.uffd < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")
        self.page = mmap.mmap(-1, mmap.PAGESIZE)
        self.at = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self._ioctl(UFFDIO_API, 0xaa, 0, 0)
        self._ioctl(UFFDIO_REGISTER, self.at, mmap.PAGESIZE, MISSING, 0)
        self.thread = threading.Thread(
            target=_libc.pwrite, args=(obj.fd, ctypes.c_void_p(self.at),
                                       ctypes.c_size_t(1),
                                       ctypes.c_long(0)), daemon=True)

    def _ioctl(self, request, *words):
        data = ctypes.create_string_buffer(
            struct.pack(f"<{len(words)}Q", *words))
        if _libc.ioctl(self.uffd, ctypes.c_ulong(request), data) < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")

    def __enter__(self):
        self.thread.start()
        # The kernel requests the page when it holds the lock.
        if not select.select([self.uffd], [], [], SOON)[0]:
            raise TimeoutError("the write does not begin")
        return self

    def release(self):
        if self.thread.is_alive():
            self._ioctl(UFFDIO_ZEROPAGE, self.at, mmap.PAGESIZE, 0, 0)
        self.thread.join(SOON)

    def __exit__(self, *_):
        self.release()
        os.close(self.uffd)
