# SPDX-License-Identifier: GPL-2.0-or-later
"""No command holds QEMU's big lock while it waits for the host: QEMU's monitor
answers, and commands that do not need the host's lock complete.

A process of the host holds the inode lock of an object or of the directory.
docs/design.md has the exceptions.
"""

import os
import subprocess
import tempfile
import threading

import contract as c
from arena import PAGE
from inode_lock import InodeLock
from mailbox import Mailboxes
from shm import Object
from tracer import Calls
from vmshm import Skip, equal, machine, mapped, true, until

# Commands that wait for the lock of the object: their arguments
OF_THE_OBJECT = {
    "resize": (c.CMD_RESIZE, "/a", {"length": 2 * PAGE}),
    "shrink": (c.CMD_RESIZE, "/a", {"length": PAGE // 2}),
    "grow": (c.CMD_RESIZE, "/a", {"length": 3 * PAGE, "flags": c.RQ_GROW}),
    "allocate": (c.CMD_ALLOCATE, "/a", {"length": 2 * PAGE}),
    "allocate a lot": (c.CMD_ALLOCATE, "/a", {"length": 64 * PAGE}),
    "chmod": (c.CMD_SETATTR, "/a", {"mode": 0o600, "flags": c.RQ_MODE}),
    "utimes": (c.CMD_SETATTR, "/a", {"mtime": 5, "flags": c.RQ_MTIME}),
    "link": (c.CMD_LINK, "/a", {"second": "/link"}),
    "rename": (c.CMD_RENAME, "/a", {"second": "/b"}),
    "unlink": (c.CMD_UNLINK, "/a", {}),
}
# Commands that do not wait for the lock of the object
NOT_OF_THE_OBJECT = {
    "stat": (c.CMD_STAT, "/a", {}),
    "attach": (c.CMD_ATTACH, "/a", {}),
    "attach at most": (c.CMD_ATTACH, "/a", {"length": PAGE, "place": PAGE,
                                            "flags": c.RQ_LIMIT}),
    "hold": (c.CMD_HOLD, "/a", {}),
    "statfs": (c.CMD_STATFS, None, {}),
    "release": (c.CMD_RELEASE, None, {}),
}
# Commands that wait for the lock of the directory
OF_THE_DIRECTORY = {
    "create": (c.CMD_CREATE, "/new", {"mode": 0o600}),
    "create and hold": (c.CMD_CREATE, "/new2", {"mode": 0o600,
                                                "flags": c.RQ_HOLD}),
    "unlink": (c.CMD_UNLINK, "/c", {}),
    "link": (c.CMD_LINK, "/d", {"second": "/link"}),
    "rename": (c.CMD_RENAME, "/d", {"second": "/e"}),
    "list": (c.CMD_LIST, None, {}),
    "stat of an unknown name": (c.CMD_STAT, "/unknown", {}),
    "attach of an unknown name": (c.CMD_ATTACH, "/unknown2", {}),
}
# Commands without a look-up, or with a name in the cache of the host kernel
NOT_OF_THE_DIRECTORY = {
    "stat": (c.CMD_STAT, "/b", {}),
    "attach": (c.CMD_ATTACH, "/b", {}),
    "resize": (c.CMD_RESIZE, "/b", {"length": 2 * PAGE}),
    "statfs": (c.CMD_STATFS, None, {}),
}


# Commands that unmap a large object, and the bytes that they unmap
BIG = 2048 * PAGE
UNMAP = {
    "detach": (c.CMD_DETACH, {}, BIG),
    "shrink": (c.CMD_RESIZE, {"length": PAGE, "flags": c.RQ_HANDLE},
               BIG - PAGE),
    "release": (c.CMD_RELEASE, {}, BIG),
}


class File:
    """A file in the form that InodeLock needs"""

    def __init__(self, folder, name):
        self.path = f"{folder}/{name}"
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self.fd, PAGE)


class Tmpfs:
    """A separate tmpfs with objects, so that no other program waits for its
    lock"""

    def __enter__(self):
        if os.geteuid():
            raise Skip("mounting needs root")
        self.folder = tempfile.mkdtemp()
        done = subprocess.run(["mount", "-t", "tmpfs", "none", self.folder],
                              check=False, stderr=subprocess.DEVNULL)
        if done.returncode:
            os.rmdir(self.folder)
            raise Skip("a tmpfs cannot be mounted here")
        self.file = {name: File(self.folder, name) for name in "abcd"}
        return self

    def __exit__(self, *_):
        for file in self.file.values():
            os.close(file.fd)
        subprocess.run(["umount", "-l", self.folder], check=True)
        os.rmdir(self.folder)

    def machine(self, options=""):
        return machine(options=f",dir={self.folder},create=on,arena=4M"
                       f"{options}")


def answers(vm):
    equal(vm.qmp("query-status")["status"], "prelaunch", "QMP")


def waits(dev, commands):
    """Submits each command in its own mailbox. Returns the tags."""
    tags = {}
    for n, (what, (command, name, how)) in enumerate(commands.items()):
        tags[what] = n, dev.submit(n, command, name, **how)
        answers(dev.vm)
        true(not dev.finished(*tags[what]), f"{what} has completed: "
             f"{dev.word(n, c.MB_RES_STATUS)}")
    return tags


def complete(dev, commands, first=0):
    for n, (what, (command, name, how)) in enumerate(commands.items()):
        equal(dev.post(command, name, n=first + n, **how), c.OK, what)


def end(dev, tags):
    for n, tag in tags.values():
        dev.wait(n, tag)


def of_the_object(options):
    with Tmpfs() as tmpfs, tmpfs.machine(options) as vm:
        dev = Mailboxes(vm)
        for n, (what, one) in enumerate(OF_THE_OBJECT.items()):
            tmpfs.file["a"] = File(tmpfs.folder, "a")
            with InodeLock(tmpfs.file["a"]) as lock:
                tags = waits(dev, {what: one})
                complete(dev, {k: v for k, v in NOT_OF_THE_OBJECT.items()
                               if k != "release"}, first=1)
                answers(vm)
                lock.release()
                end(dev, tags)
            # The next command attaches at the same places.
            dev.posts(c.CMD_RELEASE, n=n % 4)


def test_of_the_object():
    of_the_object("")


def test_of_the_object_with_limits():
    of_the_object(",max-bytes=1M,max-objects=100")


def test_of_an_attached_object():
    """Commands with a handle wait; the object is detached while the inode lock
    is held."""
    with Tmpfs() as tmpfs, tmpfs.machine() as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_ATTACH, "/a")
        handle = dev.res_handle()
        by_handle = {k: (command, None, {**how, "handle": handle,
                                         "flags": how.get("flags", 0) |
                                         c.RQ_HANDLE})
                     for k, (command, name, how) in OF_THE_OBJECT.items()
                     if k in ("resize", "grow", "allocate", "chmod")}
        with InodeLock(tmpfs.file["a"]) as lock:
            tags = waits(dev, by_handle)
            dev.posts(c.CMD_STAT, n=10, handle=handle, flags=c.RQ_HANDLE)
            dev.posts(c.CMD_DETACH, n=11, handle=handle)
            answers(vm)
            lock.release()
            end(dev, tags)


