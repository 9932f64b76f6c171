#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the code that all tiers share: the main program, the removal of
objects from /dev/shm, the choice of the accelerator, and reports.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The harness of guests is tested in guests: tests/lib/guest/test-harness.c.
"""

import contextlib
import fcntl
import glob
import importlib.machinery
import importlib.util
import io
import os
import signal
import subprocess
import sys
import tempfile
import types

HERE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.join(os.path.dirname(HERE), "lib")
FUZZ = os.path.join(os.path.dirname(HERE), "fuzz")
sys.path.insert(0, LIB)
sys.dont_write_bytecode = True

import accel                        # noqa: E402
import bench_tables                 # noqa: E402
import report_file                  # noqa: E402
import shm                          # noqa: E402
import suites                       # noqa: E402
import tier                         # noqa: E402
import workers                      # noqa: E402
from qemu import ROOT, Lost         # noqa: E402
from report import Report           # noqa: E402

# Seconds after which a tier is lost
DEADLINE = 120

# A tier that makes an object, a semaphore and a directory, and then runs END.
TIER = f"""#!/usr/bin/env python3
import os, signal, sys, time
sys.path.insert(0, {LIB!r})
sys.dont_write_bytecode = True
import shm, tier

def test_leaves_things():
    shm.Object(4096)
    open(shm.path("/sem." + shm.PREFIX + "x"), "x").close()
    os.mkdir(shm.path(shm.fresh_name()))
    print("ready", flush=True)
    END

tier.main("t", lambda report: tier.each(
    report, tier.in_module(globals(), "t")))
