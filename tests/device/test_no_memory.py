# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's kernel refuses a change of QEMU's mappings: the command fails,
and nothing has changed."""

import contract as c
from arena import PAGE, Arena, attachments
from shm import Object, pattern
from store import Store
from tracer import Calls
from vmshm import SLOT, equal, machine, released, true

SIZE = 8 * PAGE
DATA = pattern(SIZE)


def refused(vm, which):
    """The change number `which`, and with a + those after it. Each change of a
    window ends with mremap(2)."""
    return Calls(vm, "mremap", inject=f"mremap:error=ENOMEM:when={which}")


def test_attach():
    with Object(SIZE, DATA) as obj, machine(options=",arena=2M") as vm:
        dev = Arena(vm)
        handle = dev.attach(obj.name)
        with refused(vm, "1+"):
            for flags, place in (0, 64), (c.RQ_READONLY, dev.span // PAGE):
                equal(dev.command(c.CMD_ATTACH, obj.name, flags=flags,
                                  place=place * PAGE), c.ENOMEM, "attach")
        equal(len(attachments(vm)), 1, "attachments")
        dev.sees_zeros(64 * PAGE, SIZE, "the place")
        dev.sees_zeros(dev.span, SIZE, "the read-only place")
        dev.sees(0, DATA, "the other attachment")
        dev.detach(handle, dev.attach(obj.name, 64 * PAGE))
        released(vm, obj)


def test_detach():
    with Object(SIZE, DATA) as obj, machine(options=",arena=2M") as vm:
        dev = Arena(vm)
        handles = [dev.attach(obj.name, i * SIZE) for i in range(3)]
        with refused(vm, "1+"):
            for handle in handles:
                equal(dev.command(c.CMD_DETACH, handle=handle), c.ENOMEM,
                      "detach")
            equal(dev.command(c.CMD_RELEASE), c.ENOMEM, "release")
        equal(len(attachments(vm)), 3, "attachments")
        for i in range(3):
            dev.sees(i * SIZE, DATA, "still attached")
        # One of them is refused, and RELEASE detaches the others
        with refused(vm, "2"):
            equal(dev.command(c.CMD_RELEASE), c.ENOMEM, "release")
        equal(len(attachments(vm)), 1, "attachments")
        dev.does(c.CMD_RELEASE)
        dev.sees_zeros(0, 3 * SIZE, "detached")
        released(vm, obj)


def resize_is_refused(store, vm, which, places):
    dev, obj = Arena(vm), store.objects[b"/a"]
    for place in places:
        dev.attach("/a", place)
    dev.attach_ro("/a")
    with refused(vm, which):
        equal(dev.command(c.CMD_RESIZE, "/a", length=PAGE), c.ENOMEM,
              f"resize, {which}")
    equal(obj.size, SIZE, "size")
    for offset in 0, SIZE - 4:
        obj.write(offset, which.encode().ljust(4))
    expected = obj.read(0, SIZE)
    for place in (*places, dev.span):
        dev.sees(place, expected, f"after {which}, at {place:#x}")
    dev.does(c.CMD_RELEASE)


def test_resize():
    """Attachments that were cut are whole again."""
    places = 0, SIZE, 2 * SIZE, 3 * SIZE
    with Store([b"/a"], SIZE) as store, \
            machine(options=store.options + ",create=on") as vm:
        for which in "1", "2", "3", "4", "5":
            resize_is_refused(store, vm, which, places)
        dev = Arena(vm)
        dev.attach("/a")
        dev.does(c.CMD_RESIZE, "/a", length=PAGE)
        dev.sees_zeros(PAGE, SIZE - PAGE, "what was cut")


def test_resize_that_cannot_be_undone():
    """The guest learns that an attachment is not whole."""
    with Store([b"/a"], SIZE) as store, \
            machine(options=store.options + ",create=on") as vm:
        dev = Arena(vm)
        handles = [dev.attach("/a", i * SIZE) for i in range(3)]
        with refused(vm, "2+"):
            equal(dev.command(c.CMD_RESIZE, "/a", length=PAGE), c.ENOMEM,
                  "resize")
        equal(store.objects[b"/a"].size, SIZE, "size")
        told = [dev.command(c.CMD_STAT, flags=c.RQ_HANDLE, handle=h)
                for h in handles]
        equal(sorted(told), [c.OK, c.OK, c.EIO], "the next command")
        dev.does(c.CMD_RELEASE)


def test_the_buffer():
    with Object(SIZE, DATA) as obj, machine() as vm:
        dev = Arena(vm, slot=SLOT)
        dev.store(0, b"guest")
        for which in "1", "2":
            with refused(vm, which):
                equal(dev.open(obj.name), c.ENOMEM, f"open, {which}")
            equal(attachments(vm), [], "attachments")
            released(vm, obj)
        dev.opened(obj.name).shows(DATA, "the object")
        with refused(vm, "1+"):
            equal(dev.close(), c.ENOMEM, "close")
        dev.shows(DATA, "the object, still open")
        equal(dev.open(obj.name), c.EBUSY, "it is open")
        dev.closed()
        dev.is_zero("closed")
        true(not attachments(vm), "attachments")
