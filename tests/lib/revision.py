# SPDX-License-Identifier: GPL-2.0-or-later
"""Earlier versions of this project, from the history of the git repository."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
# The last commit before the changelog: version 0.1
OLD = "402204402623"


def is_there(revision):
    """Whether the repository has it: a shallow clone and a tarball do not."""
    return not subprocess.run(
        ["git", "-C", ROOT, "cat-file", "-e", revision + "^{commit}"],
        check=False, stderr=subprocess.DEVNULL).returncode


def extract(revision, target, *parts):
    """Writes these parts of the revision, or all of it, to a directory."""
    os.makedirs(target, exist_ok=True)
    tar = subprocess.run(["git", "-C", ROOT, "archive", revision, *parts],
                         check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "x", "-C", target], check=True, input=tar)
