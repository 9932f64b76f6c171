# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that wait for the host. The VM continues, and a reset, an unplug or
a migration during the command loses nothing."""

import contextlib
import os

import contract as c
from arena import PAGE, attachments
from inode_lock import InodeLock
from mailbox import Mailboxes
from shm import Object, path
from store import Store
from test_migration import completed, events
from vmshm import (Skip, descriptors, equal, machine, mapped, released, true,
                   until)

CREATE = ",create=on"
COMMANDS_MAX = 64       # concurrent commands of a device
MSIX, ENABLE, MASK_ALL, PENDING = 0x11, 0x8000, 0x4000, 0x800


def needs_root():
    if os.geteuid():
        raise Skip("userfaultfd needs root")


def waits(dev, n, tag):
    """Checks that a command does not complete, while QEMU does other work."""
    true(not dev.finished(n, tag), "the command has completed")
    equal(dev.vm.qmp("query-status")["status"], "prelaunch", "QMP")
    true(not dev.finished(n, tag), "the command has completed")


@contextlib.contextmanager
def resize_waits(*others, options=""):
    """A RESIZE of /a to two pages waits in mailbox 0 for a lock of the host.
    Yields the store of /a and other objects, the lock, the device and the
    command's tag."""
    needs_root()
    with Store([b"/a", *others], PAGE) as store, \
            machine(options=store.options + CREATE + options) as vm, \
            InodeLock(store.objects[b"/a"]) as lock:
        dev = Mailboxes(vm)
        tag = dev.submit(0, c.CMD_RESIZE, "/a", length=2 * PAGE)
        waits(dev, 0, tag)
        yield store, lock, dev, tag


def test_other_commands_go_on():
    with resize_waits(b"/b") as (store, lock, dev, tag):
        for n in range(1, c.MAILBOXES_MAX):
            dev.posts(c.CMD_STAT, "/b", n=n)
        dev.posts(c.CMD_ATTACH, "/a", n=1)
        dev.wake(0, 1)
        equal(dev.stat("/b").size, PAGE, "by registers")
        waits(dev, 0, tag)
        lock.release()
        equal(dev.wait(0, tag), c.OK, "resize")
        equal(dev.attr(0).bytes, 2 * PAGE, "size")
        equal(size_of(store, b"/a"), 2 * PAGE, "size on the host")


def size_of(store, name):
    return os.fstat(store.objects[name].fd).st_size


def is_resized(store):
    until(lambda: size_of(store, b"/a") == 2 * PAGE, "the rest")


def test_a_busy_mailbox_is_left_alone():
    """The guest writes to the mailbox of a running command, as another CPU of
    the guest could."""
    with resize_waits(b"/b") as (store, lock, dev, tag):
        dev.submit(0, c.CMD_RESIZE, "/b", length=0)
        waits(dev, 0, tag)
        dev.vm.fill(dev.box(0), c.MAILBOX_SIZE, 0xff)
        dev.set(c.REG_DOORBELL, 0)
        lock.release()
        equal(dev.wait(0, tag), c.OK, "resize")
        equal(size_of(store, b"/a"), 2 * PAGE, "/a")
        equal(size_of(store, b"/b"), PAGE, "/b")
        equal(dev.posts(c.CMD_STAT, "/b").attr().bytes, PAGE, "afterwards")


def test_limits_hold_for_commands_at_the_same_time():
    with resize_waits(b"/b", options=f",max-bytes={3 * PAGE}") as (
            _, lock, dev, tag):
        other = dev.submit(1, c.CMD_RESIZE, "/b", length=2 * PAGE)
        waits(dev, 1, other)
        # The registers of contract 1.0 also refuse a command.
        equal(dev.command(c.CMD_RESIZE, "/b", length=2 * PAGE), c.EBUSY,
              "by registers")
        lock.release()
        equal(dev.wait(0, tag), c.OK, "the first")
        equal(dev.wait(1, other), c.EDQUOT, "the second")


def test_reset():
    with resize_waits() as (store, lock, dev, _):
        dev.vm.qmp("system_reset")
        dev.vm.event("RESET")
        dev.assign()
        equal(dev.vm.load(dev.box(0), c.MAILBOX_SIZE),
              bytes(c.MAILBOX_SIZE), "the mailbox")
        # The mailbox is free.
        dev.posts(c.CMD_ATTACH, "/a")
        tag = dev.tags
        lock.release()
        is_resized(store)
        equal(dev.word(0, c.MB_RES_TAG), tag, "tag")
        equal(len(attachments(dev.vm)), 1, "attachments")


def test_release():
    with resize_waits() as (store, lock, dev, tag):
        dev.posts(c.CMD_RELEASE, n=1)
        dev.posts(c.CMD_STAT, "/a", n=0)
        lock.release()
        is_resized(store)
        true(not dev.finished(0, tag), "the command has completed")


def again_and_again(dev, command, rounds):
    """Submits a command in each mailbox, and then RELEASE, which frees the
    mailboxes."""
    for n in range(c.MAILBOXES_MAX):
        dev.submit(n, command, "/b", second="/c", length=PAGE)
    lines = [f"writel {dev.regs + c.REG_COMMAND:#x} {c.CMD_RELEASE:#x}"]
    lines += [f"writel {dev.regs + c.REG_DOORBELL:#x} {n:#x}"
              for n in range(c.MAILBOXES_MAX)]
    for _ in range(rounds):
        dev.vm.batch(lines)


