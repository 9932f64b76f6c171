#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the recipes for libvirt in docs/operator.md, with a separate
libvirtd.

usage: run.py [PART-OF-A-TEST'S-NAME...]

libvirtd runs in namespaces of this program, with empty directories in the place
of those of the host's libvirt, and under TCG. Needs root. The environment:
KVER, the kernel of the guest (default 6.1).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import qemu                         # noqa: E402
import tier                         # noqa: E402

KVER = os.environ.get("KVER", "6.1")
BUILD = os.path.join(TOP, "build", "libvirt")
LIMIT = 120
NAME = "vmshm-test"
INNER = "VMSHM_LIBVIRT_INNER"
# Directories that are empty in the namespace
PRIVATE = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt",
           "/var/cache/libvirt", "/usr/local")
# AppArmor and cgroups are off, because the test may run in a container. The
# user, the private /dev and the sandbox are libvirt's defaults.
CONFIG = {"qemu.conf": 'stdio_handler = "file"\nsecurity_driver = "none"\n'
                       "cgroup_controllers = []\n",
          "libvirtd.conf": 'auth_unix_rw = "none"\n'
                           'log_outputs = "3:stderr"\n'}


class Failed(Exception):
    """A command of virsh failed. The text is its output."""


def virsh(*args):
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *args],
                          check=False, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=LIMIT)
    if done.returncode:
        raise Failed(f"virsh {' '.join(args)}: {done.stdout.strip()}")
    return done.stdout.strip()


def monitor(line):
    return virsh("qemu-monitor-command", NAME, "--hmp", line)


def plug(*command):
    """A command that prints nothing but a warning about these namespaces"""
    out = re.sub(r"^warning: vmshm: QEMU is in a PID namespace.*$", "",
                 virsh(*command), flags=re.M).strip()
    expect(not out, out)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def until(what, condition):
    """Waits until the condition holds, and returns its value."""
    end = time.monotonic() + LIMIT
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not after {LIMIT} s")
        time.sleep(0.1)


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def guide():
    text = read(os.path.join(TOP, "docs", "operator.md"))
    return re.search(r"^## libvirt\n(.*?)^## ", text, re.M | re.S).group(1)


def recipe(element, containing=""):
    """The XML of an element in the guide; it is in a paragraph that contains
    the second argument."""
    for block in re.findall(r"(?:^(?: {4}.*)?\n)+", guide(), re.M):
        found = re.search(rf"^ *<{element}\b.*?</{element}>", block,
                          re.M | re.S)
        if found and containing in block:
            return found.group()
    raise AssertionError(f"the guide has no <{element}> with {containing!r}")


def emulator():
    return f"<emulator>{shutil.which(qemu.QEMU)}</emulator>"


def domain(devices="", qemu_parts="", os_parts="", memory=128):
    """The XML of a domain, with the first line and the <os> of the recipe"""
    whole = recipe("domain")
    head = re.match(r"\s*<domain.*?>", whole, re.S).group().replace(
        "type='kvm'", "type='qemu'")
    system = re.search(r"<os>.*?</os>", whole, re.S).group().replace(
        "</os>", os_parts + "</os>")
    return f"""{head}
      <name>{NAME}</name><memory unit='MiB'>{memory}</memory>
      <cpu mode='custom'><model>Nehalem</model></cpu>
      <on_poweroff>destroy</on_poweroff>
      {system}<features><acpi/></features>
      <devices>{devices}<controller type='usb' model='none'/>
      <memballoon model='none'/></devices>
      {qemu_parts}</domain>"""


class Domain:
    """A defined and started domain. The end of the `with` block removes it."""

    def __init__(self, xml):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as f:
            f.write(xml)
            f.flush()
            virsh("define", f.name)

    def __enter__(self):
        try:
            virsh("start", NAME)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for command in (("destroy", NAME),
                        ("undefine", NAME, "--managed-save")):
            try:
                virsh(*command)
            except Failed:
                pass

    @staticmethod
    def process():
        """(arguments, user ID) of QEMU"""
        with open(f"/run/libvirt/qemu/{NAME}.pid", encoding="ascii") as f:
            pid = f.read().strip()
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
            return f.read().split("\0"), os.stat(f"/proc/{pid}").st_uid


def with_device(**how):
    """The domain of the guide's recipe, with -plugin and -device"""
    return domain(emulator(), recipe("qemu:commandline", "'-plugin'"), **how)


def has_device():
    return "PCI device 1af4:6661" in monitor("info pci")


def test_define_and_start():
    """QEMU runs as another user, with the sandbox."""
    with Domain(with_device()) as vm:
        expect(has_device(), monitor("info pci"))
        args, uid = vm.process()
        expect(uid, "QEMU runs as root")
        expect("on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
               "resourcecontrol=deny" in args, f"no sandbox: {args}")


