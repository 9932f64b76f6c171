# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands through the command memory: their results, and hostile requests"""

import os
import random
import time

import contract as c
from arena import MIB, PAGE, attachments, refusals
from mailbox import Mailboxes
from shm import Object, fresh_name, path, pattern
from store import Store
from vmshm import SLOT, equal, machine, of_2010, released, true, until

CREATE = ",create=on"


def test_the_feature_comes_with_the_arena():
    with machine() as vm:
        dev = Mailboxes(vm)
        true(dev.get(c.REG_FEATURES) & c.F_MEMORY, "no feature bit")
        equal(dev.get(c.REG_MAILBOXES), c.MAILBOXES_MAX, "mailboxes")
        equal(dev.get(c.REG_VECTORS), c.VECTORS_MAX, "vectors")
        true(dev.epoch, "the epoch is 0")
        equal(dev.get(c.REG_SLOTS), c.SLOTS_MAX, "slots")
    with machine(options=of_2010()) as vm:
        dev = Mailboxes(vm)
        equal(dev.get(c.REG_MAILBOXES), 0, "mailboxes without an arena")
        equal(dev.get(c.REG_SLOTS), 0, "slots without an arena")


def test_contract_1_0():
    """Without the property, the device has contract 1.0."""
    with Object(4096, b"host") as obj, \
            machine(options=",command-memory=off") as vm:
        equal(vm.function(SLOT).probe(c.BAR_REGS), (c.REGS_SIZE, 0), "BAR0")
        dev = Mailboxes(vm)
        equal(dev.get(c.REG_FEATURES), c.F_ARENA | c.F_FUTEX, "features")
        equal(dev.get(c.REG_MAILBOXES), 0, "mailboxes")
        equal(dev.get(c.REG_VECTORS), 1, "vectors")
        equal(dev.get(c.REG_SLOTS), 0, "slots with records")
        dev.set(c.REG_DOORBELL, 0)
        vm.write(dev.regs + c.REG_START, 8, c.SLOT_ARM)
        equal(dev.state(0), c.SLOT_IS_IDLE, "started without a record")
        dev.attach(obj.name)
        dev.sees(0, b"host", "the object")
        dev.arm(3, 0, 1)
        dev.until(3, c.SLOT_IS_FIRED, "another value")
        equal(dev.fired(), 1 << 3, "FIRED")


def test_the_memory_is_ram():
    with machine() as vm:
        dev = Mailboxes(vm)
        size = c.BAR0_SIZE - c.MEM_MAILBOX
        vm.store(dev.box(0), pattern(size))
        equal(vm.load(dev.box(0), size), pattern(size), "the written bytes")


def test_stat_by_name_and_by_handle():
    with Object(5000, pattern(5000)) as obj, machine() as vm:
        dev = Mailboxes(vm)
        st = os.fstat(obj.fd)
        for n in (0, 5, c.MAILBOXES_MAX - 1):
            attr = dev.posts(c.CMD_STAT, obj.name, n=n).attr(n)
            equal((attr.bytes, attr.mode, attr.uid, attr.gid, attr.nlink),
                  (5000, st.st_mode & 0o7777, st.st_uid, st.st_gid, 1),
                  "attributes")
            equal((attr.mtime, attr.mtime_ns), divmod(st.st_mtime_ns, 10**9),
                  "modified")
            equal(attr.blocks, st.st_blocks, "blocks")
            # The registers have the same attributes.
            about = dev.stat(obj.name)
            equal((about.ident, about.size), (attr.ident, attr.bytes),
                  "by the registers")
        handle = dev.attach(obj.name)
        again = dev.posts(c.CMD_STAT, flags=c.RQ_HANDLE,
                          handle=handle).attr()
        # Mapping the object is an access.
        equal(again, attr._replace(atime=again.atime,
                                   atime_ns=again.atime_ns), "by handle")
        equal(dev.post(c.CMD_STAT, fresh_name()), c.ENOENT, "missing")
        equal(dev.post(c.CMD_STAT, "/a/b"), c.EINVAL, "no name")
        equal(dev.post(c.CMD_STAT, flags=c.RQ_HANDLE, handle=99), c.EBADF,
              "no handle")


