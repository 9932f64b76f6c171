#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's generic PCI fuzz target on the device, with seeds for its registers.

    tests/fuzz/generic.py SECONDS

QEMU is the build of `device/qemu-patch.sh sanitized`. LLVM's fuzzer keeps
inputs that reach new code in build/fuzz/corpus, and inputs that fail in
build/fuzz. The target writes to registers, names, the MSI-X table and the
configuration space; see docs/devel/fuzzing.rst of QEMU.
"""

import os
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "device"),
                os.path.join(ROOT, "tests", "lib")]
sys.dont_write_bytecode = True

import cleanup                      # noqa: E402
import contract as c                # noqa: E402
import shm                          # noqa: E402
from qemu import die_with_parent    # noqa: E402

QEMU = ROOT + "/build/qemu-sanitized/build/qemu-fuzz-x86_64"
FOLDER = ROOT + "/build/fuzz"
SEPARATOR = b"FUZZ"
OP_READ, OP_WRITE = 2, 3
REGIONS = 6             # the order in which QEMU numbers them is unknown
LONG, QUAD = 2, 3       # sizes of accesses


def each_region(operation, size, offset, value=0):
    for region in range(REGIONS):
        yield bytes([operation]) + struct.pack("<BBxxIQ", size, region,
                                               offset, value)


def write(offset, value):
    return each_region(OP_WRITE, LONG, offset, value)


def write64(offset, value):
    return each_region(OP_WRITE, QUAD, offset, value)


def read(offset):
    return each_region(OP_READ, LONG, offset)


def command(number, **registers):
    for register, value in registers.items():
        yield from write(getattr(c, "REG_" + register.upper()), value)
    yield from write(c.REG_COMMAND, number)
    yield from read(c.REG_STATUS)


def name(text, offset=0):
    return write(offset, int.from_bytes(text.ljust(4, b"\0"), "little"))


def seeds():
    """Inputs in which each command succeeds at least once"""
    made = [*name(b"/a"), *command(c.CMD_CREATE, mode=0o600),
            *command(c.CMD_RESIZE, length_lo=0x3000)]
    yield made + [*command(c.CMD_ATTACH, length_lo=0),
                  *command(c.CMD_DETACH, handle=1)]
    yield made + [*read(c.REG_OPEN), *read(c.REG_CLOSE)]
    yield made + [*command(c.CMD_LIST), *command(c.CMD_STAT)]
    yield made + [*name(b"/b", c.NAME_SECOND), *command(c.CMD_LINK),
                  *command(c.CMD_RENAME), *command(c.CMD_UNLINK)]
    yield made + [*command(c.CMD_HOLD), *command(c.CMD_ALLOCATE),
                  *command(c.CMD_RELEASE)]
    slot = c.REG_SLOT + c.SLOT_CONTROL
    # Slots are a separate region after the other registers.
    for base in c.REG_SLOT, 0:
        yield made + [*command(c.CMD_ATTACH, length_lo=0),
                      *write64(slot - base, c.SLOT_ARM),
                      *write64(c.REG_WAKE - base, 1 << c.WAKE_COUNT_SHIFT),
                      *write64(slot - base, 0),
                      *write64(slot - base, c.SLOT_HOLD),
                      *write64(slot - base, 0)]


def corpus():
    folder = FOLDER + "/corpus"
    os.makedirs(folder, exist_ok=True)
    for i, seed in enumerate(seeds()):
        with open(f"{folder}/seed-{i}", "wb") as file:
            file.write(SEPARATOR.join(seed))
    return folder


def fuzz(seconds):
    """Returns the exit code of QEMU."""
    prefix = shm.fresh_name()[1:] + "-"
    env = {
        **os.environ,
        "QEMU_FUZZ_ARGS": "-L /usr/share/seabios -L /usr/share/qemu "
                          "-machine q35 -nodefaults -device vmshm,arena=2M,"
                          f"create=on,prefix={prefix},max-objects=16,"
                          "max-bytes=1M",
        "QEMU_FUZZ_OBJECTS": "vmshm*",
        # QEMU itself leaks memory at its end.
        "ASAN_OPTIONS": "detect_leaks=0:handle_sigbus=0:"
                        "detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "print_stacktrace=1"}
    command_line = [QEMU, "--fuzz-target=generic-fuzz",
                    f"-max_total_time={seconds}", "-max_len=8192",
                    "-len_control=0", f"-artifact_prefix={FOLDER}/",
                    "-print_final_stats=1", "-verbosity=1", corpus()]
    return subprocess.run(command_line, env=env, check=False,
                          preexec_fn=die_with_parent).returncode


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.exit(__doc__.split("\n\n")[1].strip())
    cleanup.main("fuzz-generic", lambda: fuzz(sys.argv[1]))


if __name__ == "__main__":
    main()
