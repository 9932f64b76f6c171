# SPDX-License-Identifier: MIT
"""Shared memory between a host and its guests, with libvmshm.

The same calls on both sides:

    SharedMemory        an object of the host: its bytes, wait() and wake()
    Channel             messages or a byte stream between two parties
    BroadcastWriter     the single producer of a broadcast
    BroadcastReader     one of any number of readers

`where` is None (the library chooses), a device of a guest ("vmshm1") or a
directory ("/dev/shm"). `timeout` is in seconds; None waits without a limit, and
0 does not wait. A failure raises an OSError: TimeoutError, BlockingIOError
(timeout 0), BrokenPipeError (the peer has closed), ConnectionResetError (the
peer, or its virtual machine, was killed), FileNotFoundError and others, see
vmshm(3). A wrong argument raises ValueError, OverflowError or TypeError. The
use of an object that is closed, or that belongs to the parent process, raises
ValueError.

All classes have close() and are context managers. The library is
libvmshm.so.0, or the file that the environment variable VMSHM_LIBRARY names.
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
# A longer timeout has no limit; nanoseconds, 146 years
_LONGEST = 1 << 62
# The length of one part of a wait that no signal ends; nanoseconds
_SLICE = 100_000_000
_MODE = c_uint32        # mode_t


class _Message(ctypes.Structure):
    """struct vmshm_message"""

    _fields_ = [("data", c_void_p), ("size", c_size_t), ("length", c_size_t)]


def _load():
    """Loads the library and declares its functions."""
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
    """Returns the result of the library, or raises its error."""
    if result is None or result >= 0:
        return result
    raise OSError(-result, os.strerror(-result), *[name] * (name is not None))


def _nanoseconds(seconds):
    if seconds is None or seconds >= _LONGEST / 1e9:
        return _FOREVER
    return round(seconds * 1e9)


def _deadline(timeout):
    """The deadline of the library for a timeout in seconds"""
    if timeout is None:
        return _FOREVER
    if timeout <= 0:
        return _NOW
    return _lib.vmshm_deadline(_nanoseconds(timeout))


def _fits(number, bits):
    """The number; ctypes would truncate a number that does not fit."""
    if not 0 <= number < 1 << bits:
        raise OverflowError(f"{number} is no number of {bits} bits")
    return number


def _text(text):
    """A string for the library, in which a NUL would end the string"""
    text = os.fsencode(text)
    if b"\0" in text:
        raise ValueError("embedded null byte")
    return text


def _place(where):
    return None if where is None else _text(where)


def _address(data):
    """The address and the number of bytes, for the library. The bytes are
    copied only if necessary, and kept as long as the result."""
    if isinstance(data, bytes):
        return data, len(data)
    with memoryview(data) as view:
        size, copy = view.nbytes, view.readonly or not view.nbytes
        if copy:
            return view.tobytes(), size
    return byref(c_char.from_buffer(data)), size


def _room(buffer):
    """The address and the number of bytes of a buffer that the library writes
    to"""
    with memoryview(buffer) as view:
        if view.readonly:
            raise TypeError("the buffer is read-only")
        if not view.nbytes:
            return None, 0
        return byref(c_char.from_buffer(buffer)), view.nbytes


class _Handle:
    """A pointer of the library.

    The pointer is closed once, and not while a call of another thread uses it.
    This needs no lock. An exception of a signal handler, which can occur
    anywhere, would leave a lock locked.
    """

    def __init__(self, pointer, close):
        self._pointers, self._close = [pointer], close
        self._calls = set()
        self._process = os.getpid()

    def call(self, function, *args):
        """Calls function(POINTER, ARGS...), and repeats it after a signal. The
        handler runs in between, and may raise an exception."""
        call = object()
        self.own()
        try:
            self._calls.add(call)
            while True:
                # close() checks for calls after it has removed the pointer.
                result = function(self._pointer(), *args)
                if result != -errno.EINTR:
                    return _check(result)
        finally:
            self._calls.discard(call)

    def own(self, lock=None):
        """Returns the lock if this process opened the object. A child may have
        inherited the lock in the locked state, and nothing unlocks it there."""
        if self._process != os.getpid():
            raise ValueError("the object belongs to the parent process")
        return lock

    def _pointer(self):
        try:
            return self._pointers[0]
        except IndexError:
            raise ValueError("the object is closed") from None

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
    """The common part of all classes"""

    _handle = None

    def _open(self, function, close, name, where, *args):
        """vmshm_FUNCTION(&handle, WHERE, NAME, ARGS...)"""
        pointer = c_void_p()
        _check(function(byref(pointer), _place(where), _text(name), *args),
               name)
        self._handle, self.name = _Handle(pointer, close), name

    def close(self):
        """A second call has no effect."""
        if self._handle:
            self._handle.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def unlink(name, where=None):
    """Removes the name of an object; open objects remain."""
    _check(_lib.vmshm_unlink(_place(where), _text(name)), name)


class SharedMemory(_Closing):
    """An object of the host, as in multiprocessing.shared_memory, but only
    unlink() removes it.

    create=True creates a new object, with `size` bytes and the permissions
    `mode`.
    """

    _map = _buf = None

    def __init__(self, name, create=False, size=0, mode=0o600,
                 readonly=False, where=None):
        flags = os.O_RDONLY if readonly else os.O_RDWR
        if create:
            flags |= os.O_CREAT | os.O_EXCL
        self._where, self._readonly = where, readonly
        # Checked before the object is created, so that a wrong size leaves no
        # object.
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
        """The current size of the object"""
        size = c_uint64()
        self._handle.call(_lib.vmshm_size, byref(size))
        return size.value

    def grow(self, size):
        """Grows the object to at least `size` bytes. `buf` does not change."""
        self._handle.call(_lib.vmshm_grow, _fits(size, 64))

    @property
    def buf(self):
        """A memoryview of the bytes that the object had at the first use.

        The mapping exists as long as an array or a view uses it."""
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
        """Waits until the 32-bit word at the offset is woken, on either side.
        Returns at once if the word is not `expected`. The call can return
        spuriously: check the word again.
        """
        try:
            self._handle.call(_lib.vmshm_wait, _fits(offset, 64),
                              _fits(expected, 32), _deadline(timeout))
        except BlockingIOError:
            pass

    def wake(self, offset, count=0xffffffff):
        """Wakes up to `count` waiters of the word."""
        self._handle.call(_lib.vmshm_wake, _fits(offset, 64),
                          _fits(count, 32))

    def fileno(self):
        """A file descriptor for select() and the like. It is readable once the
        word of the last arm() was woken or is not the expected value. Do not
        read from it."""
        return self._handle.call(_lib.vmshm_poll_fd)

    def arm(self, offset, expected):
        """Sets the word and its expected value, for one wake-up."""
        self._handle.call(_lib.vmshm_poll_arm, _fits(offset, 64),
                          _fits(expected, 32))

    def __exit__(self, kind, *_):
        try:
            self.close()
        except BufferError:
            # The earlier exception takes precedence. Its traceback may hold a
            # view of `buf`.
            if kind is None:
                raise

    def close(self):
        """Raises BufferError if an array or a view still uses `buf`."""
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
        """Removes the name; open objects remain."""
        unlink(self.name, self._where)


class Channel(_Closing):
    """One of the two seats at a channel.

    mode: the permissions of a new object; 0: do not create one.
    ring: bytes of each ring buffer of a new object; 0: 1 MiB.

    Any thread may use a channel. One thread can send while another thread
    receives.
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
        while it busy-polls. Long busy-polling is therefore done in parts,
        between which Python runs the handlers of signals."""
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
        """Waits until the peer has opened the channel."""
        self._receive(_lib.vmshm_channel_peer, _deadline(timeout))

    def send(self, data, timeout=None):
        """Sends a message, whole or not at all."""
        self._wait(self._send, _lib.vmshm_channel_send, *_address(data),
                   _deadline(timeout))

    def recv(self, timeout=None):
        """Returns the next message."""
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
        """Sends a batch of messages with few wake-ups. Returns how many were
        sent. The result is less than all only if the deadline passed or the
        peer is gone; the next call raises the error."""
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
        """The addresses and sizes of the memory for `count` messages"""
        size = self._batch_size
        if len(self._batch) < count * size:
            self._batch = bytearray(count * size)
        first = ctypes.addressof(c_char.from_buffer(self._batch))
        return (_Message * count)(*(
            (first + i * size, size, 0) for i in range(count)))

    def recvv(self, count, timeout=None):
        """Returns up to `count` messages, as a list. It waits for the first
        message only."""
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
        """Receives the next message into the buffer; returns its length."""
        return self._wait(self._receive, _lib.vmshm_channel_recv,
                          *_room(buffer), _deadline(timeout))

    def __iter__(self):
        """Yields messages until the peer has closed."""
        while True:
            try:
                message = self.recv()
            except BrokenPipeError:
                return
            yield message

    def write(self, data, timeout=None):
        """Writes all bytes to the stream; returns how many. The result is less
        only if the deadline passed or the peer is gone; the next call raises.
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
                # A signal or an error ended the call. The next call handles it.
                address, _ = _address(memoryview(data).cast("B")[done:])

    def read(self, size, timeout=None):
        """Reads up to `size` bytes from the stream, at least one. The result
        is b"" at the end."""
        buffer = bytearray(size or 1)
        address, _ = _room(buffer)
        got = self._wait(self._receive, _lib.vmshm_channel_read, address,
                         size, _deadline(timeout))
        return bytes(memoryview(buffer)[:got])

    def drain(self, timeout=None):
        """Waits until the peer has received everything."""
        self._wait(self._send, _lib.vmshm_channel_drain, _deadline(timeout))

    def shutdown(self):
        """Ends the stream: the peer reads the end. This party can still
        receive."""
        self._send(_lib.vmshm_channel_shutdown)

    def spin(self, seconds):
        """Sets how long calls busy-poll before they sleep: None without a
        limit, 0 not at all. Busy-polling uses the CPU and avoids the time to
        fall asleep and to wake up."""
        time = _nanoseconds(seconds)
        own = self._handle.own
        with own(self._sending), own(self._receiving):
            self._spins = not 0 <= time <= _SLICE
            self._handle.call(_lib.vmshm_channel_spin, time)

    def fileno(self):
        """A file descriptor for select(), after arm(). Do not read from it."""
        return self._receive(_lib.vmshm_channel_fd)

    def arm(self):
        """Prepares the file descriptor for one select(). The file descriptor
        becomes readable when a message has arrived, or when the peer has joined
        or has left. Returns True if this is already the case."""
        return bool(self._receive(_lib.vmshm_channel_arm))


