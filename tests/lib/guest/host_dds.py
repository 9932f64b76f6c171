# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests for Fast DDS on the host; see tests/programs/test-fastdds.sh."""

import os
import subprocess

from qemu import die_with_parent

from .build import FOLDER

# Fast DDS has fixed names in /dev/shm. In a mount namespace of its own, the
# program finds the directory of the device there.
IN_DIRECTORY = ("unshare", "--map-root-user", "--mount", "sh", "-c",
                'mount --bind "$0" /dev/shm && exec "$@"')


class HostDds:
    """The answers to such requests, a part of the class Host"""

    dds = None

    def do_dds(self, *words):
        """Starts the program with these arguments."""
        self.dds = subprocess.Popen(
            [*IN_DIRECTORY, os.path.join(self.folder, "shm"),
             os.path.join(FOLDER, "fastdds"), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.children.append(self.dds)

    def do_dds_end(self):
        """Waits for the end of the program. The answer is its exit code."""
        self.children.remove(self.dds)
        return self.dds.wait()
