# SPDX-License-Identifier: GPL-2.0-or-later
"""device_add and device_del with each kind of PCI hot-plug in QEMU

No guest runs. The tests answer the unplug request in the place of the guest.
"""

import contract as c
from qemu import Qemu, QmpError
from shm import Object, pattern
from vmshm import (Vmshm, descriptors, equal, machine, mapped, released,
                   true, until)

SLOT = 9
PIIX, ICH9 = 0xae00, 0xcc0
PORT = ("-device", "pcie-root-port,id=port0,chassis=1,addr=3")
NATIVE = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")


class Pc:
    """A slot of the root bus of the machine pc, with ACPI hot-plug"""

    args, machine = (), "pc"

    def __init__(self, vm):
        self.vm, self.where = vm, {"bus": "pci.0", "addr": hex(SLOT)}

    def device(self):
        return Vmshm(self.vm, slot=SLOT)

    def eject(self):
        self.vm.eject_acpi(PIIX, 0, SLOT)


class RootPort:
    """A PCI Express root port of the machine q35"""

    args, machine = PORT, "q35"

    def __init__(self, vm):
        self.vm, self.where = vm, {"bus": "port0"}
        self.port = vm.function(3)
        # Bus 1 is behind the port, which has a memory window.
        self.port.set(0x18, 0x010100)
        self.port.set(0x20, 0xf000e000 | 0x00000000)
        self.port.set(0x24, 0x0001fff1)
        self.port.decode(True)
        self.slot = self.port.capability(0x10) + 0x18

    def device(self):
        return Vmshm(self.vm, slot=0, bus=1)


class RootPortAcpi(RootPort):
    """A root port with ACPI hot-plug, the default since QEMU 6.1"""

    def eject(self):
        bsel = self.vm.bus_selector("/machine/peripheral/port0/port0")
        self.vm.eject_acpi(ICH9, bsel, 0)


class RootPortNative(RootPort):
    """A root port with the native hot-plug of PCI Express"""

    args = PORT + NATIVE

    def device(self):
        # The guest switches the slot's power and power indicator on.
        self.port.set(self.slot, 0x0100, 2)
        return super().device()

    def eject(self):
        # The guest switches both off, which releases the device.
        self.port.set(self.slot, 0x0700, 2)


def plugged(kind):
    return Qemu(*kind.args, machine=kind.machine)


def cycle(kind):
    """Plugs the device, uses it, and unplugs it while an object is open, three
    times."""
    with Object(1 << 20, pattern(1 << 20)) as obj, plugged(kind) as vm:
        place = kind(vm)
        before = None
        for i in range(4):
            vm.add("vmshm", id="hot", **place.where)
            dev = place.device()
            equal(dev.pci.get(0), 0x66611af4, "vendor and device")
            dev.is_zero("at the start")
            dev.opened(obj.name)
            equal(dev.load(), obj.read(0, 1 << 20), "the buffer")
            dev.store(i, b"G")
            vm.remove("hot", place.eject)
            equal(dev.pci.get(0), 0xffffffff, "vendor after unplug")
            until(lambda: not mapped(vm, obj), "the object stays mapped")
            released(vm, obj)
            equal(obj.read(i, 1), b"G", "the object")
            if i == 0:      # QEMU itself keeps some memory of the first round
                before = descriptors(vm)
        equal(descriptors(vm), before, "descriptors")


def test_pc_acpi():
    cycle(Pc)


def test_q35_root_port_acpi():
    cycle(RootPortAcpi)


def test_q35_root_port_native():
    cycle(RootPortNative)


def test_unplug_of_a_closed_device():
    with plugged(Pc) as vm:
        place = Pc(vm)
        vm.add("vmshm", id="hot", **place.where)
        vm.remove("hot", place.eject)


def test_unplug_of_a_device_from_the_command_line():
    with Object(4096, b"host") as obj, machine() as vm:
        Vmshm(vm).opened(obj.name)
        vm.remove("vmshm0", lambda: vm.eject_acpi(PIIX, 0, 4))
        until(lambda: not mapped(vm, obj), "the object stays mapped")


def test_unplug_leaves_the_other_devices_alone():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        place = Pc(vm)
        vm.add("vmshm", id="hot", **place.where)
        hot = place.device().opened(obj.name)
        hot.store(0, b"HOST")
        vm.remove("hot", place.eject)
        dev.shows(b"HOST", "the other device")
        equal(len(mapped(vm, obj)), 1, "mappings")
        dev.store(0, b"hOST")
        equal(obj.read(0, 4), b"hOST", "the object")


def test_unplug_asked_for_and_not_answered():
    """The device works until the guest answers the unplug request. A reset
    removes the device."""
    with Object(4096, b"host") as obj, plugged(Pc) as vm:
        place = Pc(vm)
        vm.add("vmshm", id="hot", **place.where)
        dev = place.device().opened(obj.name)
        vm.qmp("device_del", id="hot")
        dev.shows(b"host", "after the request")
        vm.qmp("system_reset")
        vm.event("DEVICE_DELETED", lambda d: d.get("device") == "hot")
        until(lambda: not mapped(vm, obj), "the object stays mapped")


def test_secondary_bus_reset_closes():
    with Object(4096, b"host") as obj, plugged(RootPortNative) as vm:
        place = RootPortNative(vm)
        vm.add("vmshm", id="hot", **place.where)
        dev = place.device().opened(obj.name)
        old = place.port.get(0x3e, 2)
        place.port.set(0x3e, old | 0x40, 2)
        place.port.set(0x3e, old, 2)
        released(vm, obj)
        dev.assign()
        dev.is_zero("after the bus reset")
        equal(dev.open(), c.EINVAL, "the name after the reset")
        dev.opened(obj.name)


def test_same_slot_and_id_again_is_an_error():
    with machine() as vm:
        for wrong in ({"id": "vmshm0"}, {"addr": "4"}):
            try:
                vm.add("vmshm", **wrong)
                raise AssertionError(f"device_add {wrong} worked")
            except QmpError:
                pass
        vm.add("vmshm", id="right")


def test_failed_device_add_leaves_nothing():
    with machine() as vm:
        def state():
            with open(f"/proc/{vm.pid}/statm", encoding="ascii") as statm:
                return int(statm.read().split()[0]), descriptors(vm)

        def wrong():
            # One fails before the device is initialized, and one afterwards.
            for reason in ({"addr": "4"}, {"romfile": "/nonexistent"}):
                try:
                    vm.add("vmshm", id="x", **reason)
                    raise AssertionError(f"device_add {reason} worked")
                except QmpError:
                    pass

        for _ in range(5):
            wrong()
        pages, fds = state()
        for _ in range(30):
            wrong()
        # A leaked window has 3 MiB of addresses.
        until(lambda: state()[0] - pages < 50 * 256,
              "address space leaks")
        equal(state()[1], fds, "descriptors")


def test_100_cycles_lose_nothing():
    with Object(4096, b"host") as obj, plugged(Pc) as vm:
        place = Pc(vm)

        def once():
            vm.add("vmshm", id="hot", **place.where)
            vm.next32 = 0xe0000000
            place.device().opened(obj.name)
            vm.remove("hot", place.eject)

        def lines():
            with open(f"/proc/{vm.pid}/maps", encoding="utf-8") as maps:
                return len(list(maps))

        for _ in range(10):
            once()
        before, fds = lines(), descriptors(vm)
        for _ in range(100):
            once()
        until(lambda: lines() <= before + 10, "mappings leak")
        equal(descriptors(vm), fds, "descriptors")
        true(not mapped(vm, obj), "the object stays mapped")
