# SPDX-License-Identifier: GPL-2.0-or-later
"""vmshm send, recv and pipe between two programs of the host.
tests/guest/test-send.sh tests them between a host and a guest."""

import os
import pty
import select
import signal
import subprocess
import threading
import time

import shm
from shm import Object, fresh_name
from tool import (COLUMNS, DEADLINE, ROOT, VMSHM, Result, Skip, contains,
                  equal, folder, vmshm, with_shm)

SIZES = (0, 1, 4096, (10 << 20) + 7)


class Running:
    """A program that runs during the test. The end of the `with` block kills
    it.
    """

    def __init__(self, *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE, before=()):
        self.process = subprocess.Popen([*before, VMSHM, *args], cwd=ROOT,
                                        stdin=stdin, stdout=stdout,
                                        stderr=stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, data=None, code=0):
        """Writes the input. Checks the exit code of the program."""
        out, err = self.process.communicate(data, timeout=DEADLINE)
        result = Result(self.process.returncode, out or b"", err or b"")
        if result.code != code:
            raise AssertionError(f"exit code {result.code}, not {code}: "
                                 f"{result.err}")
        result.check_messages(False)
        if not code:
            equal(result.err, "", "on stderr, which is no terminal")
        return result

    def put(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def put_all(self, data):
        self.put(data)
        self.process.stdin.close()
        self.process.stdin = None

    def get(self, size):
        data = self.process.stdout.read(size)
        equal(len(data), size, "bytes")
        return data


def wait_for(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("the condition does not hold in time")
        time.sleep(0.001)


def exists(name):
    return os.path.exists(shm.path(name))


def is_ready(name):
    """Whether the first seat is taken and the channel is prepared; see
    lib/channel-common.h"""
    if not exists(name):
        return False
    with open(shm.path(name), "rb") as f:
        header = f.read(68)
    return any(header[8:12]) and header[8:12] == header[64:]


def wait_for_first(name):
    """Waits until the first program has created the channel and waits."""
    wait_for(lambda: is_ready(name))


def both(data, first, second):
    """Sends the data from one program to the other. Checks that no object is
    left."""
    name = fresh_name()
    parties = {}
    with Running(first, name) as parties[first]:
        wait_for_first(name)
        with Running(second, name) as parties[second]:
            got = []
            reader = threading.Thread(target=lambda: got.append(
                parties["recv"].end()))
            reader.start()
            parties["send"].end(data)
            reader.join(DEADLINE)
    equal(got[0].raw == data, True, f"{len(data)} bytes from {first} first")
    equal(exists(name), False, "the name is left")


def test_send_first():
    for size in SIZES:
        both(os.urandom(size), "send", "recv")


def test_recv_first():
    for size in SIZES:
        both(os.urandom(size), "recv", "send")


def test_same_moment():
    """Both programs try to create the object at the same time."""
    for _ in range(20):
        name = fresh_name()
        with Running("send", name) as sender, Running("recv", name) as other:
            sender.end(b"hello")
            equal(other.end().raw, b"hello")
        equal(exists(name), False)


def test_as_it_comes():
    """Data arrives before the end of the input."""
    name = fresh_name()
    with Running("send", name) as sender, Running("recv", name) as other:
        for i in range(100):
            sender.put(b"%d\n" % i)
            equal(other.get(len(b"%d\n" % i)), b"%d\n" % i)
        sender.end()
        other.end()


def test_archive():
    """A directory is sent with tar."""
    name = fresh_name()
    with folder() as source, folder() as target:
        os.mkdir(source + "/a")
        for i in range(20):
            with open(f"{source}/a/{i}", "wb") as f:
                f.write(os.urandom(i * 1000))
        script = ('tar c -C "$1" . | build/tool/vmshm send "$3" &'
                  'build/tool/vmshm recv "$3" | tar x -C "$2"; wait $!')
        subprocess.run(["sh", "-c", script, "sh", source, target, name],
                       cwd=ROOT, check=True, timeout=DEADLINE)
        subprocess.run(["diff", "-r", source, target], check=True)


def test_pipe():
    """Both directions at the same time. One direction continues after the end
    of the other."""
    name = fresh_name()
    data = [os.urandom(3 << 20), os.urandom(5 << 20)]
    with Running("pipe", name) as a, Running("pipe", name) as b:
        got = []
        reader = threading.Thread(target=lambda: got.append(b.end(data[1])))
        reader.start()
        equal(a.end(data[0]).raw == data[1], True, "one way")
        reader.join(DEADLINE)
        equal(got[0].raw == data[0], True, "the other way")
    with Running("pipe", name) as a, Running("pipe", name) as b:
        a.put_all(b"question")
        equal(b.get(8), b"question")
        equal(b.process.stdout.read(), b"", "the end of one direction")
        b.put_all(b"answer")
        equal(a.get(6), b"answer")
        for party in (a, b):
            equal(party.process.wait(DEADLINE), 0)
    equal(exists(name), False)


def test_killed():
    """One program is killed. The other one detects this in each waiting
    call."""
    for victim in ("send", "recv"):
        name = fresh_name()
        with Running("send", name) as sender, Running("recv", name) as other:
            sender.put(b"x" * 1000)
            other.get(1000)
            if victim == "send":
                sender.process.kill()
                contains(other.end(code=1).err, "failed after 1000 bytes",
                         "killed")
            else:
                other.process.kill()
                # The input neither has data nor ends.
                equal(sender.process.wait(DEADLINE), 1)
                contains(sender.process.stderr.read().decode(), "killed")


def test_pipe_killed():
    name = fresh_name()
    with Running("pipe", name) as a, Running("pipe", name) as b:
        a.put(b"x")
        b.get(1)
        b.process.kill()
        equal(a.process.wait(DEADLINE), 1)
        contains(a.process.stderr.read().decode(), "killed")


# Makes close(2) fail, as on a file system that reports a full disk then.
BAD_CLOSE = """
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int close(int fd)
{
	struct stat st, out;
	int bad = !fstat(fd, &st) && !fstat(1, &out) &&
		  st.st_dev == out.st_dev && st.st_ino == out.st_ino;

	syscall(SYS_close, fd);
	errno = ENOSPC;
	return bad ? -1 : 0;
}
"""


def test_close_fails():
    """close(2) of the output fails after all data was written. Both programs
    report a failure."""
    with folder() as here:
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o",
                        here + "/bad.so", "-"], check=True,
                       input=BAD_CLOSE.encode())
        bad = ("env", f"LD_PRELOAD={here}/bad.so",
               "ASAN_OPTIONS=verify_asan_link_order=0")
        for commands in (("send", "recv"), ("pipe", "pipe")):
            name = fresh_name()
            with open(here + "/out", "wb") as out, \
                    Running(commands[0], name) as good, \
                    Running(commands[1], name, stdout=out, before=bad) as full:
                full.put_all(b"")
                if commands[0] == "pipe":
                    equal(good.process.stdout.read(), b"", "its end")
                contains(good.end(b"x" * 1000, code=1).err,
                         "the other end has failed")
                contains(full.end(code=1).err, "the output: No space left")


