# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the tables of `make bench`, with invented numbers"""

import os
import sys
import tempfile

from qemu import ROOT, Lost

sys.path.insert(0, os.path.join(ROOT, "bench"))

import exits                        # noqa: E402
import messages                     # noqa: E402
import publish                      # noqa: E402
import run                          # noqa: E402
import table                        # noqa: E402
from results import Results, summarize          # noqa: E402

MACHINE = {
    "vmshm": "0.0.0", "guest": "6.1.0-57-cloud-amd64", "qemu": "Debian 1:" +
    "7.2+dfsg-7+deb12u18+b3", "accelerator": "tcg", "guest_cpus": 2, "cpus": 2,
    "host": "6.1", "rounds": 3, "short": 3, "busy": 8, "load": 9.5,
    "left_out": {"vsock": "the host has no /dev/vhost-vsock, and " * 3}}

RATES = {"old": [5.0, 5.1], "new": [21.5, 20.1], "batches": [40.0, 44.4]}
MESSAGES = {"instructions": {"send": [205, 77], "recv": [193, 75]},
            "rates": RATES, "cpu": {**RATES, "old": [155.4, 162.4, 167.7]}}

UNITS = {"bulk": "mbs", "copy": "mbs", "broadcast": "per_s", "random": "ns"}

# A unit of time with the longest text
VALUES = [0.8, 1.75, 2396.0]


class Everything(Results):
    """A set of results that contains each result of a table"""

    def find(self, **keys):
        r = {**keys, "type": "UC-", "unit": keys.get("unit") or
             UNITS.get(keys["name"], "us"), "values": VALUES,
             "least": VALUES[0], "median": VALUES[1], "most": VALUES[2]}
        if keys["name"] == "type":
            r["median"] = 12
        return r


def data():
    found = [{"name": "copy", "way": "into", "size": "4096", "peer": "vmshm"},
             {"name": "exits", "operation": "10,000 names with attributes",
              "median": 117}]
    return {"machine": MACHINE, "messages": MESSAGES, "results": found}


def all_lines():
    table.Results, saved = Everything, table.Results
    try:
        text = table.render(data())
    finally:
        table.Results = saved
    return text.splitlines() + list(exits.section(Everything(data())))


def test_lines_have_at_most_80_columns():
    for line in all_lines():
        if len(line) > 80:
            return f"{len(line)} columns: {line}"
    return None


def test_reasons_are_in_the_table():
    text = "\n".join(all_lines())
    for words in ("Left out: vsock", "load of 9.5", "emulated (TCG)",
                  "LOADED MACHINE: 8", "busy-polls 50 us", "1000 waiters",
                  "virtiofs", "instructions, send"):
        if words not in text:
            return f"no {words}"
    return None


def test_results_of_rounds():
    measured = [({"name": "x"}, "us", 3.0), ({"name": "x", "load": "8"}, "us",
                                             9.0), ({"name": "x"}, "us", 5.0)]
    table_of = Results({"machine": {}, "messages": None,
                        "results": summarize(measured)})
    quiet, loaded = table_of.find(name="x"), table_of.find(name="x", load=8)
    if (quiet["values"], loaded["values"]) != ([3.0, 5.0], [9.0]):
        return f"{quiet}, {loaded}"
    if (quiet["median"], quiet["least"], quiet["most"]) != (4.0, 3.0, 5.0):
        return f"{quiet}"
    return "y is found" if table_of.find(name="y") else None


def test_a_ratio_is_that_of_each_round():
    one, other = {"values": [2.0, 30.0, 8.0]}, {"values": [1.0, 10.0, 2.0]}
    ratio = Everything(data()).ratio(one, other)
    return None if ratio == 3.0 else f"{ratio}"


def test_accesses_from_a_console():
    found = list(exits.counted([
        "[    1.0] vmshm: x", "accesses: open and close 2.00",
        "accesses: 10,000 names with attributes 117\r", "accesses: none"]))
    wanted = [("open and close", 2.0), ("10,000 names with attributes", 117.0)]
    return None if found == wanted else f"{found}"


def test_cost_of_exits_is_a_parameter():
    row = exits.row("x", 117, 1, (3.0, 0.5))
    return None if row == ("x", "117", "1", "352 us") else f"{row}"


def test_publish_replaces_its_part_only():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write("a\n<!-- from make bench -->\nold\n<!-- to here -->\nb\n"
                    "<!-- from make bench: exits -->\n<!-- to here -->\n")
        publish.replace(path, "new \\1\n")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        try:
            publish.replace(path, "", ": other")
        except SystemExit:
            pass
        else:
            return "it finds marks that do not exist"
    wanted = ("a\n<!-- from make bench -->\nnew \\1\n<!-- to here -->\nb\n"
              "<!-- from make bench: exits -->\n<!-- to here -->\n")
    return None if text == wanted else text


def test_the_loss_of_a_part_is_reported():
    def lost():
        raise Lost("the guest\nended")

    left_out = {}
    run.attempt(left_out, "idle guests", lost)
    run.attempt(left_out, "exits", lambda: None)
    return None if left_out == {"idle guests": "the guest ended"} else \
        f"{left_out}"


def test_messages_of_two_versions():
    text = "\n".join(messages.lines(MESSAGES))
    for words in ("205", "77", "4.1x", "20.8 (20.1..21.5)", "162 (155..168)"):
        if words not in text:
            return f"no {words}: {text}"
    return None
