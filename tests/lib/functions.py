# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that are functions test_* in files test_*.py of one folder."""

import importlib
import os
import sys
import traceback


def tests(folder, tier):
    """(name, function) of each test, file by file, as written there."""
    for file in sorted(os.listdir(folder)):
        if not (file.startswith("test_") and file.endswith(".py")):
            continue
        module = importlib.import_module(file[:-3])
        for name, function in list(vars(module).items()):
            if name.startswith("test_"):
                yield (f"{tier}/{file[5:-3]}/{name[5:].replace('_', '-')}",
                       function)


def where():
    """File and line of the test that failed."""
    for frame in traceback.extract_tb(sys.exc_info()[2]):
        file = os.path.basename(frame.filename)
        if file.startswith("test_"):
            return f"{file}:{frame.lineno}: "
    return ""
