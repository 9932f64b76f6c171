#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the library and the tool for arm64 and runs them in QEMU's user
emulation. Builds the driver for a kernel without ZONE_DEVICE, and examines the
driver for processors with indirect branch tracking.

usage: run.py [PART-OF-A-TEST'S-NAME...]
"""

import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import shm                          # noqa: E402
import tier                         # noqa: E402

TRIPLET = "aarch64-linux-gnu"
OUT = os.path.join(TOP, "build", "arm64")
LIMIT = 300
EM_AARCH64 = 183
# A program that uses the shared library. Channels and waiting need
# futex_waitv(2), which QEMU's user emulation lacks.
PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <vmshm/vmshm.h>

int main(int argc, char **argv)
{
	struct vmshm *shm;
	void *data;
	size_t size;
	int ret;

	ret = vmshm_open(&shm, NULL, argv[1], O_CREAT | O_RDWR, 0600);
	if (!ret)
		ret = vmshm_grow(shm, 4096);
	if (!ret)
		ret = vmshm_map(shm, &data, &size);
	if (!ret)
		strcpy(data, "hello from arm64");
	printf("%d\n", ret);
	return ret != 0;
}
"""


def command(*args, text=None):
    """The output of a command, which has to succeed"""
    done = subprocess.run(args, input=text, text=True, check=False,
                          timeout=LIMIT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        raise AssertionError(f"{args[0]}: exit code {done.returncode}: "
                             f"{done.stdout[-500:]}")
    return done.stdout


def emulated(*args):
    return command("qemu-aarch64", "-L", f"/usr/{TRIPLET}",
                   "-E", f"LD_LIBRARY_PATH={OUT}/lib", *args)


def build():
    for part, out in (("lib", OUT + "/lib"), ("tools", OUT)):
        command("make", "-s", "-C", os.path.join(TOP, part), f"OUT={out}",
                f"CC={TRIPLET}-gcc", f"LD={TRIPLET}-ld", f"AR={TRIPLET}-ar",
                f"OBJCOPY={TRIPLET}-objcopy",
                "CFLAGS=-O2 -Wall -Wextra -Werror")


def test_build():
    """The build has no warning, and its files are for that machine."""
    build()
    for name in ("vmshm", "lib/libvmshm.so.0"):
        with open(os.path.join(OUT, name), "rb") as f:
            machine = int.from_bytes(f.read(20)[18:], "little")
        if machine != EM_AARCH64:
            return f"{name} is for ELF machine {machine}"
    return None


def test_tool():
    build()
    tool = os.path.join(OUT, "vmshm")
    name = shm.fresh_name()
    emulated(tool, "create", name, "4096")
    if name not in emulated(tool, "ls"):
        return "the object is not listed"
    emulated(tool, "rm", name)
    if os.path.exists("/dev/shm" + name):
        return "the object is not removed"
    return None


def test_library():
    build()
    name = shm.fresh_name()
    command(f"{TRIPLET}-gcc", "-x", "c", "-", "-o", OUT + "/object",
            f"-I{TOP}/include", f"-L{OUT}/lib", "-lvmshm", text=PROGRAM)
    try:
        emulated(OUT + "/object", name)
        with open("/dev/shm" + name, "rb") as f:
            text = f.read(16)
    finally:
        if os.path.exists("/dev/shm" + name):
            os.unlink("/dev/shm" + name)
    return None if text == b"hello from arm64" else f"the object has {text}"


def test_driver_without_zone_device():
    """The driver builds for a kernel such as Debian's Linux 6.1 on arm64. The
    test uses the headers of another kernel with a changed configuration."""
    command(os.path.join(TOP, "scripts", "fetch-kernel"), "6.1")
    headers = os.path.join(TOP, "build", "minimal", "headers")
    shutil.rmtree(headers, ignore_errors=True)
    os.makedirs(os.path.dirname(headers), exist_ok=True)
    command("cp", "-al", os.path.join(TOP, "build", "kernel", "6.1", "headers"),
            headers)
    kernel = os.path.dirname(glob.glob(
        headers + "/usr/src/linux-headers-*/include/config/auto.conf")[0])
    kernel = os.path.dirname(os.path.dirname(kernel))
    for name in ("generated/autoconf.h", "config/auto.conf"):
        file = os.path.join(kernel, "include", name)
        with open(file, encoding="utf-8") as f:
            text = f.read()
        os.unlink(file)     # a hard link, whose original must not change
        with open(file, "w", encoding="utf-8") as f:
            f.write(re.sub(r".*CONFIG_(ZONE_DEVICE|FS_DAX|DEVICE_PRIVATE|"
                           r"PCI_P2PDMA)\b.*\n", "", text))
    command("make", "-C", os.path.join(TOP, "driver"), f"KDIR={kernel}",
            f"OUT={TOP}/build/minimal/driver")


def test_driver_with_larger_pages():
    """The compiler refuses larger pages with a reason."""
    command(os.path.join(TOP, "scripts", "fetch-kernel"), "6.12")
    for shift in (14, 16):
        out = os.path.join(TOP, "build", "minimal", f"pages-{shift}")
        os.makedirs(out, exist_ok=True)
        header = os.path.join(out, "pages.h")
        with open(header, "w", encoding="ascii") as f:
            f.write("#undef CONFIG_PAGE_SHIFT\n"
                    f"#define CONFIG_PAGE_SHIFT {shift}\n")
        done = subprocess.run(
            ["make", "-C", os.path.join(TOP, "driver"), "KVER=6.12",
             f"OUT={out}", f"KCFLAGS=-include {header}"], text=True,
            check=False, timeout=LIMIT, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if (not done.returncode or "vmshm needs a kernel with pages of 4 KiB"
                not in done.stdout):
            return f"pages of {1 << shift} bytes: {done.stdout[-300:]}"
    return None


def test_calls_of_the_kernels_futex_functions():
    """They are direct, because a processor with indirect branch tracking lets
    no indirect branch reach a function of the kernel without a landing pad."""
    with open(os.path.join(TOP, "driver", "futex-op.c"),
              encoding="utf-8") as f:
        names = re.findall(r"^VMSHM_FUTEX_KERNEL\((\w+)", f.read(), re.M)
    if len(names) < 10:
        return f"only {names}"
    command(os.path.join(TOP, "scripts", "fetch-kernel"), "6.12")
    command("make", "-C", os.path.join(TOP, "driver"), "KVER=6.12")
    dump = command("objdump", "-dr", "--no-show-raw-insn", os.path.join(
        TOP, "build", "driver", "6.12", "vmshm.ko"))
    for name in names:
        code = re.search(rf"^\w+ <vmshm_futex_{name}>:\n(.*?)\n\n", dump,
                         re.M | re.S)
        if not code or f"__SCT__vmshm_futex_kernel_{name}" not in code[1]:
            return f"{name}: no static call"
        if re.search(r"__x86_indirect_thunk|(call|jmp) +\*", code[1]):
            return f"{name}: an indirect branch"
    return None


if __name__ == "__main__":
    tier.main("cross", lambda report: tier.each(
        report, tier.in_module(globals(), "cross")))
