# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports of the doctor about healthy and broken machines

The tests simulate a broken host by mounts over /dev, or by another QEMU. They
simulate a guest by the files that a guest's kernel shows in /sys.
tests/guest/test-tool.sh runs the doctor in guests.
"""

import functools
import os
import platform
import re
import subprocess

from tool import (COLUMNS, ROOT, Skip, alone, check_hint, contains, equal,
                  folder, program, vmshm, with_mounts)

VERSION = "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)"
OTHER = "10.0.2 (Debian 1:10.0.2+ds-2)"
TOOL = vmshm("--version").out.split()[1]
FAKES = folder()
# Other users also run these programs.
os.chmod(FAKES.name, 0o755)


def findings(*args, code=0, **more):
    """{check: (verdict, text, explanations, advice)}. JSON and text output are
    compared. A host has a private /dev/shm, whose free memory does not change.
    """
    if "-H" in args:
        more.setdefault("before", alone())
    told = vmshm("doctor", "--json", *args, code=code, **more).json
    equal(told["healthy"], code == 0)
    people = vmshm("doctor", *args, code=code, **more).out
    found = {}
    for f in told["findings"]:
        word = {"ok": "ok ", "note": "note ", "fail": "FAIL "}[f["verdict"]]
        contains(people, " ".join((
            word + f["text"], *f["explanation"],
            *("type: " + " ".join(a.split()) for a in f["advice"]))))
        equal(bool(f["advice"]) and f["verdict"] == "ok", False,
              f"advice where all is well: {f}")
        for command in f["advice"]:
            check_hint(command)
        found.setdefault(f["check"], (
            f["verdict"], f["text"], " ".join(f["explanation"]),
            "\n".join(f["advice"])))
    for line in people.splitlines():
        # A long path is not broken into lines. It is alone on its line, or
        # follows the verdict.
        if (len(line) > COLUMNS and "type: " not in line and
                len(line.split()) > 2):
            raise AssertionError(f"too wide: {line}")
    return found


def expect(found, check, verdict, *parts):
    """Checks the verdict, and that the text and the advice contain the
    parts."""
    if check not in found:
        raise AssertionError(f"nothing is said of {check}: {found}")
    equal(found[check][0], verdict, f"{check}: {found[check]}")
    contains(" ".join(found[check][1:]), *parts)


# Hosts

@functools.lru_cache(None)
def fake_qemu(version, built_in, string="main"):
    """A program with a build ID that prints this version and these devices, and
    contains a string"""
    base = os.path.join(FAKES.name, str(fake_qemu.cache_info().misses))
    with open(base + ".c", "w", encoding="ascii") as f:
        f.write(f"""#include <stdio.h>
