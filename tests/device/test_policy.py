# SPDX-License-Identifier: GPL-2.0-or-later
"""The properties of the device: their effects, and the refusal of wrong values
"""

import os

import contract as c
from arena import MIB, PAGE, Arena, arenas, attachments, refusals
from qemu import Lost, QmpError
from shm import Object, fresh_name, pattern
from store import Store
from vmshm import SLOT, Vmshm, equal, machine, mapped, true

NOBODY = 65534

# Options, and words in the message about a correct value
WRONG = (
    ("arena=1M", "power of two", "2M", "1T"),
    ("arena=3M", "power of two"),
    ("arena=1", "power of two"),
    ("arena=2T", "1T"),
    ("arena=4097M", "power of two"),
    ("arena=x", "arena"),
    ("allow=", "allow= is empty", "/cam-*"),
    ("deny=", "deny= is empty"),
    ("allow=cam-*", "'cam-*' matches no object", "'/'"),
    ("allow=/a:", "allow="),
    ("allow=:/a", "allow="),
    ("allow=/a::/b", "allow="),
    ("allow=/", "'/' matches no object"),
    ("allow=/a/b", "'/a/b' matches no object"),
    ("deny=/[[:alpha:]]", "deny="),
    ("deny=/x:*", "'*' matches no object"),
    ("prefix=", "prefix= takes 1 to 254"),
    ("prefix=a/b", "without '/'"),
    ("prefix=/a", "without '/'"),
    ("prefix=" + "x" * 255, "1 to 254"),
    ("max-objects=0", "1 to 16384"),
    ("max-objects=16385", "1 to 16384"),
    ("max-objects=-1", "max-objects"),
    ("max-bytes=-1", "max-bytes"),
    ("max-bytes=many", "max-bytes"),
    ("readonly=on,create=on", "contradict"),
    ("readonly=maybe", "readonly"),
    ("create=maybe", "create"),
)

RIGHT = ("arena=2M", "allow=/x", "allow=/*:/[a-z]?", "deny=/.", "deny=/[",
         "prefix=x", "prefix=.", "prefix=" + "x" * 254, "max-objects=1",
         "max-objects=16384", "max-bytes=0", "max-bytes=1", "max-bytes=1E",
         "readonly=on", "create=on", "create=off,readonly=on")


def test_wrong_values_are_refused_with_what_is_right():
    with machine() as vm:
        for text, *words in WRONG:
            said = vm.hmp(f"device_add vmshm,id=hot,{text}")
            for word in words:
                true(word in said, f"{text}: no {word!r} in: {said}")
            true(len(said.splitlines()) == 1, f"{text}: {said}")
        equal(vm.hmp("device_add vmshm,id=hot"), "", "without properties")


def test_wrong_value_at_the_start():
    try:
        with machine(options=",max-objects=0"):
            raise AssertionError("QEMU has started")
    except Lost as e:
        true("exit code 1;" in str(e) and "max-objects= takes" in str(e), e)


def test_right_values():
    with machine() as vm:
        for i, text in enumerate(RIGHT):
            equal(vm.hmp(f"device_add vmshm,id=hot{i},{text}"), "", text)


def test_properties_cannot_be_changed_later():
    with machine() as vm:
        for name, value in (("allow", "/x"), ("prefix", "x"),
                            ("create", True), ("max-objects", 7),
                            ("arena", 2 * MIB)):
            try:
                vm.qmp("qom-set", path="/machine/peripheral/vmshm0",
                       property=name, value=value)
                raise AssertionError(f"{name} was changed")
            except QmpError:
                pass


# A refused name looks like a missing name.

def everything(dev, name):
    """The results of each command and register for a name"""
    answers = []
    for number in (c.CMD_STAT, c.CMD_ATTACH, c.CMD_HOLD, c.CMD_UNLINK,
                   c.CMD_RENAME, c.CMD_LINK, c.CMD_RESIZE, c.CMD_ALLOCATE):
        answers.append(dev.command(number, name, second="/new", length=1))
    answers.append(dev.command(c.CMD_ATTACH, name, flags=c.RQ_READONLY,
                               place=dev.span))
    answers.append(dev.open(name))
    return answers


def test_a_refused_name_looks_like_a_missing_one():
    for policy in (",deny=/secret*", ",allow=/public*:/new"):
        with Store([b"/secret", b"/public"], PAGE) as store:
            options = store.options + ",create=on" + policy
            with machine(options=options) as vm:
                dev = Arena(vm)
                missing = "/public-missing"
                equal(everything(dev, "/secret"), [c.ENOENT] * 10, policy)
                equal(everything(dev, missing), [c.ENOENT] * 10, policy)
                equal(everything(dev, "/secret-missing"), [c.ENOENT] * 10,
                      policy)
                equal(refusals(vm), {"policy": 20}, "refusals")
                # For existing and missing names, the errno is the same.
                for name in ("/secret", "/secret-missing"):
                    equal(dev.command(c.CMD_CREATE, name, mode=0o600),
                          c.EACCES, f"create {name}")
                    for number in (c.CMD_RENAME, c.CMD_LINK):
                        equal(dev.command(number, "/public", second=name),
                              c.EACCES, f"{number} to {name}")
                equal(dev.names()[0], [b"/public"], "list")
                for number in (c.CMD_STAT, c.CMD_RESIZE):
                    dev.does(number, "/public", length=PAGE)
                equal(sorted(os.listdir("/dev/shm")).count(
                    f"{store.prefix}secret"), 1, "the hidden object")
                equal(dev.open("/public"), c.OK, "open")


