#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Version 0.1 and this version meet in a guest.

usage: run.py [PART-OF-A-TEST'S-NAME...]

driver-0.1: the driver of version 0.1 on the device of this version passes the
guest tests of version 0.1. That driver knows only registers and 96 slots.
device-0.1: the driver of this version passes guest tests of this version on the
device of version 0.1.

The environment: QEMU, VMSHM_SO, and KERNELS (default "6.1"). Version 0.1 is
taken from the history of the git repository. Without it nothing is tested.
"""

import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True

import tier                     # noqa: E402
from qemu import VMSHM_SO, Lost, need_device    # noqa: E402
from revision import OLD, extract, is_there     # noqa: E402

SOURCE = os.path.join(ROOT, "build", "compat", "0.1")
DEVICE = os.path.join(SOURCE, "build", "vmshm.so")
KERNELS = os.environ.get("KERNELS", "6.1")

# Parts of names of tests
OLD_TESTS = ("/attach/", "/wait/", "/poll/", "/hold/", "/create/", "/files/",
             "/channel/", "/reopen/", "/mmap/")
# These need no property and no command that only this version has.
NEW_TESTS = ("/attach/", "/poll/", "/wait/host_wakes", "/wait/guest_wakes",
             "/wait/five_hundred", "/wait/every_token", "/wait/turns",
             "/wait/wakes_", "/wait/signals", "/wait/unbind")


def get_source():
    """The tree of version 0.1, with the downloads of this one"""
    shutil.rmtree(SOURCE, ignore_errors=True)
    extract(OLD, SOURCE)
    os.makedirs(os.path.join(SOURCE, "build"))
    for name in ("kernel", "apt", "qemu"):
        os.makedirs(os.path.join(ROOT, "build", name), exist_ok=True)
        os.symlink(os.path.join(ROOT, "build", name),
                   os.path.join(SOURCE, "build", name))


def build_device():
    done = subprocess.run([os.path.join(SOURCE, "device", "build.sh")],
                          check=False, env={**os.environ, "OUT": DEVICE},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Lost("it does not build: " +
                   done.stdout.decode(errors="replace")[-300:])


def add_result(report, prefix, line):
    """Whether the line is the result of a test"""
    found = re.fullmatch(r"(ok|FAIL|skip) (\S+?)(?:: (.*))?", line)
    if not found:
        return False
    word, test, why = found.groups()
    name = f"{prefix}/{test}"
    if word == "ok":
        report.ok(name)
    else:
        (report.fail if word == "FAIL" else report.skip)(name, why or "")
    return True


def guest_tests(report, prefix, root, tests, device):
    """Runs guest tests of the tree @root. Their results are reported here."""
    results, failed, last = 0, report.failed, "nothing"
    with subprocess.Popen(
            [os.path.join(root, "tests", "guest", "run.py"), *tests],
            env={**os.environ, "VMSHM_SO": device, "KERNELS": KERNELS},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        for line in process.stdout:
            last = line.rstrip("\n")
            if add_result(report, prefix, last):
                results += 1
            else:
                print("     " + last, flush=True)
    if not results or (process.returncode and report.failed == failed):
        report.fail(prefix, f"exit code {process.returncode}: {last}")


def run(report):
    need_device()
    if not is_there(OLD):
        report.skip("compat", f"git has no commit {OLD}: the clone is "
                    "shallow, or this is no repository")
        return
    get_source()
    # Each run has its own tests: parts of their names select nothing here.
    if report.wanted("compat/driver-0.1"):
        guest_tests(report, "compat/driver-0.1", SOURCE, OLD_TESTS, VMSHM_SO)
    if report.wanted("compat/device-0.1"):
        build_device()
        guest_tests(report, "compat/device-0.1", ROOT, NEW_TESTS, DEVICE)


if __name__ == "__main__":
    tier.main("compat", run)
