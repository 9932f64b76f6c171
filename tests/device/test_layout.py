# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that is built from the source of another point release: each layout
that the device depends on is compared when QEMU loads it.

The other release is artificial: it is the source of the QEMU under test with
one changed number. LAYOUTS=all changes each number in turn.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import tempfile

from qemu import QEMU, ROOT, build_id
from test_installed import LIMIT, Installed, source
from vmshm import equal, machine, not_builtin, true

DEVICE = os.path.join(ROOT, "device")
# (structure, member before which another member is inserted), and the beginning
# of the name in the refusal. `make check` tests the first ones only.
CHANGES = (
    ("VMStateField", "num", "VMStateField"),
    ("PCIDeviceClass", "vendor_id", "PCIDeviceClass.vendor_id"),
    ("RAMBlock", "flags", "RAMBlock.flags"),
    ("CPUState", "node", "CPUState.node"),
    ("DeviceClass", "categories", ""),
    ("DeviceClass", "desc", ""),
    ("DeviceClass", "vmsd", ""),
    ("DeviceListener", "realize", "sizeof(DeviceListener)"),
    ("DeviceListener", "link", "sizeof(DeviceListener)"),
    ("DeviceState", "realized", ""),
    ("EventNotifier", "rfd", "sizeof(EventNotifier)"),
    ("MemoryRegion", "ram", ""),
    ("MemoryRegion", "ram_block", ""),
    ("MemoryRegionOps", "endianness", "MemoryRegion"),
    ("MemoryRegionOps", "write", "MemoryRegion"),
    ("MemoryRegionSection", "mr", "MemoryRegionSection.mr"),
    ("MemoryRegionSection", "offset_within_region", "MemoryRegionSection"),
    ("MemoryRegionSection", "readonly", ""),
    ("PCIDevice", "irq_state", ""),
    ("PCIDeviceClass", "realize", "PCIDeviceClass"),
    ("PCIDeviceClass", "exit", "PCIDeviceClass"),
    ("PCIDeviceClass", "config_write", "PCIDeviceClass.config_write"),
    ("PCIDeviceClass", "device_id", "PCIDeviceClass.device_id"),
    ("PCIDeviceClass", "revision", "PCIDeviceClass.revision"),
    ("PCIDeviceClass", "class_id", "PCIDeviceClass.class_id"),
    ("Property", "offset", ""),
    ("Property", "defval", ""),
    ("Property", "set_default", ""),
    ("QObjectBase_", "type", "QObject"),
    ("QObjectBase_", "refcnt", "QObject"),
    ("RAMBlock", "mr", "RAMBlock.flags"),
    ("ResettablePhases", "enter", ""),
    ("ResettablePhases", "hold", ""),
    ("ResettableClass", "phases", ""),
    ("TypeInfo", "name", "TypeInfo"),
    ("TypeInfo", "parent", "TypeInfo"),
    ("TypeInfo", "instance_size", "TypeInfo"),
    ("TypeInfo", "instance_init", "TypeInfo"),
    ("TypeInfo", "instance_finalize", "TypeInfo"),
    ("TypeInfo", "class_init", "TypeInfo"),
    ("TypeInfo", "interfaces", "TypeInfo"),
    ("VMStateDescription", "version_id", "VMStateDescription"),
    ("VMStateDescription", "minimum_version_id", "VMStateDescription"),
    ("VMStateDescription", "post_load", "VMState"),
    ("VMStateDescription", "pre_save", "VMState"),
    ("VMStateDescription", "fields", "VMState"),
    ("VMStateField", "offset", "VMStateField"),
    ("VMStateField", "size", "VMStateField"),
    ("VMStateField", "size_offset", "VMStateField"),
    ("VMStateField", "info", "VMStateField"),
    ("VMStateField", "flags", "VMStateField"),
    ("VMStateField", "vmsd", "VMStateField"),
    ("VMStateField", "version_id", "VMStateField"),
    ("VMStateField", "field_exists", "VMStateField"),
    ("rcu_head", "func", "sizeof(struct rcu_head)"),
    ("rcu_reader_data", "ctr", "rcu_reader_data"),
    ("rcu_reader_data", "depth", "rcu_reader_data"),
)
IN_CHECK = 4
# The files that load a device, without the device itself
COMMON = ("load", "mask")
REFUSAL = r"vmshm\.so: built from the source of QEMU .*, but (.*) is different"


