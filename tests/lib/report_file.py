# SPDX-License-Identifier: GPL-2.0-or-later
"""build/report.txt: the results of the last `make check` and `make bench`, with
the machine and the versions, for users who send them.

The file contains no name of the host or of a user, and no path outside the
tree.
"""

import os
import platform
import re
import subprocess

from qemu import ROOT, package

PATH = os.path.join(ROOT, "build", "report.txt")
PARTS = ("machine", "make check", "make bench")


def _first(path, pattern):
    """The group of a pattern in a file, or "unknown" """
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            found = re.search(pattern, f.read(), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else "unknown"


def version():
    """The version of the tree, and its commit if git knows it"""
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as f:
        text = f.read().strip()
    try:
        commit = subprocess.run(
            ["git", "-C", ROOT, "describe", "--always", "--dirty"],
            check=False, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL).stdout.strip()
    except FileNotFoundError:
        commit = ""
    return f"{text} ({commit})" if commit else text


def machine():
    """Lines about the host"""
    kib = int(_first("/proc/meminfo", r"^MemTotal:\s+(\d+)"))
    return [f"VMShm: {version()}",
            f"QEMU: {package()}",
            f"processor: {_first('/proc/cpuinfo', '^model name.*: (.*)')}, "
            f"{len(os.sched_getaffinity(0))} CPUs",
            f"memory: {kib >> 20} GiB",
            f"kernel: Linux {platform.release()}",
            "distribution: " +
            _first("/etc/os-release", '^PRETTY_NAME="?([^"\n]*)')]


def clean(line):
    """The line without paths of this tree and of home directories"""
    home = os.path.expanduser("~")
    line = line.replace(ROOT, ".")
    if home.count("/") > 1:
        line = line.replace(home, "~")
    return re.sub(r"/(home|Users)/[^/\s]+", r"~", line)


def parts_of(text):
    """The lines of each part of a report"""
    found, lines = {}, []
    for line in text.splitlines():
        title = re.fullmatch(r"== (.*) ==", line)
        if title:
            lines = found.setdefault(title[1], [])
        else:
            lines.append(line)
    return found


def write(part, lines, path=PATH):
    """Replaces one part and keeps the others; returns the path, relative to the
    working directory."""
    try:
        with open(path, encoding="utf-8") as f:
            parts = parts_of(f.read())
    except FileNotFoundError:
        parts = {}
    parts["machine"] = machine()
    parts[part] = lines
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        for name in PARTS:
            if name not in parts:
                continue
            text = "\n".join(clean(line) for line in parts[name]).strip("\n")
            f.write(f"== {name} ==\n{text}\n\n")
    return os.path.relpath(path)
