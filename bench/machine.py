# SPDX-License-Identifier: GPL-2.0-or-later
"""The VM in which VMShm and its peers are measured side by side."""

import tempfile

import net
from doorbell import Doorbell
from shm import Object

SIZE = 16 << 20

MODULES = "virtio_pci virtio_net virtio_console vfio_pci vfio_iommu_type1"

# The addresses of the two ivshmem devices are also in the guest's programs. The
# guest's doorbell driver needs an IOMMU, which does not remap interrupts here.
ARGS = """
-D @FOLDER@/trace
-device vmshm,id=vmshm0
-device intel-iommu,intremap=off
-object memory-backend-file,id=plain,size={size},mem-path={plain},share=on,\
prealloc=on
-device ivshmem-plain,memdev=plain,addr=0x10
-chardev socket,id=doorbell,path={base}/doorbell
-device ivshmem-doorbell,chardev=doorbell,vectors=1,addr=0x11{events}
-chardev socket,id=serial,path={base}/serial,server=on,wait=off
-device virtio-serial-pci{events}
-device virtserialport,chardev=serial
-netdev user,id=user,restrict=off
-device virtio-net-pci,netdev=user,romfile={events}
"""
TAP_ARGS = """
-netdev tap,id=tap,ifname={tap},script=no,downscript=no
-device virtio-net-pci,netdev=tap,romfile={events}
"""


class Machine:
    """The arguments of QEMU, and the names in requests of the guest. With
    count, QEMU's trace also contains the accesses to registers of peers that
    the kernel handles under KVM."""

    def __init__(self, tap, count=False):
        self.tap = net.ADDRESS if tap else None
        self.directory = tempfile.TemporaryDirectory()
        self.plain, self.memory = Object(SIZE), Object(SIZE)
        name = self.directory.name
        self.doorbell = Doorbell(f"{name}/doorbell", self.memory.fd)
        text = ARGS + (TAP_ARGS if tap else "")
        self.qemu = " ".join(text.format(
            size=SIZE, plain=self.plain.path, base=name,
            tap=net.TAP,
            events=",ioeventfd=off" if count else "").split())
        self.words = {
            "@plain": [self.plain.path],
            "@serial": [f"{name}/serial"],
            "@bell": ["bell", "0", self.memory.path,
                      str(self.doorbell.host), str(self.doorbell.guest)],
        }
        self.fds = (self.doorbell.host, self.doorbell.guest)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.doorbell.close()
        self.plain.close()
        self.memory.close()
        self.directory.cleanup()
