#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: shared_memory.py VERB NAME [TEXT]

Uses a block of Python's shared memory. test-python.sh runs this file in the
guest and on the host.

create NAME TEXT	create a block of 10000 bytes that begins with the text
read NAME		print the text
write NAME TEXT		write another text
list NAME		print the items of the ShareableList in the block
newlist NAME TEXT	create a list: the text, a number, its half, and None
remove NAME		remove the block
"""

import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import ShareableList, SharedMemory


def leave(memory):
    """Unregisters the block. Otherwise, before Python 3.13, a process that only
    attaches a block removes the block at its end."""
    # pylint: disable-next=protected-access
    resource_tracker.unregister(memory._name, "shared_memory")


def put(memory, text):
    data = text.encode() + b"\0"
    memory.buf[:len(data)] = data


def main(verb, name, text=""):
    if verb == "newlist":
        block = ShareableList([text, 2026, 1013.0, None], name=name).shm
    elif verb == "list":
        numbers = ShareableList(name=name)
        print(*numbers)
        block = numbers.shm
    else:
        block = SharedMemory(name=name, create=verb == "create", size=10000)
    if verb in ("create", "write"):
        put(block, text)
    elif verb == "read":
        print(bytes(block.buf).split(b"\0")[0].decode())
    if verb == "remove":
        block.unlink()
    else:
        leave(block)
    block.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
