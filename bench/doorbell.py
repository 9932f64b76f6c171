# SPDX-License-Identifier: GPL-2.0-or-later
"""The server that ivshmem-doorbell needs on the host. It gives QEMU the memory
and the eventfds of all peers, by the protocol of QEMU's ivshmem
specification."""

import os
import socket
import struct
import threading

VERSION, QEMU_ID, HOST_ID, MEMORY = 0, 0, 1, -1


class Doorbell:
    """The server of two peers with one vector each: QEMU and a program of the
    host"""

    def __init__(self, path, memory):
        self.memory = memory            # a file descriptor
        # The eventfds of the host and of the guest
        self.host, self.guest = os.eventfd(0), os.eventfd(0)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.connection = None
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        self.connection = self.listener.accept()[0]
        for number, fd in ((VERSION, None), (QEMU_ID, None),
                           (MEMORY, self.memory), (HOST_ID, self.host),
                           (QEMU_ID, self.guest)):
            socket.send_fds(self.connection, [struct.pack("<q", number)],
                            [] if fd is None else [fd])

    def close(self):
        self.listener.close()
        if self.connection:
            self.connection.close()
        os.close(self.host)
        os.close(self.guest)
