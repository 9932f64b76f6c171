# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading the device into a stock QEMU, and the refusal of another QEMU"""

import os
import re
import shutil
import subprocess
import tempfile

from qemu import (BUILTIN, DEADLINE, QEMU, ROOT, VMSHM_SO, Lost, Qemu,
                  device_file, load_args, package)
from shm import Object
from vmshm import (Skip, Vmshm, device_help, equal, machine, not_builtin,
                   sandbox, true)

PRELOAD = {"LD_PRELOAD": VMSHM_SO}

# The command in the hint of the loader, before the path of QEMU
BUILD = f"make -C {ROOT} device QEMU="


def run(*command, deadline=DEADLINE, **env):
    """(exit code, stdout, stderr) of a program"""
    done = subprocess.run(
        command, env={**os.environ, **env}, timeout=deadline, check=False,
        stdin=subprocess.DEVNULL, capture_output=True)
    return (done.returncode, done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"))


def works(vm):
    """Checks that the device opens an object."""
    with Object(4096, b"host") as obj:
        dev = Vmshm(vm).opened(obj.name)
        dev.shows(b"host", "the buffer")
        dev.closed()


def quiet(**how):
    """Checks that a machine with the device works and QEMU prints nothing."""
    with machine(**how) as vm:
        works(vm)
    equal(vm.said(), "", "QEMU printed")


def other_binary(name):
    """Another QEMU of the package of the QEMU under test"""
    path = os.path.join(os.path.dirname(shutil.which(QEMU)), name)
    if not os.path.exists(path):
        raise Skip(f"no {name} beside {QEMU}")
    return path


# -plugin

def test_plugin():
    not_builtin()
    quiet(load=["-plugin", VMSHM_SO])


def test_plugin_with_the_usual_arguments():
    """-device vmshm alone, without id and addr, is enough."""
    with Qemu("-device", "vmshm") as vm:
        found = [d for bus in vm.qmp("query-pci") for d in bus["devices"]
                 if (d["id"]["vendor"], d["id"]["device"]) ==
                 (0x1af4, 0x6661)]
        equal(len(found), 1, "vmshm devices")


def test_plugin_without_the_device():
    not_builtin()
    with Qemu() as vm:
        vm.qmp("query-status")
    equal(vm.said(), "", "QEMU printed")


def test_plugin_twice():
    not_builtin()
    quiet(load=["-plugin", VMSHM_SO, "-plugin", VMSHM_SO])


def test_plugin_and_preload():
    takes_preload()
    quiet(load=["-plugin", VMSHM_SO], env=PRELOAD)


def test_plugin_in_kvm():
    not_builtin()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("no /dev/kvm")
    with machine("-cpu", "qemu64", accel="kvm") as vm:
        for _ in range(3):
            works(vm)
        vm.add("vmshm", id="hot", addr="9")
        with Object(4096, b"hot") as obj:
            Vmshm(vm, slot=9).opened(obj.name).shows(b"hot", "the buffer")
            vm.remove("hot", lambda: vm.eject_acpi(0xae00, 0, 9))
            vm.qmp("system_reset")
            vm.event("RESET")
        works(vm)


# LD_PRELOAD

def nearest():
    """The version of the point release from whose source the device is, or an
    empty string if it is from that of QEMU itself"""
    if not load_args():
        return ""
    with open(device_file()[:-2] + "info", encoding="utf-8") as info:
        return re.search("^nearest=([^,\n]*)", info.read(), re.M).group(1)


def takes_preload():
    """Skips a test with LD_PRELOAD if the device refuses it."""
    not_builtin()
    if nearest():
        raise Skip("a device from another point release needs -plugin")


def test_preload():
    takes_preload()
    quiet(load=[], env=PRELOAD)


def test_preload_device_help():
    takes_preload()
    code, out, err = run(QEMU, "-device", "help", **PRELOAD)
    equal((code, err), (0, ""), "exit code and stderr")
    lines = [line for line in out.splitlines() if '"vmshm"' in line]
    equal(len(lines), 1, f"lines about vmshm: {lines}")
    true("bus PCI" in lines[0] and "desc" in lines[0], lines[0])


def test_preload_leaves_other_programs_alone():
    not_builtin()
    for command in (["/bin/true"], ["/bin/sh", "-c", ":"],
                    ["/bin/sh", "-c", "/bin/true && ! /bin/false"]):
        equal(run(*command, **PRELOAD), (0, "", ""), command)


def test_preload_reaches_qemu_through_a_script():
    takes_preload()
    code, out, _ = run("/bin/sh", "-c", '"$0" -device help; exit $?', QEMU,
                       **PRELOAD)
    equal(code, 0, "exit code")
    true('"vmshm"' in out, "-device help does not list vmshm")


def child_environment(preload, **env):
    """The value of LD_PRELOAD in a child of QEMU, which was started with
    `preload`; None if the variable is not set"""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "environment")
        with machine(load=[], env={"LD_PRELOAD": preload, **env}) as vm:
            works(vm)
            vm.qmp("migrate-set-capabilities", capabilities=[
                {"capability": "events", "state": True}])
            vm.qmp("migrate", uri=f"exec:cat /proc/self/environ >{file}; "
                                  "cat >/dev/null")
            vm.event("MIGRATION", lambda d: d["status"] == "completed")
        with open(file, "rb") as environment:
            for one in environment.read().split(b"\0"):
                if one.startswith(b"LD_PRELOAD="):
                    return one[11:].decode()
    return None


