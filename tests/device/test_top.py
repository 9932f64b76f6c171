# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of `vmshm top` and `vmshm doctor` for a running QEMU"""

import functools
import json
import os
import subprocess

from qemu import BUILTIN, ROOT
from shm import Object
from vmshm import Vmshm, equal, machine

TOOL = os.path.join(ROOT, "build", "vmshm")


@functools.lru_cache(None)
def build():
    subprocess.run(["make", "-s", "tool"], cwd=ROOT, check=True)


def vmshm(*args):
    """The JSON that the tool prints. The doctor may report other faults."""
    build()
    done = subprocess.run([TOOL, *args, "--json"], check=False,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def attached(name):
    """{pid: (VM, bytes, writable)} of an object, without this process"""
    return {u["pid"]: (u["vm"], u["mapped"], u["writable"])
            for o in vmshm("top")["objects"] if o["name"] == name
            for u in o["users"] if u["pid"] != os.getpid()}


def test_top_shows_what_the_guest_has_attached():
    with Object(65536) as obj, \
            machine("-name", "guest=top-1,debug-threads=on") as vm:
        dev = Vmshm(vm)
        equal(attached(obj.name), {}, "before")
        dev.opened(obj.name)
        equal(attached(obj.name), {vm.pid: ("top-1", 65536, True)},
              "attached")
        dev.closed()
        equal(attached(obj.name), {}, "after")


def test_doctor_finds_the_device_that_is_loaded():
    with machine("-name", "top-2") as vm:
        texts = [f["text"] for f in vmshm("doctor", "-H")["findings"]
                 if f["check"] == "vm" and f"process {vm.pid}," in f["text"]]
        equal(len(texts), 0 if BUILTIN else 1, "findings")
        for text in texts:
            equal(text.startswith("VM top-2 (process "), True, text)
            equal("/vmshm-devices/" in text, True, text)
