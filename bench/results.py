# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of a benchmark, for each round."""

import statistics


def summarize(measured):
    """Results by their keys, with a value for each round. `measured` is a
    sequence of (keys, unit, value) in the order of measurement."""
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
        """The result with all of these keys, or None if it was not measured.
        Results of a loaded machine are found only with load=N."""
        keys = {"load": None, **{k: str(v) for k, v in keys.items()}}
        for r in self.results:
            if all(r.get(k) == v for k, v in keys.items()):
                return r
        return None

    def ratio(self, one, other):
        """The median of the ratios of two results in each round. Other load of
        the machine affects both results of a round."""
        return statistics.median(a / b for a, b in zip(one["values"],
                                                       other["values"]))