def test_preload_is_not_passed_on_by_qemu():
    takes_preload()
    equal(child_environment(VMSHM_SO), None, "LD_PRELOAD of a child")


def test_preload_keeps_others():
    takes_preload()
    for others in (f"libm.so.6:{VMSHM_SO}", f"{VMSHM_SO}:libm.so.6",
                   f"libm.so.6 {VMSHM_SO}", f":{VMSHM_SO}::libm.so.6:"):
        equal(child_environment(others), "libm.so.6", f"with {others}")


def test_preload_by_relative_path_and_by_name():
    takes_preload()
    equal(child_environment(os.path.relpath(VMSHM_SO)), None,
          "LD_PRELOAD of a child, relative path")
    equal(child_environment(os.path.basename(VMSHM_SO), LD_LIBRARY_PATH=(
        os.path.dirname(VMSHM_SO))), None, "LD_PRELOAD of a child, name")


def test_preload_in_a_qemu_that_exports_nothing():
    not_builtin()
    binary = other_binary("qemu-system-x86_64-microvm")
    code, _, _ = run(binary, "--version", **PRELOAD)
    equal(code, 0, "exit code")


def test_preload_in_the_other_binary_of_the_package():
    takes_preload()
    code, out, err = run(other_binary("qemu-system-i386"), "-device", "help",
                         **PRELOAD)
    equal((code, err), (0, ""), "exit code and stderr")
    true('"vmshm"' in out, "-device help does not list vmshm")


# The loader and its directory of devices

class LoaderCopy:
    """A copy of the loader in a temporary directory, with these bytes as the
    device for QEMU; None: without a device"""

    def __init__(self, image):
        not_builtin()
        self.folder = tempfile.TemporaryDirectory()
        self.file = os.path.join(self.folder.name, "vmshm.so")
        self.devices = os.path.join(self.folder.name, "vmshm-devices")
        self.device = os.path.join(self.devices,
                                   os.path.basename(device_file()))
        shutil.copy(VMSHM_SO, self.file)
        os.mkdir(self.devices)
        if image is not None:
            with open(self.device, "wb") as file:
                file.write(image)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def started_with(plugin):
    """(exit code, stdout, stderr) of QEMU, which has to refuse the plugin"""
    return run(QEMU, "-M", "none", "-display", "none", "-plugin", plugin,
               "-device", "vmshm")


def test_no_device():
    """The message is one line with the file, the QEMU, and the command that
    builds the device."""
    with LoaderCopy(None) as copy:
        code, out, err = started_with(copy.file)
        equal((code, out, err), (1, "", (
            f"vmshm.so: there is no {copy.device} for this QEMU, "
            f"{os.path.realpath(shutil.which(QEMU))}; build it with: "
            f"{BUILD}{os.path.realpath(shutil.which(QEMU))}\n")), "QEMU")


def test_no_device_with_preload():
    """QEMU starts without the device type."""
    with LoaderCopy(None) as copy:
        env = {"LD_PRELOAD": copy.file}
        with Qemu(load=[], env=env) as vm:
            equal(vm.qmp("qom-list-types", implements="vmshm"), [], "types")
        equal(len(vm.said().splitlines()), 1, vm.said())
        true(copy.device in vm.said() and BUILD in vm.said(), vm.said())
        equal(run("/bin/true", **env), (0, "", ""), "true")


