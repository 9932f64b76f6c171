# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots a kernel with test programs, and receives their results."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time

from qemu import ROOT, Lost, Qemu

from .host import Host, OtherHost
from .program import OWN

# Runs QEMU without root's right to open every file, so that the permissions of
# objects have an effect.
WITHOUT_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
# Mounts a small tmpfs, which only QEMU sees, on the directory that is the first
# argument. Where mounting is not allowed, the directory is a part of a larger
# file system.
WITH_SMALL = ("sh", "-c", "if unshare --mount true 2>/dev/null; then "
              "exec unshare --mount --propagation private sh -c '"
              "mount -t tmpfs -o size=8M none \"$0\" 2>/dev/null; exec \"$@\"'"
              " \"$0\" \"$@\"; fi; exec \"$@\"")
# The size of the disk, which is a hole except for the data that a test writes
DISK = 1 << 30

# On a busy host, an emulated processor may not run for longer than 20 s, which
# is the limit of the kernel's watchdogs. The limit of a test is T_TIMEOUT.
WATCHDOGS = ("watchdog_thresh=60 workqueue.watchdog_thresh=120 "
             "rcupdate.rcu_cpu_stall_timeout=150")

# The maximum number of boots of a guest; see Guest.boot()
BOOTS = 3

# The number of rounds of test-lifecycle.c; see there
ROUNDS = os.environ.get("T_ROUNDS")
# The number of rounds of the programs of make check-programs
PROGRAM_ROUNDS = os.environ.get("T_PROGRAMS")

# Seconds after which a test fails. A machine under load is slow.
T_TIMEOUT = 180

# Kernel messages that no test may cause, at any level. Warnings and
# oopses also end the guest, by its command line.
ALARM = re.compile(r"WARNING:|BUG:|Oops|Call Trace|general protection|"
                   r"Bad page|refcount_t|rcu: INFO|hung_task|UBSAN|KASAN|"
                   r"blocked for more than")
# The maximum number of lines of a call trace
TRACE = 100
# The death of a kernel whose code was changed during its boot; see boot()
PATCHED = re.compile(r"Oops: int3|alg_test")
# The death of QEMU 7.2 while a processor changes the map of memory. Under TCG
# another processor may execute an access before it has emptied its TLB. QEMU
# then looks up the old index in the new table of sections, and executes the
# access in another device. (tcg_commit() and iotlb_to_section() of physmem.c)
MOVED = re.compile(r"msix_\w+_mmio_\w+: Assertion|iotlb_to_section")
# Every out-of-tree module causes these messages.
USUAL = r"taints kernel|module verification failed"
MARK = "vmshm-test: "


def more():
    """The factor by which a test may take longer because of its rounds"""
    return 20 if PROGRAM_ROUNDS else 1 + int(ROUNDS or 0) // 10


def with_small_buffer(arg):
    """The argument of -accel for many rounds. QEMU's heap has a record of each
    block of translated code, until the buffer of that code is full. With the
    default of 1 GiB, the heap grows by 8 MiB in each boot of a kernel."""
    return arg + ",tb-size=32" if ROUNDS and arg.startswith("tcg") else arg


