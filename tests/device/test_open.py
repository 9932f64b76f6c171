# SPDX-License-Identifier: GPL-2.0-or-later
"""Open and close"""

import os

import contract as c
from shm import Object, fresh_name, names, pattern
from vmshm import (Vmshm, descriptors, equal, machine, mapped, released,
                   true)

MIB = 1 << 20


def test_guest_and_host_see_each_other():
    with Object(MIB, pattern(MIB)) as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        equal(dev.load(), pattern(MIB), "host to guest")
        dev.store(0, pattern(MIB, 1))
        equal(obj.read(0, MIB), pattern(MIB, 1), "guest to host")
        obj.write(12345, b"while it is open")
        equal(dev.load(12345, 16), b"while it is open", "host to guest")
        for size in (1, 2, 4, 8):
            for offset in (0, 1, 4093, 4095, MIB - size):
                data = pattern(size, offset)
                vm.write(dev.buffer + offset, size,
                         int.from_bytes(data, "little"))
                equal(obj.read(offset, size), data,
                      f"write of {size} at {offset}")
        dev.closed()
        equal(obj.size, MIB, "size")


def test_content_stays_in_the_object_after_close():
    with Object(8192) as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        dev.store(0, pattern(8192))
        dev.closed()
        equal(obj.read(0, 9000), pattern(8192), "the object")
        dev.opened(obj.name)
        dev.shows(pattern(8192), "opened again")


def test_second_open_is_busy_and_changes_nothing():
    with Object(4096, b"first") as first, \
            Object(4096, b"second") as second, machine() as vm:
        dev = Vmshm(vm).opened(first.name)
        for name in (first.name, second.name, fresh_name(), "", "no slash",
                     "/" + "x" * 600):
            equal(dev.open(name), c.EBUSY, f"open {name}")
            equal(dev.load(0, 5), b"first", "the buffer")
        dev.store(0, b"FIRST")
        equal(first.read(0, 5), b"FIRST", "still the first object")
        released(vm, second)


def test_close_twice_and_close_first():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        dev.closed()
        dev.closed()
        dev.opened(obj.name)
        dev.closed()
        dev.closed()
        dev.is_zero("closed twice")
        dev.opened(obj.name)
        equal(dev.load(0, 4), b"host", "opened after that")


def test_failed_open_then_good_open():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        equal(dev.open(fresh_name()), c.ENOENT, "missing")
        dev.is_zero("after a failed open")
        dev.opened(obj.name)
        dev.closed()
        equal(dev.open(fresh_name()), c.ENOENT, "missing")
        dev.is_zero("after open, close and a failed open")
        dev.opened(obj.name)


def test_another_object_after_close():
    with Object(4096, pattern(4096)) as first, \
            Object(100, pattern(100, 1)) as second, machine() as vm:
        dev = Vmshm(vm)
        for _ in range(5):
            dev.opened(first.name).shows(pattern(4096), "first")
            dev.closed()
            dev.is_zero("closed")
            dev.opened(second.name).shows(pattern(100, 1), "second")
            dev.closed()
            dev.is_zero("closed")


def test_closed_buffer_is_private_memory():
    with Object(4096, b"host") as obj, machine(devices=2) as vm:
        dev, other = Vmshm(vm), Vmshm(vm, slot=5)
        dev.is_zero("at the start")
        dev.store(0, pattern(MIB))
        dev.shows(pattern(MIB), "the buffer is memory")
        other.is_zero("another device")
        dev.opened(obj.name).shows(b"host", "fresh after open")
        dev.closed()
        dev.is_zero("fresh after close")
        dev.store(0, pattern(MIB, 1))
        # Without an open object, a close has no effect or clears the buffer.
        dev.closed()
        equal(dev.open(fresh_name()), c.ENOENT, "missing")
        dev.opened(obj.name).shows(b"host", "fresh after open")
        equal(obj.read(0, 5000), b"host" + bytes(4092), "the object")


def test_close_releases_everything():
    with Object(MIB, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        before = descriptors(vm)
        dev.opened(obj.name)
        equal(len(mapped(vm, obj)), 1, "mappings")
        true("rw-s" in mapped(vm, obj)[0], "the mapping is read-write")
        dev.closed()
        released(vm, obj)
        equal(descriptors(vm), before, "descriptors")


def test_nothing_is_mapped_executable():
    with Object(MIB) as obj, machine() as vm:
        Vmshm(vm).opened(obj.name)
        for line in mapped(vm, obj):
            true("x" not in line.split()[1], line)


def test_host_sees_no_change_by_open_and_close():
    with Object(5000, pattern(5000), mode=0o640) as obj, machine() as vm:
        before = os.fstat(obj.fd)
        there = names()
        dev = Vmshm(vm).opened(obj.name)
        dev.load()
        dev.closed()
        after = os.fstat(obj.fd)
        for field in ("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns",
                      "st_nlink", "st_blocks"):
            equal(getattr(after, field), getattr(before, field), field)
        equal(obj.read(0, 6000), pattern(5000), "content")
        equal(names(), there, "names")
