#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands and programs of the documentation do what the text states.

usage: run.py [PART-OF-A-TEST'S-NAME...]
"""

import glob
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import shm                          # noqa: E402
import tier                         # noqa: E402
from qemu import ROOT, Qemu         # noqa: E402

# Seconds for commands that may have to build the driver, and to download its
# kernel
DEMO_LIMIT = 240
# Seconds for programs that end by themselves
PROGRAM_LIMIT = 120
OUT = os.path.join(ROOT, "build", "docs-programs")
# Code that the fragments of the programmer's guide presuppose
PRELUDE = """#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <vmshm/broadcast.h>
#include <vmshm/channel.h>
#include <vmshm/ioctl.h>
"""


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def documents():
    """(name, text) of each document, with the device's page in QEMU's manual"""
    for pattern in ("*.md", "docs/*.md", "device/*.rst"):
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            yield os.path.relpath(path, ROOT), read(path)


def blocks(text, language):
    """The blocks of a language: the text between its fences"""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def run(*args, **more):
    """(exit code, all output) of a command"""
    done = subprocess.run(args, cwd=ROOT, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **more)
    return done.returncode, done.stdout.decode(errors="replace")


def test_demo():
    """The demo shows both sides and removes its object."""
    if "\n    make demo\n" not in read("README.md"):
        return "README.md does not contain the command of the demo"
    code, text = run("make", "demo", timeout=DEMO_LIMIT)
    if code:
        return f"exit code {code}: {text[-300:]}"
    for wanted in ("the host wrote: Hello from the host", "I was here: "):
        if wanted not in text:
            return f"it does not show {wanted!r}"
    long = [line for line in text.splitlines() if len(line) > 80]
    if long:
        return f"a line of more than 80 columns: {long[0]}"
    name = re.search(r"host create /(\S+)", text)
    if not name:
        return "it does not show the name of its object"
    if os.path.exists("/dev/shm/" + name.group(1)):
        return f"it leaves /{name.group(1)}"
    return None


def test_help():
    """make help fits on a terminal."""
    code, text = run("make", "--no-print-directory", "help")
    if code or "make demo" not in text:
        return f"exit code {code}: {text[-300:]}"
    long = [line for line in text.splitlines() if len(line) > 80]
    return f"a line of more than 80 columns: {long[0]}" if long else None


def test_verbs():
    """Each "make VERB" exists; each verb is in CONTRIBUTING.md."""
    verbs = set(re.findall(r"^([a-z0-9-]+):.*##", read("Makefile"), re.M))
    for name, text in documents():
        for verb in re.findall(r"(?:^ {4}|`)make ([a-z][a-z0-9-]*)", text,
                               re.M):
            if verb not in verbs:
                return f"{name}: there is no make {verb}"
    told = set(re.findall(r"`make ([a-z0-9-]+)", read("CONTRIBUTING.md")))
    missing = verbs - told
    return f"CONTRIBUTING.md does not list {missing}" if missing else None


def test_verbs_of_parts():
    """Each "make -C DIRECTORY VERB" exists."""
    found = set()
    for name, text in documents():
        for part, verb in re.findall(
                r"(?:^ {4}(?:sudo )?|`(?:sudo )?)make -C (\S+)(?: ([a-z-]+))?",
                text, re.M):
            part = part.rstrip("`")
            # Capitals are a placeholder for the source directory.
            part = "." if part.isupper() else part
            found.add((part, verb))
            makefile = os.path.join(part, "Makefile")
            if not os.path.exists(os.path.join(ROOT, makefile)):
                return f"{name}: there is no {makefile}"
            if verb and not re.search(rf"^{verb}:", read(makefile), re.M):
                return f"{name}: make -C {part} has no {verb}"
    return None if len(found) > 3 else f"only these were found: {found}"


def boots(device):
    """The reason why QEMU refuses the argument, or None. A directory that the
    reader creates first is replaced by a temporary directory."""
    with tempfile.TemporaryDirectory() as directory:
        return boots_here(re.sub(r"\bdir=[^,]*", "dir=" + directory, device))


def boots_here(device):
    try:
        with Qemu("-device", "pcie-root-port,id=rp1,chassis=1,"
                  "pref64-reserve=1G", "-device", device,
                  machine="q35") as vm:
            vm.qmp("query-status")
    except Exception as e:      # noqa: BLE001
        return f"-device {device}: {e}"
    return None


def test_device_arguments():
    """QEMU accepts each "-device vmshm..." that documentation shows."""
    found = set()
    for _, text in documents():
        # Placeholders are in capitals; "-device vmshm,help" ends QEMU.
        found |= {d.rstrip(".,;:") for d in
                  re.findall(r"-device '?(vmshm(?:,[^\s'`\"]*)?)", text)
                  if not re.search(r"=[A-Z]|,help", d)}
    if len(found) < 3:
        return f"only these were found: {found}"
    return next(filter(None, map(boots, sorted(found))), None)


def test_tool():
    """The tool has each command that documentation shows after its name."""
    code, text = run("make", "-s", "tool")
    if code:
        return text
    found = set()
    for _, text in documents():
        found |= set(re.findall(
            r"(?:^ {4}|`|[$|] )(?:sudo )?vmshm ([a-z]+)\b", text, re.M))
    if len(found) < 3:
        return f"only these were found: {found}"
    for command in sorted(found):
        code, text = run("build/vmshm", command, "--help")
        if code:
            return f"vmshm {command}: {text}"
    return None


def test_doctor():
    """The tool has the sentences of the sample in the operator's guide."""
    sample = re.search(r"^ {4}\$ vmshm doctor\n((?: {4}.*\n)+)",
                       read("docs/operator.md"), re.M)
    if not sample:
        return "docs/operator.md has no sample"
    # Strings that the compiler joins
    source = "".join(read(os.path.relpath(path, ROOT)) for path in
                     glob.glob(os.path.join(ROOT, "tools", "*.[ch]")))
    source = re.sub(r'"\s*"', "", source)
    found = re.findall(r"(?:ok|FAIL|note|\d) +(\S.*)", sample.group(1))
    for text in found:
        # The parts of a sentence between values
        for part in re.split(r"\S*\d\S*", text):
            if part.strip() not in source:
                return f"the tool has no {part.strip()!r}"
    return None if len(found) > 2 else f"only these were found: {found}"


def test_libvirt():
    """The XML is well-formed, and QEMU accepts the device in it."""
    text = re.search(r"^ {4}<domain.*?</domain>", read("docs/operator.md"),
                     re.M | re.S)
    if not text:
        return "docs/operator.md has no <domain>"
    domain = xml.etree.ElementTree.fromstring(text.group())
    space = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    values = [a.get("value") for a in domain.iter(space + "arg")]
    if values[::2] != ["-plugin", "-device"]:
        return f"not a pair of each: {values}"
    # pcie.0 is the bus of q35, which libvirt uses by default.
    return boots(values[3])


def test_hot_plug():
    """device_add and device_del work as in the operator's guide."""
    guide = read("docs/operator.md")
    lines = re.findall(r"^ {4}(device_(?:add|del) .*)$", guide, re.M)
    port = re.search(r"`-device (pcie-root-port,\S*)`", guide)
    if len(lines) != 2 or not port:
        return f"found {lines} and {port}"
    with Qemu("-device", port.group(1), machine="q35") as vm:
        said = vm.hmp(lines[0])
        if said.strip():
            return f"{lines[0]}: {said}"
        path = "/machine/peripheral/shm1"
        if vm.qmp("qom-get", path=path, property="attachments") != []:
            return "something is attached to a new device"
    return None


def test_monitor():
    """The monitor has each property of the device that documentation shows."""
    lines = re.findall(r"^ {4}(qom-get /machine/peripheral/(\w+) \w+)$",
                       read("docs/operator.md"), re.M)
    if len(lines) < 3:
        return f"only these were found: {lines}"
    with Qemu("-device", f"vmshm,id={lines[0][1]}") as vm:
        for line, _ in lines:
            said = vm.hmp(line).strip()
            if not said.startswith(("[", "{")):
                return f"{line}: {said}"
    return None


def test_vmshm_device():
    """vmshm-device has each command and option that documentation shows."""
    usage = run("device/vmshm-device", "--help")[1]
    found = set()
    for _, text in documents():
        for command, option in re.findall(
                r"\bvmshm-device ([a-z]+)\b(?:\s+(--[a-z]+))?", text):
            if not re.search(rf"\bvmshm-device {command}\b.*{option}", usage):
                return f"there is no vmshm-device {command} {option}"
            found.add((command, option))
    return None if len(found) > 3 else f"only these were found: {found}"


def test_fstab():
    """findmnt(8) can parse each line for /etc/fstab; the options are those
    that vmshm(5) describes, and those of mount(8) and systemd.mount(5)."""
    manual = read("docs/man/vmshm.5")
    files = ["docs/operator.md", "docs/man/vmshm.5", "driver/fstab.example"]
    lines = [line for file in files for line in re.findall(
        r"^[# ]*(vmshm0 +/\S+ +vmshm .*)$", read(file), re.M)]
    if len(lines) < len(files):
        return f"only these were found: {lines}"
    for line in lines:
        for option in line.split()[3].split(","):
            name = option.partition("=")[0]
            if not (re.search(rf"^\.(It )?Cm {name}\b", manual, re.M)
                    or name.startswith("x-systemd.")):
                return f"vmshm(5) does not describe {name}"
    with tempfile.NamedTemporaryFile("w", suffix=".fstab") as table:
        table.write("\n".join(lines) + "\n")
        table.flush()
        # The exit code depends on the directories of this machine.
        text = run("findmnt", "--verify", "--tab-file", table.name)[1]
    return None if re.search(r"^0 parse errors", text, re.M) else text


def test_host_commands():
    """The commands of the operator's guide for a host without libvirt, in
    private mounts, and with a user whom libvirt would add. The limit of the
    kernel keeps its value."""
    guide = read("docs/operator.md")
    lines = re.findall(r"^ {4}sudo (mkdir|mount|sysctl)\b(.*)$",
                       guide.split("\n## Containers\n")[0], re.M)
    lines = [command + rest for command, rest in lines]
    if len(lines) != 4:
        return f"found {lines}"
    acl = re.search(r"`(setfacl [^`]*)`", guide).group(1)
    if os.geteuid():
        raise tier.Skip("not root")
    script = """
        mount -t tmpfs none /run
        mount -t tmpfs -o mode=1777 none /dev/shm
        grep -v ^libvirt-qemu: /etc/passwd >/run/passwd
        echo libvirt-qemu:x:4321:4321::/: >>/run/passwd
        mount --bind /run/passwd /etc/passwd
        install -m 600 /dev/null /dev/shm/vm1-audio
        sysctl() { test -w "/proc/sys/$(echo "${1%%=*}" | tr . /)"; }
        """ + "\n".join([*lines, acl]) + """
        echo $(stat -c '%a %u' /run/vm1) $(df -k --output=size /run/vm1)
        stat -f -c %T /run/vm1
        grep ' /dev/shm ' /proc/mounts
        setpriv --reuid 4321 --clear-groups sh -c ': <>/dev/shm/vm1-audio'"""
    code, text = run("unshare", "--mount", "sh", "-ec", script)
    for wanted in ("700 4321 1K-blocks 65536", "tmpfs", "huge=within_size"):
        if code or wanted not in text:
            return f"exit code {code}, no {wanted!r}: {text}"
    return None


def test_mount_for_one_program():
    """tests/guest/ runs the command of README.md."""
    command = re.search(r"^ {4}(unshare .*)$", read("README.md"), re.M).group(1)
    command = command.replace("PROGRAM", "ls /dev/shm")
    return (None if command in read("tests/guest/test-fs.sh")
            else f"no test has {command}")


def test_install():
    """make install, install-device and install-driver change only files below
    DESTDIR. make uninstall removes these files and the directories of VMShm.
    """
    with tempfile.TemporaryDirectory() as there:
        args = ("make", "--no-print-directory", "DESTDIR=" + there,
                "KVER=6.1", "PYTHONDIR=/usr/lib/python3/dist-packages")
        code, text = run(*args, "install", "install-device", "install-driver",
                         timeout=DEMO_LIMIT)
        found = {file for _, _, names in os.walk(there) for file in names}
        wanted = {"vmshm", "vmshm.1", "libvmshm.so.0", "libvmshm.a",
                  "channel.h", "vmshm.pc", "vmshm.py", "vmshm.so",
                  "vmshm-device.8", "build.sh", "vmshm.ko", "60-vmshm.rules"}
        if code or not wanted <= found:
            return (f"exit code {code}, missing {wanted - found}: "
                    f"{text[-300:]}")
        code, text = run(*args, "uninstall", timeout=PROGRAM_LIMIT)
        left = [os.path.join(d, f) for d, directories, files in os.walk(there)
                for f in files + directories
                if f in files or "vmshm" in f]
        if code or left:
            return f"exit code {code}, left {left}: {text[-300:]}"
    return None


def test_examples():
    """The examples compile without a warning."""
    code, text = run(
        "make", "-s", "-B", "-C", "examples",
        "OUT=" + os.path.join(ROOT, "build", "docs-examples"),
        "CFLAGS=-std=gnu11 -O2 -Wall -Wextra -Werror")
    return text if code else None


def compile_block(number, block):
    """The reason why a block of C does not compile, or None. A block is a
    program, or functions, to which the headers are added."""
    source = os.path.join(OUT, f"block-{number}.c")
    whole = "int main(" in block
    with open(source, "w", encoding="utf-8") as f:
        f.write(block if whole else PRELUDE + block)
    end = (["build/lib/libvmshm.a", "-o", source[:-2]] if whole
           else ["-fsyntax-only"])
    code, text = run("cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror",
                     "-pthread", "-Iinclude", source, *end)
    return f"block {number}: {text}" if code else None


def test_programs():
    """Each block of the programmer's guide compiles without a warning."""
    os.makedirs(OUT, exist_ok=True)
    code, text = run("make", "-s", "lib")
    if code:
        return text
    guide = read("docs/programmer.md")
    for number, block in enumerate(blocks(guide, "python")):
        compile(block, f"python block {number}", "exec")
    found = blocks(guide, "c")
    if len(found) < 5:
        return f"only {len(found)} blocks were found"
    return next(filter(None, map(compile_block, range(len(found)), found)),
                None)


def device_tests():
    """The names of the device's tests, in the form of tests/device/run.py"""
    for path in glob.glob(os.path.join(ROOT, "tests/device/test_*.py")):
        part = os.path.basename(path)[len("test_"):-len(".py")]
        yield f"device/{part}/".replace("_", "-")
        for name in re.findall(r"^def test_(\w+)\(", read(path), re.M):
            yield f"device/{part}/{name}".replace("_", "-")


def is_test(name, tests):
    """Whether docs/security.md can name this as a test."""
    if name.startswith("make "):
        return re.search(rf"^{name[5:]}:.*##", read("Makefile"), re.M)
    if name.startswith("tests/"):
        return os.path.exists(os.path.join(ROOT, name))
    return any("/" + name in test for test in tests)


def test_security():
    """Each promise and each bound in docs/security.md names tests, in the last
    column, and all of them exist."""
    tests, rows = list(device_tests()), 0
    text = read("docs/security.md")
    for title in "Guarantees", "Resources of the host":
        part = text.split(f"## {title}\n")[1].split("\n## ")[0]
        for row in re.findall(r"^\| (?!---).* \|$", part, re.M)[1:]:
            names = re.findall(r"`([^`]+)`", row.split(" | ")[-1])
            if not names:
                return f"no test is named: {row}"
            for name in names:
                if not is_test(name, tests):
                    return f"there is no test {name}: {row}"
            rows += 1
    return None if rows > 20 else f"only {rows} rows were found"


def test_count():
    """The guide's program that waits sees the values of the program that
    counts.
    """
    why = test_programs()
    if why:
        return why
    number = next(n for n, block in
                  enumerate(blocks(read("docs/programmer.md"), "c"))
                  if "int main(" in block)
    program = os.path.join(OUT, f"block-{number}")
    name = shm.fresh_name()
    ups = 0
    try:
        with subprocess.Popen([program, name], text=True,
                              stdout=subprocess.PIPE) as waiter:
            # The program may not have read the counter yet, so the counter is
            # incremented until the program ends.
            end = time.monotonic() + PROGRAM_LIMIT
            while waiter.poll() is None and time.monotonic() < end:
                code, text = run(program, name, "up")
                if code:
                    waiter.kill()
                    return text
                ups += 1
            waiter.kill()
            said = waiter.stdout.read()
    finally:
        os.unlink(shm.path(name))
    if not said.strip().isdigit() or not 1 <= int(said) <= ups:
        return f"it says {said!r} after {ups}"
    return None


def run_tests(report):
    tier.each(report, tier.in_module(globals(), "docs"))


if __name__ == "__main__":
    tier.main("docs", run_tests)
