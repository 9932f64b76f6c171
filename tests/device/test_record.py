# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator's view: attachments, refusals, and lines of the log"""

import time

import contract as c
from arena import PAGE, Arena, attachments, property_of, refusals
from qemu import string_bytes
from shm import PREFIX, Object, fresh_name
from vmshm import Vmshm, equal, machine, true

KINDS = {"name", "policy", "permission", "readonly", "limit", "request",
         "migration"}


def test_attachments():
    with Object(5 * PAGE + 1, name="/" + PREFIX + "b") as big, \
            Object(1) as small, machine(options=",arena=2M") as vm:
        dev = Arena(vm)
        equal(attachments(vm), [], "at first")
        start = int(time.time() * 1000)
        dev.opened(small.name)
        dev.attach(big.name, 8 * PAGE, offset=2 * PAGE, length=3 * PAGE)
        dev.attach_ro(big.name, 8 * PAGE)
        end = int(time.time() * 1000)
        got = attachments(vm)
        for one in got:
            since = one.pop("since-ms")
            true(start - 1 <= since <= end + 1, f"since {since}, not between "
                 f"{start} and {end}")
        equal(got, [
            {"name": small.name, "offset": 0, "bytes": PAGE, "mode": "rw",
             "bar": 1, "place": 0},
            {"name": big.name, "offset": 2 * PAGE, "bytes": 3 * PAGE,
             "mode": "rw", "bar": 4, "place": 8 * PAGE},
            {"name": big.name, "offset": 0, "bytes": 6 * PAGE,
             "mode": "ro", "bar": 4, "place": dev.span + 8 * PAGE}],
            "attachments")
        dev.does(c.CMD_RELEASE)
        dev.does(c.CMD_HOLD, small.name)
        (one,) = attachments(vm)
        equal((one["name"], one["bytes"], "bar" in one, "place" in one),
              (small.name, 0, False, False), "held")
        # The name is the name that ATTACH used.
        small.unlink()
        equal(len(attachments(vm)), 1, "after unlink")
        dev.does(c.CMD_RELEASE)
        equal(attachments(vm), [], "released")


def test_attachments_with_odd_names():
    for odd in (b'"quotes"', b"\\", b"\n\x1b[31m", b"\xff\xfe", "ä".encode()):
        name = b"/" + PREFIX.encode() + odd
        with Object(PAGE, name=name) as obj, machine() as vm:
            Vmshm(vm).opened(obj.name)
            (one,) = attachments(vm)
            try:
                equal(one["name"].encode(), name, "the name")
            except AssertionError:
                # In JSON, U+FFFD stands for bytes that are not UTF-8.
                equal(one["name"], name.decode(errors="replace"), "the name")


def test_properties_cannot_be_written():
    with machine() as vm:
        for name in ("attachments", "refusals"):
            true("not" in vm.hmp(f"qom-set /machine/peripheral/vmshm0 "
                                 f"{name} 1"), name)


