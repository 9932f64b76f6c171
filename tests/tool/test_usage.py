# SPDX-License-Identifier: GPL-2.0-or-later
"""Valid and invalid command lines, and the messages about them"""

import os
import pty
import re
import subprocess

from shm import Object, fresh_name, path
from tool import (COLUMNS, ROOT, VMSHM, Skip, alone, contains, equal, folder,
                  vmshm)

COMMANDS = ("ls", "info", "create", "rm", "cat", "write", "run", "send",
            "recv", "pipe", "top", "doctor")


def test_version():
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as f:
        version = f.read().strip()
    for option in ("--version", "-V"):
        equal(vmshm(option).out, f"vmshm {version}\n")


def test_help():
    """The help of the program and of each command has at most 80 columns."""
    text = vmshm("--help").out
    for command in COMMANDS:
        contains(text, command)
        for one in (vmshm(command, "--help").out, vmshm(command, "-h").out):
            contains(one, f"usage: vmshm {command}")
            text += one
    wide = [line for line in text.splitlines() if len(line) > COLUMNS]
    equal(wide, [])


def test_wrong_use():
    """Wrong use has exit code 2, a reason, and a reference to the help."""
    for args in ((), ("nothing",), ("--nothing",), ("-x",), ("ls", "-x"),
                 ("ls", "-m", "600"), ("ls", "--sparse"),
                 ("info", "/a", "/b"), ("create",), ("create", "/a"),
                 ("create", "/a", "1", "2"), ("create", "/a", "1", "--json"),
                 ("create", "-m"), ("rm",), ("cat",), ("cat", "/a", "/b"),
                 ("write",), ("write", "/a", "1", "2"), ("run",),
                 ("doctor", "x"),
                 ("top", "x"), ("top", "--interval"),
                 ("top", "--interval", "0"), ("top", "--interval", "nan"),
                 ("top", "--interval", "1e9"), ("top", "--interval", "-1"),
                 ("top", "--interval", "1.2.3"),
                 ("doctor", "-d", "vmshm0"), ("-d",),
                 ("--device", "", "ls"), ("-d", "/dev/a/b", "ls"),
                 ("ls", "--json=1"), ("-\x1b[31m",), ("\x1b[31m",),
                 ("ls", "--\x1b[31m"), ("x" * 100000,), ("info", "x" * 100000)):
        contains(vmshm(*args, code=2, wide=True).err, "type: vmshm")


def test_sizes():
    """Valid and invalid values of SIZE"""
    name = fresh_name()
    for text, size in (("1", 1), ("4096", 4096), ("04096", 4096),
                       ("64K", 65536), ("64k", 65536), ("1M", 1 << 20),
                       ("2G", 2 << 30), ("1T", 1 << 40)):
        vmshm("create", "--sparse", name, text)
        equal(vmshm("info", "--json", name).json["size"], size, text)
        vmshm("rm", name)
    for text in ("", "0", "0K", "-1", "+1", " 1", "1 ", "1.5M", "1,5M", "1KB",
                 "1KiB", "0x10", "1e3", "K", "M1", "1MM", "four", "1\n",
                 "9223372036854775808", "18446744073709551616", "9" * 5000,
                 "8388608T", "9007199254740992K", "1P", "1\x1b[2J"):
        for args in (("create", name, text), ("write", name, text)):
            if args[0] == "write" and text in ("0", "0K"):
                continue
            # "--", because the value could be taken for an option
            vmshm(args[0], "--", *args[1:], code=2, wide=True)
    for text in ("8388607T", "9223372036854775807"):
        contains(vmshm("create", name, text, code=1).err, name)
    vmshm("info", name, code=1)


def test_modes():
    name = fresh_name()
    for text in ("", "8", "-1", "1777", "0o7", "rw", "66666", " 600"):
        vmshm("create", "-m", text, name, "1", code=2)
    for text, mode in (("660", "0660"), ("0640", "0640"), ("0", "0000")):
        vmshm("create", "--mode", text, name, "1",
              before=("sh", "-c", 'umask 077; exec "$@"', "sh"))
        equal(vmshm("info", "--json", name).json["mode"], mode)
        vmshm("rm", name)
    vmshm("create", name, "1", before=("sh", "-c", 'umask 0; exec "$@"', "sh"))
    equal(vmshm("info", "--json", name).json["mode"], "0600")
    vmshm("rm", name)


def test_wrong_names():
    for name in ("", "/", "//", "///", "//a", "/a/", "a/", "/a/b", "a/b", ".",
                 "/.", "..", "/..", "/../etc/passwd", "/" + "n" * 256,
                 "n" * 256, "n" * 100000):
        for args in (("info", name), ("create", name, "1"), ("rm", name),
                     ("cat", name), ("write", name)):
            contains(vmshm(*args, code=2, wide=True).err, args[0])


def test_name_without_slash():
    """"frames" names "/frames", as for shm_open(3)."""
    with Object(5) as o:
        equal(vmshm("info", "--json", o.name[1:]).json["name"], o.name)
        equal(vmshm("cat", o.name[1:]).raw, bytes(5))


