# SPDX-License-Identifier: GPL-2.0-or-later
"""The main program of a tier of tests.

    def run(report):
        tier.each(report, tier.in_folder(HERE, "device"))

    if __name__ == "__main__":
        tier.main("device", run)
"""

import importlib
import os
import sys
import traceback

import cleanup
from qemu import Lost
from report import Report


class Skip(Exception):
    """The test cannot run on this machine; the text is the reason."""


def files_in(folder):
    """NAME of each file test_NAME.py"""
    return [file[5:-3] for file in sorted(os.listdir(folder))
            if file.startswith("test_") and file.endswith(".py")]


def in_file(name, tier):
    """(name, function) of each test_* in the file test_NAME.py, in the order of
    the file"""
    module = importlib.import_module("test_" + name)
    return in_module(vars(module), f"{tier}/{name}")


def in_folder(folder, tier):
    """(name, function) of each test in each file"""
    for name in files_in(folder):
        yield from in_file(name, tier)


def in_module(namespace, prefix):
    """(name, function) of each test_* in a module"""
    for name, function in list(namespace.items()):
        if name.startswith("test_"):
            yield f"{prefix}/{name[5:].replace('_', '-')}", function


def where():
    """File and line of the test that failed"""
    for frame in traceback.extract_tb(sys.exc_info()[2]):
        file = os.path.basename(frame.filename)
        if file.startswith("test_"):
            return f"{file}:{frame.lineno}: "
    return ""


def each(report, tests):
    """Runs (name, function) pairs. A test passes if its function returns None.
    It fails with the text that the function returns or the exception that it
    raises."""
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
    """Does not return. The objects of this run are removed when it ends, also
    by SIGKILL: see cleanup.main()."""
    cleanup.main(name, lambda: _tests(name, run))


def _tests(name, run):
    """Returns the exit code."""
    report = Report()
    try:
        run(report)
    except Lost as e:
        report.fail(f"{name}/prepare", e)
    return report.finish()
