# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects whose memory the host removes while they are attached. QEMU survives
each kind of access to such memory."""

import os
import resource
import signal
import struct
import tempfile

import contract as c
from arena import MIB, PAGE, Arena, property_of
from gdb import Gdb
from qemu import DEADLINE, ROOT, Qemu
from running import Running, tests_of
from shm import Object, pattern
from slots import Waits, asleep
from virtio import Disk, arguments
from vmshm import (SLOT, Skip, descriptors, equal, machine, mapped, true,
                   until)

OPTIONS = ",arena=2M"
PAGES = 4
DISK = 9
TEXT = b"another object, which is not touched"


def losses(vm, device="vmshm0"):
    """The counts of losses that QEMU's monitor shows, without those of 0"""
    return {kind: count for kind, count in property_of(
        vm, "losses", device).items() if count}


def alive(vm):
    true(vm.qmp("query-status")["status"] in ("running", "prelaunch",
                                              "paused"),
         "the machine stopped")


class Truncated:
    """A machine with an attached object that was truncated to 0 bytes, and with
    an intact object beside it"""

    def __init__(self, *args, options=OPTIONS, what=Arena, **how):
        self.obj = Object(PAGES * PAGE, pattern(PAGES * PAGE))
        self.other = Object(PAGE, TEXT)
        self.vm = machine(*args, options=options, **how)
        self.what = what

    def __enter__(self):
        self.vm.__enter__()
        try:
            self.dev = self.what(self.vm)
            self.handle = self.dev.attach(self.obj.name)
            self.dev.attach(self.other.name, PAGES * PAGE)
            self.at = self.dev.arena + PAGE
            os.ftruncate(self.obj.fd, 0)
        except BaseException:
            self.__exit__(Exception, None, None)
            raise
        return self

    def __exit__(self, kind, *more):
        try:
            if kind is None:
                self.check()
        finally:
            self.obj.close()
            self.other.close()
            self.vm.__exit__(kind, *more)

    def check(self):
        alive(self.vm)
        equal(losses(self.vm), {"truncated": 1}, "losses")
        self.dev.sees_zeros(PAGE, (PAGES - 1) * PAGE, "the lost part")
        self.dev.sees(PAGES * PAGE, TEXT, "other object")
        equal(losses(self.vm), {"truncated": 1}, "losses, after a look")
        until(lambda: "was truncated while it is attached" in self.vm.said(),
              "no line in the log")
        self.dev.detach(self.handle)


def test_qtest_reads_and_writes():
    with Truncated() as t:
        equal(t.vm.read(t.at, 8), 0, "read")
        t.vm.write(t.at, 8, 5)
        equal(t.vm.read(t.at, 8), 5, "written")
        t.vm.write(t.at, 8, 0)


def test_monitor_looks():
    with Truncated() as t:
        line = t.vm.hmp(f"xp /2xw {t.at:#x}")
        true("0x00000000 0x00000000" in line, line)


def test_monitor_saves_memory():
    with Truncated() as t, tempfile.TemporaryDirectory() as folder:
        t.vm.qmp("pmemsave", val=t.at, size=2 * PAGE, filename=folder + "/f")
        with open(folder + "/f", "rb") as file:
            equal(file.read(), bytes(2 * PAGE), "the saved memory")


def test_debugger_reads_and_writes():
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/gdb"
        with Truncated("-gdb", f"unix:{path},server=on,wait=off") as t, \
                Gdb(path) as gdb:
            equal(gdb.read(t.at, 8), bytes(8), "read")
            equal(gdb.write(t.at, b"\1"), "OK", "write")
            equal(gdb.read(t.at, 8), b"\1" + bytes(7), "read again")
            gdb.write(t.at, b"\0")


def test_debugger_writes_to_a_read_only_attachment():
    """The write is dropped, and QEMU survives."""
    data = pattern(2 * PAGE)
    with tempfile.TemporaryDirectory() as folder, \
            Object(2 * PAGE, data) as obj:
        path = folder + "/gdb"
        with machine("-gdb", f"unix:{path},server=on,wait=off",
                     options=OPTIONS) as vm, Gdb(path) as gdb:
            dev = Arena(vm)
            dev.attach_ro(obj.name)
            gdb.write(dev.arena + dev.span + PAGE + 8, b"scribble")
            until(lambda: losses(vm) == {"written-read-only": 1}, "no count")
            equal(obj.read(0, 2 * PAGE), data, "the object")
            until(lambda: dev.look(dev.span, 2 * PAGE) == data,
                  "the guest's view did not come back")
            obj.write(PAGE, b"from the host")
            dev.sees(dev.span + PAGE, b"from the host", "memory shared again")
            # The truncated part stays zero.
            os.ftruncate(obj.fd, PAGE)
            dev.sees_zeros(dev.span + PAGE, PAGE, "truncated")
            gdb.write(dev.arena + dev.span + 8, b"scribble")
            until(lambda: losses(vm)["written-read-only"] == 2, "no count")
            until(lambda: dev.look(dev.span, PAGE) == data[:PAGE], "no")
            dev.sees_zeros(dev.span + PAGE, PAGE, "truncated, after the write")


