# SPDX-License-Identifier: GPL-2.0-or-later
"""Migration and snapshots, which are refused while an object is mapped"""

import os
import socket
import tempfile

import contract as c
from qemu import QmpError
from shm import Object, pattern
from vmshm import SLOT, Vmshm, equal, machine, mapped, true

MIB = 1 << 20


def refusal(call, *args, **more):
    """The reason with which QEMU refuses the call"""
    try:
        result = call(*args, **more)
    except QmpError as e:
        return str(e)
    if result:      # the text of the human monitor
        return result
    raise AssertionError(f"{args} {more} was not refused")


def check_reason(reason):
    """Checks that the reason names the device and the use to end."""
    true("vmshm" in reason, f"no vmshm in: {reason}")
    true("mapped" in reason or "open" in reason or "attached" in reason,
         f"it does not say why: {reason}")


def events(vm):
    vm.qmp("migrate-set-capabilities", capabilities=[
        {"capability": "events", "state": True}])


def completed(vm):
    status = vm.event("MIGRATION", lambda d: d["status"] in (
        "completed", "failed", "cancelled"))["status"]
    equal(status, "completed", "migration")


def migrates(vm):
    """Checks that a migration to /dev/null completes."""
    # A snapshot is also a migration.
    vm.forget("MIGRATION")
    vm.qmp("migrate", uri="exec:cat >/dev/null")
    completed(vm)


class StuckMigration:
    """A migration that does not end, because no process reads its data"""

    def __init__(self, vm):
        self.vm, self.socket = vm, socket.socket(socket.AF_UNIX)

    def __enter__(self):
        events(self.vm)
        # More data than the buffer of a socket
        self.vm.store(MIB, os.urandom(8 * MIB))
        with tempfile.TemporaryDirectory() as folder:
            self.socket.bind(f"{folder}/migration")
            self.socket.listen()
            self.vm.qmp("migrate", uri=f"unix:{folder}/migration")
            self.vm.event("MIGRATION", lambda d: d["status"] == "active")
        return self

    def cancel(self):
        self.vm.qmp("migrate_cancel")
        # The blocked write ends when the connection is closed.
        self.socket.close()
        self.vm.event("MIGRATION", lambda d: d["status"] in (
            "cancelled", "failed"))

    def __exit__(self, *_):
        self.socket.close()


class Image:
    """A qcow2 image for the snapshots of a machine. QEMU creates it, so that
    qemu-img is not needed."""

    def __init__(self, vm, folder):
        self.vm, self.file = vm, os.path.join(folder, "image.qcow2")
        self.jobs = 0
        with open(self.file, "wb"):
            pass
        vm.qmp("blockdev-add", driver="file", filename=self.file,
               **{"node_name": "file0"})
        self.job("blockdev-create", options={
            "driver": "qcow2", "file": "file0", "size": MIB})
        vm.qmp("blockdev-add", driver="qcow2", file="file0",
               **{"node_name": "disk0"})

    def job(self, command, **arguments):
        """Runs a job to its end. Returns its error, or None."""
        self.jobs += 1
        ident = f"job{self.jobs}"
        self.vm.qmp(command, job_id=ident, **arguments)
        self.vm.event("JOB_STATUS_CHANGE", lambda d: (
            d["id"], d["status"]) == (ident, "concluded"))
        error = [j.get("error") for j in self.vm.qmp("query-jobs")
                 if j["id"] == ident][0]
        self.vm.qmp("job-dismiss", id=ident)
        return error

    def snapshot(self, what, tag):
        more = {} if what == "delete" else {"vmstate": "disk0"}
        return self.job(f"snapshot-{what}", tag=tag, devices=["disk0"],
                        **more)


def test_migration_is_refused_while_open():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        check_reason(refusal(vm.qmp, "migrate", uri="exec:cat >/dev/null"))
        check_reason(refusal(vm.hmp, "migrate exec:cat>/dev/null"))
        dev.shows(b"host", "after the refusal")
        reasons = vm.qmp("query-migrate").get("blocked-reasons", [])
        equal(len(reasons), 1, "blocked-reasons")
        check_reason(reasons[0])
        dev.closed()
        events(vm)
        migrates(vm)


def test_snapshot_is_refused_while_open():
    with Object(4096, b"host") as obj, machine() as vm, \
            tempfile.TemporaryDirectory() as folder:
        image = Image(vm, folder)
        dev = Vmshm(vm).opened(obj.name)
        check_reason(refusal(vm.hmp, "savevm one"))
        check_reason(image.snapshot("save", "one") or "")
        dev.shows(b"host", "after the refusal")
        dev.closed()
        equal(vm.hmp("savevm one"), "", "savevm")
        equal(image.snapshot("save", "two"), None, "snapshot-save")


