# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operations, compared with a model in Python"""

import mmap
import random

import contract as c
from qemu import string_bytes
from shm import Object, fresh_name
from vmshm import SLOT, Vmshm, equal, machine, released

SEED = 2010
STEPS = 2500
MIB = 1 << 20
SIZES = (0, 1, 4096, 5000, 70000, MIB - 1, MIB + 5000)


class Model:
    """The expected state of a device"""

    def __init__(self):
        self.name = bytearray(1024)
        self.object = None          # the host's mapping of the open object
        self.gap = range(0)
        self.private = bytearray(MIB)

    def fresh(self):
        self.private = bytearray(MIB)

    @property
    def shown(self):
        """The number of bytes of the buffer that show the object"""
        return min(len(self.object), MIB) if self.object else 0

    def read(self, at, size):
        end = min(at + size, self.shown)
        part = self.object[at:end] if at < end else b""
        return bytes(part) + bytes(self.private[at + len(part):at + size])

    def write(self, at, data):
        end = max(at, min(at + len(data), self.shown))
        if at < end:
            self.object[at:end] = data[:end - at]
        self.private[end:at + len(data)] = data[end - at:]


class Play:
    """A machine with two devices, their models, and objects"""

    def __init__(self, rng, vm, objects):
        self.rng, self.vm = rng, vm
        self.objects = objects
        self.devices = [(Vmshm(vm, slot=SLOT + i), Model())
                        for i in range(2)]
        self.log = []

    def whole(self, dev, model, what):
        equal(dev.load(), model.read(0, MIB), what)

    def everything(self):
        for dev, model in self.devices:
            self.whole(dev, model, "all of the buffer")
            equal(self.vm.load(dev.name, 1024), bytes(model.name), "BAR2")

    def may_be_fresh(self, dev, model):
        """After a failed open, or a close without an open object, private
        memory is unchanged or zero."""
        data = dev.load(model.shown, MIB - model.shown)
        if data != model.private[model.shown:]:
            equal(data, bytes(len(data)), "private memory")
            model.fresh()

    def name(self, dev, model):
        name = string_bytes(self.rng.choice(
            [*self.objects, fresh_name(), "", "/", "x"]))
        at = 0 if self.rng.random() < 0.9 else self.rng.randrange(900)
        self.vm.store(dev.name + at, name)
        model.name[at:at + len(name)] = name

    def open(self, dev, model):
        size = self.rng.choice((1, 2, 4, 8))
        got = dev.register(c.REG_OPEN, size)
        name = model.name[:model.name.index(0)].decode()
        obj = self.objects.get(name)
        if model.object:
            want = c.EBUSY
        elif obj is None:
            want = c.ENOENT if name[:1] == "/" and len(name) > 1 and \
                "/" not in name[1:] else c.EINVAL
        elif not obj.size:
            want = c.ENODATA
        else:
            want = c.OK
        equal(got, want, f"open {name!r}")
        if got == c.OK:
            model.object = mmap.mmap(obj.fd, obj.size)
            model.fresh()
            # Python maps the size of the object, and the device maps whole
            # pages. The test does not access the bytes between.
            pages = -(-obj.size // 4096) * 4096
            model.gap = range(min(obj.size, MIB), min(pages, MIB))
        elif got != c.EBUSY:
            self.may_be_fresh(dev, model)

    def close(self, dev, model):
        equal(dev.register(c.REG_CLOSE, self.rng.choice((1, 2, 4, 8))), 0,
              "close")
        if model.object:
            model.object, model.gap = None, range(0)
            model.fresh()
        self.may_be_fresh(dev, model)

    def write(self, dev, model):
        at = self.rng.randrange(MIB)
        size = min(self.rng.choice((1, 8, 100, 5000, 200000)), MIB - at)
        if at < model.gap.stop and model.gap.start < at + size:
            return
        data = self.rng.randbytes(size)
        dev.store(at, data)
        model.write(at, data)

    def read(self, dev, model):
        at = self.rng.randrange(MIB)
        size = min(self.rng.choice((1, 8, 100, 5000, 200000)), MIB - at)
        equal(dev.load(at, size), model.read(at, size), "the buffer")

    def host_write(self, dev, model):
        obj = self.rng.choice([o for o in self.objects.values() if o.size])
        size = self.rng.randrange(1, min(obj.size, 9000) + 1)
        obj.write(self.rng.randrange(obj.size - size + 1),
                  self.rng.randbytes(size))
        self.read(dev, model)

    def create_anew(self, dev, model):
        old = self.rng.choice(list(self.objects.values()))
        size = old.size
        old.close()     # the mapping keeps the object
        self.objects[old.name] = Object(size, name=old.name)
        self.read(dev, model)

    def nonsense(self, dev, model):
        offset = self.rng.randrange(0x40)
        size = self.rng.choice((1, 2, 4, 8))
        if offset + size <= 0x40:
            self.vm.write(dev.regs + offset, size, self.rng.getrandbits(
                8 * size))
            if offset not in (c.REG_OPEN, c.REG_CLOSE):
                equal(dev.register(offset, size), 0, f"read at {offset:#x}")
        self.read(dev, model)

    def move(self, dev, model):
        self.vm.next32 = 0xe0000000 + self.rng.randrange(8) * (16 << 20)
        for other, _ in self.devices:
            other.pci.decode(False)
        for other, _ in self.devices:
            other.assign()
        self.read(dev, model)

    def off_and_on(self, dev, model):
        dev.pci.decode(False)
        dev.store(0, b"lost")
        dev.register(c.REG_CLOSE)
        dev.pci.decode(True)
        self.read(dev, model)

    def reset(self, *_):
        self.vm.qmp("system_reset")
        self.vm.event("RESET")
        self.vm.next32 = 0xe0000000
        for dev, model in self.devices:
            dev.assign()
            model.__init__()
            self.whole(dev, model, "after reset")

    STEPS = ((name, 20), (open, 25), (close, 20), (write, 20), (read, 20),
             (host_write, 5), (create_anew, 1), (nonsense, 10), (move, 2),
             (off_and_on, 2), (reset, 1))

    def step(self):
        kinds, weights = zip(*self.STEPS)
        kind = self.rng.choices(kinds, weights)[0]
        which = self.rng.randrange(2)
        self.log.append(f"{kind.__name__} {which}")
        kind(self, *self.devices[which])


def test_random_operations():
    rng = random.Random(SEED)
    objects = {obj.name: obj for obj in map(Object, SIZES)}
    try:
        with machine(devices=2) as vm:
            play = Play(rng, vm, objects)
            for i in range(STEPS):
                try:
                    play.step()
                    if i % 100 == 0:
                        play.everything()
                except AssertionError as e:
                    raise AssertionError(
                        f"step {i}: {e}; the last steps: "
                        f"{', '.join(play.log[-6:])}") from None
            for dev, _ in play.devices:
                dev.closed()
            for obj in objects.values():
                released(vm, obj)
        equal([obj.size for obj in objects.values()], list(SIZES), "sizes")
    finally:
        for obj in objects.values():
            obj.close()