def test_released_commands_have_a_limit():
    """Released commands of which the guest submits more while the host is slow
    """
    needs_root()
    with Store([b"/b"]) as store, \
            machine(options=store.options + CREATE) as vm:
        dev = Mailboxes(vm)
        fds = len(descriptors(vm))
        with InodeLock(store.objects[b"/b"]) as lock:
            again_and_again(dev, c.CMD_RESIZE, 20)
            have = len(descriptors(vm))
            true(have - fds <= COMMANDS_MAX, f"{have} descriptors, was {fds}")
            equal(dev.word(0, c.MB_RES_STATUS), c.EAGAIN, "excess command")
            # A command without a mailbox completes.
            equal(dev.stat("/b").size, 0, "by registers")
            lock.release()
        until(lambda: len(descriptors(vm)) == fds, "descriptors are left")
        dev.posts(c.CMD_RESIZE, "/b", length=2 * PAGE)


def test_released_commands_that_have_not_begun():
    """Released commands end one after the other, in one thread of the host."""
    with resize_waits(b"/b", options=",max-bytes=1M") as (store, lock, dev, _):
        again_and_again(dev, c.CMD_LINK, 700)
        dev.does(c.CMD_RELEASE)
        lock.release()
        is_resized(store)
        until(lambda: dev.post(c.CMD_LINK, "/b", second="/c") == c.OK,
              "the commands do not end")


def test_unplug():
    needs_root()
    with Object(PAGE) as obj, machine(devices=0) as vm:
        vm.add("vmshm", id="hot", addr="9", create=True, arena=2 << 20)
        dev = Mailboxes(vm, slot=9)
        dev.posts(c.CMD_ATTACH, obj.name, n=1)
        with InodeLock(obj) as lock:
            tag = dev.submit(0, c.CMD_RESIZE, obj.name, length=2 * PAGE)
            true(not dev.finished(0, tag), "the command has completed")
            vm.qmp("device_del", id="hot")
            vm.eject_acpi(0xae00, 0, 9)
            equal(mapped(vm, obj), [], "mappings")
            equal(vm.qmp("query-status")["status"], "prelaunch", "QMP")
            lock.release()
        # The command has kept the device from being deleted.
        vm.event("DEVICE_DELETED")
        until(lambda: os.fstat(obj.fd).st_size == 2 * PAGE, "the rest")

        def gone():
            try:
                released(vm, obj)
            except AssertionError:
                return False
            return True
        until(gone, "a descriptor is left")


def test_migration_has_the_result():
    with resize_waits() as (_, lock, dev, tag):
        events(dev.vm)
        dev.vm.qmp("migrate", uri="exec:cat >/dev/null")
        lock.release()
        completed(dev.vm)
        equal(dev.wait(0, tag), c.OK, "resize")


def test_migration_that_cannot_wait():
    """A migration fails while a command waits for a host process, and the
    command goes on."""
    with resize_waits() as (_, lock, dev, tag):
        events(dev.vm)
        dev.vm.qmp("migrate", uri="exec:cat >/dev/null")
        equal(dev.vm.event("MIGRATION", lambda d: d["status"] in (
            "completed", "failed"))["status"], "failed", "migration")
        true("a command of the guest still waits" in dev.vm.said(),
             dev.vm.said())
        true(not dev.finished(0, tag), "the command has completed")
        lock.release()
        equal(dev.wait(0, tag), c.OK, "resize")
        equal(dev.attr(0).bytes, 2 * PAGE, "size")


def test_the_interrupt_of_a_deferred_completion():
    needs_root()
    with Store([b"/a"], PAGE) as store, \
            machine(options=store.options + CREATE) as vm:
        dev = Mailboxes(vm)
        table = dev.pci.bars[c.BAR_MSIX]
        dev.pci.set(dev.pci.capability(MSIX) + 2, ENABLE | MASK_ALL, 2)
        with InodeLock(store.objects[b"/a"]) as lock:
            tags = [dev.submit(n, c.CMD_RESIZE, "/a", length=2 * PAGE,
                               vector=vector)
                    for n, vector in enumerate((3, 99))]
            waits(dev, 0, tags[0])
            equal(vm.read(table + PENDING, 4), 0, "before")
            lock.release()
            for n, tag in enumerate(tags):
                equal(dev.wait(n, tag), c.OK, "resize")
        until(lambda: vm.read(table + PENDING, 4) == 1 | 1 << 3,
              "vectors 3 and 0 are not pending")


def test_a_long_allocation_is_deferred():
    with Store([b"/a"]) as store, \
            machine(options=store.options + CREATE) as vm:
        dev = Mailboxes(vm)
        tags = [dev.submit(n, c.CMD_ALLOCATE, "/a", offset=n << 26,
                           length=c.ALLOCATE_MAX) for n in range(3)]
        for n, tag in enumerate(tags):
            equal(dev.wait(n, tag), c.OK, "allocate")
        equal(os.stat(path(store.host(b"/a").decode())).st_blocks,
              3 * c.ALLOCATE_MAX // 512, "blocks")


def test_the_last_use_of_a_large_object():
    """The memory is freed while the VM continues. DETACH completes afterwards.
    """
    with Object(64 << 20, b"host") as obj, machine() as vm:
        os.posix_fallocate(obj.fd, 0, 64 << 20)
        dev = Mailboxes(vm).posts(c.CMD_ATTACH, obj.name)
        handle = dev.res_handle()
        obj.unlink()
        dev.posts(c.CMD_DETACH, handle=handle)
        released(vm, obj)
