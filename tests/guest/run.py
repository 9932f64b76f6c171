#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests in a real Debian kernel, emulated.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The environment: KERNELS (default "6.1 6.12"), QEMU, VMSHM_SO, VMSHM_BUILTIN.
Kernels and drivers are fetched and built as needed, the device is not.

A test is passed when the guest says so. The guest also has to reach its end,
with no complaint from its kernel; one that dies or falls silent is lost: the
test that ran then has failed, and the others run in a new guest. What is in
build/guest/KERNEL/ afterwards: boot-N.log, the console of the N-th guest.
"""

import concurrent.futures
import fcntl
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import guest_python                     # noqa: E402
import host_rpc                         # noqa: E402
from host import Host, OtherHost        # noqa: E402
from qemu import BUILTIN, VMSHM_SO, Lost, Qemu      # noqa: E402
from report import Report               # noqa: E402

# Its tests run here, too, with both parties in the guest
LIBRARY = os.path.join(ROOT, "tests", "library")
BUILD = os.path.join(ROOT, "build", "guest")
DEFAULT_QEMU = "-device vmshm,id=vmshm0"

# What "qemu:" can name instead of arguments: (arguments, modules of the
# kernel). @PREFIX@ is what the names of the run's objects begin with, without
# the "/"; @FOLDER@ a folder for its files.
MACHINES = {
    # The devices have to be as in fs.h
    "files": (
        "-device vmshm,id=vmshm0,create=on "
        "-device vmshm,id=vmshm1 "
        "-device vmshm,id=vmshm2,readonly=on "
        "-device vmshm,id=vmshm3,arena=4M,create=on "
        "-device vmshm,id=vmshm4,allow=/@PREFIX@yes*:/@PREFIX@maybe*,"
        "deny=/*secret*:/*[0-9]x "
        "-device vmshm,id=vmshm5,prefix=@PREFIX@in-,create=on "
        "-device vmshm,id=vmshm6,max-objects=8,max-bytes=1M "
        "-device vmshm,id=vmshm7,arena=4G "
        "-blockdev file,node-name=disk,filename=@FOLDER@/disk,cache.direct=off "
        "-device virtio-blk-pci,drive=disk",
        "virtio_pci virtio_blk"),
}

# QEMU without the right of root to open everything: the rights of an object
# count, as they do for others.
WITHOUT_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
DISK = 16 << 20

# erms: its "rep movsb" is emulated byte by byte, which is slow.
# cx16: QEMU 7.2 computes the flags of cmpxchg16b from stale state; with the
# kernels of today, which use it inline, every third boot dies of the rubbish
# in EFLAGS.
CPU = "max,-erms,-cx16"

# How often a guest is booted, at most; see Guest.boot()
BOOTS = 3

# A guest that says nothing for so long is lost; a test may take T_TIMEOUT.
SILENCE = 90

# Kernel messages that no test may cause, whatever their level. Warnings and
# oopses also end the guest, by its command line.
ALARM = re.compile(r"WARNING:|BUG:|Oops|Call Trace|general protection|"
                   r"Bad page|refcount_t|rcu: INFO|hung_task|UBSAN|KASAN|"
                   r"blocked for more than")
# What every out-of-tree module causes.
USUAL = r"taints kernel|module verification failed"
MARK = "vmshm-test: "


# A line of a comment
DIRECTIVE = r"^[ \t]*[*#/]+[ \t]*{}:[ \t]*(.*?)[ \t]*$"


def directives(text, word):
    return re.findall(DIRECTIVE.format(word), text, re.M)


def name_of(source):
    """The file's name; tests/library/test-NAME.c is library-NAME.c here."""
    folder, file = os.path.split(source)
    return file.replace("test-", "library-") if folder == LIBRARY else file


def is_test(file):
    return re.fullmatch(r"(test|library)-.*\.(c|sh)", file)


