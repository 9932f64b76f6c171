# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as a table of 80 columns."""

import textwrap

import aims
import exchange
import futexes
import messages
import wakes
from accel import TITLES
from form import (KIB, MIB, columns, digits, row, size_text, spread,
                  time_text, times)
from results import Results

ATTACHED = (4 * KIB, MIB, 64 * MIB)
COPIED = (4 * KIB, 64 * KIB, MIB, 16 * MIB)
PEERS = ("vmshm", "ram", "ivshmem")


def head(table):
    m = table.machine
    yield f"VMShm {m['vmshm']} in Linux {m['guest']}, {m['guest_cpus']} CPUs"
    yield (f"QEMU {m['qemu']}, {TITLES[m['accelerator']]}, on {m['cpus']} "
           "CPUs")
    yield (f"Medians of {m['rounds']} rounds (minimum..maximum). Ratios are "
           "computed in each round.")
    yield (f"{m['short']} rounds for: loaded, idle, files by name. p99 is that "
           "of single operations.")
    if m["load"] > 0.75 * m["cpus"]:
        yield f"Other programs were running, with a load of {m['load']:.1f}."
    for name, why in m["left_out"].items():
        yield from textwrap.wrap(f"Left out: {name}; {why}.", 80)


def attach_part(table, title, touch, part, sizes):
    yield ""
    yield title
    yield row("", "plug", "vmshm", "vmshm", "tmpfs", "plug: ivshmem,")
    yield row("", "/vmshm", "/tmpfs", "", "", "hot-plugged")
    for size in sizes:
        keys = {"name": "attach", "size": size, "touch": touch, "others": 0,
                "part": part}
        vmshm, tmpfs, plug = (table.find(peer=p, **keys)
                              for p in ("vmshm", "tmpfs", "ivshmem"))
        yield row(size_text(size), f"{table.ratio(plug, vmshm):.0f}x",
                  f"{table.ratio(vmshm, tmpfs):.1f}x", spread(vmshm),
                  spread(tmpfs), spread(plug))


def attach(table):
    yield from attach_part(table, "Attach: open by name, mmap, first byte",
                           "first", "touched", ATTACHED)
    yield from attach_part(table, "With munmap and close (unplug)", "first",
                           "whole", ATTACHED)
    yield from attach_part(
        table, "With munmap and close, reading a byte of each page", "all",
        "whole", ATTACHED[1:])


def tails(table):
    yield ""
    yield "Open to the first byte: p99 of single opens"
    widths = (10, 12, 12)
    yield columns(widths, ("", "vmshm", "tmpfs"))
    for size in ATTACHED:
        yield columns(widths, (size_text(size), *(
            time_text(table.find(name="attach-p99", peer=p, size=size,
                                 touch="first", others=0))
            for p in ("vmshm", "tmpfs"))))


STEPS = (("create", "create, close"), ("stat", "stat"), ("open", "open, close"),
         ("attach", "open to close"), ("list", "list 100"),
         ("unlink", "unlink"))


def files(table):
    widths = (16, 12, -9, 24, 10)
    yield ""
    yield "Files by name, 100 of 4 KiB; list: names with attributes"
    yield columns(widths, ("", "", "/vmshm", "median", "p99"))
    for step, title in STEPS:
        own = table.find(name="file", step=step, peer="vmshm")
        for peer in ("vmshm", "virtiofs", "tmpfs"):
            r, tail = (table.find(name=name, step=step, peer=peer)
                       for name in ("file", "file-p99"))
            if r:
                yield columns(widths, (
                    title if peer == "vmshm" else "", peer,
                    times(table.ratio(r, own)), spread(r), time_text(tail)))


def others(table):
    yield ""
    yield "Attach to close, 4 KiB, while others are attached"
    yield row("others", "/alone", "", "vmshm", "tmpfs")
    keys = {"name": "attach", "size": 4 * KIB, "touch": "first",
            "part": "whole"}
    alone = table.find(peer="vmshm", others=0, **keys)
    for count in (1, 100, 1000):
        vmshm = table.find(peer="vmshm", others=count, **keys)
        tmpfs = table.find(peer="tmpfs", others=count, **keys)
        yield row(count, f"{table.ratio(vmshm, alone):.2f}x", "",
                  spread(vmshm), spread(tmpfs))