def test_attach_and_detach():
    with Object(5000, pattern(5000)) as obj, machine() as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_ATTACH, obj.name, place=8192)
        handle, attr = dev.res_handle(), dev.attr()
        equal(attr.bytes, 5000, "size")
        dev.sees(8192, pattern(5000), "the object")
        equal(dev.post(c.CMD_ATTACH, obj.name, place=4096), c.EBUSY, "taken")
        dev.posts(c.CMD_ATTACH, obj.name, flags=c.RQ_READONLY, n=3,
                  place=dev.span)
        dev.sees(dev.span, pattern(5000), "read-only")
        # Registers and mailboxes have the same handles.
        dev.detach(dev.res_handle(3))
        dev.posts(c.CMD_DETACH, handle=handle)
        dev.sees_zeros(8192, 5000, "detached")
        equal(dev.post(c.CMD_DETACH, handle=handle), c.EBADF, "twice")
        released(vm, obj)


def test_attach_up_to():
    """ATTACH with a limit, for an object whose size the guest does not know"""
    with Object(5000, pattern(5000)) as obj, Object(0) as empty, \
            machine() as vm:
        dev = Mailboxes(vm)
        limit = {"flags": c.RQ_LIMIT}
        dev.posts(c.CMD_ATTACH, obj.name, length=MIB, **limit)
        equal([a["bytes"] for a in attachments(vm)], [8192], "the whole object")
        dev.posts(c.CMD_DETACH, handle=dev.res_handle())
        dev.posts(c.CMD_ATTACH, obj.name, length=PAGE, **limit)
        equal([a["bytes"] for a in attachments(vm)], [4096], "a part")
        equal(dev.attr().bytes, 5000, "size")
        dev.posts(c.CMD_DETACH, handle=dev.res_handle())
        dev.posts(c.CMD_ATTACH, empty.name, length=MIB, **limit)
        held = dev.res_handle()
        true(held, "no handle for an empty object")
        equal([a["bytes"] for a in attachments(vm)], [0], "no byte")
        os.ftruncate(empty.fd, 4096)
        equal(dev.posts(c.CMD_STAT, flags=c.RQ_HANDLE, handle=held)
              .attr().bytes, 4096, "size, later")
        equal(dev.post(c.CMD_ATTACH, obj.name, length=0, **limit), c.EINVAL,
              "no length")
        equal(dev.post(c.CMD_ATTACH, obj.name, length=2 * PAGE,
                       place=dev.span - PAGE, **limit), c.EINVAL,
              "beyond the span")


def test_create_resize_allocate_rename_link_unlink():
    with Store() as store, machine(options=store.options + CREATE) as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_CREATE, "/a", mode=0o640)
        equal((dev.attr().bytes, dev.attr().mode), (0, 0o640), "created")
        equal(dev.post(c.CMD_CREATE, "/a", mode=0o600), c.EEXIST, "again")
        equal(dev.post(c.CMD_CREATE, "/b", mode=0o1777), c.EINVAL, "mode")
        equal(dev.posts(c.CMD_RESIZE, "/a", length=5000).attr().bytes, 5000,
              "resized")
        grow = {"flags": c.RQ_GROW}
        equal(dev.posts(c.CMD_RESIZE, "/a", length=100, **grow).attr().bytes,
              5000, "only grows")
        equal(dev.posts(c.CMD_RESIZE, "/a", length=5001, **grow)
              .attr().bytes, 5001, "grows")
        attr = dev.posts(c.CMD_ALLOCATE, "/a", offset=100,
                         length=10000).attr()
        equal((attr.bytes, attr.blocks), (10100, 24), "allocated")
        equal(dev.posts(c.CMD_ALLOCATE, "/a", length=1).attr().bytes, 10100,
              "does not shrink")
        equal(dev.posts(c.CMD_ALLOCATE, "/a", length=32 * MIB).attr().blocks,
              65536, "a long one")
        dev.posts(c.CMD_RENAME, "/a", second="/b")
        equal(dev.post(c.CMD_STAT, "/a"), c.ENOENT, "the old name")
        dev.posts(c.CMD_LINK, "/b", second="/c")
        equal(dev.posts(c.CMD_STAT, "/c").attr().nlink, 2, "names")
        equal(dev.post(c.CMD_RENAME, "/b", second="/c",
                       flags=c.RQ_NOREPLACE), c.EEXIST, "taken")
        dev.posts(c.CMD_UNLINK, "/b").posts(c.CMD_UNLINK, "/c")
        equal(dev.post(c.CMD_UNLINK, "/c"), c.ENOENT, "unlinked")
        equal(refusals(vm), {"request": 1}, "refusals")


