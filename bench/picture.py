# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as a picture, if there is gnuplot (package gnuplot-nox)."""

import os
import re
import shutil
import subprocess

from exchange import BULK_SIZES
from form import KIB, MIB, digits, size_text
from results import Results

BLUE, ORANGE, GREY, DARK, GREEN = ("#1b6ca8", "#d1802b", "#9aa5b1", "#5b6570",
                                   "#4c9a5b")

TRIPS = (
    ("TCP, user mode", "tcp-user", "sleep", GREY),
    ("TCP, tap", "tcp-tap", "sleep", GREY),
    ("virtio-serial", "serial", "sleep", GREY),
    ("ivshmem-doorbell", "doorbell", "sleep", ORANGE),
    ("VMShm channel", "channel", "sleep", BLUE),
    ("VMShm wait and wake", "words", "sleep", BLUE),
    ("ivshmem, spinning", "ivshmem", "spin", ORANGE),
    ("VMShm channel, spinning", "channel", "spin", BLUE),
)
ATTACHED = (
    ("hot-plug, 64 MiB", 64 * MIB, "ivshmem", ORANGE),
    ("VMShm, 64 MiB", 64 * MIB, "vmshm", BLUE),
    ("hot-plug, 4 KiB", 4 * KIB, "ivshmem", ORANGE),
    ("VMShm, 4 KiB", 4 * KIB, "vmshm", BLUE),
    ("tmpfs, 4 KiB", 4 * KIB, "tmpfs", GREY),
)
# Names as in the legend, with the kind of line
BULK = (("memcpy in the guest", "memcpy", DARK, 2),
        ("VMShm channel", "channel", BLUE, 1),
        ("ivshmem ring", "ivshmem", ORANGE, 1),
        ("virtio-serial", "serial", GREEN, 1),
        ("TCP, tap", "tcp-tap", GREY, 1),
        ("TCP, user mode", "tcp-user", GREY, 2))

SCRIPT = """
set terminal {terminal} size 900,740 font "sans-serif,12" \\
    background "white"
set output "{out}"
set multiplot layout 2,2
set border 3
set tics nomirror
set style fill solid noborder

{trips}
{attach}
set key below center horizontal samplen 1 maxrows 2 font ",11" width -2
set logscale xy
unset mytics
set xrange [48:1400000]
set xlabel "bytes of a message" offset 0,0.5
set yrange [3:*]
set xtics rotate by 0 ({sizes})
set ylabel "MB/s (more is better)"
set format y "%.0f"
set grid ytics lc rgb "#dddddd"
set title "Messages to the host"
{out_lines}
set title "Messages to the guest"
{in_lines}
"""

BARS = """
set title "{title}"
unset key
set logscale x
set xrange [{least}:{most}]
set yrange [-0.6:{top}]
unset ytics
set ytics nomirror scale 0 ({names})
set xtics ({ticks})
unset mxtics
set xlabel "microseconds (less is better)"
set grid xtics lc rgb "#dddddd"
plot {boxes}
unset xlabel
unset logscale x
unset grid
set ytics autofreq
"""


def bars(title, rows, least, most):
    """Horizontal bars, the first one at the bottom. rows: (name, value,
    colour)."""
    boxes = [f"'+' every ::::0 using ({least}):({y}):({least}):({value}):"
             f"({y - 0.36}):({y + 0.36}) with boxxyerror lc rgb '{colour}', "
             f"'+' every ::::0 using ({value}):({y}):('{digits(value)}') "
             "with labels left offset 0.5,0"
             for y, (_, value, colour) in enumerate(rows)]
    return BARS.format(
        title=title, least=least, most=most,
        ticks=", ".join(str(least * 10 ** n) for n in range(0, 8, 2)),
        top=len(rows) - 0.4, boxes=", ".join(boxes),
        names=", ".join(f'"{row[0]}" {y}' for y, row in enumerate(rows)))


def trips(results):
    found = [(name, results.find(name="trip", peer=peer, how=how), colour)
             for name, peer, how, colour in TRIPS]
    return bars("Round trip of 64 bytes",
                [(n, r["median"], c) for n, r, c in found if r], 0.1, 2000)


def attach(results):
    rows = [(name, results.find(name="attach", size=size, touch="first",
                                others=0, part="touched",
                                peer=peer)["median"], colour)
            for name, size, peer, colour in ATTACHED]
    return bars("Open by name to first byte", rows, 10,
                200000)


def lines(results, way):
    plots, data = [], []
    for name, peer, colour, dash in BULK:
        found = [(s, results.find(name="bulk", way=way, size=s, peer=peer))
                 for s in BULK_SIZES]
        if not all(r for _, r in found):
            continue
        block = f"${way}_{peer.replace('-', '_')}"
        data.append("\n".join([f"{block} << EOD",
                               *(f"{s} {r['median']}" for s, r in found),
                               "EOD"]))
        plots.append(f"{block} with lines lw 2 dt {dash} "
                     f"lc rgb '{colour}' title '{name}'")
    return "\n".join([*data, "plot " + ", ".join(plots)])


def tick(size):
    """Short: 64, 1K, 1M"""
    return size_text(size).removesuffix("iB").removesuffix("B").replace(
        " ", "")


def script(data, path, terminal):
    results = Results(data)
    sizes = ", ".join(f'"{tick(s)}" {s}' for s in BULK_SIZES)
    return SCRIPT.format(
        terminal=terminal, out=path, sizes=sizes, trips=trips(results),
        attach=attach(results), out_lines=lines(results, "out"),
        in_lines=lines(results, "in"))


def tidy(path):
    """Adds a licence and removes empty groups, for a picture in docs/."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"<g [^>]*>\s*</g>\s*", "", text)
    text = re.sub(r"^[ \t]+|[ \t]+$|^\n", "", text, flags=re.M)
    head, _, rest = text.partition("\n")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{head}\n<!-- SPDX-License-Identifier: MIT -->\n{rest}")


def draw(data, path, terminal="svg"):
    """Draws the picture; returns a line about the result."""
    if not shutil.which("gnuplot"):
        return "No picture: there is no gnuplot (package gnuplot-nox)."
    done = subprocess.run(["gnuplot"], check=False, stderr=subprocess.PIPE,
                          input=script(data, path, terminal).encode())
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return "No picture: gnuplot said, " + " ".join(said)[:60]
    if terminal == "svg":
        tidy(path)
    return "Picture: " + os.path.relpath(path)
