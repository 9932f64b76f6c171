# SPDX-License-Identifier: GPL-2.0-or-later
"""Named semaphores, with the C library of the host"""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.sem_open.restype = ctypes.c_void_p


def _check(failed, name):
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def post(name):
    """Posts an existing semaphore. Returns its previous value."""
    value = ctypes.c_int()
    sem = LIBC.sem_open(name.encode(), 0)
    _check(not sem, name)
    sem = ctypes.c_void_p(sem)
    try:
        _check(LIBC.sem_getvalue(sem, ctypes.byref(value)), name)
        _check(LIBC.sem_post(sem), name)
    finally:
        LIBC.sem_close(sem)
    return value.value