def failed_output(stdout):
    """The message of the receiver. The sender also has to fail."""
    name = fresh_name()
    with Running("send", name) as sender, \
            Running("recv", name, stdout=stdout) as other:
        contains(sender.end(os.urandom(1 << 20), code=1).err,
                 "the other end has failed")
        return other.end(code=1).err


def test_output_full():
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        contains(failed_output(full), "the output: No space left")


def test_output_closed():
    """The output is closed, as after "| head". The program is not killed by
    SIGPIPE."""
    read, write = os.pipe()
    os.close(read)
    try:
        contains(failed_output(write), "the output: Broken pipe")
    finally:
        os.close(write)


def test_input_fails():
    name = fresh_name()
    fd = os.open("/", os.O_RDONLY)
    try:
        with Running("recv", name) as other:
            wait_for_first(name)
            with Running("send", name, stdin=fd) as sender:
                contains(sender.end(code=1).err, "the input: Is a directory")
            contains(other.end(code=1).err, "the other end has failed")
    finally:
        os.close(fd)


def without(redirection):
    """The command that starts a program with one of its descriptors closed"""
    return ("sh", "-c", f'exec "$@" {redirection}', "sh")


def test_no_input():
    """With standard input closed, the object does not get descriptor 0."""
    name = fresh_name()
    with Running("recv", name) as other:
        wait_for_first(name)
        with Running("send", name, before=without("<&-")) as sender:
            contains(sender.end(code=1).err, "the input: Bad file descriptor")
        result = other.end(code=1)
        contains(result.err, "the other end has failed")
        equal(result.raw, b"")


