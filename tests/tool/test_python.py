# SPDX-License-Identifier: GPL-2.0-or-later
"""python/vmshm.py: channels, objects and broadcasts between processes and
threads of the host, signals, and objects with references that live longer"""

import array
import errno
import functools
import gc
import os
import select
import signal
import subprocess
import sys
import threading

import shm
from shm import fresh_name
from tool import DEADLINE, ROOT, Skip, contains, equal, folder

LIBRARY = os.path.join(ROOT, "build", "lib", "libvmshm.so.0")
MODULE = os.path.join(ROOT, "python")
ENV = {"VMSHM_LIBRARY": LIBRARY, "PYTHONPATH": MODULE}


@functools.lru_cache(None)
def library():
    """The module, with the library of this tree"""
    subprocess.run(["make", "-s", "-C", "lib"], cwd=ROOT, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.environ["VMSHM_LIBRARY"] = LIBRARY
    sys.path.insert(0, MODULE)
    import vmshm        # pylint: disable=import-outside-toplevel
    return vmshm


class Pair:
    """Two connected channels"""

    def __init__(self, ring=0):
        self.name = fresh_name()
        self.a = library().Channel(self.name, ring)
        self.b = library().Channel(self.name, mode=0)
        library().unlink(self.name)

    def __enter__(self):
        return self.a, self.b

    def __exit__(self, *_):
        self.a.close()
        self.b.close()


def raises(kind, call, *args, code=None, **more):
    try:
        call(*args, **more)
    except kind as e:
        if code is not None:
            equal(e.errno, code)
        return e
    raise AssertionError(f"no {kind.__name__}")


class Background(threading.Thread):
    """A call in a separate thread. get() returns its result."""

    def __init__(self, call, *args):
        self.call, self.args = call, args
        super().__init__(daemon=True)
        self.start()

    def run(self):
        try:
            self.result = self.call(*self.args)
        except Exception as e:      # noqa: BLE001
            self.result = e

    def get(self):
        self.join(DEADLINE)
        return self.result


def python(*args, code=0, interpreter=sys.executable, **more):
    """Runs another Python program. Returns its output."""
    done = subprocess.run([interpreter, *args], check=False, cwd=ROOT,
                          timeout=DEADLINE, env={**os.environ, **ENV},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **more)
    if done.returncode != code:
        raise AssertionError(f"exit code {done.returncode}: "
                             f"{done.stderr.decode()[-300:]}")
    return done.stdout.decode()


# Channels

def test_messages():
    with Pair() as (a, b):
        for data in (b"", b"x", b"hello", os.urandom(100000),
                     os.urandom(a.max)):
            a.send(data)
            equal(b.recv() == data, True, f"{len(data)} bytes")
            b.send(data)
            room = bytearray(len(data) + 1)
            equal(a.recv_into(room), len(data))
            equal(room[:len(data)] == data, True)
        raises(OSError, a.send, bytes(a.max + 1), code=errno.EMSGSIZE)
        a.send(b"four")
        raises(OSError, b.recv_into, bytearray(3), code=errno.EMSGSIZE)
        equal(b.recv(), b"four")


def test_kinds_of_data():
    """Each type with the buffer protocol can be sent."""
    with Pair() as (a, b):
        numbers = array.array("d", [1.5, 2.5])
        for data in (b"ab", bytearray(b"ab"), memoryview(b"ab"),
                     memoryview(bytearray(b"xabx"))[1:3], numbers,
                     memoryview(b"a-b-")[::2]):
            a.send(data)
            equal(b.recv(), bytes(data))
        a.send(array.array("d", [7]))
        b.recv_into(numbers)
        equal(numbers[0], 7.0)
        for wrong in ("text", 5, None):
            raises(TypeError, a.send, wrong)
        raises(TypeError, b.recv_into, b"read only")


def test_batches():
    with Pair(4096) as (a, b):
        messages = [b"", b"x", bytearray(b"hello"), memoryview(b"a-b-")[::2],
                    array.array("B", b"numbers"), bytes(1000)]
        equal(a.sendv(messages), len(messages))
        equal(b.recvv(2), [b"", b"x"])
        equal(b.recvv(100), [bytes(m) for m in messages[2:]])
        equal(a.sendv([]), 0)
        equal(a.sendv(iter([b"one", b"two"])), 2)
        equal(b.recvv(1), [b"one"])
        equal(b.recv(), b"two")
        raises(BlockingIOError, b.recvv, 3, timeout=0)
        raises(TimeoutError, b.recvv, 3, timeout=0.01)
        raises(ValueError, b.recvv, 0)
        raises(TypeError, a.sendv, ["text"])
        # Messages that do not fit are not sent. The next call raises the error.
        equal(a.sendv([bytes(1000)] * 10, timeout=0), 4)
        raises(BlockingIOError, a.sendv, [bytes(1000)], timeout=0)
        equal(len(b.recvv(10)), 4)
        equal(a.sendv([b"x", bytes(a.max + 1)]), 1)
        raises(OSError, a.sendv, [bytes(a.max + 1)], code=errno.EMSGSIZE)
        equal(b.recvv(10), [b"x"])
        # All messages are sent while the peer receives.
        received = []
        sending = Background(a.sendv, [bytes(900)] * 50)
        while len(received) < 50:
            received += b.recvv(7)
        equal(sending.get(), 50)
        equal(received == [bytes(900)] * 50, True)
    with Pair() as (a, b):
        # A message that is longer than the initial memory
        long = os.urandom(100000)
        equal(a.sendv([b"short", long, long]), 3)
        equal(b.recvv(10), [b"short"])
        equal(b.recvv(10) == [long, long], True)
        a.close()
        raises(BrokenPipeError, b.recvv, 1)


def test_stream():
    """A stream with more bytes than the ring buffer, and its end"""
    data = os.urandom((10 << 20) + 7)
    with Pair(ring=65536) as (a, b):
        writer = Background(a.write, data)
        got = bytearray()
        while len(got) < len(data):
            got += b.read(100000)
        equal(writer.get(), len(data))
        equal(got == data, True, "the bytes")
        a.write(b"last")
        a.shutdown()
        equal((b.read(2), b.read(0), b.read(9), b.read(9)),
              (b"la", b"", b"st", b""))
        a.drain()
        b.send(b"receiving goes on")
        equal(a.recv(), b"receiving goes on")
        raises(BrokenPipeError, a.send, b"")


def test_iteration():
    with Pair() as (a, b):
        for i in range(10):
            a.send(b"%d" % i)
        a.close()
        equal([int(m) for m in b], list(range(10)))
        raises(BrokenPipeError, b.recv)
        raises(BrokenPipeError, b.send, b"")


def test_timeouts():
    with Pair(ring=4096) as (a, b):
        for timeout in (0, -1):
            raises(BlockingIOError, b.recv, timeout)
            raises(BlockingIOError, b.read, 1, timeout)
        raises(TimeoutError, b.recv, 0.001)
        raises(TimeoutError, b.read, 1, timeout=0.001)
        fits = a.write(bytes(10000), timeout=0)
        equal(0 < fits < 10000, True, fits)
        raises(BlockingIOError, a.write, b"x" * 4096, 0)
        raises(TimeoutError, a.send, bytes(a.max), 0.001)
        raises(TimeoutError, a.drain, 0.001)
    name = fresh_name()
    with library().Channel(name) as a:
        raises(TimeoutError, a.peer, 0.001)
        with library().Channel(name, mode=0):
            a.peer()
    library().unlink(name)


def test_killed():
    """After the death of the peer, recv() returns the sent messages, and then
    raises ConnectionResetError."""
    name = fresh_name()
    with library().Channel(name) as a:
        python("-c", "import os, sys, vmshm; c = vmshm.Channel(sys.argv[1]);"
               "c.send(b'my last words'); os.kill(os.getpid(), 9)", name,
               code=-9)
        library().unlink(name)
        equal(a.recv(), b"my last words")
        raises(ConnectionResetError, a.recv)
        raises(ConnectionResetError, list, a)
        raises(ConnectionResetError, a.send, b"")


def test_open_errors():
    name = fresh_name()
    e = raises(FileNotFoundError, library().Channel, name, mode=0)
    equal(e.filename, name)
    raises(OSError, library().Channel, "/a/b", code=errno.EINVAL)
    raises(OSError, library().Channel, name, where="vmshm7",
           code=errno.ENOENT)
    with shm.Object(data=b"something else" * 1000) as o:
        raises(OSError, library().Channel, o.name, code=errno.EINVAL)
    raises(FileNotFoundError, library().unlink, name)


def test_wrong_arguments():
    """Wrong arguments raise errors. They are not truncated to valid values."""
    # These calls once crashed the interpreter.
    python("-c", """if True:
        import vmshm
        for call in (vmshm.unlink, vmshm.Channel, vmshm.SharedMemory,
                     vmshm.BroadcastReader):
            try:
                call(None)
            except TypeError:
                continue
            raise AssertionError(call)
    """)
    lib, name, much = library(), fresh_name(), 1 << 32
    for call in (lib.unlink, lib.Channel, lib.BroadcastReader):
        for wrong in ({"name": name + "\0x"}, {"name": name, "where": "/\0"}):
            raises(ValueError, call, **wrong)
    for call, *args in (
            (lib.Channel, name, -1), (lib.Channel, name, 1 << 64),
            (lib.Channel, name, 0, much + 0o600),
            (lib.SharedMemory, name, True, 1, much + 0o600),
            (lib.BroadcastWriter, name, 10, much + 2),
            (lib.BroadcastWriter, name, 10, -1),
            (lib.BroadcastWriter, name, (1 << 64) + 10, 2),
            (lib.BroadcastWriter, name, 10, 2, much + 0o600)):
        raises(OverflowError, call, *args)
        equal(os.path.exists(shm.path(name)), False, "the object is created")
    with shm.Object(4096) as o, lib.SharedMemory(o.name) as memory:
        for call, *args in ((memory.wait, 0, much), (memory.wait, 1 << 64, 1),
                            (memory.wait, 0, -1), (memory.wake, 0, much),
                            (memory.wake, -4), (memory.arm, 0, much),
                            (memory.arm, 1 << 64, 0), (memory.grow, -1),
                            (memory.grow, 1 << 64)):
            raises(OverflowError, call, *args)


def test_long_timeouts():
    """A timeout that exceeds the library's range has no limit."""
    with Pair() as (a, b):
        for timeout in (float("inf"), 1e10, 2.0 ** 63, 18446744073.8,
                        10 ** 400):
            waiter = Background(b.recv, timeout)
            while not b._handle._calls and waiter.is_alive():
                pass
            a.send(b"x")
            equal(waiter.get(), b"x")
            a.spin(timeout)
        raises(ValueError, b.recv, float("nan"))


def test_empty_room():
    """A buffer of 0 bytes receives a message of 0 bytes."""
    with Pair() as (a, b):
        a.send(b"")
        equal(b.recv_into(bytearray(0)), 0)
        a.send(b"x")
        raises(OSError, b.recv_into, bytearray(0), code=errno.EMSGSIZE)
        raises(TypeError, b.recv_into, b"")
        equal(b.recv(), b"x")


def test_event_loop():
    with Pair() as (a, b):
        equal(b.arm(), False)
        equal(select.select([b], [], [], 0)[0], [])
        a.send(b"x")
        equal(select.select([b], [], [], DEADLINE)[0], [b])
        equal(b.arm(), True)
        equal(b.recv(), b"x")
        equal(b.arm(), False)
        a.close()
        equal(select.select([b], [], [], DEADLINE)[0], [b])


def test_spin():
    for seconds in (None, 0, 1e-5):
        with Pair() as (a, b):
            a.spin(seconds)
            waiter = Background(a.recv)
            b.send(b"x")
            equal(waiter.get(), b"x")
            raises(TimeoutError, a.recv, 0.001)
            raises(TimeoutError, a.recv, 0.15)


# Signals

class Alarms:
    """Repeats SIGALRM, because a single one may arrive before the call."""

    def __init__(self, handler):
        self.handler = handler

    def __enter__(self):
        self.old = signal.signal(signal.SIGALRM, self.handler)
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.old)


