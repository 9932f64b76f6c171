#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The documentation's commands do what it says.

usage: run.py [PART-OF-A-TEST'S-NAME...]
"""

import glob
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

from qemu import ROOT, Qemu         # noqa: E402
from report import Report           # noqa: E402

# Seconds for make demo, whose kernel may have to be fetched
DEMO_LIMIT = 240


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def documents():
    """(name, text) of each; the device's page in QEMU's manual, too."""
    for pattern in ("*.md", "docs/*.md", "device/*.rst"):
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            yield os.path.relpath(path, ROOT), read(path)


def test_demo():
    """As a person runs it, with the object gone at the end."""
    if "\n    make demo\n" not in read("README.md"):
        return "README.md does not say how to run it"
    before = set(os.listdir("/dev/shm"))
    done = subprocess.run(["make", "demo"], cwd=ROOT, check=False,
                          stdin=subprocess.DEVNULL, timeout=DEMO_LIMIT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        return f"exit code {done.returncode}: {text[-300:]}"
    for wanted in ("the host wrote: Hello from the host", "I was here: "):
        if wanted not in text:
            return f"it does not show {wanted!r}"
    long = [line for line in text.splitlines() if len(line) > 80]
    if long:
        return f"a line of more than 80 columns: {long[0]}"
    left = {f for f in set(os.listdir("/dev/shm")) - before
            if f.startswith("vmshm-demo-")}
    return f"it leaves {left}" if left else None


def test_verbs():
    """Each "make VERB" exists; each verb is in CONTRIBUTING.md."""
    verbs = set(re.findall(r"^([a-z-]+):.*##", read("Makefile"), re.M))
    for name, text in documents():
        for verb in re.findall(r"(?:^ {4}|`)make ([a-z][a-z-]*)", text, re.M):
            if verb not in verbs:
                return f"{name}: there is no make {verb}"
    told = set(re.findall(r"`make ([a-z-]+)", read("CONTRIBUTING.md")))
    missing = verbs - told
    return f"CONTRIBUTING.md does not tell {missing}" if missing else None


def boots(device):
    """Why QEMU does not take the argument, or None."""
    try:
        with Qemu("-device", "pcie-root-port,id=rp1,chassis=1,"
                  "pref64-reserve=1G", "-device", device,
                  machine="q35") as vm:
            vm.qmp("query-status")
    except Exception as e:      # noqa: BLE001
        return f"-device {device}: {e}"
    return None


def test_device_arguments():
    """QEMU takes each "-device vmshm..." that documentation shows."""
    found = set()
    for _, text in documents():
        # Placeholders are in capitals; "-device vmshm,help" ends QEMU.
        found |= {d.rstrip(".,;:") for d in
                  re.findall(r"-device '?(vmshm(?:,[^\s'`]*)?)", text)
                  if not re.search(r"=[A-Z]|,help", d)}
    if len(found) < 3:
        return f"only these were found: {found}"
    return next(filter(None, map(boots, sorted(found))), None)


def test_libvirt():
    """The XML is well-formed, and QEMU takes the device in it."""
    text = re.search(r"^ {4}<domain.*?</domain>", read("README.md"),
                     re.M | re.S)
    if not text:
        return "README.md has no <domain>"
    domain = xml.etree.ElementTree.fromstring(text.group())
    space = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    values = [a.get("value") for a in domain.iter(space + "arg")]
    if values[::2] != ["-plugin", "-device"]:
        return f"not a pair of each: {values}"
    # pcie.0 is q35's, as with libvirt
    return boots(values[3])


def test_hot_plug():
    """device_add and device_del as the README has them."""
    lines = re.findall(r"^ {4}(device_(?:add|del) .*)$", read("README.md"),
                       re.M)
    port = re.search(r"`-device (pcie-root-port,\S*)`", read("README.md"))
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


def test_examples():
    """They compile without a warning."""
    out = os.path.join(ROOT, "build", "docs-examples")
    done = subprocess.run(
        ["make", "-s", "-B", "-C", "examples", "OUT=" + out,
         "CFLAGS=-std=gnu11 -O2 -Wall -Wextra -Werror"], cwd=ROOT,
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.decode() if done.returncode else None


def main():
    report = Report()
    for name, function in list(globals().items()):
        if not name.startswith("test_"):
            continue
        name = "docs/" + name[5:].replace("_", "-")
        if not report.wanted(name):
            continue
        try:
            why = function()
        except Exception as e:      # noqa: BLE001
            why = f"{type(e).__name__}: {e}"
        if why:
            report.fail(name, why)
        else:
            report.ok(name)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
