# SPDX-License-Identifier: GPL-2.0-or-later
"""Random patterns in allow= and deny=, compared with the rules in Python"""

import random

import contract as c
from arena import Arena, refusals
from store import Store
from vmshm import SLOT, equal, machine, true

SEED = 1993
MACHINES = 2
DEVICES = 22
NAMES = 240


def matches(pattern, name):
    """Whether a shell pattern matches a name; both are bytes. * matches any
    bytes, ? matches one byte, [...] matches a byte in a set, and [!...] a byte
    outside the set. A set consists of bytes and ranges; a ] at its start is an
    element. A [ without an end is an ordinary byte."""
    if not pattern:
        return not name
    first, rest = pattern[:1], pattern[1:]
    if first == b"*":
        return any(matches(rest, name[i:]) for i in range(len(name) + 1))
    if not name:
        return False
    if first == b"?":
        return matches(rest, name[1:])
    if first == b"[":
        found = split_set(rest)
        if found:
            wanted, chosen, rest = found
            return (name[0] in chosen) == wanted and matches(rest, name[1:])
    return first == name[:1] and matches(rest, name[1:])


def split_set(text):
    """Parses a set. Returns (whether its bytes match, the bytes, the text after
    the ]), or None."""
    wanted = text[:1] != b"!"
    if not wanted:
        text = text[1:]
    end = text.find(b"]", 1)
    if end < 0:
        return None
    inside, chosen, at = text[:end], set(), 0
    while at < len(inside):
        if inside[at + 1:at + 2] == b"-" and at + 2 < len(inside):
            chosen.update(range(inside[at], inside[at + 2] + 1))
            at += 3
        else:
            chosen.add(inside[at])
            at += 1
    return wanted, chosen, text[end + 1:]


def visible(name, allow, deny):
    return (not allow or any(matches(p, name) for p in allow)) and \
        not any(matches(p, name) for p in deny)


ALPHABET = b"aabbcdz09AZ.-_"
ODD = b" !%\\]{}~\x01\x7f\x80\xff[*?^"


def random_name(rng):
    return b"/" + bytes(rng.choice(ODD if rng.random() < 0.1 else ALPHABET)
                        for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 8))))


def random_set(rng):
    out = b"[" + (b"!" if rng.random() < 0.4 else b"")
    if rng.random() < 0.1:
        out += b"]"
    for _ in range(rng.randrange(1, 4)):
        if rng.random() < 0.5:
            out += rng.choice((b"a-c", b"0-9", b"a-z", b"A-Z", b".-9"))
        else:
            # Without [, because fnmatch(3) has classes that begin with [
            out += bytes([rng.choice(b"abcz019._\\?*\xff")])
    if rng.random() < 0.1:
        out += b"-"
    return out + b"]"


def random_pattern(rng, names):
    kind = rng.random()
    if kind < 0.15:
        # A literal name, if it contains no special bytes
        text = rng.choice(names)[1:]
    else:
        text = b""
        for _ in range(rng.choice((1, 1, 2, 3, 5))):
            piece = rng.random()
            if piece < 0.25:
                text += b"*"
            elif piece < 0.4:
                text += b"?"
            elif piece < 0.65:
                text += random_set(rng)
            elif piece < 0.68:
                text += b"\\"
            else:
                text += bytes([rng.choice(ALPHABET)])
        if rng.random() < 0.04:
            text += rng.choice((b"[", b"[!", b"[a", b"[!0-"))
    # QMP and the command line carry text, in which these bytes are special.
    text = bytes(x for x in text if x < 0x80 and x not in b",:/\x01\x7f")
    return b"/" + (text or b"*")


def random_patterns(rng, names):
    return [random_pattern(rng, names) for _ in range(rng.choice(
        (0, 1, 1, 1, 2, 3, 6)))]


def properties(allow, deny):
    out = {}
    for key, patterns in (("allow", allow), ("deny", deny)):
        if patterns:
            out[key] = b":".join(patterns).decode()
    return out