def interrupted(call):
    """Checks that KeyboardInterrupt, as by Ctrl-C, ends the call."""
    wanted = []

    def handler(*_):
        if wanted:
            wanted.pop()
            raise KeyboardInterrupt

    def begin():
        wanted.append(True)
        call()

    with Alarms(handler):
        raises(KeyboardInterrupt, begin)


def test_interrupted():
    """Each call can be interrupted. The objects can be used afterwards."""
    name = fresh_name()
    with Pair(ring=4096) as (a, b), \
            library().SharedMemory(name, create=True, size=4096) as memory:
        memory.unlink()
        for call in (b.recv, lambda: b.read(1), lambda: list(b),
                     lambda: b.recv_into(bytearray(9)),
                     lambda: memory.wait(0, 0),
                     lambda: a.write(bytes(1 << 20)),
                     lambda: a.send(bytes(a.max)), a.drain):
            interrupted(call)
        while True:
            try:
                b.read(4096, timeout=0)
            except BlockingIOError:
                break
        a.send(b"it still works")
        equal(b.recv(), b"it still works")


SPINS = """if True:
    import signal, sys, vmshm
    name, which, seconds = sys.argv[1:]
    a = vmshm.Channel(name, ring=4096)
    b = vmshm.Channel(name, mode=0)
    vmshm.unlink(name)
    a.spin(None if seconds == "None" else float(seconds))
    calls = {
        "recv": a.recv,
        "recv_into": lambda: a.recv_into(bytearray(1), timeout=1000),
        "read": lambda: a.read(1),
        "write": lambda: a.write(bytes(1 << 20)),
        "send": lambda: a.send(bytes(a.max)),
        "drain": a.drain,
    }
    if which in ("send", "drain"):
        a.send(b"x")
    def handler(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        calls[which]()
    except KeyboardInterrupt:
        pass
    else:
        sys.exit("it has not been interrupted")
    while True:
        try:
            b.read(4096, timeout=0)
        except BlockingIOError:
            break
    a.send(b"it still works")
    assert b.recv() == b"it still works"
"""


