# SPDX-License-Identifier: GPL-2.0-or-later
"""The built and installed library: symbols, pkg-config, musl, i386"""

import glob
import os
import re
import shutil
import subprocess

from shm import fresh_name
from tool import BUILD, ROOT, Skip, equal, folder

# A program that opens, maps, wakes, sends and receives, so that all objects of
# libvmshm.a are linked.
PROGRAM = r"""
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <vmshm/broadcast.h>
#include <vmshm/channel.h>

int main(int argc, char **argv)
{
	struct vmshm_broadcast *b;
	struct vmshm_channel *one, *two;
	struct vmshm *shm;
	char text[16];
	size_t size;
	void *data;

	if (argc != 2 ||
	    vmshm_channel_open(&one, NULL, argv[1], 4096, 0600) ||
	    vmshm_channel_open(&two, NULL, argv[1], 0, 0) ||
	    vmshm_channel_send(one, "hello", 6, VMSHM_FOREVER) ||
	    vmshm_channel_recv(two, text, 16, VMSHM_FOREVER) != 6 ||
	    strcmp(text, "hello") || vmshm_channel_fd(two) < 0 ||
	    vmshm_channel_arm(two))
		return 1;
	vmshm_channel_close(one);
	if (vmshm_channel_recv(two, text, 16, VMSHM_FOREVER) >= 0)
		return 2;
	vmshm_channel_close(two);
	if (vmshm_open(&shm, NULL, argv[1], O_RDWR, 0) ||
	    vmshm_map(shm, &data, &size) || size < 12288 ||
	    vmshm_wake(shm, 0, 1) ||
	    vmshm_wait(shm, 0, 1, VMSHM_NOW) != -11 ||
	    vmshm_wait(shm, 8, ((int *)data)[2],
		       vmshm_deadline(1000000)) != -110)
		return 3;
	vmshm_close(shm);
	if (vmshm_broadcast_create(&b, NULL, argv[1], 4, 4, 0600) != -22)
		return 4;
	return vmshm_unlink(NULL, argv[1]) ? 5 : 0;
}
"""


def output(*command):
    return subprocess.run(command, check=True, cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
                          ).stdout.decode()


def make(out, *args):
    done = subprocess.run(["make", "-s", "-C", "lib", "OUT=" + out, *args],
                          cwd=ROOT, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal(done.returncode, 0, done.stdout.decode()[-400:])


def header_functions():
    text = ""
    for name in ("vmshm", "channel", "broadcast"):
        with open(f"{ROOT}/include/vmshm/{name}.h", encoding="utf-8") as f:
            text += f.read()
    return sorted(re.findall(r"^[a-z].*?\*?(vmshm_\w+)\(", text, re.M))


def test_symbols():
    """The symbol map has each function of the headers. No other symbol is
    global."""
    with open(f"{ROOT}/lib/libvmshm.map", encoding="utf-8") as f:
        listed = re.findall(r"^\t(\w+);", f.read(), re.M)
    equal(listed, header_functions(), "libvmshm.map")
    out = os.path.join(BUILD, "lib-plain")
    make(out)
    shared = output("nm", "-D", "--defined-only", out + "/libvmshm.so")
    equal(sorted(re.findall(r" T (\w+)@@VMSHM_0$", shared, re.M)), listed,
          "libvmshm.so")
    equal(re.findall(r" [BDRT] (\w+)$", shared, re.M), [], "unversioned")
    static = output("nm", "-g", "--defined-only", out + "/libvmshm.a")
    equal(sorted(re.findall(r" \w (\w+)$", static, re.M)), listed,
          "libvmshm.a")


def test_pkg_config():
    """vmshm.pc names the directories into which the files are installed."""
    with folder() as here:
        args = ("DESTDIR=" + here, "PREFIX=/opt/x", "libdir=/opt/x/lib/y",
                "includedir=/opt/x/headers")
        make(os.path.join(BUILD, "lib-plain"), *args, "install")
        path = here + "/opt/x/lib/y"
        equal(os.path.exists(path + "/libvmshm.so.0"), True)
        equal(os.path.exists(here + "/opt/x/headers/vmshm/channel.h"), True)
        with open(path + "/pkgconfig/vmshm.pc", encoding="utf-8") as f:
            text = f.read()
        equal("libdir=/opt/x/lib/y\n" in text, True, text)
        equal("includedir=/opt/x/headers\n" in text, True, text)
        # Each function has a page, which is a link to the page about it.
        pages = here + "/opt/x/share/man/man3/"
        for function in header_functions():
            with open(f"{pages}{function}.3", encoding="utf-8") as f:
                equal(f".Nm {function}" in f.read(), True, function)
        make(os.path.join(BUILD, "lib-plain"), *args, "uninstall")
        equal([f for f in glob.glob(here + "/**", recursive=True)
               if not os.path.isdir(f)], [])


def build_and_run(name, compiler, *args):
    """Builds the program with all warnings, linked statically, and runs it."""
    out = os.path.join(BUILD, "lib-" + name)
    cc = " ".join(compiler)
    make(out, "CC=" + cc, "CFLAGS=-O2 -Wall -Wextra -Werror", *args)
    program = out + "/program"
    with open(program + ".c", "w", encoding="utf-8") as f:
        f.write(PROGRAM)
    output(*compiler, "-Wall", "-Werror", "-Iinclude", "-static", "-pthread",
           "-o", program, program + ".c", out + "/libvmshm.a")
    done = subprocess.run([program, fresh_name()], check=False)
    equal(done.returncode, 0, "the exit code of the program")


def test_musl():
    """musl-gcc does not search the kernel's headers, so that it needs their
    directory as an argument."""
    if not shutil.which("musl-gcc"):
        raise Skip("no musl-gcc; Debian: apt install musl-tools")
    arch = output("gcc", "-print-multiarch").strip()
    build_and_run("musl", ["musl-gcc", "-idirafter", "/usr/include",
                           "-idirafter", "/usr/include/" + arch])


def test_i386():
    """The static library also links on i386, where its objects share a hidden
    function."""
    cross = "i686-linux-gnu-"
    if not shutil.which(cross + "gcc"):
        raise Skip("no i686-linux-gnu-gcc; Debian: apt install "
                   "gcc-i686-linux-gnu libc6-dev-i386-cross")
    # Only the tools in the variables support this architecture.
    build_and_run("i386", [cross + "gcc"], "AR=" + cross + "ar",
                  "OBJCOPY=" + cross + "objcopy", "LD=" + cross + "ld")
