# SPDX-License-Identifier: MIT
"""Shared memory between a host and its guests, with libvmshm.

The same calls on both sides:

    SharedMemory        an object of the host, its bytes, wait() and wake()
    Channel             two parties that send each other messages, or bytes
    BroadcastWriter     one that writes for
    BroadcastReader     any number of readers

`where` is None (the program looks by itself), a guest's device ("vmshm1") or a
folder ("/dev/shm"). `timeout` is in seconds; None waits for ever, 0 does not
wait. What goes wrong is an OSError: TimeoutError, BlockingIOError (timeout 0),
BrokenPipeError (the peer has closed), ConnectionResetError (it was killed, or
its virtual machine was), FileNotFoundError, ... vmshm(3) has them all. A wrong
argument is a ValueError, OverflowError or TypeError, and so is the use of what
is closed, or belongs to the parent process: ValueError.

All have close() and are context managers. The library is libvmshm.so.0, or what
the environment variable VMSHM_LIBRARY names.
"""

import ctypes
import errno
import mmap
import operator
import os
import threading
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_int64, c_size_t
from ctypes import c_ssize_t, c_uint32, c_uint64, c_void_p

__all__ = ["SharedMemory", "Channel", "BroadcastWriter", "BroadcastReader",
           "unlink"]

_FOREVER, _NOW = -1, 0
# What is longer has no end, nanoseconds: 146 years
_LONGEST = 1 << 62
# Of a wait that no signal ends, at a time; nanoseconds
_SLICE = 100_000_000
_MODE = c_uint32        # mode_t


class _Message(ctypes.Structure):
    """struct vmshm_message"""

    _fields_ = [("data", c_void_p), ("size", c_size_t), ("length", c_size_t)]


def _load():
    """The library, with the types of what is called here."""
    name = os.environ.get("VMSHM_LIBRARY", "libvmshm.so.0")
    try:
        lib = ctypes.CDLL(name)
    except OSError as e:
        raise ImportError(f"{e}; is libvmshm installed (make install; "
                          "ldconfig)?") from None
    handle = POINTER(c_void_p)
    size, data = POINTER(c_size_t), POINTER(c_void_p)
    for result, function, *types in (
            (c_int64, "deadline", c_int64),
            (c_int, "open", handle, c_char_p, c_char_p, c_int, _MODE),
            (None, "close", c_void_p),
            (c_int, "unlink", c_char_p, c_char_p),
            (c_int, "fd", c_void_p),
            (c_int, "size", c_void_p, POINTER(c_uint64)),
            (c_int, "grow", c_void_p, c_uint64),
            (c_int, "wait", c_void_p, c_uint64, c_uint32, c_int64),
            (c_int, "wake", c_void_p, c_uint64, c_uint32),
            (c_int, "poll_fd", c_void_p),
            (c_int, "poll_arm", c_void_p, c_uint64, c_uint32),
            (c_int, "channel_open", handle, c_char_p, c_char_p, c_size_t,
             _MODE),
            (None, "channel_close", c_void_p),
            (c_int, "channel_peer", c_void_p, c_int64),
            (c_size_t, "channel_max", c_void_p),
            (c_int, "channel_send", c_void_p, c_void_p, c_size_t, c_int64),
            (c_ssize_t, "channel_recv", c_void_p, c_void_p, c_size_t,
             c_int64),
            (c_ssize_t, "channel_sendv", c_void_p, POINTER(_Message), c_size_t,
             c_int64),
            (c_ssize_t, "channel_recvv", c_void_p, POINTER(_Message), c_size_t,
             c_int64),
            (c_int, "channel_peek", c_void_p, data, size, c_int64),
            (c_int, "channel_release", c_void_p),
            (c_ssize_t, "channel_write", c_void_p, c_void_p, c_size_t,
             c_int64),
            (c_ssize_t, "channel_read", c_void_p, c_void_p, c_size_t,
             c_int64),
            (c_int, "channel_drain", c_void_p, c_int64),
            (c_int, "channel_shutdown", c_void_p),
            (None, "channel_spin", c_void_p, c_int64),
            (c_int, "channel_fd", c_void_p),
            (c_int, "channel_arm", c_void_p),
            (c_int, "broadcast_create", handle, c_char_p, c_char_p, c_size_t,
             c_uint32, _MODE),
            (c_int, "broadcast_open", handle, c_char_p, c_char_p),
            (None, "broadcast_close", c_void_p),
            (c_size_t, "broadcast_max", c_void_p),
            (c_int, "broadcast_send", c_void_p, c_void_p, c_size_t),
            (c_ssize_t, "broadcast_recv", c_void_p, c_void_p, c_size_t,
             POINTER(c_uint64), c_int64)):
        call = getattr(lib, "vmshm_" + function)
        call.restype, call.argtypes = result, types
    return lib


