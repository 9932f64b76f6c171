# SPDX-License-Identifier: GPL-2.0-or-later
"""The threads of a device, and a host that refuses QEMU further threads"""

import contextlib
import os

import contract as c
from arena import MIB, PAGE, refusals
from inode_lock import InodeLock
from mailbox import Mailboxes
from shm import Object
from slots import asleep
from store import Store
from test_long_commands import needs_root, waits
from test_start import Records
from tracer import Calls
from vmshm import equal, machine, true

OPTIONS = f",create=on,max-bytes={64 * MIB}"


def threads(vm, name):
    """The number of QEMU's threads with this name"""
    found = 0
    for task in os.listdir(f"/proc/{vm.pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                open(f"/proc/{vm.pid}/task/{task}/comm",
                     encoding="ascii") as comm:
            found += comm.read().strip() == name
    return found


def no_thread_starts(vm):
    return Calls(vm, "clone", "clone3", inject="clone,clone3:error=EAGAIN")


def test_a_close_waits_for_no_busy_thread():
    """A command by registers, which has the big lock, waits for the close."""
    needs_root()
    with Store([b"/a", b"/b"]) as store, \
            machine(options=store.options + OPTIONS) as vm:
        dev = Mailboxes(vm)
        handles = []
        for name in "/x", "/y":
            dev.posts(c.CMD_CREATE, name, mode=0o600)
            dev.posts(c.CMD_ALLOCATE, name, length=16 * MIB)
            handles.append(dev.posts(c.CMD_HOLD, name).res_handle())
            dev.posts(c.CMD_UNLINK, name)
        with no_thread_starts(vm), InodeLock(store.objects[b"/a"]) as lock:
            # One command more than the number of threads
            tags = {}
            for n in range(threads(vm, "vmshm-worker") + 1):
                tags[n] = dev.submit(n, c.CMD_SETATTR, "/a", mode=0o600,
                                     flags=c.RQ_MODE)
                waits(dev, n, tags[n])
            last = c.MAILBOXES_MAX - 1
            true(last not in tags, "too many threads")
            dev.posts(c.CMD_DETACH, n=last, handle=handles[0])
            dev.does(c.CMD_RESIZE, "/b", length=PAGE)
            # RELEASE closes the object.
            dev.does(c.CMD_RELEASE)
            dev.does(c.CMD_RESIZE, "/b", length=2 * PAGE)
            equal(refusals(vm), {}, "refusals")
            lock.release()
        for n in tags:
            dev.posts(c.CMD_STAT, "/a", n=n)


def test_a_command_waits_for_a_busy_thread():
    needs_root()
    with Store([b"/a", b"/b"]) as store, \
            machine(options=store.options + OPTIONS) as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_SETATTR, "/b", mode=0o600, flags=c.RQ_MODE)
        with no_thread_starts(vm), InodeLock(store.objects[b"/a"]) as lock:
            tags = {n: dev.submit(n, c.CMD_SETATTR, "/a", mode=0o600,
                                  flags=c.RQ_MODE)
                    for n in range(threads(vm, "vmshm-worker"))}
            other = dev.submit(12, c.CMD_SETATTR, "/b", mode=0o640,
                               flags=c.RQ_MODE)
            waits(dev, 12, other)
            lock.release()
            for n, tag in {**tags, 12: other}.items():
                equal(dev.wait(n, tag), c.OK, f"mailbox {n}")


def test_a_host_without_any_thread():
    """Without a thread, the guest gets an errno, and the VM does not wait."""
    with Store([b"/a"], PAGE) as store, \
            machine(options=store.options + OPTIONS) as vm:
        dev = Mailboxes(vm)
        with no_thread_starts(vm):
            handle = dev.attach("/a")
            for command in c.CMD_STAT, c.CMD_CREATE, c.CMD_LIST:
                equal(dev.post(command, "/a", mode=0o600), c.EAGAIN,
                      f"command {command}")
            equal(refusals(vm), {"limit": 3}, "refusals")
            dev.posts(c.CMD_DETACH, handle=handle)
            dev.posts(c.CMD_RELEASE)
            equal(dev.names()[0], [b"/a"], "by registers")
        dev.posts(c.CMD_CREATE, "/b", mode=0o600)


def test_the_threads_of_all_slots():
    """The device has a thread for each slot that has waited, and one for each
    held word."""
    with Object(PAGE) as obj, machine(options=",arena=2M") as vm:
        dev = Records(vm)
        dev.attach(obj.name)
        for _ in range(2):
            for n in range(c.SLOTS_MAX):
                dev.start(n, 4 * (n % 1024))
            asleep(vm, c.SLOTS_MAX)
            for n in range(c.SLOTS_MAX):
                dev.end(n)
            for n in range(c.SLOTS):
                dev.hold(n, 4 * n)
                dev.owner(n)
            equal(threads(vm, "vmshm-wait"), c.SLOTS_MAX, "of waiters")
            equal(threads(vm, "vmshm-robust"), c.SLOTS, "of holds")
            dev.does(c.CMD_RELEASE)
            equal(threads(vm, "vmshm-robust"), 0, "of holds, afterwards")
            dev.attach(obj.name)
