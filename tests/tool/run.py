#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program vmshm on a host, built with the sanitizers of gcc.

    tests/tool/run.py [SUBSTRING...]

Runs each test_* function of each test_*.py file here. What the program does in
a guest is tested in tests/guest/test-tool.sh.
"""

import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import shm                          # noqa: E402
from functions import tests, where  # noqa: E402
from report import Report           # noqa: E402
from tool import BUILD, ROOT, Skip  # noqa: E402

CFLAGS = ("-O1 -g -Wall -Wextra -Werror -Wno-error=stringop-overread "
          "-fsanitize=address,undefined -fno-sanitize-recover=all")


def build():
    """None, or what the compiler says."""
    done = subprocess.run(
        ["make", "-s", "-C", "tools", "OUT=" + BUILD, "CFLAGS=" + CFLAGS],
        cwd=ROOT, check=False, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.decode(errors="replace") if done.returncode else None


def main():
    # So that the objects go away on this exit path, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # What is ignored, as under nohup or after "&", programs inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    report = Report()
    why = build()
    if why:
        report.fail("tool/build", why)
        return report.finish()
    try:
        for name, function in tests(HERE, "tool"):
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