_lib = _load()


def _check(result, name=None):
    """What the library returns, if it is no error."""
    if result is None or result >= 0:
        return result
    raise OSError(-result, os.strerror(-result), *[name] * (name is not None))


def _nanoseconds(seconds):
    if seconds is None or seconds >= _LONGEST / 1e9:
        return _FOREVER
    return round(seconds * 1e9)


def _deadline(timeout):
    """Seconds from now as the library has it."""
    if timeout is None:
        return _FOREVER
    if timeout <= 0:
        return _NOW
    return _lib.vmshm_deadline(_nanoseconds(timeout))


def _fits(number, bits):
    """The number; ctypes would cut off what does not fit."""
    if not 0 <= number < 1 << bits:
        raise OverflowError(f"{number} is no number of {bits} bits")
    return number


def _text(text):
    """For the library, which would take a NUL for the end"""
    text = os.fsencode(text)
    if b"\0" in text:
        raise ValueError("embedded null byte")
    return text


def _place(where):
    return None if where is None else _text(where)


def _address(data):
    """Where bytes are, for the library, and how many. Not copied, where that
    can be helped; kept as long as the answer is."""
    if isinstance(data, bytes):
        return data, len(data)
    with memoryview(data) as view:
        size, copy = view.nbytes, view.readonly or not view.nbytes
        if copy:
            return view.tobytes(), size
    return byref(c_char.from_buffer(data)), size


def _room(buffer):
    """The same of what is to be written into."""
    with memoryview(buffer) as view:
        if view.readonly:
            raise TypeError("it is for reading only")
        if not view.nbytes:
            return None, 0
        return byref(c_char.from_buffer(buffer)), view.nbytes


class _Handle:
    """What the library gave out.

    It is closed once, not while a call of another thread is in it, and only in
    the process that opened it: a fork()ed child has nothing of its own here.
    Neither is a lock's work: an exception of a signal handler, which can come
    anywhere, would leave it locked.
    """

    def __init__(self, pointer, close):
        self._pointers, self._close = [pointer], close
        self._calls = set()
        self._process = os.getpid()

    def call(self, function, *args):
        """function(POINTER, ARGS...), again after each signal: its handler
        runs in between, and may raise."""
        call = object()
        self.own()
        try:
            self._calls.add(call)
            while True:
                # close() looks at the calls after it has taken the pointer
                result = function(self._pointer(), *args)
                if result != -errno.EINTR:
                    return _check(result)
        finally:
            self._calls.discard(call)

    def own(self, lock=None):
        """The lock, in this process: a child may have inherited it locked, and
        nobody there unlocks it."""
        if self._process != os.getpid():
            raise ValueError("it belongs to the parent process")
        return lock

    def _pointer(self):
        try:
            return self._pointers[0]
        except IndexError:
            raise ValueError("it is closed") from None

    def close(self):
        try:
            pointer = self._pointers.pop()
        except IndexError:
            return
        # In a child the library releases the child's copy, and no thread of
        # the parent is in a call here.
        if self._calls and self._process == os.getpid():
            self._pointers.append(pointer)
            raise OSError(errno.EBUSY, "another thread is using it")
        self._close(pointer)

    __del__ = close