def test_interrupted_spinning():
    """A busy-polling call can be interrupted, although the library itself does
    not handle signals while it busy-polls."""
    library()
    for which in ("recv", "recv_into", "read", "write", "send", "drain"):
        python("-c", SPINS, fresh_name(), which, "None")
    python("-c", SPINS, fresh_name(), "recv", "1000")


def test_handled():
    """After a handler returns, the wait continues until the same deadline."""
    count = []
    with Pair(ring=4096) as (a, b), Alarms(lambda *_: count.append(1)):
        while len(count) < 10:
            raises(TimeoutError, b.recv, 0.02)
        data = os.urandom(1 << 20)
        reader = Background(lambda: b"".join(iter(lambda: b.read(1000), b"")))
        equal(a.write(data), len(data))
        a.shutdown()
        equal(reader.get() == data, True, "the bytes, in spite of signals")


# Lifetimes

def test_closed():
    with Pair() as (a, b):
        a.close()
        a.close()
        for call in (a.recv, a.shutdown, lambda: a.send(b""), a.fileno,
                     lambda: a.read(1), lambda: a.spin(0)):
            contains(str(raises(ValueError, call)), "closed")
        raises(BrokenPipeError, b.recv)


def test_closed_in_use():
    """close() does not close the pointer while another thread uses it."""
    with Pair() as (a, b):
        inside = threading.Event()

        def wait():
            inside.set()
            return a.recv()

        waiter = Background(wait)
        inside.wait(DEADLINE)
        try:
            # The other thread is just before the call or in the call.
            a.close()
        except OSError as e:
            equal(e.errno, errno.EBUSY)
            b.send(b"x")
            equal(waiter.get(), b"x")
        else:
            equal(type(waiter.get()), ValueError)


