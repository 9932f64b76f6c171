# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages are well-formed, complete and installed."""

import glob
import os
import re
import shutil
import subprocess

from tool import (BUILD, DEADLINE, ROOT, VMSHM, Skip, alone, contains, equal,
                  folder, vmshm)

PAGES = ("vmshm.1", "vmshm.3", "vmshm.4", "vmshm.5", "vmshm-device.8",
         "vmshm_object.3", "vmshm_channel.3", "vmshm_broadcast.3")
# The header that each manual page of the library describes
HEADERS = {"vmshm_object.3": "vmshm", "vmshm_channel.3": "channel",
           "vmshm_broadcast.3": "broadcast"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def page(name):
    return read("docs/man/" + name)


def lint(path):
    """The findings of mandoc, without those about references to pages that are
    not installed here, and about the name of an operating system"""
    done = subprocess.run(["mandoc", "-Tlint", path], check=False, cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [line for line in done.stdout.decode().splitlines()
            if not re.search("referenced manual not found|"
                             "operating system explicitly specified", line)]


def test_lint():
    if not shutil.which("mandoc"):
        raise Skip("no mandoc; Debian: apt install mandoc")
    for name in PAGES:
        equal(lint("docs/man/" + name), [])
    with folder() as here:
        wrong = os.path.join(here, "wrong.1")
        with open(wrong, "w", encoding="ascii") as f:
            f.write(page("vmshm.1").replace(".El\n", "", 1))
        equal(lint(wrong) != [], True, "it finds a mistake")


def test_references():
    for name in PAGES:
        for other, number in re.findall(r"^\.Xr (vmshm\w*) (\d)", page(name),
                                        re.M):
            equal(f"{other}.{number}" in PAGES or other in functions(), True,
                  f"{name}: {other} {number}")


def test_commands_and_options():
    """All commands and options of --help are in vmshm(1)."""
    text = page("vmshm.1")
    helped = vmshm("--help").out
    commands = re.findall(r"^  ([a-z]+) ", helped, re.M)
    equal(len(commands), 12)
    for command in commands:
        equal(re.search(rf"^\.(It |)Cm {command}\b", text, re.M) is None,
              False, command)
        helped += vmshm(command, "--help").out
    for option in set(re.findall(r"(?<![\w-])--?([a-zA-Z]+)", helped)):
        found = re.search(rf"Fl (-|\w+ , Fl -)?{option}\b|Fl HGhV", text)
        equal(found is None, False, option)


def test_errors():
    """Each error in the contract of ioctls is in vmshm(4)."""
    errors = set(re.findall(r"\b(E[A-Z]{3,})\b",
                            read("include/vmshm/ioctl.h")))
    equal(len(errors) > 8, True, errors)
    for error in errors:
        equal(f"Er {error}" in page("vmshm.4"), True, error)


def test_attributes():
    """Each file in sysfs is in vmshm(4)."""
    names = re.findall(r"DEVICE_ATTR_RO\((\w+)\)", read("driver/sysfs.c"))
    equal(len(names) > 3, True, names)
    for name in names:
        equal(f".It Pa {name}\n" in page("vmshm.4"), True, name)


def test_mount_options():
    """Each mount option of the driver is in vmshm(5)."""
    names = re.findall(r'fsparam_\w+\("(\w+)"', read("driver/super.c"))
    equal(len(names) > 2, True, names)
    for name in names:
        equal(f".It Cm {name}" in page("vmshm.5"), True, name)


def functions(header=None):
    """The functions of the library, or of one of its headers"""
    if header is None:
        return [f for h in HEADERS.values() for f in functions(h)]
    return re.findall(r"^[a-z].*?\*?(vmshm_\w+)\(",
                      read(f"include/vmshm/{header}.h"), re.M)


def test_library():
    """Each function and each error of a header is in its page."""
    for name, header in HEADERS.items():
        text = page(name)
        calls = functions(header)
        equal(len(calls) > 8, True, calls)
        for call in calls:
            equal(re.search(rf"^\.Nm {call}\b", text, re.M) is None, False,
                  f"{call} in NAME")
            for where, kind in (("SYNOPSIS", "F[no]"), ("DESCRIPTION", "Fn")):
                part = text.split(f".Sh {where}\n")[1].split(".Sh ")[0]
                found = re.search(rf"^\.{kind} {call}\b", part, re.M)
                equal(found is None, False, f"{call} in {where}")
        for error in set(re.findall(r"\b(E[A-Z]{3,})\b",
                                    read(f"include/vmshm/{header}.h"))):
            equal(f".It Er {error}\n" in text, True, f"{error} in {name}")


def test_operating_system():
    """The footer names the project instead of the operating system."""
    for name in PAGES:
        equal(".Os VMShm\n" in page(name), True, name)


def examples():
    """The blocks of commands in vmshm(1)"""
    text = page("vmshm.1").split(".Sh EXAMPLES\n")[1].split("\n.Sh ")[0]
    return re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$", text, re.M)


def example(start):
    """The example that begins with this text"""
    found = [block for block in examples() if block.startswith(start)]
    equal(len(found), 1, start)
    return found[0].strip()


def run_example(script):
    """The output of a shell that runs the example on a host with a group kvm
    and the directory of a VM. The program is in PATH as vmshm."""
    if os.geteuid():
        raise Skip("not root")
    if not shutil.which("jq"):
        raise Skip("no jq; Debian: apt install jq")
    with folder() as here:
        os.symlink(VMSHM, os.path.join(here, "vmshm"))
        before = alone(f"""
            cp /etc/group {here}/group
            grep -q ^kvm: {here}/group || echo kvm:x:4321: >>{here}/group
            mount --bind {here}/group /etc/group
            mount -t tmpfs none /run
            mkdir /run/vm1
            touch /run/vm1/mine
            PATH={here}:$PATH
            cd {here}""")
        done = subprocess.run(
            [*before, "sh", "-ec", script], check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=DEADLINE)
        equal(done.returncode, 0, done.stdout)
        return done.stdout.decode()


def test_examples_of_a_host():
    create = example("vmshm create")
    text = run_example(create + "\nvmshm info /frames")
    contains(text, "64 MiB", "rw-rw----", "group kvm")
    text = run_example(create + "\nvmshm create /other 1\n" +
                       example("vmshm ls 'frames"))
    contains(text, "/frames", '"/frames"')
    equal("/other" in text, False)
    contains(run_example(example("vmshm --dir")), "/mine")
    # Processes with the name of a QEMU and with another name
    qemu = ("sh -c 'echo qemu-system-x86 >/proc/$$/comm; >ready; read x' "
            "-name guest=vm1 <>pipe 3</dev/shm/frames &")
    text = run_example(
        create + "\nmkfifo pipe\n" + qemu + "\nexec 3</dev/shm/frames\n"
        "until [ -e ready ]; do :; done\n" + example("vmshm top"))
    equal(text, "vm1\n")


def test_examples_of_a_copy():
    """The example copies a directory to the other side."""
    text = run_example(
        "mkdir directory to; echo hello >directory/file\n"
        "(cd to; " + example("vmshm recv") + ") &\n" +
        example("tar c") + "\nwait\ncat to/directory/file")
    equal(text, "hello\n")


def test_examples_of_a_guest():
    """The examples for guests are those of tests/guest/test-tool.sh, with other
    programs."""
    tested = read("tests/guest/test-tool.sh")
    for block in examples():
        if "vmshm run" not in block:
            continue
        for option in re.findall(r"vmshm run (-\w)", block):
            equal(f"vmshm run {option} " in tested or
                  f" {option} uid=" in tested, True, block)
    equal(len(examples()), 9, "all have a test")


def make(*args):
    subprocess.run(["make", "-s", *args], cwd=ROOT, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def test_install():
    """The pages are installed below DESTDIR and PREFIX, and removed again."""
    with folder() as here:
        args = ["-C", "tools", "OUT=" + BUILD, "DESTDIR=" + here,
                "PREFIX=/opt/x"]
        make(*args, "install")
        files = sorted(os.path.relpath(f, here) for f in
                       glob.glob(here + "/**", recursive=True)
                       if os.path.isfile(f))
        equal(files, ["opt/x/bin/vmshm",
                      "opt/x/share/bash-completion/completions/vmshm"] +
              [f"opt/x/share/man/man{n}/vmshm.{n}" for n in "145"])
        equal(os.access(here + "/opt/x/bin/vmshm", os.X_OK), True)
        with open(here + "/opt/x/bin/vmshm", "rb") as a, \
                open(VMSHM, "rb") as b:
            equal(a.read() == b.read(), True, "the same program")
        make(*args, "uninstall")
        equal([f for f in glob.glob(here + "/**", recursive=True)
               if os.path.isfile(f)], [])