def fw_cfg_dma(vm, control, address):
    """Reads the signature to an address, as firmware does."""
    vm.store(control, struct.pack(">IIQ", 8 | 2, 4, address))
    vm.outl(0x514, int.from_bytes(struct.pack(">I", control >> 32), "little"))
    vm.outl(0x518, int.from_bytes(
        struct.pack(">I", control & 0xffffffff), "little"))


def test_emulated_dma_writes():
    with Truncated() as t:
        fw_cfg_dma(t.vm, 0x5000, t.at)
        equal(t.vm.read(t.at, 4), int.from_bytes(b"QEMU", "little"), "written")
        t.vm.write(t.at, 4, 0)


def test_emulated_dma_reads():
    with Truncated() as t:
        # The request is in lost memory, which reads as zeros.
        t.vm.outl(0x514, int.from_bytes(
            struct.pack(">I", t.at >> 32), "little"))
        t.vm.outl(0x518, int.from_bytes(
            struct.pack(">I", t.at & 0xffffffff), "little"))


def test_disk():
    with Truncated(*arguments(DISK)) as t:
        Disk(t.vm, DISK).read(t.at, PAGE)


def test_disk_of_an_iothread():
    with Truncated("-object", "iothread,id=io0",
                   *arguments(DISK, "io0")) as t:
        Disk(t.vm, DISK).read(t.at, PAGE)


def test_disk_of_an_iothread_that_came_later():
    with Truncated("-blockdev",
                   "null-co,node-name=null0,read-zeroes=on,size=1048576") as t:
        t.vm.qmp("object-add", qom_type="iothread", id="io0")
        t.vm.add("virtio-blk-pci", drive="null0", iothread="io0",
                 addr=hex(DISK))
        Disk(t.vm, DISK).read(t.at, PAGE)


def test_disk_that_copies_in_a_thread_of_its_own():
    """With O_DIRECT and an unaligned address, QEMU's thread pool reads to a
    bounce buffer and copies the data. The pool starts and ends threads."""
    with tempfile.TemporaryDirectory(dir=ROOT + "/build") as folder:
        with open(folder + "/image", "wb") as image:
            image.truncate(MIB)
        try:
            os.close(os.open(folder + "/image", os.O_RDONLY | os.O_DIRECT))
        except OSError as e:
            raise Skip(f"no O_DIRECT in {folder}: {e.strerror}") from e
        with Truncated("-blockdev", "file,node-name=disk0,aio=threads,"
                       f"cache.direct=on,filename={folder}/image",
                       "-device", "virtio-blk-pci,drive=disk0,"
                       f"addr={DISK:#x}") as t:
            Disk(t.vm, DISK).read(t.at + 8, PAGE)


def test_dump_leaves_the_arena_out():
    with Truncated(options=",arena=256M") as t, \
            tempfile.TemporaryDirectory() as folder:
        t.vm.qmp("dump-guest-memory", paging=False,
                 protocol=f"file:{folder}/dump")
        size = os.path.getsize(folder + "/dump")
        true(size < 128 * MIB, f"the dump has {size} bytes")
        # The disk has not accessed lost memory.
        equal(losses(t.vm), {}, "losses")
        t.dev.look(PAGE, 1)


def test_migration_is_refused_and_harmless():
    with Truncated() as t:
        try:
            t.vm.qmp("migrate", uri="exec:cat > /dev/null")
        except Exception as e:      # noqa: BLE001
            true("shared memory object" in str(e), str(e))
        t.dev.look(PAGE, 1)


def test_interrupt_that_is_a_write_to_an_object():
    """A thread of the device writes the interrupt message."""
    with Object(PAGE) as word, Truncated(what=Waits) as t:
        t.dev.attach(word.name, 16 * PAGE)
        table = t.dev.pci.bars[c.BAR_MSIX]
        t.vm.write(table, 4, t.at & 0xffffffff)
        t.vm.write(table + 4, 4, t.at >> 32)
        t.vm.write(table + 8, 4, 0x12345678)
        t.vm.write(table + 12, 4, 0)
        at = t.dev.pci.capability(0x11)
        t.dev.pci.set(at + 2, 0x8000, 2)
        t.dev.arm(0, 16 * PAGE, 0)
        asleep(t.vm, 1)
        t.dev.wake(16 * PAGE, 1)
        t.dev.until(0, c.SLOT_IS_FIRED, "woken")
        until(lambda: t.vm.read(t.at, 4) == 0x12345678, "nothing was written")
        t.vm.write(t.at, 4, 0)


