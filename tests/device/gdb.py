# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of QEMU's gdbstub, which reads and writes memory"""

import socket

from qemu import DEADLINE


class Gdb:
    """A connection to the socket PATH of -gdb unix:PATH,server=on"""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")
        self.ask("?")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def ask(self, text):
        total = sum(text.encode()) & 0xff
        self.sock.sendall(f"${text}#{total:02x}".encode())
        while True:
            byte = self.file.read(1)
            if byte == b"$":
                break
            if not byte:
                raise ConnectionError("the gdbstub has closed the connection")
        answer = b""
        while not answer.endswith(b"#"):
            answer += self.file.read(1)
        self.file.read(2)
        self.sock.sendall(b"+")
        return answer[:-1].decode()

    def read(self, address, size):
        return bytes.fromhex(self.ask(f"m{address:x},{size:x}"))

    def write(self, address, data):
        return self.ask(f"M{address:x},{len(data):x}:{data.hex()}")