def test_no_output():
    name = fresh_name()
    with Running("send", name) as sender, \
            Running("recv", name, before=without(">&-")) as other:
        contains(sender.end(b"hello", code=1).err, "the other end has failed")
        contains(other.end(code=1).err, "the output: Bad file descriptor")


def test_no_errors():
    """With standard error closed, a message is not written to the channel."""
    fd = os.open("/", os.O_RDONLY)
    try:
        with Object(1 << 20) as o, Running("recv", o.name) as other:
            wait_for_first(o.name)
            with Running("send", o.name, stdin=fd,
                         before=without("2>&-")) as sender:
                sender.end(code=1)
            contains(other.end(code=1).err, "the other end has failed")
            equal(b"vmshm: " in o.read(0, 4096), False, "message in the object")
    finally:
        os.close(fd)


def test_two_senders():
    name = fresh_name()
    with Running("send", name) as a, Running("send", name) as b:
        contains(a.end(b"a", code=1).err + b.end(b"b", code=1).err,
                 "is sending, too", "vmshm recv")


def test_three():
    """A third program gets an error. The first two continue."""
    with Object(1 << 20) as o:
        with Running("send", o.name) as sender, \
                Running("recv", o.name) as other:
            sender.put(b"x")
            other.get(1)
            for command in ("send", "recv", "pipe"):
                contains(vmshm(command, o.name, code=1).err,
                         "two other programs")
            sender.end(b"y")
            equal(other.end().raw, b"y")
        # Only the creator of the object removes it.
        equal(exists(o.name), True)
        with Running("send", o.name) as sender, \
                Running("recv", o.name) as other:
            sender.end(b"again")
            equal(other.end().raw, b"again")


def test_names_free_again():
    """After two programs have connected, two others can use the same name."""
    name = fresh_name()
    with Running("send", name) as a, Running("recv", name) as b:
        a.put(b"1")
        b.get(1)
        with Running("send", name) as c, Running("recv", name) as d:
            c.end(b"2")
            equal(d.end().raw, b"2")
        a.end(b"3")
        equal(b.end().raw, b"3")


def test_other_content():
    with Object(data=b"something else" * 1000) as o:
        contains(vmshm("send", o.name, code=1).err, "other data than a channel",
                 "type: vmshm rm")
    with Object(data=b"x") as o:
        contains(vmshm("recv", o.name, code=1).err, "too small")


