# SPDX-License-Identifier: GPL-2.0-or-later
"""The main program of a run that makes objects: nothing outlives the run.

The work is done by a child of the run's first process. The first process is
the subreaper of all descendants. It kills those that are left before it removes
the objects, so that no process can make an object after the removal.
"""

import contextlib
import ctypes
import glob
import os
import signal
import sys

import shm
from qemu import die_with_parent

PR_SET_CHILD_SUBREAPER = 36
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def adopt_orphans():
    """Orphans among the descendants become children of this process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def children():
    """The process IDs of the children of this process"""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                parent = f.read().rpartition(")")[2].split()[1]
        except OSError:
            continue                    # the process has ended
        if int(parent) == os.getpid():
            yield int(path.split("/")[2])


def end_children():
    """Kills and reaps all children. Those that a killed child leaves become
    children of this process before the killed child can be reaped."""
    while True:
        for child in children():
            os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def main(name, program):
    """Does not return. A child process calls program(), which returns the exit
    code. The objects of the run are removed when the child ends, also by
    SIGKILL."""
    # No signal is lost before its handler is set.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    shm.remove_dead_runs()
    lock = shm.lock()
    adopt_orphans()
    child = os.fork()
    if not child:
        sys.exit(_work(program))
    # A terminal sends SIGINT to both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: _forward(n, child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    code = _exit_code(child)
    end_children()
    shm.remove_run()
    os.close(lock)
    if code < 0:
        print(f"{name}: ended by signal {-code} ({signal.strsignal(-code)})",
              flush=True)
    sys.exit(code if code >= 0 else 128 - code)


def _forward(number, child):
    """Sends the signal to the child, unless it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _exit_code(child):
    """Waits for the child, and reaps orphans until it ends."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            return os.waitstatus_to_exitcode(status)


def _work(program):
    """Returns the exit code. Every way out runs each "finally"."""
    die_with_parent(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    # Ignored signals are inherited, for example under nohup or after "&".
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return program()
    except KeyboardInterrupt:
        return 130
    finally:
        # The parent may have been killed.
        shm.remove_run()
