# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of round trips, bulk transfers, broadcasts, and idle guests"""

from form import KIB, MIB, columns, digits, size_text, spread, time_text, times

BULK_SIZES = (64, KIB, 4 * KIB, 64 * KIB, MIB)
WAYS = (("out", "guest to host"), ("in", "host to guest"))
BULK_PEERS = (("memcpy", "memcpy"), ("ivshmem", "ivshmem"),
              ("serial", "serial"), ("tcp-tap", "tap"), ("tcp-user", "user"))

TRIPS = (
    ("channel", "VMShm channel"), ("channel-0", "  asleep at once"),
    ("words", "VMShm wait, wake"), ("words-0", "  asleep at once"),
    ("doorbell", "ivshmem-doorbell"),
    ("doorbell-look", "  busy-polls 50 us"),
    ("doorbell-flag", "  and rings for sleepers"),
    ("serial", "virtio-serial"),
    ("tcp-tap", "TCP, tap"), ("tcp-user", "TCP, user mode"),
    ("futex", "host: futex"), ("unix", "host: UNIX socket"))
SPINS = (("channel", "VMShm channel"), ("words", "VMShm words"),
         ("ivshmem", "ivshmem-plain"), ("host", "host: memory"))
HOWS = (("sleep", "one after the other"), ("rest", "now and then"))


def trip_table(table, title, how, peers, **load):
    """A table of round trip times, and of the processor time of a message"""
    widths = (25, -9, 20, 10, -8, -7)
    yield ""
    yield title
    work = table.find(name="cpu", how=how, peer="channel", **load)
    yield columns(widths, ("", "/channel", "median", "p99",
                           *(("VM", "host") if work else ())))
    own = table.find(name="trip", how=how, peer="channel", **load)
    for peer, name in peers:
        r, tail, vm, host = (
            table.find(peer=peer, how=how, **more, **load)
            for more in ({"name": "trip"}, {"name": "trip-p99"},
                         {"name": "cpu", "side": "vm"},
                         {"name": "cpu", "side": "host"}))
        if r:
            yield columns(widths, (
                name, times(table.ratio(r, own)), spread(r), time_text(tail),
                *(digits(w["median"]) for w in (vm, host) if w)))


def trips(table):
    for how, title in HOWS:
        yield from trip_table(
            table, f"Round trip of 64 bytes, {title}; CPU us of each message",
            how, TRIPS)
    yield from trip_table(table, "Round trip of 64 bytes, spinning", "spin",
                          SPINS)


def bulk_of(table, way, size, peer, **load):
    return table.find(name="bulk", way=way, size=size, peer=peer, **load)


def bulk_ratios(table, way, title):
    widths = (9, -9, -9, -9, -9, -9, 22)
    yield ""
    yield f"Messages from {title}: channel, MB/s, against the others"
    yield columns(widths, ("", *(f"/{n}" for _, n in BULK_PEERS), "channel"))
    for size in BULK_SIZES:
        own = bulk_of(table, way, size, "channel")
        others = [bulk_of(table, way, size, p) for p, _ in BULK_PEERS]
        yield columns(widths, (
            size_text(size),
            *(times(table.ratio(own, r)) if r else "-" for r in others),
            spread(own)))


def bulk_numbers(table, way, title):
    widths = (9, -9, -9, -9, -9, -9, -9, -9)
    yield ""
    yield f"Medians, {title}, MB/s"
    yield columns(widths, ("", "channel", "in place",
                           *(n for _, n in BULK_PEERS)))
    for size in BULK_SIZES:
        found = [bulk_of(table, way, size, p)
                 for p in ("channel", "channel-place",
                           *(p for p, _ in BULK_PEERS))]
        yield columns(widths, (
            size_text(size), *(digits(r["median"]) if r else "-"
                               for r in found)))


