# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects of a guest with arbitrary names"""

import glob
import os

from shm import FOLDER, PREFIX, Object, fresh_name

# A device with create=on counts all objects that its guest could use. With this
# option, it does not count the objects of other programs.
OWN = f",allow=/{PREFIX}*"


class Store:
    """Objects whose host names begin with a fresh prefix. The property prefix=
    removes it from the guest's names, and hides the objects of other programs
    in /dev/shm from the guest. Names are bytes."""

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
        # Objects that the guest created
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
