# SPDX-License-Identifier: GPL-2.0-or-later
"""Reset, the end of QEMU, and resources over time: nothing leaks"""

import os
import signal

import contract as c
from qemu import DEADLINE
from shm import Object, fresh_name, pattern
from vmshm import (Vmshm, descriptors, equal, machine, mapped, released,
                   true)


def reset(vm):
    vm.qmp("system_reset")
    vm.event("RESET")


def test_reset_closes():
    with Object(8192, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        for _ in range(3):
            dev.opened(obj.name)
            dev.store(8192, b"private")
            reset(vm)
            released(vm, obj)
            dev.assign()
            dev.is_zero("after reset")
            equal(vm.load(dev.name, 1024), bytes(1024), "the name")
            equal(dev.open(), c.EINVAL, "open without a name")
        equal(obj.read(0, 4), b"host", "the object")


def test_reset_of_a_closed_device():
    with machine() as vm:
        dev = Vmshm(vm)
        dev.store(0, pattern(1 << 20))
        vm.store(dev.name, b"\xff" * 1024)
        for _ in range(3):
            reset(vm)
        dev.assign()
        dev.is_zero("after reset")
        equal(vm.load(dev.name, 1024), bytes(1024), "the name")


def test_quit_with_an_object_open():
    with Object(4096, b"host") as obj:
        with machine() as vm:
            Vmshm(vm).opened(obj.name).store(0, b"GUEST")
        equal(vm.said(), "", "QEMU printed")
        equal(obj.read(0, 5000), b"GUEST" + bytes(4091), "the object")
        true(os.path.exists(obj.path), "the object is gone")


def test_signals_with_an_object_open():
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 0),
                         (signal.SIGHUP, 0), (signal.SIGKILL, -9)):
        with Object(4096, b"host") as obj, machine() as vm:
            Vmshm(vm).opened(obj.name).store(0, b"GUEST")
            vm.process.send_signal(number)
            equal(vm.process.wait(DEADLINE), code, f"exit code of {number}")
            vm.kill()       # cleanup
            equal(obj.read(0, 5000), b"GUEST" + bytes(4091), "the object")
            true(os.path.exists(obj.path), "the object is gone")


def maps(vm):
    with open(f"/proc/{vm.pid}/maps", encoding="utf-8") as lines:
        return [line.split()[1:] for line in lines]


def private_kib(vm):
    """The private memory of QEMU in KiB"""
    with open(f"/proc/{vm.pid}/smaps_rollup", encoding="utf-8") as lines:
        return sum(int(line.split()[1]) for line in lines
                   if line.startswith("Private_"))


def test_10000_times_open_and_close_lose_nothing():
    with Object(300000, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)

        def times(count):
            for _ in range(count):
                equal(dev.open(), 0, "open")
                equal(dev.close(), 0, "close")

        dev.opened(obj.name).closed()
        times(1000)
        before, fds, memory = len(maps(vm)), descriptors(vm), private_kib(vm)
        times(10000)
        equal(descriptors(vm), fds, "descriptors")
        true(len(maps(vm)) <= before + 4,
             f"mappings: {len(maps(vm))}, before {before}")
        true(private_kib(vm) < memory + 1024,
             f"KiB of memory: {private_kib(vm)}, before {memory}")
        released(vm, obj)


def test_every_refusal_loses_nothing():
    wrong = [fresh_name(), "", "/", "no slash", "/" + "x" * 300, "/a/b"]
    with Object(0) as empty, Object(4096) as obj, machine() as vm:
        link, folder, fifo = fresh_name(), fresh_name(), fresh_name()
        os.symlink(obj.path, "/dev/shm" + link)
        os.mkdir("/dev/shm" + folder)
        os.mkfifo("/dev/shm" + fifo)
        wrong += [empty.name, link, folder, fifo]
        dev = Vmshm(vm)

        def times(count):
            for name in wrong:
                vm.store(dev.name, name.encode() + b"\0")
                for _ in range(count):
                    true(dev.open() != 0, f"{name} opened")

        times(10)
        before, fds = len(maps(vm)), descriptors(vm)
        times(300)
        equal(descriptors(vm), fds, "descriptors")
        true(len(maps(vm)) <= before + 4, "mappings leak")
        dev.opened(obj.name)
        before = descriptors(vm)
        times(100)
        equal(descriptors(vm), before, "descriptors while an object is open")


def test_guest_scribbles_cost_at_most_the_buffer():
    with Object(4096) as obj, machine() as vm:
        dev = Vmshm(vm)
        before = private_kib(vm)
        for _ in range(20):
            vm.fill(dev.buffer, 1 << 20, 0x5a)
            dev.opened(obj.name)
            vm.fill(dev.buffer, 1 << 20, 0xa5)
            dev.closed()
        true(private_kib(vm) < before + 3 * 1024,
             f"KiB of memory: {private_kib(vm)}, before {before}")
        true(not mapped(vm, obj), "still mapped")