def test_strange_names():
    """Names can have any bytes. JSON preserves them; text output escapes them.
    """
    for tail in (b" ", b"a b", b"\n", b"\x01\x1b[31m", b"\x7f", b"\xff\xfe",
                 "ä€😀".encode(), b"\xc0\xaf", b"\xed\xa0\x80", b"\xc2\x9b",
                 b"\xf4\x90\x80\x80", b"\xe2\x82", b"%s%n", b"'", b'"', b"\\",
                 b"-rf", b"\\x41"):
        name = fresh_name().encode() + b"-" + tail
        vmshm("create", name, "1")
        try:
            equal(os.fsencode(vmshm("info", "--json", name).json["name"]),
                  name)
            listed = [os.fsencode(e["name"])
                      for e in vmshm("ls", "--json").json]
            equal(name in listed, True, f"{name} in ls --json")
            for text in (vmshm("info", name).raw, vmshm("ls").raw):
                bad = re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]",
                                text)
                equal(bad, None, "control bytes")
                text.decode()
        finally:
            vmshm("rm", name)
    for name in (fresh_name() + "-\x1b[31m", fresh_name() + "-\xff"):
        vmshm("cat", name.encode("latin-1"), code=1)


def test_blanks_in_names():
    """All output keeps blanks. A line break replaces at most one of them."""
    name = fresh_name() + "  two   three  "
    vmshm("create", name, "1")
    lines = vmshm("ls").out.splitlines()
    equal([s for s in lines if s.endswith("  " + name)] != [], True, lines)
    told = vmshm("info", name).out.splitlines()
    equal(told[0], "name         " + name)
    equal(told[1], "path         /dev/shm" + name)
    said = vmshm("create", name, "1", code=1).err
    equal(name + ": " in said, True, said)
    vmshm("rm", name)


def test_hints_can_be_pasted():
    """A shell that runs a hint gets exactly the name, with any bytes in it."""
    with folder() as bin_folder:
        os.symlink(VMSHM, os.path.join(bin_folder, "vmshm"))
        env = {**os.environ, "PATH": bin_folder + ":" + os.environ["PATH"]}
        for tail in (b"", b" if nobody needs it", b"'", b'"', b"$HOME", b"`x`",
                     b"\\", b"\n", b"\x1b[31m", b"\xff", b"*", b"~", b"#",
                     b"a;true", b"!!", b"\xe2\x80\xae", "ä€".encode()):
            name = fresh_name().encode() + b"-" + tail
            vmshm("create", name, "1")
            hints = vmshm("create", name, "1", code=1, wide=True).hints
            equal(len(hints), 1, hints)
            with Object(1, name=name.decode(errors="surrogateescape")
                        .split(" ")[0] + "x") as other:
                done = subprocess.run(["bash", "-c", hints[0]], check=False,
                                      env=env, stderr=subprocess.PIPE)
                equal((done.returncode, done.stderr), (0, b""), hints[0])
                equal(os.path.exists(other.path), True, hints[0])
            equal(os.path.lexists(path(name)), False, hints[0])


def test_longest_name():
    name = fresh_name()
    name += "n" * (256 - len(name))
    vmshm("create", name, "1")
    equal(name in vmshm("ls").out, True, "the object is listed")
    vmshm("rm", name)
    contains(vmshm("rm", name, code=1, wide=True).err, "no such object")


def on_terminal(*args, env=None):
    """The output on a terminal"""
    own, other = pty.openpty()
    with subprocess.Popen([*alone(), VMSHM, *args], stdout=other,
                          stdin=other, cwd=ROOT,
                          env={**os.environ, **(env or {})}):
        os.close(other)
        seen = b""
        try:
            while True:
                data = os.read(own, 65536)
                if not data:
                    break
                seen += data
        except OSError:         # the other end is closed
            pass
    os.close(own)
    return seen.decode()


def test_colour():
    """Output on a terminal has colours, unless NO_COLOR is set."""
    seen = on_terminal("doctor", env={"TERM": "xterm", "NO_COLOR": ""})
    equal("\033[" in seen, True, "colour on a terminal")
    plain = re.sub("\033\\[[0-9]*m", "", seen)
    # The path of a device may be longer than a line.
    equal([s for s in plain.splitlines()
           if len(s) > COLUMNS and len(s.split()) > 2], [])
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": ""}):
        equal("\033" in on_terminal("doctor", env=env), False, str(env))
    equal("\033" in on_terminal("doctor", "--json"), False, "in JSON")


def test_output_full():
    """The program fails if the disk of its output is full."""
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with Object(100000) as o, open("/dev/full", "wb") as full:
        for args in (("ls",), ("ls", "--json"), ("info",), ("info", o.name),
                     ("cat", o.name), ("--help",), ("--version",)):
            contains(vmshm(*args, code=1, stdout=full).err, "No space left")


def test_closed_files():
    """With a closed standard descriptor, only commands that need it fail."""
    def without(redirection, *args, code):
        return vmshm(*args, code=code, before=(
            "sh", "-c", f'exec "$@" {redirection}', "sh"))

    with Object(data=b"hello") as o:
        for args in (("ls",), ("info", o.name), ("cat", o.name), ("--help",)):
            contains(without(">&-", *args, code=1).err,
                     "the output: Bad file descriptor")
            equal(without("2>&-", *args, code=0).err, "")
        contains(without("<&-", "write", o.name, code=1).err,
                 "the input: Bad file descriptor")
        equal(without("<&-", "cat", o.name, code=0).raw, b"hello")
        equal(o.read(0, 5), b"hello")
    name = fresh_name()
    without("<&- >&- 2>&-", "create", name, "4096", code=0)
    without("<&- >&- 2>&-", "rm", name, code=0)
