#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the remote calls of examples/rpc/, with client and service on this
host.

    tests/rpc/run.py [SUBSTRING...]

All programs are built with gcc's sanitizers, except the library under
LD_PRELOAD and the program in the guest that is killed. tests/guest/test-rpc.sh
has the other tests in guests.
"""

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lib")]
sys.dont_write_bytecode = True

import shm                                  # noqa: E402
import tier                                 # noqa: E402
from qemu import ROOT, Lost, die_with_parent    # noqa: E402

EXAMPLE = os.path.join(ROOT, "examples", "rpc")
# The directories of programs without and with the sanitizers
PLAIN = os.path.join(ROOT, "build", "rpc")
BUILD = os.path.join(ROOT, "build", "rpc-checked")
CHECKS = ["-O1", "-g", "-Wall", "-Wextra", "-Werror",
          "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# Seconds after which a program is lost
DEADLINE = 120
# The size of the smallest channel, which has two ring buffers of 4096 bytes
TINY = 3 * 4096


def command(*args):
    done = subprocess.run(args, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise AssertionError(done.stdout.decode(errors="replace"))


def compiled(name, *more):
    command("gcc", "-std=gnu11", "-D_GNU_SOURCE", *CHECKS, "-pthread",
            "-I", os.path.join(ROOT, "include"), "-I", EXAMPLE,
            "-o", os.path.join(BUILD, name),
            os.path.join(HERE, name + ".c"), *more, "-lm")


def build():
    command("make", "-s", "-C", EXAMPLE, "OUT=" + PLAIN)
    command("make", "-s", "-C", EXAMPLE, "OUT=" + BUILD,
            "LIB=" + os.path.join(BUILD, "lib"), "CFLAGS=" + " ".join(CHECKS))
    library = [os.path.join(BUILD, "librpcblas.so"), "-Wl,-rpath," + BUILD]
    compiled("products", *library)
    compiled("forked", *library)
    compiled("fuzz", os.path.join(EXAMPLE, "sgemm.c"))
    compiled("hostile", *(os.path.join(EXAMPLE, f) for f in (
        "transport.c", "transport-channel.c", "transport-tcp.c")),
        os.path.join(BUILD, "lib", "libvmshm.a"))


def line_of(file):
    """The next line of a program's output"""
    if not select.select([file], [], [], DEADLINE)[0]:
        raise AssertionError("the program prints nothing")
    return file.readline().decode().strip()