class _Closing:
    """What all have that are opened and closed."""

    _handle = None

    def _open(self, function, close, name, where, *args):
        """vmshm_FUNCTION(&handle, WHERE, NAME, ARGS...)"""
        pointer = c_void_p()
        _check(function(byref(pointer), _place(where), _text(name), *args),
               name)
        self._handle, self.name = _Handle(pointer, close), name

    def close(self):
        """Harmless the second time."""
        if self._handle:
            self._handle.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def unlink(name, where=None):
    """Remove the name of an object; who has it open keeps it."""
    _check(_lib.vmshm_unlink(_place(where), _text(name)), name)


class SharedMemory(_Closing):
    """An object of the host, as multiprocessing.shared_memory has them, but
    nothing here removes it: unlink() does.

    create=True creates it, with `size` bytes and the permissions `mode`.
    """

    _map = _buf = None

    def __init__(self, name, create=False, size=0, mode=0o600,
                 readonly=False, where=None):
        flags = os.O_RDONLY if readonly else os.O_RDWR
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        self._where, self._readonly = where, readonly
        # Before there is an object: a wrong size leaves none behind.
        size = _fits(operator.index(size), 64)
        self._open(_lib.vmshm_open, _lib.vmshm_close, name, where, flags,
                   _fits(mode, 32))
        try:
            if create and size:
                self.grow(size)
        except BaseException:
            self.close()
            if create:
                self.unlink()
            raise

    @property
    def size(self):
        """Of the object, now"""
        size = c_uint64()
        self._handle.call(_lib.vmshm_size, byref(size))
        return size.value

    def grow(self, size):
        """Make it at least so large. What `buf` has stays as it is."""
        self._handle.call(_lib.vmshm_grow, _fits(size, 64))

    @property
    def buf(self):
        """Its bytes in memory, all that it had when this was first asked for.

        A mapping of Python's own, which lives as long as something uses it."""
        if self._buf is None:
            size = self.size
            if not size:
                raise OSError(errno.ENODATA, os.strerror(errno.ENODATA),
                              self.name)
            self._map = mmap.mmap(
                self._handle.call(_lib.vmshm_fd), size,
                access=mmap.ACCESS_READ if self._readonly
                else mmap.ACCESS_WRITE)
            self._buf = memoryview(self._map)
        return self._buf

    def wait(self, offset, expected, timeout=None):
        """Until somebody wakes the 32-bit word at that offset, on either side.
        At once if it is not `expected`; sometimes for no reason: look again.
        """
        try:
            self._handle.call(_lib.vmshm_wait, _fits(offset, 64),
                              _fits(expected, 32), _deadline(timeout))
        except BlockingIOError:
            pass

    def wake(self, offset, count=0xffffffff):
        """Wake up to so many who wait for the word."""
        self._handle.call(_lib.vmshm_wake, _fits(offset, 64),
                          _fits(count, 32))

    def fileno(self):
        """For select() and the like: readable once the word of the last arm()
        has been woken or has changed. Never to be read."""
        return self._handle.call(_lib.vmshm_poll_fd)

    def arm(self, offset, expected):
        """Which word, and what its value has to be. Once for each wake-up."""
        self._handle.call(_lib.vmshm_poll_arm, _fits(offset, 64),
                          _fits(expected, 32))

    def __exit__(self, kind, *_):
        try:
            self.close()
        except BufferError:
            # What went wrong before still has it, and is what matters.
            if kind is None:
                raise

    def close(self):
        """BufferError if an array or a view still uses `buf`."""
        if self._map is not None:
            self._buf.release()
            try:
                self._map.close()
            except BufferError:
                self._buf = memoryview(self._map)
                raise
            self._map = self._buf = None
        super().close()

    def unlink(self):
        """Remove the name; who has it open keeps it."""
        unlink(self.name, self._where)


