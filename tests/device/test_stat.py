# SPDX-License-Identifier: GPL-2.0-or-later
"""STAT by name and by handle, and the identity of objects"""

import os
import socket
import stat

import contract as c
from arena import Arena, refusals
from qemu import u32
from shm import Object, fresh_name, path
from vmshm import (Skip, Vmshm, descriptors, equal, machine, released, true)

NOBODY = 65534


def same(got, fd, what):
    """Compares the result registers with fstat(2)."""
    st = os.fstat(fd)
    equal(got._replace(ident=0), got._replace(
        mode=stat.S_IMODE(st.st_mode), size=st.st_size, ident=0,
        uid=st.st_uid, gid=st.st_gid, mtime=st.st_mtime_ns // 10**9,
        mtime_ns=st.st_mtime_ns % 10**9, blocks=st.st_blocks), what)


def test_every_field_by_name_and_by_handle():
    with Object(5000, b"host") as obj, machine() as vm:
        dev = Arena(vm)
        handle = dev.attach(obj.name)
        same(dev.result(), obj.fd, "the results of ATTACH")
        ident = dev.result().ident

        def check(what):
            by_name = dev.stat(obj.name)
            same(by_name, obj.fd, what)
            equal(by_name.ident, ident, f"identity, {what}")
            equal(dev.stat(flags=c.RQ_HANDLE, handle=handle), by_name,
                  f"by handle, {what}")

        check("at first")
        for mode in (0, 0o777, 0o7777, 0o4640, 0o1002):
            os.fchmod(obj.fd, mode)
            check(f"mode {mode:o}")
        for size in (8192, 1, 1 << 40, 2**63 - 1):
            os.ftruncate(obj.fd, size)
            check(f"{size} bytes")
        os.ftruncate(obj.fd, 1 << 20)
        os.posix_fallocate(obj.fd, 0, 1 << 20)
        equal(dev.stat(obj.name).blocks, 2048, "blocks of 1 MiB")
        check("allocated")
        # Times before 1970 and in the far future, each with half a second
        for when in (-1, -1500000000, 0, 10**9, 2**33 * 10**9 + 5 * 10**8):
            os.utime(obj.fd, ns=(0, when))
            check(f"modified at {when} ns")
        equal(dev.stat(obj.name).mtime, 2**33, "mtime over 32 bits")
        obj.write(0, b"more")
        check("written")


def test_owner():
    if os.getuid():
        raise Skip("needs root, to give an object away")
    with Object(4096) as obj, machine() as vm:
        dev = Arena(vm)
        for uid, gid in ((1, 2), (2**32 - 2, 2**31), (0, 0)):
            os.fchown(obj.fd, uid, gid)
            same(dev.stat(obj.name), obj.fd, f"{uid}:{gid}")


def test_empty_object():
    with Object(0) as obj, machine() as vm:
        got = Arena(vm).stat(obj.name)
        equal((got.size, got.blocks), (0, 0), "size and blocks")


def test_stat_leaves_nothing_and_changes_nothing():
    with Object(5000, b"host") as obj, machine() as vm:
        dev = Arena(vm)
        before, fds = os.fstat(obj.fd), descriptors(vm)
        for _ in range(500):
            dev.stat(obj.name)
        equal(descriptors(vm), fds, "descriptors")
        equal(os.fstat(obj.fd), before, "the object")
        released(vm, obj)


def test_by_handle_after_unlink():
    with Object(5000, b"host") as obj, machine() as vm:
        dev = Arena(vm)
        handle = dev.attach_ro(obj.name)
        before = dev.stat(obj.name)
        obj.unlink()
        equal(dev.command(c.CMD_STAT, obj.name), c.ENOENT, "by name")
        equal(dev.stat(flags=c.RQ_HANDLE, handle=handle), before, "by handle")
        with Object(100, b"new", name=obj.name) as new:
            by_name = dev.stat(new.name)
            same(by_name, new.fd, "the new object, by name")
            true(by_name.ident != before.ident, "the same identity")
            os.ftruncate(obj.fd, 6000)
            by_handle = dev.stat(flags=c.RQ_HANDLE, handle=handle)
            same(by_handle, obj.fd, "the old object, by handle")
            equal(by_handle.ident, before.ident, "the identity of the object")
        dev.detach(handle)
        equal(dev.command(c.CMD_STAT, flags=c.RQ_HANDLE, handle=handle),
              c.EBADF, "by handle after detach")


def test_by_handle_and_not_by_name():
    """A command with a handle ignores the name in BAR2; a command with a name
    ignores the handle."""
    with Object(1000) as one, Object(2000) as two, machine() as vm:
        dev = Arena(vm)
        handle = dev.attach(one.name)
        for name in (two.name, "", "/", fresh_name(), b"x" * 1023):
            equal(dev.stat(name, flags=c.RQ_HANDLE, handle=handle).size,
                  1000, f"by handle, with {name} in BAR2")
        equal(dev.stat(two.name, handle=handle).size, 2000, "by name")
        equal(dev.stat(two.name, handle=99).size, 2000, "no such handle")


def test_wrong_handles():
    with Object(4096) as obj, machine() as vm:
        dev = Arena(vm)
        dev.opened(obj.name)
        handle = dev.attach(obj.name)
        wrong = {0, handle - 1, handle + 1, handle | 1 << 31, 0xffffffff,
                 *range(handle + 1, handle + 50)}
        for number in wrong:
            for command in (c.CMD_STAT, c.CMD_ATTACH, c.CMD_DETACH,
                            c.CMD_HOLD):
                equal(dev.command(command, obj.name, flags=c.RQ_HANDLE,
                                  handle=number, place=8192), c.EBADF,
                      f"command {command}, handle {number}")
        equal(refusals(vm), {"request": 4 * len(wrong)}, "refusals")
        dev.sees_zeros(8192, 4096, "nothing was attached")