class Program:
    """A file test-NAME.c or test-NAME.sh, and what it asks for; variant is
    the word after "qemu" of the line with the arguments, if any."""

    def __init__(self, source, text, variant, qemu):
        self.file = file = name_of(source)
        self.name = re.sub(r"^test-|\.(c|sh)$", "", file)
        if variant:
            self.name += "@" + variant
        pattern = (r"^T_TEST\((\w+)\)" if file.endswith(".c")
                   else r"^test_(\w+)\(\)")
        self.tests = re.findall(pattern, text, re.M)
        self.expected = directives(text, "expect-log")
        self.python = [n.split()[1] for n in directives(text, "needs")
                       if n.startswith("python ")]
        self.library = "library" in directives(text, "needs")
        self.tool = "tool" in directives(text, "needs")
        self.rpc = "rpc" in directives(text, "needs")
        qemu, modules = MACHINES.get(
            qemu, (qemu, " ".join(directives(text, "modules"))))
        # What has to be the same for two programs to share a guest
        self.guest = (qemu, "none" not in directives(text, "driver"), modules)

    @classmethod
    def all_of(cls, source):
        """One for each line "qemu:" or "qemu VARIANT:"."""
        with open(source, encoding="utf-8") as f:
            text = f.read()
        runs = re.findall(DIRECTIVE.format(r"qemu(?:[ \t]+(\w+))?"), text,
                          re.M)
        return [cls(source, text, *run)
                for run in runs or [("", DEFAULT_QEMU)]]

    @property
    def in_guest(self):
        return re.sub(r"\.c$", "", self.file)