def by_the_processor(how):
    with Object(PAGES * PAGE, pattern(PAGES * PAGE)) as obj, \
            Object(PAGE, b"\x11" * PAGE) as other, \
            Running(how, OPTIONS) as cpu:
        dev = Arena(cpu.vm)
        handle = dev.attach(obj.name)
        dev.attach(other.name, PAGES * PAGE)
        dev.attach_ro(obj.name)
        for base in dev.arena, dev.arena + dev.span:
            os.ftruncate(obj.fd, PAGES * PAGE)
            cpu.start(base)
            os.ftruncate(obj.fd, PAGE)
            equal(cpu.look(base + 2 * PAGE), 0, "behind the end")
            true(cpu.alive, "the machine stopped")
        equal(losses(cpu.vm), {"truncated": 2}, "losses")
        # The rest of the attachment still shows the shared object.
        obj.write(0, b"\x22" * 4)
        equal(cpu.look(dev.arena), 0x22222222, "before the end")
        equal(cpu.store(dev.arena + 2 * PAGE, 5), 5, "write behind the object")
        equal(cpu.look(dev.arena + PAGES * PAGE), 0x11111111, "other object")
        # The lost part stays lost until it is attached again, also if the
        # object grows.
        os.ftruncate(obj.fd, PAGES * PAGE)
        obj.write(2 * PAGE, b"\x33" * 4)
        equal(cpu.look(dev.arena + 2 * PAGE), 5, "the object has grown")
        dev.detach(handle)
        dev.attach(obj.name)
        equal(cpu.look(dev.arena + 2 * PAGE), 0x33333333, "attached again")
        equal(losses(cpu.vm), {"truncated": 2}, "losses")
        true(cpu.alive, "the machine stopped")


def recreated(how):
    """A host program starts again: it truncates the object and restores its
    size. The processor always reads the object's new data or zeros."""
    with Object(PAGE) as obj, Running(how, OPTIONS) as cpu:
        dev = Arena(cpu.vm)
        dev.attach(obj.name)
        cpu.start(dev.arena)
        for _ in range(50):
            os.ftruncate(obj.fd, 0)
            os.ftruncate(obj.fd, PAGE)
            cpu.round()
        true(cpu.alive, "the machine stopped")


def test_the_command_after_it_says_so():
    with Truncated() as t:
        flags = {"flags": c.RQ_HANDLE, "handle": t.handle}
        t.dev.does(c.CMD_STAT, **flags)
        t.dev.look(PAGE, 1)
        equal(t.dev.command(c.CMD_STAT, **flags), c.EIO, "after the loss")
        equal(t.dev.stat(**flags).size, 0, "after the report of the loss")


def held(dev, name):
    dev.does(c.CMD_HOLD, name)
    return {"flags": c.RQ_HANDLE, "handle": dev.get(c.REG_RES_HANDLE)}


def test_any_handle_of_the_object_says_so():
    with Truncated() as t:
        own = {"flags": c.RQ_HANDLE, "handle": t.handle}
        same, other = held(t.dev, t.obj.name), held(t.dev, t.other.name)
        t.dev.look(PAGE, 1)
        t.dev.does(c.CMD_STAT, **other)
        equal(t.dev.command(c.CMD_STAT, **same), c.EIO, "after the loss")
        t.dev.does(c.CMD_STAT, **same)
        t.dev.does(c.CMD_STAT, **own)


def test_a_handle_that_is_left_says_so():
    with Truncated() as t:
        same, other = held(t.dev, t.obj.name), held(t.dev, t.other.name)
        t.dev.look(PAGE, 1)
        t.dev.detach(t.handle)
        t.dev.does(c.CMD_STAT, **other)
        t.handle = same["handle"]
        equal(t.dev.command(c.CMD_STAT, **same), c.EIO, "after DETACH")
        t.dev.does(c.CMD_STAT, **same)


def test_a_truncation_costs_one_mapping():
    pages = 2000
    with Object(pages * PAGE) as obj, machine(options=",arena=16M") as vm:
        dev = Arena(vm)
        dev.attach(obj.name)
        before = len(mapped(vm, obj)) + maps(vm)
        os.ftruncate(obj.fd, 100 * PAGE)
        for page in range(pages - 1, -1, -3):
            vm.read(dev.arena + page * PAGE, 1)
        true(len(mapped(vm, obj)) + maps(vm) <= before + 2,
             f"{maps(vm)} mappings, before {before}")
        equal(losses(vm), {"truncated": 1}, "losses")