class BroadcastWriter(_Closing):
    """The single producer, with a ring buffer of `entries` of up to `size`
    bytes. The producer never waits: a slow reader loses the oldest entries.
    """

    def __init__(self, name, size, entries, mode=0o600, where=None):
        self._lock = threading.RLock()
        self._open(_lib.vmshm_broadcast_create, _lib.vmshm_broadcast_close,
                   name, where, _fits(size, 64), _fits(entries, 32),
                   _fits(mode, 32))

    def send(self, data):
        """Publishes an entry."""
        with self._handle.own(self._lock):
            self._handle.call(_lib.vmshm_broadcast_send, *_address(data))


class BroadcastReader(_Closing):
    """A reader of the entries from now on, for one thread at a time"""

    def __init__(self, name, where=None):
        self._lock = threading.RLock()
        #: The number of entries before the last one that were lost
        self.lost = 0
        self._open(_lib.vmshm_broadcast_open, _lib.vmshm_broadcast_close,
                   name, where)
        self._entry = bytearray(self._handle.call(_lib.vmshm_broadcast_max)
                                or 1)

    def recv(self, timeout=None):
        """Returns the next entry."""
        lost = c_uint64()
        with self._handle.own(self._lock):
            size = self._handle.call(_lib.vmshm_broadcast_recv,
                                     *_room(self._entry), byref(lost),
                                     _deadline(timeout))
            self.lost = lost.value
            return bytes(memoryview(self._entry)[:size])

    def __iter__(self):
        """Yields entries until the writer has closed."""
        while True:
            try:
                entry = self.recv()
            except BrokenPipeError:
                return
            yield entry
