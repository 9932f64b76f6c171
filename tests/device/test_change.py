# SPDX-License-Identifier: GPL-2.0-or-later
"""CREATE, UNLINK, RENAME, LINK, RESIZE and ALLOCATE, and their limits"""

import os
import stat
import sys

import contract as c
from arena import MIB, PAGE, Arena, attachments, refusals
from shm import Object, fresh_name, path, pattern
from store import OWN, Store
from vmshm import Skip, descriptors, equal, machine, mapped, released, true

NOBODY = 65534
ANY = ",create=on,arena=16M"
CREATE = ANY + OWN
CHANGES = (c.CMD_CREATE, c.CMD_UNLINK, c.CMD_RESIZE, c.CMD_RENAME,
           c.CMD_ALLOCATE, c.CMD_LINK)


class Names:
    """Fresh names. The end of the `with` block removes the objects that the
    guest has created under them."""

    def __enter__(self):
        self.given = []
        return self

    def __call__(self):
        self.given.append(fresh_name())
        return self.given[-1]

    def __exit__(self, *_):
        for name in self.given:
            if os.path.lexists(path(name)):
                os.unlink(path(name))


def exists(name):
    return os.path.lexists(path(name))


def test_read_only_file_system_without_create():
    with Names() as new, Object(PAGE, b"host") as obj:
        for options in (",arena=16M", ",arena=16M,readonly=on"):
            with machine(options=options) as vm:
                dev = Arena(vm)
                before = os.stat(obj.path)
                for number in CHANGES:
                    # Whether the name is invalid, missing or in use, the
                    # result is the same.
                    for name in ("", new(), obj.name):
                        equal(dev.command(number, name, second=new(),
                                          length=1, mode=0o600), c.EROFS,
                              f"command {number} {name}")
                equal(os.stat(obj.path).st_ctime_ns, before.st_ctime_ns,
                      "the object")
                equal(refusals(vm), {"readonly": 18}, "refusals")
        true(not any(map(exists, new.given)), "something was made")


