# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of a guest that move it to another QEMU; see t.h."""

import os
import time

# Seconds for QEMU to write or to read the state of a VM
MOVED = 150


class Refused(Exception):
    """The host cannot do what the request asks for. The text is the reason."""


class HostMove:
    """The answers to such requests, a part of the class Host"""

    # Set by Guest: itself; a function that starts a QEMU like that of the guest
    # with additional arguments, and returns it with its connection; a directory
    guest = start_vm = folder = None

    def do_move(self, way):
        path = os.path.join(self.folder, "state")
        if way == "live":
            there, channel = self.start_vm("-incoming", "unix:" + path)
            self._leave("unix:" + path)
        else:
            self._leave("exec:cat >" + path)
            there, channel = self.start_vm("-incoming", "exec:cat " + path)
        self.vm = self.guest.vm = there
        self.guest.channel = channel
        self._wait("query-status", "running")

    def _leave(self, target):
        """Sends the state of the VM, and ends its QEMU."""
        self.vm.qmp("migrate", uri=target)
        self._wait("query-migrate", "completed")
        self.vm.quit()

    def _wait(self, query, wanted):
        end = time.monotonic() + MOVED
        while (status := self.vm.qmp(query).get("status")) != wanted:
            if status == "failed" or time.monotonic() > end:
                raise Refused(f"{query}: {status}; QEMU: {self.vm.said()}")
            time.sleep(0.02)
