# SPDX-License-Identifier: GPL-2.0-or-later
"""The resources of the host that all devices use together are bounded."""

import os
import struct
import tempfile
import time

import contract as c
from arena import MIB, PAGE, Arena, arenas, refusals
from qemu import QmpError
from running import (BASE, FLAT, ROUNDS, SEEN, SIZE, WHERE, Running,
                     firmware)
from shm import Object
from test_loss import maps
from vmshm import Skip, descriptors, equal, machine, true, until

COUNT = 2000        # the value of vm.max_map_count that the device reads
FILES = 400         # the hard limit of open files


def few_mappings(folder):
    if os.geteuid():
        raise Skip("only root can mount over a file of /proc")
    with open(folder + "/count", "w", encoding="ascii") as file:
        file.write(f"{COUNT}\n")
    return ("unshare", "-m", "--propagation", "private", "sh", "-c",
            f"mount --bind {folder}/count /proc/sys/vm/max_map_count && "
            "exec \"$@\"", "sh")


def test_mappings_of_all_devices():
    with tempfile.TemporaryDirectory() as folder, Object(PAGE) as obj, \
            machine(options=",arena=16M", devices=3,
                    wrap=few_mappings(folder)) as vm:
        devices, handles = arenas(vm, 3), []
        for i in range(COUNT):
            dev = devices[i % 3]
            status = dev.command(c.CMD_ATTACH, obj.name, place=i * 2 * PAGE)
            if status:
                break
            handles.append((dev, dev.get(c.REG_RES_HANDLE)))
        equal(status, c.ENOMEM, "one more attachment")
        true(COUNT // 4 < len(handles) < COUNT // 2, f"{len(handles)}")
        true(maps(vm) < COUNT, f"{maps(vm)} mappings")
        equal(vm.qmp("query-status")["running"], False, "QEMU")
        # The guest attaches and detaches objects, and writes to the places.
        for dev, handle in handles:
            dev.detach(handle)
        for n in range(3 * COUNT):
            dev = devices[n % 3]
            place = n % 1000 * 2 * PAGE
            dev.detach(dev.attach(obj.name, place))
            vm.write(dev.arena + place, 4, n)
        true(maps(vm) < COUNT, f"{maps(vm)} mappings")


def test_descriptors_of_all_devices():
    with Object(PAGE) as obj, \
            machine(devices=2, wrap=("prlimit", f"--nofile={FILES}:{FILES}")
                    ) as vm:
        devices = arenas(vm, 2)
        for i in range(FILES):
            status = devices[i % 2].command(c.CMD_HOLD, obj.name)
            if status:
                break
        equal(status, c.EMFILE, "one more attachment")
        true(FILES // 2 < i <= FILES * 3 // 4, f"{i} objects")
        true(len(descriptors(vm)) < FILES - 20, "descriptors")
        # The monitor can still open files.
        with tempfile.TemporaryDirectory() as folder:
            vm.qmp("pmemsave", val=0, size=PAGE, filename=folder + "/file")


def test_the_log_of_what_migration_forbids():
    with Object(PAGE) as obj, machine("-only-migratable") as vm:
        dev, start = Arena(vm), time.monotonic()
        for _ in range(300):
            equal(dev.command(c.CMD_ATTACH, obj.name), c.EACCES, "attach")
        # The log is limited to a number of lines in each 10 seconds.
        periods = 1 + (time.monotonic() - start) // 10
        equal(refusals(vm), {"migration": 300}, "refusals")
        true(len(vm.said().splitlines()) <= 12 * periods, vm.said())


def flags(vm, address_of):
    """The VmFlags of the mapping whose line in smaps contains the text"""
    with open(f"/proc/{vm.pid}/smaps", encoding="utf-8",
              errors="replace") as lines:
        found = False
        for line in lines:
            if "-" in line.split(" ")[0]:
                found = address_of(line)
            elif found and line.startswith("VmFlags:"):
                return set(line.split()[1:])
    raise AssertionError("no such mapping")


def test_windows_are_marked_as_qemu_marks_its_memory():
    """dc: not copied by fork(2); dd: not in core dumps; nh: no huge pages"""
    with Object(PAGE) as obj, machine(options=",arena=256M") as vm:
        dev = Arena(vm)
        for _ in range(2):
            idle = flags(vm, lambda line: is_idle(line, 200 * MIB))
            true({"dc", "dd", "nh"} <= idle, f"idle: {idle}")
            handle = dev.attach(obj.name, 4 * PAGE)
            shown = flags(vm, lambda line: obj.path in line)
            true({"dc", "dd"} <= shown, f"attached: {shown}")
            dev.detach(handle)


def is_idle(line, least):
    """Whether a line of smaps is of private, anonymous memory of this size"""
    words = line.split()
    start, end = (int(word, 16) for word in words[0].split("-"))
    return end - start > least and len(words) == 5 and words[1] == "rw-p"


def test_a_failed_start_leaks_no_addresses():
    with machine() as vm:
        before = size_of(vm)
        for _ in range(5):
            try:
                # The arena exists when the device opens the directory.
                vm.add("vmshm", id="other", arena=1 << 30, addr="9",
                       **{"dir": "/nonexistent"})
            except QmpError as e:
                true("dir=/nonexistent" in str(e), str(e))
        until(lambda: size_of(vm) < before + 100 * MIB, "address space")


def size_of(vm):
    with open(f"/proc/{vm.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * PAGE


def caller():
    """A firmware with the loop of running.py, which calls the code at WHERE"""
    rom = bytearray(firmware())

    def word(value):
        return struct.pack("<I", value)

    code = b"".join((
        b"\x66\xb8\x10\x00", b"\x8e\xd8", b"\x8e\xd0",  # ds, ss
        b"\xbc", word(0x8000),                          # mov esp, 0x8000
        b"\x8b\x35", word(WHERE), b"\xff\xd6",          # call [WHERE]
        b"\xa3", word(SEEN), b"\xff\x05", word(ROUNDS), b"\xeb\xeb"))
    rom[FLAT:FLAT + len(code)] = code
    equal(len(rom), SIZE, f"the firmware at {BASE:#x}")
    return bytes(rom)


def returns(value):
    return b"\xb8" + struct.pack("<I", value) + b"\xc3"


def test_code_of_an_object_that_was_replaced():
    """TCG drops the translated code after each kind of replacement."""
    with Object(PAGE, returns(1)) as one, Object(PAGE, returns(2)) as two, \
            Running({"accel": "tcg"}, ",arena=2M", rom=caller()) as cpu:
        dev = Arena(cpu.vm)
        handle = dev.attach(one.name)
        cpu.start(dev.arena)
        equal(cpu.vm.read(SEEN, 4), 1, "the first object's code")
        for obj, value in ((two, 2), (one, 1)) * 3:
            cpu.vm.qmp("stop")
            dev.detach(handle)
            handle = dev.attach(obj.name)
            cpu.vm.qmp("cont")
            cpu.round()
            equal(cpu.vm.read(SEEN, 4), value, "the code of the next object")


def test_resize_cuts_what_the_host_has_cut_before():
    with Object(4 * PAGE, b"x" * 4 * PAGE) as obj, \
            machine(options=",arena=2M,create=on") as vm:
        dev = Arena(vm)
        dev.attach(obj.name)
        os.ftruncate(obj.fd, 0)
        dev.does(c.CMD_RESIZE, obj.name, length=PAGE)
        # The host makes the file longer, which is no longer the guest's object.
        os.ftruncate(obj.fd, 4 * PAGE)
        obj.write(PAGE, b"later")
        dev.sees_zeros(PAGE, PAGE, "behind the end that the guest has set")
