# SPDX-License-Identifier: GPL-2.0-or-later
"""KVM on hardware fails with EFAULT when the guest accesses lost memory. The VM
continues. In these tests, an interposed ioctl() returns EFAULT."""

import mmap
import os
import struct
import subprocess
import tempfile

from arena import PAGE, Arena
from running import Running, accelerators
from shm import Object
from test_loss import full, losses
from vmshm import Skip, equal, true, until

HERE = os.path.dirname(os.path.abspath(__file__))
OPTIONS = ",arena=2M"
LEFT, SETS, REASON, ADDRESS, FAILED = range(5)
INTERNAL_ERROR, MEMORY_FAULT = 17, 39
ALWAYS = 1 << 40


class Failing:
    """A running machine in which the test can make KVM_RUN fail"""

    def __init__(self, **more):
        how = dict(accelerators())["kvm"]
        if isinstance(how, Skip):
            raise how
        self.folder = tempfile.TemporaryDirectory()
        library = self.folder.name + "/efault.so"
        subprocess.run(["gcc", "-O2", "-fPIC", "-shared", "-o", library,
                        HERE + "/efault.c"], check=True)
        control = self.folder.name + "/words"
        with open(control, "w+b") as file:
            file.truncate(40)
            self.words = mmap.mmap(file.fileno(), 40)
        self.cpu = Running({**how, **more, "env": {
            "LD_PRELOAD": library, "VMSHM_EFAULT": control}}, OPTIONS)

    def __enter__(self):
        self.cpu.__enter__()
        self.vm = self.cpu.vm
        self.dev = Arena(self.vm)
        return self

    def __exit__(self, *more):
        try:
            return self.cpu.__exit__(*more)
        finally:
            self.words.close()
            self.folder.cleanup()

    def word(self, n, value=None):
        if value is not None:
            struct.pack_into("<Q", self.words, 8 * n, value)
        return struct.unpack_from("<Q", self.words, 8 * n)[0]

    def fail(self, times, reason=None, address=0):
        """Makes KVM_RUN fail, beginning with the next one, which follows at
        once."""
        self.vm.qmp("stop")
        self.word(SETS, reason is not None)
        self.word(REASON, reason or 0)
        self.word(ADDRESS, address)
        self.word(LEFT, times)
        self.vm.forget("STOP")
        self.vm.qmp("cont")
        self.vm.event("STOP")

    @property
    def status(self):
        return self.vm.qmp("query-status")["status"]


def test_goes_on_after_a_truncation():
    with Object(4 * PAGE, b"\x11" * 4 * PAGE) as obj, Failing() as kvm:
        kvm.dev.attach(obj.name)
        kvm.cpu.start(kvm.dev.arena)
        os.ftruncate(obj.fd, PAGE)
        kvm.fail(1)
        kvm.cpu.round()
        equal(kvm.status, "running", "the machine")
        equal(losses(kvm.vm), {"truncated": 1, "resumed": 1}, "losses")
        equal(kvm.cpu.look(kvm.dev.arena + PAGE), 0, "behind the end")
        equal(kvm.cpu.look(kvm.dev.arena), 0x11111111, "before it")


def test_goes_on_when_the_object_is_whole_again():
    with Object(PAGE, b"\x11" * PAGE) as obj, Failing() as kvm:
        kvm.dev.attach(obj.name)
        kvm.cpu.start(kvm.dev.arena)
        kvm.fail(1)
        kvm.cpu.round()
        equal(losses(kvm.vm), {"resumed": 1}, "losses")


def test_does_not_go_on_for_ever():
    with Object(PAGE) as obj, Failing() as kvm:
        kvm.dev.attach(obj.name)
        kvm.cpu.start(kvm.dev.arena)
        kvm.fail(ALWAYS)
        until(lambda: "the VM is paused" in kvm.vm.said(), "no reason")
        equal(kvm.status, "paused", "the machine")
        equal(kvm.word(FAILED), 11, "calls that failed")
        # The operator can continue the VM after removing the cause.
        kvm.word(LEFT, 0)
        kvm.vm.qmp("cont")
        kvm.cpu.round()


def test_stays_stopped_when_nothing_is_attached():
    with Failing() as kvm:
        kvm.cpu.start(kvm.dev.arena)
        kvm.fail(1)
        equal(kvm.status, "internal-error", "the machine")
        equal(kvm.word(FAILED), 1, "calls that failed")


def test_stays_stopped_after_an_error_of_kvm():
    with Object(PAGE) as obj, Failing() as kvm:
        kvm.dev.attach(obj.name)
        kvm.cpu.start(kvm.dev.arena)
        kvm.fail(1, INTERNAL_ERROR)
        # The bottom half has run when QMP answers.
        kvm.vm.qmp("query-status")
        equal(kvm.status, "internal-error", "the machine")
        equal(losses(kvm.vm), {}, "losses")


def test_a_page_that_kvm_names():
    """KVM reports the page of a full file system, and the VM continues."""
    with Failing(wrap=full(1)) as kvm:
        with open(f"/proc/{kvm.vm.pid}/root/dev/shm/sparse", "wb") as file:
            file.truncate(16 * PAGE)
        kvm.dev.attach("/sparse")
        kvm.cpu.start(kvm.dev.arena)
        for page in 3, 5:
            kvm.fail(1, MEMORY_FAULT, kvm.dev.arena + page * PAGE)
            kvm.cpu.round()
        true(losses(kvm.vm) == {"no-memory": 2, "resumed": 2},
             f"losses: {losses(kvm.vm)}")