def test_ended_while_waiting():
    """A party that ends without a peer leaves no object."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        name = fresh_name()
        with Running("recv", name) as party:
            wait_for_first(name)
            party.process.send_signal(number)
            equal(party.process.wait(DEADLINE), -number)
        equal(exists(name), False)


def test_made_by_others():
    """Under the same name, after another process has moved the object: the new
    object stays, whether a signal or a peer ends the wait."""
    for number in (signal.SIGTERM, None):
        name, moved = fresh_name(), fresh_name()
        with Running("recv", name) as party:
            wait_for_first(name)
            os.rename(shm.path(name), shm.path(moved))
            with Object(1, name=name):
                if number:
                    party.process.send_signal(number)
                    equal(party.process.wait(DEADLINE), -number)
                else:
                    with Running("send", moved) as sender:
                        sender.end(b"hello")
                    equal(party.end().raw, b"hello")
                equal(exists(name), True, "the other object's name")
        os.unlink(shm.path(moved))


def test_ignored_signals():
    """Signals that are ignored, as after nohup, do not end a program."""
    name = fresh_name()
    with Running("recv", name, before=(
            "sh", "-c", 'trap "" HUP; exec "$@"', "sh")) as party:
        wait_for_first(name)
        party.process.send_signal(signal.SIGHUP)
        with Running("send", name) as sender:
            sender.put(b"x")
            party.get(1)
            party.process.send_signal(signal.SIGHUP)
            sender.end(b"y")
        equal(party.end().raw, b"y")


def check_next_two(name):
    """Checks that the next two programs can use the object that was left."""
    try:
        with Running("send", name) as sender, Running("recv", name) as other:
            sender.end(b"hello")
            equal(other.end().raw, b"hello")
    finally:
        os.unlink(shm.path(name))


def test_left_behind():
    """The next two programs use the object of a killed program."""
    name = fresh_name()
    with Running("recv", name) as party:
        wait_for_first(name)
        party.process.kill()
        party.process.wait(DEADLINE)
    check_next_two(name)


def test_left_behind_empty():
    """The next two programs use an object whose creator was killed before it
    had set the size."""
    name = fresh_name()
    with open(shm.path(name), "xb"):
        pass
    check_next_two(name)


def test_mode():
    name = fresh_name()
    with Running("recv", "-m", "666", name,
                 before=("sh", "-c", 'umask 077; exec "$@"', "sh")):
        wait_for_first(name)
        equal(os.stat(shm.path(name)).st_mode & 0o777, 0o666)
    os.unlink(shm.path(name))


def test_wrong_use():
    for command in ("send", "recv", "pipe"):
        for args in ((), ("/a", "/b"), ("/a/b",), ("/",), ("-m", "9", "/a")):
            contains(vmshm(command, *args, code=2).err, "type: vmshm")
        contains(vmshm(command, "-d", "vmshm0", "/a", code=1).err,
                 "--device is for guests")


def test_no_memory():
    """/dev/shm is too small for the object."""
    contains(vmshm("recv", fresh_name(), code=1, before=with_shm("64k")).err,
             "no memory for the object")


def read_until(fd, text):
    """Reads until the text, or until the other end is closed."""
    seen = b""
    while text not in seen:
        if not select.select([fd], [], [], DEADLINE)[0]:
            raise AssertionError(f"there is no {text} in {seen}")
        try:
            seen += os.read(fd, 65536)
        except OSError:
            break
    return seen


def on_terminal(name):
    """The output of a transfer on a terminal, on the side that waits"""
    own, other = pty.openpty()
    with Running("send", name, stderr=other) as sender:
        os.close(other)
        wait_for_first(name)
        with Running("recv", name) as receiver:
            sender.put(b"x" * 3000)
            receiver.get(3000)
            seen = read_until(own, b" 0:0")
            sender.put_all(b"")
            equal(sender.process.wait(DEADLINE), 0)
            receiver.end()
        seen += read_until(own, b"never")
    os.close(own)
    return seen.decode()


def test_terminal():
    """The output is a line about waiting, a line that is rewritten, and a last
    line."""
    name = fresh_name()
    seen = on_terminal(name)
    contains(seen, f"waiting for the other end of {name}")
    lines = [part.rstrip() for line in seen.splitlines()
             for part in line.split("\r")]
    equal([line for line in lines if len(line) >= COLUMNS], [])
    equal([line for line in lines
           if line and not line.startswith("vmshm: ")], [])
    contains(lines[-1], "2.9 KiB in ", "/s")
