# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects of a guest whose names are free to choose."""

import glob
import os

from shm import FOLDER, PREFIX, Object, fresh_name

# A device with create=on counts all objects that its guest could use. With this
# option, those of other programs do not count.
OWN = f",allow=/{PREFIX}*"


class Store:
    """Objects whose host names begin with something of their own, which
    the property prefix= takes away: what other programs do in /dev/shm
    meanwhile is out of the guest's sight. Names are bytes."""

    def __init__(self, names=(), size=0):
        self.prefix = fresh_name()[1:] + "-"
        self.options = f",arena=2M,prefix={self.prefix}"
        self.objects = {}
        for name in names:
            self.make(name, size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self.objects):
            self.remove(name)
        # What the guest made
        for start in (self.prefix, "sem." + self.prefix):
            for left in glob.glob(f"{FOLDER}/{start}*"):
                os.unlink(left)

    def host(self, name):
        return b"/" + self.prefix.encode() + name[1:]

    def make(self, name, size=0, **how):
        self.objects[name] = Object(size, name=self.host(name), **how)
        return self.objects[name]

    def remove(self, name):
        self.objects.pop(name).close()