def test_create_with_a_handle():
    """The handle is writable with any permission bits."""
    with Store() as store, \
            machine(options=store.options + CREATE + ",max-objects=2") as vm:
        dev = Mailboxes(vm)
        hold = {"flags": c.RQ_HOLD}
        dev.posts(c.CMD_CREATE, "/a", mode=0o444, **hold)
        handle = dev.res_handle()
        true(handle, "no handle")
        by_handle = {"flags": c.RQ_HANDLE, "handle": handle}
        dev.posts(c.CMD_RESIZE, length=4096, **by_handle)
        dev.posts(c.CMD_ATTACH, **by_handle)
        dev.put(0, b"written")
        with open(path(store.host(b"/a").decode()), "rb") as file:
            equal(file.read(7), b"written", "the object")
        equal(dev.post(c.CMD_CREATE, "/b", mode=0o600, **hold), c.ENFILE,
              "too many handles")
        equal(dev.post(c.CMD_STAT, "/b"), c.ENOENT, "the object was created")


def test_setattr():
    now = {"atime_ns": c.TIME_NOW, "mtime_ns": c.TIME_NOW}
    with Store([b"/a"]) as store, \
            machine(options=store.options + CREATE) as vm:
        dev = Mailboxes(vm)
        attr = dev.posts(c.CMD_SETATTR, "/a", flags=c.RQ_MODE,
                         mode=0o600).attr()
        equal(attr.mode, 0o600, "mode")
        attr = dev.posts(c.CMD_SETATTR, "/a", flags=c.RQ_ATIME | c.RQ_MTIME,
                         atime=-5, atime_ns=7, mtime=1 << 32,
                         mtime_ns=999999999).attr()
        equal((attr.atime, attr.atime_ns, attr.mtime, attr.mtime_ns),
              (-5, 7, 1 << 32, 999999999), "times")
        attr = dev.posts(c.CMD_SETATTR, "/a", flags=c.RQ_MTIME, **now).attr()
        true(abs(attr.mtime - time.time()) < 1000, "now")
        equal(attr.atime, -5, "the other time")
        handle = dev.posts(c.CMD_HOLD, "/a", flags=c.RQ_READONLY).res_handle()
        attr = dev.posts(c.CMD_SETATTR, flags=c.RQ_HANDLE | c.RQ_MODE,
                         handle=handle, mode=0).attr()
        equal(attr.mode, 0, "by a read-only handle")
        for bad in ({"flags": c.RQ_MODE, "mode": 0o2000},
                    {"flags": c.RQ_MTIME, "mtime_ns": 10**9},
                    {"flags": c.RQ_GROW}):
            equal(dev.post(c.CMD_SETATTR, "/a", **bad), c.EINVAL, bad)
        equal(dev.post(c.CMD_SETATTR, "/x", flags=c.RQ_MODE), c.ENOENT, "/x")
        os.symlink("/etc/passwd", path(store.host(b"/link").decode()))
        equal(dev.post(c.CMD_SETATTR, "/link", flags=c.RQ_MODE, mode=0o666),
              c.ELOOP, "a link")
    with Object(4096) as obj, machine() as vm:
        equal(Mailboxes(vm).post(c.CMD_SETATTR, obj.name, flags=c.RQ_MODE),
              c.EROFS, "without create=on")