def test_refusals_are_counted_by_kind():
    with Object(2 * PAGE) as obj, machine(
            options=f",deny=/no*,max-objects=2,max-bytes={3 * PAGE}") as vm:
        dev = Arena(vm)
        equal(set(property_of(vm, "refusals")), KINDS, "kinds")
        equal(refusals(vm), {}, "at first")
        want = dict.fromkeys(KINDS, 0)

        def refused(kind, status, *more, **registers):
            true(dev.command(*more, **registers) == status, f"{kind} {more}")
            want[kind] += 1
            equal(property_of(vm, "refusals"), want, f"{kind} {more}")

        refused("name", c.EINVAL, c.CMD_STAT, "nothing")
        refused("name", c.ENAMETOOLONG, c.CMD_ATTACH, "/" + "x" * 300)
        refused("policy", c.ENOENT, c.CMD_STAT, "/no-entry")
        refused("policy", c.ENOENT, c.CMD_ATTACH, "/no-entry")
        refused("readonly", c.EROFS, c.CMD_CREATE, "/x")
        refused("readonly", c.EROFS, c.CMD_RESIZE, obj.name)
        refused("request", c.ENOSYS, 99)
        refused("request", c.EBADF, c.CMD_DETACH, handle=99)
        refused("request", c.EINVAL, c.CMD_STAT, obj.name, flags=8)
        refused("request", c.EINVAL, c.CMD_ATTACH, obj.name, place=1)
        refused("request", c.EINVAL, c.CMD_ATTACH, obj.name, place=1 << 60)
        dev.attach(obj.name)
        refused("limit", c.EDQUOT, c.CMD_ATTACH, obj.name, place=8 * PAGE)
        dev.attach(obj.name, 8 * PAGE, length=PAGE)
        refused("limit", c.ENFILE, c.CMD_ATTACH, obj.name, place=4 * PAGE)
        # The registers of 2010 count in the same way.
        for name, kind, status in (("", "name", c.EINVAL),
                                   ("/no", "policy", c.ENOENT),
                                   (obj.name, "limit", c.ENFILE)):
            equal(dev.open(name), status, kind)
            want[kind] += 1
            equal(property_of(vm, "refusals"), want, kind)
        # Names that are missing or in use, and full spans, are not refusals.
        equal(dev.command(c.CMD_STAT, fresh_name()), c.ENOENT, "missing")
        equal(property_of(vm, "refusals"), want, "after it")
        # A guest can cause a reset. A reset clears no record.
        vm.qmp("system_reset")
        vm.event("RESET")
        equal(property_of(vm, "refusals"), want, "after reset")


def lines(vm):
    return vm.said().splitlines()


def test_log_says_what_was_refused():
    with Object(PAGE) as obj, machine(options=",deny=/secret") as vm:
        dev = Arena(vm)
        dev.command(c.CMD_STAT, "/secret")
        dev.command(c.CMD_STAT, "/a/b")
        dev.command(c.CMD_CREATE, obj.name)
        dev.open("/secret")
        said = lines(vm)
        equal(len(said), 4, "lines")
        for line, words in zip(said, (
                ("/secret", "not allowed", "allow= and deny="),
                ("/a/b", "not a shared memory name"), ("create=on",),
                ("/secret", "not allowed"))):
            for word in ("vmshm: refused", *words):
                true(word in line, f"no {word!r} in: {line}")
        # The log contains only refusals.
        dev.stat(obj.name)
        dev.attach(obj.name)
        dev.command(c.CMD_STAT, fresh_name())
        equal(lines(vm), said, "after allowed commands")


def test_log_cannot_be_forged():
    """A guest cannot write line breaks, control characters or endless lines to
    the log."""
    with machine() as vm:
        dev = Vmshm(vm)
        for name in (b"\nvmshm: all is well", b"\x1b[2J\x07\r", b"\x80\xff%s",
                     b"x" * 1000, b"\"', \\"):
            dev.open(name)
        said = vm.said()
        equal(len(said.splitlines()), 5, "lines")
        true(all(32 <= ord(ch) < 127 or ch == "\n" for ch in said), said)
        true(max(map(len, said.splitlines())) < 250, "a long line")


def test_guest_cannot_flood_the_log():
    count = 10000
    with machine() as vm:
        dev = Arena(vm)
        start = time.monotonic()
        vm.store(dev.name, string_bytes("no name"))
        flood = []
        for _ in range(count // 4):
            flood += [f"readl {dev.regs:#x}"]
            flood += [f"writel {dev.regs + c.REG_COMMAND:#x} {n:#x}"
                      for n in (c.CMD_STAT, c.CMD_CREATE, 99)]
        vm.batch(flood)
        periods = 1 + (time.monotonic() - start) // 10
        true(10 <= len(lines(vm)) <= 11 * (1 + periods),
             f"{len(lines(vm))} lines")
        equal(refusals(vm), {"name": count // 2, "readonly": count // 4,
                             "request": count // 4}, "refusals")
        equal(dev.open("/" + PREFIX), c.ENOENT, "the device works")