class Guest:
    """One boot of a VM. Reports each test when the test ends."""

    # Seconds without output after which a guest is lost; see T_TIMEOUT
    silence = 240

    # The prefix of the names of the guest's objects
    prefix = Host.PREFIX

    def __init__(self, report, kernel, number, guest, plan, build):
        self.report, self.kernel, self.build = report, kernel, build
        self.number = number
        self.plan = plan            # [(program, [test])]
        self.silence *= kernel.patience * more()
        self.log = os.path.join(build.folder, kernel.version,
                                f"boot-{number}.log")
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        self.qemu_args, self.driver_args, modules = guest
        self.todo = {f"{p.name}/{t}" for p, tests in plan for t in tests}
        # The ended tests; whether the guest has restarted after the last one
        self.done, self.restarted = set(), False
        self.is_up = False          # whether the first process has begun
        self.running, self.began = None, time.monotonic()
        self.times = []             # (seconds, test)
        self.leaks = []             # lines of kmemleak
        self.vm = self.channel = None
        self.trouble = []           # messages of the kernel, and when
        self.excused = 0            # lines of the kernel that may follow
        self.mark = None
        self.modules = kernel.modules(modules.split())

    def make_host(self, vm):
        """Serves the requests of the guest."""
        return Host(vm, lambda words: OtherGuest(self, words), self.prefix,
                    self.kernel.patience)

    def limit(self):
        """Seconds after which a test fails"""
        return T_TIMEOUT * self.kernel.patience * more()

    def to_do(self):
        """The lines of the plan that follow those of the modules; see init"""
        lines = []
        for p, tests in sorted(self.plan, key=lambda x: x[0].last):
            # The last program may end the machine.
            lines += ["log"] if p.last else []
            lines.append(f"timeout {self.limit() * p.longer}")
            lines.append(f"run {p.in_guest} {p.name} {' '.join(tests)}")
        return lines

    def initramfs(self, prefix):
        """Writes the initramfs and returns its path."""
        plan = [f"prefix {prefix}",
                f"slower {self.kernel.patience}",
                *([f"rounds {ROUNDS or PROGRAM_ROUNDS}"]
                  if ROUNDS or PROGRAM_ROUNDS else [])]
        files = list(self.build.files)
        for program in sorted({f for p, _ in self.plan for f in p.python}):
            files += self.build.python(program)
        for module in self.modules:
            name = os.path.basename(module).split(".ko")[0] + ".ko"
            files.append(("modules/" + name, module))
            plan.append(f"insmod /modules/{name}")
        files.append(("vmshm.ko", self.kernel.driver))
        if os.path.exists(self.kernel.busybox):
            files.append(("bin/busybox", self.kernel.busybox))
        if self.driver_args is not None:
            plan.append(f"insmod /vmshm.ko {self.driver_args}".rstrip())
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
        """Returns when the guest has ended. Raises Lost if the guest ended too
        early.

        A kernel that dies before its first process has begun is booted again,
        because the driver is not loaded yet. On a busy host, the kernel
        measures a wrong frequency of its clock, and then reports stalls. QEMU's
        emulation also sometimes executes old code while another processor
        changes it: the byte of a jump label is lost, or a self-test of the
        kernel's crypto fails. This can happen up to the first test."""
        for _ in range(BOOTS - 1):
            try:
                return self.boot_once()
            except Lost:
                words = self.last_words()
                if self.mark or self.running or not words or \
                        (self.is_up and not PATCHED.search(words)):
                    raise
                print(f"     booting again: {words}", flush=True)
        return self.boot_once()

    def boot_once(self):
        self.is_up = False
        with tempfile.TemporaryDirectory() as folder, \
                socket.socket(socket.AF_UNIX) as listener:
            # QEMU connects while it starts, before accept() below.
            with open(os.path.join(folder, "disk"), "wb") as disk:
                disk.truncate(DISK)
            small = os.path.join(folder, "small")
            os.mkdir(small)
            # The directory in the place of /dev/shm for a device with dir=
            os.mkdir(os.path.join(folder, "shm"))
            qemu_args = self.qemu_args.replace("@FOLDER@", folder)
            qemu_args = qemu_args.replace("@PREFIX@", self.prefix[1:])
            kernel = os.path.join(self.kernel.folder, "vmlinuz")
            initramfs = self.initramfs(self.prefix)
            qemu_args = qemu_args.replace("@KERNEL@", kernel)
            qemu_args = qemu_args.replace("@INITRAMFS@", initramfs)
            listener.bind(os.path.join(folder, "channel"))
            listener.listen(1)
            arch = self.kernel.arch
            args = [*map(with_small_buffer, arch.args()),
                    "-smp", "2", "-no-reboot",
                    "-chardev",
                    f"file,id=console,path={self.log},append=on",
                    "-serial", "chardev:console",
                    "-chardev", "socket,id=channel,"
                    f"path={listener.getsockname()}",
                    *arch.serial,
                    "-device", "pcie-root-port,id=rp0,chassis=1,"
                    "pref64-reserve=4G",
                    "-device", "pcie-root-port,id=rp1,chassis=2,"
                    "pref64-reserve=4G",
                    # Newer firmware puts the windows below 1 TiB, where an AMD
                    # processor has a hole that Linux does not assign. The
                    # window of this port moves the others out of it.
                    "-device", "pcie-root-port,id=rp2,chassis=3,"
                    "pref64-reserve=4G",
                    "-kernel", kernel, "-initrd", initramfs,
                    "-append", f"console={arch.console} loglevel=5 "
                    "oops=panic panic=-1 panic_on_warn=1 "
                    f"T_PORT={arch.channel} {arch.append} {WATCHDOGS}",
                    *shlex.split(qemu_args)]
            wrap = () if os.geteuid() else (*WITH_SMALL, small,
                                            *WITHOUT_OVERRIDE)
            with open(self.log, "wb"), contextlib.ExitStack() as stack:
                def start(*more):
                    """Starts a QEMU. Returns it and its connection."""
                    vm = stack.enter_context(Qemu(
                        *args, *more, binary=arch.qemu, machine=arch.machine,
                        accel=None, qtest=False, memory=self.kernel.memory,
                        wrap=wrap))
                    channel = listener.accept()[0]
                    stack.callback(channel.close)
                    channel.settimeout(self.silence)
                    return vm, channel

                self.vm, self.channel = start()
                host = self.make_host(self.vm)
                host.guest, host.start_vm = self, start
                host.folder = folder
                try:
                    self.listen(host)
                finally:
                    self.write_times()
                    host.close()

    def stop(self):
        """Kills QEMU. Called from another thread; boot() then raises Lost."""
        if self.vm:
            self.vm.process.kill()

    def listen(self, host):
        channel = None
        begun = False       # before its start, the firmware may write there
        while True:
            if channel is not self.channel:     # a guest can move
                channel = self.channel
                lines = channel.makefile("r", encoding="ascii",
                                         errors="replace")
            try:
                line = lines.readline()
            except TimeoutError as e:
                raise Lost(f"no output for {self.silence} s") from e
            except OSError as e:
                raise Lost("the guest ended") from e
            if not line.endswith("\n"):
                raise Lost("the guest ended")
            line = line.rstrip("\r\n")
            word, _, rest = line.partition(" ")
            if not begun:
                begun = line == "begin"
                self.is_up = self.is_up or begun
                continue
            if line == "begin":
                raise Lost("the guest has started again")
            if line == "end":
                self.judge_leaks()
                return
            if line == "host die":
                self.die(host)
                return
            if word == "host":
                answer = host.answer(rest)
                if host.restarting:
                    self.restarted, begun = True, False
                    host.restarting = False
                if answer is not None:
                    self.channel.sendall((answer + "\n").encode())
            elif word == "log":
                self.kernel_said(rest)
            elif word == "leak":
                self.leaks.append(rest)
            elif word == "note":
                print("     " + rest, flush=True)
            else:
                self.result(line)
                if not self.running:
                    host.test_ended()

    def die(self, host):
        """Kills the VM with SIGKILL. The test checks the effect on other
        processes."""
        host.vm.kill()
        answer = host.answer("reap")
        self.result(f"ok {self.running}" if answer == "done"
                    else f"not ok {self.running}: {answer}")

    def result(self, line):
        m = re.fullmatch(r"(run|ok|not ok|skip) ([^:]*)(?:: (.*))?", line)
        if not m:
            raise Lost(f"unexpected line: {line!r}")
        word, test, why = m.groups()
        name = f"{self.kernel.version}/{test}"
        if test in self.done and self.restarted:
            return
        if word == "run":
            self.running, self.began = test, time.monotonic()
            return
        self.times.append((time.monotonic() - self.began, test))
        if word == "ok" and test in self.todo:
            self.report.ok(name)
        elif word == "skip" and test in self.todo:
            self.report.skip(name, why or "no reason given")
        else:
            self.report.fail(name, why or "unknown test")
        self.todo.discard(test)
        self.done.add(test)
        self.running = None

    def judge_leaks(self):
        """Reports memory that the driver has leaked. The addresses in the stack
        are those of modules, because an unloaded module has no symbols."""
        found = "\n".join(self.leaks).split("unreferenced object")[1:]
        for leak in found:
            if re.search(r"\[vmshm\]|0xffffffff[ac]0", leak):
                self.trouble.append("kmemleak: " + " ".join(leak.split()))

    def kernel_said(self, line):
        level, _, text = line.partition(" ")
        if text.startswith(MARK):
            self.mark = text.removeprefix(MARK)
            return
        if self.excused:
            self.excused = 0 if "</TASK>" in text else self.excused - 1
            return
        if any(re.search(e, text) for p, _ in self.plan for e in p.traces):
            self.excused = TRACE
            return
        expected = "|".join([USUAL] + [f"(?:{e})" for p, _ in self.plan
                                       for e in p.expected])
        # Errors before the first test come from the emulated machine.
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
        """The message with which the kernel died, or None"""
        for line in self.console():
            text = re.sub(r"^\[[^]]*\] *", "", line)
            if text != line and (ALARM.search(text)
                                 or text.startswith("Kernel panic")):
                return text
        return None

    def write_times(self):
        """Writes boot-N.times, the times of the tests, longest first."""
        path = self.log.removesuffix(".log") + ".times"
        with open(path, "w", encoding="utf-8") as f:
            for seconds, test in sorted(self.times, reverse=True):
                print(f"{seconds:6.1f} {test}", file=f)

    def tail(self):
        """Prints the end of the console."""
        lines = self.console()[-25:]
        print(f"     the end of {os.path.relpath(self.log)}:")
        for line in lines:
            print("     | " + line[:73])


