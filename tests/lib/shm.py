# SPDX-License-Identifier: GPL-2.0-or-later
"""POSIX shared memory objects on the host, for tests.

They are named /vmshm-test-PID-N, N counting up, and live in /dev/shm, where
the C library's shm_open() puts them. PID is that of the tier's first process,
whose parent may then remove all of them (tests/run).
"""

import glob
import itertools
import os

FOLDER = "/dev/shm"
PREFIX_OF = "vmshm-test-{}-"
# Read before the tier forks: see tier.main()
PREFIX = PREFIX_OF.format(os.getpid())
_count = itertools.count(1)


def fresh_name():
    """A name that no object has."""
    return f"/{PREFIX}{next(_count)}"


def pattern(size, salt=0):
    """Bytes that depend on the offset and the salt; none is zero."""
    unit = bytes((i * 7 + salt * 31) % 251 + 1 for i in range(251 * 16))
    return (unit * (size // len(unit) + 1))[:size]


class Object:
    """An object of a size; removed when the `with` block ends."""

    def __init__(self, size=0, data=b"", name=None, mode=0o600):
        self.name = fresh_name() if name is None else name
        self.path = path(self.name)
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL,
                          0o600)
        os.fchmod(self.fd, mode)
        os.ftruncate(self.fd, max(size, len(data)))
        self.write(0, data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.unlink()

    def unlink(self):
        """Remove the name, if it is still this object's."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass

    def read(self, offset, size):
        return os.pread(self.fd, size, offset)

    def write(self, offset, data):
        done = 0
        while done < len(data):
            done += os.pwrite(self.fd, data[done:], offset + done)

    @property
    def size(self):
        return os.fstat(self.fd).st_size


def path(name):
    """The path of the object of that name"""
    return FOLDER + name if isinstance(name, str) else FOLDER.encode() + name


def names():
    """All names of this test program's objects, as bytes. Other programs use
    the same directory."""
    return sorted(name for name in os.listdir(FOLDER.encode())
                  if name.startswith(PREFIX.encode()))


def remove_all(prefix=PREFIX):
    """Removes all objects and semaphores whose names begin with the prefix."""
    for start in (prefix, "sem." + prefix):
        for left in glob.glob(f"{FOLDER}/{glob.escape(start)}*"):
            try:
                os.unlink(left)
            except IsADirectoryError:
                os.rmdir(left)
            except FileNotFoundError:
                pass            # A guest that ends now has removed it.