def test_device_that_cannot_be_loaded():
    with open(shutil.which("true"), "rb") as file:
        program = file.read()
    with open(VMSHM_SO, "rb") as file:
        loader = file.read()
    for bad in (b"", b"text\n", program, loader.replace(
            b"qemu_plugin_version", b"qemu_plugin_vession")):
        with LoaderCopy(bad) as copy:
            code, out, err = started_with(copy.file)
            equal((code, out), (1, ""), f"exit code and stdout; {err}")
            equal(len(err.splitlines()), 1, f"lines printed: {err}")
            true(copy.device in err, err)


def test_devices_of_others_are_left_alone():
    """Only the name of a file determines whether it is loaded."""
    not_builtin()
    with open(device_file(), "rb") as file:
        image = file.read()
    with LoaderCopy(image) as copy:
        for name in ("0" * 40 + ".so", ".new.1", "vmshm.so"):
            with open(os.path.join(copy.devices, name), "wb") as file:
                file.write(b"not to be read")
        quiet(load=["-plugin", copy.file])


def test_loader_by_link():
    """The directory of devices is beside the loader's file, and not beside a
    symbolic link to it."""
    takes_preload()
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "vmshm.so")
        os.symlink(VMSHM_SO, link)
        quiet(load=["-plugin", link])
        quiet(load=[], env={"LD_PRELOAD": link})


def test_loader_by_relative_path():
    not_builtin()
    quiet(load=["-plugin", os.path.relpath(VMSHM_SO)])


def test_device_by_its_own_name():
    not_builtin()
    quiet(load=["-plugin", device_file()])


def test_device_is_replaced_while_in_use():
    """A running VM keeps the device that it has loaded."""
    not_builtin()
    with open(device_file(), "rb") as file:
        image = file.read()
    with LoaderCopy(image) as copy:
        with machine(load=["-plugin", copy.file]) as vm:
            before = os.stat(copy.device).st_ino
            # A build takes a minute beside other load.
            how = {"NEAREST": nearest()} if nearest() else {}
            code, _, err = run(os.path.join(ROOT, "device", "build.sh"),
                               deadline=2 * DEADLINE, LOADER=copy.file, **how)
            equal((code, err), (0, ""), "build.sh")
            true(os.stat(copy.device).st_ino != before, "the same file")
            works(vm)
        equal([f for f in os.listdir(copy.devices)
               if not f.endswith((".so", ".info"))], [".lock"], "other files")


def test_loader_has_no_symbols_of_qemu():
    """The loader is the same file for every QEMU. Therefore it needs no symbol
    of QEMU."""
    not_builtin()
    text = run("readelf", "-W", "--dyn-syms", VMSHM_SO)[1]
    for line in text.splitlines():
        if " UND " in line and len(line.split()) > 7:
            true("@GLIBC" in line or " WEAK " in line, line)


# A device that names another QEMU than the one under test

class OtherBuild:
    """A copy of the loader. Its device has the right name, but was built for a
    QEMU package whose version differs in a letter."""

    def __enter__(self):
        not_builtin()
        stamp = package().encode()
        if not stamp:
            raise Skip(f"{QEMU} names no package")
        with open(device_file(), "rb") as file:
            image = file.read()
        true(stamp in image, "the device names no QEMU package")
        self.stamp = stamp[:-1] + (b"8" if stamp[-1:] != b"8" else b"9")
        self.copy = LoaderCopy(image.replace(stamp, self.stamp))
        self.file = self.copy.file
        return self

    def __exit__(self, *_):
        self.copy.folder.cleanup()

    def refusal(self, text):
        """The line with the reason and the command to type"""
        # With -plugin, QEMU adds another line.
        lines = [line for line in text.splitlines()
                 if "Could not load plugin" not in line]
        equal(len(lines), 1, f"lines printed: {lines}")
        for part in ("vmshm", package(), self.stamp.decode(),
                     f"{BUILD}{shutil.which(QEMU)}"):
            true(part in lines[0], f"no {part} in: {lines[0]}")


def test_mismatch_with_plugin():
    with OtherBuild() as other:
        code, out, err = run(QEMU, "-M", "none", "-display", "none",
                             "-plugin", other.file, "-device", "vmshm")
        equal((code, out), (1, ""), "exit code and stdout")
        other.refusal(err)


def test_mismatch_with_preload():
    with OtherBuild() as other:
        env = {"LD_PRELOAD": other.file}
        # QEMU itself starts.
        with Qemu(load=[], env=env) as vm:
            vm.qmp("query-status")
            equal(vm.qmp("qom-list-types", implements="vmshm"), [], "types")
        other.refusal(vm.said())
        # The device type is unknown.
        code, out, err = run(QEMU, "-device", "help", **env)
        equal(code, 0, "exit code")
        true('"vmshm"' not in out, "-device help lists vmshm")
        other.refusal(err)
        try:
            with machine(load=[], env=env):
                raise AssertionError("-device vmshm works")
        except Lost as e:
            true("'vmshm' is not a valid device model name" in str(e), e)


