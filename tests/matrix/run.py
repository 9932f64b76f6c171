#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the device and guest tests on pairs of a QEMU and a guest kernel, which
are Debian's packages.

usage: run.py [PART-OF-A-PAIR'S-NAME...]

Each pair has its own Debian in build/root (see scripts/in-suite), in which the
device and the driver are built and tested. Needs root and mmdebstrap.
build/matrix/ contains all output.

The last line is the total of all tests: N passed, N failed[, N skipped]
"""

import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LOGS = os.path.join(TOP, "build", "matrix")

# (name, Debian suite with that QEMU, guest kernel)
PAIRS = (("qemu-7.2+linux-6.1", "bookworm", "6.1"),
         ("qemu-10.0+linux-6.12", "trixie", "6.12"),
         ("qemu-11.1+linux-7", "trixie-backports", "newest"))

# Sources for binaries whose own source is no longer available. No index of the
# archive lists these sources any more (vmshm-device build --nearest=VERSION).
NEAREST = {"1:11.1.3+ds-1~bpo13+1": "1:11.1.1+ds-1"}

# Seconds that a step may take. The first step takes longest with a slow mirror.
LIMIT = 1800


class Failed(Exception):
    """A necessary step of a pair failed. The text names the step."""


def capture(*command):
    """The output of a command"""
    return subprocess.run(command, cwd=TOP, check=True, text=True,
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE).stdout


def newest_kernel(suite):
    """The major and minor number of the newest Linux of a suite"""
    text = capture("scripts/apt-suite", suite, "show", "--no-all-versions",
                   "linux-headers-cloud-amd64")
    return re.search(r"^Version: (\d+\.\d+)", text, re.M).group(1)


class Pair:
    """A pair, which is a row of the table"""

    def __init__(self, name, suite, kernel):
        self.name, self.suite, self.kernel = name, suite, kernel
        self.qemu = self.release = "?"
        self.results = {"device": "-", "guest": "-"}
        self.passed = self.failed = self.skipped = 0
        self.log = os.path.join(LOGS, name + ".log")

    def step(self, what, *command, here=False, show=False):
        """Runs a command in the pair's Debian or here. Returns (exit code,
        lines). show: print lines that are not "ok" while the command runs."""
        print(f"-- {self.name}: {what}", flush=True)
        if not here:
            command = ("scripts/in-suite", self.suite) + command
        lines = []
        with open(self.log, "a", encoding="utf-8") as log:
            print(f"-- {what}: {' '.join(command)}", file=log, flush=True)
            process = subprocess.Popen(
                command, cwd=TOP, stdin=subprocess.DEVNULL, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                errors="replace")
            # When in-suite ends, all processes in its namespace are killed.
            signal.alarm(LIMIT)
            try:
                for line in process.stdout:
                    lines.append(line.rstrip("\n"))
                    print(lines[-1], file=log, flush=True)
                    if show and line.startswith(("FAIL", "skip")):
                        print(lines[-1], flush=True)
                return process.wait(), lines
            finally:
                signal.alarm(0)
                if process.poll() is None:
                    process.terminate()
                    process.wait()

    def need(self, what, *command, **how):
        """Runs a step that has to succeed. Returns its lines."""
        code, lines = self.step(what, *command, **how)
        if code:
            for line in lines[-10:]:
                print("   | " + line[:75])
            raise Failed(f"{what}: exit code {code}")
        return lines

    def prepare(self):
        if self.kernel == "newest":
            self.kernel = newest_kernel(self.suite)
        self.need("the guest kernel", "scripts/fetch-kernel", self.kernel,
                  here=True)
        with open(os.path.join(TOP, "build", "kernel", self.kernel,
                               "release"), encoding="ascii") as f:
            self.release = f.read().strip()
        version = self.need(
            f"a Debian {self.suite}", "dpkg-query", "-W", "-f",
            "${source:Version}\n", "qemu-system-x86")[-1]
        self.qemu = self.need("its QEMU", "qemu-system-x86_64",
                              "--version")[0].split()[3]
        self.need("the driver", "make", "-s", "-C", "driver",
                  f"KVER={self.kernel}")
        code, lines = self.step("the device", "device/build.sh")
        if code and version in NEAREST:
            print(f"   {lines[-1][:75]}")
            self.need("the device", "env", "NEAREST=" + NEAREST[version],
                      "device/build.sh")
            self.qemu += "*"
        elif code:
            raise Failed(f"the device: {lines[-1]}")

    def test(self, tier):
        """Runs a tier of tests."""
        start = time.monotonic()
        code, lines = self.step(f"{tier} tests", "env",
                                f"KERNELS={self.kernel}",
                                f"tests/{tier}/run.py", show=True)
        total = re.fullmatch(r"(\d+) passed, (\d+) failed"
                             r"(?:, (\d+) skipped)?",
                             lines[-1] if lines else "")
        if not total:
            raise Failed(f"{tier} tests ended with code {code} and no total")
        passed, failed, skipped = (int(n or 0) for n in total.groups())
        if not failed and (code or not passed):
            raise Failed(f"{tier} tests: {lines[-1]}, exit code {code}")
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        self.results[tier] = lines[-1].replace(" passed", "").replace(
            " failed", "").replace(" skipped", "").replace(", ", " / ")
        print(f"   {lines[-1]}, {time.monotonic() - start:.0f} s")

    def run(self):
        if os.path.exists(self.log):
            os.unlink(self.log)
        try:
            self.prepare()
            for tier in self.results:
                self.test(tier)
        except Failed as e:
            self.failed += 1
            print(f"FAIL {self.name}: {e}", flush=True)


def table(pairs):
    form = "%-8s %-17s %-26s %-12s %s"
    print()
    print(form % ("QEMU", "of Debian", "guest kernel", "device tests",
                  "guest tests"))
    for p in pairs:
        print(form % (p.qemu, p.suite, p.release, p.results["device"],
                      p.results["guest"]))
    print("(tests: passed / failed / skipped)")
    if any(p.qemu.endswith("*") for p in pairs):
        print("* its source is gone from the archive; the device is from the "
              "nearest")


def late(*_):
    raise Failed(f"not done after {LIMIT} s")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, late)
    if os.geteuid():
        sys.exit("check-matrix: this needs root")
    os.makedirs(LOGS, exist_ok=True)
    pairs = [Pair(*p) for p in PAIRS
             if len(sys.argv) < 2 or any(a in p[0] for a in sys.argv[1:])]
    for pair in pairs:
        pair.run()
    table(pairs)
    passed, failed, skipped = (sum(getattr(p, k) for p in pairs)
                               for k in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed"
          + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
