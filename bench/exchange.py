# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of messages: round trips, bulk, broadcast; and of none."""

from form import KIB, MIB, columns, digits, size_text, spread, times

BULK_SIZES = (64, KIB, 4 * KIB, 64 * KIB, MIB)
WAYS = (("out", "guest to host"), ("in", "host to guest"))
BULK_PEERS = (("memcpy", "memcpy"), ("ivshmem", "ivshmem"),
              ("serial", "serial"), ("tcp-tap", "tap"), ("tcp-user", "user"))

TRIPS = (
    ("channel", "VMShm channel"), ("channel-0", "  asleep at once"),
    ("words", "VMShm wait, wake"), ("words-0", "  asleep at once"),
    ("doorbell", "ivshmem-doorbell"),
    ("serial", "virtio-serial"),
    ("tcp-tap", "TCP, tap"), ("tcp-user", "TCP, user mode"),
    ("futex", "host: futex"), ("unix", "host: UNIX socket"))
SPINS = (("channel", "VMShm channel"), ("words", "VMShm words"),
         ("ivshmem", "ivshmem-plain"), ("host", "host: memory"))


def trip_row(table, widths, peer, name, hows):
    cells = [name]
    for how in hows:
        own = table.find(name="trip", how=how, peer="channel")
        r = table.find(name="trip", how=how, peer=peer)
        if not r:
            return
        cells += [times(table.ratio(r, own)), spread(r)]
    yield columns(widths, cells)


def trips(table):
    widths = (19, -10, 22, -10, 20)
    yield ""
    yield "Round trip of 64 bytes, waiting asleep"
    yield columns(widths, ("", "/channel", "one after the other", "/channel",
                           "now and then"))
    for peer, name in TRIPS:
        yield from trip_row(table, widths, peer, name, ("sleep", "rest"))
    yield ""
    yield "Round trip of 64 bytes, spinning"
    yield columns(widths, ("", "/channel"))
    for peer, name in SPINS:
        yield from trip_row(table, widths, peer, name, ("spin",))


def bulk_of(table, way, size, peer):
    return table.find(name="bulk", way=way, size=size, peer=peer)


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


def bulk(table):
    for way, title in WAYS:
        yield from bulk_ratios(table, way, title)
    for way, title in WAYS:
        yield from bulk_numbers(table, way, title)


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


def idle(table):
    widths = (24, -9, 24, 24)
    yield ""
    yield "QEMU of an idle guest, per second"
    yield columns(widths, ("", "/without", "CPU time", "context switches"))
    none = {unit: table.find(name="idle", state="nothing", unit=unit)
            for unit in ("us", "switches")}
    for state, name in (("nothing", "without a device"),
                        ("device", "one device"),
                        ("waiters", "and 64 waiters asleep")):
        us, switches = (table.find(name="idle", state=state, unit=unit)
                        for unit in ("us", "switches"))
        yield columns(widths, (name, times(table.ratio(us, none["us"])),
                               spread(us), spread(switches)))
    threads, switches = (table.find(name="idle", state="waiting", unit=unit)
                         for unit in ("threads", "switches"))
    exits = table.find(name="idle", state="waiters", unit="exits")
    yield (f"The {threads['median']:.0f} threads that wait: "
           f"{switches['most']:.0f} switches; register accesses: "
           f"{exits['most']:.0f}")


SECTIONS = (trips, bulk, broadcast, idle)