@contextlib.contextmanager
def running(program, *args, env=None, folder=BUILD,
            stdin=subprocess.DEVNULL):
    """Runs a program. The end of the `with` block kills it."""
    process = subprocess.Popen(
        [os.path.join(folder, program), *args], bufsize=0, stdin=stdin,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def service(*addresses, folder=BUILD):
    """Runs the service. Yields (process, addresses)."""
    # The kernel handles SIGBUS as without the sanitizer.
    env = {"ASAN_OPTIONS": "handle_sigbus=0"}
    with running("blas-service", "-m", "1", *addresses, env=env,
                 folder=folder) as process:
        said = [line_of(process.stdout) for _ in addresses]
        if not all(s.startswith("serves ") for s in said):
            raise AssertionError(f"it says {said}")
        yield process, [s.removeprefix("serves ") for s in said]


def run(program, *args, address=None, env=None, code=0, folder=BUILD):
    """Runs a program, which has to end with that exit code. Returns its
    standard output and standard error."""
    env = {**os.environ, **(env or {})}
    env.pop("RPCBLAS", None)
    if address:
        env["RPCBLAS"] = address
    done = subprocess.run([os.path.join(folder, program), *args], env=env,
                          check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=DEADLINE)
    text = done.stdout.decode(errors="replace")
    if done.returncode != code:
        raise AssertionError(f"{program}: {done.returncode}: {text[-600:]}")
    return text


def says(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"no {part!r} in {text!r}")


def both(test):
    """Runs a test with a channel and with TCP."""
    name = shm.fresh_name()
    with service("vmshm:" + name, "tcp:127.0.0.1:0") as (process, addresses):
        for address in addresses:
            test(address)
        if process.poll() is not None:
            raise AssertionError("the service has ended")
        process.terminate()
        if process.wait(DEADLINE):
            raise AssertionError(process.stderr.read().decode())
        said = process.stderr.read().decode()
        if said:
            raise AssertionError(f"the service said: {said}")
    if os.path.exists(shm.path(name)):
        raise AssertionError("the service leaves the object")


def test_products():
    """Several threads compute products of all types."""
    both(lambda address: run("products", "300", "3", "40", address=address))


def test_blocks():
    """A product that does not fit into a message is computed in blocks."""
    both(lambda address: run("products", "3", "1", "600", address=address))
    with shm.Object(TINY) as tiny:
        with service("vmshm:" + tiny.name) as (_, addresses):
            run("products", "300", "2", "60", address=addresses[0])


def test_preloaded():
    """LD_PRELOAD works for a program that is linked with another BLAS."""
    preload = {"LD_PRELOAD": os.path.join(PLAIN, "librpcblas.so")}

    def test(address):
        text = run("sgemm-demo", "5", "100", env=preload, address=address,
                   folder=PLAIN)
        if len(text.splitlines()) != 3:
            raise AssertionError(text)

    both(test)
    text = run("sgemm-demo", "5", env=preload, code=-signal.SIGABRT,
               folder=PLAIN)
    says(text, "rpcblas: RPCBLAS: is not set")


def test_numpy():
    """LD_PRELOAD works for Debian's numpy, which is linked with any BLAS."""
    program = """if True:
        import sys, numpy
        a, b = (numpy.full((300, 300), n, dtype="f") for n in (2, 3))
        sys.exit(int(numpy.any(a @ b != 1800)))
    """
    python = "/usr/bin/python3"
    preload = {"LD_PRELOAD": os.path.join(PLAIN, "librpcblas.so")}
    both(lambda address: run(python, "-c", program, env=preload,
                             address=address))
    says(run(python, "-c", program, env=preload, code=-signal.SIGABRT),
         "rpcblas: RPCBLAS: is not set")


def test_no_service():
    for address, what in (("vmshm:/vmshm-test-none", "No such file"),
                          ("tcp:127.0.0.1:1", "Connection refused"),
                          ("udp:1", "Invalid argument")):
        text = run("products", "1", "1", "4", address=address,
                   code=-signal.SIGABRT)
        says(text, f"rpcblas: {address}: cannot connect: {what}")
    with shm.Object(TINY) as empty:
        text = run("products", "1", "1", "4", address="vmshm:" + empty.name,
                   code=-signal.SIGABRT)
        says(text, "no service answers there")


def test_wrong_arguments():
    """The service refuses wrong arguments."""
    for args, code, what in (
            ([], 2, "usage: "), (["-m", "0", "tcp:127.0.0.1:0"], 2, "usage: "),
            (["-m", "1025", "nothing"], 2, "usage: "),
            # In 64 bits, this number of MiB would overflow to 1 MiB.
            (["-m", str((1 << 44) + 1), "nothing"], 2, "usage: "),
            (["vmshm:" + "x" * 300], 1, "File name too long"),
            (["nothing"], 1, "nothing: Invalid argument"),
            (["vmshm:/a/b"], 1, "vmshm:/a/b: Invalid argument")):
        says(run("blas-service", *args, code=code), what)


def test_wrong_requests():
    both(lambda address: run("hostile", address))


def test_changed_requests():
    def test(address):
        run("hostile", address, "racing")
        run("products", "5", "1", "20", address=address)

    name = shm.fresh_name()
    with service("vmshm:" + name) as (process, addresses):
        test(addresses[0])
        process.terminate()
        said = process.communicate()[1].decode()
        if said:
            raise AssertionError(f"the service said: {said}")


def test_broken_transports():
    """The service survives damaged transports: channels and TCP streams."""
    def test(address):
        run("hostile", address,
            "channel" if address.startswith("vmshm") else "stream")
        run("products", "5", "1", "20", address=address)

    both(test)


def test_parser():
    for seed in range(4):
        says(run("fuzz", "200000", str(seed)), "requests")


def test_client_killed():
    def test(address):
        for _ in range(3):
            with running("products", "0", "2", "20",
                         env={"RPCBLAS": address}) as client:
                if line_of(client.stdout) != "ready":
                    raise AssertionError(client.stderr.read())
        run("products", "5", "1", "20", address=address)

    both(test)


def test_machine_killed():
    """The service survives the death of the VM in which its client runs."""
    import machine

    with shm.Object(TINY) as tiny, \
            service("vmshm:" + tiny.name) as (_, addresses):
        why = machine.call_and_be_killed(addresses[0])
        if why:
            raise AssertionError(why)
        run("products", "5", "1", "20", address=addresses[0])


def test_service_killed():
    """Clients report the death of the service and end. The next service uses
    the same object."""
    with shm.Object(TINY) as tiny:
        addresses = ["vmshm:" + tiny.name, "tcp:127.0.0.1:0"]
        for _ in range(2):
            with service(*addresses) as (process, found), \
                    contextlib.ExitStack() as stack:
                clients = [stack.enter_context(
                    running("products", "0", "1", "20",
                            env={"RPCBLAS": address})) for address in found]
                for client in clients:
                    line_of(client.stdout)
                process.kill()
                for client in clients:
                    err = client.communicate(timeout=DEADLINE)[1].decode()
                    says(err, "lost the service: ")


def test_second_client():
    """A channel serves one client at a time."""
    with service("vmshm:" + shm.fresh_name()) as (_, addresses), \
            running("products", "0", "1", "20",
                    env={"RPCBLAS": addresses[0]}) as first:
        line_of(first.stdout)
        text = run("products", "1", "1", "4", address=addresses[0],
                   code=-signal.SIGABRT)
        says(text, "another program uses it")


def test_parent_gone():
    """A forked child connects again after the end of its parent."""
    both(lambda address: says(run("forked", "gone", address=address),
                              "the child is done"))


def accepted(listener):
    """Accepts a client and receives its request, a product of two numbers."""
    client, _ = listener.accept()
    client.settimeout(DEADLINE)
    client.sendall(struct.pack("=QII", 8, 0x31636c62, 1 << 20))
    # The length of the message, the header, A and B
    client.recv(8 + 32 + 4 + 4, socket.MSG_WAITALL)
    return client


def test_fork_in_call():
    """A forked child does not wait for the call of its parent, which does not
    end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        with running("forked", "busy", env={"RPCBLAS": address},
                     stdin=subprocess.PIPE) as program, \
                accepted(listener):
            program.stdin.write(b"\n")
            with accepted(listener) as child:
                child.sendall(struct.pack("=QIIf", 8 + 4, 0, 0, 6))
                if program.wait(DEADLINE):
                    raise AssertionError(program.stderr.read().decode())
            if line_of(program.stdout) != "the child is done":
                raise AssertionError("the child has not reported its end")


def test_object_cut():
    """The service survives a truncation of the object. A guest with create=on
    can truncate it."""
    name = shm.fresh_name()
    with service("vmshm:" + name) as (process, addresses):
        with running("products", "0", "1", "20",
                     env={"RPCBLAS": addresses[0]}) as client:
            line_of(client.stdout)
            os.truncate(shm.path(name), 0)
            client.wait(DEADLINE)
        says(line_of(process.stderr), "Bus error")
        end = time.monotonic() + DEADLINE
        while not os.stat(shm.path(name)).st_size:
            if time.monotonic() > end:
                raise AssertionError("the service does not start again")
            time.sleep(0.01)
        run("products", "5", "1", "20", address=addresses[0])


def run_tests(report):
    try:
        build()
    except AssertionError as e:
        raise Lost(e) from e
    tier.each(report, tier.in_module(globals(), "rpc"))


if __name__ == "__main__":
    tier.main("rpc", run_tests)
