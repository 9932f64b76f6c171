# SPDX-License-Identifier: GPL-2.0-or-later
"""vmshm top: the processes that use each object"""

import json
import mmap
import os
import pty
import subprocess
import sys

from shm import Object, fresh_name, path
from tool import DEADLINE, ROOT, VMSHM, Skip, contains, equal, vmshm

# A process that uses the object named by argv[1], and reports that it is ready
HOLDER = """
import mmap, os, sys
path, how, rename = sys.argv[1:4]
if rename:
    with open("/proc/self/comm", "w") as f:
        f.write(rename)
fd = os.open(path, os.O_RDWR if "w" in how else os.O_RDONLY)
if "m" in how:
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if "w" in how else 0)
    memory = mmap.mmap(fd, 4096, prot=prot)
if "d" not in how:
    os.close(fd)
print("ready", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that uses an object. "d": a descriptor; "m": a mapping of
    4096 bytes; "w": for writing. Python's mmap() keeps another descriptor."""

    def __init__(self, name, how, rename="", args=()):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, path(name), how, rename, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        equal(self.process.stdout.readline(), b"ready\n")

    def __enter__(self):
        return self.process.pid

    def __exit__(self, *_):
        self.process.communicate(timeout=DEADLINE)


def users(name, **more):
    """{pid: the reported data} for the object of that name"""
    told = vmshm("top", "--json", **more).json
    return {u["pid"]: u for o in told["objects"] if o["name"] == name
            for u in o["users"]}


def test_processes():
    """Mappings and descriptors for reading and writing are shown."""
    with Object(8192) as o, Holder(o.name, "d") as reader, \
            Holder(o.name, "mw") as writer, Holder(o.name, "m") as mapper:
        found = users(o.name)
        equal(set(found), {reader, writer, mapper, os.getpid()})
        for pid, mapped, writable in ((reader, 0, False), (mapper, 4096, False),
                                      (writer, 4096, True)):
            equal((found[pid]["mapped"], found[pid]["writable"],
                   found[pid]["qemu"], found[pid]["vm"]),
                  (mapped, writable, False, None))
            equal(found[pid]["uid"], os.geteuid())
        equal(found[reader]["descriptors"], 1)
        rows = [s.split() for s in vmshm("top").out.splitlines()
                if s.endswith(" " + o.name)]
        equal(sorted(int(r[2]) for r in rows), sorted(found))
        equal({int(r[2]): r[-2] for r in rows}[mapper], "r")
        equal({int(r[2]): r[-2] for r in rows}[writer], "rw")


def test_nobody():
    with Object(1) as o:
        os.close(o.fd)
        o.fd = -1
        equal(users(o.name), {})


def test_removed():
    """An object without a name is shown if a process has a mapping or a
    descriptor of it."""
    with Object(4096) as o, Holder(o.name, "m") as mapper, \
            Holder(o.name, "d") as reader:
        o.unlink()
        told = vmshm("top", "--json").json["objects"]
        ours = [t for t in told if t["name"] == o.name]
        equal([t["removed"] for t in ours], [True])
        equal({u["pid"] for u in ours[0]["users"]},
              {mapper, reader, os.getpid()})
        # A new object with that name is another object.
        with Object(1, name=o.name) as new:
            equal(sorted(t["removed"] for t in
                         vmshm("top", "--json").json["objects"]
                         if t["name"] == o.name), [False, True])
            equal(new.size, 1)
        contains(vmshm("top").out, o.name + " (removed)")


def test_virtual_machines():
    """The name of the VM is that of QEMU's -name, in each form of the
    option."""
    for value, vm in (("vm1", "vm1"), ("guest=vm2,debug-threads=on", "vm2"),
                      ("vm3,process=renamed", "vm3"),
                      ("debug-threads=on,guest=a\x1b[31m", "a\x1b[31m")):
        with Object(4096) as o, Holder(o.name, "mw", "qemu-system-x86",
                                       ("-name", value)) as pid:
            user = users(o.name)[pid]
            equal((user["qemu"], user["vm"]), (True, vm))
            text = vmshm("top").out
            equal("\x1b" in text, False, "control bytes")
            contains(text, "VM " + vm.replace("\x1b", "\\x1b"))
    with Object(4096) as o, Holder(o.name, "mw", "qemu-system-x86") as pid:
        equal((users(o.name)[pid]["qemu"], users(o.name)[pid]["vm"]),
              (True, None))


def test_strange_names():
    for tail in (" b  c", "\n", " (deleted)", "\\", "\x1b[31m"):
        with Object(4096, name=fresh_name() + tail) as o, \
                Holder(o.name, "m") as pid:
            equal(pid in users(o.name), True, repr(tail))
            text = vmshm("top").out
            equal("\x1b" in text, False, "control bytes")


def test_not_objects():
    """Files in subdirectories of /dev/shm are not objects, nor are files with
    the same inode number elsewhere."""
    name = fresh_name()
    os.mkdir(path(name))
    try:
        with open(path(name) + "/file", "w+b") as f:
            f.truncate(4096)
            with mmap.mmap(f.fileno(), 4096):
                told = vmshm("top", "--json").json["objects"]
                equal([t for t in told if t["name"].endswith("/file")], [])
        os.unlink(path(name) + "/file")
    finally:
        os.rmdir(path(name))


def test_unprivileged():
    """A user sees own processes, and the number of other processes."""
    if os.geteuid():
        raise Skip("not root")
    with Object(4096, mode=0o666) as o, Holder(o.name, "m") as pid, \
            open(VMSHM, "rb") as f:
        # The build directory may be closed to others.
        command = ["setpriv", "--reuid", "65534", "--clear-groups",
                   f"/proc/self/fd/{f.fileno()}", "top"]
        told, text = (subprocess.run(
            [*command, *more], check=True, pass_fds=(f.fileno(),),
            stdout=subprocess.PIPE, timeout=DEADLINE).stdout.decode()
                      for more in (["--json"], []))
        told = json.loads(told)
        equal(told["hidden_processes"] > 0, True)
        equal([u for t in told["objects"] for u in t["users"]
               if u["pid"] == pid], [])
        contains(text, "processes cannot be examined; root can examine all")


def test_interval():
    """Without a terminal, one view is printed. With an interval, each view is a
    line of JSON."""
    with Object(4096) as o, Holder(o.name, "m") as pid:
        equal(len(vmshm("top", "--json").out.splitlines()), 1)
        with subprocess.Popen(
                [VMSHM, "top", "--json", "--interval", "0.1"], cwd=ROOT,
                stdout=subprocess.PIPE) as process:
            for _ in range(3):
                told = json.loads(process.stdout.readline())
                equal(pid in {u["pid"] for t in told["objects"]
                              for u in t["users"]}, True)
            process.terminate()


def test_terminal():
    """On a terminal, the view is repeated after the screen was cleared."""
    own, other = pty.openpty()
    with subprocess.Popen([VMSHM, "top", "--interval", "0.1"], stdout=other,
                          stdin=other, cwd=ROOT) as process:
        os.close(other)
        seen = b""
        while seen.count(b"\033[H\033[2J") < 3:
            seen += os.read(own, 65536)
        process.terminate()
        contains(seen.decode(errors="replace"), "OBJECT", "VM OR PROGRAM")
    os.close(own)


def test_output_closed():
    """The program ends if it cannot write a view."""
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        contains(vmshm("top", "--interval", "0.1", code=1, stdout=full).err,
                 "No space left")
