# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile names, compared with the rules in a few lines of Python"""

import errno
import os
import random

import contract as c
from shm import PREFIX, Object, names, path
from vmshm import Vmshm, equal, machine

SEED = 6661
COUNT = 6000


def verdict(raw):
    """The errno with which open must fail for these 1024 bytes"""
    if b"\0" not in raw:
        return c.EINVAL
    name = raw[:raw.index(b"\0")]
    if name[:1] != b"/" or b"/" in name[1:]:
        return c.EINVAL
    if name[1:] in (b"", b".", b".."):
        return c.EINVAL
    if len(name[1:]) > 255:
        return c.ENAMETOOLONG
    try:
        fd = os.open(path(name), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as e:
        return e.errno
    os.close(fd)
    return c.OK


def object_names():
    """Unusual valid names. Each one has an object."""
    mine = f"/{PREFIX}".encode()
    for strange in (
            b"plain", b" ", b"a b", b"\n", b"\r\n", b"\t", b"\x01\x1b[31m",
            b"\x7f", b"\xff\xfe", "ä€😀".encode(), b"%s%n%x", b"$HOME",
            b"`id`", b";rm", b"'", b'"', b"\\", b"*", b"?", b"[a]", b"..",
            b"...", b"-rf", b"a,b=c", b"\xc0\xaf", b"\xe2\x80\xae"):
        yield mine + b"n" + strange
    for length in (253, 254, 255):
        yield (mine + b"l" * 300)[:length + 1]


def hostile(rng, right):
    """1024 random bytes in the form of a name"""
    name = rng.choice(right)
    kind = rng.randrange(16)
    if kind == 0:
        name = bytes(rng.randrange(256) for _ in range(rng.randrange(1025)))
    elif kind == 1:
        name = b"/" + bytes(rng.randrange(1, 256)
                            for _ in range(rng.randrange(300)))
    elif kind == 2:
        name = b"/" + b"\x07" * rng.choice((0, 1, 254, 255, 256, 257, 511, 512,
                                         1021, 1022, 1023, 1024))
    elif kind == 3:
        name = rng.choice((b"", b"/", b"//", b"///", b"/.", b"/..", b"/...",
                           b".", b"..", b"/./", b"/../", b"//x", b"/x/",
                           b"/../etc/passwd", b"/../../etc/passwd",
                           b"/./" + name[1:], b"//" + name[1:],
                           name + b"/", name + b"/.", name + b"/..",
                           name[1:], b"/shm" + name, b"/dev/shm" + name,
                           b"/sem." + name[1:], b"/." + name[1:], b" " + name,
                           name + b" ", name + b"\n", name.upper()))
    elif kind == 4:
        at = rng.randrange(len(name) + 1)
        name = name[:at] + bytes([rng.randrange(256)]) + name[at:]
    elif kind == 5:
        at = rng.randrange(len(name))
        name = name[:at] + bytes([rng.randrange(256)]) + name[at + 1:]
    elif kind == 6:
        name = name[:rng.randrange(len(name))]
    elif kind == 7:
        at = rng.randrange(len(name) + 1)
        name = name[:at] + b"/" + name[at:]
    elif kind == 8:
        name = name.ljust(1024, b"/x"[rng.randrange(2):][:1])
    elif kind == 9:
        name = (b"/" + name * 9)[:rng.randrange(1, 1025)]
    # The bytes after the NUL are not part of the name.
    fill = rng.choice((b"\0", b"/", b"x", b"\xff"))
    if rng.randrange(40):
        name += b"\0"
    return name.ljust(1024, fill)[:1024]


def test_hostile_names_by_the_thousand():
    rng = random.Random(SEED)
    objects = []
    try:
        for name in object_names():
            objects.append(Object(4096, name + b"\0", name=name))
        right = [o.name for o in objects]
        before = names()
        counts, missing = {}, set()
        with machine() as vm:
            dev = Vmshm(vm)
            for i in range(COUNT):
                raw = hostile(rng, right)
                want = verdict(raw)
                vm.store(dev.name, raw)
                got = dev.open()
                text = f"name {i}: {raw.rstrip(raw[-1:])!r}"
                equal(errno.errorcode.get(got, got),
                      errno.errorcode.get(want, want), text)
                counts[want] = counts.get(want, 0) + 1
                if want == c.ENOENT:
                    missing.add(raw[:raw.find(b"\0")])
                end = raw.find(b"\0") + 1
                if want == c.OK:
                    equal(dev.load(0, end), raw[:end], f"object of {text}")
                else:
                    equal(dev.load(0, 8), bytes(8), f"buffer after {text}")
                equal(vm.load(dev.name, 1024), raw, "BAR2")
                dev.closed()
        equal(names(), before, "names on the host")
        equal([n for n in missing if os.path.lexists(path(n))], [],
              "names that were tried and exist now")
        # The generator covers each rule.
        equal(sorted(counts), [c.OK, c.ENOENT, c.EINVAL, c.ENAMETOOLONG],
              "results met")
        equal(min(counts.values()) > COUNT // 50, True, f"spread {counts}")
    finally:
        for obj in objects:
            obj.close()


def result_of(*several):
    """The results of open for each of these names, in one machine"""
    with machine() as vm:
        dev = Vmshm(vm)
        return [dev.open(name) for name in several]


def test_no_nul_in_1024_bytes():
    with machine() as vm:
        dev = Vmshm(vm)
        vm.store(dev.name, b"/" + b"x" * 1023)
        equal(dev.open(), c.EINVAL, "1024 bytes without NUL")
        vm.store(dev.name + 1023, b"\0")
        equal(dev.open(), c.ENAMETOOLONG, "NUL as the last byte")
        vm.store(dev.name, b"x" * 1024)
        equal(dev.open(), c.EINVAL, "1024 bytes without NUL and slash")


def test_names_that_are_no_names():
    for name in ("", "/", ".", "..", "/.", "/..", "//", "x", "x/y", "/x/y",
                 "//x", "/x/", "/../x", "../x", "/./x", "/dev/shm/x"):
        equal(result_of(name), [c.EINVAL], f"open {name!r}")


def test_names_that_only_look_odd():
    for name in ("/...", "/.x", "/..x", "/ ", "/-", "/~"):
        equal(result_of(name + PREFIX), [c.ENOENT], f"open {name!r}")


def test_length_limit():
    equal(result_of("/" + "x" * 254, "/" + "x" * 255, "/" + "x" * 256,
                    "/" + "x" * 1022),
          [c.ENOENT, c.ENOENT, c.ENAMETOOLONG, c.ENAMETOOLONG], "open")


def test_path_outside_is_never_opened():
    """A name that is a path to an existing file does not open the file."""
    with Object(4096, b"inside") as obj:
        for name in ("/../shm" + obj.name, "/.." + obj.path, "/." + obj.name,
                     "/" + obj.name, obj.name[1:], obj.path):
            equal(result_of(name), [c.EINVAL], f"open {name!r}")
