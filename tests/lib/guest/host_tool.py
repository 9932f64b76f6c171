# SPDX-License-Identifier: GPL-2.0-or-later
"""The requests of t.h about the program vmshm on the host."""

import hashlib
import os
import subprocess
import threading

from qemu import die_with_parent

from .build import FOLDER

VMSHM = os.path.join(FOLDER, "vmshm")
# Seconds in which the program ends after it was told to
DEADLINE = 150


class Running:
    """A process of the program. A thread collects its output."""

    def __init__(self, command, name, size, keep_open):
        self.process = subprocess.Popen(
            [VMSHM, "-H", command, name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        self.input = os.urandom(size)
        self.keep_open = keep_open
        self.seen = hashlib.md5()
        self.threads = [threading.Thread(target=f, daemon=True)
                        for f in (self._write, self._read)]
        for thread in self.threads:
            thread.start()

    def _write(self):
        try:
            self.process.stdin.write(self.input)
            self.process.stdin.flush()
            if not self.keep_open:
                self.process.stdin.close()
        except BrokenPipeError:
            pass                # the program reports this itself

    def _read(self):
        while data := self.process.stdout.read1(65536):
            self.seen.update(data)

    def end(self):
        code = self.process.wait(DEADLINE)
        for thread in self.threads:
            thread.join(DEADLINE)
        return f"{code} {self.seen.hexdigest()}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()


class HostTool:
    """The part of Host that runs the program"""

    tool = None

    def do_vmshm(self, command, name, size="0", keep_open=""):
        # Refuses names of other runs.
        self.path(name)
        self.tool = Running(command, name, int(size), keep_open == "open")
        return hashlib.md5(self.tool.input).hexdigest()

    def do_vmshm_kill(self):
        self.tool.kill()

    def do_vmshm_end(self):
        return self.tool.end()
