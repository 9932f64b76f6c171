# SPDX-License-Identifier: GPL-2.0-or-later
"""ls, info, create, rm, cat and write with objects"""

import os
import signal
import subprocess
import time

import shm
from shm import Object, fresh_name, path, pattern
from tool import (DEADLINE, VMSHM, Skip, contains, equal, folder, vmshm,
                  with_mounts, with_shm)


class Others:
    """Files in /dev/shm that are not objects"""

    def __enter__(self):
        self.names = {kind: fresh_name() for kind in ("dir", "fifo", "link")}
        self.target = Object(10)
        os.mkdir(path(self.names["dir"]))
        os.mkfifo(path(self.names["fifo"]))
        os.symlink(path(self.target.name), path(self.names["link"]))
        return self.names

    def __exit__(self, *_):
        os.rmdir(path(self.names["dir"]))
        os.unlink(path(self.names["fifo"]))
        os.unlink(path(self.names["link"]))
        self.target.close()


def test_ls():
    with Object(4096, mode=0o640) as a, Object(70000, b"x" * 5000) as b, \
            Others() as others:
        entries = {e["name"]: e for e in vmshm("ls", "--json").json}
        equal(entries[a.name]["size"], 4096)
        equal(entries[a.name]["mode"], "0640")
        equal(entries[a.name]["allocated"], 0)
        equal(entries[b.name]["allocated"], 8192)
        st = os.stat(path(b.name))
        equal(entries[b.name]["uid"], st.st_uid)
        equal(entries[b.name]["gid"], st.st_gid)
        equal(entries[b.name]["modified"], int(st.st_mtime))
        text = vmshm("ls").out
        lines = {s.split()[-1]: s for s in text.splitlines()}
        contains(lines[a.name], "4 KiB", "rw-r-----")
        contains(lines[b.name], "68.3 KiB", "rw-------")
        for name in others.values():
            equal(name in lines or name in entries, False, name)
    equal(list(entries), sorted(entries, key=os.fsencode), "order")


def test_ls_pattern():
    """Patterns with and without the slash, several patterns, and a pattern that
    matches no name"""
    with Object(1) as a, Object(2) as b:
        def listed(*patterns, code=0):
            return [e["name"] for e in
                    vmshm("ls", "--json", *patterns, code=code).json]
        equal(listed(a.name), [a.name])
        equal(listed(a.name[1:4] + "?" + a.name[5:]), [a.name])
        equal(listed(f"/{shm.PREFIX}*"), sorted([a.name, b.name]))
        equal(listed(b.name, a.name, a.name), sorted([a.name, b.name]))
        equal(listed(a.name, fresh_name(), code=1), [a.name])
        lines = vmshm("ls", b.name).out.splitlines()
        equal(len(lines), 2)
        contains(vmshm("ls", "no[thing", code=1).err, "no[thing",
                 "no object matches")


