# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of t_host(): t.h has the list of requests."""

import array
import json
import os
import resource
import subprocess
import sys
import threading
import time
import zlib

import futex
import shm
from qemu import Lost, QmpError, die_with_parent

from . import python, semaphore
from .build import FOLDER
from .host_dds import HostDds
from .host_move import HostMove, Refused
from .host_rpc import HostRpc
from .host_tool import HostTool
from .program import HELPERS

SHM = "/dev/shm"
FUTEX_WAITV = 449       # of Linux on x86-64


# The following limits are those of a kernel of Debian; see Kernel.patience.

# Seconds after which missing waiters are lost
PATIENCE = 150

# Seconds for a guest to release an unplugged device. ACPI needs milliseconds.
GONE = 100

# Seconds for another VM to boot and to run its programs
OTHER_END = 150

# Seconds after which a guest that sleeps has missed its alarm
OVERSLEPT = 6


# The size in KiB of a mapping that is not a heap; see do_heap()
HEAP_LIMIT = 128 << 10


# The guest that sent the request no longer exists.
NO_ANSWER = object()


def fill_bytes(length, seed):
    """The bytes of t_fill()."""
    start = seed * 0x9e3779b1
    words = array.array("I", ((start + i) & 0xffffffff
                              for i in range(length // 4 + 1)))
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()[:length]


class Host(HostDds, HostMove, HostRpc, HostTool):
    """Serves the requests of a guest. close() removes all objects."""

    # The prefix of the names of a run's objects, unless the run has more guests
    PREFIX = "/" + shm.PREFIX

    def __init__(self, vm, other=None, prefix=PREFIX, slower=1):
        self.vm, self.prefix = vm, prefix
        # The factor for the limits above
        self.slower = slower
        # A function that starts another VM, and that VM
        self.start_other, self.other = other, None
        self.children = []
        self.many = set()           # paths
        self.limits = {}            # QEMU's own, see do_scarce()
        self.kept = {}
        # The guest ends and starts again.
        self.restarting = False
        self.waiters = {}
        self.trace_at = 0
        self.awake = threading.Event()

    def close(self):
        """Ends all processes and removes all objects of the run, also those
        that the guest has created."""
        if self.service:
            self.service.kill()
        if self.tool:
            self.tool.kill()
        for child in self.children:
            child.kill()
            child.wait()
        if self.other:
            self.other.kill()
        self.awake.set()
        shm.remove_all(self.prefix[1:])

    def answer(self, line):
        """The answer to a request: the part of a line after "host " """
        verb, *words = line.split()
        method = getattr(self, "do_" + verb, None)
        if not method:
            return f"fail no such request: {verb}"
        try:
            text = method(*words)
        except (OSError, Refused, QmpError, TypeError, ValueError) as e:
            return f"fail {e}"
        if text is NO_ANSWER:
            return None
        return "done" if text in (None, "") else f"done {text}"

    def path(self, name):
        """The path of an object. Only objects of this run are allowed."""
        if not name.startswith(self.prefix):
            raise Refused(f"{name} does not begin with {self.prefix}")
        if "/" in name[1:]:
            raise Refused(f"{name} is not an object's name")
        return SHM + name

    def free_path(self, name):
        """The path of an object that does not exist yet"""
        path = self.path(name)
        if os.path.lexists(path):
            raise Refused(f"{name} exists")
        return path

    # Objects

    def do_create(self, name, size, mode="600"):
        fd = os.open(self.free_path(name),
                     os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(fd, int(size))
            os.fchmod(fd, int(mode, 8))
        finally:
            os.close(fd)

    def test_ended(self):
        """Removes the objects of the request "many". The devices count all
        objects that their guest may know, also those of other guests. Ends the
        processes that a test that failed has left, which the next test would
        wait for."""
        self.do_ample()
        for path in self.many:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        self.many.clear()
        for child in self.children:
            child.kill()
            child.wait()
        self.children.clear()

    def do_many(self, name, count, size):
        for number in range(int(count)):
            self.many.add(self.path(f"{name}{number}"))
            self.do_unlink(f"{name}{number}")
            self.do_create(f"{name}{number}", size)
            with open(self.path(f"{name}{number}"), "r+b") as f:
                f.write(number.to_bytes(4, "little"))

    def do_truncate(self, name, size):
        os.truncate(self.path(name), int(size))

    def do_unlink(self, name):
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            pass

    def do_write(self, name, offset, data):
        with open(self.path(name), "r+b", buffering=0) as f:
            f.seek(int(offset))
            f.write(bytes.fromhex(data))

    def do_read(self, name, offset, length):
        return self._bytes(name, offset, length).hex()

    def do_text(self, name, offset="0"):
        data = self._bytes(name, offset, 1024).split(b"\0")[0]
        return data.decode("ascii", errors="replace").replace("\n", "?")

    def do_fill(self, name, offset, length, seed):
        with open(self.path(name), "r+b", buffering=0) as f:
            f.seek(int(offset))
            f.write(fill_bytes(int(length), int(seed)))

    def do_sum(self, name, offset, length):
        return zlib.adler32(self._bytes(name, offset, length))

    def _bytes(self, name, offset, length):
        with open(self.path(name), "rb", buffering=0) as f:
            f.seek(int(offset))
            return f.read(int(length))

    def do_size(self, name):
        return os.stat(self.path(name)).st_size

    def do_mode(self, name, mode):
        os.chmod(self.path(name), int(mode, 8))

    def do_owner(self, name, uid, gid):
        os.chown(self.path(name), int(uid), int(gid))

    def do_bits(self, name):
        return format(os.stat(self.path(name)).st_mode & 0o7777, "o")

    def do_blocks(self, name):
        return str(os.stat(self.path(name)).st_blocks)

    def do_hex(self, verb, name):
        if verb not in ("create", "unlink"):
            raise Refused(verb)
        name = os.fsdecode(bytes.fromhex(name))
        if verb == "create":
            self.do_create(name, 4096)
        else:
            self.do_unlink(name)

    def do_python(self, verb, name, *text):
        self.path(name)
        if verb in ("create", "newlist"):
            self.free_path(name)
        done = subprocess.run(
            [sys.executable, "-I", "-S",
             os.path.join(HELPERS, "shared_memory.py"), verb, name[1:],
             *([" ".join(text)] if text else [])], check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        said = done.stdout.decode().strip().replace("\n", "|")
        if done.returncode:
            raise Refused(said)
        return said

    def do_semaphore_post(self, name):
        self.path(name)
        return semaphore.post(name)

    def do_mkdir(self, name):
        os.mkdir(self.free_path(name))

    def do_mkfifo(self, name):
        os.mkfifo(self.free_path(name))

    def do_link(self, name, second):
        os.link(self.path(name), self.free_path(second))

    def do_symlink(self, name, target):
        os.symlink(self.path(target)[len(SHM) + 1:], self.free_path(name))

    def _mapped(self):
        """The files of QEMU's mappings."""
        with open(f"/proc/{self.vm.pid}/maps", encoding="utf-8",
                  errors="surrogateescape") as f:
            files = [line.split(maxsplit=5)[5:] for line in f]
        # The name of an unlinked object ends with " (deleted)".
        return [f[0].strip().removesuffix(" (deleted)") for f in files if f]

    # QEMU has a mount namespace of its own. In a chroot, the paths begin at the
    # root of that namespace, not at the root of this process.
    def do_mapped(self, name):
        path = self.path(name)
        return str(sum(f.endswith(path) for f in self._mapped()))

    def do_mapped_all(self):
        return str(sum(SHM + self.prefix in f for f in self._mapped()))

    def do_descriptors(self):
        return str(len(os.listdir(f"/proc/{self.vm.pid}/fd")))

    def do_memory(self):
        """The mapped and the resident memory of QEMU, in KiB"""
        with open(f"/proc/{self.vm.pid}/status", encoding="ascii") as f:
            status = dict(line.split(":", 1) for line in f)
        return " ".join(status[key].split()[0] for key in ("VmSize", "VmRSS"))

    def do_heap(self):
        """The resident memory of QEMU's heap and of the stacks of its threads,
        in KiB. The guest's memory is larger, and emulated code is executable.
        """
        total = counts = 0
        with open(f"/proc/{self.vm.pid}/smaps", encoding="utf-8",
                  errors="surrogateescape") as f:
            for line in f:
                words = line.split()
                if not words[0].endswith(":"):
                    counts = (words[1] == "rw-p"
                              and words[5:] in ([], ["[heap]"]))
                elif words[0] == "Size:" and int(words[1]) >= HEAP_LIMIT:
                    counts = False
                elif words[0] == "Private_Dirty:" and counts:
                    total += int(words[1])
        return total

    def do_scarce(self, size):
        """QEMU can map SIZE bytes more, and gets no further descriptor. It
        could not poll with a limit below the number of its descriptors."""
        mapped = int(self.do_memory().split()[0]) << 10
        used = {int(fd) for fd in os.listdir(f"/proc/{self.vm.pid}/fd")}
        free = min(set(range(len(used) + 1)) - used)
        for limit, value in ((resource.RLIMIT_AS, mapped + int(size)),
                             (resource.RLIMIT_NOFILE, free)):
            own = resource.prlimit(self.vm.pid, limit)
            self.limits.setdefault(limit, own)
            resource.prlimit(self.vm.pid, limit, (value, own[1]))

    def do_ample(self):
        while self.limits:
            resource.prlimit(self.vm.pid, *self.limits.popitem())

    # Tests that continue after a restart of the guest

    def do_keep(self, key, *words):
        self.kept[key] = " ".join(words)

    def do_kept(self, key):
        return self.kept.get(key, "")

    def do_restart(self, *command):
        self.restarting = True
        if not command:
            return ""
        self._hmp(" ".join(command))
        return NO_ANSWER

    def do_asleep(self):
        """The guest is going to sleep until an alarm of its clock. On a busy
        host, the alarm may come before it sleeps; then it is woken up here."""
        self.vm.forget("SUSPEND")
        self.awake.clear()
        threading.Thread(target=self._wake_up, daemon=True).start()

    def do_awake(self):
        self.awake.set()
        self.vm.qmp("query-status")         # this also receives events
        return "slept" if any(e["event"] == "SUSPEND"
                              for e in self.vm.events) else ""

    def _wake_up(self):
        while not self.awake.wait(OVERSLEPT * self.slower):
            try:
                self.vm.qmp("system_wakeup")
            except (Lost, QmpError, ValueError):
                pass        # it does not sleep, or has ended

    # Waiting and waking

    def do_wake(self, name, offset, count, bits=futex.ALL_BITS):
        return str(futex.wake(self.path(name), int(offset), int(count),
                              int(bits)))

    def do_requeue(self, name, offset, target):
        return str(futex.requeue(self.path(name), int(offset), int(target)))

    def do_wait(self, name, offset, expected, bits=futex.ALL_BITS):
        waiter = futex.Waiter(self.path(name), int(offset), int(expected),
                              int(bits))
        self.waiters.setdefault(name, []).append(waiter)
        while not waiter.asleep and not waiter.done:
            os.sched_yield()

    def do_waiting(self, name, offset, count):
        limit = PATIENCE * self.slower
        end = time.monotonic() + limit
        while futex.waiters(self.path(name), int(offset)) < int(count):
            if time.monotonic() > end:
                raise Refused(f"fewer than {count} wait after {limit} s")
            os.sched_yield()

    def do_nobody_waits(self, name, offset):
        limit = PATIENCE * self.slower
        end = time.monotonic() + limit
        while futex.waiters(self.path(name), int(offset)):
            if time.monotonic() > end:
                raise Refused(f"a waiter is there after {limit} s")
            os.sched_yield()

    def do_waited(self, name):
        return str(sum(w.done for w in self.waiters[name]))

    def do_spawn(self, program, name, *words):
        file = os.path.join(FOLDER, program)
        self.children.append(subprocess.Popen(
            [file, self.path(name), *words], stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent))

    def do_spawn_turns(self, name, *words):
        self.path(name)
        self.children.append(subprocess.Popen(
            [os.path.join(FOLDER, "turns"), name, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            preexec_fn=die_with_parent))

    def do_python_spawn(self, file, *words):
        for name in words:
            if name.startswith("/"):
                self.path(name)
        self.children.append(subprocess.Popen(
            python.command(file, *words), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, preexec_fn=die_with_parent,
            env={**os.environ, **python.ENVIRONMENT}))

    def do_reap(self):
        said = b""
        while self.children:
            child = self.children.pop()
            try:
                code = child.wait(timeout=PATIENCE * self.slower)
            except subprocess.TimeoutExpired:
                self.children.append(child)
                raise Refused("the process does not end") from None
            if code:
                raise Refused(f"exit code {code}")
            if child.stdout:
                said += child.stdout.read()
        return said.decode().strip().replace("\n", "|")

    # QEMU

    def do_device_add(self, options):
        self._hmp("device_add " + options)

    def do_cpu_add(self, ident):
        """Adds the first processor that the machine does not have."""
        free = [c for c in self.vm.qmp("query-hotpluggable-cpus")
                if "qom-path" not in c]
        if not free:
            raise Refused("the machine has all its processors")
        cpu = min(free, key=lambda c: sorted(c["props"].items()))
        self.vm.qmp("device_add", driver=cpu["type"], id=ident, **cpu["props"])

    def do_device_del(self, ident):
        self.do_unplug(ident)
        self.do_gone(ident)

    def do_unplug(self, ident):
        self.vm.qmp("device_del", id=ident)

    def do_gone(self, ident):
        limit = GONE * self.slower
        end = time.monotonic() + limit
        while time.monotonic() < end:
            self.vm.qmp("query-status")     # this also receives events
            for e in self.vm.events:
                if e["event"] == "DEVICE_DELETED" \
                   and e["data"].get("device") == ident:
                    self.vm.events.remove(e)
                    return
            time.sleep(0.01)
        raise Refused(f"{ident} is still there after {limit} s")

    def do_hmp(self, *words):
        lines = self.vm.hmp(" ".join(words)).splitlines()
        return "|".join(line.strip() for line in lines)

    def do_qmp(self, *words):
        request = json.loads(" ".join(words))
        answer = self.vm.qmp(request["execute"],
                             **request.get("arguments", {}))
        return json.dumps(answer)

    def do_sleepers(self):
        """The number of the device's slots that wait on the host, and how often
        the threads of its slots have run"""
        waiting = runs = 0
        for task in os.listdir(f"/proc/{self.vm.pid}/task"):
            folder = f"/proc/{self.vm.pid}/task/{task}/"
            try:
                with open(folder + "status", encoding="ascii") as f:
                    status = dict(line.split(":", 1) for line in f)
                with open(folder + "syscall", encoding="ascii") as f:
                    call = f.read().split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue        # it has ended
            if status["Name"].strip() == "vmshm-wait":
                waiting += call == str(FUTEX_WAITV)
                runs += sum(int(status[k]) for k in status
                            if k.endswith("voluntary_ctxt_switches"))
        return f"{waiting} {runs}"

    def do_accesses(self, verb, device="vmshm"):
        """Counts register accesses in the trace that QEMU writes to the file of
        its argument -D. The names of registers begin with that of the device.
        """
        with open(f"/proc/{self.vm.pid}/cmdline", encoding="utf-8") as f:
            args = f.read().split("\0")
        trace = args[args.index("-D") + 1]
        for event in ("read", "write"):
            self.vm.qmp("trace-event-set-state",
                        name=f"memory_region_ops_{event}", enable=verb == "on")
        if verb == "on":
            self.trace_at = os.path.getsize(trace)
            return ""
        with open(trace, encoding="utf-8") as f:
            f.seek(self.trace_at)
            return sum(f"name '{device}-" in line for line in f)

    def _hmp(self, line):
        said = self.vm.hmp(line).strip()
        if said:
            raise Refused(said)

    # Another VM

    def do_machine(self, *words):
        self.do_machine_kill()
        self.other = self.start_other(words)

    def do_machine_kill(self):
        if self.other:
            self.other.kill()
            self.other = None

    def do_machine_works(self):
        why = self.other.found()
        if why:
            raise Refused(why)

    def do_machine_end(self):
        why = self.other.end(OTHER_END * self.slower)
        self.do_machine_kill()
        if why:
            raise Refused(why)

    def do_ping(self):
        pass


class OtherHost:
    """The host's side of another VM, whose programs send no requests"""

    restarting = False

    def __init__(self, vm):
        self.vm = vm

    def answer(self, line):
        return f"fail {line}"

    def close(self):
        pass