def header_of(tree, structure):
    """(path below include/, text, offset of the first member) of the header
    that defines the structure"""
    found = subprocess.run(
        ["grep", "-rlzE", rf"struct {structure}\s*\{{", "include"], cwd=tree,
        check=True, text=True, stdout=subprocess.PIPE).stdout.split()
    path = found[0].removeprefix("include/")
    with open(os.path.join(tree, found[0]), encoding="utf-8") as f:
        text = f.read()
    return path, text, re.search(rf"struct {structure}\s*\{{", text).end()


def shifted(tree, structure, member):
    """(path of the header, its text with 16 bytes inserted before that member)
    """
    path, text, start = header_of(tree, structure)
    end = text.index("\n}", start)
    at = re.search(rf"^ .*\b{member}\b *(?:\[.*\]|\)\(.*)?(?: *:.*)?[;,(]|"
                   rf"^ .*\(\*{member}\)\(|^ .*{member};",
                   text[start:end], re.M)
    true(at, f"no member {member} in struct {structure}")
    return path, (text[:start + at.start()] + "    char vmshm_test[16];\n"
                  + text[start + at.start():])


def compile_one(tree, out, name, *first):
    glib = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], check=True,
                          text=True, stdout=subprocess.PIPE).stdout.split()
    stamp = subprocess.run([QEMU, "--version"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()[0]
    stamp = stamp.removeprefix("QEMU emulator version ")
    subprocess.run(
        ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-fPIC", "-O1",
         "-fvisibility=hidden", f'-DVMSHM_QEMU_STAMP="{stamp}"',
         '-DVMSHM_BUILD_COMMAND="make device QEMU="',
         '-DVMSHM_NEAREST="test"', f"-I{DEVICE}", f"-I{ROOT}/include", *first,
         f"-I{tree}/build-vmshm", f"-I{tree}/build-vmshm/qapi",
         f"-I{tree}/include", f"-I{tree}", f"-I{tree}/linux-headers", *glib,
         "-c", f"{DEVICE}/{name}.c", "-o", out],
        check=True, timeout=LIMIT, stderr=subprocess.DEVNULL)


def says(device):
    """(exit code, output) of a QEMU that loads the device"""
    done = subprocess.run(
        [QEMU, "-M", "none", "-nodefaults", "-display", "none", "-monitor",
         "stdio", "-plugin", device], input="quit\n", text=True, check=False,
        timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


class Checks:
    """The checks of a device, without the device itself"""

    def __init__(self, folder):
        self.tree, self.folder = source(), folder
        self.common = [os.path.join(folder, n + ".o") for n in COMMON]
        for out, name in zip(self.common, COMMON):
            compile_one(self.tree, out, name)
        self.stub = os.path.join(folder, "stub.c")
        with open(self.stub, "w", encoding="ascii") as f:
            f.write("void vmshm_register_types(void) { }\n")

    def device(self, change=None):
        """Builds a shared object. change: (structure, member)"""
        name = "-".join(change or ("none",))
        first, out = [], os.path.join(self.folder, name)
        if change:
            path, text = shifted(self.tree, *change)
            header = os.path.join(out, path)
            os.makedirs(os.path.dirname(header))
            with open(header, "w", encoding="utf-8") as f:
                f.write(text)
            # The header includes some headers of its own directory.
            first = [f"-I{out}", f"-idirafter{self.tree}/include/"
                     + os.path.dirname(path)]
        compile_one(self.tree, out + ".o", "layout", *first)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", out + ".so",
                        out + ".o", *self.common, self.stub], check=True)
        return out + ".so"


