# SPDX-License-Identifier: GPL-2.0-or-later
"""ATTACH and DETACH: sizes, parts, places, both spans, and all refusals"""

import os

import contract as c
from arena import MIB, PAGE, Arena, attachments, refusals
from shm import Object, fresh_name, pattern
from vmshm import (SLOT, Vmshm, equal, machine, mapped, released, true)

ARENA = 16 * MIB
OPTIONS = f",arena={ARENA}"
SIZES = (1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 2 * MIB - 1, 2 * MIB,
         2 * MIB + 1, ARENA - PAGE + 1, ARENA)
TOP = 1 << 64


def pages(size):
    return -(-size // PAGE) * PAGE


def test_sizes_in_both_spans():
    with machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        for size in SIZES:
            with Object(size, pattern(size)) as obj:
                whole = obj.read(0, size).ljust(pages(size), b"\0")
                rw = dev.attach(obj.name)
                dev.sees(0, whole, f"{size} bytes")
                ro = dev.attach_ro(obj.name)
                dev.sees(dev.span, whole, f"{size} bytes, read-only")
                dev.put(size - 1, b"G")
                equal(obj.read(size - 1, 1), b"G", "the guest's write")
                dev.sees(dev.span + size - 1, b"G", "in the other span")
                obj.write(0, b"H")
                dev.sees(0, b"H", "the host's write")
                rest = min(PAGE, ARENA - len(whole))
                dev.sees_zeros(len(whole), rest, "behind the attachment")
                dev.detach(rw, ro)
                dev.sees_zeros(0, len(whole), "after detach")
                dev.sees_zeros(dev.span, len(whole), "after detach")
                equal(obj.size, size, "size of the object")
                released(vm, obj)


def test_at_the_ends_of_the_spans():
    with Object(PAGE, b"host") as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        last = dev.span - PAGE
        places = (0, last, dev.span, dev.span + last)
        for place in places:
            dev.attach(obj.name, place,
                       flags=c.RQ_READONLY if place >= dev.span else 0)
        for place in places:
            dev.sees(place, b"host".ljust(PAGE, b"\0"), f"at {place:#x}")
        equal(len(mapped(vm, obj)), 4, "mappings")


def test_larger_than_the_arena():
    size = ARENA + 5 * PAGE
    with Object(size) as obj, machine(options=OPTIONS) as vm:
        obj.write(ARENA - 4, b"edgeEDGE")
        dev = Arena(vm)
        equal(dev.command(c.CMD_ATTACH, obj.name, length=size), c.EINVAL,
              "the whole object")
        handle = dev.attach(obj.name)
        equal(attachments(vm)[0]["bytes"], ARENA, "bytes")
        dev.sees(ARENA - 4, b"edge\0\0\0\0", "the end of the span")
        dev.detach(handle)
        handle = dev.attach(obj.name, PAGE, offset=6 * PAGE)
        equal(attachments(vm)[0]["bytes"], ARENA - PAGE, "bytes")
        dev.sees(ARENA - 5 * PAGE - 4, b"edgeEDGE", "shifted")
        dev.detach(handle)


def test_parts():
    """Each part of a few pages shows these pages only."""
    size = 5 * PAGE + 7
    data = pattern(size)
    with Object(size, data) as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        data = data.ljust(6 * PAGE, b"\0")
        for first in range(6):
            for count in range(7 - first):
                handle = dev.attach(obj.name, 3 * PAGE, offset=first * PAGE,
                                    length=count * PAGE)
                end = (first + count) * PAGE if count else 6 * PAGE
                part = data[first * PAGE:end]
                dev.sees(2 * PAGE, bytes(PAGE) + part + bytes(PAGE),
                         f"pages {first} to {end // PAGE}")
                equal(attachments(vm)[0]["bytes"], len(part), "bytes")
                dev.detach(handle)


def test_length_is_rounded_up():
    with Object(3 * PAGE, pattern(3 * PAGE)) as obj, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        for length, bytes_ in ((1, 1), (PAGE - 1, 1), (PAGE, 1),
                               (PAGE + 1, 2), (3 * PAGE - 1, 3), (0, 3)):
            handle = dev.attach(obj.name, length=length)
            dev.sees(0, pattern(3 * PAGE)[:bytes_ * PAGE].ljust(
                4 * PAGE, b"\0"), f"length {length}")
            dev.detach(handle)
        equal(dev.command(c.CMD_ATTACH, obj.name, length=3 * PAGE + 1),
              c.ENODATA, "more than there is")


def test_no_data():
    with Object(0) as empty, Object(PAGE + 1) as obj, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        for name, offset, length in (
                (empty.name, 0, 0), (empty.name, 0, 1), (empty.name, PAGE, 0),
                (obj.name, 2 * PAGE, 0), (obj.name, 2 * PAGE, 1),
                (obj.name, PAGE, PAGE + 1), (obj.name, 0, 2 * PAGE + 1),
                (obj.name, 1 << 40, 0), (obj.name, TOP - PAGE, PAGE)):
            for flags, place in ((0, 0), (c.RQ_READONLY, dev.span)):
                equal(dev.command(c.CMD_ATTACH, name, offset=offset,
                                  length=length, place=place, flags=flags),
                      c.ENODATA, f"offset {offset}, length {length}")
        equal(attachments(vm), [], "attachments")
        os.ftruncate(empty.fd, 1)
        dev.attach(empty.name)


def test_alignment():
    with Object(4 * PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        for wrong in (1, 2, 4, 511, 512, 2048, PAGE - 1, PAGE + 1,
                      TOP - 1, (1 << 32) + 1):
            for key in ("offset", "place"):
                equal(dev.command(c.CMD_ATTACH, obj.name, **{key: wrong}),
                      c.EINVAL, f"{key} {wrong:#x}")
        equal(attachments(vm), [], "attachments")
        # Alignment to 2 MiB only improves performance; any page is valid.
        dev.attach(obj.name, 3 * PAGE, offset=2 * PAGE)


def test_extremes_of_64_bits():
    size = 3 * PAGE
    with Object(size, pattern(size)) as obj, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        last = dev.span - PAGE
        for errno, (offset, length, place) in (
                (c.EINVAL, (0, TOP - 1, 0)), (c.EINVAL, (0, TOP - PAGE, 0)),
                (c.EINVAL, (0, TOP - PAGE + 1, 0)),
                (c.EINVAL, (PAGE, TOP - PAGE, 0)),
                (c.EINVAL, (0, 1 << 63, 0)), (c.EINVAL, (0, 1 << 32, 0)),
                (c.EINVAL, (0, ARENA + 1, 0)),
                (c.ENODATA, (TOP - PAGE, 0, 0)),
                (c.ENODATA, (TOP - PAGE, 2 * PAGE, 0)),
                (c.ENODATA, (1 << 63, 0, 0)), (c.ENODATA, (1 << 32, 0, 0)),
                (c.EINVAL, (0, 0, TOP - PAGE)),
                (c.EINVAL, (0, 2 * PAGE, TOP - PAGE)),
                (c.EINVAL, (0, 0, 1 << 63)), (c.EINVAL, (0, 0, 1 << 32)),
                (c.EINVAL, (0, 0, 2 * ARENA)),
                (c.EINVAL, (0, 2 * PAGE, last)),
                (c.EINVAL, (TOP - PAGE, TOP - PAGE, TOP - PAGE))):
            equal(dev.command(c.CMD_ATTACH, obj.name, offset=offset,
                              length=length, place=place), errno,
                  f"offset {offset:#x} length {length:#x} place {place:#x}")
        # Places in the read-only span
        for errno, length, place in (
                (c.EINVAL, 2 * PAGE, dev.span + last),
                (c.EINVAL, 0, 2 * dev.span), (c.EINVAL, 0, TOP - PAGE),
                (c.EINVAL, TOP - 1, dev.span), (c.OK, PAGE, dev.span + last)):
            equal(dev.command(c.CMD_ATTACH, obj.name, length=length,
                              place=place, flags=c.RQ_READONLY), errno,
                  f"read-only: length {length:#x} place {place:#x}")
        equal(len(attachments(vm)), 1, "attachments")
        # An attachment of length 0 ends at the end of the span.
        dev.attach(obj.name, last)
        dev.sees(last, pattern(size)[:PAGE] + bytes(PAGE), "the last page")


def test_largest_object():
    """An object of 2**63 - 1 bytes, which is a hole, can be attached."""
    with Object(0) as obj, machine(options=OPTIONS) as vm:
        os.ftruncate(obj.fd, 2**63 - 1)
        dev = Arena(vm)
        for offset in (0, 1 << 40, 2**63 - ARENA - PAGE):
            handle = dev.attach(obj.name, offset=offset)
            equal(attachments(vm)[0]["bytes"], ARENA, "bytes")
            dev.put(ARENA - 4, b"last")
            equal(obj.read(offset + ARENA - 4, 4), b"last", f"at {offset:#x}")
            dev.detach(handle)
        # Linux cannot map any file up to that offset.
        equal(dev.command(c.CMD_ATTACH, obj.name, offset=2**63 - PAGE),
              c.EOVERFLOW, "the last page")
        dev.sees_zeros(0, PAGE, "after the failure")


def test_span_and_flag_have_to_fit():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        for place in (dev.span, dev.span + PAGE, 2 * dev.span - PAGE):
            equal(dev.command(c.CMD_ATTACH, obj.name, place=place),
                  c.EINVAL, f"writable at {place:#x}")
        for place in (0, PAGE, dev.span - PAGE):
            equal(dev.command(c.CMD_ATTACH, obj.name, place=place,
                              flags=c.RQ_READONLY), c.EINVAL,
                  f"read-only at {place:#x}")
        equal(refusals(vm), {"request": 6}, "refusals")


def test_overlaps_are_busy():
    with Object(8 * PAGE, pattern(8 * PAGE)) as obj, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        for flags, base in ((0, 0), (c.RQ_READONLY, dev.span)):
            where = base + 4 * PAGE
            dev.attach(obj.name, where, length=4 * PAGE, flags=flags)
            for first in range(10):
                for count in range(1, 8):
                    status = dev.command(
                        c.CMD_ATTACH, obj.name, flags=flags,
                        place=base + first * PAGE, length=count * PAGE)
                    clash = first < 8 and 4 < first + count
                    equal(status, c.EBUSY if clash else c.OK,
                          f"pages {first} to {first + count}")
                    if not clash:
                        dev.detach(dev.get(c.REG_RES_HANDLE))
            dev.sees(where, pattern(8 * PAGE)[:4 * PAGE], "the first one")
        equal(len(attachments(vm)), 2, "attachments")


def test_length_0_does_not_stop_at_a_neighbour():
    """ATTACH fails with EBUSY, and does not attach a shorter part."""
    with Object(4 * PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        dev.attach(obj.name, 2 * PAGE, length=PAGE)
        equal(dev.command(c.CMD_ATTACH, obj.name), c.EBUSY, "length 0")


def test_one_object_many_times():
    size = 4 * PAGE
    with Object(size, pattern(size)) as obj, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        dev.opened(obj.name)
        handles = [dev.attach(obj.name, i * 5 * PAGE) for i in range(10)]
        handles += [dev.attach_ro(obj.name, i * 5 * PAGE) for i in range(10)]
        equal(len(set(handles)), 20, "handles")
        places = [i * 5 * PAGE for i in range(10)]
        for i, place in enumerate(places):
            dev.put(place + i * 100, b"guest %d" % i)
        dev.store(2000, b"through BAR1")
        want = obj.read(0, size)
        true(b"guest 7" in want and b"BAR1" in want, "writes are missing")
        for place in places:
            dev.sees(place, want + bytes(PAGE), f"at {place:#x}")
            dev.sees(dev.span + place, want + bytes(PAGE), f"at {place:#x}")
        dev.shows(want, "BAR1")
        for handle, place in zip(handles[::2], places[::2]):
            dev.detach(handle)
            dev.sees_zeros(place, size, "detached")
        dev.closed()
        dev.sees(places[1], want, "the others stay")
        equal(len(mapped(vm, obj)), 15, "mappings")


def test_by_handle():
    size = 4 * PAGE
    with Object(size, pattern(size)) as obj, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        first = dev.attach(obj.name, length=PAGE)
        obj.unlink()
        with Object(size, b"another", name=obj.name):
            second = dev.attach(fresh_name(), 8 * PAGE, offset=PAGE,
                                flags=c.RQ_HANDLE, handle=first)
            dev.sees(8 * PAGE, pattern(size)[PAGE:], "by handle")
            # It does not depend on the handle that it was made from.
            dev.detach(first)
            dev.put(8 * PAGE, b"guest")
            equal(obj.read(PAGE, 5), b"guest", "the object")
            third = dev.attach(None, dev.span, handle=second,
                               flags=c.RQ_HANDLE | c.RQ_READONLY)
            dev.sees(dev.span + PAGE, b"guest", "read-only, by handle")
            equal({a["name"] for a in attachments(vm)}, {obj.name}, "names")
            dev.detach(second, third)
        released(vm, obj)


def test_detach_wrong_and_stale_handles():
    with Object(PAGE, b"host") as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        equal(dev.command(c.CMD_DETACH, handle=0), c.EBADF, "none")
        dev.opened(obj.name)
        handle = dev.attach(obj.name)
        for wrong in (0, handle + 1, handle - 1, 0xffffffff):
            equal(dev.command(c.CMD_DETACH, handle=wrong), c.EBADF, wrong)
        dev.shows(b"host", "the object at BAR1")
        dev.detach(handle)
        equal(dev.command(c.CMD_DETACH, handle=handle), c.EBADF, "twice")
        # The stale handle does not name the next attachment at this place.
        again = dev.attach(obj.name)
        true(again != handle, "the handle is used again at once")
        equal(dev.command(c.CMD_DETACH, handle=handle), c.EBADF, "stale")
        dev.sees(0, b"host", "the new object")


def test_handles_are_not_used_again_soon():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        seen = set()
        for _ in range(1000):
            handle = dev.attach(obj.name)
            dev.detach(handle)
            seen.add(handle)
        equal(len(seen), 1000, "different handles")


def test_handles_are_per_device():
    with Object(PAGE, b"host") as obj, \
            machine(devices=2, options=OPTIONS) as vm:
        one, two = Arena(vm), Arena(vm, slot=SLOT + 1)
        handle = one.attach(obj.name)
        equal(two.command(c.CMD_DETACH, handle=handle), c.EBADF, "detach")
        equal(two.command(c.CMD_STAT, flags=c.RQ_HANDLE, handle=handle),
              c.EBADF, "stat")
        one.sees(0, b"host", "the first device")
        two.sees_zeros(0, PAGE, "the other")


def test_private_memory_and_detach():
    """An attachment replaces the guest's private memory at its place. After
    DETACH, the object's bytes are no longer visible there."""
    with Object(2 * PAGE, b"\xaa" * 2 * PAGE) as one, \
            Object(PAGE, b"\xbb" * 10) as two, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        dev.put(0, b"private".ljust(4 * PAGE, b"p"))
        for _ in range(3):
            first = dev.attach(one.name)
            dev.sees(0, b"\xaa" * 2 * PAGE, "the first object")
            dev.detach(first)
            dev.sees_zeros(0, 2 * PAGE, "zero at once")
            dev.put(0, b"\xcc" * 2 * PAGE)
            second = dev.attach(two.name)
            dev.sees(0, b"\xbb" * 10 + bytes(PAGE - 10), "the second")
            dev.detach(second)
            dev.sees_zeros(0, PAGE, "zero at once")
        equal(one.read(0, 2 * PAGE), b"\xaa" * 2 * PAGE, "object one")
        equal(two.read(0, PAGE), b"\xbb" * 10 + bytes(PAGE - 10), "object two")


def test_writes_to_the_read_only_span_are_ignored():
    """Writes of each size are ignored, at attached and other places, also if
    the object is writable."""
    with Object(2 * PAGE, pattern(2 * PAGE)) as obj, \
            machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        at = dev.arena + dev.span

        def scribble():
            for size in (1, 2, 4, 8):
                for offset in (0, 8, PAGE, 2 * PAGE, 3 * PAGE - 8,
                               dev.span - 8):
                    vm.write(at + offset, size, (1 << 8 * size) - 1)
            vm.fill(at, 4 * PAGE, 0xee)

        scribble()
        dev.sees_zeros(dev.span, 4 * PAGE, "nothing attached")
        handle = dev.attach_ro(obj.name)
        scribble()
        dev.sees(dev.span, pattern(2 * PAGE) + bytes(PAGE), "attached")
        equal(obj.read(0, 2 * PAGE), pattern(2 * PAGE), "the object")
        obj.write(0, b"HOST")
        dev.sees(dev.span, b"HOST", "the host's write")
        dev.detach(handle)
        scribble()
        dev.sees_zeros(dev.span, 4 * PAGE, "detached")
        dev.sees_zeros(2 * dev.span - 8, 8, "the end of the span")


def test_read_only_is_the_hosts_mapping():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        dev.attach_ro(obj.name)
        equal([line.split()[1] for line in mapped(vm, obj)], ["r--s"],
              "read-only")
        dev.attach(obj.name)
        equal(sorted(line.split()[1] for line in mapped(vm, obj)),
              ["r--s", "rw-s"], "both")


def test_arena_moved_and_switched_off():
    with Object(PAGE, b"host") as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        dev.attach(obj.name, PAGE)
        dev.attach_ro(obj.name, PAGE)
        for address in (1 << 41, 0xd0000000, (1 << 46) + 2 * ARENA):
            dev.pci.place(c.BAR_ARENA, address)
            dev.sees(PAGE, b"host", f"at {address:#x}")
            dev.sees(dev.span + PAGE, b"host", f"at {address:#x}")
        dev.pci.decode(False)
        true(dev.look(PAGE, 4) != b"host", "the arena is there")
        dev.put(PAGE, b"lost")
        dev.pci.decode(True)
        dev.sees(PAGE, b"host", "switched on again")


def test_hold():
    with Object(0) as empty, Object(2 * PAGE, b"host") as obj, \
            machine(options=OPTIONS + ",create=on,max-objects=3") as vm:
        dev = Arena(vm)

        def hold(name, flags=0, **more):
            dev.does(c.CMD_HOLD, name, flags=flags, **more)
            return dev.get(c.REG_RES_HANDLE)

        first = hold(empty.name)
        equal(dev.result().size, 0, "size")
        second = hold(obj.name, c.RQ_READONLY)
        equal(dev.result()[:2], dev.stat(obj.name)[:2], "as STAT")
        third = hold(None, c.RQ_HANDLE, handle=first)
        equal(len({first, second, third}), 3, "handles")
        equal(mapped(vm, obj), [], "mappings")
        equal(len(attachments(vm)), 3, "attachments, with BAR1")
        equal(dev.command(c.CMD_HOLD, obj.name), c.ENFILE, "a fourth")
        equal(dev.command(c.CMD_ATTACH, obj.name), c.ENFILE, "a fourth")
        equal(dev.open(obj.name), c.ENFILE, "a fourth, at BAR1")
        dev.detach(third)
        empty.unlink()
        dev.does(c.CMD_RESIZE, flags=c.RQ_HANDLE, handle=first, length=100)
        equal(empty.size, 100, "resized by handle")
        dev.attach(None, flags=c.RQ_HANDLE, handle=first)
        dev.put(0, b"guest")
        equal(empty.read(0, 5), b"guest", "attached by handle")
        for flags, errno in ((0, c.EBADF), (c.RQ_READONLY, c.ENFILE)):
            equal(dev.command(c.CMD_ATTACH, handle=second,
                              flags=flags | c.RQ_HANDLE,
                              place=dev.span if flags else PAGE), errno,
                  "a read-only handle")
        dev.detach(first, second)
        equal(dev.command(c.CMD_DETACH, handle=second), c.EBADF, "twice")
        released(vm, obj)
        dev.sees(0, b"guest", "the attached object")


def test_release():
    with Object(PAGE, b"host") as obj, machine(options=OPTIONS) as vm:
        dev = Arena(vm)
        for _ in range(2):
            dev.does(c.CMD_RELEASE)
            dev.opened(obj.name)
            handles = [dev.attach(obj.name), dev.attach_ro(obj.name)]
            dev.does(c.CMD_HOLD, obj.name)
            dev.set(c.REG_MODE, 0o123)
        dev.does(c.CMD_RELEASE)
        equal(attachments(vm), [], "attachments")
        released(vm, obj)
        dev.is_zero("BAR1")
        dev.sees_zeros(0, PAGE, "the arena")
        dev.sees_zeros(dev.span, PAGE, "the read-only span")
        for handle in handles:
            equal(dev.command(c.CMD_DETACH, handle=handle), c.EBADF, "stale")
        equal(dev.open(obj.name), c.OK, "open")


def test_seed_registers_work_beside_the_arena():
    with Object(PAGE, b"one") as one, Object(PAGE, b"two") as two, \
            machine() as vm:
        dev = Arena(vm)
        dev.opened(one.name)
        dev.attach(two.name)
        dev.attach(one.name, PAGE)
        dev.shows(b"one", "BAR1")
        dev.closed()
        dev.is_zero("closed")
        dev.sees(0, b"two", "the arena")
        dev.opened(two.name).shows(b"two", "BAR1")
        equal(dev.open(one.name), c.EBUSY, "opened twice")
        dev.sees(PAGE, b"one", "the arena")
        Vmshm(vm).closed()
