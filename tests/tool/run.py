#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program vmshm on a host, built with the sanitizers of gcc.

    tests/tool/run.py [SUBSTRING...]

Runs each test_* function of each test_*.py file here. tests/guest/test-tool.sh
tests the program in guests.
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]
sys.dont_write_bytecode = True

import tier                         # noqa: E402
from qemu import Lost               # noqa: E402
from tool import BUILD, ROOT        # noqa: E402

CFLAGS = ("-O1 -g -Wall -Wextra -Werror -Wno-error=stringop-overread "
          "-fsanitize=address,undefined -fno-sanitize-recover=all")


def build():
    """Builds the program. Raises Lost with the compiler's output on failure."""
    done = subprocess.run(
        ["make", "-s", "-C", "tools", "OUT=" + BUILD, "CFLAGS=" + CFLAGS],
        cwd=ROOT, check=False, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Lost(done.stdout.decode(errors="replace"))


def run(report):
    build()
    tier.each(report, tier.in_folder(HERE, "tool"))


if __name__ == "__main__":
    tier.main("tool", run)
