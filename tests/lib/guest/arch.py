# SPDX-License-Identifier: GPL-2.0-or-later
"""The architectures of guests"""

import accel
from qemu import QEMU


def _make(prefix):
    """The arguments of make for a cross-compiler"""
    return [f"{name}={prefix}{program}" for name, program in (
        ("CC", "gcc"), ("LD", "ld"), ("AR", "ar"), ("OBJCOPY", "objcopy"))]


class X86:
    """Guests with the architecture of this machine"""

    name = "amd64"
    qemu, machine = QEMU, "q35"
    # The console is the first serial port. Results go to the second one.
    console, channel = "ttyS0", "ttyS1"
    serial = ("-serial", "chardev:channel")
    # no_timer_check: on a busy host, the timer check fails and ends the boot.
    append = "no_timer_check"
    # The factor by which a guest is slower
    patience = 1
    # The prefix of the compiler; make's arguments for the driver and others
    prefix, make_driver, make = "", [], []

    @staticmethod
    def args():
        """QEMU's arguments for the accelerator and the processor"""
        return accel.ARGS[accel.choose()]

    @staticmethod
    def runs(_program):
        """Whether its guests run a program"""
        return True


class Arm64:
    """Emulated guests with arm64, with GICv3 and its ITS, or with GICv2m"""

    name = "arm64"
    qemu = "qemu-system-aarch64"
    console, channel = "ttyAMA0", "ttyS0"
    serial = ("-device", "pci-serial,chardev=channel")
    append = ""
    patience = 3
    prefix = "aarch64-linux-gnu-"
    make_driver = ["ARCH=arm64", "CROSS_COMPILE=" + prefix]
    make = _make(prefix)

    def __init__(self, gic):
        self.machine = f"virt,gic-version={gic}"

    @staticmethod
    def args():
        """QEMU's arguments for the accelerator and the processor. The standard
        algorithm for pointer authentication is slow under emulation."""
        return ("-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on")

    @staticmethod
    def runs(program):
        """Whether its guests run a program"""
        return program.portable


def of_kernel(version):
    """The architecture of a kernel of scripts/fetch-kernel. For arm64, the
    name of the older interrupt controller can follow: 6.12-arm64-gicv2m."""
    if version.endswith("-arm64"):
        return Arm64(3)
    if version.endswith("-arm64-gicv2m"):
        return Arm64(2)
    return X86()
