# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtio block device that reads into any memory, controlled through qtest

The backend is null-co with read-zeroes=on. QEMU itself writes zeros into the
guest's memory, in its main loop or in an I/O thread.
"""

import struct

from vmshm import equal, until

PORT = 0xc000
HEADER, STATUS = 0x80000, 0x80010       # addresses in RAM
QUEUE = 0x100000        # of the descriptors, which both rings follow

GUEST_FEATURES, PFN, SIZE, SELECT, NOTIFY, STATE = (
    0x04, 0x08, 0x0c, 0x0e, 0x10, 0x12)
NEXT, WRITE = 1, 2


def arguments(slot, iothread=None):
    extra = f",iothread={iothread}" if iothread else ""
    return ("-blockdev", "null-co,node-name=null0,read-zeroes=on,size=1048576",
            "-device", f"virtio-blk-pci,drive=null0,addr={slot:#x}{extra}")


class Disk:
    """The disk of arguments(), at the same slot"""

    def __init__(self, vm, slot):
        self.vm, self.count = vm, 0
        pci = vm.function(slot)
        pci.set(0x10, PORT | 1)
        pci.set(4, 7, 2)
        vm.outb(PORT + STATE, 0)
        vm.outb(PORT + STATE, 3)
        vm.outl(PORT + GUEST_FEATURES, 0)
        vm.qtest(f"outw {PORT + SELECT:#x} 0")
        # 256 entries in most versions of QEMU, 1024 in QEMU 10.0
        self.size = int(vm.qtest(f"inw {PORT + SIZE:#x}"), 16)
        self.avail = QUEUE + self.size * 16
        self.used = -(-(self.avail + 6 + self.size * 2) // 4096) * 4096
        vm.outl(PORT + PFN, QUEUE // 4096)
        vm.outb(PORT + STATE, 7)

    def read(self, address, size):
        """Makes the disk write zeros to the address. Returns after that."""
        self.vm.store(HEADER, struct.pack("<IIQ", 0, 0, 0))
        self.vm.store(STATUS, b"\xff")
        self.vm.store(QUEUE, struct.pack(
            "<QIHHQIHHQIHH", HEADER, 16, NEXT, 1, address, size,
            NEXT | WRITE, 2, STATUS, 1, WRITE, 0))
        self.vm.write(self.avail + 4 + self.count % self.size * 2, 2, 0)
        self.count += 1
        self.vm.write(self.avail + 2, 2, self.count & 0xffff)
        self.vm.qtest(f"outw {PORT + NOTIFY:#x} 0")
        until(lambda: self.vm.read(self.used + 2, 2) == self.count & 0xffff,
              "the disk does not answer")
        equal(self.vm.read(STATUS, 1), 0, "the disk's status")