def test_times():
    """Times of any year are printed. The C library supports fewer years than
    tmpfs."""
    for when in (-(1 << 55), -62167219201, -1, 0, 253402300800,
                 67768036191676799, 67768036191676800, 1 << 56):
        with Object(1) as o:
            try:
                os.utime(o.path, (when, when))
            except OverflowError:
                subprocess.run(["touch", "-d", f"@{when}", o.path], check=True)
            when = int(os.stat(o.path).st_mtime_ns // 10 ** 9)
            told = [vmshm(*args).out for args in
                    (("ls", o.name), ("info", o.name))]
            equal(vmshm("ls", "--json", o.name).json[0]["modified"], when)
            equal(vmshm("info", "--json", o.name).json["modified"], when)
            header, line = told[0].splitlines()
            equal(header.index("NAME"), line.index(o.name), "columns")
            if when > 67768036191676799:
                contains(told[1], f"modified @{when}")


def test_ls_long_owner():
    """Columns are as wide as the longest owner. Control bytes in the name of an
    owner have no effect."""
    script = ("mount -t tmpfs none /dev/shm\ntouch /dev/shm/a /dev/shm/b\n"
              "chown 4242 /dev/shm/a\nchown 4243 /dev/shm/b\n"
              "mount -t tmpfs none /mnt\n"
              "printf '%s:x:4242:1::/:\\n\033[31m:x:4243:1::/:\\n' "
              + "o" * 60 + " >/mnt/p\nmount --bind /mnt/p /etc/passwd")
    if os.geteuid():
        raise Skip("not root")
    text = vmshm("ls", before=with_mounts(script)).out
    header, first, second = text.splitlines()
    equal("\033" in text, False, "control bytes")
    equal((first.index("/a"), second.index("/b")),
          (header.index("NAME"), header.index("NAME")), text)
    contains(first, "o" * 60)


def test_ls_empty():
    equal(vmshm("ls", "--json", before=with_shm("1M")).json, [])
    equal(len(vmshm("ls", before=with_shm("1M")).out.splitlines()), 1)


def test_ls_many():
    """All names are listed in order if they do not fit into one buffer."""
    before = with_mounts(
        "mount -t tmpfs none /dev/shm\n"
        "seq -w 3000 | sed 's,^,/dev/shm/n,' | xargs touch")
    names = [e["name"] for e in vmshm("ls", "--json", before=before).json]
    equal(names, [f"/n{i:04}" for i in range(1, 3001)])


def test_info():
    with Object(65636, b"x", mode=0o604) as o:
        told = vmshm("info", "--json", o.name).json
        equal((told["name"], told["path"]), (o.name, path(o.name)))
        equal((told["size"], told["allocated"]), (65636, 4096))
        equal((told["mode"], told["inode"]),
              ("0604", os.stat(path(o.name)).st_ino))
        contains(vmshm("info", o.name).out, "64.0 KiB (65636 bytes)",
                 "4 KiB in use", "rw----r--")
    contains(vmshm("info", o.name, code=1).err, o.name, "no such object")


def test_info_host():
    told = vmshm("info", "--json", before=with_shm("3M")).json
    equal(told, {"folder": "/dev/shm", "size": 3 << 20, "free": 3 << 20,
                 "objects": 0, "allocated": 0})
    contains(vmshm("info", before=with_shm("3M")).out, "/dev/shm", "3 MiB")


def test_not_objects():
    """No command waits for a FIFO or follows a symbolic link."""
    with Others() as others:
        for kind, name in others.items():
            for args in (("info",), ("cat",), ("write",)):
                contains(vmshm(*args, name, code=1).err, name,
                         "symbolic link" if kind == "link" and
                         args != ("info",) else "")
        contains(vmshm("rm", others["dir"], code=1).err, "directory")


def test_missing():
    name = fresh_name()
    for args in (("info",), ("cat",), ("write",), ("rm",)):
        contains(vmshm(*args, name, code=1).err, name, "no such object")


def test_no_permission():
    if os.geteuid():
        raise Skip("not root")
    nobody = ("setpriv", "--reuid", "65534", "--clear-groups")
    with Object(10) as o:
        for args in (("cat", o.name), ("write", o.name)):
            # Other users may have no access to the build directory.
            with open(VMSHM, "rb") as f:
                done = subprocess.run(
                    [*nobody, f"/proc/self/fd/{f.fileno()}", *args],
                    pass_fds=(f.fileno(),), check=False,
                    stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                    timeout=DEADLINE)
            equal(done.returncode, 1)
            contains(done.stderr.decode(), o.name, "Permission denied")


def test_create():
    """The object has all of its memory, with zeros. create fails if the name is
    in use."""
    name = fresh_name()
    vmshm("create", name, "1M")
    st = os.stat(path(name))
    equal((st.st_size, st.st_blocks * 512), (1 << 20, 1 << 20))
    equal(vmshm("cat", name).raw, bytes(1 << 20))
    contains(vmshm("create", name, "1", code=1).err, "exists already",
             f"type: vmshm rm {name}")
    equal(os.stat(path(name)).st_size, 1 << 20)
    vmshm("rm", name)
    vmshm("create", "--sparse", name, "1T")
    equal(os.stat(path(name)).st_blocks, 0)
    vmshm("rm", name)


def test_create_through_link():
    """A dangling symbolic link does not become an object elsewhere."""
    name, target = fresh_name(), fresh_name()
    os.symlink(path(target), path(name))
    vmshm("create", name, "1", code=1)
    equal(os.path.lexists(path(target)), False)
    os.unlink(path(name))


def test_create_no_room():
    """Without enough memory, create fails and leaves no object."""
    script = f'{VMSHM} create /a 900K && ! {VMSHM} create /b 1M'
    result = vmshm("ls", "--json",
                   before=[*with_shm("1M"), "sh", "-ec",
                           script + ' && exec "$@"', "sh"])
    equal([e["name"] for e in result.json], ["/a"])
    contains(result.err, "/b", "124 KiB free", "needs 1 MiB",
             "type: vmshm create --sparse /b 1M")


def begin_create(name, before=()):
    """A process that creates an object. The object exists, and has in general
    not all of its memory yet."""
    # pylint: disable=consider-using-with
    process = subprocess.Popen([*before, VMSHM, "create", name, "1G"],
                               stderr=subprocess.PIPE)
    end = time.monotonic() + DEADLINE
    while not os.path.exists(path(name)) and process.poll() is None:
        if time.monotonic() > end:
            break
    return process


def test_create_interrupted():
    """After a signal, the object is complete or does not exist."""
    name = fresh_name()
    process = begin_create(name)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    if process.returncode == 0:
        equal(os.stat(path(name)).st_size, 1 << 30)
        os.unlink(path(name))
    equal(os.path.exists(path(name)), False)


def test_create_hangup():
    """After nohup(1), the end of the terminal does not interrupt it."""
    name = fresh_name()
    process = begin_create(name, before=["sh", "-c",
                                         'trap "" HUP; exec "$@"', "sh"])
    process.send_signal(signal.SIGHUP)
    err = process.communicate(timeout=DEADLINE)[1]
    equal(process.returncode, 0, err.decode())
    equal(os.stat(path(name)).st_blocks, (1 << 30) // 512)
    os.unlink(path(name))


def test_create_interrupted_and_replaced():
    """The object of another program that has the name since is kept."""
    name = fresh_name()
    process = begin_create(name)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    os.unlink(path(name))
    with open(path(name), "xb") as f:
        f.write(b"other")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=DEADLINE)
    with open(path(name), "rb") as f:
        equal(f.read(), b"other")
    os.unlink(path(name))


def test_rm():
    """All existing objects are removed, also after errors with other names."""
    with Object(1) as a, Object(1) as b:
        missing = fresh_name()
        vmshm("rm", a.name, "not/right", b.name, code=2)
        equal(os.path.exists(path(a.name)), True, "no object was removed")
        contains(vmshm("rm", a.name, missing, b.name, code=1).err, missing)
        equal(os.path.exists(path(a.name)), False)
        equal(os.path.exists(path(b.name)), False)


def test_cat():
    for size in (0, 1, 4095, 65536, 65537, 1000000):
        data = pattern(size)
        with Object(size, data) as o:
            equal(vmshm("cat", o.name).raw == data, True, f"{size} bytes")


def test_write():
    """Data can be written at the beginning, in the middle, and up to the last
    byte."""
    with Object(200000) as o:
        want = bytearray(200000)
        for args, at, data in (((), 0, b"begin"), (("100",), 100, b"middle"),
                               (("64K",), 65536, pattern(100000)),
                               (("199999",), 199999, b"!"),
                               (("200000",), 200000, b""), ((), 0, b"")):
            vmshm("write", o.name, *args, data=data)
            want[at:at + len(data)] = data
            equal(o.read(0, 300000) == bytes(want), True, f"after {args}")


def test_write_too_long():
    """The object keeps its size. A file that is too long is refused before the
    first write. From a pipe, as many bytes as fit are written."""
    with Object(100, b"o" * 100) as o, folder() as f:
        file = os.path.join(f, "data")
        with open(file, "wb") as out:
            out.write(b"n" * 101)
        with open(file, "rb") as data:
            said = vmshm("write", o.name, code=1, stdin=data).err
        contains(said, "100 bytes", "101", "nothing was written",
                 f"type: truncate -s 101 {path(o.name)}")
        equal(o.read(0, 200), b"o" * 100)
        with open(file, "rb") as data:
            data.seek(1)
            vmshm("write", o.name, stdin=data)
        equal(o.read(0, 200), b"n" * 100)
        said = vmshm("write", o.name, "90", data=b"p" * 11, code=1).err
        contains(said, "10 bytes were written")
        equal("type: " in said, False, "a size that is not known")
        equal(o.read(0, 200), b"n" * 90 + b"p" * 10)
        for offset in ("101", "1G", "8388607T"):
            said = vmshm("write", o.name, offset, code=1).err
            contains(said, "ends at 100", "type: truncate -s ")
        equal(o.size, 100)


def test_sides():
    """With -G on a host, the message names the missing part."""
    with Object(1) as o:
        vmshm("-H", "info", o.name)
        vmshm("info", "--host", o.name)
        for args in (("-G", "ls"), ("cat", "-G", o.name),
                     ("--guest", "info", o.name)):
            contains(vmshm(*args, code=1).err, "not mounted",
                     "mount -t vmshm vmshm0 /dev/shm", "type: vmshm doctor")
        contains(vmshm("ls", "-H", "-d", "vmshm0", code=1).err, "guests")
    contains(vmshm("-H", "run", "true", code=1).err, "not a guest",
             "type: vmshm --guest doctor")
    contains(vmshm("-G", "info", "--device", "vmshm7", code=1).err, "vmshm7")
    equal(vmshm("-G", "info", "--json").json, [])


def test_no_shm():
    """Without /dev/shm, the message names the next command."""
    if os.geteuid():
        raise Skip("not root")
    before = with_mounts("mount -t tmpfs none /dev\nmknod /dev/null c 1 3")
    for args in (("ls",), ("create", "/a", "1"), ("info",)):
        contains(vmshm(*args, code=1, before=before).err, "/dev/shm",
                 "type: vmshm doctor")


def test_nothing_left():
    """The tests of this file have left no object."""
    left = [n for n in os.listdir(shm.FOLDER) if n.startswith(shm.PREFIX)]
    equal(left, [])
