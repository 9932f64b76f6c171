# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits that a guest could exceed by concurrent commands, and bounds of the
effects that a host process has on a device"""

import os
import sys
import tempfile

import contract as c
from arena import MIB, PAGE, arenas, refusals
from inode_lock import InodeLock
from mailbox import Mailboxes
from shm import FOLDER, PREFIX, Object, path
from store import Store
from test_limits import COUNT, few_mappings
from test_long_commands import (COMMANDS_MAX, again_and_again, needs_root,
                                waits)
from tracer import Calls
from vmshm import (SLOT, descriptors, equal, machine, true, until)

CREATE = ",create=on"
NAMES_MAX = 65536       # names in a listing
SECOND = 1000000        # a second in microseconds, for strace


def mailboxes(vm, count):
    return [Mailboxes(vm, slot=SLOT + i) for i in range(count)]


def two_devices(store):
    """Two devices with the same objects, and with a limit of two pages"""
    return machine(options=store.options + CREATE + f",max-bytes={2 * PAGE}",
                   devices=2)


def test_two_devices_with_the_same_objects_change_them_in_turn():
    needs_root()
    with Store([b"/a", b"/b"]) as store, \
            two_devices(store) as vm:
        one, two = mailboxes(vm, 2)
        with InodeLock(store.objects[b"/a"]) as lock:
            tag = one.submit(0, c.CMD_RESIZE, "/a", length=2 * PAGE)
            waits(one, 0, tag)
            other = two.submit(0, c.CMD_RESIZE, "/b", length=PAGE)
            waits(two, 0, other)
            equal(two.command(c.CMD_RESIZE, "/b", length=PAGE), c.EBUSY,
                  "by registers")
            lock.release()
            equal(one.wait(0, tag), c.OK, "the first")
            equal(two.wait(0, other), c.EDQUOT, "the second")


def test_two_machines_with_the_same_objects():
    """Each device counts the objects with names that the other one created."""
    with Store() as store:
        options = store.options + f"{CREATE},max-objects=2,max-bytes={MIB}"
        with machine(options=options) as one, machine(options=options) as two:
            here, there = Mailboxes(one), Mailboxes(two)
            here.posts(c.CMD_CREATE, "/a", mode=0o600)
            there.posts(c.CMD_CREATE, "/b", mode=0o600)
            for dev in here, there:
                equal(dev.post(c.CMD_CREATE, "/c", mode=0o600), c.ENFILE,
                      "a third object")
            here.posts(c.CMD_RESIZE, "/a", length=MIB)
            equal(there.post(c.CMD_RESIZE, "/b", length=1), c.EDQUOT,
                  "one byte more")
            here.posts(c.CMD_UNLINK, "/a")
            there.posts(c.CMD_RESIZE, "/b", length=MIB)


def test_a_device_that_goes_leaves_the_turn_to_the_other():
    needs_root()
    with Store([b"/a", b"/b"]) as store, \
            two_devices(store) as vm:
        one, two = mailboxes(vm, 2)
        with InodeLock(store.objects[b"/a"]) as lock:
            waits(one, 0, one.submit(0, c.CMD_RESIZE, "/a", length=PAGE))
            tag = two.submit(0, c.CMD_RESIZE, "/b", length=PAGE)
            vm.qmp("device_del", id="vmshm0")
            vm.eject_acpi(0xae00, 0, SLOT)
            waits(two, 0, tag)
            lock.release()
            equal(two.wait(0, tag), c.OK, "the second")
        vm.event("DEVICE_DELETED")


def test_one_device_has_threads_whatever_the_other_waits_for():
    needs_root()
    with Store([b"/b"]) as store, Store([b"/a"]) as second, \
            machine("-device", f"vmshm,id=vmshm1,addr={SLOT + 1:#x}" +
                    second.options + CREATE,
                    options=store.options + CREATE) as vm:
        one, two = mailboxes(vm, 2)
        with InodeLock(store.objects[b"/b"]):
            again_and_again(one, c.CMD_RESIZE, 20)
            equal(one.word(0, c.MB_RES_STATUS), c.EAGAIN,
                  f"more than {COMMANDS_MAX}")
            for n in range(c.MAILBOXES_MAX):
                two.posts(c.CMD_RESIZE, "/a", n=n, length=PAGE)


def test_what_a_command_still_uses_counts():
    """An object counts if a command still uses it after it was unlinked and
    detached."""
    needs_root()
    with Store([b"/a", b"/b"]) as store, \
            machine(options=store.options + CREATE +
                    f",max-bytes={2 * PAGE}") as vm:
        obj = store.objects[b"/a"]
        dev = Mailboxes(vm)
        dev.posts(c.CMD_RESIZE, "/a", length=2 * PAGE)
        handle = dev.posts(c.CMD_HOLD, "/a").res_handle()
        dev.posts(c.CMD_UNLINK, "/a")
        with InodeLock(obj) as lock:
            tag = dev.submit(0, c.CMD_SETATTR, flags=c.RQ_HANDLE | c.RQ_MODE,
                             handle=handle, mode=0o600)
            waits(dev, 0, tag)
            dev.posts(c.CMD_DETACH, n=1, handle=handle)
            equal(dev.post(c.CMD_RESIZE, "/b", n=1, length=PAGE), c.EDQUOT,
                  "while a command uses the object")
            lock.release()
            equal(dev.wait(0, tag), c.OK, "setattr")
        dev.posts(c.CMD_RESIZE, "/b", length=2 * PAGE)


def nameless(vm):
    return [d for d in descriptors(vm) if d.endswith(" (deleted)") and
            "/vmshm-test-" in d]


def test_memory_that_is_being_freed_counts():
    """The limit is checked after the memory has been freed."""
    size = 16 * MIB
    with Store([b"/a", b"/b"]) as store, \
            machine(options=store.options + CREATE +
                    f",max-bytes={size}") as vm:
        dev = Mailboxes(vm)
        for how in c.CMD_RELEASE, c.CMD_DETACH:
            dev.posts(c.CMD_CREATE, "/x", mode=0o600)
            dev.posts(c.CMD_ALLOCATE, "/x", length=size)
            handle = dev.posts(c.CMD_HOLD, "/x").res_handle()
            dev.posts(c.CMD_UNLINK, "/x")
            equal(len(nameless(vm)), 1, "the held object")
            with Calls(vm, "close", "ftruncate",
                       inject=f"close:delay_enter={SECOND}") as calls:
                dev.submit(0, how, handle=handle)
                dev.posts(c.CMD_RESIZE, "/b", n=1, length=size)
            true(0 < calls.text.index("(DELAYED)") <
                 calls.text.index("ftruncate("), calls.text)
            dev.posts(c.CMD_RESIZE, "/b", n=1, length=0)


def test_create_removes_only_what_it_has_made():
    """CREATE fails, and another program replaces the object under the name at
    the same time."""
    with Store([b"/theirs"], PAGE) as store, \
            machine("-only-migratable",
                    options=store.options + CREATE) as vm:
        dev = Mailboxes(vm)
        name, theirs = (path(store.host(n).decode())
                        for n in (b"/x", b"/theirs"))
        with Calls(vm, "fchmod", inject=f"fchmod:delay_exit={SECOND}"):
            tag = dev.submit(0, c.CMD_CREATE, "/x", flags=c.RQ_HOLD,
                             mode=0o600)
            until(lambda: os.path.exists(name), "the object is not created")
            os.rename(theirs, name)
            equal(dev.wait(0, tag), c.EACCES, "create")
        equal(os.stat(name).st_size, PAGE, "the object of that program")
        os.rename(name, theirs)
        equal(dev.post(c.CMD_CREATE, "/x", flags=c.RQ_HOLD, mode=0o600),
              c.EACCES, "create")
        true(not os.path.exists(name), "the object is left")


def test_resize_cuts_nothing_that_is_there_again():
    """The object grows and is attached again before RESIZE has completed."""
    with Store([b"/a"], 4 * PAGE) as store, \
            machine(options=store.options + CREATE) as vm:
        obj = store.objects[b"/a"]
        dev = Mailboxes(vm)
        with Calls(vm, "newfstatat",
                   inject=f"newfstatat:delay_exit={SECOND // 2}"):
            tag = dev.submit(0, c.CMD_RESIZE, "/a", length=PAGE)
            until(lambda: os.fstat(obj.fd).st_size == PAGE, "not resized")
            os.ftruncate(obj.fd, 4 * PAGE)
            obj.write(3 * PAGE, b"there again")
            dev.posts(c.CMD_ATTACH, "/a", n=1)
            equal(dev.wait(0, tag), c.OK, "resize")
        dev.sees(3 * PAGE, b"there again", "the object")
        obj.write(3 * PAGE, b"shared")
        dev.sees(3 * PAGE, b"shared", "the object, changed")


def test_a_device_that_cannot_detach_gives_its_mappings_back():
    count = COUNT // 3
    with tempfile.TemporaryDirectory() as folder, Object(PAGE) as obj, \
            machine(options=",arena=16M", devices=2,
                    wrap=few_mappings(folder)) as vm:
        one, two = arenas(vm, 2)
        for i in range(count):
            one.attach(obj.name, i * 2 * PAGE)
        with Calls(vm, "mmap", inject="mmap:error=ENOMEM"):
            vm.remove("vmshm0", lambda: vm.eject_acpi(0xae00, 0, SLOT))
        for i in range(count):
            two.attach(obj.name, i * 2 * PAGE)


def test_names_that_are_kept_are_bounded():
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=PREFIX) as folder:
        for i in range(NAMES_MAX):
            os.close(os.open(f"{folder}/{i}", os.O_CREAT))
        with machine(options=f",dir={folder},arena=2M,create=on,"
                     f"max-objects=16384,max-bytes={MIB}") as vm:
            dev = Mailboxes(vm)
            dev.does(c.CMD_LIST)
            dev.posts(c.CMD_LIST)
            true(dev.word64(0, c.MB_RES_NEXT), "the next part")
            os.close(os.open(f"{folder}/more", os.O_CREAT))
            equal(dev.command(c.CMD_LIST), c.EOVERFLOW, "by registers")
            equal(dev.post(c.CMD_LIST), c.EOVERFLOW, "by a mailbox")
            equal(dev.post(c.CMD_CREATE, "/new", mode=0o600), c.ENFILE,
                  "create")
            equal(dev.post(c.CMD_RESIZE, "/more", length=1), c.EDQUOT,
                  "resize")
            equal(refusals(vm), {"limit": 4}, "refusals")
            # Each object can still be used by its name.
            dev.posts(c.CMD_STAT, "/more")
            dev.posts(c.CMD_UNLINK, "/0")
            dev.does(c.CMD_LIST)
            dev.posts(c.CMD_RESIZE, "/more", length=1)
            for i in range(1, NAMES_MAX):
                os.unlink(f"{folder}/{i}")
            equal(dev.names()[0], [b"/more"], "the rest")
            dev.posts(c.CMD_CREATE, "/new", mode=0o600)


def standard_input(vm):
    try:
        return os.readlink(f"/proc/{vm.pid}/fd/0")
    except FileNotFoundError:
        return None


# QEMU's standard input is a socket, and QEMU can close it.
SOCKET_AS_INPUT = (sys.executable, "-c", """
import os, socket, sys
ours, theirs = socket.socketpair()
os.dup2(theirs.fileno(), 0)
os.execvp(sys.argv[1], sys.argv[1:])
""")


def test_descriptor_0_is_one_like_others():
    """A command with a handle finds an object without a name, with any number
    of its second descriptor."""
    with Store([b"/a", b"/b"], PAGE) as store, \
            machine("-chardev", "socket,id=input,fd=0",
                    options=store.options + CREATE + f",max-bytes={MIB}",
                    wrap=SOCKET_AS_INPUT) as vm:
        vm.qmp("chardev-remove", id="input")
        until(lambda: not standard_input(vm), "descriptor 0 is in use")
        dev = Mailboxes(vm)
        # The first handle uses the number until the test needs it.
        first = dev.does(c.CMD_HOLD, "/b").get(c.REG_RES_HANDLE)
        true(standard_input(vm).endswith("b"), standard_input(vm))
        handle = dev.does(c.CMD_HOLD, "/a").get(c.REG_RES_HANDLE)
        dev.does(c.CMD_UNLINK, "/a")
        dev.detach(first)
        equal(standard_input(vm), None, "descriptor 0")
        again = dev.does(c.CMD_HOLD, flags=c.RQ_HANDLE,
                         handle=handle).get(c.REG_RES_HANDLE)
        true(standard_input(vm).endswith("(deleted)"), standard_input(vm))
        # An attached object also counts.
        dev.detach(handle)
        dev.does(c.CMD_ATTACH, flags=c.RQ_HANDLE, handle=again)
