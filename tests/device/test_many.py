# SPDX-License-Identifier: GPL-2.0-or-later
"""Several devices in a VM, and several VMs with the same object"""

import os

from arena import Arena
from shm import Object, path, pattern
from vmshm import (SLOT, Vmshm, equal, machine, mapped, released)

COUNT = 8


def test_devices_have_independent_objects():
    objects = [Object(4096 * (i + 1), pattern(4096 * (i + 1), i))
               for i in range(COUNT)]
    try:
        with machine(devices=COUNT) as vm:
            devices = [Vmshm(vm, slot=SLOT + i) for i in range(COUNT)]
            for dev, obj in zip(devices, objects):
                dev.opened(obj.name)
            for i, dev in enumerate(devices):
                dev.shows(pattern(4096 * (i + 1), i), f"device {i}")
                dev.store(1, b"device %d" % i)
            for i, obj in enumerate(objects):
                equal(obj.read(1, 8), b"device %d" % i, f"object {i}")
            # Closing a device closes only that device, in any order.
            for i in (3, 0, 7, 5):
                devices[i].closed()
                devices[i].is_zero(f"device {i} closed")
                released(vm, objects[i])
            for i in (1, 2, 4, 6):
                equal(devices[i].load(1, 8), b"device %d" % i, f"device {i}")
    finally:
        for obj in objects:
            obj.close()


def test_devices_share_one_object():
    with Object(8192) as obj, machine(devices=3) as vm:
        devices = [Vmshm(vm, slot=SLOT + i).opened(obj.name)
                   for i in range(3)]
        for i, dev in enumerate(devices):
            dev.store(i * 100, pattern(100, i))
        for dev in devices:
            dev.shows(obj.read(0, 8192), "each sees all")
        devices[1].closed()
        devices[0].store(0, b"still shared")
        equal(devices[2].load(0, 12), b"still shared", "after one close")
        equal(len(mapped(vm, obj)), 2, "mappings")


def test_names_and_registers_are_per_device():
    with Object(4096, b"host") as obj, machine(devices=2) as vm:
        first, second = Vmshm(vm), Vmshm(vm, slot=SLOT + 1)
        vm.store(first.name, obj.name.encode() + b"\0")
        equal(vm.load(second.name, 1024), bytes(1024), "the other name")
        first.opened(None)
        second.closed()
        first.shows(b"host", "after the other's close")


def test_two_vms_share_one_object():
    size = 1 << 20
    with Object(size) as obj, machine() as vm1, machine() as vm2:
        one, two = Vmshm(vm1).opened(obj.name), Vmshm(vm2).opened(obj.name)
        one.store(0, pattern(size))
        equal(two.load(), pattern(size), "VM 1 to VM 2")
        two.store(5, b"from VM 2")
        equal(one.load(5, 9), b"from VM 2", "VM 2 to VM 1")
        one.closed()
        one.is_zero("VM 1 closed")
        equal(two.load(5, 9), b"from VM 2", "VM 2 continues")
        vm1.kill()
        two.store(0, b"alone")
        equal(obj.read(0, 5), b"alone", "VM 2, after the death of VM 1")
        # The end of the block must not quit the VM, which was killed.


def test_rest_of_the_buffer_is_shared_with_nobody():
    with Object(100) as obj, machine() as vm1, machine(devices=2) as vm2:
        devices = [Vmshm(vm1), Vmshm(vm2), Vmshm(vm2, slot=SLOT + 1)]
        for i, dev in enumerate(devices):
            dev.opened(obj.name)
            dev.store(4096, pattern(4096, i))
        for i, dev in enumerate(devices):
            equal(dev.load(4096, 4096), pattern(4096, i), f"device {i}")


def proportional(vm, obj):
    """The bytes of the object's memory in the proportional set size of a VM's
    process"""
    total, here = 0, False
    with open(f"/proc/{vm.pid}/smaps", encoding="utf-8") as smaps:
        for line in smaps:
            if line.split(maxsplit=1)[0].endswith(":"):
                if here and line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
            else:
                here = line.rstrip().endswith(path(obj.name))
    return total


def test_memory_is_there_once_for_all_vms():
    size = 8 << 20
    with Object(size) as obj, machine() as one, machine() as two:
        content = pattern(size)
        for vm in (one, two):
            dev = Arena(vm)
            dev.attach(obj.name)
            dev.put(0, content)
            dev.sees(0, content, "the bytes that the VM wrote")
        equal(os.stat(path(obj.name)).st_blocks * 512, size, "memory")
        equal([proportional(vm, obj) for vm in (one, two)], [size // 2] * 2,
              "the VMs' shares of the object")