const char string[] = "\\0{string}";
int main(int argc, char **argv)
{{
	puts(argv[argc - 1][0] == '-' ? "QEMU emulator version {version}" :
	     "name \\"{'vmshm' if built_in else 'e1000'}\\", bus PCI");
}}
""")
    subprocess.run(["cc", "-Wl,--build-id", "-o", base, base + ".c"],
                   check=True)
    notes = subprocess.run(["readelf", "-n", base], check=True,
                           stdout=subprocess.PIPE).stdout.decode()
    return base, re.search("Build ID: ([0-9a-f]+)", notes).group(1)


class Host:
    """A directory with a QEMU of that version, a loader, and a device"""

    def __init__(self, version=VERSION, device=VERSION, built_in=False,
                 loader=True, **info):
        self.folder = folder()
        here = self.folder.name
        self.qemu, self.id = fake_qemu(version, built_in)
        self.env = {"QEMU": self.qemu,
                    "VMSHM_SO": os.path.join(here, "vmshm.so")}
        self.devices = os.path.join(here, "vmshm-devices")
        os.mkdir(self.devices)
        os.chmod(here, 0o755)
        if loader:
            with open(self.env["VMSHM_SO"], "wb") as f:
                f.write(b"\x7fELF")
        if device is not None:
            self.add(self.id, device, **{"qemu": self.qemu, **info})

    def add(self, build_id, device, **info):
        """Adds a device file, with the contents of its .info file."""
        base = os.path.join(self.devices, build_id)
        with open(base + ".so", "wb") as f:
            f.write(b"\x7fELF" + bytes(5000) + b"text\0" +
                    device.encode() + b"\0more")
        with open(base + ".info", "w", encoding="ascii") as f:
            for key, value in {"version": device, **info}.items():
                f.write(f"{key}={value}\n")
        return base + ".so"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def test_real_device():
    """The device of "make device" is for the installed QEMU."""
    if not os.path.exists(os.path.join(ROOT, "build", "vmshm-devices")):
        raise Skip("no build/vmshm-devices")
    found = findings("-H")
    expect(found, "qemu", "ok", "is QEMU")
    expect(found, "loader", "ok", "vmshm.so")
    expect(found, "device", "ok", "is built for this QEMU")
    expect(found, "shm", "ok", "/dev/shm")


def test_device_fits():
    with Host(vmshm=TOOL, source="7.2.22", nearest="") as host:
        found = findings("-H", env=host.env)
        expect(found, "qemu", "ok", VERSION)
        expect(found, "loader", "ok", host.env["VMSHM_SO"])
        expect(found, "device", "ok", f"vmshm-devices/{host.id}.so")
        equal("devices" in found, False)


def test_device_of_another_qemu():
    """A device with the right name must also have the whole version of QEMU."""
    for other in (OTHER, "1" + VERSION, VERSION + "x", VERSION[:-1], ""):
        with Host(device=other) as host:
            expect(findings("-H", env=host.env, code=1), "device", "fail",
                   "another QEMU", "make ", "QEMU=" + host.qemu)


def test_device_by_nearest_source():
    with Host(source="7.2.18", nearest="1:7.2-7") as host:
        expect(findings("-H", env=host.env), "device", "note", "1:7.2-7",
               "not available")


def test_device_of_another_version():
    with Host(source="7.2.22", vmshm="0.0.1") as host:
        expect(findings("-H", env=host.env), "device", "note", "0.0.1", TOOL,
               "make ")


def test_no_device():
    with Host(device=None) as host:
        expect(findings("-H", env=host.env, code=1), "device", "fail",
               "not built", host.id, "make ", "QEMU=" + host.qemu)
    with Host(device=None, loader=False) as host:
        expect(findings("-H", env=host.env, code=1), "device", "fail",
               "not built", "make ")


def test_device_is_no_file():
    with Host(device=None) as host:
        os.mkdir(os.path.join(host.devices, host.id + ".so"))
        expect(findings("-H", env=host.env, code=1), "device", "fail")
    with Host() as host:
        with open(os.path.join(host.devices, host.id + ".so"), "wb"):
            pass
        expect(findings("-H", env=host.env, code=1), "device", "fail")


def test_device_built_in():
    with Host(device=None, loader=False, built_in=True) as host:
        expect(findings("-H", env=host.env), "device", "ok",
               "part of this QEMU")


def test_devices_of_others():
    """The doctor counts the devices of installed QEMU binaries, and names other
    devices."""
    other, other_id = fake_qemu(OTHER, False)
    with Host() as host:
        host.add(other_id, OTHER, qemu=other)
        found = findings("-H", env=host.env)
        expect(found, "devices", "ok", "1 more device")
    with Host() as host:
        stale = host.add("abcd", OTHER, qemu=other)
        # An incomplete file, which build.sh is still writing
        with open(os.path.join(host.devices, ".new.1.so"), "wb"):
            pass
        found = findings("-H", env=host.env)
        expect(found, "devices", "note", stale, OTHER, "rm " + stale)


def test_binaries():
    """The doctor names an installed QEMU without a device, if this QEMU can
    load one."""
    if os.geteuid():
        raise Skip("not root")
    path = "/usr/local/bin/qemu-system-test"
    for string, named in (("register_module_init", True), ("main", False)):
        with Host() as host:
            other, other_id = fake_qemu(OTHER, False, string)
            before = alone("mount -t tmpfs none /usr/local/bin\n"
                           f"cp {other} {path}\nln -s {path} {path}-link\n")
            found = findings("-H", env=host.env, before=before)
            if not named:
                equal(path in str(found.get("binaries")), False)
                continue
            texts = [f["text"] for f in vmshm(
                "doctor", "-H", "--json", env=host.env, before=before)
                     .json["findings"] if path in f["text"]]
            equal(texts, [f"The device for {path} is not built."])
            host.add(other_id, OTHER, qemu=path)
            found = findings("-H", env=host.env, before=before)
            equal(path in str(found.get("binaries")), False, "has a device")


def test_qemu_without_build_id():
    """QEMU has no build ID, or is a damaged file."""
    with Host() as host:
        with open(host.qemu, "rb") as f:
            whole = f.read()
        at = whole.index(bytes.fromhex(host.id)) - 16
        for name, data in (
                ("none", whole[:at + 8] + b"\7" + whole[at + 9:]),
                ("long", whole[:at + 4] + b"\xff" * 4 + whole[at + 8:]),
                ("name", whole[:at] + b"\xff" * 4 + whole[at + 4:])):
            path = os.path.join(host.folder.name, name)
            with open(path, "wb") as f:
                f.write(data)
            os.chmod(path, 0o755)
            expect(findings("-H", env={**host.env, "QEMU": path}, code=1),
                   "device", "fail", "no build ID")
        script = program(host.folder.name, "script",
                         f"echo 'QEMU emulator version {VERSION}'")
        expect(findings("-H", env={**host.env, "QEMU": script}, code=1),
               "device", "fail", "no build ID")


def test_source():
    """The doctor checks whether the source of a Debian QEMU is available for
    the next build."""
    with Host(version="7.2.99 (Debian 1:7.2+x-1+b3)") as host:
        found = findings("-H", env=host.env, code=1)
        expect(found, "source", "note", "7.2+x-1 is not cached")
        if os.geteuid():
            raise Skip("not root")
        cache = ("mount -t tmpfs none /var/cache\n"
                 "mkdir -p /var/cache/vmshm/qemu/7.2+x-1\n"
                 "touch /var/cache/vmshm/qemu/7.2+x-1/.complete")
        expect(findings("-H", env=host.env, code=1, before=alone(cache)),
               "source", "ok", "cached")
    with Host(version="9.9.9") as host:
        equal("source" in findings("-H", env=host.env, code=1), False)


def test_no_qemu():
    found = findings("-H", code=1, env={"QEMU": "/nonexistent/qemu"})
    expect(found, "qemu", "fail", "/nonexistent/qemu")
    equal("device" in found, False)
    with folder() as empty:
        found = findings("-H", code=1, before=[
            *alone(), "/usr/bin/env", "QEMU=", "PATH=" + empty])
        expect(found, "qemu", "fail", "qemu-system-x86_64")
        if os.path.exists("/etc/debian_version"):
            expect(found, "qemu", "fail", "apt install qemu-system-x86")


def test_odd_qemu():
    """QEMU prints nothing, garbage, or too much, or it fails."""
    with folder() as here:
        for text in ("", "echo hello", "echo QEMU emulator version; exit 1",
                     "printf 'QEMU\\0\\377\\033[31m'", "kill -9 $$",
                     "yes QEMU emulator | head -n 100000"):
            qemu = program(here, "qemu", text)
            expect(findings("-H", code=1, env={"QEMU": qemu}), "qemu",
                   "fail", "version")


def test_shm_small():
    with Host() as host:
        found = findings("-H", env=host.env, before=alone(size="64M"))
        expect(found, "shm-size", "note", "64 MiB", "size=1")


def test_shm_full():
    with Host() as host:
        before = alone("head -c 8388608 /dev/zero >/dev/shm/x", size="8M")
        found = findings("-H", env=host.env, before=before, code=1)
        expect(found, "shm-size", "fail", "full", "vmshm ls", "vmshm rm")


def test_shm_no_limit():
    with Host() as host:
        before = alone("mount -t tmpfs -o size=0 none /dev/shm")
        expect(findings("-H", env=host.env, before=before), "shm-size", "ok")


def test_shm_not_mounted():
    with Host() as host, folder() as plain:
        before = alone(f"mount --bind {plain} /dev/shm")
        if os.statvfs(plain).f_fsid == os.statvfs("/dev/shm").f_fsid:
            raise Skip("the temporary directory is in a tmpfs")
        with_code = findings("-H", env=host.env, before=before, code=1)
        expect(with_code, "shm", "fail", "No tmpfs", "mount -t tmpfs")


def test_shm_read_only():
    with Host() as host:
        before = alone("mount -t tmpfs -o ro none /dev/shm")
        expect(findings("-H", env=host.env, before=before, code=1), "shm",
               "fail", "Read-only", "remount,rw")


def test_shm_forbidden():
    """A user other than root has no access to /dev/shm."""
    if os.geteuid():
        raise Skip("not root")
    # Other users may have no access to the build directory.
    before = [*alone("mount -t tmpfs -o mode=755 none /dev/shm\n"
                     "mount -t tmpfs none /mnt\n"
                     "cp build/tool/vmshm /mnt/vmshm"),
              "setpriv", "--reuid", "65534", "--clear-groups",
              "sh", "-c", 'shift; cd /; exec /mnt/vmshm "$@"', "sh"]
    expect(findings("-H", before=before, code=1), "shm", "fail",
           "chmod 1777")


def test_bare_dev():
    """/dev has neither shm nor kvm."""
    if os.geteuid():
        raise Skip("not root")
    with Host() as host:
        before = alone("mount -t tmpfs none /dev\n"
                       "mknod /dev/null c 1 3")
        found = findings("-H", env=host.env, before=before, code=1)
        expect(found, "shm", "fail", "No such file", "mkdir -p /dev/shm",
               "mount -t tmpfs")
        expect(found, "kvm", "note", "slow")


# Guests

class Guest:
    """A directory with the files that the kernel of a guest shows"""

    def __init__(self):
        self.folder = folder()
        self.path = self.folder.name
        for place in ("devices", "class", "module", "modules"):
            os.mkdir(os.path.join(self.path, place))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def write(self, name, text):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    def device(self, pci="0000:00:03.0", name="", bar4=(1 << 32, 2 << 30),
               ident="0x6661", **attributes):
        """Adds a PCI device. bar4: (address, bytes); 0 bytes: no BAR4"""
        here = f"devices/{pci}/"
        self.write(here + "vendor", "0x1af4\n")
        self.write(here + "device", ident + "\n")
        rows = ["0x00000000febd1000 0x00000000febd1fff 0x0000000000040200",
                "0x00000000fea00000 0x00000000feafffff 0x0000000000040200",
                "0x00000000febd2000 0x00000000febd23ff 0x0000000000040200",
                "0x0000000000000000 0x0000000000000000 0x0000000000000000"]
        rows.append(f"0x{bar4[0]:016x} 0x{bar4[0] + bar4[1] - 1:016x} "
                    "0x000000000014220c" if bar4[1] else rows[3])
        self.write(here + "resource", "\n".join(rows + rows[3:4] * 3) + "\n")
        if not name:
            return
        self.write(here + f"vmshm/{name}/dev", "240:0\n")
        for key, value in attributes.items():
            self.write(f"class/vmshm/{name}/{key}", f"{value}\n")

    def loaded(self):
        with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as f:
            self.write("module/vmshm/version", f.read())

    def before(self, script=""):
        """The command that starts a program with these files in its mounts"""
        places = {"devices": "/sys/bus/pci/devices", "class": "/sys/class",
                  "module": "/sys/module", "modules": "/lib/modules"}
        missing = [b for b in places.values() if not os.path.isdir(b)]
        if missing == ["/lib/modules"] and not os.listdir(
                os.path.join(self.path, "modules")):
            del places["modules"]
        elif missing:
            raise Skip(f"this machine has no {missing}")
        return with_mounts("\n".join(
            [f"mount --bind {self.path}/{a} {b}" for a, b in places.items()]
            + [script]))


FULL = {"arena_size": 1 << 30, "arena_free": 1 << 29, "features": "0x3",
        "memory_type": "write-back"}


def test_guest_without_device():
    with Guest() as guest:
        guest.device(ident="0x1110")
        expect(findings("-G", before=guest.before(), code=1), "pci", "fail",
               "1af4:6661", "-device vmshm")


def test_guest_is_known():
    """Without -G, the program recognises a guest by the device, or by QEMU's
    firmware."""
    with Guest() as guest:
        guest.device()
        none = {"QEMU": "/nonexistent"}
        told = vmshm("doctor", "--json", before=guest.before(), env=none,
                     code=1).json
        equal({f["side"] for f in told["findings"]}, {"guest"})
        with Host() as host:
            told = vmshm("doctor", "--json", before=guest.before(),
                         env=host.env, code=1).json
            equal({f["side"] for f in told["findings"]}, {"host", "guest"})
    with Guest() as guest:
        guest.write("devices/0000:00:00.0/subsystem_vendor", "0x1af4\n")
        guest.write("devices/0000:00:00.0/subsystem_device", "0x1100\n")
        told = vmshm("doctor", "--json", before=guest.before(), env=none,
                     code=1).json
        equal({f["side"] for f in told["findings"]}, {"guest"})
    with Guest() as guest:
        told = vmshm("doctor", "--json", before=guest.before(), env=none,
                     code=1).json
        equal({f["side"] for f in told["findings"]}, {"host"})


def test_driver_not_built():
    """The driver is built for no kernel, or for another kernel."""
    release = platform.release()
    with Guest() as guest:
        guest.device()
        expect(findings("-G", before=guest.before(), code=1), "driver",
               "fail", "not built", release, f"linux-headers-{release}",
               "driver install")
        guest.write("modules/5.4.0-1/modules.dep", "updates/vmshm.ko:\n")
        guest.write(f"modules/{release}/modules.dep", "kernel/vmshmx.ko:\n")
        guest.write(f"modules/{release}/build/Makefile", "\n")
        found = findings("-G", before=guest.before(), code=1)
        expect(found, "driver", "fail", "not built", release, "5.4.0-1")
        equal("linux-headers" in found["driver"][3], False)


def test_driver_not_loaded():
    with Guest() as guest:
        guest.device()
        guest.write(f"modules/{platform.release()}/modules.dep",
                    "kernel/a.ko.xz:\nupdates/dkms/vmshm.ko.xz: kernel/b.ko\n")
        expect(findings("-G", before=guest.before(), code=1), "driver",
               "fail", "not loaded", "modprobe vmshm")


def test_driver_of_another_version():
    with Guest() as guest:
        guest.device()
        guest.write("module/vmshm/version", "0.0.1\n")
        expect(findings("-G", before=guest.before(), code=1), "driver",
               "note", "0.0.1")


def test_driver_has_not_taken_it():
    with Guest() as guest:
        guest.device(pci="0000:01:00.0")
        guest.loaded()
        expect(findings("-G", before=guest.before(), code=1), "bound",
               "fail", "0000:01:00.0", "/sys/bus/pci/drivers/vmshm/bind")


def test_node():
    """The node is missing, or the user has no access because of a group or a
    missing udev rule."""
    with Guest() as guest:
        guest.device(name="vmshm0", **FULL)
        guest.loaded()
        expect(findings("-G", before=guest.before(), code=1), "node", "fail",
               "No such file", "udevadm trigger")
        if os.geteuid():
            raise Skip("not root")
        for mode, words in (("660", "usermod -aG"), ("600", "udev rule")):
            script = f"""mount -t tmpfs none /dev
                mknod -m 666 /dev/null c 1 3
                mknod -m {mode} /dev/vmshm0 c 1 3
                chgrp 1 /dev/vmshm0
                mount -t tmpfs none /mnt
                cp build/tool/vmshm /mnt/vmshm"""
            before = [*guest.before(script), "setpriv", "--reuid", "65534",
                      "--clear-groups", "sh", "-c",
                      'shift; exec /mnt/vmshm "$@"', "sh"]
            os.chmod(guest.path, 0o755)
            expect(findings("-G", before=before, code=1), "node", "fail",
                   "/dev/vmshm0", words)


def test_arena():
    """The device has no arena, an arena without an address, or an arena that
    the driver cannot use."""
    for bar4, size, verdict, words in (
            ((0, 0), 0, "note", "arena=0"),
            ((0, 2 << 30), 0, "fail", "pref64-reserve"),
            ((1 << 32, 2 << 30), 0, "fail", "dmesg"),
            ((1 << 32, 2 << 30), 1 << 30, "ok", "2 GiB")):
        with Guest() as guest:
            guest.device(name="vmshm0", bar4=bar4,
                         **{**FULL, "arena_size": size})
            guest.loaded()
            expect(findings("-G", before=guest.before(), code=1), "arena",
                   verdict, words)


def test_cached():
    low, high, bar = 3 << 30, 1 << 32, 2 << 28
    for kind, start, size, verdict, words in (
            ("write-back", high, bar, "ok", "like RAM"),
            ("uncached", low, bar, "note", "arena=1G"),
            # BAR4 of arena=1G
            ("uncached", 1 << 30, 2 << 30, "note", "arena=2G"),
            ("uncached", high, bar, "note", "OVMF"),
            (None, high, bar, "note", "not report")):
        attributes = {k: v for k, v in FULL.items() if k != "memory_type"}
        if kind:
            attributes["memory_type"] = kind
        with Guest() as guest:
            guest.device(name="vmshm0", bar4=(start, size), **attributes)
            guest.loaded()
            found = findings("-G", before=guest.before(), code=1)
            expect(found, "cached", verdict, words)


def test_mount():
    """The advice is a mount on /dev/shm, unless systemd-logind would remove
    objects of the host from there."""
    for script, features, directory in (
            ("", FULL["features"], "/dev/shm"),
            ("mkdir -p /run/systemd/seats", FULL["features"], "/mnt"),
            ("mkdir -p /run/systemd/seats", hex(0), "/dev/shm")):
        with Guest() as guest:
            guest.device(name="vmshm0", bar4=(1 << 32, 2 << 28),
                         **{**FULL, "features": features})
            guest.loaded()
            before = guest.before(
                "mount -t tmpfs none /run\n"
                "[ ! -d /etc/systemd ] || mount -t tmpfs none /etc/systemd\n"
                f"{script}")
            found = findings("-G", before=before, code=1)
            expect(found, "mount", "note", "vmshm run",
                   f"mount -t vmshm vmshm0 {directory}")


def test_futex():
    """The doctor checks the driver's parameter, and thread IDs that can equal
    those of the host."""
    with Guest() as guest:
        guest.device(name="vmshm0", **FULL)
        guest.loaded()
        found = findings("-G", before=guest.before(), code=1)
        equal("futex" in found, False, "a driver without it")
        guest.write("module/vmshm/parameters/futex", "N\n")
        found = findings("-G", before=guest.before(), code=1)
        expect(found, "futex", "note", "within this guest only",
               "echo 'options vmshm futex=on' |")
        equal("thread-ids" in found, False)
        told = vmshm("info", "--json", "vmshm0", before=guest.before()).json
        equal(told["futex"], False)
        guest.write("module/vmshm/parameters/futex", "Y\n")
        for limit, told in ("4194304", True), ("32768", False):
            guest.write("limit", limit + "\n")
            found = findings("-G", code=1, before=guest.before(
                f"mount --bind {guest.path}/limit "
                "/proc/sys/kernel/pid_max"))
            expect(found, "futex", "ok", "host's futex")
            equal("thread-ids" in found, told)
            if told:
                expect(found, "thread-ids", "note", "same ID",
                       "sysctl kernel.pid_max=32768", "ns_last_pid=1000000")
        contains(vmshm("info", "vmshm0", before=guest.before()).out,
                 "futex(2) acts on the host's futex")


def test_guest_info():
    """"info" prints the same devices."""
    with Guest() as guest:
        guest.device(name="vmshm0", **FULL)
        guest.device(pci="0000:00:04.0", name="vmshm1", bar4=(0, 0),
                     arena_size=0, arena_free=0, features="0x0")
        guest.device(pci="0000:00:06.0", name="vmshm2", bar4=(0, 2 << 30),
                     arena_size=0, arena_free=0, features="0x1")
        guest.device(pci="0000:00:05.0")
        before = guest.before()
        told = vmshm("info", "--json", before=before).json
        equal([d["device"] for d in told], ["vmshm0", "vmshm1", None, "vmshm2"])
        equal(told[0], {"device": "vmshm0", "pci": "0000:00:03.0",
                        "arena_size": 1 << 30, "arena_free": 1 << 29,
                        "features": ["arena", "create"],
                        "memory_type": "write-back", "futex": None,
                        "mounts": []})
        equal((told[1]["arena_size"], told[1]["features"]), (0, []))
        equal(told[2]["arena_size"], None)
        contains(vmshm("info", before=before).out, "vmshm0", "1 GiB, 512 MiB",
                 "arena, create", "write-back", "as in 2010",
                 "no driver is bound",
                 "BAR4, 2 GiB, has no address")
        for name in ("vmshm1", "/dev/vmshm1"):
            one = vmshm("info", "--json", name, before=before).json
            equal(one, told[1])
        vmshm("info", "/dev/vmshm7", before=before, code=1)
        # /vmshm0 is the name of an object, which needs a mount.
        contains(vmshm("info", "/vmshm0", before=before, code=1).err,
                 "not mounted")