def test_create():
    with Names() as new, machine(options=CREATE) as vm:
        dev = Arena(vm)
        old = os.umask(0)
        os.umask(old)
        for mode in (0o600, 0o777, 0, 0o640, 0o111, 0o222):
            name = new()
            dev.does(c.CMD_CREATE, name, mode=mode)
            st = os.stat(path(name))
            equal((stat.S_IMODE(st.st_mode), st.st_size), (mode, 0),
                  "mode (umask is not QEMU's to apply) and size")
            equal((st.st_uid, st.st_gid), (os.geteuid(), os.getegid()),
                  "owner")
            got = dev.result()
            equal((got.mode, got.size, got.blocks, got.uid, got.gid,
                   got.mtime), (mode, 0, 0, st.st_uid, st.st_gid,
                                st.st_mtime_ns // 10**9), "result")
            equal(dev.command(c.CMD_CREATE, name, mode=0o777), c.EEXIST,
                  "again")
            equal(stat.S_IMODE(os.stat(path(name)).st_mode), mode, "mode")
            equal(dev.stat(name).ident, got.ident, "identity")
        equal([d for d in descriptors(vm) if "vmshm-test" in d], [],
              "descriptors")
        equal(refusals(vm), {}, "refusals")


def test_create_refuses():
    with Names() as new, Object(PAGE, b"host") as obj, \
            machine(options=CREATE) as vm:
        dev = Arena(vm)
        for mode in (0o1000, 0o4755, 0o10000, 0o100600, 0xffffffff):
            equal(dev.command(c.CMD_CREATE, new(), mode=mode), c.EINVAL,
                  f"mode {mode:o}")
        for name, errno in (("", c.EINVAL), ("/", c.EINVAL),
                            ("/a/b", c.EINVAL), ("/..", c.EINVAL),
                            ("/" + "x" * 256, c.ENAMETOOLONG),
                            (obj.name, c.EEXIST)):
            equal(dev.command(c.CMD_CREATE, name, mode=0o600), errno, name)
        link, target = new(), new()
        os.symlink(path(target), path(link))
        equal(dev.command(c.CMD_CREATE, link, mode=0o600), c.EEXIST, "link")
        true(not exists(target), "a link was followed")
        equal(obj.read(0, 4), b"host", "the object")


def test_create_and_use():
    """The commands for a program in the guest that uses O_CREAT"""
    with Names() as new, machine(options=CREATE) as vm:
        dev = Arena(vm)
        name = new()
        dev.does(c.CMD_CREATE, name, mode=0o600)
        equal(dev.command(c.CMD_ATTACH, name), c.ENODATA, "empty")
        equal(dev.open(name), c.ENODATA, "empty")
        dev.does(c.CMD_RESIZE, name, length=5000)
        equal(dev.result().size, 5000, "size")
        dev.attach(name)
        dev.put(0, b"from the guest")
        with open(path(name), "rb") as file:
            equal(file.read(), b"from the guest".ljust(5000, b"\0"), "file")
        dev.does(c.CMD_UNLINK, name)
        true(not exists(name), "the object exists")
        dev.sees(0, b"from the guest", "the object is kept")
        equal(dev.command(c.CMD_UNLINK, name), c.ENOENT, "again")


def test_unlink():
    with Object(PAGE, b"host") as obj, machine(options=CREATE) as vm:
        dev = Arena(vm)
        for name, errno in (("", c.EINVAL), (fresh_name(), c.ENOENT),
                            ("/a/b", c.EINVAL), ("/..", c.EINVAL)):
            equal(dev.command(c.CMD_UNLINK, name), errno, name)
        for make, remove in ((os.mkdir, os.rmdir), (os.mkfifo, os.unlink),
                             (lambda p: os.symlink(obj.path, p), os.unlink)):
            name = fresh_name()
            make(path(name))
            true(dev.command(c.CMD_UNLINK, name) in (c.EINVAL, c.ELOOP),
                 "a file that is not an object")
            remove(path(name))
        dev.attach(obj.name)
        dev.opened(obj.name)
        dev.does(c.CMD_UNLINK, obj.name)
        true(not exists(obj.name), "the object exists")
        dev.sees(0, b"host", "the arena")
        dev.shows(b"host", "BAR1")


def test_rename():
    with Names() as new, Object(PAGE, b"one") as one, \
            Object(PAGE, b"two") as two, machine(options=CREATE) as vm:
        dev = Arena(vm)
        handle = dev.attach(one.name)
        ident = dev.result().ident
        other = dev.attach(two.name, PAGE)
        free = new()

        def rename(first, second, flags=0):
            return dev.command(c.CMD_RENAME, first, second=second,
                               flags=flags)

        equal(rename(one.name, two.name, c.RQ_NOREPLACE), c.EEXIST, "taken")
        equal(rename(one.name, one.name, c.RQ_NOREPLACE), c.EEXIST, "itself")
        equal(rename(one.name, one.name), c.OK, "itself")
        equal(rename(fresh_name(), free), c.ENOENT, "missing")
        true(not exists(free), "the object exists")
        equal(rename(one.name, free, c.RQ_NOREPLACE), c.OK, "free")
        equal(dev.stat(free).ident, ident, "identity")
        equal(dev.command(c.CMD_STAT, one.name), c.ENOENT, "the old name")
        equal(rename(free, two.name), c.OK, "replaced")
        equal(dev.stat(two.name).ident, ident, "identity")
        dev.sees(0, b"one", "the renamed object")
        dev.sees(PAGE, b"two", "the replaced object")
        equal(dev.stat(flags=c.RQ_HANDLE, handle=handle).ident, ident,
              "by handle")
        dev.detach(other)
        equal(mapped(vm, two), [], "mappings")


def second_names(dev, number, obj, new):
    """The second name, in its half of BAR2, is checked as the first name is."""
    for second, errno in (
            ("", c.EINVAL), ("/", c.EINVAL), ("x", c.EINVAL),
            ("/a/b", c.EINVAL), ("/.", c.EINVAL), ("/..", c.EINVAL),
            ("/" + "x" * 256, c.ENAMETOOLONG),
            ("/" + "x" * 510, c.ENAMETOOLONG)):
        equal(dev.command(number, obj.name, second=second), errno, second)
    dev.vm.store(dev.name + c.NAME_SECOND, b"/" + b"x" * 511)
    equal(dev.command(number, obj.name), c.EINVAL, "no NUL")
    for make, remove in ((os.mkdir, os.rmdir), (os.mkfifo, os.unlink),
                         (lambda p: os.symlink(obj.path, p), os.unlink)):
        name = fresh_name()
        make(path(name))
        for first, second in ((name, new()), (obj.name, name)):
            status = dev.command(number, first, second=second)
            true(status in (c.EINVAL, c.ELOOP, c.EEXIST),
                 f"what is no object: {status}")
        remove(path(name))
    true(exists(obj.name), "the object is gone")


def test_rename_refuses():
    with Names() as new, Object(PAGE) as obj, \
            machine(options=CREATE) as vm:
        second_names(Arena(vm), c.CMD_RENAME, obj, new)


def test_link():
    with Names() as new, Object(PAGE, b"host") as obj, \
            machine(options=CREATE) as vm:
        dev = Arena(vm)
        second_names(dev, c.CMD_LINK, obj, new)
        second = new()
        dev.does(c.CMD_LINK, obj.name, second=second)
        equal(dev.stat(second), dev.stat(obj.name), "stat")
        equal(dev.command(c.CMD_LINK, obj.name, second=second), c.EEXIST,
              "taken")
        equal(dev.command(c.CMD_LINK, obj.name, second=obj.name), c.EEXIST,
              "itself")
        equal(dev.command(c.CMD_LINK, fresh_name(), second=new()), c.ENOENT,
              "missing")
        dev.attach(second)
        dev.does(c.CMD_UNLINK, obj.name)
        dev.put(0, b"guest")
        equal(obj.read(0, 5), b"guest", "the object")
        os.unlink(path(second))


def test_resize():
    with Object(0) as obj, machine(options=CREATE) as vm:
        dev = Arena(vm)
        for size in (1, 5000, 0, PAGE, 1 << 40, 2**63 - 1, 3 * PAGE):
            dev.does(c.CMD_RESIZE, obj.name, length=size)
            equal(obj.size, size, "size")
            equal(dev.result(), dev.stat(obj.name), "result")
        for size in (1 << 63, (1 << 64) - 1):
            equal(dev.command(c.CMD_RESIZE, obj.name, length=size), c.EFBIG,
                  f"{size:#x}")
        equal(obj.size, 3 * PAGE, "size")
        handle = dev.attach(obj.name)
        reader = dev.attach_ro(obj.name)
        obj.unlink()
        dev.does(c.CMD_RESIZE, flags=c.RQ_HANDLE, handle=handle,
                 length=5 * PAGE)
        equal(obj.size, 5 * PAGE, "by handle")
        for wrong in (reader, 0, 99):
            for number in (c.CMD_RESIZE, c.CMD_ALLOCATE):
                equal(dev.command(number, flags=c.RQ_HANDLE, handle=wrong,
                                  length=1), c.EBADF, f"handle {wrong}")
        equal(dev.command(c.CMD_RESIZE, obj.name, length=1), c.ENOENT,
              "by name")
        equal(obj.size, 5 * PAGE, "size")


def test_shrinking_what_is_attached():
    """The part after the new end is private zero memory in each attachment."""
    size = 8 * PAGE
    with Object(size, pattern(size)) as obj, \
            machine(options=CREATE) as vm:
        dev = Arena(vm)
        for new in (8 * PAGE - 1, 7 * PAGE, 3 * PAGE + 1, 3 * PAGE, PAGE, 1,
                    0):
            os.ftruncate(obj.fd, 0)
            obj.write(0, pattern(size))
            dev.does(c.CMD_RELEASE)
            whole = dev.attach(obj.name)
            dev.attach_ro(obj.name)
            dev.attach(obj.name, 16 * PAGE, offset=2 * PAGE, length=3 * PAGE)
            dev.opened(obj.name)
            dev.does(c.CMD_RESIZE, flags=c.RQ_HANDLE, handle=whole,
                     length=new)
            kept = pattern(size)[:new].ljust(size, b"\0")
            for _ in range(2):
                dev.sees(0, kept, f"{new} bytes, writable")
                dev.sees(dev.span, kept, f"{new} bytes, read-only")
                dev.sees(16 * PAGE, kept[2 * PAGE:5 * PAGE], "a part")
                dev.shows(kept, f"{new} bytes, BAR1")
            # A write behind the end does not change the object, also if the
            # object grows later.
            dev.put(size - 4, b"tail")
            dev.store(size - 4, b"TAIL")
            dev.does(c.CMD_RESIZE, obj.name, length=size)
            if new <= 7 * PAGE:
                equal(obj.read(size - 4, 4), bytes(4), "the object")
                dev.sees(size - 4, b"tail", "private")
                dev.sees_zeros(dev.span + size - 4, 4, "private")
            again = dev.attach(obj.name, 32 * PAGE)
            dev.sees(32 * PAGE, obj.read(0, size), "attached again")
            dev.detach(again)
            equal(len(attachments(vm)), 4, "attachments")
        dev.does(c.CMD_RELEASE)
        released(vm, obj)
        dev.sees_zeros(0, size, "detached")


def test_shrinking_leaves_other_objects_alone():
    with Object(4 * PAGE, pattern(4 * PAGE)) as one, \
            Object(4 * PAGE, pattern(4 * PAGE, 1)) as two, \
            machine(options=CREATE) as vm:
        dev = Arena(vm)
        dev.attach(one.name)
        dev.attach(two.name, 4 * PAGE)
        one.unlink()
        with Object(4 * PAGE, pattern(4 * PAGE, 2), name=one.name):
            dev.does(c.CMD_RESIZE, one.name, length=1)
            dev.sees(0, pattern(4 * PAGE), "the previous object of the name")
            dev.sees(4 * PAGE, pattern(4 * PAGE, 1), "the other")


def test_allocate():
    with Object(100) as obj, machine(options=CREATE) as vm:
        dev = Arena(vm)

        def blocks():
            return os.fstat(obj.fd).st_blocks

        equal(blocks(), 0, "blocks at first")
        dev.does(c.CMD_ALLOCATE, obj.name, length=1)
        equal((obj.size, blocks()), (100, 8), "size and blocks")
        dev.does(c.CMD_ALLOCATE, obj.name, offset=PAGE, length=MIB)
        equal((obj.size, blocks()), (MIB + PAGE, 2048 + 8), "grown")
        equal(dev.result(), dev.stat(obj.name), "result")
        dev.does(c.CMD_ALLOCATE, obj.name, offset=1 << 40, length=1)
        equal(obj.size, (1 << 40) + 1, "far away")
        handle = dev.attach(obj.name, length=PAGE)
        obj.unlink()
        dev.does(c.CMD_ALLOCATE, flags=c.RQ_HANDLE, handle=handle,
                 offset=8 * MIB, length=PAGE)
        equal(dev.command(c.CMD_ALLOCATE, obj.name, length=1), c.ENOENT,
              "by name")
        before = obj.size, blocks()
        top = 1 << 64
        for offset, length in (
                (0, 0), (PAGE, 0), (0, c.ALLOCATE_MAX + 1), (0, top - 1),
                (0, 1 << 63), (top - 1, 1), (top - PAGE, PAGE), (1 << 63, 1),
                ((1 << 63) - 1, 1), ((1 << 63) - PAGE, PAGE),
                (top - 1, top - 1)):
            status = dev.command(c.CMD_ALLOCATE, flags=c.RQ_HANDLE,
                                 handle=handle, offset=offset, length=length)
            true(status in (c.EINVAL, c.EFBIG),
                 f"offset {offset:#x}, length {length:#x}: {status}")
        equal((obj.size, blocks()), before, "size and blocks")
        dev.does(c.CMD_ALLOCATE, flags=c.RQ_HANDLE, handle=handle,
                 length=c.ALLOCATE_MAX)
        os.ftruncate(obj.fd, 0)


# Mounts a tmpfs. A small system may not have mount(8).
SMALL_SHM = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
NEWNS, REC_PRIVATE = 0x20000, 0x44000
if (libc.unshare(NEWNS) or
        libc.mount(None, b"/", None, REC_PRIVATE, None) or
        libc.mount(b"none", b"/dev/shm", b"tmpfs", 0, b"size=1M")):
    sys.exit("no /dev/shm of its own: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def small_shm():
    """A command that gives QEMU a private /dev/shm of 1 MiB"""
    if os.getuid():
        raise Skip("needs root, to give QEMU a /dev/shm of its own")
    return sys.executable, "-c", SMALL_SHM


def test_full_shared_memory():
    with machine(options=ANY, wrap=small_shm()) as vm:
        dev = Arena(vm)
        equal(dev.names()[0], [], "names")
        dev.does(c.CMD_CREATE, "/one", mode=0o600)
        dev.does(c.CMD_ALLOCATE, "/one", length=MIB - 64 * PAGE)
        equal(dev.command(c.CMD_ALLOCATE, "/one", length=2 * MIB), c.ENOSPC,
              "more than the host's memory")
        equal(dev.stat("/one").size, MIB - 64 * PAGE, "size")
        dev.attach("/one")
        dev.put(MIB - 65 * PAGE, b"end")
        equal(dev.names()[0], [b"/one"], "names")
        dev.does(c.CMD_UNLINK, "/one")


def test_as_another_user():
    """Commands that the host refuses fail with EACCES or EPERM."""
    if os.getuid():
        raise Skip("needs root, to run QEMU as another user")
    with Names() as new, Object(PAGE, mode=0o644) as obj, \
            Object(PAGE, mode=0o666) as free, \
            machine(options=CREATE, user=NOBODY) as vm:
        dev = Arena(vm)
        denied = (c.EACCES, c.EPERM)
        for number, errnos in ((c.CMD_UNLINK, denied), (c.CMD_RENAME, denied),
                               (c.CMD_RESIZE, denied),
                               (c.CMD_ALLOCATE, denied)):
            true(dev.command(number, obj.name, second=new(), length=1) in
                 errnos, f"command {number}")
        equal(refusals(vm), {"permission": 4}, "refusals")
        equal(obj.size, PAGE, "size")
        # RESIZE needs only the permission to write.
        dev.does(c.CMD_RESIZE, free.name, length=5)
        name = new()
        dev.does(c.CMD_CREATE, name, mode=0o640)
        equal(os.stat(path(name)).st_uid, NOBODY, "owner")
        dev.does(c.CMD_UNLINK, name)


# Limits of the host's resources that a guest can use

def test_limit_of_objects():
    with Store([b"/a", b"/b"]) as store:
        options = store.options + ",create=on,max-objects=4"
        with machine(options=options) as vm:
            dev = Arena(vm)
            for name in ("/c", "/d"):
                dev.does(c.CMD_CREATE, name, mode=0o600)
            equal(dev.command(c.CMD_CREATE, "/e", mode=0o600), c.ENFILE,
                  "a fifth")
            equal(dev.command(c.CMD_LINK, "/c", second="/e"), c.ENFILE,
                  "a fifth, by LINK")
            # RENAME and LINK do not increase the number of objects.
            dev.does(c.CMD_RENAME, "/c", second="/e")
            dev.does(c.CMD_RESIZE, "/e", length=PAGE)
            dev.does(c.CMD_UNLINK, "/e")
            dev.does(c.CMD_CREATE, "/f", mode=0o600)
            equal(refusals(vm), {"limit": 2}, "refusals")
            vm.qmp("system_reset")
            vm.event("RESET")
            dev.assign()
            equal(dev.command(c.CMD_CREATE, "/g", mode=0o600), c.ENFILE,
                  "after reset")
            for name in ("/d", "/f"):
                dev.does(c.CMD_UNLINK, name)


def test_limit_of_objects_counts_what_cannot_be_opened():
    """Otherwise, a guest could create any number of such objects."""
    if os.getuid():
        raise Skip("needs root, to run QEMU as another user")
    with Store() as store:
        options = store.options + ",create=on,max-objects=4"
        with machine(options=options, user=NOBODY) as vm:
            dev = Arena(vm)
            results = [dev.command(c.CMD_CREATE, f"/{i}", mode=0)
                       for i in range(8)]
            equal(results, [c.OK] * 4 + [c.ENFILE] * 4, "CREATE")


def test_limit_of_bytes():
    with Store([b"/a"], size=PAGE) as store:
        options = store.options + ",create=on,max-bytes=65536"
        with machine(options=options) as vm:
            dev = Arena(vm)
            dev.does(c.CMD_CREATE, "/b", mode=0o600)
            for number in (c.CMD_RESIZE, c.CMD_ALLOCATE):
                for size in (65536 - PAGE + 1, 65537, 1 << 20):
                    equal(dev.command(number, "/b", length=size), c.EDQUOT,
                          f"command {number}, {size} bytes")
                dev.does(number, "/b", length=65536 - PAGE)
                equal(dev.command(number, "/b", length=65537 - PAGE),
                      c.EDQUOT, "one more object")
                equal(dev.command(number, "/a", length=PAGE + 1), c.EDQUOT,
                      "one more name, of another object")
                dev.does(c.CMD_RESIZE, "/b", length=1)
                dev.does(c.CMD_RESIZE, "/a", length=PAGE)
            equal(dev.command(c.CMD_ALLOCATE, "/b", offset=1 << 62,
                              length=1), c.EDQUOT, "far away")
            equal(dev.command(c.CMD_RESIZE, "/b", length=2**63 - 1),
                  c.EDQUOT, "the most")
            # Objects of the host also count. The host is not limited.
            store.make(b"/host", 65536)
            equal(dev.command(c.CMD_RESIZE, "/b", length=2), c.EDQUOT,
                  "grow")
            dev.does(c.CMD_RESIZE, "/b", length=0)
            store.remove(b"/host")
            dev.does(c.CMD_RESIZE, "/b", length=2)
            dev.does(c.CMD_UNLINK, "/b")


def test_limit_of_bytes_with_huge_objects_of_the_host():
    """The sum of the sizes exceeds 64 bits."""
    with Store() as store:
        for name in (b"/a", b"/b", b"/c"):
            os.ftruncate(store.make(name).fd, 2**63 - 1)
        store.make(b"/d")
        options = store.options + ",create=on,max-bytes=15E"
        with machine(options=options) as vm:
            equal(Arena(vm).command(c.CMD_RESIZE, "/d", length=1 << 40),
                  c.EDQUOT, "RESIZE")


def test_limit_of_bytes_counts_what_is_unlinked_and_kept():
    """Otherwise, a guest could fill the host with objects without names."""
    with Store() as store:
        options = store.options + ",create=on,max-bytes=65536"
        with machine(options=options) as vm:
            dev = Arena(vm)
            for keep in (c.CMD_ATTACH, c.CMD_HOLD):
                dev.does(c.CMD_CREATE, "/a", mode=0o600)
                dev.does(c.CMD_RESIZE, "/a", length=61440)
                dev.does(keep, "/a", length=PAGE if keep == 2 else 0)
                handle = dev.get(c.REG_RES_HANDLE)
                dev.does(keep, "/a", place=PAGE,
                         length=PAGE if keep == 2 else 0)
                dev.does(c.CMD_UNLINK, "/a")
                dev.does(c.CMD_CREATE, "/b", mode=0o600)
                for more, errno in ((PAGE + 1, c.EDQUOT), (PAGE, c.OK)):
                    equal(dev.command(c.CMD_RESIZE, "/b", length=more),
                          errno, f"{more} bytes, command {keep}")
                equal(dev.command(c.CMD_RESIZE, flags=c.RQ_HANDLE,
                                  handle=handle, length=61441), c.EDQUOT,
                      "by handle")
                dev.does(c.CMD_RELEASE)
                dev.does(c.CMD_RESIZE, "/b", length=65536)
                dev.does(c.CMD_UNLINK, "/b")
            true(not mapped(vm, store.make(b"/x", 1)), "mapped")
