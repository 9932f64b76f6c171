# SPDX-License-Identifier: GPL-2.0-or-later
"""The completion of command lines in bash"""

import os
import re
import subprocess

import shm
from shm import Object, fresh_name
from tool import ROOT, VMSHM, equal, folder, vmshm

SCRIPT = os.path.join(ROOT, "tools", "completion.bash")


def complete(*words):
    """The words that bash offers for the last word"""
    script = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_vmshm || exit; [ ${#COMPREPLY[@]} = 0 ] || '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    with folder() as here:
        os.symlink(VMSHM, os.path.join(here, "vmshm"))
        done = subprocess.run(
            ["bash", "-c", script, "bash", SCRIPT, "vmshm", *words],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PATH": here + ":" + os.environ["PATH"]})
    equal(done.stderr, b"")
    return done.stdout.decode().splitlines()


def test_commands():
    """bash completes all commands of the help text, also after options."""
    commands = re.findall(r"^  ([a-z]+) ", vmshm("--help").out, re.M)
    equal(complete(""), commands)
    equal(complete("-d", "vmshm0", "do"), ["doctor"])
    equal(complete("--host", "cr"), ["create"])
    equal(complete("nothing", ""), [])


def test_options():
    """Each command has the options of its help text."""
    general = {"--host", "--guest", "--help"}
    for command in complete(""):
        usage = vmshm(command, "--help").out.splitlines()[0]
        wanted = set(re.findall(r"--[a-z]+", usage)) | general
        letters = {"-m": "--mode", "-o": "--options", "-d": "--device"}
        wanted |= {letters[s] for s in re.findall(r"\[(-[a-z]) ", usage)}
        if command != "doctor":
            wanted.add("--device")
        if command not in ("doctor", "run"):
            wanted.add("--dir")
        equal(set(complete(command, "--")), wanted, command)
    equal(set(complete("-")), general | {"--device", "--dir", "--version"})
    equal(complete("create", "--sp"), ["--sparse"])


def test_objects():
    """bash completes names of objects with and without the slash. A name with
    blanks is one word."""
    with Object(1) as a, Object(1, name=fresh_name() + " b'c") as b:
        equal(complete("cat", a.name[:-1]).count(a.name), 1)
        equal(a.name[1:] in complete("rm", a.name[1:4]), True)
        equal(complete("ls", b.name[:-3]), [b.name.replace(
            " ", "\\ ").replace("'", "\\'")])
        equal(complete("cat", shm.PREFIX + "none"), [])
        equal(complete("create", a.name), [], "a new name")


def test_directory():
    """bash completes directories after --dir, and then the objects in that
    directory."""
    with folder() as here:
        with open(os.path.join(here, "frames"), "wb"):
            pass
        equal(complete("--dir", here[:-1]), [here])
        equal(complete("--dir", here, "cat", "/f"), ["/frames"])
        equal(complete("cat", "--dir", here, "f"), ["frames"])


def test_run():
    equal("true" in complete("run", "tru"), True)
