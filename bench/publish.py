#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: publish.py

Copies the tables and the picture of the last run of `make bench` into
docs/performance.md and README.md. The run should be one of the current code on
an otherwise idle machine.
"""

import json
import os
import re
import sys

import picture
import table
from form import KIB, digits, times
from results import Results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- from make bench -->\n", "<!-- to here -->\n"

HEAD = (("", "VMShm", "ivshmem", "virtio-serial", "TCP, tap"), ("---",) * 5)


def number(r, ratio=None):
    """A time or a rate, and a ratio"""
    value, unit = r["median"], {"us": "us", "mbs": "MB/s"}[r["unit"]]
    if unit == "us" and value >= 1000:
        value, unit = value / 1000, "ms"
    text = f"{digits(value)} {unit}"
    return text if ratio is None else f"{text} ({times(ratio)})"


def row(results, title, own, others, less_is_better):
    """A row: the own result, and for each peer its result and ratio"""
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
    return row(results, title, found[0], found[1:], False)


def attach(results, title):
    found = [results.find(name="attach", size=4 * KIB, touch="first",
                          others=0, part="touched", peer=p)
             for p in ("vmshm", "ivshmem")]
    return row(results, title, found[0], [found[1], None, None], True)


def rows(results):
    sleepers = ("channel", "doorbell", "serial", "tcp-tap")
    return [
        *HEAD,
        trip(results, "round trip of 64 bytes, one after the other", "sleep",
             sleepers),
        trip(results, "round trip of 64 bytes, now and then", "rest", sleepers),
        trip(results, "round trip of 64 bytes, spinning", "spin",
             ("channel", "ivshmem", None, None)),
        bulk(results, "messages of 64 KiB to the host", "out"),
        bulk(results, "messages of 64 KiB to the guest", "in"),
        attach(results, "open an object by name, to the first byte")]


def replace(path, text):
    """Replaces the text between the two marks."""
    with open(path, encoding="utf-8") as f:
        old = f.read()
    new, count = re.subn(f"(?s){BEGIN}.*?{END}",
                         lambda _: f"{BEGIN}{text}{END}", old)
    if count != 1:
        sys.exit(f"publish: {os.path.relpath(path)} has no marks for the table")
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__.strip())
    with open(os.path.join(ROOT, "build", "bench.json"),
              encoding="ascii") as f:
        data = json.load(f)
    replace(os.path.join(ROOT, "docs", "performance.md"),
            f"\n```\n{table.render(data)}```\n\n")
    lines = ["| " + " | ".join(cells) + " |" for cells in
             rows(Results(data))]
    replace(os.path.join(ROOT, "README.md"),
            "\n" + "\n".join(lines) + "\n\n")
    print(picture.draw(data, os.path.join(ROOT, "docs", "performance.svg")))


if __name__ == "__main__":
    main()