def maps(vm):
    with open(f"/proc/{vm.pid}/maps", encoding="utf-8",
              errors="replace") as lines:
        return len(list(lines))


def blocked(vm, thread):
    """Whether a thread of QEMU has SIGBUS blocked"""
    try:
        with open(f"/proc/{vm.pid}/task/{thread}/status",
                  encoding="ascii") as lines:
            mask = next(int(line.split()[1], 16) for line in lines
                        if line.startswith("SigBlk:"))
    except (FileNotFoundError, ProcessLookupError):
        return False        # the thread has ended
    return bool(mask >> signal.SIGBUS - 1 & 1)


def lets_through(vm, thread, what):
    until(lambda: not blocked(vm, thread), f"SIGBUS is blocked in {what}")


def test_no_thread_blocks_the_signal():
    """No thread blocks SIGBUS, nor does the thread of a CPU that was plugged
    later."""
    args = ("-smp", "1,maxcpus=2", "-object", "iothread,id=io0", "-blockdev",
            "null-co,node-name=null0,read-zeroes=on,size=1048576")
    with machine(*args, "-cpu", "qemu64", options=OPTIONS) as vm:
        lets_through(vm, vm.pid, "the main thread")
        vm.qmp("object-add", qom_type="iothread", id="io1")
        slots = vm.qmp("query-hotpluggable-cpus")
        free = next(s for s in slots if "qom-path" not in s)
        vm.add(free["type"], id="cpu1", **{
            k.replace("-", "_"): v for k, v in free["props"].items()})
        vm.add("virtio-blk-pci", drive="null0", iothread="io1",
               addr=hex(DISK))
        cpus = vm.qmp("query-cpus-fast")
        equal(len(cpus), 2, "processors")
        for cpu in cpus:
            lets_through(vm, cpu["thread-id"], f"processor {cpu['cpu-index']}")
        threads = vm.qmp("query-iothreads")
        equal(sorted(t["id"] for t in threads), ["io0", "io1"], "I/O threads")
        for thread in threads:
            lets_through(vm, thread["thread-id"], thread["id"])
        # The threads for RCU and QMP's socket do not access memory of the
        # guest, and may start before the device is loaded.
        until(lambda: sum(blocked(vm, t) for t in os.listdir(
            f"/proc/{vm.pid}/task")) <= 2, "SIGBUS is blocked in others")


def test_other_errors_end_qemu_as_before():
    """QEMU handles a SIGBUS outside the device's memory."""
    for number in signal.SIGBUS, signal.SIGSEGV:
        with machine(options=OPTIONS) as vm:
            os.kill(vm.pid, number)
            equal(vm.process.wait(DEADLINE), -number, "exit code")
            vm.kill()


def test_a_device_that_goes_while_there_is_a_loss():
    with Object(PAGE) as obj, machine(options=OPTIONS, devices=2) as vm:
        dev = Arena(vm)
        dev.attach(obj.name)
        os.ftruncate(obj.fd, 0)
        dev.look(0, 1)
        vm.remove("vmshm0", lambda: vm.eject_acpi(0xae00, 0, SLOT))
        second = Arena(vm, slot=SLOT + 1)
        os.ftruncate(obj.fd, PAGE)
        second.attach(obj.name)
        os.ftruncate(obj.fd, 0)
        second.look(0, 1)
        equal(losses(vm, "vmshm1"), {"truncated": 1}, "losses")


def test_memory_that_the_host_does_not_commit():
    """If the host refuses private memory, detached objects are still removed,
    and lost memory is still replaced."""
    with Object(PAGES * PAGE, pattern(PAGES * PAGE)) as obj, \
            machine(options=OPTIONS + ",create=on") as vm:
        dev = Arena(vm)
        handle = dev.attach(obj.name)
        ro = dev.attach_ro(obj.name)
        dev.opened(obj.name)
        limits = resource.prlimit(vm.pid, resource.RLIMIT_DATA)
        resource.prlimit(vm.pid, resource.RLIMIT_DATA, (0, limits[1]))
        os.ftruncate(obj.fd, PAGE)
        dev.sees_zeros(PAGE, PAGE, "behind the end")
        dev.does(c.CMD_RESIZE, obj.name, length=0)
        dev.sees_zeros(0, PAGES * PAGE, "the object of size 0")
        dev.detach(ro)
        dev.sees_zeros(dev.span, PAGES * PAGE, "detached")
        dev.closed()
        dev.is_zero("closed")
        vm.qmp("system_reset")
        vm.event("RESET")
        equal(mapped(vm, obj), [], "mappings left by the reset")
        resource.prlimit(vm.pid, resource.RLIMIT_DATA, limits)
        del handle


