# SPDX-License-Identifier: GPL-2.0-or-later
"""POSIX shared memory objects on the host, for tests.

Objects are files in /dev/shm, where shm_open(3) creates them. Their names are
/vmshm-test-PID-N, where N counts up and PID is the process ID of the run's
first process. A run holds a lock on the file /dev/shm/.vmshm-test-PID as long
as one of its processes lives. If the lock is free, the run could not remove its
objects, and the next run removes them.
"""

import fcntl
import glob
import itertools
import os
import shutil

FOLDER = "/dev/shm"
PREFIX_OF = "vmshm-test-{}-"
LOCK_OF = FOLDER + "/.vmshm-test-{}"
# Read before the run forks: see cleanup.main()
PID = os.getpid()
PREFIX = PREFIX_OF.format(PID)
_count = itertools.count(1)


def fresh_name():
    """A name that no object has."""
    return f"/{PREFIX}{next(_count)}"


def use_prefix_of_worker(number):
    """The prefix begins with that of the run, so that the end of the run
    removes the objects of its workers."""
    global PREFIX
    PREFIX += f"{number}-"


def pattern(size, salt=0):
    """Bytes that depend on the offset and the salt; none is zero."""
    unit = bytes((i * 7 + salt * 31) % 251 + 1 for i in range(251 * 16))
    return (unit * (size // len(unit) + 1))[:size]


class Object:
    """An object. The end of the `with` block removes it."""

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
        """Removes the name, if it still exists."""
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
    """The names of all objects of this run, as bytes. Other programs use the
    same directory."""
    return sorted(name for name in os.listdir(FOLDER.encode())
                  if name.startswith(PREFIX.encode()))


def remove_all(prefix):
    """Removes all objects and semaphores whose names begin with the prefix."""
    for start in (prefix, "sem." + prefix):
        for left in glob.glob(f"{FOLDER}/{glob.escape(start)}*"):
            try:
                os.unlink(left)
            except IsADirectoryError:
                shutil.rmtree(left)
            except FileNotFoundError:
                pass            # a guest that ends has removed it


def lock():
    """Locks the file of this run. The lock is released when the descriptor and
    its copies in child processes are closed."""
    fd = os.open(LOCK_OF.format(PID),
                 os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    # Shared, so that it waits only for a process in remove_dead_runs().
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def remove_run(pid=PID):
    """Removes all objects of the run with that first process."""
    remove_all(PREFIX_OF.format(pid))
    try:
        os.unlink(LOCK_OF.format(pid))
    except FileNotFoundError:
        pass


def remove_dead_runs():
    """Removes the objects of this user's runs that have no process left."""
    for path in glob.glob(LOCK_OF.format("*")):
        try:
            # No other user's FIFO may block this process.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue                    # removed, or of another user
        try:
            if os.fstat(fd).st_uid == os.geteuid():
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_run(path.rpartition("-")[2])
        except OSError:
            pass                        # the run lives, or has a full directory
        finally:
            os.close(fd)
