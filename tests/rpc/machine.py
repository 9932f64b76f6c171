# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that calls the service until its VM is killed"""

import os
import signal

from guest import boot, host_rpc
from guest.build import Build
from guest.host import Host
from guest.kernel import Kernel
from guest.program import Program
from qemu import ROOT, Lost

BUILD = os.path.join(ROOT, "build", "rpc-machine")

SCRIPT = """
test_calls()
{
	mkdir /tmp/rpc
	mount -t vmshm vmshm0 /tmp/rpc
	export RPCBLAS=ADDRESS LD_LIBRARY_PATH=/lib
	products 0 2 30 >/tmp/out &
	until [ -s /tmp/out ]; do :; done
	host kill_machine
}
"""


class KillingHost(Host):
    killed = False

    def do_kill_machine(self):
        os.kill(self.vm.pid, signal.SIGKILL)
        KillingHost.killed = True


class Guest(boot.Guest):
    # With this prefix, the end of the guest does not remove the test's object.
    prefix = Host.PREFIX + "machine-"

    def make_host(self, vm):
        return KillingHost(vm, prefix=self.prefix)

    def result(self, line):
        if not line.startswith("run "):
            raise Lost(f"the guest said: {line}")


def call_and_be_killed(address):
    """Runs the guest and kills its VM during the calls. Returns the problem, or
    None."""
    kernel = Kernel(os.environ.get("KERNELS", "6.1").split()[0])
    kernel.prepare()
    build = Build([], BUILD)
    script = os.path.join(BUILD, "calls.sh")
    text = SCRIPT.replace("ADDRESS", address)
    with open(script, "w", encoding="ascii") as f:
        f.write(text)
    build.files += [*host_rpc.files(), ("tests/calls.sh", script)]
    program = Program("calls.sh", text, "", "")
    guest = Guest(None, kernel, 1, ("-device vmshm", "", ""),
                  [(program, program.tests)], build)
    try:
        guest.boot()
    except Lost as e:
        return None if KillingHost.killed else str(e)
    return "the guest has ended"
