# SPDX-License-Identifier: GPL-2.0-or-later
"""The property dir=, the directory of the objects"""

import glob
import os
import socket
import tempfile

import contract as c
from arena import MIB, PAGE, Arena, property_of
from qemu import Lost
from shm import Object, pattern
from test_loss import full, losses
from vmshm import Skip, equal, machine, true

HUGE = 2 * MIB


class Folder(tempfile.TemporaryDirectory):
    """A directory of objects, on the file system of /tmp"""

    def __enter__(self):
        return self

    def make(self, name, data=b""):
        with open(f"{self.name}/{name}", "wb") as file:
            file.write(data)

    def data(self, name):
        with open(f"{self.name}/{name}", "rb") as file:
            return file.read()

    def machine(self, options="", **how):
        return machine(options=f",dir={self.name},arena=4M{options}", **how)


def test_objects_of_another_directory():
    with Folder() as folder, Object(PAGE, b"not there") as other:
        folder.make("one", pattern(PAGE))
        with folder.machine(",create=on") as vm:
            dev = Arena(vm)
            equal(dev.names()[0], [b"/one"], "the list")
            equal(dev.command(c.CMD_STAT, other.name), c.ENOENT, "/dev/shm")
            dev.opened("/one").shows(pattern(PAGE), "the buffer")
            dev.closed()
            handle = dev.attach("/one")
            dev.put(8, b"guest")
            equal(folder.data("one")[8:13], b"guest", "the object")
            dev.detach(handle)
            dev.does(c.CMD_CREATE, "/two", mode=0o640)
            dev.does(c.CMD_RESIZE, "/two", length=PAGE)
            dev.does(c.CMD_ALLOCATE, "/two", length=2 * PAGE)
            dev.does(c.CMD_LINK, "/two", second="/three")
            dev.does(c.CMD_RENAME, "/two", second="/four")
            dev.does(c.CMD_UNLINK, "/one")
            equal(sorted(os.listdir(folder.name)), ["four", "three"], "names")
            equal(os.path.getsize(f"{folder.name}/four"), 2 * PAGE, "size")


def test_no_name_leaves_the_directory():
    with Folder() as folder, tempfile.NamedTemporaryFile(dir="/tmp") as secret:
        secret.write(pattern(PAGE))
        secret.flush()
        os.symlink(secret.name, f"{folder.name}/link")
        os.symlink("..", f"{folder.name}/up")
        os.mkdir(f"{folder.name}/sub")
        os.link(secret.name, f"{folder.name}/hard")  # root allows the access
        with folder.machine(",create=on") as vm:
            dev = Arena(vm)
            equal(dev.names()[0], [b"/hard"], "the list")
            for text, errno in (("/link", c.ELOOP), ("/up", c.ELOOP),
                                ("/sub", c.EINVAL), ("/..", c.EINVAL),
                                ("/.", c.EINVAL), ("/up/x", c.EINVAL),
                                ("/../" + os.path.basename(secret.name),
                                 c.EINVAL)):
                for number in c.CMD_STAT, c.CMD_UNLINK, c.CMD_HOLD:
                    equal(dev.command(number, text), errno,
                          f"command {number} {text}")
            equal(dev.command(c.CMD_CREATE, "/link", mode=0o600), c.EEXIST,
                  "create")
        equal(os.path.getsize(secret.name), PAGE, "the file outside")


def test_it_is_held_by_descriptor():
    """The device keeps the directory if another one gets its name."""
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(top + "/objects")
        with machine(options=f",dir={top}/objects,arena=2M") as vm:
            os.rename(top + "/objects", top + "/moved")
            os.mkdir(top + "/objects")
            for where, size in ("moved", PAGE), ("objects", 2 * PAGE):
                with open(f"{top}/{where}/x", "wb") as file:
                    file.truncate(size)
            equal(Arena(vm).stat("/x").size, PAGE, "the size of the object")


def refused(options, reason):
    try:
        with machine(options=options):
            raise AssertionError(f"{options} was accepted")
    except Lost as e:
        true(reason in str(e), str(e))


def test_a_directory_that_cannot_be_used():
    refused(",dir=/nonexistent", "dir=/nonexistent cannot be opened")
    with tempfile.NamedTemporaryFile() as file:
        refused(f",dir={file.name}", "cannot be opened: Not a directory")


