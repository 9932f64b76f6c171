#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Device tests against the stock QEMU, through its qtest protocol.

    tests/device/run.py [SUBSTRING...]

Runs each test_* function of each test_*.py file here. QEMU and the test wait
for each other. Therefore there are as many workers as CPUs, at most four, each
with a file of its own.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]
sys.dont_write_bytecode = True

import qemu                         # noqa: E402
import tier                         # noqa: E402
import workers                      # noqa: E402


def run(report):
    qemu.need_device()
    count = min(4, len(os.sched_getaffinity(0)))
    workers.each(report, tier.files_in(HERE), count,
                 lambda report, file: tier.each(
                     report, tier.in_file(file, "device")))


if __name__ == "__main__":
    tier.main("device", run)