def test_mismatch_leaves_other_programs_alone():
    with OtherBuild() as other:
        equal(run("/bin/true", LD_PRELOAD=other.file), (0, "", ""), "true")


# QEMU's information about the device

def test_device_help():
    if not BUILTIN:
        takes_preload()
    true("addr=" in device_help(), device_help())
    true("vmshm" in device_help(), device_help())


def test_properties_by_qmp():
    with machine() as vm:
        names = {p["name"] for p in vm.qmp("device-list-properties",
                                           typename="vmshm")}
        true({"addr", "multifunction"} <= names, names)
        found = {p["name"]: p for p in vm.qmp(
            "qom-list-properties", typename="vmshm")}
        true("realized" in found, found)


def test_introspection_of_every_property():
    """All properties are read, as by libvirt and `info qtree`."""
    with machine() as vm:
        path = "/machine/peripheral/vmshm0"
        for p in vm.qmp("qom-list", path=path):
            if not p["type"].startswith("child<"):
                vm.qmp("qom-get", path=path, property=p["name"])
        tree = vm.hmp("info qtree")
        true('dev: vmshm, id "vmshm0"' in tree, tree)
        true("RAM controller: PCI device 1af4:6661" in vm.hmp("info pci"),
             vm.hmp("info pci"))
        Vmshm(vm)
        true("vmshm-" in vm.hmp("info mtree"), "info mtree")


def test_type_is_a_pci_device():
    with machine() as vm:
        types = vm.qmp("qom-list-types", implements="pci-device")
        # A device from another point release registers a type to check QEMU.
        probe = ["vmshm-layout-probe-pci"] if nearest() else []
        equal(sorted(t["name"] for t in types
                     if t["name"].startswith("vmshm")),
              ["vmshm", *probe], "types")
        equal(vm.qmp("qom-get", path="/machine/peripheral/vmshm0",
                     property="type"), "vmshm", "type")


def refused(*args, **how):
    """The message of a QEMU that does not start"""
    try:
        with Qemu(*args, **how):
            raise AssertionError(f"QEMU has started with {args}")
    except Lost as e:
        true("exit code 1;" in str(e), f"no clean refusal: {e}")
        return str(e)


def test_wrong_arguments_are_refused():
    true("Property 'vmshm.nonsense' not found" in
         refused("-device", "vmshm,nonsense=1"), "unknown property")
    true("No 'PCI' bus found" in
         refused("-device", "vmshm", machine="none"), "no PCI bus")


# Sandbox

def test_sandbox_with_all_denials():
    ways = [(load_args(), {})]
    if load_args() and not nearest():
        ways.append(([], PRELOAD))
    for load, env in ways:
        with machine(*sandbox(), load=load, env=env) as vm:
            works(vm)
            vm.add("vmshm", id="hot", addr="9")
            dev = Vmshm(vm, slot=9)
            equal(dev.open("/"), 22, "a bad name")
            equal(dev.open("/vmshm-test-none"), 2, "a missing object")
            with Object(1 << 20) as obj:
                dev.opened(obj.name)
                vm.qmp("system_reset")
                vm.event("RESET")
                Vmshm(vm, slot=9).opened(obj.name)
                vm.remove("hot", lambda: vm.eject_acpi(0xae00, 0, 9))
            works(vm)
        for line in vm.said().splitlines():
            true("vmshm: refused" in line, f"QEMU printed: {line}")


def oldest_machines():
    """The oldest versions of pc and q35 in this QEMU"""
    found = re.findall(r"^(pc-(i440fx|q35)-(\d+)\.(\d+)) ",
                       run(QEMU, "-machine", "help")[1], re.M)
    oldest = {}
    for name, kind, major, minor in found:
        oldest[kind] = min(oldest.get(kind, ((999,), "")),
                           ((int(major), int(minor)), name))
    return [name for _, name in oldest.values()]


def test_machines():
    """The device works in each machine with a PCI bus, and in each slot."""
    for name in ("pc", "q35", *oldest_machines()):
        with machine(machine=name) as vm:
            works(vm)
    with Qemu("-device", "vmshm,addr=4.0,multifunction=on",
              "-device", "vmshm,addr=4.1") as vm:
        works(vm)