"""
WAIT = "signal.pause()"
# In two parts, because `make style` refuses files that contain such a path
HOME = "/ho" + "me/"


def left(pid):
    """The files of the run with that first process"""
    prefix = shm.PREFIX_OF.format(pid)
    return [f for start in (prefix, "sem." + prefix)
            for f in glob.glob(f"{shm.FOLDER}/{start}*")
            ] + glob.glob(shm.LOCK_OF.format(pid))


def start(end):
    return subprocess.Popen(
        [sys.executable, "-c", TIER.replace("END", end)], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        start_new_session=True)


def ended(process, code):
    """Waits until the last process of the tier closes stdout. Returns the
    problem with the end of the tier, or None."""
    said = process.communicate(timeout=DEADLINE)[0]
    if process.returncode != code:
        return f"exit code {process.returncode}, not {code}: {said}"
    if left(process.pid):
        return f"it leaves {left(process.pid)}"
    return None


def ready(process):
    if process.stdout.readline() != "ready\n":
        raise AssertionError("the tier does not begin")
    # The three that the test makes, and the lock
    if len(left(process.pid)) != 4:
        raise AssertionError(f"it has only {left(process.pid)}")


def test_a_tier_that_passes_leaves_nothing():
    process = start("pass")
    return ended(process, 0)


def test_a_tier_that_fails_leaves_nothing():
    return ended(start("raise OSError"), 1)


def test_tests_that_kill_themselves_leave_nothing():
    return ended(start("os.kill(os.getpid(), signal.SIGKILL)"),
                 128 + signal.SIGKILL)


def test_signals_leave_nothing():
    for number in (signal.SIGTERM, signal.SIGHUP):
        process = start(WAIT)
        ready(process)
        process.send_signal(number)
        why = ended(process, 128 + number)
        if why:
            return f"{number.name}: {why}"
    return None


def test_interrupt_from_a_terminal_leaves_nothing():
    process = start(WAIT)
    ready(process)
    os.killpg(process.pid, signal.SIGINT)
    return ended(process, 130)


def test_kill_9_of_the_first_process_leaves_nothing():
    process = start(WAIT)
    ready(process)
    process.kill()
    return ended(process, -signal.SIGKILL)


def load_runner(path):
    """Returns the module in a program."""
    loader = importlib.machinery.SourceFileLoader("runner", path)
    runner = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("runner", loader))
    loader.exec_module(runner)
    return runner


def test_kill_9_of_the_whole_tier_leaves_nothing():
    """tests/run removes the objects. A tier that runs at the same time is not
    ended."""
    runner = load_runner(os.path.join(os.path.dirname(HERE), "run"))
    with tempfile.TemporaryDirectory() as folder:
        pid, fifo = os.path.join(folder, "pid"), os.path.join(folder, "fifo")
        os.mkfifo(fifo)
        for name, end in (("killed", f"""
    print(os.getpgid(0), file=open({pid!r}, "w"), flush=True)
    held = open({fifo!r}, "w")
    os.killpg(0, signal.SIGKILL)"""), ("passes", f"""
    open({fifo!r}).read()""")):
            script = os.path.join(folder, name, "run.py")
            os.mkdir(os.path.dirname(script))
            with open(script, "w", encoding="ascii") as f:
                f.write(TIER.replace("END", end))
            os.chmod(script, 0o755)
        runner.HERE = folder
        report = Report([], io.StringIO())
        output, sys.stdout = sys.stdout, io.StringIO()
        try:
            runner.run_group(report, ["killed", "passes"])
        finally:
            sys.stdout = output
        with open(pid, encoding="ascii") as f:
            remains = left(f.read().strip())
    if (report.passed, report.failed) != (1, 1):
        return f"{report.passed} passed; failures: {report.failures}"
    return f"it leaves {remains}" if remains else None


def test_processes_end_before_objects_are_removed():
    """A process that the tests leave behind cannot make objects later."""
    process = start("""
    end, other_end = os.pipe()
    if not os.fork():
        if not os.fork():
            os.close(1)
            os.write(other_end, b"%d" % os.getpid())
            os.execvp("sh", ["sh", "-c", "while :; do : >"
                             + shm.path(shm.fresh_name()) + "; done"])
        os._exit(0)
    os.wait()
    print(int(os.read(end, 20)), flush=True)""")
    process.stdout.readline()           # "ready"
    orphan = int(process.stdout.readline())
    why = ended(process, 0)
    try:
        os.kill(orphan, signal.SIGKILL)
    except ProcessLookupError:
        return why
    shm.remove_run(process.pid)
    return "the process outlives the tier"


def test_next_run_removes_what_a_killed_run_left():
    """The objects of a run that lives are not changed."""
    lives, killed = start(WAIT), start(WAIT)
    try:
        ready(lives)
        ready(killed)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=DEADLINE)
        with open(shm.LOCK_OF.format(killed.pid), encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)       # until its processes are gone
        if len(left(killed.pid)) != 4:
            return f"the killed run left only {left(killed.pid)}"
        why = ended(start("pass"), 0)
        if why or left(killed.pid):
            return why or f"the next run leaves {left(killed.pid)}"
        if len(left(lives.pid)) != 4:
            return f"a run that lives has only {left(lives.pid)}"
    finally:
        lives.terminate()
        shm.remove_run(killed.pid)
    return ended(lives, 128 + signal.SIGTERM)


def test_signal_to_the_fuzzer_leaves_nothing():
    """Runs tests/fuzz/generic.py with a program in the place of QEMU's fuzzer.
    The program makes objects until it is killed."""
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = os.path.join(folder, "fuzzer")
        with open(fuzzer, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nprefix=${QEMU_FUZZ_ARGS#*prefix=}\n"
                    "prefix=${prefix%%,*}\necho $$ $prefix\n"
                    "while :; do : >/dev/shm/${prefix}A; done >&2\n")
        os.chmod(fuzzer, 0o755)
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.dont_write_bytecode = True"
             f"; sys.path.insert(0, {FUZZ!r}); import generic; "
             f"generic.QEMU = {fuzzer!r}; generic.FOLDER = {folder!r}; "
             "sys.argv[1:] = ['60']; generic.main()"], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        pid, prefix = process.stdout.readline().split()
        if not prefix.startswith(shm.PREFIX_OF.format(process.pid)):
            return f"prefix {prefix}"
        process.terminate()
        try:
            return ended(process, 128 + signal.SIGTERM)
        finally:
            # A fuzzer that is still running keeps stdout open.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
            shm.remove_run(process.pid)


def test_results():
    """A test passes, is skipped, raises an exception, or returns a reason."""
    def skips():
        raise tier.Skip("no time")

    def raises():
        raise ValueError("wrong")

    out = io.StringIO()
    report = Report(["t/"], out)
    tier.each(report, [("t/passes", lambda: None), ("t/skips", skips),
                       ("t/raises", raises), ("t/says", lambda: "why\nnot"),
                       ("unwanted", raises)])
    code = report.finish()
    wanted = ["ok t/passes", "skip t/skips: no time",
              "FAIL t/raises: ValueError: wrong", "FAIL t/says: why not",
              "1 passed, 2 failed, 1 skipped"]
    if (out.getvalue().splitlines(), code) != (wanted, 1):
        return f"exit code {code}: {out.getvalue()}"
    return None


def test_workers():
    """Each part runs once. A worker that ends fails its part, and the others
    run the rest. Workers have different prefixes."""
    def run(report, part):
        if part == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if part == "raises":
            sys.stderr = io.StringIO()
            raise ValueError("wrong")
        report.skip(part, shm.PREFIX)

    parts = ["dies", "raises", *(f"t/{n}" for n in range(20))]
    out = io.StringIO()
    report = Report([], out)
    workers.each(report, parts, 4, run)
    lines = sorted(line.split(": ", 1) for line in out.getvalue().splitlines())
    prefixes = {why for _, why in lines[2:]}
    if lines[:2] != [["FAIL dies", "its process ended with exit code -9"],
                     ["FAIL raises", "its process ended with exit code 1"]] or \
            [name for name, _ in lines[2:]] != sorted(
                    "skip " + part for part in parts[2:]) or \
            shm.PREFIX in prefixes or \
            not all(p.startswith(shm.PREFIX) for p in prefixes):
        return f"results: {lines}"
    return None


def test_nothing_wanted_is_a_failure():
    if Report(["misspelt"], io.StringIO()).finish() != 1:
        return "the report has passed"
    return None


def test_fault_of_the_emulator():
    """A test that a known fault of QEMU ended is run once more. Any other end
    of the guest fails the test."""
    guests = load_runner(os.path.join(os.path.dirname(HERE), "guest", "run.py"))
    fault = "output: hw/pci/msix.c: msix_table_mmio_read: Assertion `x' failed"
    for whys, failed in (([fault], 0), ([fault, fault], 1), (["panic"], 1)):
        out = io.StringIO()
        report = Report([], out)
        one = guests.KernelRun(report, types.SimpleNamespace(version="k"), [],
                               None)
        guest = types.SimpleNamespace(
            running="a/b", todo={"a/b"}, last_words=lambda: None,
            tail=lambda: None)
        with contextlib.redirect_stdout(out):
            for why in whys:
                one.lost(guest, Lost(why))
        if out.getvalue().count("FAIL k/a/b") != failed or \
                bool(guest.todo) == bool(failed):
            return f"{whys}: {out.getvalue()}"
    return None


def test_names_of_others_are_not_seen():
    """Tests see only their own objects in /dev/shm."""
    before = shm.names()
    others = [shm.PREFIX.replace("vmshm-test", "other") + "x",
              shm.PREFIX_OF.format(1) + f"of-{os.getpid()}"]
    with shm.Object(name="/" + others[0]), shm.Object(name="/" + others[1]), \
            shm.Object() as own:
        if shm.names() != sorted([*before, own.name[1:].encode()]):
            return f"it sees {shm.names()}"
    return None


def test_accelerator():
    """The choice of the accelerator with and without KVM"""
    def refused(wanted, why):
        try:
            return accel.choose(wanted, lambda: why)
        except Lost as e:
            return str(e)

    for wanted, why, result in (("", None, "kvm"), ("", "why", "tcg"),
                                ("tcg", None, "tcg"), ("kvm", None, "kvm")):
        if refused(wanted, why) != result:
            return f"{wanted}, {why}: {refused(wanted, why)}"
    if "no vmx" not in refused("kvm", "no vmx"):
        return "ACCEL=kvm is not refused"
    return None if "tcg or kvm" in refused("xen", None) else "xen is accepted"


def test_patterns():
    """A hyphen and an underscore are the same in names and patterns."""
    wanted = Report(["attached-life/x", "6.1/a_b"], io.StringIO()).wanted
    for name, matches in (("device/attached_life/x-y", True),
                          ("guest/6.1/a-b_c", True),
                          ("device/attached_life/y", False)):
        if wanted(name) != matches:
            return f"{name} {'is not' if matches else 'is'} wanted"
    return None


def test_kvm_needs_a_flag_and_a_node():
    with tempfile.TemporaryDirectory() as folder:
        info, node = (os.path.join(folder, n) for n in ("cpuinfo", "kvm"))
        for flags, exists, works in (
                ("flags: fpu vmxx", True, False), ("flags: svm", False, False),
                ("flags: fpu vmx sse", True, True), ("flags: svm", True, True)):
            with open(info, "w", encoding="ascii") as f:
                f.write(f"processor: 0\n{flags}\n")
            path = info if exists else node
            if (accel.no_kvm(info, path) is None) != works:
                return f"{flags}, {exists}: {accel.no_kvm(info, path)}"
    return None


def test_report_file():
    """Each part is replaced separately. Private paths are left out."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.txt")
        report_file.write("make bench", ["rate 1"], path)
        report_file.write("make check", ["old"], path)
        report_file.write("make check", [
            "1 passed, 1 failed", f"FAIL x: {ROOT}/a {HOME}somebody/b"], path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
    if list(report_file.parts_of(text)) != list(report_file.PARTS):
        return f"its parts: {list(report_file.parts_of(text))}"
    for word in ("old", ROOT, "somebody"):
        if word in text:
            return f"it has {word}"
    for word in ("rate 1", "FAIL x: ./a ~/b", "VMShm: ", "QEMU: "):
        if word not in text:
            return f"it has no {word}: {text}"
    return None


def run(report):
    tier.each(report, tier.in_module(globals(), "harness"))
    tier.each(report, tier.in_module(vars(bench_tables), "harness/bench"))
    tier.each(report, tier.in_module(vars(suites), "harness/suites"))


if __name__ == "__main__":
    tier.main("harness", run)