def names_of(rng):
    names = {random_name(rng) for _ in range(2 * NAMES)}
    names -= {b"/.", b"/.."}
    names = {n for n in names if b"/" not in n[1:]}
    return sorted(names)[:NAMES]


def asked(dev, rng, names, want):
    """Uses a name in one of the commands that take names."""
    for name in names:
        number = rng.choice((c.CMD_STAT, c.CMD_UNLINK, c.CMD_RESIZE,
                             c.CMD_HOLD))
        if number == c.CMD_STAT:
            refused = c.ENOENT
            allowed = c.OK
        elif number == c.CMD_HOLD:
            refused, allowed = c.ENOENT, c.OK
        else:
            refused = allowed = c.EROFS     # checked before the name
        equal(dev.command(number, name),
              allowed if name in want else refused, f"{number} {name}")
        status = dev.open(name)
        equal(status, c.ENODATA if name in want else c.ENOENT,
              f"open {name}")
    dev.does(c.CMD_RELEASE)


def test_thousands_of_names_and_patterns():
    rng = random.Random(SEED)
    seen = hidden = 0
    for _ in range(MACHINES):
        names = names_of(rng)
        with Store(names) as store, machine(devices=0) as vm:
            for i in range(DEVICES):
                allow, deny = (random_patterns(rng, names) for _ in "ad")
                vm.add("vmshm", id=f"vmshm{i}", addr=hex(SLOT + i),
                       arena=2 << 20, prefix=store.prefix,
                       **properties(allow, deny))
                dev = Arena(vm, slot=SLOT + i)
                want = {n for n in names if visible(n, allow, deny)}
                what = f"allow={allow} deny={deny}"
                equal(sorted(set(dev.names()[0]) ^ want), [], what)
                asked(dev, rng, rng.sample(names, 12), want)
                seen, hidden = seen + len(want), hidden + NAMES - len(want)
    # The random numbers have to cover both results.
    true(seen > 2000 and hidden > 2000, f"{seen} seen, {hidden} hidden")


def test_the_matcher_knows_the_rules():
    """A few patterns by hand. They detect a mistake that the device and the
    rules in Python share."""
    for pattern, yes, no in (
            (b"/*", (b"/", b"/x", b"/.x"), (b"", b"x")),
            (b"/a?", (b"/ab", b"/a\xff"), (b"/a", b"/abc")),
            (b"/[a-c]x", (b"/ax", b"/cx"), (b"/dx", b"/x", b"/-x")),
            (b"/[!a-c]", (b"/d", b"/!"), (b"/a", b"/")),
            (b"/[]a]", (b"/]", b"/a"), (b"/[", b"/[]a]")),
            (b"/[!]a]", (b"/b",), (b"/]", b"/a")),
            (b"/[a-]", (b"/a", b"/-"), (b"/b",)),
            (b"/[", (b"/[",), (b"/a",)),
            (b"/\\*", (b"/\\", b"/\\x"), (b"/*", b"/x")),
            (b"/*a*b", (b"/ab", b"/xaxxb"), (b"/ba", b"/abx"))):
        for name in yes:
            true(matches(pattern, name), f"{pattern} {name}")
        for name in no:
            true(not matches(pattern, name), f"{pattern} {name}")


def test_many_patterns():
    """A property with a thousand patterns, as a script may write them"""
    names = [b"/n%d" % i for i in range(100)]
    allow = ":".join(f"/n{i}" for i in range(0, 2000, 2))
    with Store(names) as store, machine(devices=0) as vm:
        vm.add("vmshm", id="vmshm0", addr=hex(SLOT), arena=2 << 20,
               prefix=store.prefix, allow=allow)
        dev = Arena(vm)
        equal(sorted(dev.names()[0]), sorted(names[::2]), "names")
        equal(dev.command(c.CMD_STAT, "/n1998"), c.ENOENT, "missing")
        equal(dev.command(c.CMD_STAT, "/n1999"), c.ENOENT, "refused")
        equal(refusals(vm), {"policy": 1}, "refusals")
