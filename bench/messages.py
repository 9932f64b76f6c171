#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: messages.py [REVISION]

Measures messages of 64 bytes through a channel between two processes of this
host, with libvmshm of this tree and of a revision of the git repository
(default: version 0.1). Prints the instructions of a call, which callgrind
counts, the messages per second, and the CPU time of both processes for a
message. The last two numbers are the median and the range of 7 rounds.
"""

import os
import re
import statistics
import subprocess
import sys

from form import digits

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import cleanup                  # noqa: E402
import shm                      # noqa: E402
from revision import OLD, extract           # noqa: E402

BUILD = os.path.join(ROOT, "build", "bench")
ROUNDS = 7
COUNTED, SENT = 6400, 3_000_000
NAME = f"/{shm.PREFIX}messages"
CALLS = ("vmshm_channel_send", "vmshm_channel_recv")


class Failed(Exception):
    """The benchmark cannot run. The text is the reason."""


def run(*command, **more):
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **more)
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stderr.strip()[-300:]}")
    return done


def source_of(revision):
    """The directory with the library of that revision"""
    commit = run("git", "-C", ROOT, "rev-parse", "--short", revision + "^{}"
                 ).stdout.strip()
    source = os.path.join(BUILD, "source-" + commit)
    extract(commit, source, "lib", "include", "VERSION")
    return source


def build(source, name):
    """Builds the program with the library from that directory. Returns the
    program, and whether the library has calls for batches."""
    out = os.path.join(BUILD, "messages-" + name)
    library = os.path.join(out, "libvmshm.a")
    run("make", "-s", "-C", os.path.join(source, "lib"), "OUT=" + out, library)
    with open(os.path.join(source, "include/vmshm/channel.h"),
              encoding="utf-8") as f:
        batches = ["-DBATCHES"] * ("vmshm_channel_sendv" in f.read())
    program = os.path.join(out, "messages")
    run("gcc", "-O2", "-Wall", *batches, "-pthread", "-I",
        os.path.join(source, "include"), "-o", program,
        os.path.join(ROOT, "bench", "messages.c"), library)
    return program, bool(batches)


def instructions(program, call):
    """The instructions of each call, with those of the functions it calls"""
    said = run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               "--toggle-collect=" + call, program, NAME, "count",
               str(COUNTED)).stderr
    return round(int(re.search(r"Collected : (\d+)", said)[1]) / COUNTED)


def measure(revision=OLD, progress=lambda number: None):
    """Measures the instructions of each call with both libraries, and, for each
    program and round, the millions of messages per second and the nanoseconds
    of processor time for a message. Raises Failed if a program cannot run."""
    os.makedirs(BUILD, exist_ok=True)
    old, _ = build(source_of(revision), "old")
    new, _ = build(ROOT, "new")
    counts = {call[-4:]: [instructions(p, call) for p in (old, new)]
              for call in CALLS}
    data = {"instructions": counts, "rates": {}, "cpu": {}}
    for number in range(ROUNDS):
        progress(number)
        for key, program, how in (("old", old, "single"),
                                  ("new", new, "single"),
                                  ("batches", new, "batch")):
            rate, cpu = run(program, NAME, how, str(SENT)).stdout.split()
            data["rates"].setdefault(key, []).append(float(rate) / 1e6)
            data["cpu"].setdefault(key, []).append(float(cpu))
    return data


def text(values):
    median, least, most = (digits(v) for v in (
        statistics.median(values), min(values), max(values)))
    return f"{median} ({least}..{most})"


def row(title, *cells):
    return f"{title:22}" + "".join(f"{cell:>19}" for cell in cells)


def lines(data):
    """The lines of the table"""
    rates = data["rates"]
    gains = (statistics.median(a / b for a, b in zip(rates[k], rates["old"]))
             for k in ("new", "batches"))
    yield "Messages of 64 bytes, two processes of this host"
    yield row("", "0.1", "now", "now, batches of 64")
    for call, counts in data["instructions"].items():
        yield row("instructions, " + call, *counts)
    yield row("millions per second", *map(text, rates.values()))
    yield row("  against 0.1", "", *(f"{gain:.1f}x" for gain in gains))
    yield row("ns CPU per message", *map(text, data["cpu"].values()))


def run_benchmark(revision):
    try:
        data = measure(revision, lambda n: print(
            f"round {n + 1} of {ROUNDS}", file=sys.stderr))
    except Failed as e:
        sys.exit(f"messages: {e}")
    print("\n".join(lines(data)))


def main():
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(__doc__.strip())
    cleanup.main("messages",
                 lambda: run_benchmark((sys.argv[1:] or [OLD])[0]))


if __name__ == "__main__":
    main()