class Kernel:
    """One kernel of scripts/fetch-kernel and what is built for it."""

    def __init__(self, version):
        self.version = version
        self.folder = os.path.join(ROOT, "build", "kernel", version)
        self.driver = os.path.join(ROOT, "build", "driver", version,
                                   "vmshm.ko")

    def prepare(self):
        """Fetch the kernel and build the driver, where that is not done."""
        for command in (["scripts/fetch-kernel", self.version],
                        ["make", "-s", "-C", "driver",
                         "KVER=" + self.version]):
            done = subprocess.run(command, cwd=ROOT, check=False,
                                  stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            if done.returncode:
                sys.stderr.write(done.stdout.decode(errors="replace"))
                raise Lost(" ".join(command) + " failed")

    def modules(self, names):
        """Files of the modules and of what they need, in loading order."""
        files = {}
        for folder, _, found in os.walk(os.path.join(self.folder, "modules")):
            for file in found:
                name = file.split(".ko")[0].replace("-", "_")
                files[name] = os.path.join(folder, file)
        order = []

        def add(name):
            name = name.replace("-", "_")
            if name not in files or files[name] in order:
                return
            needs = subprocess.run(
                ["modinfo", "-F", "depends", files[name]], check=True,
                stdout=subprocess.PIPE).stdout.decode().strip()
            for need in filter(None, needs.split(",")):
                add(need)
            order.append(files[name])

        for name in names:
            add(name)       # or it is built in; who needs it will tell
        return order


def build(programs):
    """Compile what is older than its sources; (path in guest, file)s."""
    subprocess.run(["make", "-s", "-C", "lib"], cwd=ROOT, check=True)
    libraries = [os.path.join(HERE, "t.c"),
                 os.path.join(ROOT, "build", "lib", "libvmshm.a")]
    sources = [os.path.join(folder, f) for folder in (HERE, LIBRARY)
               for f in sorted(os.listdir(folder))]
    shared = libraries + [f for f in sources if f.endswith(".h")]
    sources.append(os.path.join(ROOT, "examples", "guest.c"))
    for folder, _, found in os.walk(os.path.join(ROOT, "include")):
        shared += [os.path.join(folder, f) for f in found]
    wanted = {p.file for p in programs}
    jobs, files = [], [("init", os.path.join(HERE, "init")),
                       ("t.sh", os.path.join(HERE, "t.sh"))]
    for source in sources:
        file = name_of(source)
        out = os.path.join(BUILD, file[:-2])
        if file in wanted and file.endswith(".sh"):
            files.append(("tests/" + file, source))
        if not file.endswith(".c") or file == "t.c":
            continue
        test = is_test(file)
        if test and file not in wanted:
            continue
        files.append((("tests/" if test else "bin/") + file[:-2], out))
        newest = max(os.path.getmtime(f) for f in [source] + shared)
        if not os.path.exists(out) or os.path.getmtime(out) < newest:
            jobs.append(["gcc", "-std=gnu11", "-static", "-s", "-O2", "-Wall",
                         "-pthread", "-I", os.path.join(ROOT, "include"),
                         "-I", HERE, "-o", out, source,
                         *libraries[0 if test else 1:]])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(subprocess.run, jobs):
            if done.returncode:
                raise Lost("does not compile: " + os.path.relpath(
                    next(a for a in done.args if a.endswith(".c"))))
    if any(p.tool for p in programs):
        subprocess.run(["make", "-s", "-C", "tools", "STATIC=1",
                        "OUT=" + BUILD], cwd=ROOT, check=True)
        files.append(("bin/vmshm", os.path.join(BUILD, "vmshm")))
    if any(p.library for p in programs):
        files.append(("lib/libvmshm.so.0", guest_python.LIBRARY))
    if any(p.rpc for p in programs):
        files += host_rpc.files()
    return files


class Guest:
    """One boot. Reports each test as it ends."""

    def __init__(self, report, kernel, number, guest, plan, files):
        self.report, self.kernel = report, kernel
        self.plan = plan            # [(program, [test])]
        self.log = os.path.join(BUILD, kernel.version, f"boot-{number}.log")
        self.qemu_args, self.with_driver, modules = guest
        self.todo = {f"{p.name}/{t}" for p, tests in plan for t in tests}
        self.running = None
        self.trouble = []           # what the kernel said, and when
        self.mark = None
        self.modules = kernel.modules(modules.split())
        self.files = files

    def make_host(self, vm):
        """Does what the guest asks for."""
        return Host(vm, lambda words: OtherGuest(self, words))

    def to_do(self):
        """Lines of its plan, when all is loaded; see init."""
        return [f"run {p.in_guest} {p.name} {' '.join(tests)}"
                for p, tests in self.plan]

    def initramfs(self, prefix):
        """Writes it and returns its path."""
        plan = [f"prefix {prefix}"]
        files = list(self.files)
        for program in sorted({f for p, _ in self.plan for f in p.python}):
            files += guest_python.files(program, BUILD)
        for module in self.modules:
            name = os.path.basename(module).split(".ko")[0] + ".ko"
            files.append(("modules/" + name, module))
            plan.append(f"insmod /modules/{name}")
        files.append(("vmshm.ko", self.kernel.driver))
        if self.with_driver:
            plan.append("insmod /vmshm.ko")
        plan += self.to_do()
        base = self.log.removesuffix(".log")
        with open(base + ".plan", "w", encoding="utf-8") as f:
            f.write("\n".join(plan) + "\n")
        files.append(("plan", base + ".plan"))
        subprocess.run([os.path.join(ROOT, "scripts", "initramfs"),
                        base + ".cpio"] +
                       [f"{a}={b}" for a, b in dict.fromkeys(files)],
                       check=True)
        return base + ".cpio"

    def boot(self):
        """Returns when the guest has ended; Lost if that was not its end.

        QEMU's emulation now and then loses the byte of a jump label that one
        processor changes and the other one runs: a kernel that dies of that
        before anything of ours is in it is booted again."""
        for _ in range(BOOTS - 1):
            try:
                return self.boot_once()
            except Lost:
                began = self.mark or self.running
                if began or "Oops: int3" not in (self.last_words() or ""):
                    raise
                print("     the kernel died of int3 while it booted: again",
                      flush=True)
        return self.boot_once()

    def boot_once(self):
        with tempfile.TemporaryDirectory() as folder, \
                socket.socket(socket.AF_UNIX) as listener:
            # QEMU connects while it starts, so accept() below finds it
            with open(os.path.join(folder, "disk"), "wb") as disk:
                disk.truncate(DISK)
            qemu_args = self.qemu_args.replace("@FOLDER@", folder)
            qemu_args = qemu_args.replace("@PREFIX@", Host.PREFIX[1:])
            listener.bind(os.path.join(folder, "channel"))
            listener.listen(1)
            with Qemu("-cpu", CPU, "-smp", "2", "-no-reboot",
                      "-chardev", f"file,id=console,path={self.log}",
                      "-serial", "chardev:console",
                      "-chardev", "socket,id=channel,"
                      f"path={listener.getsockname()}",
                      "-serial", "chardev:channel",
                      "-device", "pcie-root-port,id=rp0,chassis=1,"
                      "pref64-reserve=4G",
                      "-device", "pcie-root-port,id=rp1,chassis=2,"
                      "pref64-reserve=4G",
                      # Newer firmware puts the windows below 1 TiB, where an
                      # AMD processor has a hole that Linux does not assign.
                      # This one pushes the others out of it.
                      "-device", "pcie-root-port,id=rp2,chassis=3,"
                      "pref64-reserve=4G",
                      "-kernel", os.path.join(self.kernel.folder, "vmlinuz"),
                      "-initrd", self.initramfs(Host.PREFIX),
                      # no_timer_check: on a busy host it finds the timer
                      # broken, which ends the boot.
                      "-append", "console=ttyS0 loglevel=5 oops=panic "
                      "panic=-1 panic_on_warn=1 no_timer_check",
                      *shlex.split(qemu_args),
                      machine="q35", accel="tcg,thread=multi", qtest=False,
                      memory=512, wrap=() if os.geteuid() else
                      WITHOUT_OVERRIDE) as vm:
                channel = listener.accept()[0]
                channel.settimeout(SILENCE)
                host = self.make_host(vm)
                try:
                    self.listen(channel, host)
                finally:
                    channel.close()
                    host.close()

    def listen(self, channel, host):
        lines = channel.makefile("r", encoding="ascii", errors="replace")
        while True:
            try:
                line = lines.readline()
            except TimeoutError as e:
                raise Lost(f"it was silent for {SILENCE} s") from e
            except OSError as e:
                raise Lost("it ended") from e
            if not line.endswith("\n"):
                raise Lost("it ended")
            line = line.rstrip("\r\n")
            word, _, rest = line.partition(" ")
            if line == "end":
                return
            if line == "host die":
                self.die(host)
                return
            if word == "host":
                channel.sendall((host.answer(rest) + "\n").encode())
            elif word == "log":
                self.kernel_said(rest)
            else:
                self.result(line)

    def die(self, host):
        """kill -9 of the machine: the test is what others make of it."""
        host.vm.kill()
        answer = host.answer("reap")
        self.result(f"ok {self.running}" if answer == "done"
                    else f"not ok {self.running}: {answer}")

    def result(self, line):
        m = re.fullmatch(r"(run|ok|not ok|skip) ([^:]*)(?:: (.*))?", line)
        if not m:
            raise Lost(f"it said: {line!r}")
        word, test, why = m.groups()
        name = f"{self.kernel.version}/{test}"
        if word == "run":
            self.running = test
            return
        if word == "ok" and test in self.todo:
            self.report.ok(name)
        elif word == "skip" and test in self.todo:
            self.report.skip(name, why or "no reason given")
        else:
            self.report.fail(name, why or "unknown test")
        self.todo.discard(test)
        self.running = None

    def kernel_said(self, line):
        level, _, text = line.partition(" ")
        if text.startswith(MARK):
            self.mark = text.removeprefix(MARK)
            return
        expected = "|".join([USUAL] + [f"(?:{e})" for p, _ in self.plan
                                       for e in p.expected])
        # Before the first test, errors are those of the emulated machine
        worse = int(level) <= 3 and self.mark
        if ALARM.search(text) or ((worse or "vmshm" in text)
                                  and not re.search(expected, text)):
            self.trouble.append(f"{self.mark or 'boot'}: {text}")

    def console(self):
        try:
            with open(self.log, encoding="ascii", errors="replace") as f:
                return f.read().splitlines()
        except OSError:
            return []

    def last_words(self):
        """Why the kernel died, in its own words, or None."""
        for line in self.console():
            text = re.sub(r"^\[[^]]*\] *", "", line)
            if text != line and (ALARM.search(text)
                                 or text.startswith("Kernel panic")):
                return text
        return None

    def tail(self):
        """The end of the console, for people."""
        lines = self.console()[-25:]
        print(f"     the end of {os.path.relpath(self.log)}:")
        for line in lines:
            print("     | " + line[:73])


class BackgroundGuest(Guest):
    """A guest in a thread, from start() on, whose programs report nothing."""

    def __init__(self, kernel, number, guest, plan, files):
        super().__init__(None, kernel, number, guest, plan, files)
        self.vm = self.problem = None
        self.thread = threading.Thread(target=self._run)

    def start(self):
        self.thread.start()
        return self

    def _run(self):
        try:
            self.boot()
        except Lost as e:
            self.problem = f"{self.last_words() or 'lost'}: {e}"
        except Exception as e:      # noqa: BLE001
            self.problem = f"{type(e).__name__}: {e}"

    def listen(self, channel, host):
        self.vm = host.vm
        super().listen(channel, host)

    def result(self, line):
        raise Lost(f"it said: {line}")

    def kill(self):
        """The whole virtual machine"""
        while self.thread.is_alive():
            if self.vm:
                self.vm.process.kill()
            self.thread.join(0.1)


class OtherGuest(BackgroundGuest):
    """A second machine for a test in the first one. It runs helper programs,
    all at the same time, with the host's objects in its /dev/shm."""

    def __init__(self, first, words):
        super().__init__(first.kernel, "other", (DEFAULT_QEMU, True, ""), [],
                         first.files)
        self.programs = " ".join(words).split(";")
        self.start()

    def make_host(self, vm):
        return OtherHost(vm)

    def to_do(self):
        return ["mount vmshm0 /dev/shm",
                *(f"start {words.strip()}" for words in self.programs), "join"]

    def end(self, seconds):
        """Waits for that; what is wrong, or None."""
        self.thread.join(seconds)
        if self.thread.is_alive():
            return "it does not end"
        return self.problem or next(iter(self.trouble), None)


def run_kernel(report, kernel, programs, files):
    """Boots one guest for all programs that can share one, and another when
    one is lost."""
    os.makedirs(os.path.join(BUILD, kernel.version), exist_ok=True)
    todo = []
    for p in programs:
        tests = [t for t in p.tests
                 if report.wanted(f"{kernel.version}/{p.name}/{t}")]
        if tests:
            todo.append((p, tests))
    number = 0
    while todo:
        guest_kind = todo[0][0].guest
        plan = [(p, t) for p, t in todo if p.guest == guest_kind]
        number += 1
        name = f"{kernel.version}/boot-{number}"
        guest = None
        try:
            guest = Guest(report, kernel, number, guest_kind, plan, files)
            guest.boot()
            for test in sorted(guest.todo):
                report.fail(f"{kernel.version}/{test}", "it did not run")
            guest.todo.clear()
            if guest.trouble:
                report.fail(name, "the kernel said, " + guest.trouble[0] + (
                    f" (and {len(guest.trouble) - 1} more)"
                    if len(guest.trouble) > 1 else ""))
            else:
                report.ok(name)
        except Lost as e:
            culprit = guest.running if guest else None
            words = guest.last_words() if guest else None
            e = f"{words}; {e}" if words else e
            if culprit:
                report.fail(f"{kernel.version}/{culprit}",
                            f"the guest was LOST in it: {e}")
                guest.todo.discard(culprit)
            else:
                report.fail(name, f"the guest was LOST: {e}")
            if guest:
                guest.tail()
            if not culprit:
                # Nothing says that another boot would do better
                for p, tests in plan:
                    for t in tests:
                        if not guest or f"{p.name}/{t}" in guest.todo:
                            report.fail(f"{kernel.version}/{p.name}/{t}",
                                        "not run, the guest was LOST")
                guest = None
        left = guest.todo if guest else set()
        rest = [(p, [t for t in tests if f"{p.name}/{t}" in left])
                for p, tests in plan]
        todo = [x for x in rest if x[1]] + \
               [x for x in todo if x[0].guest != guest_kind]


def main():
    # Leave by way of every "finally"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = Report()
    sources = [os.path.join(folder, f) for folder in (HERE, LIBRARY)
               for f in sorted(os.listdir(folder))]
    programs = [p for f in sources if is_test(name_of(f))
                for p in Program.all_of(f)]
    versions = os.environ.get("KERNELS", "6.1 6.12").split()
    programs = [p for p in programs
                if any(report.wanted(f"{v}/{p.name}/{t}")
                       for v in versions for t in p.tests)]
    # Two runs at once would write the same files, and slow each other down
    os.makedirs(BUILD, exist_ok=True)
    lock = open(os.path.join(BUILD, ".lock"), "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another run.py", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        if not BUILTIN and not os.path.exists(VMSHM_SO):
            raise Lost(f"no {os.path.relpath(VMSHM_SO)}: make device first")
        files = build(programs)
    except Lost as e:
        report.fail("build", e)
        versions = []
    for version in versions:
        kernel = Kernel(version)
        try:
            kernel.prepare()
        except Lost as e:
            report.fail(f"{version}/boot", e)
            continue
        run_kernel(report, kernel, programs, files)
    sys.exit(report.finish())


if __name__ == "__main__":
    main()