def test_statfs():
    with machine() as vm:
        dev = Mailboxes(vm).posts(c.CMD_STATFS)
        st = os.statvfs("/dev/shm")
        equal(dev.word64(0, c.MB_RES_TOTAL), st.f_blocks * st.f_frsize,
              "total")
        true(dev.word64(0, c.MB_RES_FREE) <= st.f_blocks * st.f_frsize,
             "free")


def test_1_0_has_no_new_commands_in_registers():
    with Object(4096) as obj, machine(options=CREATE) as vm:
        dev = Mailboxes(vm)
        for number in (c.CMD_SETATTR, c.CMD_STATFS):
            equal(dev.command(number, obj.name), c.ENOSYS, number)


def test_list_with_attributes():
    names = [b"/%d" % n for n in range(53)]
    with Store(names, 100) as store, machine(options=store.options) as vm:
        dev = Mailboxes(vm)
        found, commands = dev.list()
        equal(sorted(name for name, _ in found), sorted(names), "names")
        equal(commands, 1, "commands")
        for name, attr in found:
            equal(attr, dev.posts(c.CMD_STAT, name).attr(), name)
        # Two concurrent lists in two mailboxes
        long = [b"/" + b"%d" % n * 60 for n in range(100, 200)]
        for name in long:
            store.make(name)
        first, second = dev.list(2), dev.list(7)
        equal(sorted(n for n, _ in first[0]), sorted(names + long), "names")
        equal(first, second, "two lists")
        # A list that ends early is not continued.
        dev.posts(c.CMD_LIST)
        offset = dev.word64(0, c.MB_RES_NEXT)
        true(offset, "the list fits into one part")
        dev.posts(c.CMD_STAT, names[0])
        equal(dev.post(c.CMD_LIST, offset=offset), c.EINVAL, "no list")


def test_list_leaves_out_what_is_gone():
    names = [b"/" + b"%d" % n * 60 for n in range(100, 160)]
    with Store(names) as store, machine(options=store.options) as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_LIST)
        first = dev.entries()
        offset = dev.word64(0, c.MB_RES_NEXT)
        for name in names:
            store.remove(name)
        while offset:
            dev.posts(c.CMD_LIST, offset=offset)
            equal(dev.entries(), [], "gone")
            offset = dev.word64(0, c.MB_RES_NEXT)
        true(first, "nothing at first")


def test_ten_thousand_objects_take_few_commands():
    names = [b"/object-%d" % n for n in range(10000)]
    with Store() as store, machine(options=store.options) as vm:
        for name in names:
            os.close(os.open(path(store.host(name).decode()),
                             os.O_CREAT | os.O_WRONLY))
        found, commands = Mailboxes(vm).list()
        equal(sorted(n for n, _ in found), sorted(names), "names")
        true(commands <= 150, f"{commands} commands")


def test_malformed_requests():
    with Object(4096) as obj, machine() as vm:
        dev = Mailboxes(vm)
        equal(dev.post(99), c.ENOSYS, "command")
        equal(dev.post(c.CMD_STAT, obj.name, zero=b"\1"), c.EINVAL,
              "not zero")
        equal(dev.post(c.CMD_STAT, obj.name,
                       zero=bytes(c.MB_RES_TAG - c.MB_ZERO - 1) + b"\1"),
              c.EINVAL, "not zero, at the end")
        equal(dev.post(c.CMD_STAT, obj.name, flags=c.RQ_MTIME), c.EINVAL,
              "flags")
        # NAMES contains no NUL.
        vm.fill(dev.box(0) + c.MB_NAMES, c.NAME_SIZE, 0x2f)
        head, _ = dev.request(c.CMD_STAT, tag=4711)
        vm.store(dev.box(0), head)
        dev.set(c.REG_DOORBELL, 0)
        equal(dev.wait(0, 4711), c.EINVAL, "no NUL")
        for n in (c.MAILBOXES_MAX, 0xffffffff):
            dev.set(c.REG_DOORBELL, n)
        dev.posts(c.CMD_STAT, obj.name)