class Channel(_Closing):
    """One of the two seats at a channel.

    mode: makes the object, where there is none, for whom it says; 0: does not.
    ring: bytes in each direction of a new one; 0: 1 MiB.

    Any threads may use it; one sends while another one receives.
    """

    def __init__(self, name, ring=0, mode=0o600, where=None):
        self._sending, self._receiving = threading.RLock(), threading.RLock()
        self._spins = False
        self._open(_lib.vmshm_channel_open, _lib.vmshm_channel_close, name,
                   where, _fits(ring, 64), _fits(mode, 32))
        #: Bytes of the longest message
        self.max = self._handle.call(_lib.vmshm_channel_max)
        self._message = bytearray(min(self.max, 65536))
        # Bytes for each message of a batch, and the memory for all
        self._batch_size, self._batch = min(self.max, 4096), bytearray()

    def _send(self, function, *args):
        with self._handle.own(self._sending):
            return self._handle.call(function, *args)

    def _receive(self, function, *args):
        with self._handle.own(self._receiving):
            return self._handle.call(function, *args)

    def _wait(self, call, function, *args):
        """The last argument is a deadline. No signal interrupts the library
        while it spins: then it comes back now and then, for their handlers."""
        *args, deadline = args
        while True:
            end = deadline
            if self._spins and deadline != _NOW:
                end = _lib.vmshm_deadline(_SLICE)
                if deadline != _FOREVER:
                    end = min(end, deadline)
            try:
                return call(function, *args, end)
            except TimeoutError:
                if end == deadline:
                    raise

    def peer(self, timeout=None):
        """Until the peer is there, too."""
        self._receive(_lib.vmshm_channel_peer, _deadline(timeout))

    def send(self, data, timeout=None):
        """A message, whole or not at all."""
        self._wait(self._send, _lib.vmshm_channel_send, *_address(data),
                   _deadline(timeout))

    def recv(self, timeout=None):
        """The next message."""
        deadline = _deadline(timeout)
        with self._handle.own(self._receiving):
            while True:
                try:
                    size = self._wait(
                        self._receive, _lib.vmshm_channel_recv,
                        *_room(self._message), deadline)
                    return bytes(memoryview(self._message)[:size])
                except OSError as e:
                    if e.errno != errno.EMSGSIZE:
                        raise
                size = min(2 * len(self._message), self.max)
                self._message = bytearray(size)

    def sendv(self, messages, timeout=None):
        """A batch of messages, which are sent with few wake-ups. Returns how
        many: less only if the time was over or the peer gone, which the next
        call says."""
        kept = [_address(data) for data in messages]
        batch = (_Message * len(kept))(*(
            (ctypes.cast(address, c_void_p), size, size)
            for address, size in kept))
        deadline, done = _deadline(timeout), 0
        with self._handle.own(self._sending):
            while done < len(kept):
                rest = byref(batch, done * ctypes.sizeof(_Message))
                try:
                    done += self._wait(
                        self._send, _lib.vmshm_channel_sendv,
                        ctypes.cast(rest, POINTER(_Message)),
                        len(kept) - done, deadline)
                except OSError:
                    if not done:
                        raise
                    break
        return done

    def _memory(self, count):
        """For a batch of so many messages; their addresses and sizes"""
        size = self._batch_size
        if len(self._batch) < count * size:
            self._batch = bytearray(count * size)
        first = ctypes.addressof(c_char.from_buffer(self._batch))
        return (_Message * count)(*(
            (first + i * size, size, 0) for i in range(count)))

    def recvv(self, count, timeout=None):
        """Up to `count` messages, as a list: the next one, and those that are
        there by then."""
        if count < 1:
            raise ValueError("a batch has at least one message")
        deadline = _deadline(timeout)
        with self._handle.own(self._receiving):
            while True:
                batch = self._memory(count)
                try:
                    got = self._wait(self._receive, _lib.vmshm_channel_recvv,
                                     batch, count, deadline)
                    break
                except OSError as e:
                    if e.errno != errno.EMSGSIZE:
                        raise
                self._batch_size = min(2 * self._batch_size, self.max)
            return [ctypes.string_at(m.data, m.length) for m in batch[:got]]

    def recv_into(self, buffer, timeout=None):
        """The next message, to there; its length."""
        return self._wait(self._receive, _lib.vmshm_channel_recv,
                          *_room(buffer), _deadline(timeout))

    def __iter__(self):
        """The messages until the peer has closed."""
        while True:
            try:
                message = self.recv()
            except BrokenPipeError:
                return
            yield message

    def write(self, data, timeout=None):
        """As a stream, without boundaries: all of it. How much that was: less
        only if the time was over or the peer gone, which the next call says.
        """
        deadline = _deadline(timeout)
        address, size = _address(data)
        done = 0
        with self._handle.own(self._sending):
            while True:
                try:
                    done += self._wait(
                        self._send, _lib.vmshm_channel_write, address,
                        size - done, deadline)
                except OSError:
                    if not done:
                        raise
                    return done
                if done == size:
                    return done
                # A signal came, or this was all: the rest will tell.
                address, _ = _address(memoryview(data).cast("B")[done:])

    def read(self, size, timeout=None):
        """As a stream: at least one byte, up to `size`; b"" at the end."""
        buffer = bytearray(size or 1)
        address, _ = _room(buffer)
        got = self._wait(self._receive, _lib.vmshm_channel_read, address,
                         size, _deadline(timeout))
        return bytes(memoryview(buffer)[:got])

    def drain(self, timeout=None):
        """Until the peer has received all that was sent."""
        self._wait(self._send, _lib.vmshm_channel_drain, _deadline(timeout))

    def shutdown(self):
        """Send nothing more: the peer reads the end. Receiving goes on."""
        self._send(_lib.vmshm_channel_shutdown)

    def spin(self, seconds):
        """How long to look for what is waited for before sleeping: None
        always, 0 never. It burns the processor and saves falling asleep."""
        time = _nanoseconds(seconds)
        own = self._handle.own
        with own(self._sending), own(self._receiving):
            self._spins = not 0 <= time <= _SLICE
            self._handle.call(_lib.vmshm_channel_spin, time)

    def fileno(self):
        """For select() and the like, after arm(). Never to be read."""
        return self._receive(_lib.vmshm_channel_fd)

    def arm(self):
        """Before each select(): fileno() is readable once something can be
        received, or the peer is gone. True: that is so already."""
        return bool(self._receive(_lib.vmshm_channel_arm))


