# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects that can be opened, and the errno of each refusal"""

import os
import resource
import socket
import stat

import contract as c
from shm import Object, fresh_name, path, pattern
from vmshm import (SLOT, Skip, Vmshm, equal, machine, mapped, released, true)

NOBODY = 65534


def result_of_open(name):
    """Opens the name. Returns the errno. Checks that a failure leaves the
    device unchanged."""
    with Object(4096, b"good") as good, machine() as vm:
        dev = Vmshm(vm)
        result = dev.open(name)
        dev.is_zero("after the refusal")
        equal([m for m in os.listdir(f"/proc/{vm.pid}/fd")
               if name in os.readlink(f"/proc/{vm.pid}/fd/{m}")], [],
              "descriptors")
        dev.opened(good.name).shows(b"good", "a valid object after the refusal")
    return result


class Special:
    """A file that is not an object, under the name of an object"""

    def __init__(self, make, remove=os.unlink):
        self.name = fresh_name()
        self.path, self.make, self.remove = path(self.name), make, remove

    def __enter__(self):
        self.kept = self.make(self.path)
        return self

    def __exit__(self, *_):
        self.remove(self.path)


def test_missing_object():
    equal(result_of_open(fresh_name()), c.ENOENT, "open")


def test_never_created():
    name = fresh_name()
    equal(result_of_open(name), c.ENOENT, "open")
    true(not os.path.lexists(path(name)), "open created it")


def test_link_to_an_object():
    with Object(4096, b"secret") as obj:
        with Special(lambda p: os.symlink(obj.path, p)) as link:
            equal(result_of_open(link.name), c.ELOOP, "absolute link")
        with Special(lambda p: os.symlink(obj.name[1:], p)) as link:
            equal(result_of_open(link.name), c.ELOOP, "relative link")


def test_link_to_nowhere_and_to_the_outside():
    for target in (path(fresh_name()), "/etc/passwd", "/dev/zero", "/", "."):
        with Special(lambda p, t=target: os.symlink(t, p)) as link:
            equal(result_of_open(link.name), c.ELOOP, f"link to {target}")
        true(target == "/etc/passwd" or not target.startswith("/dev/shm") or
             not os.path.lexists(target), f"{target} was created")


def test_hard_link_is_an_object():
    with Object(4096, b"host") as obj:
        with Special(lambda p: os.link(obj.path, p)) as link, \
                machine() as vm:
            Vmshm(vm).opened(link.name).shows(b"host", "the buffer")


def test_directory():
    with Special(os.mkdir, os.rmdir) as folder:
        equal(result_of_open(folder.name), c.EINVAL, "open")
        equal(result_of_open(folder.name + "/x"), c.EINVAL,
              "inside the directory")


def test_fifo():
    with Special(os.mkfifo) as fifo:
        equal(result_of_open(fifo.name), c.EINVAL, "open")


def test_socket():
    def listen(where):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(where)
        sock.listen()
        return sock

    with Special(listen) as sock:
        equal(result_of_open(sock.name), c.EINVAL, "open")
        sock.kept.close()


def test_device_node():
    def null(where):
        os.mknod(where, stat.S_IFCHR | 0o600, os.makedev(1, 3))

    name = fresh_name()
    try:
        null(path(name))
    except PermissionError:
        raise Skip("making a device node is not permitted here") from None
    os.unlink(path(name))
    with Special(null) as node:
        # EACCES if /dev/shm is mounted with nodev
        true(result_of_open(node.name) in (c.EINVAL, c.EACCES), "open")


def allowed(mode):
    """The result of open for an object with this mode, whose owner is another
    user, or QEMU's user without rights"""
    with Object(4096, b"host", mode=mode) as obj:
        how = {}
        if os.getuid() == 0:
            how["user"] = NOBODY
        elif mode & 0o666 != mode >> 6 & 6:
            # Without root, QEMU's user owns the object.
            os.fchmod(obj.fd, (mode & 7) << 6)
        with machine(**how) as vm:
            dev = Vmshm(vm)
            result = dev.open(obj.name)
            dev.shows(b"" if result else b"host", "the buffer")
            dev.store(0, b"GUEST")
            equal(obj.read(0, 5), b"host\0" if result else b"GUEST",
                  "the object after a write of the guest")
            dev.closed()
        return result


