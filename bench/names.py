# SPDX-License-Identifier: GPL-2.0-or-later
"""Operations on files by their names: vmshm, a tmpfs of the guest, and virtiofs
with the same directory of the host"""

import os
import shutil
import subprocess
import tempfile
import time

import fleet
import shm
from guest.host import SHM, Refused
from qemu import die_with_parent

# The paths in Debian 12 and in Debian 13
PROGRAMS = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
PATIENCE = 30       # seconds

# virtiofs needs guest memory that another process can map.
ARGS = """
-device vmshm,id=vmshm0,create=on,dir={directory}
"""
VIRTIOFS_ARGS = """
-object memory-backend-memfd,id=mem,size={memory}M,share=on
-machine memory-backend=mem
-chardev socket,id=fs,path={socket}
-device vhost-user-fs-pci,chardev=fs,tag=bench
"""
MODULES = "virtio_pci virtiofs"


def options(program, directory, socket):
    """The command line of the daemon: QEMU's old one, or the one in Rust"""
    if "libexec" in program:
        return [program, f"--socket-path={socket}", "--shared-dir", directory,
                "--cache", "auto"]
    return [program, f"--socket-path={socket}", "-o",
            f"source={directory},cache=auto"]


class Directory:
    """A directory in /dev/shm, and its daemon if virtiofsd is installed"""

    def __init__(self, memory):
        self.directory = tempfile.mkdtemp(prefix=shm.PREFIX, dir=SHM)
        self.sockets = tempfile.mkdtemp()
        self.daemon, self.why = None, None
        socket = os.path.join(self.sockets, "fs")
        try:
            self._start(socket)
        except Refused as e:
            self.why = str(e)
        text = ARGS + ("" if self.why else VIRTIOFS_ARGS)
        self.qemu = " ".join(text.format(
            directory=self.directory, memory=memory, socket=socket).split())

    def _start(self, socket):
        program = next((p for p in PROGRAMS if os.path.exists(p)), None)
        if not program:
            raise Refused("there is no virtiofsd")
        if os.geteuid():
            raise Refused("virtiofsd needs root")
        self.daemon = subprocess.Popen(
            options(program, self.directory, socket), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        end = time.monotonic() + PATIENCE
        while not os.path.exists(socket):
            if self.daemon.poll() is not None or time.monotonic() > end:
                raise Refused("virtiofsd does not start")
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        # The end of the guest has removed it, if that came first.
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.sockets)


class Host(fleet.BenchHost):
    """The host's side of the guest"""

    def __init__(self, vm, results, why):
        super().__init__(vm, results, None)
        self.why = why

    def do_virtiofs(self):
        if self.why:
            raise Refused(self.why)


def measure(make, rounds, results, memory):
    """Measures in a guest from make(number, program, tests, host, args,
    modules). Returns the reason why virtiofs is left out, or None."""
    with Directory(memory) as directory:
        fleet.run([make(10, "names", ["files"] * rounds,
                        lambda vm: Host(vm, results, directory.why),
                        directory.qemu, MODULES)])
        return directory.why