def parts(table):
    yield ""
    yield "Parts of this time, us"
    steps = ("open", "mmap", "touch", "munmap", "close")
    yield "".join(f"{c:>10}" for c in ("", *steps))
    for peer, size in [(p, s) for s in ATTACHED for p in ("vmshm", "tmpfs")]:
        cells = [digits(table.find(name="attach", peer=peer, size=size,
                                   touch="first", others=0,
                                   part=s)["median"]) for s in steps]
        yield f"{size_text(size)} {peer}".ljust(14) + \
            "".join(f"{c:>10}" for c in cells)[4:]
    vmshm, tmpfs = (digits(table.find(name="fstat", peer=p)["median"])
                    for p in ("vmshm", "tmpfs"))
    yield f"fstat: vmshm {vmshm}, tmpfs {tmpfs}"
    yield "Register access: " + time_text(table.find(name="register"))


def place(table):
    yield ""
    yield "Open at an unused place of the arena, and at a used place"
    for size in (2 * MIB, 64 * MIB):
        first, again = (table.find(name="place", size=size, use=u)
                        for u in ("first", "again"))
        yield row(size_text(size), f"{table.ratio(first, again):.0f}x", "",
                  spread(first), spread(again))


def cost_of_memory(table):
    yield ""
    yield "Guest memory"
    idle = table.find(name="memory", of="idle")["median"]
    yield f"idle, arena=1G:    {idle:.0f} KiB"
    for size in (64 * MIB, 512 * MIB):
        kib = table.find(name="memory", of="attached", size=size)["median"]
        yield f"{size_text(size)} attached:".ljust(19) + \
            f"{kib:.0f} KiB, {kib * KIB / size:.2%}"


def copy(table):
    yield ""
    yield "memcpy of guest RAM into the mapping and back, MB/s"
    yield row("", "vmshm", "ivshmem", "vmshm", "RAM", "ivshmem")
    yield row("", "/RAM", "/RAM")
    for way, size in [(w, s) for w in ("into", "from") for s in COPIED]:
        vmshm, ram, ivshmem = (
            table.find(name="copy", way=way, size=size, peer=p)
            for p in PEERS)
        yield row(f"{way} {size_text(size).replace(' ', '')[:-2]}",
                  f"{table.ratio(vmshm, ram):.2f}",
                  f"{table.ratio(ivshmem, ram):.2f}", spread(vmshm),
                  spread(ram), spread(ivshmem))


def types(table):
    yield ""
    pages = {12: "4 KiB", 21: "2 MiB"}
    for peer, name in zip(PEERS, ("vmshm", "RAM", "ivshmem")):
        t = table.find(name="type", peer=peer)
        yield f"{name + ':':<10}{t['type']:<4} by the page tables, " \
              f"pages of {pages[int(t['median'])]}"


def random(table):
    yield ""
    yield "Random access in 16 MiB, ns each, by the possible page size"
    yield row("pages", "vmshm", "ivshmem", "vmshm", "RAM", "ivshmem")
    yield row("", "/RAM", "/RAM")
    for pages in ("4K", "2M"):
        vmshm, ram, ivshmem = (
            table.find(name="random", pages=pages, peer=p) for p in PEERS)
        yield row(pages, f"{table.ratio(vmshm, ram):.2f}",
                  f"{table.ratio(ivshmem, ram):.2f}", spread(vmshm),
                  spread(ram), spread(ivshmem))


def channel(table):
    if table.messages:
        yield ""
        yield from messages.lines(table.messages)


def render(data):
    table = Results(data)
    sections = (head, aims.section, *exchange.SECTIONS, wakes.section, channel,
                attach, tails, files, others, parts, place, cost_of_memory,
                copy, types, random, futexes.section, exchange.loaded)
    return "\n".join(line for s in sections for line in s(table)) + "\n"
