#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A numpy array in memory that the host and a guest share (zero-copy).

usage: array.py host NAME	creates the array, passes the turn to the guest,
				prints the result
       array.py guest NAME	computes the square roots in place

Start the host's side first. Both sides need Debian's python3-numpy, libvmshm
and python/vmshm.py.
"""

import sys

import numpy as np
import vmshm

ROWS, COLUMNS = 1000, 1000
# The object contains a page, whose first 32-bit word is the side that has the
# turn, and the array.
PAGE = 4096
GUEST, HOST = 1, 2


def parts(shm):
    """The word and the array, both in the object's memory"""
    word = shm.buf[:4].cast("I")
    array = np.ndarray((ROWS, COLUMNS), dtype=np.float64, buffer=shm.buf,
                       offset=PAGE)
    return word, array


def wait_for_turn(shm, word, turn):
    while (seen := word[0]) != turn:
        shm.wait(0, seen)


def pass_turn(shm, word, turn):
    word[0] = turn
    shm.wake(0)


def host(shm):
    word, array = parts(shm)
    array[:] = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    pass_turn(shm, word, GUEST)
    wait_for_turn(shm, word, HOST)
    print("sum of the roots:", array.sum())


def guest(shm):
    word, array = parts(shm)
    wait_for_turn(shm, word, GUEST)
    np.sqrt(array, out=array)
    pass_turn(shm, word, HOST)


def main(role, name):
    if role == "host":
        size = PAGE + ROWS * COLUMNS * np.dtype(np.float64).itemsize
        with vmshm.SharedMemory(name, create=True, size=size) as shm:
            try:
                host(shm)
            finally:
                shm.unlink()
    else:
        with vmshm.SharedMemory(name) as shm:
            guest(shm)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("host", "guest"):
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