def test_random_bytes_in_all_mailboxes():
    rng = random.Random(4711)
    with Object(4096, b"host") as obj, machine(options=CREATE) as vm:
        dev = Mailboxes(vm)
        for turn in range(300):
            n = turn % c.MAILBOXES_MAX
            data = bytearray(rng.randbytes(c.MB_DATA))
            # Mostly valid commands, flags and handles, and no valid name
            data[4:16] = bytes((rng.randrange(16), 0, 0, 0, rng.getrandbits(8),
                                rng.randrange(2), 0, 0, rng.randrange(4), 0,
                                0, 0))
            if rng.randrange(4):
                data[c.MB_ZERO:c.MB_RES_TAG] = bytes(c.MB_RES_TAG - c.MB_ZERO)
            vm.store(dev.box(n), bytes(data))
            dev.set(c.REG_DOORBELL, n)
            # On a slow host the next RELEASE would end it without a result.
            dev.wait(n, int.from_bytes(data[:4], "little"))
        dev.posts(c.CMD_ATTACH, obj.name)
        dev.sees(0, b"host", "after all")


def test_reset_clears_the_memory():
    with Object(4096) as obj, machine() as vm:
        dev = Mailboxes(vm)
        epoch = dev.epoch
        dev.posts(c.CMD_ATTACH, obj.name)
        dev.posts(c.CMD_LIST)
        vm.qmp("system_reset")
        vm.event("RESET")
        dev.assign()
        true(dev.epoch not in (0, epoch), "the epoch is the same")
        memory = bytearray(vm.load(dev.regs + c.REGS_SIZE,
                                   c.BAR0_SIZE - c.REGS_SIZE))
        memory[:4] = bytes(4)
        equal(bytes(memory), bytes(len(memory)), "memory")
        equal(attachments(vm), [], "attachments")
        dev.posts(c.CMD_STAT, obj.name)


def test_fired_bits_are_in_the_memory():
    with Object(4096) as obj, machine() as vm:
        dev = Mailboxes(vm)
        dev.attach(obj.name)
        for slot in (0, 37, 95):
            dev.arm(slot, 0, 1)     # the word has another value
            dev.until(slot, c.SLOT_IS_FIRED, "another value")
        view = dev.regs + c.MEM_FIRED
        want = 1 | 1 << 37 | 1 << 95
        equal(int.from_bytes(vm.load(view, 12), "little"), want, "memory")
        equal(dev.fired(), want, "registers")
        vm.write(view + 4, 4, 0)
        equal(dev.fired(), 1 | 1 << 95, "cleared in memory")
        dev.set(c.REG_FIRED, 1)
        equal(int.from_bytes(vm.load(view, 12), "little"), 1 << 95,
              "cleared by the register")


def test_release_in_a_mailbox():
    with Object(4096) as obj, machine() as vm:
        dev = Mailboxes(vm)
        dev.posts(c.CMD_ATTACH, obj.name)
        epoch = dev.epoch
        dev.posts(c.CMD_RELEASE)
        equal(attachments(vm), [], "attachments")
        equal(dev.epoch, epoch, "epoch")
        released(vm, obj)


def test_two_devices_have_memories_of_their_own():
    with Object(4096) as obj, machine(devices=2) as vm:
        one, other = Mailboxes(vm), Mailboxes(vm, slot=SLOT + 1)
        one.posts(c.CMD_ATTACH, obj.name)
        equal(vm.load(other.box(0), 256), bytes(256), "the other's mailbox")
        until(lambda: one.finished(0, one.tags), "the tag is there")