class BackgroundGuest(Guest):
    """A guest in a thread, which start() starts. Its programs report no tests.
    """

    def __init__(self, kernel, number, guest, plan, build):
        super().__init__(None, kernel, number, guest, plan, build)
        self.problem = None
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

    def result(self, line):
        raise Lost(f"unexpected line: {line}")

    def kill(self):
        """Kills the whole virtual machine."""
        while self.thread.is_alive():
            self.stop()
            self.thread.join(0.1)


class OtherGuest(BackgroundGuest):
    """A second VM for a test in the first VM. The second VM runs helper
    programs, all at the same time, with the host's objects in /dev/shm. They
    can also create objects of the first VM's prefix, and make them larger."""

    def __init__(self, first, words):
        super().__init__(first.kernel, f"{first.number}-other",
                         (f"-device vmshm,id=vmshm0,{OWN}",
                          first.driver_args or "", ""), [], first.build)
        self.prefix = first.prefix
        self.programs = " ".join(words).split(";")
        self.start()

    def make_host(self, vm):
        return OtherHost(vm)

    def to_do(self):
        return ["mount vmshm0 /dev/shm",
                *(f"start {words.strip()}" for words in self.programs), "join"]

    def end(self, seconds):
        """Waits for the end of the VM. Returns the problem, or None."""
        self.thread.join(seconds)
        if self.thread.is_alive():
            return "the other VM does not end"
        return self.found()

    def found(self):
        """The problem up to now, or None"""
        return self.problem or next(iter(self.trouble), None)