class HostObject:
    """An object that the user of QEMU may use too"""

    def __init__(self, name):
        self.name, self.program = name, os.path.join(BUILD, "host")

    def __enter__(self):
        subprocess.run([self.program, "create", self.name, "Hello"],
                       check=True, stdout=subprocess.DEVNULL)
        os.chmod("/dev/shm" + self.name, 0o666)
        return self

    def __exit__(self, *_):
        os.unlink("/dev/shm" + self.name)

    def has_guest_text(self):
        """The guest of examples/ has written its text."""
        shown = subprocess.run([self.program, "show", self.name], check=True,
                               text=True, stdout=subprocess.PIPE).stdout
        expect("I was here" in shown, f"the object has: {shown}")


def guest(init, name, options="quiet"):
    """The parts of <os> for a guest with this program as its first process,
    and the name of an object as the argument. Builds what is in the guest."""
    os.makedirs(BUILD, exist_ok=True)
    kernel = os.path.join(TOP, "build", "kernel", KVER, "vmlinuz")
    subprocess.run(["make", "-s", "-C", TOP, "driver", f"KVER={KVER}"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["make", "-s", "-C", os.path.join(TOP, "examples"),
                    f"OUT={BUILD}", "STATIC=1"], check=True)
    initrd = os.path.join(BUILD, "initramfs")
    subprocess.run(
        [os.path.join(TOP, "scripts", "initramfs"), initrd,
         f"init={TOP}/{init}", f"guest={BUILD}/guest",
         f"vmshm.ko={TOP}/build/driver/{KVER}/vmshm.ko"], check=True)
    where = f"/var/lib/libvirt/{NAME}."
    shutil.copy(kernel, where + "kernel")
    shutil.copy(initrd, where + "initrd")
    return (f"<kernel>{where}kernel</kernel><initrd>{where}initrd</initrd>"
            f"<cmdline>{options} panic=-1 -- {name}</cmdline>")


def test_guest_uses_an_object():
    """The guest of make demo reads an object and writes to it."""
    # The policy of the recipe: prefix=vm1-,allow=/cam-*
    name = f"cam-vmshm-test-{os.getpid()}"
    parts = guest("scripts/demo-init", "/" + name)
    with HostObject("/vm1-" + name) as obj:
        with Domain(with_device(os_parts=parts, memory=256)):
            until("the guest has ended", lambda: "shut off" in
                  virsh("domstate", NAME))
        obj.has_guest_text()


def test_save_restore_dump():
    with Domain(with_device()):
        file = f"/var/lib/libvirt/qemu/save/{NAME}.saved"
        virsh("save", NAME, file)
        expect(virsh("domstate", NAME) == "shut off", "the VM still runs")
        virsh("restore", file)
        expect(has_device(), "restored without the device")
        virsh("managedsave", NAME)
        virsh("start", NAME)
        expect(has_device(), "started without the device")
        dump = f"/var/lib/libvirt/qemu/dump/{NAME}.dump"
        virsh("dump", "--memory-only", NAME, dump)
        with open(dump, "rb") as f:
            expect(f.read(4) == b"\x7fELF", "the dump is no ELF file")
        expect(has_device(), "dumped without the device")


def test_emulator():
    """The wrapper qemu-system-vmshm works in the place of -plugin."""
    args = ("<qemu:commandline><qemu:arg value='-device'/><qemu:arg "
            "value='vmshm,bus=pcie.0,addr=0x1e'/></qemu:commandline>")
    with Domain(domain(recipe("emulator"), args)) as vm:
        expect(has_device(), monitor("info pci"))
        expect("/usr/local/lib/vmshm.so" in vm.process()[0], "no loader")


def window(bus_text):
    """The size in bytes of the widest prefetchable window of a port"""
    return max((int(b, 16) - int(a, 16) + 1 for a, b in re.findall(
        r"prefetchable memory range \[(0x\w+), (0x\w+)\]", bus_text)),
        default=0)


def hot_plug(xml, add, remove):
    """Plugs the device into a port, where firmware has reserved address space,
    and unplugs it. add, remove: arguments of virsh"""
    with Domain(xml):
        until("the firmware has set up the ports", lambda: window(
            monitor("info pci")) >= 4 << 30)
        plug(*add)
        expect(has_device(), "no device")
        expect("shm1" in monitor("info qtree"), "no shm1")
        plug(*remove)


def plugin_only():
    """The recipe without its device, and without its end"""
    plugin = recipe("qemu:commandline", "'-plugin'")
    return plugin[:plugin.index("<qemu:arg value='-device'/>")]


def shown_commands():
    """The arguments of each virsh in the guide, with the name of the domain"""
    lines = guide().replace("\\\n", " ")
    return [[NAME if word == "DOMAIN" else word for word in line.split()]
            for line in re.findall(r"^ {4}virsh (.*)$", lines, re.M)]


def test_hot_plug_in_a_guest():
    """By the commands of the guide. A guest that has booted finds the device,
    uses an object, and sees the device go."""
    name = f"/vmshm-test-{os.getpid()}-hot"
    log = f"/var/lib/libvirt/qemu/{NAME}.console"
    console = f"<serial type='file'><source path='{log}'/></serial>"

    def says(text):
        try:
            until(text, lambda: text in read(log))
        except Failed as e:
            raise Failed(f"{e}; the console: {read(log)[-300:]}") from e

    add, remove = shown_commands()
    parts = guest("tests/libvirt/init", name, "console=ttyS0 loglevel=4")
    devices = emulator() + recipe("controller") + console
    with HostObject(name) as obj, Domain(domain(
            devices, plugin_only() + "</qemu:commandline>"
            + recipe("qemu:override"), os_parts=parts, memory=256)):
        says("guest: no device")
        plug(*add)
        says("guest: used the object")
        obj.has_guest_text()
        plug(*remove)
        says("guest: the device is gone")


def test_hot_plug_by_global():
    plugin = plugin_only()
    reserve = recipe("qemu:commandline", "'-global'")
    both = plugin + reserve[reserve.index("<qemu:arg"):]
    port = "<controller type='pci' index='1' model='pcie-root-port'/>"
    add, remove = shown_commands()
    add[-1] = add[-1].replace("ua-vmshm", "pci.1")
    hot_plug(domain(emulator() + port, both), add, remove)


def test_hot_plug_by_override():
    hot_plug(domain(
        emulator() + recipe("controller"), plugin_only()
        + "</qemu:commandline>" + recipe("qemu:override")), *shown_commands())


def test_apparmor_rules():
    """The rules of the guide and of the package are well-formed in a profile
    with libvirt's abstraction."""
    if not shutil.which("apparmor_parser"):
        raise tier.Skip("no apparmor_parser; Debian: apparmor")
    rules = re.search(r"abstractions/libvirt-qemu, and restart.*?\n\n(.*?)\n\n",
                      guide(), re.S).group(1)
    expect("/dev/shm/ r," in rules, rules)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("abstractions", "tunables", "abi"):
            shutil.copytree("/etc/apparmor.d/" + part, f"{folder}/{part}")
        shutil.copytree(os.path.join(TOP, "debian", "apparmor"),
                        folder + "/abstractions", dirs_exist_ok=True)
        local = folder + "/local/abstractions"
        os.makedirs(local)
        for content in (rules, "include <abstractions/vmshm>\n"):
            with open(local + "/libvirt-qemu", "w", encoding="ascii") as f:
                f.write(content)
            profile = folder + "/vmshm-test"
            with open(profile, "w", encoding="ascii") as f:
                f.write("abi <abi/3.0>,\ninclude <tunables/global>\n"
                        "profile vmshm-test {\n"
                        "  include <abstractions/libvirt-qemu>\n}\n")
            done = subprocess.run(
                ["apparmor_parser", "-QKS", "-b", folder, profile],
                check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            expect(not done.returncode,
                   f"{content}: {done.stdout.decode(errors='replace')}")


def install():
    """Installs the loader as `make install-device` does, with the devices that
    have been built."""
    subprocess.run(["make", "-s", "-C", os.path.join(TOP, "device"),
                    "install"], check=True, stdout=subprocess.DEVNULL)
    shutil.copytree(os.path.join(TOP, "build", "vmshm-devices"),
                    "/usr/local/lib/vmshm-devices", dirs_exist_ok=True)


def serve():
    """Starts libvirtd and waits until it answers. It ends with the
    namespace."""
    for name, text in CONFIG.items():
        with open("/etc/libvirt/" + name, "w", encoding="ascii") as f:
            f.write(text)
    log = open(os.path.join(TOP, "build", "libvirt.log"), "w",
               encoding="utf-8")
    daemon = subprocess.Popen(["libvirtd"], stdin=subprocess.DEVNULL,
                              stdout=log, stderr=log,
                              preexec_fn=qemu.die_with_parent)

    def answers():
        if daemon.poll() is not None:
            raise Failed(f"libvirtd ended; see {log.name}")
        try:
            return virsh("version")
        except Failed:
            return None

    print("   " + until("libvirtd", answers).replace("\n", "; ")[:75],
          flush=True)
    return daemon


def run(report):
    qemu.need_device()
    for path in PRIVATE:
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs",
                        path], check=True)
    install()
    daemon = serve()
    try:
        tier.each(report, tier.in_module(globals(), "libvirt"))
    finally:
        daemon.terminate()
        daemon.wait()


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("check-libvirt: this needs root")
    if INNER not in os.environ:
        # The first process has to reap the orphans of libvirtd.
        os.execvpe("unshare", ["unshare", "--mount", "--pid", "--fork",
                               "--kill-child", "--mount-proc",
                               "--propagation", "private",
                               "bash", "-c", '"$@"; exit $?', "init",
                               sys.executable, *sys.argv],
                   {**os.environ, INNER: "1"})
    tier.main("libvirt", run)
