#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Device tests against the stock QEMU, through its qtest protocol.

    tests/device/run.py [SUBSTRING...]

Runs each test_* function of each test_*.py file here.
"""

import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import qemu                         # noqa: E402
import shm                          # noqa: E402
from functions import tests, where  # noqa: E402
from report import Report           # noqa: E402
from vmshm import Skip              # noqa: E402


def main():
    # So that the objects go away on this exit path, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = Report()
    if not qemu.BUILTIN and not os.path.exists(qemu.VMSHM_SO):
        report.fail("device", f"{qemu.VMSHM_SO} is missing: make device")
        return report.finish()
    try:
        for name, function in tests(HERE, "device"):
            if not report.wanted(name):
                continue
            try:
                function()
            except Skip as e:
                report.skip(name, e)
            except Exception as e:      # noqa: BLE001
                report.fail(name, f"{where()}{type(e).__name__}: {e}")
            else:
                report.ok(name)
    finally:
        shm.remove_all()
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
