#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of libvmshm on this host. Both parties are processes of the host.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The tests are C programs, test-NAME.c, written with tests/lib/guest/t.h. They
also run in guests (tests/guest/run.py), without the sanitizers. The line
"host:" in the first comment of a file lists kinds of builds. The program is
built and run once for each kind:

    address     with gcc's sanitizers of addresses and of undefined behaviour
    thread      with the sanitizer of threads
    plain       without a sanitizer, for tests that would take too long
"""

import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import threading
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HARNESS = os.path.join(ROOT, "tests", "lib", "guest")
GUEST = os.path.join(ROOT, "tests", "guest")
BUILD = os.path.join(ROOT, "build", "library")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True

from guest.host import Host             # noqa: E402
import tier                             # noqa: E402
from qemu import Lost, die_with_parent  # noqa: E402

# -Wno-tsan: the thread sanitizer does not support fences. The library's fences
# order accesses of different processes, which the sanitizer does not observe.
KINDS = {
    "address": ("-O1", "-g", "-fsanitize=address,undefined",
                "-fno-sanitize-recover=all"),
    "thread": ("-O1", "-g", "-fsanitize=thread", "-Wno-tsan"),
    "plain": ("-O2", "-g"),
}
WARNINGS = ("-Wall", "-Wextra", "-Werror")
FLAGS = ("-std=gnu11", "-pthread", "-I", os.path.join(ROOT, "include"), "-I",
         HARNESS, "-I", GUEST)
ENVIRONMENT = {
    # Some tests leak memory on purpose. test-ends.c checks for leaks itself.
    "ASAN_OPTIONS": "detect_leaks=1:leak_check_at_exit=0",
    # Tests start many processes, and fork while threads are running.
    "TSAN_OPTIONS":
        "die_after_fork=0:halt_on_error=1:exitcode=66:atexit_sleep_ms=0",
}


class Program:
    """A test file, built in one kind"""

    def __init__(self, file, kind, several, tests):
        self.source, self.kind, self.tests = file, kind, tests
        self.name = re.sub(r"^test-|\.c$", "", os.path.basename(file))
        if several:
            self.name += "@" + kind
        self.binary = os.path.join(BUILD, kind,
                                   os.path.basename(file)[:-2])

    @classmethod
    def all_of(cls, file):
        with open(file, encoding="utf-8") as f:
            text = f.read()
        kinds = re.search(r"^ \* host: (.*)$", text, re.M)
        kinds = kinds.group(1).split() if kinds else ["address"]
        tests = re.findall(r"^T_TEST\((\w+)\)", text, re.M)
        return [cls(file, kind, len(kinds) > 1, tests) for kind in kinds]


def run_quietly(command):
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def sources(folder, suffixes=(".c", ".h")):
    return [os.path.join(folder, f) for f in sorted(os.listdir(folder))
            if f.endswith(suffixes)]


def build(programs):
    """Builds the programs. Returns the errors of the compiler, or None."""
    shared = (sources(HERE, ".h") + sources(GUEST, ".h") +
              sources(HARNESS, ".h") +
              sources(os.path.join(ROOT, "include", "vmshm")) +
              # test-ring.c includes a file of the library.
              sources(os.path.join(ROOT, "lib")) +
              [os.path.join(HARNESS, "t.c"), os.path.abspath(__file__)])
    newest = max(os.path.getmtime(f) for f in shared)
    jobs = []
    for kind in sorted({p.kind for p in programs}):
        out = os.path.join(BUILD, kind)
        done = run_quietly(
            ["make", "-s", "-C", os.path.join(ROOT, "lib"), "OUT=" + out,
             "CFLAGS=" + " ".join(WARNINGS + KINDS[kind]),
             out + "/libvmshm.a"])
        if done.returncode:
            return done.stdout.decode(errors="replace")
    for p in programs:
        if os.path.exists(p.binary) and os.path.getmtime(p.binary) > max(
                newest, os.path.getmtime(p.source)):
            continue
        jobs.append(["gcc", *FLAGS, *WARNINGS, *KINDS[p.kind], "-o", p.binary,
                     p.source, os.path.join(HARNESS, "t.c"),
                     os.path.join(BUILD, p.kind, "libvmshm.a")])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(run_quietly, jobs):
            if done.returncode:
                return done.stdout.decode(errors="replace")
    return None


class Run:
    """A run of a program. The program uses a pseudo-terminal in the place of
    the guest's serial line."""

    def __init__(self, report, program, tests):
        self.report, self.program = report, program
        self.todo = list(tests)
        self.running = None

    def go(self):
        host = Host(None)
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                [self.program.binary, *self.todo], stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, preexec_fn=die_with_parent,
                env={**os.environ, **ENVIRONMENT,
                     "T_PREFIX": Host.PREFIX, "T_CHANNEL": os.ttyname(theirs),
                     "T_PROGRAM": self.program.name})
            thread = threading.Thread(target=self.end, args=(child, theirs))
            thread.start()
            try:
                self.listen(ours, host)
            finally:
                child.kill()
                thread.join()
                host.close()
                os.close(ours)
                os.close(theirs)
            said.seek(0)
            self.said = said.read().decode(errors="replace")
        for test in self.todo:
            self.result(test, f"exit code {child.returncode}")

    @staticmethod
    def end(child, terminal):
        child.wait()
        os.write(terminal, b"end\n")

    def listen(self, line, host):
        with open(line, "r+b", buffering=0, closefd=False) as f:
            for text in iter(f.readline, b"end\n"):
                word, _, rest = text.decode().rstrip("\n").partition(" ")
                if word == "host":
                    f.write(host.answer(rest).encode() + b"\n")
                else:
                    self.take(word, rest)

    def take(self, word, rest):
        if word == "not":
            rest = rest.removeprefix("ok ")
        test, _, why = rest.partition(": ")
        test = test.rpartition("/")[2]
        if word == "run":
            self.running = test
        elif word == "note":
            print("     " + rest, flush=True)
        elif word == "ok":
            self.result(test, None)
        elif word == "skip":
            self.todo.remove(test)
            self.report.skip(self.full_name(test), why)
        else:
            self.result(test, why)

    def full_name(self, test):
        return f"library/{self.program.name}/{test}"

    def result(self, test, why):
        self.todo = [t for t in self.todo if t != test]
        if why:
            self.report.fail(self.full_name(test), why)
        else:
            self.report.ok(self.full_name(test))


def run_tests(report):
    todo = []
    for file in sources(HERE, ".c"):
        for program in Program.all_of(file):
            tests = [t for t in program.tests
                     if report.wanted(f"library/{program.name}/{t}")]
            if tests:
                todo.append((program, tests))
    why = build([program for program, _ in todo])
    if why:
        raise Lost(why)
    for program, tests in todo:
        failed = report.failed
        run = Run(report, program, tests)
        run.go()
        if report.failed > failed and run.said:
            print("    " + "\n    ".join(run.said.splitlines()[-60:]))


if __name__ == "__main__":
    tier.main("library", run_tests)
