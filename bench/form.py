# SPDX-License-Identifier: GPL-2.0-or-later
"""The format of sizes, times, rates and table rows."""

KIB, MIB = 1 << 10, 1 << 20


def size_text(size):
    if size < KIB:
        return f"{size} B"
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def digits(value):
    """The number with three significant digits"""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(ratio):
    return f"{digits(ratio)}x" if ratio < 10 else f"{ratio:.0f}x"


def spread(r):
    """A time or rate with its minimum and maximum"""
    scale, unit = 1, r["unit"] if r["unit"] in ("us", "ns") else ""
    if r["unit"] == "us" and r["median"] >= 1000:
        scale, unit = 1000, "ms"
    if r["unit"] == "per_s" and r["median"] >= 10000:
        scale, unit = 1000, "k"
    low, high = (f"{n:.1f}" if n < 10 else f"{n:.0f}"
                 for n in (r["least"] / scale, r["most"] / scale))
    return f"{digits(r['median'] / scale)}{unit} ({low}..{high})"


def time_text(r):
    """The median of a time with its unit; empty if there is no result"""
    if not r:
        return ""
    us = r["median"]
    return f"{digits(us / 1000)}ms" if us >= 1000 else f"{digits(us)}us"


def columns(widths, cells):
    """The line of these cells. A negative width aligns to the right, with a
    space after the cell. A space also follows a text that is too long."""
    return "".join(f"{c:>{-w - 1}} " if w < 0 else f"{c:<{w - 1}} "
                   for c, w in zip(cells, widths)).rstrip()


def row(*cells):
    """The line of a name, two ratios and three numbers"""
    return columns((9, -8, -7, 19, 19, 18), cells)
