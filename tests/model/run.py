#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Searches all interleavings of waiting, waking and opening a channel, with the
model checker spin.

usage: run.py [PART-OF-A-NAME...]

No interleaving of the models may violate a property. Each planted mistake
("bug/...") must be found, which shows that the models can detect mistakes. The
steps to a violation are in build/model/.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True

import tier                     # noqa: E402

BUILD = os.path.join(ROOT, "build", "model")
MEMORY = 1000       # MiB for each of two concurrent searches
DEPTH = 1000000

# (model, definitions): a scene and the number of slots
SCENES = ("TOKENS", "STRANGER", "TURNS", "DETACH", "UNPLUG")
RIGHT = [("wait", scene, f"SLOTS={slots}")
         for slots in (1, 2) for scene in SCENES] + [
             ("local", "STAY"), ("local", "GIVE_UP"), ("local", "COMBINED"),
             ("event",), ("seats",)]

# The "#ifdef" of each mistake in the model describes the mistake.
BUGS = [("wait", scene, "SLOTS=1", "BUG_" + bug) for scene, bug in (
    ("TOKENS", "COMPARE_THEN_ENQUEUE"),
    ("TOKENS", "WORD_BEFORE_REQUEST"),
    ("TOKENS", "FIRE_WHATEVER_CHANGED"),
    ("TOKENS", "NO_PASSING_ON"),
    ("TOKENS", "NO_DISARM"),
    ("TOKENS", "DROP_RESULT"),
    ("TOKENS", "LEAVE_BIT"),
    ("TOKENS", "NO_LOCK"),
    ("TOKENS", "KEEP_THE_WAKE_UP"),
    ("TOKENS", "NO_WAKE_UP_AFTER_A_KILL"),
    ("STRANGER", "GIVE_TO_THE_NEXT"),
    ("TURNS", "FORGET_AFTER_ARMING"),
    ("TURNS", "WAIT_FOR_A_SLOT"),
    ("DETACH", "DETACH_AT_ONCE"),
    ("UNPLUG", "CLEAR_WITHOUT_A_WAITER"),
    ("UNPLUG", "DROP_WHAT_FIRED"),
)] + [("local", scene, "BUG_" + bug) for scene, bug in (
    ("STAY", "NO_PASSING_ON"),
    ("STAY", "LEAVE_ARMED"),
    ("STAY", "NO_PARKING"),
    ("STAY", "NO_LOCK"),
    ("GIVE_UP", "DROP_RESULT"),
    ("COMBINED", "WAKE_BY_THE_SLOT_ONLY"),
    ("COMBINED", "WAKE_AFTER_SLEEPING"),
)] + [("event", "BUG_" + bug) for bug in (
    "NO_BARRIER",
    "SAME_EVENT",
    "LOOK_BEFORE_BEGINNING",
    "LOOK_ONCE",
    "ASK_BEFORE_TELLING",
    "FIRST_KEEPS_THE_WAKE_UP",
)] + [("seats", "BUG_" + bug) for bug in (
    "LOOK_AFTER_JOINING",
    "SAME_ROUND",
    "WIPE_THE_SEAT",
    "PREPARE_BEFORE_THE_ROUND",
    "STAYS_READY",
    "SEAT_AFTER_READY",
    "KIND_AFTER_THE_SEAT",
    "LOOK_AT_A_PART",
)]


class Broken(Exception):
    """spin ended without a result. The text is the reason."""


def name_of(model, *defines):
    words = [d.lower().replace("_", "-").replace("slots=", "slots-")
             for d in defines]
    if defines and defines[-1].startswith("BUG_"):
        return f"bug/{model}/{words[-1].removeprefix('bug-')}"
    return "/".join(["right", model, *words])


def run(command, folder):
    done = subprocess.run(command, cwd=folder, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise Broken(f"{command[0]} says: {text[-300:]}")
    return text


def search(model, *defines):
    """Searches all interleavings. Returns (whether one violates a property,
    number of states)."""
    folder = os.path.join(BUILD, name_of(model, *defines))
    source = os.path.join(HERE, model + ".pml")
    options = ["-D" + d for d in defines]
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.unlink(os.path.join(folder, old))
    run(["spin", *options, "-a", source], folder)
    run(["gcc", "-w", "-O2", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY}",
         "-o", "pan", "pan.c"], folder)
    said = run(["./pan", "-n", f"-m{DEPTH}"], folder)
    found = re.search(r"errors: (\d+)\s+(\d+) states, stored", said)
    if found and found[1] == "0" and "not completed" not in said \
       and "too small" not in said:
        return False, int(found[2])
    if "invalid end state" not in said and "assertion violated" not in said:
        raise Broken(f"pan says: {said[:300]}")
    with open(os.path.join(folder, "steps"), "w", encoding="utf-8") as f:
        f.write(run(["spin", *options, "-t", "-k", f"{model}.pml.trail", "-p",
                     "-g", source], folder))
    return True, int(found[2])


def test(case, job):
    """(name, function) for tier.each()"""
    name, bug = name_of(*case), case in BUGS

    def judge():
        fault, states = job.result()
        print(f"   {name}: {states} states", flush=True)
        if fault and not bug:
            return ("somebody is left asleep, or misled, see "
                    f"build/model/{name}/steps")
        return "the mistake is not found" if bug and not fault else None

    return name, judge


def run_tests(report):
    wanted = [c for c in RIGHT + BUGS if report.wanted(name_of(*c))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        tier.each(report, [test(case, pool.submit(search, *case))
                           for case in wanted])


if __name__ == "__main__":
    tier.main("model", run_tests)
