# SPDX-License-Identifier: GPL-2.0-or-later
"""The aims under emulation, and the measured values."""

from form import KIB, columns, times

BULK = 64 * KIB


def memcpy(table):
    """The minimum of the ratios to memcpy, over sizes and both directions"""
    keys = [{"way": r["way"], "size": r["size"]} for r in table.results
            if r.get("name") == "copy" and r["peer"] == "vmshm"]
    return min(table.ratio(table.find(name="copy", peer="vmshm", **k),
                           table.find(name="copy", peer="ram", **k))
               for k in keys)


def attach(table):
    keys = {"name": "attach", "size": 4 * KIB, "touch": "first", "others": 0,
            "part": "touched"}
    return table.ratio(table.find(peer="ivshmem", **keys),
                       table.find(peer="vmshm", **keys))


SLEEPING = ("serial", "tcp-user", "tcp-tap", "doorbell")
POLLING = ("doorbell-look", "doorbell-flag")


def trip(table, own, how, peers=SLEEPING):
    """The ratio to the fastest peer of each round"""
    peers = [table.find(name="trip", how=how, peer=p) for p in peers]
    best = {"values": [min(v) for v in
                       zip(*(p["values"] for p in peers if p))]}
    return table.ratio(best, table.find(name="trip", how=how, peer=own))


def bulk(table, way, peers, own="channel"):
    own = table.find(name="bulk", way=way, peer=own, size=BULK)
    found = [table.find(name="bulk", way=way, peer=p, size=BULK)
             for p in peers]
    best = {"values": [max(v) for v in
                       zip(*(p["values"] for p in found if p))]}
    return table.ratio(own, best)


TCP, MEMCPY = ("tcp-user", "tcp-tap"), ("memcpy",)

AIMS = (
    ("memcpy / guest RAM, the slowest of all sizes", 0.97, memcpy),
    ("attach 4 KiB: ivshmem's hot-plug / VMShm", 100, attach),
    ("round trip: best sleeping peer / wait and wake", 2,
     lambda t: trip(t, "words", "sleep")),
    ("round trip: best sleeping peer / channel", 2,
     lambda t: trip(t, "channel", "sleep")),
    ("round trip: best busy-polling peer / channel", 1,
     lambda t: trip(t, "channel", "sleep", POLLING)),
    ("now and then: best sleeping peer / wait, wake", 2,
     lambda t: trip(t, "words", "rest")),
    ("now and then: best sleeping peer / channel", 2,
     lambda t: trip(t, "channel", "rest")),
    ("now and then: best busy-polling peer / channel", 1,
     lambda t: trip(t, "channel", "rest", POLLING)),
    ("64 KiB to the host: channel / faster TCP", 10,
     lambda t: bulk(t, "out", TCP)),
    ("64 KiB to the guest: channel / faster TCP", 10,
     lambda t: bulk(t, "in", TCP)),
    ("the same to the host, in place", 10,
     lambda t: bulk(t, "out", TCP, "channel-place")),
    ("the same to the guest, in place", 10,
     lambda t: bulk(t, "in", TCP, "channel-place")),
    ("64 KiB to the host: channel / memcpy", 0.7,
     lambda t: bulk(t, "out", MEMCPY)),
    ("64 KiB to the guest: channel / memcpy", 0.7,
     lambda t: bulk(t, "in", MEMCPY)),
)


def section(table):
    widths = (47, -8, -9, 8)
    yield ""
    yield columns(widths, ("Aims", "at least", "is", ""))
    for name, aim, measure in AIMS:
        value = measure(table)
        if aim >= 1:
            cells = f"{aim}x", times(value)
        else:
            cells = str(aim), f"{value:.3f}"
        yield columns(widths, (name, *cells,
                               "met" if value >= aim else "MISSED"))
