#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: remote-calls.py

Measures examples/rpc/ in an emulated guest. A program multiplies matrices with
the BLAS of the guest, and with the BLAS of the host through a channel and TCP.
Prints a table and stores the numbers in build/remote-calls.json.
docs/remote-calls.md explains them.

The environment: KVER (default 6.1), QEMU, VMSHM_SO.
"""

import contextlib
import glob
import json
import os
import re
import subprocess
import sys

import bench_guest
import cleanup
import net
from form import columns, digits, times
from bench_guest import HERE, ROOT, Lost
from results import Results, summarize
from qemu import BUILTIN, VMSHM_SO, QmpError, die_with_parent, package

from guest import host_rpc
from guest.build import Build
from guest.kernel import Kernel
from guest.program import Program
from guest.python import libraries

BUILD = os.path.join(ROOT, "build", "bench", "remote-calls")

ROUNDS = 5
SIZES = (4, 16, 64, 128, 256, 512)

# A fast BLAS in the place of an accelerator. The packages are unpacked, not
# installed.
PACKAGES = ("libopenblas0-serial", "libgfortran5", "libquadmath0")
OPENBLAS = os.path.join(BUILD, "openblas")
FAST = os.path.join(OPENBLAS, "lib")

MODULES = "virtio_pci virtio_net"
ARGS = ("-device vmshm,id=vmshm0 -netdev user,id=user,restrict=off "
        "-device virtio-net-pci,netdev=user,romfile= ")
TAP_ARGS = (f"-netdev tap,id=tap,ifname={net.TAP},script=no,downscript=no "
            "-device virtio-net-pci,netdev=tap,romfile=")


def quietly(*command, **kwargs):
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **kwargs)
    if done.returncode:
        raise Lost(done.stdout.decode(errors="replace"))


def fetch():
    """Collects the libraries of the packages in one directory."""
    if os.path.exists(FAST):
        return
    os.makedirs(OPENBLAS, exist_ok=True)
    quietly("apt-get", "-q", "download", *PACKAGES, cwd=OPENBLAS)
    for package_file in glob.glob(OPENBLAS + "/*.deb"):
        quietly("dpkg", "-x", package_file, OPENBLAS)
    os.makedirs(FAST + ".new", exist_ok=True)
    for file in glob.glob(OPENBLAS + "/usr/lib/*/*.so.*") + \
            glob.glob(OPENBLAS + "/usr/lib/*/openblas-serial/*blas*.so*"):
        os.rename(file, os.path.join(FAST + ".new", os.path.basename(file)))
    os.rename(FAST + ".new", FAST)


def program(name):
    return os.path.join(host_rpc.BUILD, name)


def fast():
    return {**os.environ, "LD_LIBRARY_PATH": FAST}


class RpcHost(bench_guest.BenchHost):
    def do_native(self):
        """Measures the same calls in a program of the host."""
        text = subprocess.run(
            [program("sgemm-demo"), *map(str, SIZES)], check=True,
            env=fast(), stdout=subprocess.PIPE).stdout.decode()
        for line in text.splitlines()[1:]:
            n, us, *_ = line.split()
            self.do_result("name=sgemm", "peer=host", f"n={n}", f"us={us}")


class RpcGuest(bench_guest.BenchGuest):
    def make_host(self, vm):
        return RpcHost(vm, self.results, None)


@contextlib.contextmanager
def service(tap):
    """Runs the service. Yields its addresses by their names in the guest."""
    channel = f"vmshm:{bench_guest.Host.PREFIX}blas"
    addresses = [channel, "tcp:127.0.0.1:0"]
    addresses += [f"tcp:{net.ADDRESS}:0"] if tap else []
    with subprocess.Popen(
            [program("blas-service"), *addresses], env=fast(),
            stdout=subprocess.PIPE, preexec_fn=die_with_parent) as process:
        try:
            ports = [process.stdout.readline().decode().strip().split(":")[-1]
                     for _ in addresses]
            yield {"channel": channel, "user": f"tcp:10.0.2.2:{ports[1]}",
                   **({"tap": f"tcp:{net.ADDRESS}:{ports[2]}"}
                      if tap else {})}
        finally:
            process.terminate()


def build(addresses):
    """The files in the guest"""
    listing = os.path.join(BUILD, "addresses")
    with open(listing, "w", encoding="ascii") as f:
        for name, address in addresses.items():
            f.write(f"{name} {address}\n")
    found = {f"openblas/{f}": os.path.join(FAST, f) for f in os.listdir(FAST)}
    more = libraries([os.path.join(FAST, "libopenblas.so.0")])
    found.update({f: f for f in more if os.path.basename(f) not in
                  os.listdir(FAST)})
    found.update(host_rpc.files())
    built = Build([], BUILD)
    built.files += [
        ("addresses", listing),
        ("tests/remote-calls.sh", os.path.join(HERE, "remote-calls.sh")),
        *((path, os.path.realpath(f)) for path, f in found.items())]
    return built


def show(test):
    if sys.stdout.isatty():
        print(f"\r\033[K{test}", end="", flush=True)


def measure(kernel, tap):
    results = []
    with open(os.path.join(HERE, "remote-calls.sh"), encoding="utf-8") as f:
        text = f.read()
    tests = [t for t in re.findall(r"^test_(\w+)\(\)", text, re.M)
             if tap or t != "tap"]
    plan = [(Program("remote-calls.sh", text, "", ""), tests)]
    with service(tap) as addresses:
        vm = RpcGuest(kernel, 1,
                      (ARGS + (TAP_ARGS if tap else ""), "", MODULES),
                      plan * ROUNDS, build(addresses), progress=show,
                      results=results)
        try:
            vm.boot()
            vm.finish()
        except Lost:
            vm.tail()
            raise
        finally:
            show("")
    return results


NAMES = {"channel": "channel", "user": "TCP user", "tap": "TCP tap",
         "guest": "guest", "guest-openblas": "guest, fast",
         "host": "host, fast"}


def line(first, cells):
    return columns((5, *(-10 for _ in cells)), (first, *cells)).rstrip()


def table(data):
    """The lines of the table: ratios to the channel, then medians"""
    results = Results(data)
    rows = {n: [results.find(n=n, peer=peer) for peer in NAMES]
            for n in SIZES}
    yield "Ratio of times: other calls to calls through the channel"
    yield line("n", ["", *list(NAMES.values())[1:-1]])
    for n, (channel, *others, _) in rows.items():
        yield line(str(n), ["", *(times(results.ratio(r, channel))
                                  if r else "-" for r in others)])
    yield ""
    yield "Medians, us a call"
    yield line("n", NAMES.values())
    for n, found in rows.items():
        yield line(str(n), [digits(r["median"]) if r else "-" for r in found])


def run():
    os.makedirs(BUILD, exist_ok=True)
    kernel = Kernel(os.environ.get("KVER", "6.1"))
    try:
        if not BUILTIN and not os.path.exists(VMSHM_SO):
            raise Lost(f"no {os.path.relpath(VMSHM_SO)}: make device first")
        kernel.prepare()
        quietly("make", "-s", "-C", host_rpc.EXAMPLE)
        fetch()
        no_tap = net.prepare()
        if no_tap:
            print(f"no tap: {no_tap}")
        measured = measure(kernel, not no_tap)
    except (Lost, QmpError) as e:
        sys.exit(f"remote-calls: {e}")
    data = {"machine": {"qemu": package(), "rounds": ROUNDS},
            "results": summarize(measured)}
    with open(os.path.join(ROOT, "build", "remote-calls.json"), "w",
              encoding="ascii") as f:
        json.dump(data, f, indent=1)
        f.write("\n")
    print("\n".join(table(data)))


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__.strip())
    cleanup.main("remote-calls", run)


if __name__ == "__main__":
    main()
