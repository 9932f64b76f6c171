# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the program vmshm, and checks its output."""

import functools
import json
import os
import re
import shlex
import subprocess
import tempfile

from tier import Skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build", "tool")
VMSHM = os.path.join(BUILD, "vmshm")
COLUMNS = 80

# Seconds without output after which a program is lost
DEADLINE = 120


def equal(found, wanted, what="value"):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def contains(text, *parts):
    """Checks that the text contains each part, with any line breaks."""
    text = text.replace("vmshm: ", "").replace(VMSHM, "vmshm")
    flat = " ".join(text.split())
    for part in parts:
        if part not in flat:
            raise AssertionError(f"there is no {part!r} in: {flat}")


# The programs that a hint may run. Only known pipes are allowed.
PROGRAMS = {"apt", "chmod", "dmesg", "echo", "loginctl", "make", "mkdir",
            "modprobe", "mokutil", "mount", "printf", "rm", "setfacl",
            "sysctl", "systemctl",
            "truncate", "udevadm", "usermod", "vmshm", "vmshm-device"}
PIPES = re.compile(r" \| (grep vmshm|(sudo )?tee (-a )?/\S+)$")


def check_hint(command):
    """Checks that a hint is one command, without placeholders and prose."""
    words = shlex.split(PIPES.sub("", command).replace("$'", "'"))
    if words[0] == "sudo":
        words.pop(0)
    program = "vmshm" if words[0] == VMSHM else os.path.basename(words[0])
    prose = re.search(r"\.\.\.|   |[;|&<>]",
                      re.sub(r"'[^']*'", "", PIPES.sub("", command)))
    if prose or not (program in PROGRAMS or "--version" in words):
        raise AssertionError(f"not one command: {command!r}")


class Result:
    """The exit code and the output of a run"""

    def __init__(self, code, out, err):
        self.code, self.raw = code, out
        self.out = out.decode(errors="surrogateescape")
        self.err = err.decode(errors="surrogateescape")

    @property
    def json(self):
        return json.loads(self.out)

    def check_messages(self, wide):
        """Checks the rules for all messages."""
        for line in self.err.splitlines():
            if not line.startswith("vmshm: "):
                raise AssertionError(f"on stderr: {line!r}")
        if any(ord(c) < 32 and c != "\n" for c in self.err):
            raise AssertionError(f"control bytes on stderr: {self.err!r}")
        lines = self.err.splitlines()
        for line in [] if wide else lines:
            if len(line) > COLUMNS and "type: " not in line:
                raise AssertionError(f"too wide: {line}")
        for command in self.hints:
            check_hint(command)

    @property
    def hints(self):
        """The commands that the messages suggest"""
        start = "vmshm: type: "
        return [line[len(start):] for line in self.err.splitlines()
                if line.startswith(start)]


def vmshm(*args, code=0, data=b"", env=None, before=(), wide=False,
          stdin=None, stdout=subprocess.PIPE, cwd=ROOT):
    """Runs the program, which has to end with that exit code. `before` is the
    command that starts it."""
    command = [*before, VMSHM, *args]
    done = subprocess.run(
        command, check=False, cwd=cwd, timeout=DEADLINE, stdout=stdout,
        stderr=subprocess.PIPE, env={**os.environ, **(env or {})},
        **({"stdin": stdin} if stdin else {"input": data}))
    result = Result(done.returncode, done.stdout or b"", done.stderr)
    if result.code != code:
        raise AssertionError(f"{args}: exit code {result.code}, not {code}: "
                             f"{result.err}{result.out[-300:]}")
    result.check_messages(wide)
    if code and not result.err and not result.out:
        raise AssertionError(f"{args}: the program failed without a message")
    return result


@functools.lru_cache(None)
def own_mounts():
    """The command that runs another command in its own mount namespace"""
    command = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    if subprocess.run([*command, "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        raise Skip("no mount namespaces here")
    return command


def with_mounts(script):
    """The command that runs a shell script and then a program, in their own
    mount namespace"""
    return [*own_mounts(), "sh", "-ec", script + '\nexec "$@"', "sh"]


def with_shm(size):
    """The command that starts a program with an empty /dev/shm of that size"""
    return with_mounts(
        f"mount -t tmpfs -o size={size},mode=1777 none /dev/shm")


@functools.lru_cache(None)
def own_processes():
    """The command that runs another command in its own mount and PID namespaces
    """
    command = [*own_mounts(), "-p", "-f", "--mount-proc"]
    if subprocess.run([*command, "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode:
        raise Skip("no PID namespaces here")
    return command


def alone(script="", size="1G"):
    """The command that runs a shell script and then a program, with a private
    /dev/shm, without other processes and without libvirt"""
    return [*own_processes(), "sh", "-ec",
            f"mount -t tmpfs -o size={size},mode=1777 none /dev/shm\n"
            "[ ! -d /etc/libvirt ] || mount -t tmpfs none /etc/libvirt\n" +
            script + '\nexec "$@"', "sh"]


def program(folder, name, text):
    """Creates a shell script in that directory, which is in PATH."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def folder():
    return tempfile.TemporaryDirectory(prefix="vmshm-test-")
