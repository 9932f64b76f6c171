# SPDX-License-Identifier: GPL-2.0-or-later
"""The main program of a tier of tests.

    def run(report):
        tier.each(report, tier.in_folder(HERE, "device"))

    if __name__ == "__main__":
        tier.main("device", run)
"""

import importlib
import os
import signal
import sys
import traceback

import shm
from qemu import Lost, die_with_parent
from report import Report


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Skip(Exception):
    """The test cannot run on this machine; the text is the reason."""


def in_folder(folder, tier):
    """(name, function) of each test_* of each file test_*.py, as written."""
    for file in sorted(os.listdir(folder)):
        if file.startswith("test_") and file.endswith(".py"):
            module = importlib.import_module(file[:-3])
            yield from in_module(vars(module), f"{tier}/{file[5:-3]}")


def in_module(namespace, prefix):
    """(name, function) of each test_* there."""
    for name, function in list(namespace.items()):
        if name.startswith("test_"):
            yield f"{prefix}/{name[5:].replace('_', '-')}", function


def where():
    """File and line of the test that failed."""
    for frame in traceback.extract_tb(sys.exc_info()[2]):
        file = os.path.basename(frame.filename)
        if file.startswith("test_"):
            return f"{file}:{frame.lineno}: "
    return ""


def each(report, tests):
    """Run (name, function) pairs. A function passes when it returns None; it
    fails with the text that it returns, or with what it raises."""
    for name, function in tests:
        if not report.wanted(name):
            continue
        try:
            why = function()
        except Skip as e:
            report.skip(name, e)
        except Exception as e:      # noqa: BLE001
            report.fail(name, f"{where()}{type(e).__name__}: {e}")
        else:
            if why:
                report.fail(name, why)
            else:
                report.ok(name)


def main(name, run):
    """Does not return. A child process calls run(report). The objects of this
    run are removed when the child ends, also by SIGKILL."""
    # No signal is lost before its handler is set.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if not child:
        sys.exit(_tests(name, run))
    # A terminal sends SIGINT to both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shm.remove_all()
    if code < 0:
        print(f"{name}: the tests were ended by signal {-code} "
              f"({signal.strsignal(-code)})", flush=True)
    sys.exit(code if code >= 0 else 128 - code)


def _tests(name, run):
    """Returns the exit code. Every way out runs each "finally"."""
    die_with_parent(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    # Ignored signals are inherited, for example under nohup or after "&".
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report = Report()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        run(report)
    except Lost as e:
        report.fail(f"{name}/prepare", e)
    except KeyboardInterrupt:
        return 130
    finally:
        # The parent may have been killed.
        shm.remove_all()
    return report.finish()
