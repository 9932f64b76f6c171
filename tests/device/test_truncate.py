# SPDX-License-Identifier: GPL-2.0-or-later
"""Host processes change objects at random while a VM uses them. The VM has two
processors, one of them plugged later, emulated DMA, and a disk with an I/O
thread that was plugged later. ROUNDS sets the number of rounds."""

import os
import random

from arena import PAGE, Arena
from running import accelerators
from shm import Object, fresh_name, pattern
from test_loss import alive, fw_cfg_dma, losses, maps
from virtio import Disk
from vmshm import SLOT, Skip, descriptors, true
from walk import Walkers

ROUNDS = int(os.environ.get("ROUNDS", "150"))
SEED = 11
COUNT, PAGES = 8, 64        # number of objects; pages for each one in the arena
RANGE = COUNT * PAGES * PAGE
DISK = 9
FALLOC_PUNCH = 3            # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE


class Victim:
    """An object at a fixed place in the arena, which host processes change"""

    def __init__(self, number, rng):
        self.place, self.rng, self.name = number * PAGES * PAGE, rng, \
            fresh_name()
        self.obj = Object(PAGES * PAGE, name=self.name)
        self.handle = None

    def attach(self, dev):
        """Attaches the object again, unless its size is 0."""
        if self.handle is not None:
            dev.detach(self.handle)
            self.handle = None
        if self.obj.size:
            self.handle = dev.attach(self.name, self.place)

    # Operations of a host process

    def truncate(self):
        os.ftruncate(self.obj.fd, self.rng.randrange(PAGES * PAGE))

    def truncate_and_grow(self):
        os.ftruncate(self.obj.fd, 0)
        os.ftruncate(self.obj.fd, PAGES * PAGE)

    def grow(self):
        os.ftruncate(self.obj.fd, PAGES * PAGE)

    def punch(self):
        at = self.rng.randrange(PAGES) * PAGE
        punch(self.obj.fd, at, self.rng.randrange(1, 8) * PAGE)

    def recreate(self):
        old = self.obj.fd
        os.unlink(self.obj.path)
        os.ftruncate(old, 0)
        os.close(old)
        self.obj = Object(self.rng.randrange(PAGES * PAGE), name=self.name)

    def change(self):
        self.rng.choice((self.truncate, self.truncate_and_grow, self.grow,
                         self.punch, self.recreate))()


def punch(fd, offset, length):
    import ctypes       # pylint: disable=import-outside-toplevel
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate(fd, FALLOC_PUNCH, ctypes.c_long(offset),
                   ctypes.c_long(length))


def rounds_of(rng, cpus, dev, disk, victims, how):
    """Changes an object, and then accesses it from all parts of the VM."""
    vm = cpus.vm
    victim = rng.choice(victims)
    victim.change()
    fw_cfg_dma(vm, 0x5000, dev.arena + rng.randrange(RANGE // 4) * 4)
    disk.read(dev.arena + rng.randrange(RANGE // PAGE) * PAGE, PAGE)
    vm.read(dev.arena + rng.randrange(RANGE // 8) * 8, 8)
    cpus.walk([0, 1], how)
    if not rng.randrange(4):
        rng.choice(victims).attach(dev)


def random_changes(how, rounds):
    rng = random.Random(SEED)
    args = ("-blockdev", "null-co,node-name=null0,read-zeroes=on,"
            "size=1048576")
    kvm = how["accel"] == "kvm"
    victims = [Victim(i, rng) for i in range(COUNT)]
    try:
        with Object(PAGE, pattern(PAGE)) as witness, \
                Walkers(how, *args, options=",arena=4M") as cpus:
            vm, dev = cpus.vm, Arena(cpus.vm)
            for victim in victims:
                victim.attach(dev)
            dev.attach(witness.name, RANGE)
            cpus.start(dev.arena, RANGE)
            vm.qmp("object-add", qom_type="iothread", id="io0")
            vm.add("virtio-blk-pci", drive="null0", iothread="io0",
                   addr=hex(DISK))
            disk = Disk(vm, DISK)
            before, fds = maps(vm), len(descriptors(vm))
            for _ in range(rounds):
                rounds_of(rng, cpus, dev, disk, victims, 10 if kvm else 500)
            alive(vm)
            true(losses(vm).get("truncated", 0) > rounds // 20,
                 f"losses: {losses(vm)}")
            dev.sees(RANGE, pattern(PAGE), "the object that is not changed")
            true(maps(vm) < before + 40 * COUNT,
                 f"{maps(vm)} mappings, before {before}")
            true(len(descriptors(vm)) <= fds + 2, "descriptors")
            # Unplugs the device in this state. A running processor without
            # interrupts would keep the device from being removed.
            vm.qmp("stop")
            vm.remove("vmshm0", lambda: vm.eject_acpi(0xae00, 0, SLOT))
    finally:
        for victim in victims:
            victim.obj.close()


def test_of(name, how, rounds):
    def test():
        if isinstance(how, Skip):
            raise how
        random_changes(how, rounds)
    test.__name__ = f"test_random_changes_{name}"
    return test


for _name, _how in accelerators():
    _test = test_of(_name, _how, ROUNDS)
    globals()[_test.__name__] = _test
del _test, test_of
