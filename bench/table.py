# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as a table of 80 columns."""

import aims
import exchange
from form import KIB, MIB, digits, row, size_text, spread
from results import Results

ATTACHED = (4 * KIB, MIB, 64 * MIB)
COPIED = (4 * KIB, 64 * KIB, MIB, 16 * MIB)
PEERS = ("vmshm", "ram", "ivshmem")


def head(table):
    m = table.machine
    yield f"VMShm {m['vmshm']} in Linux {m['guest']}, {m['guest_cpus']} CPUs"
    yield f"QEMU {m['qemu']}, TCG on {m['cpus']} CPUs"
    yield (f"Medians of {m['rounds']} rounds (least..most); ratios are of the "
           "same round.")
    if m["load"] > 0.75 * m["cpus"]:
        yield f"Other programs were running: a load of {m['load']:.1f}."
    if m["no_tap"]:
        yield f"No tap here ({m['no_tap']}): left out."


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
    yield from attach_part(table, "And munmap, close (unplug)", "first",
                           "whole", ATTACHED)
    yield from attach_part(table, "The same with a byte of each page", "all",
                           "whole", ATTACHED[1:])


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
    exits = [table.find(name="exits", step=s)
             for s in ("open+mmap", "close", "fstat")]
    if all(exits):
        opened, closed, fstat = (f"{e['median']:.0f}" for e in exits)
        yield f"Register accesses: open {opened}, close {closed}; " \
              f"fstat {fstat}; one is " \
              f"{digits(table.find(name='register')['median'])} us"


def place(table):
    yield ""
    yield "Open at an unused place of the arena, and at a used place"
    for size in (2 * MIB, 64 * MIB):
        first, again = (table.find(name="place", size=size, use=u)
                        for u in ("first", "again"))
        yield row(size_text(size), f"{table.ratio(first, again):.0f}x", "",
                  spread(first), spread(again))


def cost(table):
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


def render(data):
    table = Results(data)
    sections = (head, aims.section, *exchange.SECTIONS, attach, others, parts,
                place, cost, copy, types, random)
    return "\n".join(line for s in sections for line in s(table)) + "\n"