def test_two_threads_receive():
    """Two threads receive each message exactly once."""
    with Pair() as (a, b):
        readers = [Background(list, b) for _ in range(4)]
        for i in range(2000):
            a.send(b"%d" % i)
        a.close()
        got = sorted(int(m) for r in readers for m in r.get())
        equal(got, list(range(2000)))


def test_forgotten():
    """The end of the last reference closes a channel."""
    pair = Pair()
    del pair.a
    gc.collect()
    raises(BrokenPipeError, pair.b.recv)
    pair.b.close()


def in_child(call):
    """Whether the call returns true in a forked child before the deadline"""
    child = os.fork()
    if not child:
        signal.alarm(DEADLINE)
        code = 1
        try:
            code = 0 if call() else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def refused(*calls):
    """Whether all calls are refused, because another process opened the objects
    """
    return all("parent" in str(raises(ValueError, call)) for call in calls)


def test_fork_in_use():
    """A child that is forked during calls of other threads does not wait."""
    name = fresh_name()
    with Pair(ring=4096) as (a, b), \
            library().BroadcastWriter(name, 10, 10) as writer, \
            library().BroadcastReader(name) as reader:
        library().unlink(name)
        threads = [Background(a.recv),
                   Background(a.write, bytes(1 << 20)),
                   Background(reader.recv)]
        while len(a._handle._calls) < 2 or not reader._handle._calls:
            equal(all(t.is_alive() for t in threads), True, "they wait")
        calls = (a.recv, lambda: a.read(1), lambda: a.recv_into(bytearray(1)),
                 lambda: a.send(b"x"), lambda: a.write(b"x"), a.drain,
                 a.shutdown, lambda: a.spin(0), a.arm, a.fileno, reader.recv)
        try:
            equal(in_child(lambda: refused(*calls)), True, "calls")
            equal(in_child(lambda: (a.close(), a.close(), reader.close())),
                  True, "close()")
        finally:
            b.send(b"x")
            writer.send(b"y")
            b.close()
            got = [thread.get() for thread in threads]
        equal((got[0], got[2]), (b"x", b"y"))