def refused(checks, structure, member, name):
    """Checks the refusal of a changed structure. Returns the problem, or None.
    """
    code, said = says(checks.device((structure, member)))
    found = re.findall(REFUSAL, said)
    if code != 1 or len(found) != 1 or not found[0].startswith(name):
        return f"{structure}.{member}: exit code {code}, {said}"
    return None


def test_each_number_counts():
    """A device from the original source loads. QEMU refuses a device from a
    source with a changed number."""
    not_builtin()
    changes = (CHANGES if os.environ.get("LAYOUTS") == "all"
               else CHANGES[:IN_CHECK])
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        checks = Checks(folder)
        code, said = says(checks.device())
        true(code == 0 and "vmshm.so" not in said, f"unchanged: {said}")
        wrong = list(filter(None, pool.map(
            lambda change: refused(checks, *change), changes)))
        true(not wrong, "\n".join(wrong))


def other_release(folder, change=None):
    """A source tree with the version of another point release"""
    tree = source()
    for name in os.listdir(tree):
        if name not in ("include", "VERSION"):
            os.symlink(os.path.join(tree, name), os.path.join(folder, name))
    subprocess.run(["cp", "-as", os.path.join(tree, "include"), folder],
                   check=True)
    with open(os.path.join(tree, "VERSION"), encoding="ascii") as f:
        version = f.read().strip()
    version = version.rpartition(".")[0] + ".99"
    with open(os.path.join(folder, "VERSION"), "w", encoding="ascii") as f:
        f.write(version + "\n")
    if change:
        path, text = shifted(tree, *change)
        path = os.path.join(folder, "include", path)
        os.unlink(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return version


def test_nearest_point_release():
    """A device is built from the nearest point release only if the user asks
    for it. A VM starts with it, and status, list and the files name the
    release."""
    with Installed() as at, tempfile.TemporaryDirectory() as tree:
        version = other_release(tree)
        os.environ["QEMU_SRC"] = tree
        try:
            text = at.run("build", at.qemu, code=1)
            true(f"is QEMU {version}, but" in text, text)
            true(not os.path.exists(at.device), "a device without --nearest")
            at.run("build", "--nearest", at.qemu)
        finally:
            del os.environ["QEMU_SRC"]
        text = at.run("status", code=None)
        true(f"near    {at.qemu}\n" in text, text)
        true(f"of {version}\n" in text, text)
        with machine(load=["-plugin", at.loader]) as vm:
            true(f"used by process {vm.pid}\n" in at.run("list"), "list")
        done = subprocess.run(
            [QEMU, "-M", "none", "-display", "none", "-device", "vmshm"],
            env={**os.environ, "LD_PRELOAD": at.loader}, check=False,
            timeout=LIMIT, text=True, stderr=subprocess.PIPE)
        true(done.returncode and "needs -plugin in the place of LD_PRELOAD"
             in done.stderr, done.stderr)
        # The source of this QEMU is available again.
        at.run("build", at.qemu)
        text = at.run("status", code=None)
        true(f"ok      {at.qemu}\n" in text, text)


def test_nearest_point_release_with_another_layout():
    """The device is refused before the installation, and when QEMU loads it."""
    with Installed() as at, tempfile.TemporaryDirectory() as tree:
        version = other_release(tree, ("VMStateField", "num"))
        os.environ["QEMU_SRC"] = tree
        try:
            text = at.run("build", "--nearest", at.qemu, code=1)
        finally:
            del os.environ["QEMU_SRC"]
        true(re.search(REFUSAL, text), text)
        true(f"does not take a device from the source of {version}" in text,
             text)
        equal([f for f in os.listdir(at.devices) if f[0] != "."], [], "files")
        true(shutil.which(QEMU) and build_id(at.qemu), "no QEMU")