def test_patterns_are_for_the_guests_names():
    with Store([b"/a", b"/b"], PAGE) as store:
        options = f"{store.options},deny=/{store.prefix}*,allow=/[a-z]"
        with machine(options=options) as vm:
            equal(sorted(Arena(vm).names()[0]), [b"/a", b"/b"], "names")


def test_deny_wins():
    with Store([b"/a", b"/b"], PAGE) as store:
        options = store.options + ",allow=/a:/b,deny=/a"
        with machine(options=options) as vm:
            dev = Arena(vm)
            equal(dev.names()[0], [b"/b"], "names")
            equal(dev.open("/a"), c.ENOENT, "open")


# prefix=

def test_prefix():
    with Store([b"/x"], PAGE) as store, Object(PAGE) as other:
        store.objects[b"/x"].write(0, b"host")
        with machine(options=store.options + ",create=on") as vm:
            dev = Arena(vm)
            dev.attach("/x")
            dev.sees(0, b"host", "the object")
            dev.opened("/x").shows(b"host", "BAR1")
            equal([a["name"] for a in attachments(vm)], ["/x"] * 2, "names")
            for name in (other.name, store.host(b"/x")):
                equal(dev.command(c.CMD_STAT, name), c.ENOENT, name)
            dev.does(c.CMD_CREATE, "/y", mode=0o600)
            dev.does(c.CMD_RENAME, "/y", second="/z")
            dev.does(c.CMD_LINK, "/z", second="/y")
            for name in (b"/y", b"/z"):
                true(os.path.exists(b"/dev/shm" + store.host(name)), name)
                dev.does(c.CMD_UNLINK, name.decode())
            equal(dev.names()[0], [b"/x"], "names")
            # Dots, which the prefix would change into another name
            for name in ("/.", "/..", "/", ""):
                equal(dev.command(c.CMD_STAT, name), c.EINVAL, name)


def test_prefix_makes_a_name_too_long():
    with Store() as store, machine(options=store.options +
                                   ",create=on") as vm:
        dev = Arena(vm)
        room = 255 - len(store.prefix)
        for length in (room + 1, room + 2, 254, 255):
            name = "/" + "x" * length
            for number in (c.CMD_STAT, c.CMD_CREATE, c.CMD_UNLINK):
                equal(dev.command(number, name), c.ENAMETOOLONG,
                      f"{length} bytes, command {number}")
            equal(dev.open(name), c.ENAMETOOLONG, f"{length} bytes, open")
            equal(dev.command(c.CMD_RENAME, "/y", second=name),
                  c.ENAMETOOLONG, f"{length} bytes, second name")
        # The limit of the C library may be one byte lower.
        name = "/" + "x" * (room - 1)
        dev.does(c.CMD_CREATE, name, mode=0o600)
        dev.does(c.CMD_UNLINK, name)
        equal(refusals(vm), {"name": 20}, "refusals")


def test_prefix_of_dots():
    """A prefix of dots does not make a name outside the directory."""
    with machine(options=",prefix=.,arena=2M") as vm:
        dev = Arena(vm)
        for name, errno in (("/.", c.EINVAL), ("/..", c.EINVAL),
                            ("/./x", c.EINVAL), ("/", c.EINVAL),
                            ("/missing", c.ENOENT)):
            equal(dev.command(c.CMD_STAT, name), errno, name)
            equal(dev.open(name), errno, name)


# readonly=

def test_readonly():
    with Object(PAGE, b"host", mode=0o644) as obj:
        how = {} if os.getuid() else {"user": NOBODY}
        with machine(options=",readonly=on,arena=2M", **how) as vm:
            dev = Arena(vm)
            for number in (c.CMD_ATTACH, c.CMD_HOLD):
                equal(dev.command(number, obj.name), c.EROFS, "writable")
            equal(refusals(vm), {"readonly": 2}, "refusals")
            dev.attach_ro(obj.name)
            dev.does(c.CMD_HOLD, obj.name, flags=c.RQ_READONLY)
            # The right to read is sufficient, also for BAR1.
            dev.opened(obj.name)
            equal({line.split()[1] for line in mapped(vm, obj)}, {"r--s"},
                  "mappings")
            for size in (1, 2, 4, 8):
                vm.write(dev.buffer, size, 0)
                vm.write(dev.buffer + PAGE, size, 0xff)
                vm.write(dev.arena + dev.span, size, 0)
            dev.store(0, pattern(1 << 20))
            dev.shows(b"host", "BAR1")
            dev.sees(dev.span, b"host", "the arena")
            equal(obj.read(0, PAGE), b"host".ljust(PAGE, b"\0"), "object")
            dev.closed()
            dev.store(0, b"lost")
            dev.is_zero("closed")
            # The writable span is memory. No object can be attached there.
            dev.put(0, b"mine")
            dev.sees(0, b"mine", "private memory")
            equal(vm.qmp("query-status")["running"], False, "-S")


