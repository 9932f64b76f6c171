# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of a tier in several processes at the same time.

A worker is a forked process. It takes the next part when it is free. The names
of its objects begin with a prefix of its own.
"""

import json
import os
import signal
import sys
import threading
import traceback

import shm
from qemu import die_with_parent


class Sender:
    """A report of a worker, which writes the results to a file"""

    def __init__(self, report, out):
        self.wanted, self.out = report.wanted, out

    def ok(self, name):
        self.send("ok", name)

    def fail(self, name, why):
        self.send("fail", name, str(why))

    def skip(self, name, why):
        self.send("skip", name, str(why))

    def send(self, *line):
        print(json.dumps(line), file=self.out, flush=True)


def _receive(report, results, running):
    """Reports the results of a worker until its end. Afterwards running has the
    part that the worker did not end, if any."""
    with open(results, encoding="utf-8") as lines:
        for line in lines:
            how, what, *why = json.loads(line)
            if how == "begin":
                running.append(what)
            elif how == "end":
                running.remove(what)
            else:
                getattr(report, how)(what, *why)


def _take_parts(report, parts, numbers, results, run):
    """Runs parts until there are none. numbers is a pipe with the number of
    each part that no worker has taken, a byte."""
    with open(results, "w", encoding="utf-8") as out:
        sender = Sender(report, out)
        while taken := os.read(numbers, 1):
            part = parts[taken[0]]
            sender.send("begin", part)
            run(sender, part)
            sender.send("end", part)


def _fork(work):
    """Forks a worker, which calls work(RESULTS). Returns its process ID and the
    file descriptor from which its results can be read."""
    theirs, results = os.pipe()
    child = os.fork()
    if child:
        os.close(results)
        return child, theirs
    code = 1
    try:
        os.close(theirs)
        die_with_parent(signal.SIGTERM)
        work(results)
        code = 0
    except SystemExit as e:     # by a signal; see cleanup
        code = e.code
    except Exception:           # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(code)


def each(report, parts, count, run):
    """Calls run(REPORT, PART) once for each string in parts (at most 256), in
    count workers. REPORT has the methods ok, fail, skip and wanted of report.
    """
    numbers, filled = os.pipe()
    os.write(filled, bytes(range(len(parts))))
    os.close(filled)

    def worker(number):
        def work(results):
            shm.use_prefix_of_worker(number)
            _take_parts(report, parts, numbers, results, run)
        return _fork(work)

    sys.stdout.flush()
    # All are forked before a thread exists.
    workers = [worker(number) for number in range(count)]
    os.close(numbers)
    left = [[] for _ in workers]
    threads = [threading.Thread(target=_receive, args=(report, *both))
               for both in zip((results for _, results in workers), left)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (child, _), running in zip(workers, left):
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for part in running:
            report.fail(part, f"its process ended with exit code {code}")
