# SPDX-License-Identifier: GPL-2.0-or-later
"""The picture of the results. It needs gnuplot (package gnuplot-nox)."""

import math
import os
import re
import shutil
import subprocess

from accel import TITLES
from exchange import BULK_SIZES
from form import KIB, MIB, digits, size_text
from results import Results

BLUE, ORANGE, GREY, DARK, GREEN = (0x1b6ca8, 0xd1802b, 0x9aa5b1, 0x5b6570,
                                   0x4c9a5b)

# (title of a group, common keys of its rows, sequence of (name, peer, colour))
PEERS = (("TCP, user mode", "tcp-user", GREY), ("TCP, tap", "tcp-tap", GREY),
         ("virtio-serial", "serial", GREY),
         ("ivshmem-doorbell", "doorbell", ORANGE),
         ("ivshmem, busy-polling", "doorbell-flag", ORANGE),
         ("VMShm wait, wake", "words", BLUE),
         ("VMShm channel", "channel", BLUE))
TRIPS = (
    ("one after the other:", {"name": "trip", "how": "sleep"}, PEERS),
    ("now and then:", {"name": "trip", "how": "rest"}, PEERS),
    ("spinning:", {"name": "trip", "how": "spin"}, (
        ("VMShm channel", "channel", BLUE),
        ("ivshmem-plain", "ivshmem", ORANGE))),
)
OPENED = (("ivshmem, hot-plug", "ivshmem", ORANGE), ("VMShm", "vmshm", BLUE),
          ("tmpfs of the guest", "tmpfs", GREY))
# (name in the legend, peer, colour, kind of line)
BULK = (("memcpy in the guest", "memcpy", DARK, 2),
        ("VMShm channel", "channel", BLUE, 1),
        ("ivshmem ring buffer", "ivshmem", ORANGE, 1),
        ("virtio-serial", "serial", GREEN, 1),
        ("TCP, tap", "tcp-tap", GREY, 1),
        ("TCP, user mode", "tcp-user", GREY, 2))

SCRIPT = """
set terminal {terminal} size 900,820 font "sans-serif,12" \\
    background "white"
set output "{out}"
set multiplot title "Guest: {accel}, {cpus} CPUs; median of {rounds} \\
rounds, lines from minimum to maximum" font ",13"
set border 3
set tics nomirror

set tmargin at screen 0.9
set bmargin at screen 0.48
set lmargin at screen 0.2
set rmargin at screen 0.47
{trips}
set lmargin at screen 0.68
set rmargin at screen 0.97
{attach}
unset tmargin
unset bmargin
unset lmargin
unset rmargin
set size 0.5,0.4
set key below center horizontal samplen 1 maxrows 2 font ",11" width -2
set logscale xy
unset mytics
set xrange [48:1400000]
set xlabel "size of a message in bytes" offset 0,0.9
set yrange [{rates[0]}:{rates[1]}]
set xtics rotate by 0 ({sizes}) font ",12"
set ytics ({rate_tics})
set ylabel "MB/s (more is better)"
set grid ytics lc rgb "#dddddd"
set origin 0,0
set title "Messages to the host, throughput"
{out_lines}
set origin 0.5,0
set title "Messages to the guest, throughput"
{in_lines}
"""

# Medians are dots, because bars on a logarithmic axis would need an origin.
DOTS = """
${block} << EOD
{data}
EOD
set title "{title}"
unset key
set logscale x
set xrange [{least}:{most}]
set yrange [-0.6:{top}]
unset ytics
set ytics nomirror scale 0 ({names})
set xtics ({ticks}) font ",10"
unset mxtics
set xlabel "time, logarithmic (less is better)"
set grid xtics lc rgb "#dddddd"
plot ${block} using 1:2:3:4:5 with xerrorbars pt 7 ps 0.7 lw 1.5 \\
    lc rgb variable, ${block} using 4:2:6 \\
    with labels left offset 0.5,0 font ",11"
unset xlabel
unset logscale x
unset grid
set ytics autofreq
"""

TICKS = ((0.01, "10 ns"), (1, "1 us"), (100, "100 us"), (10000, "10 ms"),
         (1000000, "1 s"))