# max-objects=, max-bytes=

def test_max_objects():
    with Object(PAGE, b"host") as obj, \
            machine(options=",max-objects=3,arena=2M") as vm:
        dev = Arena(vm)
        dev.opened(obj.name)
        first = dev.attach(obj.name)
        dev.attach_ro(obj.name)
        equal(dev.command(c.CMD_ATTACH, obj.name, place=PAGE), c.ENFILE,
              "a fourth")
        equal(refusals(vm), {"limit": 1}, "refusals")
        dev.detach(first)
        dev.attach(obj.name)
        dev.closed()
        dev.attach(obj.name, PAGE)
        equal(dev.open(obj.name), c.ENFILE, "a fourth, at BAR1")
        dev.is_zero("BAR1")


def test_max_bytes():
    """Each attachment counts in whole pages, as does BAR1."""
    with Object(2 * MIB) as obj, machine(
            options=f",max-bytes={MIB + 3 * PAGE},arena=4M") as vm:
        dev = Arena(vm)
        equal(dev.command(c.CMD_ATTACH, obj.name), c.EDQUOT, "too much")
        dev.opened(obj.name)
        handle = dev.attach(obj.name, length=2 * PAGE - 1)
        for length, errno in ((PAGE + 1, c.EDQUOT), (0, c.EDQUOT),
                              (PAGE, c.OK), (1, c.EDQUOT)):
            equal(dev.command(c.CMD_ATTACH, obj.name, place=4 * PAGE,
                              length=length), errno, f"length {length}")
        equal(refusals(vm)["limit"], 4, "refusals")
        dev.detach(handle)
        dev.attach(obj.name, 8 * PAGE, length=2 * PAGE)
        dev.does(c.CMD_HOLD, obj.name)
        dev.closed()
        dev.attach(obj.name, 16 * PAGE, length=MIB)
        equal(dev.open(obj.name), c.EDQUOT, "BAR1")


# Several devices with different policies for the same objects

def test_devices_have_their_own_policies():
    with Store([b"/a", b"/b"], PAGE) as store:
        stem = store.prefix
        devices = [f",prefix={stem}", f",prefix={stem},readonly=on",
                   f",prefix={stem},deny=/a", f",allow=/{stem}a",
                   f",prefix={stem},create=on,max-objects=3"]
        args = []
        for i, options in enumerate(devices):
            args += ["-device",
                     f"vmshm,id=vmshm{i},addr={SLOT + i:#x},arena=2M"
                     f"{options}"]
        with machine(*args, devices=0) as vm:
            plain, reader, denied, full, maker = arenas(vm, len(devices))
            for dev, names in ((plain, [b"/a", b"/b"]),
                               (reader, [b"/a", b"/b"]), (denied, [b"/b"]),
                               (full, [store.host(b"/a")]),
                               (maker, [b"/a", b"/b"])):
                equal(sorted(dev.names()[0]), names, "names")
            plain.attach("/a")
            plain.put(0, b"plain")
            reader.attach_ro("/a")
            reader.sees(reader.span, b"plain", "the reader")
            equal(reader.command(c.CMD_ATTACH, "/a"), c.EROFS, "the reader")
            equal(denied.command(c.CMD_ATTACH, "/a"), c.ENOENT, "denied")
            equal(full.command(c.CMD_ATTACH, "/a"), c.ENOENT, "no prefix")
            full.attach(store.host(b"/a"))
            full.put(0, b"FULL!")
            plain.sees(0, b"FULL!", "shared")
            maker.does(c.CMD_CREATE, "/c", mode=0o600)
            equal(plain.command(c.CMD_UNLINK, "/c"), c.EROFS, "plain")
            for dev in (plain, reader, denied):
                equal(dev.stat("/c").size, 0, "the new object")
            maker.does(c.CMD_RENAME, "/c", second="/b")
            equal([refusals(vm, f"vmshm{i}") for i in range(5)],
                  [{"readonly": 1}, {"readonly": 1}, {"policy": 1},
                   {"policy": 1}, {}], "refusals")


def test_default_policy_is_the_seeds():
    """The default policy allows all objects that QEMU can open for reading and
    writing."""
    name = fresh_name()
    with Object(PAGE, b"host", name=name) as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        dev.store(0, b"GUEST")
        equal(obj.read(0, 5), b"GUEST", "the object")
        equal(refusals(vm), {}, "refusals")
