# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as a picture, if there is gnuplot (package gnuplot-nox)."""

import os
import shutil
import subprocess

from results import Results
from table import ATTACHED, COPIED, size_text

COLOURS = {"vmshm": "#1b6ca8", "other": "#9aa5b1", "ivshmem": "#d1802b"}

SCRIPT = """
set terminal svg size 900,400 font "sans-serif,13" background "white"
set output "{out}"
set multiplot layout 1,2
set border 3
set tics nomirror
set grid ytics lc rgb "#dddddd"
set key below center horizontal samplen 1
set style fill solid noborder

set title "Open by name to first byte (less is better)"
set style data histograms
set style histogram clustered gap 1 title offset 0,0.3
set logscale y
set yrange [10:*]
set ylabel "microseconds"
set format y "%.0s %c"
plot $attach using 2:xtic(1) title "guest's own tmpfs" lc rgb "{other}", \\
     $attach using 3 title "VMShm" lc rgb "{vmshm}", \\
     $attach using 4 title "hot-plug of ivshmem" lc rgb "{ivshmem}"

set title "memcpy into the mapping (more is better)"
unset logscale
set yrange [0:*]
set ylabel "MB/s"
set format y "%.0f"
plot $copy using 2:xtic(1) title "guest RAM" lc rgb "{other}", \\
     $copy using 3 title "VMShm" lc rgb "{vmshm}", \\
     $copy using 4 title "ivshmem" lc rgb "{ivshmem}"
"""


def block(name, rows):
    """Data for gnuplot: a size, and numbers."""
    lines = [f'"{size_text(size)}" ' + " ".join(f"{n}" for n in numbers)
             for size, numbers in rows]
    return "\n".join([f"${name} << EOD", *lines, "EOD", ""])


def medians(results, peers, **keys):
    return [results.find(peer=p, **keys)["median"] for p in peers]


def draw(data, path):
    """A line about what became of it."""
    if not shutil.which("gnuplot"):
        return "No picture: there is no gnuplot (package gnuplot-nox)."
    results = Results(data)
    attach = [(s, medians(results, ("tmpfs", "vmshm", "ivshmem"),
                          name="attach", size=s, touch="first", others=0,
                          part="touched")) for s in ATTACHED]
    copy = [(s, medians(results, ("ram", "vmshm", "ivshmem"), name="copy",
                        way="into", size=s)) for s in COPIED]
    script = block("attach", attach) + block("copy", copy) + \
        SCRIPT.format(out=path, **COLOURS)
    done = subprocess.run(["gnuplot"], input=script.encode(), check=False,
                          stderr=subprocess.PIPE)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return "No picture: gnuplot said, " + " ".join(said)[:60]
    return "Picture: " + os.path.relpath(path)