def test_fork():
    """A child cannot use the parent's objects. The end of the child does not
    close them."""
    with Pair() as (a, b):
        child = os.fork()
        if not child:
            code = 1
            try:
                a.send(b"from the child")
            except ValueError:
                before = len(os.listdir("/proc/self/fd"))
                a.close()
                del a
                gc.collect()
                # The child's copy is released.
                code = len(os.listdir("/proc/self/fd")) != before - 1
            finally:
                os._exit(code)
        equal(os.waitpid(child, 0)[1], 0)
        a.send(b"x")
        equal(b.recv(), b"x")


# Objects

def test_memory():
    name = fresh_name()
    with library().SharedMemory(name, create=True, size=5000,
                                mode=0o640) as a:
        equal(os.stat(shm.path(name)).st_mode & 0o777, 0o640)
        raises(FileExistsError, library().SharedMemory, name, create=True,
               size=1)
        with library().SharedMemory(name, readonly=True) as b:
            a.buf[10:15] = b"hello"
            equal(bytes(b.buf[10:15]), b"hello")
            equal(len(b.buf), 5000)
            raises(TypeError, b.buf.__setitem__, 0, 1)
            raises(OSError, b.grow, 10000, code=errno.EBADF)
            a.grow(10000)
            equal((a.size, b.size, len(a.buf)), (10000, 10000, 5000))
        a.unlink()
        raises(FileNotFoundError, library().SharedMemory, name)
    # An invalid size neither creates nor removes an object.
    for size, kind in ((-1, OverflowError), (1 << 64, OverflowError),
                       (1.5, TypeError), ("1", TypeError),
                       ((1 << 63) - 1, OSError), (1 << 63, OSError)):
        raises(kind, library().SharedMemory, name, create=True, size=size)
        equal(os.path.exists(shm.path(name)), False, size)
        with shm.Object() as o:
            raises(kind if kind is not OSError else FileExistsError,
                   library().SharedMemory, o.name, create=True, size=size)
            equal(os.path.exists(shm.path(o.name)), True)
    with shm.Object() as o, library().SharedMemory(o.name) as empty:
        raises(OSError, lambda: empty.buf, code=errno.ENODATA)
        empty.grow(1)
        equal(bytes(empty.buf), b"\0")


