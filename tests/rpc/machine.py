# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that calls the service until its whole machine is killed."""

import os
import signal
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "guest"))

import host_rpc                         # noqa: E402
import run as harness                   # noqa: E402
from host import Host                   # noqa: E402
from qemu import Lost                   # noqa: E402

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


class Guest(harness.Guest):
    def make_host(self, vm):
        return KillingHost(vm)

    def result(self, line):
        if not line.startswith("run "):
            raise Lost(f"the guest said: {line}")


def call_and_be_killed(address):
    """Why it came otherwise, or None."""
    kernel = harness.Kernel(os.environ.get("KERNELS", "6.1").split()[0])
    kernel.prepare()
    harness.BUILD = BUILD
    os.makedirs(os.path.join(BUILD, kernel.version), exist_ok=True)
    script = os.path.join(BUILD, "calls.sh")
    text = SCRIPT.replace("ADDRESS", address)
    with open(script, "w", encoding="ascii") as f:
        f.write(text)
    files = [*harness.build([]), *host_rpc.files(), ("tests/calls.sh", script)]
    program = harness.Program("calls.sh", text, "", "")
    guest = Guest(None, kernel, 1, ("-device vmshm", True, ""),
                  [(program, program.tests)], files)
    try:
        guest.boot()
    except Lost as e:
        return None if KillingHost.killed else str(e)
    return "it has ended"
