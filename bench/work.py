# SPDX-License-Identifier: GPL-2.0-or-later
"""The work of the threads of processes: processor time and context switches."""

import glob
import re
import subprocess

from qemu import die_with_parent

BUSY = ("sh", "-c", "while :; do :; done")


def of_threads(pid):
    """For each thread: (microseconds of processor time, number of context
    switches)."""
    work = {}
    for task in glob.glob(f"/proc/{pid}/task/*"):
        try:
            with open(f"{task}/schedstat", encoding="ascii") as f:
                time_ns = int(f.read().split()[0])
            with open(f"{task}/status", encoding="utf-8") as f:
                sleeps = sum(int(n) for n in re.findall(
                    r"_ctxt_switches:\s+(\d+)", f.read()))
        except (OSError, IndexError):
            continue                    # the thread has ended
        work[task] = time_ns / 1e3, sleeps
    return work


def time_of(pids):
    """Microseconds of processor time of all threads of these processes"""
    return sum(us for pid in pids for us, _ in of_threads(pid).values())


def busy(count):
    """Starts this number of processes that only compute."""
    return [subprocess.Popen(BUSY, stdin=subprocess.DEVNULL,
                             preexec_fn=die_with_parent)
            for _ in range(count)]
