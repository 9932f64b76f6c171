# SPDX-License-Identifier: GPL-2.0-or-later
"""Many attachments and repetitions; reaching a limit of the host is an errno"""

import os
import random
import resource

import contract as c
from arena import MIB, PAGE, Arena, attachments
from shm import Object, pattern
from vmshm import Skip, descriptors, equal, machine, mapped, released, true

SEED = 4096
COUNT = 1000
HANDLE = c.RQ_HANDLE


def maps(vm):
    with open(f"/proc/{vm.pid}/maps", encoding="utf-8",
              errors="replace") as lines:
        return len(list(lines))


def tag(i):
    return b"object %4d" % i


def test_a_thousand_objects_at_once():
    rng = random.Random(SEED)
    objects = []
    try:
        for i in range(COUNT):
            objects.append(Object(PAGE, tag(i)))
        with machine(options=",arena=16M") as vm:
            dev = Arena(vm)
            before, fds = maps(vm), descriptors(vm)
            handles = {}
            for i, obj in enumerate(objects):
                # Each has a gap behind it; each fourth one is read-only.
                attach = dev.attach if i % 4 else dev.attach_ro
                handles[i] = attach(obj.name, 2 * PAGE * i)
            equal(len(attachments(vm)), COUNT, "attachments")
            rw, ro = dev.look(0, 8 * MIB), dev.look(dev.span, 8 * MIB)
            for i in range(COUNT):
                want = (tag(i).ljust(2 * PAGE, b"\0"), bytes(2 * PAGE))
                got = tuple(x[2 * PAGE * i:2 * PAGE * (i + 1)]
                            for x in (rw, ro))
                equal(got, want if i % 4 else want[::-1], f"object {i}")
            order = list(handles)
            rng.shuffle(order)
            for i in order[:COUNT // 2]:
                dev.detach(handles[i])
            for i in order[:COUNT // 2]:
                at = 2 * PAGE * i + (0 if i % 4 else dev.span)
                equal(vm.read(dev.arena + at, 8), 0, f"object {i}, detached")
            for i in order[COUNT // 2:]:
                at = 2 * PAGE * i + (0 if i % 4 else dev.span)
                dev.sees(at, tag(i), f"object {i}")
                dev.detach(handles[i])
            equal(attachments(vm), [], "attachments")
            equal(descriptors(vm), fds, "descriptors")
            # The parts of the gaps are joined after 4096 detachments.
            true(maps(vm) < before + 2 * COUNT + 50, f"{maps(vm)}")
    finally:
        for obj in objects:
            obj.close()


def test_max_objects_by_default():
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096 + 1024:
        raise Skip("the hard limit of open files is too low here")
    with Object(PAGE, b"host") as obj, \
            machine(options=",arena=64M") as vm:
        dev = Arena(vm)
        first = dev.attach(obj.name)
        lines = []
        for i in range(1, 4096):
            lines += dev.lines(c.CMD_ATTACH, flags=HANDLE, handle=first,
                               place=2 * PAGE * i)
        vm.batch(lines)
        equal(len(mapped(vm, obj)), 4096, "mappings")
        for command in (c.CMD_ATTACH, c.CMD_HOLD):
            equal(dev.command(command, obj.name, place=PAGE), c.ENFILE,
                  "one attachment more")
        equal(dev.open(obj.name), c.ENFILE, "one more at BAR1")
        dev.sees(2 * PAGE * 4095, b"host", "the last attachment")
        dev.detach(first)
        dev.opened(obj.name)
        equal(dev.command(c.CMD_ATTACH, obj.name), c.ENFILE,
              "one attachment more")
        dev.closed()
        dev.attach(obj.name)
        vm.qmp("system_reset")
        vm.event("RESET")
        released(vm, obj)


def test_scribbles_between_attachments_cost_few_mappings():
    """The guest writes to all unattached places, three times."""
    rounds = 3 * 4096 + 100
    with Object(2 * PAGE, b"host") as obj, \
            machine(options=",arena=256M") as vm:
        dev = Arena(vm)
        keep = [dev.attach(obj.name, dev.span - 16 * MIB + i * MIB)
                for i in range(8)]
        before, most = maps(vm), 0
        handle = keep[-1]
        for start in range(0, rounds, 256):
            lines = []
            for i in range(start, min(start + 256, rounds)):
                place = i * 5 % 32768 * PAGE
                handle += 1
                lines += [
                    f"writeq {dev.arena + place - PAGE:#x} {i + 1:#x}"
                    if place else f"writeq {dev.arena:#x} 0x1",
                    *dev.lines(c.CMD_ATTACH, flags=HANDLE, handle=keep[0],
                               place=place, length=PAGE),
                    f"writeq {dev.arena + place + 2 * PAGE:#x} {i + 1:#x}",
                    f"writel {dev.regs + c.REG_HANDLE:#x} {handle:#x}",
                    f"writel {dev.regs + c.REG_COMMAND:#x} {c.CMD_DETACH}",
                    f"writeq {dev.arena + place:#x} {i + 1:#x}"]
            vm.batch(lines)
            equal(dev.get(c.REG_STATUS), c.OK, f"the last of {start}")
            most = max(most, maps(vm))
        equal(len(attachments(vm)), len(keep), "attachments")
        # The kernel's limit of mappings of a process is 65530.
        true(most < before + 3 * 4096 + 100, f"{most}, before {before}")
        for i in range(8):
            dev.sees(dev.span - 16 * MIB + i * MIB, b"host", "kept")
        equal(obj.read(0, 2 * PAGE), b"host".ljust(2 * PAGE, b"\0"),
              "the object")


def test_attach_and_detach_lose_nothing():
    with Object(300000, b"host") as obj, machine() as vm:
        dev = Arena(vm)
        lines = []
        for _ in range(100):
            lines += dev.lines(c.CMD_ATTACH, obj.name)
            lines += dev.lines(c.CMD_ATTACH, obj.name)      # EBUSY
            lines += dev.lines(c.CMD_STAT)
            lines += dev.lines(c.CMD_HOLD)
            lines += dev.lines(c.CMD_LIST)
            lines += dev.lines(c.CMD_RELEASE)
        vm.batch(lines)
        before, fds = maps(vm), descriptors(vm)
        for _ in range(10):
            vm.batch(lines)
        equal(dev.get(c.REG_STATUS), c.OK, "the last")
        equal(descriptors(vm), fds, "descriptors")
        true(maps(vm) <= before + 4, f"{maps(vm)}, before {before}")
        released(vm, obj)


def test_no_descriptor_left():
    """Without a free descriptor, each command fails with EMFILE and changes
    nothing."""
    with Object(2 * PAGE, b"host") as obj, \
            machine(options=",create=on") as vm:
        dev = Arena(vm)
        handle = dev.attach(obj.name)
        limits = resource.prlimit(vm.pid, resource.RLIMIT_NOFILE)
        # The limit must not be below the number of open descriptors, because
        # poll(2) then fails.
        used = {int(fd) for fd in os.listdir(f"/proc/{vm.pid}/fd")}
        free = min(set(range(len(used) + 1)) - used)
        resource.prlimit(vm.pid, resource.RLIMIT_NOFILE, (free, limits[1]))
        for number in (c.CMD_STAT, c.CMD_ATTACH, c.CMD_LIST, c.CMD_CREATE,
                       c.CMD_UNLINK, c.CMD_RENAME, c.CMD_RESIZE,
                       c.CMD_ALLOCATE, c.CMD_HOLD, c.CMD_LINK):
            flags = (0, HANDLE) if number in (
                c.CMD_STAT, c.CMD_ATTACH, c.CMD_HOLD, c.CMD_RESIZE,
                c.CMD_ALLOCATE) else (0,)
            for flag in flags:
                equal(dev.command(number, obj.name, second=obj.name + "x",
                                  place=4 * PAGE, length=1, flags=flag,
                                  handle=handle), c.EMFILE,
                      f"command {number}, flags {flag}")
        dev.sees(0, b"host", "the object")
        equal(obj.size, 2 * PAGE, "the size of the object")
        dev.detach(handle)
        # The descriptor is free again.
        dev.detach(dev.attach(obj.name))
        resource.prlimit(vm.pid, resource.RLIMIT_NOFILE, limits)
        equal(dev.names()[0].count(obj.name.encode()), 1, "in the list")
        dev.attach(obj.name)
        dev.attach(obj.name, 4 * PAGE)


def test_soft_limit_of_descriptors_is_raised():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 700 + 1024:
        raise Skip("the hard limit of open files is too low here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        vm = machine(options=",max-objects=700")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with Object(PAGE) as obj, vm:
        dev = Arena(vm)
        first = dev.attach(obj.name)
        lines = []
        for i in range(1, 700):
            lines += dev.lines(c.CMD_ATTACH, flags=HANDLE, handle=first,
                               place=PAGE * i)
        vm.batch(lines)
        equal(dev.get(c.REG_STATUS), c.OK, "the last attachment")
        equal(len(attachments(vm)), 700, "attachments")


def test_no_address_space_left():
    with Object(8 * MIB, pattern(PAGE)) as obj, machine() as vm:
        dev = Arena(vm)
        dev.put(0, b"private")
        limits = resource.prlimit(vm.pid, resource.RLIMIT_AS)
        with open(f"/proc/{vm.pid}/statm", encoding="ascii") as statm:
            now = int(statm.read().split()[0]) * resource.getpagesize()
        # The limit is too low for the object, but sufficient for QEMU itself.
        some = now + 4 * MIB
        resource.prlimit(vm.pid, resource.RLIMIT_AS, (some, limits[1]))
        equal(dev.command(c.CMD_ATTACH, obj.name), c.ENOMEM, "attach")
        released(vm, obj)
        equal(attachments(vm), [], "attachments")
        dev.sees(0, b"private", "the place")
        resource.prlimit(vm.pid, resource.RLIMIT_AS, limits)
        dev.attach(obj.name)
        dev.sees(0, pattern(PAGE), "with address space again")


class Pages:
    """The expected content of each page of a span: (object, page), or private
    memory of the guest, which may have been replaced by zeros"""

    def __init__(self, dev, base, readonly):
        self.dev, self.base, self.readonly = dev, base, readonly
        self.count = dev.span // PAGE
        self.shown = [None] * self.count
        self.left = [0] * self.count
        self.handles = {}       # handle: (first, count)

    def at(self, page):
        return self.dev.arena + self.base + page * PAGE

    def attach(self, rng, number, obj):
        first, offset = rng.randrange(self.count), rng.randrange(70)
        count = rng.choice((1, 1, 2, 3, 10, 40))
        there = obj.size // PAGE
        status = self.dev.command(
            c.CMD_ATTACH, obj.name, place=self.base + first * PAGE,
            offset=offset * PAGE, length=count * PAGE - rng.randrange(PAGE),
            flags=c.RQ_READONLY if self.readonly else 0)
        if offset + count > there:
            want = {c.ENODATA}
            if first + count > self.count:
                want.add(c.EINVAL)
        elif first + count > self.count:
            want = {c.EINVAL}
        elif any(self.shown[first:first + count]):
            want = {c.EBUSY}
        else:
            want = {c.OK}
            handle = self.dev.get(c.REG_RES_HANDLE)
            self.handles[handle] = first, count
            for i in range(count):
                self.shown[first + i] = number, offset + i
                self.left[first + i] = 0
        true(status in want, f"attach: {status}, expected {want}")

    def detach(self, rng):
        if self.handles:
            handle = rng.choice(list(self.handles))
            first, count = self.handles.pop(handle)
            self.dev.detach(handle)
            self.shown[first:first + count] = [None] * count

    def write(self, rng, contents):
        for _ in range(20):
            page, value = rng.randrange(self.count), rng.randrange(1, 1 << 64)
            self.dev.vm.write(self.at(page), 8, value)
            if self.readonly:
                continue
            if self.shown[page]:
                contents[self.shown[page]] = value
            else:
                self.left[page] = value

    def check(self, contents):
        answers = self.dev.vm.batch(
            [f"readq {self.at(i):#x}" for i in range(self.count)])
        for i, answer in enumerate(answers):
            got, shown = int(answer, 16), self.shown[i]
            want = {contents[shown]} if shown else {0, self.left[i]}
            true(got in want, f"page {i}: {got:#x}, expected one of {want}")


def test_random_places_show_what_is_there_and_nothing_else():
    """A few objects are attached at random places of a small arena, in both
    spans. A model has the expected content."""
    rng = random.Random(SEED)
    objects = []
    try:
        contents = {}
        for number, size in enumerate((1, 7, 64, 64)):
            data = bytearray(size * PAGE)
            for page in range(size):
                value = number + 1 << 32 | page + 1
                data[page * PAGE:page * PAGE + 8] = value.to_bytes(8, "little")
                contents[number, page] = value
            objects.append(Object(len(data), bytes(data)))
        with machine(options=",arena=2M") as vm:
            dev = Arena(vm)
            spans = [Pages(dev, 0, False), Pages(dev, dev.span, True)]
            for i in range(1500):
                span = rng.choice(spans)
                kind = rng.random()
                if kind < 0.55:
                    number = rng.randrange(len(objects))
                    span.attach(rng, number, objects[number])
                elif kind < 0.85:
                    span.detach(rng)
                else:
                    span.write(rng, contents)
                if i % 100 == 99:
                    for span in spans:
                        span.check(contents)
    finally:
        for obj in objects:
            obj.close()