def test_reset_and_release():
    with Tmpfs() as tmpfs, tmpfs.machine() as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_ATTACH, "/a")
        with InodeLock(tmpfs.file["a"]) as lock:
            waits(dev, {"resize": OF_THE_OBJECT["resize"]})
            dev.posts(c.CMD_RELEASE, n=5)
            answers(vm)
            dev.posts(c.CMD_ATTACH, "/a", n=5)
            waits(dev, {"resize": OF_THE_OBJECT["resize"]})
            vm.qmp("system_reset")
            vm.event("RESET")
            answers(vm)
            lock.release()


def test_of_the_directory():
    with Tmpfs() as tmpfs, tmpfs.machine() as vm:
        dev = Mailboxes(vm)
        # unlink(2) waits for the object's lock, and holds the directory's lock.
        with InodeLock(tmpfs.file["a"]) as lock:
            other = threading.Thread(target=os.unlink,
                                     args=(tmpfs.file["a"].path,))
            other.start()
            until(lambda: dev.vm.qmp("query-status") and
                  in_unlink(other), "unlink() does not wait")
            tags = waits(dev, OF_THE_DIRECTORY)
            complete(dev, NOT_OF_THE_DIRECTORY, first=9)
            answers(vm)
            lock.release()
            other.join()
            end(dev, tags)


def in_unlink(thread):
    with open(f"/proc/self/task/{thread.native_id}/stat",
              encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "D"


def emptied(calls, size):
    """The threads that have emptied the page tables of a range of that size"""
    return [int(line.split()[0]) for line in calls.text.splitlines()
            if f" {size}, MADV_DONTNEED" in line]


def test_unmapping():
    """To unmap a large object takes long if its pages were accessed. A thread
    for commands does most of it, and the object does not change."""
    for what, (command, how, size) in UNMAP.items():
        with Object(BIG) as obj, machine(options=",create=on,arena=32M") as vm:
            dev = Mailboxes(vm)
            dev.posts(c.CMD_ATTACH, obj.name)
            vm.fill(dev.arena, BIG, 0x55)
            with Calls(vm, "madvise") as calls:
                dev.posts(command, handle=dev.res_handle(), **how)
            threads = emptied(calls, size)
            equal(len(threads), 1, f"{what}: number of calls")
            true(threads[0] != vm.pid, f"{what}: by the main thread")
            left = PAGE if what == "shrink" else BIG
            equal(os.pread(obj.fd, BIG, 0), b"\x55" * left, f"{what}: object")
            if what == "shrink":
                equal(vm.load(dev.arena, 2 * PAGE),
                      b"\x55" * PAGE + bytes(PAGE), "the arena")


def test_unmapping_little():
    """A small object is unmapped at once."""
    with Object(PAGE) as obj, machine(options=",arena=2M") as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_ATTACH, obj.name)
        # The C library also gives back pages of its heaps.
        line, = mapped(vm, obj)
        address = "0x" + line.split("-")[0].lstrip("0")
        with Calls(vm, "madvise") as calls:
            dev.posts(c.CMD_DETACH, handle=dev.res_handle())
        true(f"({address}, " not in calls.text, "no call for the object")


def test_unmapping_twice():
    """Two commands unmap the same object at the same time."""
    with Object(BIG) as obj, machine(options=",arena=32M") as vm:
        dev = Mailboxes(vm)
        for _ in range(20):
            dev.posts(c.CMD_ATTACH, obj.name)
            vm.fill(dev.arena, BIG, 0x55)
            handle = dev.res_handle()
            tags = {n: dev.submit(n, c.CMD_DETACH, handle=handle)
                    for n in range(2)}
            got = sorted(dev.wait(n, tag) for n, tag in tags.items())
            equal(got, [c.OK, c.EBADF], "results")