def full(pages):
    """A command that gives QEMU a private /dev/shm with this number of pages"""
    if os.geteuid():
        raise Skip("only root can mount a file system of its own")
    return ("unshare", "-m", "--propagation", "private", "sh", "-c",
            f"mount -t tmpfs -o size={pages * PAGE} none /dev/shm && "
            "exec \"$@\"", "sh")


def test_full_file_system():
    """A page without memory reads as zero. The other pages show the object."""
    with machine(options=",arena=2M", wrap=full(8)) as vm:
        folder = f"/proc/{vm.pid}/root/dev/shm"
        with open(folder + "/sparse", "wb") as file:
            file.truncate(64 * PAGE)
        dev = Arena(vm)
        handle = dev.attach("/sparse")
        for page in range(64):
            vm.write(dev.arena + page * PAGE, 4, page + 1)
        for page in range(64):
            equal(vm.read(dev.arena + page * PAGE, 4), page + 1,
                  f"page {page}, as the guest wrote it")
        with open(folder + "/sparse", "rb") as file:
            there = [int.from_bytes(file.read(PAGE)[:4], "little")
                     for _ in range(64)]
        equal(there, [*range(1, 9), *[0] * 56], "in the object")
        equal(losses(vm), {"no-memory": 56}, "losses")
        alive(vm)
        os.truncate(folder + "/sparse", 4 * PAGE)
        dev.detach(handle)
        os.truncate(folder + "/sparse", 64 * PAGE)
        dev.attach("/sparse")
        equal([vm.read(dev.arena + page * PAGE, 4) for page in range(8)],
              [1, 2, 3, 4, 0, 0, 0, 0], "attached again")


def test_full_file_system_and_many_pages():
    """If the lost pages need more mappings than possible, the whole attachment
    is lost."""
    count = "/proc/sys/vm/max_map_count"
    wrap = full(1)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("200\n")
        file.flush()
        wrap = (*wrap[:-2], f"mount --bind {file.name} {count} && "
                + wrap[-2], wrap[-1])
        with machine(options=",arena=2M", wrap=wrap) as vm:
            with open(f"/proc/{vm.pid}/root/dev/shm/sparse", "wb") as file:
                file.truncate(256 * PAGE)
            dev = Arena(vm)
            before = maps(vm)
            dev.attach("/sparse")
            for page in range(0, 256, 2):
                vm.write(dev.arena + page * PAGE, 4, page)
            true(maps(vm) < before + 200, f"{maps(vm)}, before {before}")
            equal(vm.read(dev.arena + 254 * PAGE, 4), 254, "the last page")
            alive(vm)


def of_a_full_file_system(how):
    """The processor, emulated DMA and an I/O thread access pages for which the
    host has no memory."""
    with Running({**how, "wrap": full(1)}, OPTIONS) as cpu:
        vm, dev = cpu.vm, Arena(cpu.vm)
        with open(f"/proc/{vm.pid}/root/dev/shm/sparse", "wb") as file:
            file.truncate(16 * PAGE)
        dev.attach("/sparse")
        vm.qmp("blockdev-add", driver="null-co", node_name="null0",
               read_zeroes=True, size=MIB)
        vm.qmp("object-add", qom_type="iothread", id="io0")
        vm.add("virtio-blk-pci", drive="null0", iothread="io0",
               addr=hex(DISK))
        # The read takes the only page that the file system has.
        cpu.start(dev.arena)
        equal(cpu.store(dev.arena + 2 * PAGE, 5), 5, "the processor's word")
        fw_cfg_dma(vm, 0x5000, dev.arena + 3 * PAGE)
        equal(cpu.look(dev.arena + 3 * PAGE), int.from_bytes(b"QEMU", "little"),
              "what DMA has written")
        Disk(vm, DISK).read(dev.arena + 4 * PAGE, PAGE)
        equal(losses(vm), {"no-memory": 3}, "losses")
        equal(cpu.store(dev.arena, 7), 7, "the page that the object has")
        with open(f"/proc/{vm.pid}/root/dev/shm/sparse", "rb") as file:
            equal(file.read(4), b"\7\0\0\0", "the object")
        true(cpu.alive, "the machine stopped")


globals().update(tests_of(by_the_processor, recreated, of_a_full_file_system))