def test_identity_of_each_new_object_is_new():
    """500 consecutive objects with one name have different identities."""
    name = fresh_name()
    with Object(4096) as other, machine() as vm:
        dev = Arena(vm)
        seen = [dev.stat(other.name).ident]
        for _ in range(500):
            with Object(4096, name=name):
                seen.append(dev.stat(name).ident)
        equal(len(set(seen)), len(seen), "different identities")


def test_identity_stays():
    """The identity does not change while the object changes, and is the same in
    other devices and VMs."""
    new_name, link = fresh_name(), fresh_name()
    with Object(4096) as obj, machine() as vm, machine() as vm2:
        dev = Arena(vm)
        ident = dev.stat(obj.name).ident
        obj.write(0, b"text")
        os.ftruncate(obj.fd, 9000)
        os.fchmod(obj.fd, 0o640)
        os.utime(obj.fd, (1, 1))
        os.link(obj.path, path(link))
        os.rename(obj.path, path(new_name))
        for name in (link, new_name):
            equal(dev.stat(name).ident, ident, name)
        equal(Arena(vm2).stat(link).ident, ident, "in another VM")
        vm.qmp("system_reset")
        vm.event("RESET")
        dev.assign()
        equal(dev.stat(link).ident, ident, "after reset")
        os.unlink(path(new_name))
        os.unlink(path(link))


# STAT fails with the errnos of open.

def refused(dev, name):
    results = {dev.command(number, name) for number in (
        c.CMD_STAT, c.CMD_ATTACH, c.CMD_HOLD)}
    equal(len(results), 1, f"errnos for {name}")
    dev.sees_zeros(0, 8192, "the arena")
    equal([d for d in descriptors(dev.vm) if "vmshm-test" in d], [],
          "descriptors")
    return results.pop()


def test_wrong_names():
    with machine() as vm:
        dev = Arena(vm)
        for name, errno in (
                ("", c.EINVAL), ("/", c.EINVAL), ("/.", c.EINVAL),
                ("/..", c.EINVAL), ("no-slash", c.EINVAL),
                ("/a/b", c.EINVAL), ("//a", c.EINVAL),
                ("/../etc/passwd", c.EINVAL),
                ("/" + "x" * 256, c.ENAMETOOLONG),
                ("/" + "x" * 1022, c.ENAMETOOLONG),
                (fresh_name(), c.ENOENT)):
            equal(refused(dev, name), errno, name[:40])
        vm.store(dev.name, b"/" + b"x" * 1023)
        equal(dev.command(c.CMD_STAT), c.EINVAL, "no NUL")


def test_what_is_no_object():
    name = fresh_name()
    where = path(name)
    with Object(4096) as obj, machine() as vm, \
            socket.socket(socket.AF_UNIX) as sock:
        dev = Arena(vm)
        os.symlink(obj.path, where)
        equal(refused(dev, name), c.ELOOP, "a link")
        os.unlink(where)
        os.mkdir(where)
        equal(refused(dev, name), c.EINVAL, "a directory")
        os.rmdir(where)
        os.mkfifo(where)
        equal(refused(dev, name), c.EINVAL, "a FIFO")
        os.unlink(where)
        sock.bind(where)
        equal(refused(dev, name), c.EINVAL, "a socket")
        os.unlink(where)


def test_permission():
    """STAT and attaching for reading need only the right to read."""
    if os.getuid():
        raise Skip("needs root, to run QEMU as another user")
    want = {0o666: (0, 0, 0), 0o644: (0, c.EACCES, 0),
            0o622: (c.EACCES,) * 3, 0o600: (c.EACCES,) * 3}
    with Object(4096, b"host") as obj, machine(user=NOBODY) as vm:
        dev = Arena(vm)
        for mode, errnos in want.items():
            os.fchmod(obj.fd, mode)
            for command in (c.CMD_ATTACH, c.CMD_HOLD):
                got = [dev.command(c.CMD_STAT, obj.name)]
                for more in ({}, {"flags": c.RQ_READONLY,
                                  "place": dev.span}):
                    got.append(dev.command(command, obj.name, **more))
                    if got[-1] == c.OK:
                        dev.detach(dev.get(c.REG_RES_HANDLE))
                equal(tuple(got), errnos, f"mode {mode:o}, {command}")
        equal(refusals(vm), {"permission": 14}, "refusals")
        # A repeated ATTACH does not make a read-only handle writable.
        os.fchmod(obj.fd, 0o666)
        handle = dev.attach_ro(obj.name)
        for command in (c.CMD_ATTACH, c.CMD_HOLD):
            equal(dev.command(command, flags=c.RQ_HANDLE, handle=handle),
                  c.EBADF, "writable, of a read-only handle")
        # A handle outlives the permission, as a file descriptor does.
        os.fchmod(obj.fd, 0)
        dev.attach(None, dev.span + 8192, handle=handle,
                   flags=c.RQ_HANDLE | c.RQ_READONLY)
        dev.sees(dev.span + 8192, b"host", "by handle")


def test_sees_the_host_change_it():
    with Object(4096) as obj, machine() as vm:
        dev = Arena(vm)
        for i in range(1, 50):
            os.ftruncate(obj.fd, i * 1000)
            obj.write(0, u32(i))
            equal(dev.stat(obj.name).size, i * 1000, "size")
        Vmshm(vm).closed()