def test_snapshot_restores_the_name():
    with Object(4096, b"host") as obj, machine() as vm, \
            tempfile.TemporaryDirectory() as folder:
        image = Image(vm, folder)
        dev = Vmshm(vm)
        name = obj.name.encode() + b"\0" + pattern(900)
        name = name.ljust(1024, b"\xee")
        vm.store(dev.name, name)
        equal(image.snapshot("save", "one"), None, "snapshot-save")
        vm.fill(dev.name, 1024, 0)
        equal(image.snapshot("load", "one"), None, "snapshot-load")
        equal(vm.load(dev.name, 1024), name, "the name")
        dev.opened(None).shows(b"host", "the buffer")
        dev.closed()


def test_snapshot_loaded_while_open_closes():
    """Otherwise, a guest that never opened the object would see it."""
    with Object(4096, b"host") as obj, machine() as vm, \
            tempfile.TemporaryDirectory() as folder:
        image = Image(vm, folder)
        dev = Vmshm(vm)
        equal(image.snapshot("save", "one"), None, "snapshot-save")
        dev.opened(obj.name)
        error = image.snapshot("load", "one")
        if error is None:
            true(not mapped(vm, obj), "still mapped after loading")
            dev.is_zero("after loading")
        else:
            check_reason(error)
            dev.shows(b"host", "after the refusal")


def test_migration_to_another_qemu():
    with Object(4096, b"host") as obj, \
            tempfile.TemporaryDirectory() as folder:
        uri = f"unix:{folder}/migration"
        with machine(devices=2) as source, \
                machine("-incoming", "defer", devices=2) as target:
            events(source)
            events(target)
            target.qmp("migrate-incoming", uri=uri)
            devices = [Vmshm(source), Vmshm(source, slot=SLOT + 1)]
            names = [obj.name.encode() + b"\0" + pattern(900, i)
                     for i in range(2)]
            for dev, name in zip(devices, names):
                dev.opened(obj.name)
                dev.closed()
                dev.store(0, b"scribbled while closed")
                source.store(dev.name, name.ljust(1024, b"\xdd"))
            source.qmp("migrate", uri=uri)
            completed(source)
            completed(target)
            for there, here, name in zip(
                    (SLOT, SLOT + 1), devices, names):
                dev = Vmshm(target, slot=there, bars=here.pci.bars)
                for number, address in here.pci.bars.items():
                    equal(dev.pci.get(0x10 + 4 * number) & ~15,
                          address & 0xffffffff, f"BAR{number}")
                equal(target.load(dev.name, 1024),
                      name.ljust(1024, b"\xdd"), "the name")
                dev.opened(None).shows(b"host", "the buffer")
                dev.closed()
                dev.is_zero("closed")


def test_open_is_busy_while_migration_runs():
    with Object(4096, b"host") as obj, machine() as vm, \
            StuckMigration(vm) as migration:
        dev = Vmshm(vm)
        equal(dev.open(obj.name), c.EBUSY, "open")
        true(not mapped(vm, obj), "the object is mapped")
        dev.closed()
        migration.cancel()
        dev.opened(None).shows(b"host", "after the migration was cancelled")


def test_open_under_only_migratable():
    with Object(4096, b"host") as obj, machine("-only-migratable") as vm:
        dev = Vmshm(vm)
        equal(dev.open(obj.name), c.EACCES, "open")
        dev.is_zero("after it")
        dev.closed()
        true(not mapped(vm, obj), "the object is mapped")


def test_unplug_of_an_open_device_lifts_the_refusal():
    with Object(4096) as obj, machine() as vm:
        Vmshm(vm).opened(obj.name)
        vm.remove("vmshm0", lambda: vm.eject_acpi(0xae00, 0, SLOT))
        events(vm)
        migrates(vm)


def test_reset_lifts_the_refusal():
    with Object(4096) as obj, machine(devices=2) as vm:
        Vmshm(vm).opened(obj.name)
        Vmshm(vm, slot=SLOT + 1).opened(obj.name).closed()
        check_reason(refusal(vm.qmp, "migrate", uri="exec:cat >/dev/null"))
        vm.qmp("system_reset")
        vm.event("RESET")
        events(vm)
        migrates(vm)
