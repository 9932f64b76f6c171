#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs tests of the driver and of the library in emulated guests with arm64:
Debian's kernel for arm64, with the device in qemu-system-aarch64.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The guests have GICv3 with ITS, and for some tests GICv2m. They run all tests of
tests/guest/ and tests/library/ that need no programs of this machine: all
except those of Python, remote calls and other ABIs.
"""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
TOP = os.path.dirname(TESTS)
sys.path.insert(0, os.path.join(TESTS, "lib"))
sys.dont_write_bytecode = True

import tier                         # noqa: E402
from guest import arch              # noqa: E402
from guest.kernel import Kernel     # noqa: E402
from qemu import Lost               # noqa: E402

KERNEL = "6.12-arm64"
# The tests that depend on interrupts also run with GICv2m.
GICV2M = KERNEL + "-gicv2m"
INTERRUPTS = ("wait", "poll", "channel")
LIMIT = 600

# The definitions of a kernel with larger pages
PAGES = """
#undef CONFIG_PAGE_SHIFT
#define CONFIG_PAGE_SHIFT {}
"""


def build_with_pages(shift):
    """(exit code, output) of a build of the driver for a kernel with larger
    pages"""
    out = os.path.join(TOP, "build", f"arm64-pages-{shift}")
    os.makedirs(out, exist_ok=True)
    header = os.path.join(out, "pages.h")
    with open(header, "w", encoding="ascii") as f:
        f.write(PAGES.format(shift))
    done = subprocess.run(
        ["make", "-C", os.path.join(TOP, "driver"), f"KVER={KERNEL}",
         f"OUT={out}", *arch.Arm64.make_driver, f"KCFLAGS=-include {header}"],
        check=False, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def test_larger_pages_are_refused():
    """The compiler refuses larger pages with a message."""
    Kernel(KERNEL).prepare()
    for shift in (14, 16):
        code, said = build_with_pages(shift)
        if not code or "vmshm needs a kernel with pages of 4 KiB" not in said:
            return f"pages of {1 << shift} bytes: {said[-300:]}"
    return None


def guest_tests():
    """tests/guest/run.py as a module"""
    loader = importlib.machinery.SourceFileLoader(
        "guest_run", os.path.join(TESTS, "guest", "run.py"))
    spec = importlib.util.spec_from_loader("guest_run", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Selection:
    """A report that wants only tests whose names begin with one of `names`"""

    def __init__(self, report, *names):
        self.report, self.names = report, names

    def wanted(self, name):
        return (name.split("/")[1].removeprefix("library-").startswith(
            self.names) and self.report.wanted(name))

    def __getattr__(self, name):
        return getattr(self.report, name)


def run(report):
    tier.each(report, tier.in_module(globals(), "arm64"))
    guests = guest_tests()
    guests.run(report, [KERNEL])
    guests.run(Selection(report, *INTERRUPTS), [GICV2M])


if __name__ == "__main__":
    try:
        tier.main("arm64", run)
    except Lost as e:
        sys.exit(str(e))