def test_a_directory_of_its_own_bounds_the_guest():
    """A guest with a separate tmpfs can fill that tmpfs only."""
    with tempfile.TemporaryDirectory() as folder:
        wrap = full(16)
        wrap = (*wrap[:-2], wrap[-2].replace("/dev/shm", folder), wrap[-1])
        with machine(options=f",dir={folder},arena=2M,create=on",
                     wrap=wrap) as vm:
            dev = Arena(vm)
            dev.does(c.CMD_CREATE, "/big", mode=0o600)
            equal(dev.command(c.CMD_ALLOCATE, "/big", length=MIB), c.ENOSPC,
                  "more than the file system has")
            dev.does(c.CMD_RESIZE, "/big", length=MIB)
            dev.attach("/big")
            for page in range(MIB // PAGE):
                vm.write(dev.arena + page * PAGE, 4, page + 1)
            true(losses(vm).get("no-memory", 0) >= MIB // PAGE - 16,
                 f"losses: {losses(vm)}")
        equal(glob.glob(folder + "/*"), [], "outside")


def test_two_machines_in_a_directory_of_their_own():
    """The size of the tmpfs is exact for all VMs in it, whatever names they
    remove: it counts an object that another VM holds without a name."""
    with tempfile.TemporaryDirectory() as folder:
        wrap = full(16)
        wrap = (*wrap[:-2], wrap[-2].replace("/dev/shm", folder), wrap[-1])
        options = f",dir={folder},arena=2M,create=on,max-bytes={MIB}"
        with machine(options=options, wrap=wrap) as one, \
                machine(options=options, wrap=(
                    "nsenter", "-m", "-r", "-t", str(one.pid))) as two:
            here, there = Arena(one), Arena(two)
            here.does(c.CMD_CREATE, "/a", mode=0o600)
            here.does(c.CMD_ALLOCATE, "/a", length=12 * PAGE)
            handle = here.does(c.CMD_HOLD, "/a").get(c.REG_RES_HANDLE)
            there.does(c.CMD_UNLINK, "/a")
            there.does(c.CMD_CREATE, "/b", mode=0o600)
            equal(there.command(c.CMD_ALLOCATE, "/b", length=8 * PAGE),
                  c.ENOSPC, "more than the file system has left")
            here.detach(handle)
            there.does(c.CMD_ALLOCATE, "/b", length=8 * PAGE)


def test_types_that_are_no_objects():
    with Folder() as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{folder.name}/socket")
        os.mkfifo(f"{folder.name}/fifo")
        with folder.machine(",create=on") as vm:
            dev = Arena(vm)
            for text in "/socket", "/fifo":
                for number in (c.CMD_STAT, c.CMD_HOLD, c.CMD_ATTACH,
                               c.CMD_RESIZE, c.CMD_UNLINK):
                    equal(dev.command(number, text), c.EINVAL,
                          f"command {number} {text}")
                equal(dev.open(text), c.EINVAL, f"open {text}")


def test_names_of_objects_that_cannot_be_read():
    """UNLINK, RENAME and LINK need rights to the directory only. A listing
    counts the names that it omits."""
    if os.geteuid():
        raise Skip("only root can start QEMU as another user")
    with Folder() as folder:
        os.chmod(folder.name, 0o777)
        for one, mode in ("w", 0o200), ("none", 0), ("r", 0o600), \
                ("other", 0o600):
            folder.make(one)
            os.chown(f"{folder.name}/{one}", 0 if one == "other" else 65534, -1)
            os.chmod(f"{folder.name}/{one}", mode)
        with folder.machine(",create=on", user=65534) as vm:
            dev = Arena(vm)
            equal(dev.names()[0], [b"/r"], "the list")
            equal(property_of(vm, "hidden"), 3, "hidden")
            dev.names()
            equal(vm.said().count("does not see 3 objects"), 1, vm.said())
            for one in "/w", "/none":
                dev.does(c.CMD_LINK, one, second="/second")
                dev.does(c.CMD_UNLINK, "/second")
            dev.does(c.CMD_RENAME, "/w", second="/w2")
            dev.does(c.CMD_RENAME, "/r", second="/none")
            dev.does(c.CMD_UNLINK, "/w2")
            dev.does(c.CMD_UNLINK, "/none")
            equal(os.listdir(folder.name), ["other"], "names")


def huge_pages(count):
    """A command that gives QEMU a private /dev/shm with huge pages"""
    if os.geteuid():
        raise Skip("only root can mount a file system of its own")
    with open("/proc/meminfo", encoding="ascii") as lines:
        free = next(int(line.split()[1]) for line in lines
                    if line.startswith("HugePages_Free"))
    if free < count:
        raise Skip(f"{count} free huge pages are needed: "
                   f"sysctl vm.nr_hugepages={count}")
    return ("unshare", "-m", "--propagation", "private", "sh", "-c",
            "mount -t hugetlbfs -o pagesize=2M none /dev/shm && "
            "exec \"$@\"", "sh")


def test_huge_pages():
    with machine(options=",arena=8M", wrap=huge_pages(2)) as vm:
        with open(f"/proc/{vm.pid}/root/dev/shm/huge", "w+b") as file:
            file.truncate(2 * HUGE)
            dev = Arena(vm)
            for wrong in ({"length": PAGE}, {"place": PAGE},
                          {"offset": PAGE}, {"place": PAGE, "offset": PAGE},
                          {"length": HUGE + PAGE}):
                equal(dev.command(c.CMD_ATTACH, "/huge", **wrong), c.EINVAL,
                      f"attach {wrong}")
            equal(dev.open("/huge"), c.EINVAL, "the buffer is smaller")
            dev.is_zero("the buffer")
            one = dev.attach("/huge", 0, length=HUGE)
            two = dev.attach("/huge", HUGE, offset=HUGE)
            dev.put(HUGE, b"second")
            dev.sees_zeros(2 * HUGE, PAGE, "behind the object")
            dev.detach(one)
            dev.sees(HUGE, b"second", "the other part")
            os.ftruncate(file.fileno(), 0)
            dev.sees_zeros(HUGE, HUGE, "truncated")
            equal(losses(vm), {"truncated": 1}, "losses")
            dev.detach(two)
            with open(f"/proc/{vm.pid}/maps", encoding="ascii") as maps:
                true("/huge\n" not in maps.read(), "a mapping is left")


def test_huge_pages_need_an_arena():
    try:
        with machine(options=",arena=0", wrap=huge_pages(0)):
            raise AssertionError("QEMU has accepted the property")
    except Lost as e:
        true("arena= has to be at least that" in str(e), str(e))