# The lowest value of an axis, and the width of a label as a factor
LEAST, LABEL = 0.01, 40


def time_text(us):
    """A time with its unit"""
    return f"{digits(us / 1000)} ms" if us >= 1000 else f"{digits(us)} us"


def rows_of(results, groups):
    """(name, result or None, colour) of each row, from top to bottom. The title
    of a group has its own row."""
    for title, keys, peers in groups:
        found = [(name, results.find(peer=peer, **keys), colour)
                 for name, peer, colour in peers]
        if any(r for _, r, _ in found):
            yield title, None, 0
            yield from (row for row in found if row[1])


def bounds(found, room=1):
    """The limits of a logarithmic axis that shows all results and has room for
    a label after the largest one"""
    least, most = min(r["least"] for r in found), max(r["most"] for r in found)
    return (10 ** math.floor(math.log10(max(least, LEAST))),
            max(most, LEAST) * room)


def dots(block, title, rows):
    """A diagram with a dot and its spread in each row"""
    rows = list(rows)[::-1]
    least, most = bounds([r for _, r, _ in rows if r], LABEL)
    return DOTS.format(
        block=block, title=title, least=least, most=most, top=len(rows) - 0.4,
        data="\n".join(f"{r['median']} {y} {r['least']} {r['most']} {colour} "
                       f'"{time_text(r["median"])}"'
                       for y, (_, r, colour) in enumerate(rows) if r),
        names=", ".join(f'"{row[0]}" {y}' for y, row in enumerate(rows)),
        ticks=", ".join(f'"{text}" {us}' for us, text in TICKS
                        if least <= us <= most))


def attach_groups():
    for part, title in (("touched", "to first byte"), ("whole", "and close")):
        for size in (4 * KIB, 64 * MIB):
            yield (f"{title}, {size_text(size)}:",
                   {"name": "attach", "size": size, "touch": "first",
                    "others": 0, "part": part}, OPENED)


def lines(results, way):
    plots, data = [], []
    for name, peer, colour, dash in BULK:
        found = [(s, results.find(name="bulk", way=way, size=s, peer=peer))
                 for s in BULK_SIZES]
        if not all(r for _, r in found):
            continue
        block = f"${way}_{peer.replace('-', '_')}"
        data.append("\n".join([
            f"{block} << EOD",
            *(f"{s} {r['median']} {r['least']} {r['most']}" for s, r in found),
            "EOD"]))
        plots.append(f"{block} with yerrorlines lw 1.5 pt 7 ps 0.4 dt {dash} "
                     f"lc rgb {colour} title '{name}'")
    return "\n".join([*data, "plot " + ", ".join(plots)])


def tick(size):
    """A short size: 64, 1K, 1M"""
    return size_text(size).removesuffix("iB").removesuffix("B").replace(
        " ", "")


def script(data, path, terminal):
    results = Results(data)
    sizes = ", ".join(f'"{tick(s)}" {s}' for s in BULK_SIZES)
    trip = results.find(name="trip", how="sleep", peer="channel")
    rates = bounds([r for r in data["results"] if r["name"] == "bulk"
                    and "load" not in r and not r["peer"].endswith("place")], 2)
    return SCRIPT.format(
        terminal=terminal, out=path, sizes=sizes, cpus=data["machine"]["cpus"],
        rounds=len(trip["values"]),
        accel=TITLES[data["machine"]["accelerator"]],
        trips=dots("trips", "Round trip of 64 bytes",
                   rows_of(results, TRIPS)),
        attach=dots("attach", "Opening an object by name",
                    rows_of(results, attach_groups())),
        rates=rates, rate_tics=", ".join(
            f'"{10 ** n:g}" {10 ** n}' for n in range(-2, 6)
            if rates[0] <= 10 ** n <= rates[1]),
        out_lines=lines(results, "out"), in_lines=lines(results, "in"))


def tidy(path):
    """Adds a licence to a picture in docs/, and removes empty groups."""
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
        return "No picture: gnuplot failed, " + " ".join(said)[:60]
    if terminal == "svg":
        tidy(path)
    return "Picture: " + os.path.relpath(path)