def test_no_permission():
    equal(allowed(0o600), c.EACCES, "open")


def test_permission_to_read_only():
    equal(allowed(0o644), c.EACCES, "open")


def test_permission_to_write_only():
    equal(allowed(0o622), c.EACCES, "open")


def test_permission_to_read_and_write():
    equal(allowed(0o666), c.OK, "open")


def test_permission_may_come_and_go():
    if os.getuid():
        raise Skip("needs root, to run QEMU as another user")
    with Object(4096, b"host") as obj, machine(user=NOBODY) as vm:
        dev = Vmshm(vm)
        equal(dev.open(obj.name), c.EACCES, "at first")
        os.fchmod(obj.fd, 0o666)
        dev.opened(None).shows(b"host", "permitted")
        os.fchmod(obj.fd, 0o600)
        # As for other mappings, the permission is checked once, at open.
        dev.shows(b"host", "still mapped")
        dev.closed()
        equal(dev.open(None), c.EACCES, "at the end")


def test_unlinked_while_open():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        obj.unlink()
        dev.shows(b"host", "after unlink")
        dev.store(0, b"GUEST")
        equal(obj.read(0, 5), b"GUEST", "the unlinked object")
        true(mapped(vm, obj), "the object is no longer mapped")
        dev.closed()
        released(vm, obj)
        equal(dev.open(None), c.ENOENT, "open after unlink and close")


def test_unlinked_and_created_anew():
    with Object(8192, b"old") as old, machine(devices=2) as vm:
        dev, other = Vmshm(vm), Vmshm(vm, slot=SLOT + 1)
        dev.opened(old.name)
        old.unlink()
        with Object(100, b"new", name=old.name) as new:
            dev.shows(b"old", "the old mapping")
            other.opened(new.name).shows(b"new", "a new mapping")
            dev.store(0, b"OLD")
            other.store(0, b"NEW")
            equal(old.read(0, 3), b"OLD", "the old object")
            equal(new.read(0, 3), b"NEW", "the new object")
            dev.closed()
            dev.opened(new.name).shows(b"NEW", "opened again")


def test_renamed_over_while_open():
    with Object(4096, b"old") as old, Object(4096, b"new") as new, \
            machine() as vm:
        dev = Vmshm(vm).opened(old.name)
        os.rename(new.path, old.path)
        dev.shows(b"old", "the old mapping")
        dev.closed()
        dev.opened(None).shows(b"new", "opened again")


def test_no_descriptor_left_is_an_errno():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        limits = resource.prlimit(vm.pid, resource.RLIMIT_NOFILE)
        # The limit must not be below the number of open descriptors, because
        # poll(2) then fails.
        used = {int(fd) for fd in os.listdir(f"/proc/{vm.pid}/fd")}
        free = min(set(range(len(used) + 1)) - used)
        resource.prlimit(vm.pid, resource.RLIMIT_NOFILE, (free, limits[1]))
        equal(dev.open(obj.name), c.EMFILE, "open")
        dev.is_zero("after it")
        resource.prlimit(vm.pid, resource.RLIMIT_NOFILE, limits)
        dev.opened(None).shows(b"host", "with descriptors again")


def test_no_address_space_left_is_an_errno():
    with Object(1 << 20, pattern(1 << 20)) as obj, machine() as vm:
        dev = Vmshm(vm)
        dev.store(0, b"private")
        limits = resource.prlimit(vm.pid, resource.RLIMIT_AS)
        with open(f"/proc/{vm.pid}/statm", encoding="ascii") as statm:
            now = int(statm.read().split()[0]) * resource.getpagesize()
        # The limit is too low for the object, but sufficient for QEMU itself.
        some = now + (512 << 10)
        resource.prlimit(vm.pid, resource.RLIMIT_AS, (some, limits[1]))
        result = dev.open(obj.name)
        true(result in (c.OK, c.ENOMEM), f"open: {result}")
        dev.load()
        dev.store(0, b"it is memory")
        dev.closed()
        dev.is_zero("closed")
        resource.prlimit(vm.pid, resource.RLIMIT_AS, limits)
        want = pattern(1 << 20)
        if result == c.OK:
            want = b"it is memory" + want[12:]
        dev.opened(obj.name).shows(want, "with address space again")
