# SPDX-License-Identifier: GPL-2.0-or-later
"""strace(1) of all threads of QEMU"""

import os
import shutil
import signal
import subprocess
import tempfile

from vmshm import Skip, until


class Calls:
    """Counts system calls in the `with` block, or changes their results.

    names     the names of the system calls
    inject    the argument of -e inject, see strace(1)

    After the block, count has the number of each call, and text is the log.
    """

    def __init__(self, vm, *names, inject=None):
        if not shutil.which("strace"):
            raise Skip("strace is not installed")
        self.vm, self.names, self.inject = vm, names, inject

    def __enter__(self):
        names = ",".join(self.names)
        change = ["-e", "inject=" + self.inject] if self.inject else []
        self.file = tempfile.NamedTemporaryFile("r")
        self.process = subprocess.Popen(
            ["strace", "-f", "-q", "-e", "trace=" + names, *change,
             "-o", self.file.name, "-p", str(self.vm.pid)],
            stderr=subprocess.PIPE)
        self.traced(lambda tracer: tracer == self.process.pid,
                    "strace does not begin")
        return self

    def traced(self, condition, what):
        def all_threads():
            for thread in os.listdir(f"/proc/{self.vm.pid}/task"):
                with open(f"/proc/{self.vm.pid}/task/{thread}/status",
                          encoding="ascii") as lines:
                    tracer = next(int(line.split()[1]) for line in lines
                                  if line.startswith("TracerPid:"))
                if not condition(tracer):
                    return False
            return True
        until(all_threads, what)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()
        self.text = self.file.read()
        self.count = {n: self.text.count(n + "(") for n in self.names}
        self.file.close()
