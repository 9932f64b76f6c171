# SPDX-License-Identifier: GPL-2.0-or-later
"""LIST: the names, the parts, and the consistency of a list over its parts

The tests use prefix=, because other programs create and remove objects at the
same time.
"""

import os

import contract as c
from arena import PAGE, Arena, property_of
from shm import PREFIX, Object, fresh_name, path
from store import Store
from vmshm import Skip, equal, machine, true

NOBODY = 65534


def numbered(count):
    return [b"/%d" % i for i in range(count)]


def check(store, vm, what):
    names, parts = Arena(vm).names()
    equal(sorted(names), sorted(store.objects), what)
    return parts


def test_none_one_and_a_thousand():
    for count in (0, 1, 2, 1000):
        with Store(numbered(count)) as store, \
                machine(options=store.options) as vm:
            parts = check(store, vm, f"{count} objects")
            # Each part except the last contains as many names as possible.
            for part in parts[:-1]:
                true(part >= 1024 // 5, f"parts: {parts}")


def test_part_is_as_long_as_bar2():
    """Four names of 256 bytes, with their NULs, fill BAR2 to the last byte."""
    for length, fits in ((256, 4), (257 - 52, 4), (205, 4), (204, 5),
                         (1024 // 6, 6), (2 + 1, 341), (103, 9), (102, 10)):
        room = length - 2       # without the slash and the NUL
        with Store() as store:
            # allow= instead of prefix=, which would shorten names of 255 bytes
            stem = fresh_name().encode()
            if length > 200:
                store.host = lambda name: name
                options = f",arena=2M,allow={stem.decode()}*"
                names = [(stem + b"%02d-" % i).ljust(room + 1, b"x")
                         for i in range(2 * fits + 1)]
            else:
                options = store.options
                names = []
                for i in range(2 * fits + 1):
                    number = (b"%d" % i if room > 1
                              else bytes([33 + i % 14, 65 + i // 14]))
                    names.append(b"/" + number.ljust(room, b"x")[:room])
                if room == 1:
                    names = names[:1]
            names = sorted(set(names))
            for name in names:
                store.make(name)
            with machine(options=options) as vm:
                parts = check(store, vm, f"names of {length} bytes")
                want = [fits] * (len(names) // fits)
                if len(names) % fits:
                    want.append(len(names) % fits)
                if room > 1:
                    equal(parts, want, f"parts of names of {length} bytes")


def test_names_of_any_bytes():
    strange = [b"/" + name for name in (
        b" ", b"\n", b"\x01", b"\xff", "ä".encode(), b"*", b"?", b"[", b"\\",
        b"%s", b"...", b".x", b"-", b":", b"'", b'"')]
    with Store(strange) as store, machine(options=store.options) as vm:
        check(store, vm, "strange names")
        for name in strange:
            Arena(vm).stat(name)


def test_what_is_behind_the_prefix_is_a_name():
    """The host's names PREFIX, PREFIX. and PREFIX.. are not in the list."""
    with Store([b"/x", b"/...", b"/.", b"/..", b"/"]) as store, \
            machine(options=store.options) as vm:
        names, _ = Arena(vm).names()
        equal(sorted(names), [b"/...", b"/x"], "names")


def test_only_objects():
    with Store([b"/object", b"/empty"]) as store, \
            machine(options=store.options) as vm:
        stem = path(store.host(b"/"))
        os.symlink(path(store.host(b"/object")), stem + b"link")
        os.mkdir(stem + b"folder")
        os.mkfifo(stem + b"fifo")
        try:
            check(store, vm, "names")
        finally:
            os.unlink(stem + b"link")
            os.rmdir(stem + b"folder")
            os.unlink(stem + b"fifo")


def test_only_what_may_be_opened():
    if os.getuid():
        raise Skip("needs root, to run QEMU as another user")
    with Store() as store, machine(options=store.options,
                                   user=NOBODY) as vm:
        for i, mode in enumerate((0o600, 0o620, 0o602, 0o644, 0o666)):
            store.make(b"/%o" % mode, PAGE, mode=mode)
        names, _ = Arena(vm).names()
        equal(sorted(names), [b"/644", b"/666"], "names")
        for name in store.objects:
            status = Arena(vm).command(c.CMD_STAT, name)
            equal(status, c.OK if name in names else c.EACCES, name)


def test_only_what_the_policy_allows():
    names = [b"/cam-1", b"/cam-2", b"/cam-secret", b"/mic", b"/cam"]
    with Store(names) as store:
        options = store.options + ",allow=/cam-*:/mic,deny=/*secret"
        with machine(options=options) as vm:
            dev = Arena(vm)
            equal(sorted(dev.names()[0]), [b"/cam-1", b"/cam-2", b"/mic"],
                  "names")
            equal(property_of(vm, "refusals")["policy"], 0,
                  "listing is no refusal")


def test_without_a_policy_all_objects_are_there():
    with Object(1) as one, Object(2) as two, machine() as vm:
        names = Arena(vm).names()[0]
        mine = [n for n in names if n.startswith(b"/" + PREFIX.encode())]
        equal(sorted(mine), sorted(x.name.encode() for x in (one, two)),
              "names")


def test_one_list_stays_as_it_was():
    with Store(numbered(500)) as store, \
            machine(options=store.options) as vm:
        dev = Arena(vm)
        dev.does(c.CMD_LIST)
        first = dev.get(c.REG_RES_COUNT)
        part = vm.load(dev.name, 1024).split(b"\0")[:first]
        before = set(store.objects)
        for i in range(0, 500, 2):
            store.remove(b"/%d" % i)
        store.make(b"/later")
        # Another command between two parts
        equal(dev.command(c.CMD_STAT, b"/later"), c.OK, "stat")
        rest, _ = dev.names(first)
        equal(len(part) + len(rest), 500, "count")
        equal(set(part + rest), before, "names")
        check(store, vm, "a new list")


def test_places_in_the_list():
    """A part can begin at any place in the list, repeatedly, and after the end.
    """
    with Store(numbered(300)) as store, \
            machine(options=store.options) as vm:
        dev = Arena(vm)
        all_names, _ = dev.names()
        dev.does(c.CMD_LIST)        # a new list in the same order
        for first in (299, 1, 7, 150, 7, 298):
            dev.does(c.CMD_LIST, offset=first)
            count = dev.get(c.REG_RES_COUNT)
            equal(vm.load(dev.name, 1024).split(b"\0")[:count],
                  all_names[first:first + count], f"from {first} on")
        for first in (300, 301, 1 << 32, (1 << 64) - 1):
            dev.does(c.CMD_LIST, offset=first)
            equal(dev.get(c.REG_RES_COUNT), 0, f"from {first} on")
        check(store, vm, "after the end")
        # Without a list, the device makes one and begins at the place.
        vm.qmp("system_reset")
        vm.event("RESET")
        dev.assign()
        equal(len(dev.names(299)[0]), 1, "the last name")


def test_a_list_can_be_left_and_begun_again():
    with Store(numbered(300)) as store, \
            machine(options=store.options) as vm:
        dev = Arena(vm)
        for _ in range(300):
            dev.does(c.CMD_LIST)
            dev.does(c.CMD_LIST, offset=5)
        check(store, vm, "the last name")