def bulk_work(table):
    """A table of the processor time of both sides"""
    peers = (("channel", "channel"), *BULK_PEERS[1:])
    widths = (24, *[-11] * len(peers))
    yield ""
    yield "CPU us of a message: the VM with QEMU's devices + the host's program"
    yield columns(widths, ("", *(name for _, name in peers)))
    for size, (way, title) in [(s, w) for s in BULK_SIZES for w in WAYS]:
        cells = []
        for peer, _ in peers:
            found = [table.find(name="cpu", how=f"{way}-{size}", peer=peer,
                                side=side) for side in ("vm", "host")]
            cells.append("+".join(digits(r["median"]) for r in found)
                         if all(found) else "-")
        yield columns(widths, (f"{size_text(size)}, {title}", *cells))


def bulk(table):
    for way, title in WAYS:
        yield from bulk_ratios(table, way, title)
    for way, title in WAYS:
        yield from bulk_numbers(table, way, title)
    yield from bulk_work(table)


def loaded(table):
    """A table of round trips on a loaded machine"""
    load = table.machine["busy"]
    if not table.find(name="trip", load=load):
        return
    yield ""
    yield (f"ON A LOADED MACHINE: {load} busy processes on "
           f"{table.machine['cpus']} CPUs")
    for how, title in HOWS:
        yield from trip_table(
            table, f"Loaded: round trip of 64 bytes, {title}", how,
            TRIPS[:-2], load=load)
    yield ""
    yield "Loaded: messages of 64 KiB, MB/s, and the channel against them"
    widths = (16, -8, 22, -8, 22)
    yield columns(widths, ("", "channel/", "guest to host", "channel/",
                           "host to guest"))
    for peer, name in (("channel", "channel"), *BULK_PEERS):
        cells = []
        for way, _ in WAYS:
            r, own = (bulk_of(table, way, 64 * KIB, p, load=load)
                      for p in (peer, "channel"))
            if r:
                cells += [times(table.ratio(own, r)), spread(r)]
        yield columns(widths, (name, *cells))
    yield ""
    yield "Loaded: open by name, mmap, first byte of 4 KiB"
    widths = (16, 22, 10)
    yield columns(widths, ("", "median", "p99"))
    for peer in ("vmshm", "tmpfs"):
        r, tail = (table.find(name=name, peer=peer, part="touched", load=load)
                   for name in ("attach", "attach-p99"))
        yield columns(widths, (peer, spread(r), time_text(tail)))


def broadcast(table):
    widths = (9, -8, -8, 24, 24)
    yield ""
    yield "Broadcast from the host to a reader in each guest, none lost"
    yield columns(widths, ("", "readers", "/one", "entries/s, all readers",
                           "MB/s, all readers"))
    for size in (4 * KIB, MIB):
        for readers in (1, 2, 4):
            one, r, rate, lost = (
                table.find(name="broadcast", size=size, readers=n, what=what)
                for n, what in ((1, "bytes"), (readers, "entries"),
                                (readers, "bytes"), (readers, "lost")))
            yield columns(widths, (
                size_text(size), readers, times(table.ratio(rate, one)),
                spread(r), spread(rate),
                f"LOST {lost['median']:.1%}" if lost["most"] else ""))


WAITERS = ((64, "own"), (200, "one"), (200, "own"), (1000, "one"),
           (1000, "own"))


def idle_rows(table):
    """(name, keys) of each state of the idle guest"""
    yield "without a device", {"state": "nothing"}
    yield "one device", {"state": "device"}
    for count, words in WAITERS:
        yield (f"{count} waiters, " + ("one word" if words == "one" else
                                       "own words"),
               {"state": "waiters", "count": count, "words": words})


def idle(table):
    widths = (23, -8, 20, -9, 20)
    yield ""
    yield "QEMU of an idle guest, per second; waking all waiters from the host"
    yield columns(widths, ("", "/without", "CPU time", "accesses", "wake all"))
    none = table.find(name="idle", state="nothing", unit="us")
    for name, keys in idle_rows(table):
        us, exits = (table.find(name="idle", unit=unit, **keys)
                     for unit in ("us", "exits"))
        if not us:
            continue
        woken = table.find(name="wake-all", **{
            k: v for k, v in keys.items() if k != "state"}) \
            if "count" in keys else None
        yield columns(widths, (
            name, times(table.ratio(us, none)), spread(us),
            f"{exits['median']:.0f}", spread(woken) if woken else ""))


SECTIONS = (trips, bulk, broadcast, idle)
