# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages: well-formed, complete, installed."""

import glob
import os
import re
import shutil
import subprocess

from tool import BUILD, ROOT, VMSHM, Skip, equal, folder, vmshm

PAGES = ("vmshm.1", "vmshm.3", "vmshm.4", "vmshm.5", "vmshm-device.8")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def page(name):
    return read("docs/man/" + name)


def lint(path):
    """What mandoc says; which other manuals there are is the machine's."""
    done = subprocess.run(["mandoc", "-Tlint", path], check=False, cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [line for line in done.stdout.decode().splitlines()
            if "referenced manual not found" not in line]


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
        for number in re.findall(r"^\.Xr vmshm (\d)", page(name), re.M):
            equal(f"vmshm.{number}" in PAGES, True, f"{name}: {number}")


def test_commands_and_options():
    """Whatever --help tells is in vmshm(1)."""
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
    """Each error that the contract of ioctl has is in vmshm(4)."""
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


def test_library():
    """Each call of the headers and each error is in vmshm(3)."""
    text = page("vmshm.3")
    for name in ("vmshm", "channel", "broadcast"):
        header = read(f"include/vmshm/{name}.h")
        calls = re.findall(r"^[a-z].*?\*?(vmshm_\w+)\(", header, re.M)
        equal(len(calls) > 8, True, calls)
        for call in calls:
            for where, kind in (("SYNOPSIS", "F[no]"), ("DESCRIPTION", "Fn")):
                part = text.split(f".Sh {where}\n")[1].split(".Sh ")[0]
                found = re.search(rf"^\.{kind} {call}\b", part, re.M)
                equal(found is None, False, f"{call} in {where}")
        for error in set(re.findall(r"\b(E[A-Z]{3,})\b", header)):
            equal(f".It Er {error}\n" in text, True, error)


def make(*args):
    subprocess.run(["make", "-s", *args], cwd=ROOT, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def test_install():
    """To DESTDIR and PREFIX, and away again."""
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