def test_memory_in_use():
    """Views that live longer than the object raise an error, or keep the
    mapping."""
    with shm.Object(4096) as o:
        memory = library().SharedMemory(o.name)
        view = memory.buf[:4].cast("I")
        raises(BufferError, memory.close)
        view[0] = 7
        equal(memory.buf[0], 7)
        view.release()
        memory.close()
        raises(ValueError, lambda: memory.size)
        memory = library().SharedMemory(o.name)
        view = memory.buf[:4].cast("I")
        del memory
        gc.collect()
        view[0] = 8
        equal(o.read(0, 4), b"\x08\0\0\0")
        # An exception in the block takes precedence over that about the view.
        with_view = None
        try:
            with library().SharedMemory(o.name) as memory:
                with_view = memory.buf[:]
                raise KeyError("first")
        except KeyError:
            pass
        with_view.release()


def test_wait_and_wake():
    with shm.Object(4096) as o, library().SharedMemory(o.name) as a, \
            library().SharedMemory(o.name) as b:
        a.wait(0, 1)
        raises(TimeoutError, a.wait, 0, 0, 0.001)
        raises(OSError, a.wait, 2, 0, code=errno.EINVAL)
        raises(OSError, a.wait, 1 << 20, 0, code=errno.EFAULT)

        def until(value):
            word = a.buf[:4].cast("I")
            while (seen := word[0]) != value:
                a.wait(0, seen)
            word.release()

        waiter = Background(until, 3)
        word = b.buf[:4].cast("I")
        for value in (1, 2, 3):
            word[0] = value
            b.wake(0)
        equal(waiter.get(), None)
        a.arm(0, 3)
        equal(select.select([a], [], [], 0)[0], [])
        word[0] = 4
        b.wake(0, 1)
        equal(select.select([a], [], [], DEADLINE)[0], [a])
        word.release()


# Broadcasts

def test_broadcast():
    name = fresh_name()
    with library().BroadcastWriter(name, 100, 64) as writer, \
            library().BroadcastReader(name) as one, \
            library().BroadcastReader(name) as other:
        raises(OSError, library().BroadcastWriter, name, 100, 64,
               code=errno.EBUSY)
        library().unlink(name)
        raises(BlockingIOError, one.recv, 0)
        raises(TimeoutError, one.recv, 0.001)
        waiter = Background(one.recv)
        writer.send(b"first")
        equal(waiter.get(), b"first")
        raises(OSError, writer.send, bytes(101), code=errno.EMSGSIZE)
        for i in range(1000):
            writer.send(b"%d" % i)
        writer.close()
        got = [(int(m), one.lost) for m in one]
        equal(got[-1], (999, 0))
        equal(got[0][1] > 0 and got[0][0] == got[0][1], True, got[0])
        equal(sum(lost + 1 for _, lost in got), 1000)
        equal(len(list(other)) <= 64, True)
        raises(BrokenPipeError, one.recv)


