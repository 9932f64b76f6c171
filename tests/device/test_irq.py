# SPDX-License-Identifier: GPL-2.0-or-later
"""The route of the interrupt is set up and removed, by KVM itself where KVM is
available. The tests of the bare-metal guest check that interrupts arrive."""

import contract as c
from arena import MIB, PAGE
from qemu import Lost, Qemu
from running import accelerators
from shm import Object
from slots import OPTIONS, Waits, asleep, host_wakes
from vmshm import Skip, equal, machine, true, until

MSIX = 0x11
ENABLE, MASK_ALL = 0x8000, 0x4000
ADDRESS, DATA, CONTROL, PENDING = 0, 8, 12, 0x800


class Irq(Waits):
    """A device with an interrupt"""

    def setup(self, bits=ENABLE):
        """Sets up MSI-X as a driver does. All CPUs are idle."""
        self.table = self.pci.bars[c.BAR_MSIX]
        self.at = self.pci.capability(MSIX)
        self.vm.write(self.table + ADDRESS, 4, 0xfee00000)
        self.vm.write(self.table + DATA, 4, 0x55)
        self.mask(0)
        self.control(bits)

    def control(self, bits):
        self.pci.set(self.at + 2, bits, 2)

    def mask(self, masked):
        self.vm.write(self.table + CONTROL, 4, masked)

    @property
    def pending(self):
        return self.vm.read(self.table + PENDING, 4) & 1

    def fire(self, obj):
        """Makes a slot fire."""
        self.set(c.REG_FIRED, 1)
        self.arm(0, 0, 0)
        host_wakes(obj, 0, 1)
        self.until(0, c.SLOT_IS_FIRED, "woken")


def pends(obj, dev):
    """Checks that an interrupt is pending until it is unmasked."""
    dev.fire(obj)
    until(lambda: dev.pending, "the interrupt is not pending")


def ways():
    """The implementations of the interrupt controller: QEMU's, KVM's, and
    QEMU's under KVM. The last one needs features of KVM that some hosts
    lack."""
    for name, how in accelerators():
        yield how
        if name == "kvm" and not isinstance(how, Skip):
            beside = {**how, "machine": "pc,kernel-irqchip=off"}
            try:
                with Qemu(**beside):
                    pass
                yield beside
            except Lost as e:
                true("does not support userspace APIC" in str(e), e)


def each_accelerator(test, *args):
    """Runs the test with all implementations. The test is skipped if KVM is not
    available."""
    skip = None
    for how in ways():
        if isinstance(how, Skip):
            skip = how
        else:
            with Object(PAGE) as obj, Qemu(*args, **how) as vm:
                vm.add("vmshm", id="hot", addr="9", arena=2 * MIB)
                dev = Irq(vm, slot=9)
                dev.attach(obj.name)
                dev.setup()
                test(vm, dev, obj)
    if skip:
        raise skip


def test_masks():
    def masks(vm, dev, obj):
        for _ in range(20):
            dev.fire(obj)
            dev.mask(1)
            pends(obj, dev)
            dev.mask(0)
            equal(dev.pending, 0, "pending")
            dev.control(ENABLE | MASK_ALL)
            pends(obj, dev)
            dev.control(ENABLE)
            equal(dev.pending, 0, "pending")

    each_accelerator(masks)


def test_off_and_on():
    def switches(vm, dev, obj):
        for _ in range(20):
            dev.control(0)
            dev.fire(obj)
            # In another order, the vector is unmasked while MSI-X is disabled.
            dev.mask(1)
            dev.mask(0)
            dev.control(ENABLE)
            dev.fire(obj)

    each_accelerator(switches)


def test_reset():
    def resets(vm, dev, obj):
        for _ in range(3):
            vm.qmp("system_reset")
            vm.event("RESET")
            dev.assign()
            dev.attach(obj.name)
            dev.setup()
            dev.fire(obj)
            dev.mask(1)
            pends(obj, dev)

    each_accelerator(resets)


def test_unplug_and_again():
    def plugs(vm, dev, obj):
        for _ in range(10):
            dev.fire(obj)
            vm.remove("hot", lambda: vm.eject_acpi(0xae00, 0, 9))
            vm.add("vmshm", id="hot", addr="9", arena=2 * MIB)
            dev = Irq(vm, slot=9)
            dev.attach(obj.name)
            dev.setup()

    each_accelerator(plugs)


def test_released_before_it_is_raised():
    """A thread waits for the lock that it needs for raising the interrupt. The
    guest's access, which holds the lock, releases the device."""
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Irq(vm)
        dev.setup()
        dev.mask(1)

        def arm():
            dev.attach(obj.name)
            dev.arm(0, 0, 0)
            asleep(vm, 1)

        fired = f"readl {dev.regs + c.REG_FIRED:#x}"
        # The lines are short, so that QEMU keeps the lock for all of them.
        lines = [f"writeq {dev.regs + c.REG_WAKE:#x} "
                 f"{1 << c.WAKE_COUNT_SHIFT:#x}", *[fired] * 20,
                 f"writel {dev.regs + c.REG_COMMAND:#x} {c.CMD_RELEASE:#x}"]
        true(sum(len(x) + 1 for x in lines) < 1024, "too long")
        seen = 0
        for _ in range(1000):
            arm()
            answers = vm.batch(lines)
            seen += int(answers[-2], 16)
            # The thread has handled the wake-up and waits for another word.
            arm()
            equal(dev.pending, 0, "pending after the release")
            dev.does(c.CMD_RELEASE)
            if seen == 10:
                return
        true(seen, "no slot has fired before the release")
