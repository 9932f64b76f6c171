#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: channel.py ROLE NAME

A program that uses python/vmshm.py. test-python-channel.sh runs one role in the
guest and its counterpart on the host.

ask, echo	messages in both directions, and a stream
die, mourn	the first program ends without closing the channel
ping, pong	the programs wait for each other at a word of an object
write, read	a broadcast
interrupt	signals during a wait; without a counterpart
"""

import os
import signal
import sys

import vmshm

ROUNDS = 300
SIZES = [0, 1, 7, 4096, 65536, 1 << 20]


def data(size):
    return bytes(i % 251 for i in range(min(size, 10007))).ljust(size, b"+")


def ask(name):
    with vmshm.Channel(name, ring=2 << 20) as ch:
        for size in SIZES + [ch.max]:
            size = min(size, ch.max)
            ch.send(data(size))
            assert ch.recv() == data(size), size
        ch.write(data(3 << 20))
        ch.shutdown()
        assert ch.read(100) == b"3145728"


def echo(name):
    with vmshm.Channel(name, ring=2 << 20) as ch:
        for _ in SIZES + [ch.max]:
            ch.send(ch.recv())
        got = b"".join(iter(lambda: ch.read(100000), b""))
        assert got == data(3 << 20)
        ch.write(b"%d" % len(got))
        ch.drain()


def die(name):
    ch = vmshm.Channel(name)
    ch.send(b"my last words")
    ch.recv()
    os._exit(0)


def mourn(name):
    with vmshm.Channel(name) as ch:
        assert ch.recv() == b"my last words"
        ch.send(b"goodbye")
        try:
            ch.recv()
        except ConnectionResetError:
            return
    sys.exit("no ConnectionResetError")


def turns(name, own):
    """Waits until the word is `own`, and then passes the turn to the other
    program."""
    with vmshm.SharedMemory(name) as shm:
        word = shm.buf[:4].cast("I")
        for _ in range(ROUNDS):
            while (seen := word[0]) != own:
                shm.wait(0, seen)
            word[0] = not own
            shm.wake(0)
        word.release()


def ping(name):
    turns(name, 0)


def pong(name):
    turns(name, 1)


def write(name):
    """Writes a broadcast after the reader has reported in a channel that it is
    ready."""
    with vmshm.BroadcastWriter(name, 100, 1000) as writer, \
            vmshm.Channel(name + "-ch") as ch:
        assert ch.recv() == b"ready"
        for i in range(ROUNDS):
            writer.send(b"%d" % i)


def open_after(ch, name):
    """Opens the broadcast after the peer has connected to the channel. The
    writer has then created the broadcast."""
    ch.peer()
    return vmshm.BroadcastReader(name)


def read(name):
    with vmshm.Channel(name + "-ch") as ch, \
            open_after(ch, name) as reader:
        ch.send(b"ready")
        assert [int(e) for e in reader] == list(range(ROUNDS))


def interrupt(name):
    seen = []

    def handler(*_):
        seen.append(True)
        if len(seen) == 4:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, handler)
    with vmshm.Channel(name) as ch:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            ch.recv()
        except KeyboardInterrupt:
            return
    sys.exit("no KeyboardInterrupt")


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