def test_broadcast_killed():
    name = fresh_name()
    try:
        python("-c", "import os, sys, vmshm;"
               "w = vmshm.BroadcastWriter(sys.argv[1], 10, 10);"
               "os.kill(os.getpid(), 9)", name, code=-9)
        with library().BroadcastReader(name) as reader:
            raises(ConnectionResetError, reader.recv)
    finally:
        os.unlink(shm.path(name))


# The examples of the documentation

def page_example(language):
    """The first example of a language in vmshm(3), with another name of the
    object"""
    with open(os.path.join(ROOT, "docs/man/vmshm.3"), encoding="utf-8") as f:
        examples = f.read().split(".Bd -literal -offset indent\n")[1:]
    start = {"c": "#include", "python": "import"}[language]
    text = next(e for e in examples if e.startswith(start))
    name = fresh_name()
    return name, text.split(".Ed\n")[0].replace("\\e", "\\").replace(
        "/words", name)


def meet(command, name):
    """Checks that two processes print the other's words."""
    with subprocess.Popen([*command, "ping"], stdout=subprocess.PIPE,
                          env={**os.environ, **ENV}) as other:
        done = subprocess.run([*command, "pong"], stdout=subprocess.PIPE,
                              check=True, timeout=DEADLINE,
                              env={**os.environ, **ENV})
        equal((done.stdout, other.communicate(timeout=DEADLINE)[0]),
              (b"ping\n", b"pong\n"))
    os.unlink(shm.path(name))


def test_example_in_c():
    """The example is built against the installed library, with pkg-config."""
    name, text = page_example("c")
    with folder() as here:
        subprocess.run(["make", "-s", "-C", "lib", "install",
                        "OUT=" + here, "PREFIX=" + here], cwd=ROOT,
                       check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
        with open(here + "/x.c", "w", encoding="ascii") as f:
            f.write(text)
        subprocess.run(
            ["sh", "-ec", "cc -Wall -Wextra -Werror -o x x.c "
             "$(pkg-config --cflags --libs vmshm)"], cwd=here, check=True,
            env={**os.environ, "PKG_CONFIG_PATH": here + "/lib/pkgconfig"})
        meet(["env", f"LD_LIBRARY_PATH={here}/lib", here + "/x"], name)


def test_example_in_python():
    library()
    name, text = page_example("python")
    meet([sys.executable, "-c", text], name)


def test_example_array():
    library()
    for interpreter in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([interpreter, "-c", "import numpy"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0:
            break
    else:
        raise Skip("no numpy; Debian: apt install python3-numpy")
    name = fresh_name()
    command = [interpreter, "examples/array.py"]
    with subprocess.Popen([*command, "host", name], cwd=ROOT,
                          stdout=subprocess.PIPE,
                          env={**os.environ, **ENV}) as host:
        while not os.path.exists(shm.path(name)) or \
                not os.path.getsize(shm.path(name)):
            equal(host.poll(), None, "the host has ended")
        python("examples/array.py", "guest", name, interpreter=interpreter)
        contains(host.communicate(timeout=DEADLINE)[0].decode(),
                 "sum of the roots: 666666166.45")
    equal(os.path.exists(shm.path(name)), False)


def test_install():
    with folder() as here:
        for verb, there in (("install", True), ("uninstall", False)):
            subprocess.run(["make", "-s", "-C", "python", verb,
                            "DESTDIR=" + here, "PYTHONDIR=/x"], cwd=ROOT,
                           check=True, stdin=subprocess.DEVNULL)
            equal(os.path.exists(here + "/x/vmshm.py"), there)


def test_no_library():
    done = subprocess.run(
        [sys.executable, "-c", "import vmshm"], check=False,
        env={**os.environ, **ENV, "VMSHM_LIBRARY": "/nonexistent.so"},
        stderr=subprocess.PIPE)
    contains(done.stderr.decode(), "/nonexistent.so", "make install")
