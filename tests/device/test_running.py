# SPDX-License-Identifier: GPL-2.0-or-later
"""The device while a processor accesses it, with TCG and with KVM"""

import struct

import contract as c
from arena import PAGE, Arena
from running import SEEN, VALUE, WRITES, Running, tests_of
from shm import Object
from vmshm import equal, true

OPTIONS = ",arena=2M"


def words(value, size=PAGE):
    return struct.pack("<I", value) * (size // 4)


def read_only_span(how):
    with Object(PAGE, words(0x11111111)) as obj, \
            Running(how, OPTIONS) as cpu:
        dev = Arena(cpu.vm)
        rw, ro = dev.arena, dev.arena + dev.span
        cpu.start(ro)
        equal(cpu.store(ro, 0xbad), 0, "nothing attached")
        handle = dev.attach_ro(obj.name)
        equal(cpu.look(ro), 0x11111111, "attached")
        equal(cpu.store(ro, 0xbad), 0x11111111, "read after a write")
        equal(obj.read(0, PAGE), words(0x11111111), "the object")
        # Writes beside it and in the other span reach the object.
        dev.attach(obj.name)
        equal(cpu.store(rw + 8, 0x22222222), 0x22222222, "writable")
        equal(obj.read(8, 4), words(0x22222222, 4), "the object")
        equal(cpu.look(ro + 8), 0x22222222, "seen read-only")
        dev.detach(handle)
        equal(cpu.store(ro, 0xbad), 0, "detached")
        true(cpu.alive, "the machine stopped")


def read_only_device(how):
    with Object(PAGE, words(0x11111111)) as obj, \
            Running(how, OPTIONS + ",readonly=on") as cpu:
        dev = Arena(cpu.vm)
        cpu.start(dev.buffer)
        equal(cpu.store(dev.buffer, 0xbad), 0, "closed")
        dev.opened(obj.name)
        equal(cpu.look(dev.buffer), 0x11111111, "opened")
        equal(cpu.store(dev.buffer, 0xbad), 0x11111111, "opened")
        equal(cpu.store(dev.buffer + PAGE, 0xbad), 0, "behind it")
        dev.closed()
        equal(cpu.store(dev.buffer, 0xbad), 0, "closed")
        equal(obj.read(0, PAGE), words(0x11111111), "the object")
        true(cpu.alive, "the machine stopped")


def detach_at_once(how):
    """After DETACH, no processor reads the object, nor another object there."""
    with Object(PAGE, words(0x11111111)) as one, \
            Object(PAGE, words(0x22222222)) as two, \
            Running(how, OPTIONS) as cpu:
        dev = Arena(cpu.vm)
        cpu.start(dev.arena)
        for obj, value in ((one, 0x11111111), (two, 0x22222222)) * 10:
            equal(cpu.look(dev.arena), 0, "before")
            handle = dev.attach(obj.name)
            equal(cpu.look(dev.arena), value, "attached")
            dev.detach(handle)
            # A round that began after DETACH
            cpu.round()
            for _ in range(5):
                equal(cpu.vm.read(SEEN, 4), 0, "detached")


def writes_after_detach(how):
    """The writes of a running processor do not change the object after DETACH,
    and are not visible in the next object."""
    with Object(PAGE, words(0x11111111)) as one, \
            Object(PAGE, words(0x22222222)) as two, \
            Running(how, OPTIONS) as cpu:
        dev = Arena(cpu.vm)
        cpu.start(dev.arena)
        cpu.vm.write(VALUE, 4, 0xcafe)
        cpu.vm.write(WRITES, 4, 1)
        for _ in range(20):
            handle = dev.attach(one.name)
            cpu.round()
            equal(one.read(0, 8), words(0xcafe, 4) + words(0x11111111, 4),
                  "attached")
            dev.detach(handle)
            one.write(0, words(0x11111111, 4))
            cpu.round()
            equal(one.read(0, PAGE), words(0x11111111), "detached")
            dev.detach(dev.attach(two.name, PAGE))
        equal(two.read(0, PAGE), words(0x22222222), "the other object")
        true(cpu.alive, "the machine stopped")


def shrunk_under_it(how):
    """RESIZE removes the page that the processor is reading."""
    with Object(2 * PAGE, words(0x11111111, 2 * PAGE)) as obj, \
            Running(how, OPTIONS + ",create=on") as cpu:
        dev = Arena(cpu.vm)
        cpu.start(dev.arena + PAGE)
        for base in (dev.arena, dev.arena + dev.span):
            obj.write(0, words(0x11111111, 2 * PAGE))
            dev.does(c.CMD_RELEASE)
            dev.attach(obj.name)
            dev.attach_ro(obj.name)
            equal(cpu.look(base + PAGE), 0x11111111, "before")
            dev.does(c.CMD_RESIZE, obj.name, length=PAGE)
            equal(cpu.look(base + PAGE), 0, "behind the new end")
            equal(cpu.look(base), 0x11111111, "before it")
        true(cpu.alive, "the machine stopped")


globals().update(tests_of(read_only_span, read_only_device, detach_at_once,
                          writes_after_detach, shrunk_under_it))