class BroadcastWriter(_Closing):
    """The one that writes, `entries` of up to `size` bytes at a time. It never
    waits: a reader that is too slow loses the oldest ones.
    """

    def __init__(self, name, size, entries, mode=0o600, where=None):
        self._lock = threading.RLock()
        self._open(_lib.vmshm_broadcast_create, _lib.vmshm_broadcast_close,
                   name, where, _fits(size, 64), _fits(entries, 32),
                   _fits(mode, 32))

    def send(self, data):
        """An entry."""
        with self._handle.own(self._lock):
            self._handle.call(_lib.vmshm_broadcast_send, *_address(data))


class BroadcastReader(_Closing):
    """One of those that read, what is written from now on. A thread's own."""

    def __init__(self, name, where=None):
        self._lock = threading.RLock()
        #: How many entries before the last one were overwritten unread
        self.lost = 0
        self._open(_lib.vmshm_broadcast_open, _lib.vmshm_broadcast_close,
                   name, where)
        self._entry = bytearray(self._handle.call(_lib.vmshm_broadcast_max)
                                or 1)

    def recv(self, timeout=None):
        """The next entry."""
        lost = c_uint64()
        with self._handle.own(self._lock):
            size = self._handle.call(_lib.vmshm_broadcast_recv,
                                     *_room(self._entry), byref(lost),
                                     _deadline(timeout))
            self.lost = lost.value
            return bytes(memoryview(self._entry)[:size])

    def __iter__(self):
        """The entries until the writer has closed."""
        while True:
            try:
                entry = self.recv()
            except BrokenPipeError:
                return
            yield entry
