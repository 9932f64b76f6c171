# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of a benchmark, for each round."""

import statistics


def summarize(measured):
    """Results by their keys, from (keys, unit, value)s in the order of
    measurement: a value for each round."""
    groups = {}
    for keys, unit, value in measured:
        groups.setdefault((tuple(keys.items()), unit), []).append(value)
    return [{**dict(keys), "unit": unit,
             "median": round(statistics.median(values), 3),
             "least": min(values), "most": max(values), "values": values}
            for (keys, unit), values in groups.items()]


class Results:
    """Finds results by their keys."""

    def __init__(self, data):
        self.machine = data["machine"]
        self.results = data["results"]
        self.messages = data["messages"]

    def find(self, **keys):
        """The result with all of these keys; None if it was not measured. Those
        of a loaded machine are found with load=N only."""
        keys = {"load": None, **{k: str(v) for k, v in keys.items()}}
        for r in self.results:
            if all(r.get(k) == v for k, v in keys.items()):
                return r
        return None

    def ratio(self, one, other):
        """The median of the ratios of two results in each round. Other load of
        the machine in a round affects both results."""
        return statistics.median(a / b for a, b in zip(one["values"],
                                                       other["values"]))
