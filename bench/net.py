# SPDX-License-Identifier: GPL-2.0-or-later
"""A private network: a network namespace of this process and its children, with
only a loopback device and a tap"""

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891c
IFF_UP, IFF_TAP, IFF_NO_PI = 0x1, 0x2, 0x1000
TUNSETIFF, TUNSETPERSIST = 0x400454ca, 0x400454cb

TAP, ADDRESS, MASK = "tap0", "10.0.3.1", "255.255.255.0"

_libc = ctypes.CDLL(None, use_errno=True)


def _unshare():
    """Enters a network namespace. A process without root rights becomes root of
    a user namespace first."""
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET | (CLONE_NEWUSER if uid else 0)
    if _libc.unshare(flags):
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err))
    if uid:
        for file, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"),
                           ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{file}", "w", encoding="ascii") as f:
                f.write(text)


def _address(text):
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))


def _set(sock, request, name, value):
    fcntl.ioctl(sock, request,
                struct.pack("16s24s", name.encode(), value))


def _make_tap():
    with open("/dev/net/tun", "r+b", buffering=0) as tun:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack(
            "16sH22x", TAP.encode(), IFF_TAP | IFF_NO_PI))
        # The tap stays until the namespace ends.
        fcntl.ioctl(tun, TUNSETPERSIST, 1)


def prepare():
    """Makes the network. Returns None, or the reason why there is no tap. The
    process must have one thread only."""
    try:
        _unshare()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            _set(sock, SIOCSIFFLAGS, "lo", struct.pack("H", IFF_UP))
            _make_tap()
            _set(sock, SIOCSIFADDR, TAP, _address(ADDRESS))
            _set(sock, SIOCSIFNETMASK, TAP, _address(MASK))
            _set(sock, SIOCSIFFLAGS, TAP, struct.pack("H", IFF_UP))
    except OSError as e:
        return f"{e.filename or 'network namespace'}: {e.strerror}"
    return None
