# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of scripts/apt-suite with the configurations of apt of other systems,
without a network"""

import contextlib
import os
import subprocess
import tempfile

PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "scripts", "apt-suite")
JAMMY = """\
deb http://archive.invalid/ubuntu/ jammy main restricted
deb http://archive.invalid/ubuntu/ jammy-updates main restricted
deb http://archive.invalid/ubuntu/ jammy universe
# deb-src http://archive.invalid/ubuntu/ jammy main
deb http://security.invalid/ubuntu/ jammy-security main restricted
deb [signed-by=/x.gpg] https://other.invalid/apt jammy main
"""
NOBLE = """\
Types: deb
URIs: http://archive.invalid/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

## Ubuntu security updates
Types: deb
URIs: http://security.invalid/ubuntu/
Suites: noble-security
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""


@contextlib.contextmanager
def system(ident, name, file, text):
    """The environment for a system with this codename and sources."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/apt/sources.list.d")
        with open(folder + "/os-release", "w", encoding="ascii") as f:
            f.write(f'ID={ident}\nVERSION_CODENAME="{name}"\n')
        with open(os.path.join(folder, "apt", file), "w",
                  encoding="ascii") as f:
            f.write(text)
        yield {**os.environ, "VMSHM_ETC": folder, "VMSHM_CACHE": folder}


def run(env, *args, cwd=None):
    return subprocess.run([PROGRAM, *args], env=env, cwd=cwd, check=False,
                          text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


def stanzas(env, suite):
    """The sources that apt-suite uses, as lists of lines"""
    text = run(env, suite, "print", "sources").stdout
    return [part.splitlines() for part in text.strip().split("\n\n")]


def expected(uri, suites, *more):
    return ["Types: deb deb-src", f"URIs: http://{uri}.invalid/ubuntu",
            f"Suites: {suites}", "Components: main universe", *more]


def equal(got, want):
    assert got == want, f"{got}, expected {want}"


def test_ubuntu_with_one_line_entries():
    with system("ubuntu", "jammy", "sources.list", JAMMY) as env:
        equal(stanzas(env, "jammy"),
              [expected("archive", "jammy jammy-updates"),
               expected("security", "jammy-security")])


def test_ubuntu_with_deb822_entries():
    key = "signed-by: /usr/share/keyrings/ubuntu-archive-keyring.gpg"
    with system("ubuntu", "noble", "sources.list.d/ubuntu.sources",
                NOBLE) as env:
        equal(stanzas(env, "noble-backports"),
              [expected("archive", "noble noble-updates noble-backports", key),
               expected("security", "noble-security", key)])


def test_ubuntu_without_sources():
    """The message contains the entry to enable, as a line that can be
    pasted."""
    with system("ubuntu", "noble", "sources.list.d/ubuntu.sources",
                NOBLE) as env:
        # An address at which no server listens
        path = env["VMSHM_ETC"] + "/apt/sources.list.d/ubuntu.sources"
        text = NOBLE.replace("http://archive.invalid", "file:/nonexistent")
        with open(path, "w", encoding="ascii") as f:
            f.write(text.replace("http://security.invalid",
                                 "file:/nonexistent"))
        done = run(env, "noble", "source", "qemu=1:8.2")
        assert done.returncode, "apt-suite did not fail"
        line = ("deb-src [signed-by=/usr/share/keyrings/ubuntu-archive-"
                "keyring.gpg] file:/nonexistent/ubuntu noble main universe")
        assert line in done.stderr.splitlines(), done.stderr


def test_no_entry_of_the_archive():
    other = "deb http://other.invalid/apt jammy contrib\n"
    with system("ubuntu", "jammy", "sources.list", other) as env:
        done = run(env, "jammy", "print", "sources")
        equal(done.stderr.splitlines()[-1],
              "sudo add-apt-repository --component main universe")
    with system("debian", "bookworm", "sources.list", other) as env:
        done = run(env, "bookworm", "print", "sources")
        assert "sources.list(5)" in done.stderr, done.stderr


def test_debian():
    """Only the component main is used. An archive of a third party that has the
    same codename is not Debian's archive."""
    text = ("deb http://other.invalid/apt bookworm main\n"
            "deb http://archive.invalid/debian bookworm main\n"
            "deb http://archive.invalid/debian bookworm-updates main\n")
    with system("debian", "bookworm", "sources.list", text) as env:
        equal(stanzas(env, "bookworm-backports"),
              [["Types: deb deb-src", "URIs: http://archive.invalid/debian",
                "Suites: bookworm bookworm-updates bookworm-backports",
                "Components: main"]])


# An apt-get that cannot unpack the whole source. The next call finds the
# directory and, as the real apt-get, takes the source for unpacked.
FULL_DISK = """\
#!/bin/sh
case " $* " in
*" source "*)
	[ ! -d qemu-1 ] || exit 0
	mkdir qemu-1
	exit 1
esac
"""


def test_source_that_was_not_unpacked():
    """A part of a source is not taken for the source, and is not left."""
    with system("debian", "bookworm", "sources.list",
                "deb http://archive.invalid/debian bookworm main\n") as env:
        folder = env["VMSHM_ETC"]
        os.mkdir(folder + "/bin")
        with open(folder + "/bin/apt-get", "w", encoding="ascii") as f:
            f.write(FULL_DISK)
        os.chmod(folder + "/bin/apt-get", 0o755)
        env["PATH"] = folder + "/bin:" + env["PATH"]
        # The second run has package lists, and so tries again after an update.
        for name in ("first", "second"):
            os.mkdir(os.path.join(folder, name))
            done = run(env, "bookworm", "source", "qemu",
                       cwd=os.path.join(folder, name))
            assert done.returncode, f"the {name} run did not fail"
            equal(os.listdir(os.path.join(folder, name)), [])
