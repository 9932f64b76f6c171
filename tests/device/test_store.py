# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of create=on does not depend on objects that the guest cannot use.
Its limits are exact."""

import os
import tempfile

import contract as c
from arena import MIB, PAGE, Arena, arenas, refusals
from shm import FOLDER, PREFIX, fresh_name, path
from store import Store
from tracer import Calls
from vmshm import equal, machine, true

FOREIGN = 100000
ROUNDS = 20


def test_foreign_objects_cost_nothing():
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=PREFIX) as folder:
        for i in range(FOREIGN):
            os.close(os.open(f"{folder}/foreign-{i}", os.O_CREAT))
        options = (f",dir={folder},prefix=vm-,arena=2M,create=on,"
                   f"max-bytes={MIB}")
        with machine(options=options) as vm:
            dev = Arena(vm)
            dev.does(c.CMD_CREATE, "/first", mode=0o600)
            with Calls(vm, "getdents64", "newfstatat", "faccessat2",
                       "statx") as calls:
                for i in range(ROUNDS):
                    dev.does(c.CMD_CREATE, f"/{i}", mode=0o600)
                    dev.does(c.CMD_RESIZE, f"/{i}", length=PAGE)
                    dev.does(c.CMD_ALLOCATE, f"/{i}", length=2 * PAGE)
                    dev.does(c.CMD_LINK, f"/{i}", second=f"/{i}-again")
                    dev.does(c.CMD_UNLINK, f"/{i}-again")
                    dev.does(c.CMD_UNLINK, f"/{i}")
            equal(calls.count["getdents64"], 0, "directory reads")
            true(calls.count["newfstatat"] < 30 * ROUNDS,
                 f"calls: {calls.count}")
            with Calls(vm, "newfstatat", "faccessat2") as calls:
                equal(dev.names()[0], [b"/first"], "the list")
            true(sum(calls.count.values()) <= 4, f"calls: {calls.count}")


def test_limits_follow_what_the_host_does():
    """Objects that the host creates, removes and renames count at once."""
    with Store() as store:
        options = store.options + ",create=on,max-objects=4"
        with machine(options=options) as vm:
            dev = Arena(vm)
            dev.does(c.CMD_CREATE, "/1", mode=0o600)
            for name in b"/2", b"/3", b"/4":
                store.make(name)
            equal(dev.command(c.CMD_CREATE, "/5", mode=0o600), c.ENFILE,
                  "the fifth")
            store.remove(b"/4")
            dev.does(c.CMD_CREATE, "/5", mode=0o600)
            equal(dev.command(c.CMD_CREATE, "/6", mode=0o600), c.ENFILE,
                  "the fifth, again")
            # The object leaves the guest's names and returns.
            outside = path(fresh_name())
            os.rename(store.objects[b"/3"].path, outside)
            dev.does(c.CMD_CREATE, "/6", mode=0o600)
            os.rename(outside, store.objects[b"/3"].path)
            dev.does(c.CMD_UNLINK, "/6")
            equal(dev.command(c.CMD_LINK, "/1", second="/7"), c.ENFILE,
                  "link")


def test_limits_hold_after_an_overflow():
    """The limits hold after more changes than the kernel's queue can have."""
    with Store() as store:
        options = store.options + ",create=on,max-objects=3"
        with machine(options=options) as vm:
            dev = Arena(vm)
            dev.does(c.CMD_CREATE, "/1", mode=0o600)
            path = f"/dev/shm/{store.prefix}x"
            with open("/proc/sys/fs/inotify/max_queued_events",
                      encoding="ascii") as file:
                events = int(file.read())
            for _ in range(events // 2 + 10):
                os.close(os.open(path, os.O_CREAT))
                os.unlink(path)
            store.make(b"/2")
            store.make(b"/3")
            equal(dev.command(c.CMD_CREATE, "/4", mode=0o600), c.ENFILE,
                  "the fourth")
            store.remove(b"/2")
            dev.does(c.CMD_CREATE, "/4", mode=0o600)


def test_two_devices_on_one_prefix():
    """An object without a name that one device keeps also counts for the other
    device."""
    with Store() as store:
        options = store.options + f",create=on,max-bytes={MIB}"
        with machine(options=options, devices=2) as vm:
            one, two = arenas(vm, 2)
            one.does(c.CMD_CREATE, "/x", mode=0o600)
            one.does(c.CMD_RESIZE, "/x", length=MIB)
            handle = one.attach("/x")
            one.does(c.CMD_UNLINK, "/x")
            two.does(c.CMD_CREATE, "/y", mode=0o600)
            equal(two.command(c.CMD_RESIZE, "/y", length=PAGE), c.EDQUOT,
                  "the other device")
            one.detach(handle)
            two.does(c.CMD_RESIZE, "/y", length=MIB)


def test_another_prefix_has_limits_of_its_own():
    with Store() as store, Store() as other:
        options = f",create=on,max-bytes={MIB},arena=2M"
        with machine("-device", f"vmshm,id=vmshm1,addr=5,prefix="
                     f"{other.prefix}{options}",
                     options=f",prefix={store.prefix}{options}") as vm:
            one, two = arenas(vm, 2)
            for dev in one, two:
                dev.does(c.CMD_CREATE, "/x", mode=0o600)
                dev.does(c.CMD_RESIZE, "/x", length=MIB)
                dev.attach("/x")
                dev.does(c.CMD_UNLINK, "/x")


def test_names_cannot_be_taken_from_more_than_the_limit():
    """The guest holds and then unlinks objects of the host, one after the
    other.
    """
    with Store([b"/%d" % i for i in range(4)], MIB) as store:
        options = store.options + f",create=on,max-bytes={2 * MIB}"
        with machine(options=options) as vm:
            dev = Arena(vm)
            handles = []
            for i in range(4):
                dev.does(c.CMD_HOLD, f"/{i}")
                handles.append(dev.get(c.REG_RES_HANDLE))
            for i in range(2):
                dev.does(c.CMD_UNLINK, f"/{i}")
            equal(dev.command(c.CMD_UNLINK, "/2"), c.EDQUOT, "unlink")
            store.make(b"/new")
            equal(dev.command(c.CMD_RENAME, "/new", second="/2"), c.EDQUOT,
                  "rename")
            equal(refusals(vm), {"limit": 2}, "refusals")
            # These commands remove no name of the object.
            dev.does(c.CMD_RENAME, "/2", second="/2")
            os.link(path(store.host(b"/2").decode()),
                    path(store.host(b"/link").decode()))
            dev.does(c.CMD_RENAME, "/link", second="/2")
            os.unlink(path(store.host(b"/link").decode()))
            # This object is not held, so that its memory is freed with its
            # name.
            dev.detach(handles[2])
            dev.does(c.CMD_UNLINK, "/2")
            dev.detach(handles[0])
            dev.does(c.CMD_UNLINK, "/3")
