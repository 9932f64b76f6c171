# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects in a directory other than /dev/shm: --dir and VMSHM_DIR"""

import mmap
import os
import subprocess

from tool import DEADLINE, ROOT, VMSHM, contains, equal, folder, vmshm


def test_commands():
    """Each command that uses objects accepts the option before and after it."""
    with folder() as here:
        vmshm("--dir", here, "create", "/x", "4096")
        equal(os.stat(here + "/x").st_size, 4096)
        equal(os.path.exists("/dev/shm/x"), False)
        vmshm("write", "--dir", here, "/x", data=b"hello")
        equal(vmshm("cat", "--dir", here, "x").raw[:5], b"hello")
        for env, args in (({}, ("--dir", here)), ({"VMSHM_DIR": here}, ())):
            equal([e["name"] for e in
                   vmshm("ls", "--json", *args, env=env).json], ["/x"])
            told = vmshm("info", "--json", "/x", *args, env=env).json
            equal(told["path"], here + "/x")
            equal(vmshm("info", "--json", *args, env=env).json["folder"],
                  here)
            with open(here + "/x", "r+b") as f, mmap.mmap(f.fileno(), 4096):
                told = vmshm("top", "--json", *args, env=env).json
                equal([o["name"] for o in told["objects"]], ["/x"])
                equal(os.getpid() in
                      [u["pid"] for u in told["objects"][0]["users"]], True)
        vmshm("rm", "/x", env={"VMSHM_DIR": here})
        equal(os.listdir(here), [])


def test_relative():
    """The option and the variable accept relative paths."""
    with folder() as here:
        os.mkdir(here + "/d")
        vmshm("--dir", "d", "create", "/x", "1", cwd=here)
        vmshm("create", "/y", "1", cwd=here, env={"VMSHM_DIR": "./d"})
        equal(sorted(os.listdir(here + "/d")), ["x", "y"])


def test_option_first():
    """The option takes precedence over the variable, which may be empty."""
    with folder() as here, folder() as other:
        vmshm("--dir", here, "create", "/x", "1", env={"VMSHM_DIR": other})
        equal((os.listdir(here), os.listdir(other)), (["x"], []))
    equal(vmshm("info", "--json", env={"VMSHM_DIR": ""}).json["folder"],
          "/dev/shm")


def test_channel():
    """send and recv use a channel in the directory."""
    with folder() as here:
        with subprocess.Popen([VMSHM, "--dir", here, "recv", "/c"], cwd=ROOT,
                              stdout=subprocess.PIPE) as receiver:
            vmshm("send", "/c", data=b"hello", env={"VMSHM_DIR": here})
            equal(receiver.communicate(timeout=DEADLINE)[0], b"hello")
        equal(os.listdir(here), [])


def test_wrong():
    with folder() as here:
        file = os.path.join(here, "file")
        with open(file, "wb"):
            pass
        for env, args in (({}, ("--dir", here + "/none")),
                          ({"VMSHM_DIR": here + "/none"}, ())):
            for command in (("ls",), ("send", "/x"), ("top",)):
                contains(vmshm(*command, *args, env=env, code=1).err,
                         here + "/none: No such file or directory")
        contains(vmshm("--dir", file, "ls", code=1).err, "Not a directory")
        contains(vmshm("--dir", "", "ls", code=1).err, "No such file")
        contains(vmshm("-G", "ls", "--dir", here, "-d", "vmshm0",
                       code=1).err, "exclude each other")
        contains(vmshm("run", "--dir", here, "true", code=2).err, "--dir")


def test_hints():
    """The command in a hint uses the same directory."""
    with folder() as here:
        directory = os.path.join(here, "a b")
        os.mkdir(directory)
        vmshm("--dir", directory, "create", "/x", "1")
        said = vmshm("--dir", directory, "create", "/x", "1", code=1,
                     wide=True)
        equal(said.hints, [f"vmshm --dir '{directory}' rm /x"])
        said = vmshm("-H", "create", "/x", "--dir", directory, "1", code=1,
                     wide=True)
        equal(said.hints, [f"vmshm --host --dir '{directory}' rm /x"])


def test_removed_file_elsewhere():
    """A removed file elsewhere on the same file system is not an object."""
    with folder() as here:
        os.mkdir(here + "/d")
        os.mkdir(here + "/other")
        with open(here + "/d/x", "w+b") as x, \
                open(here + "/other/y", "w+b") as y:
            os.unlink(x.name)
            os.unlink(y.name)
            told = vmshm("--dir", here + "/d", "top", "--json").json
            equal([o["name"] for o in told["objects"]], ["/x"])
