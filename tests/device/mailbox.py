# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of tests to the command memory of a device"""

import collections
import struct

import contract as c
from qemu import string_bytes
from slots import Waits
from vmshm import equal, true, until

Attr = collections.namedtuple(
    "Attr", "ident bytes blocks mtime atime mtime_ns atime_ns mode uid gid "
    "nlink")


def attr_of(data):
    return Attr(*struct.unpack("<QQQqqIIIIII", data[:c.ATTR_SIZE]))


class Mailboxes(Waits):
    """A device with a command memory."""

    def __init__(self, vm, **how):
        super().__init__(vm, **how)
        self.tags = 0

    def box(self, n):
        return self.regs + c.MEM_MAILBOX + n * c.MAILBOX_SIZE

    def word(self, n, field):
        return self.vm.read(self.box(n) + field, 4)

    def word64(self, n, field):
        return self.vm.read(self.box(n) + field, 8)

    def request(self, command, name=None, second=None, *, tag, flags=0,
                handle=0, offset=0, length=0, place=0, mode=0, vector=0,
                atime=0, mtime=0, atime_ns=0, mtime_ns=0, zero=b""):
        """(bytes of a request up to its results, bytes of its names)"""
        head = struct.pack("<IIIIQQQIIqqII", tag, command, flags, handle,
                           offset, length, place, mode, vector, atime, mtime,
                           atime_ns, mtime_ns) + zero
        names = string_bytes(name or b"").ljust(c.NAME_SECOND, b"\0")
        if second is not None:
            names += string_bytes(second)
        return head.ljust(c.MB_RES_TAG, b"\0"), names.ljust(c.NAME_SIZE,
                                                            b"\0")

    def submit(self, n, command, name=None, **fields):
        """Writes a request and the doorbell. Returns the tag of the request."""
        self.tags += 1
        head, names = self.request(command, name, tag=self.tags, **fields)
        self.vm.store(self.box(n), head)
        self.vm.store(self.box(n) + c.MB_NAMES, names)
        self.set(c.REG_DOORBELL, n)
        return self.tags

    def finished(self, n, tag):
        return self.word(n, c.MB_RES_TAG) == tag

    def wait(self, n, tag):
        """Waits until the command has completed. Returns its status."""
        until(lambda: self.finished(n, tag), f"mailbox {n} does not complete")
        return self.word(n, c.MB_RES_STATUS)

    def post(self, command, name=None, n=0, **fields):
        """Executes a command in mailbox n. Returns its status."""
        return self.wait(n, self.submit(n, command, name, **fields))

    def posts(self, command, name=None, n=0, **fields):
        """Executes a command in mailbox n, which has to succeed."""
        equal(self.post(command, name, n, **fields), c.OK,
              f"command {command} {name or ''} {fields}")
        return self

    def res_handle(self, n=0):
        return self.word(n, c.MB_RES_HANDLE)

    def attr(self, n=0):
        return attr_of(self.vm.load(self.box(n) + c.MB_RES_ATTR,
                                    c.ATTR_SIZE))

    def entries(self, n=0):
        """The result of LIST in DATA: [(name, attributes)]"""
        data = self.vm.load(self.box(n) + c.MB_DATA,
                            c.MAILBOX_SIZE - c.MB_DATA)
        found, at = [], 0
        for _ in range(self.word(n, c.MB_RES_COUNT)):
            size = int.from_bytes(
                data[at + c.LIST_BYTES:at + c.LIST_BYTES + 4], "little")
            equal(size % 8, 0, "size of an entry")
            name = data[at + c.LIST_NAME:at + size].split(b"\0")[0]
            found.append((name, attr_of(data[at:])))
            at += size
        true(at <= len(data), "entries beyond the mailbox")
        return found

    def list(self, n=0):
        """Lists all objects. Returns (all entries, number of commands)."""
        found, offset, commands = [], 0, 0
        while True:
            self.posts(c.CMD_LIST, n=n, offset=offset)
            commands += 1
            found += self.entries(n)
            offset = self.word64(n, c.MB_RES_NEXT)
            if not offset:
                return found, commands

    @property
    def epoch(self):
        return self.vm.read(self.regs + c.MEM_EPOCH, 4)
