#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies the tables and the picture of the last run of `make bench` into
docs/performance.md and README.md. The run should be one of the current code on
an otherwise idle machine.
"""

import argparse
import json
import os
import re
import sys

import bench_guest              # noqa: F401  where tests/lib is
import exits
import picture
import table
from form import KIB, digits, times
from results import Results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- from make bench{} -->\n", "<!-- to here -->\n"

HEAD = (("", "VMShm", "ivshmem", "virtio-serial", "TCP, tap", "virtiofs"),
        ("---",) * 6)


def number(r, ratio=None):
    """The text of a time or a rate, with a ratio"""
    value, unit = r["median"], {"us": "us", "mbs": "MB/s"}[r["unit"]]
    if unit == "us" and value >= 1000:
        value, unit = value / 1000, "ms"
    text = f"{digits(value)} {unit}"
    return text if ratio is None else f"{text} ({times(ratio)})"


def row(results, title, own, others, less_is_better):
    """A row: the result of VMShm, and the result and the ratio of each peer"""
    cells = [title, number(own)]
    for r in others:
        if not r:
            cells.append("")
        elif less_is_better:
            cells.append(number(r, results.ratio(r, own)))
        else:
            cells.append(number(r, results.ratio(own, r)))
    return cells


def trip(results, title, how, peers):
    found = [p and results.find(name="trip", how=how, peer=p) for p in peers]
    return row(results, title, found[0], found[1:], True)


def bulk(results, title, way):
    found = [results.find(name="bulk", way=way, size=64 * KIB, peer=p)
             for p in ("channel", "ivshmem", "serial", "tcp-tap")]
    return row(results, title, found[0], [*found[1:], None], False)


def attach(results, title):
    found = [results.find(name="attach", size=4 * KIB, touch="first",
                          others=0, part="touched", peer=p)
             for p in ("vmshm", "ivshmem")]
    return row(results, title, found[0], [found[1], None, None, None], True)


def file(results, title, step):
    found = [results.find(name="file", step=step, peer=p)
             for p in ("vmshm", "virtiofs")]
    return row(results, title, found[0], [None, None, None, found[1]], True)


def rows(results):
    sleepers = ("channel", "doorbell-flag", "serial", "tcp-tap", None)
    return [
        *HEAD,
        trip(results, "round trip of 64 bytes, one after the other", "sleep",
             sleepers),
        trip(results, "round trip of 64 bytes, now and then", "rest", sleepers),
        trip(results, "round trip of 64 bytes, spinning", "spin",
             ("channel", "ivshmem", None, None, None)),
        bulk(results, "messages of 64 KiB to the host", "out"),
        bulk(results, "messages of 64 KiB to the guest", "in"),
        attach(results, "open an object by name, to the first byte"),
        file(results, "create a file by name", "create"),
        file(results, "stat a file by name", "stat")]


def replace(path, text, part=""):
    """Replaces the text between the two marks of a part."""
    begin = BEGIN.format(part)
    with open(path, encoding="utf-8") as f:
        old = f.read()
    new, count = re.subn(f"(?s){begin}.*?{END}",
                         lambda _: f"{begin}{text}{END}", old)
    if count != 1:
        sys.exit(f"publish: {os.path.relpath(path)} has no marks for the table")
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    exits.add_options(parser)
    args = parser.parse_args()
    with open(os.path.join(ROOT, "build", "bench.json"),
              encoding="ascii") as f:
        data = json.load(f)
    performance = os.path.join(ROOT, "docs", "performance.md")
    replace(performance, f"\n```\n{table.render(data)}```\n\n")
    lines = exits.section(Results(data), (args.exit_us, args.kernel_exit_us))
    replace(performance, "\n```\n" + "\n".join(lines).strip() + "\n```\n\n",
            ": exits")
    lines = ["| " + " | ".join(cells) + " |" for cells in
             rows(Results(data))]
    replace(os.path.join(ROOT, "README.md"),
            "\n" + "\n".join(lines) + "\n\n")
    print(picture.draw(data, os.path.join(ROOT, "docs", "performance.svg")))


if __name__ == "__main__":
    main()
