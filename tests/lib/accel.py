# SPDX-License-Identifier: GPL-2.0-or-later
"""The accelerator of Linux guests: the variable ACCEL, "tcg" or "kvm".

The default is KVM if the processor shows vmx or svm and /dev/kvm can be opened,
and emulation (TCG) otherwise. Some virtual machines have a /dev/kvm without
these flags, in which no Linux boots.
"""

import os
import re

from qemu import Lost

# erms: QEMU emulates "rep movsb" byte by byte, which is slow.
# cx16: QEMU 7.2 computes the flags of cmpxchg16b from stale state. Current
# kernels use the instruction inline, and every third boot fails because of the
# wrong EFLAGS.
ARGS = {
    "tcg": ("-accel", "tcg,thread=multi", "-cpu", "max,-erms,-cx16"),
    "kvm": ("-accel", "kvm", "-cpu", "host"),
}
TITLES = {"tcg": "emulated (TCG)", "kvm": "KVM"}


def no_kvm(cpuinfo="/proc/cpuinfo", node="/dev/kvm"):
    """The reason why no Linux guest runs under KVM here, or None"""
    with open(cpuinfo, encoding="utf-8", errors="replace") as f:
        if not re.search(r"^flags.*\b(vmx|svm)\b", f.read(), re.M):
            return f"the processor shows neither vmx nor svm in {cpuinfo}"
    if not os.access(node, os.R_OK | os.W_OK):
        return f"{node} cannot be opened for reading and writing"
    return None


def choose(wanted=None, reason=no_kvm):
    """"tcg" or "kvm"; Lost if the wanted one (default: ACCEL) does not work"""
    if wanted is None:
        wanted = os.environ.get("ACCEL", "")
    if wanted not in ("", *ARGS):
        raise Lost(f"ACCEL={wanted}: it has to be tcg or kvm")
    if wanted == "tcg":
        return wanted
    why = reason()
    if why and wanted:
        raise Lost(f"ACCEL=kvm: {why}; ACCEL=tcg emulates the guests")
    return "tcg" if why else "kvm"
