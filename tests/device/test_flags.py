# SPDX-License-Identifier: GPL-2.0-or-later
"""Each command with each flag, through registers and through a mailbox"""

import contract as c
from arena import PAGE
from mailbox import Mailboxes
from store import Store
from vmshm import equal, machine, true

# The flags that a command uses. The command fails with any other flag.
USED = {
    c.CMD_STAT: c.RQ_HANDLE,
    c.CMD_ATTACH: c.RQ_READONLY | c.RQ_HANDLE | c.RQ_LIMIT,
    c.CMD_CREATE: c.RQ_HOLD,
    c.CMD_RESIZE: c.RQ_HANDLE | c.RQ_GROW,
    c.CMD_RENAME: c.RQ_NOREPLACE,
    c.CMD_ALLOCATE: c.RQ_HANDLE,
    c.CMD_HOLD: c.RQ_READONLY | c.RQ_HANDLE,
    c.CMD_LINK: 0,
}
USED_IN_A_MAILBOX = {
    **USED,
    c.CMD_LIST: 0,
    c.CMD_SETATTR: c.RQ_HANDLE | c.RQ_MODE | c.RQ_ATIME | c.RQ_MTIME,
    c.CMD_STATFS: 0,
}
# The driver of contract 1.0 does not clear the flags of the last command.
IGNORING = (c.CMD_DETACH, c.CMD_UNLINK, c.CMD_LIST, c.CMD_RELEASE)
IGNORING_IN_A_MAILBOX = (c.CMD_DETACH, c.CMD_UNLINK, c.CMD_RELEASE)


def check(post, used, ignoring):
    """Checks the flags of all commands. post() executes a command for an object
    that does not exist."""
    for command, flags in used.items():
        for bit in range(32):
            status = post(command, 1 << bit)
            equal(status == c.EINVAL, not flags >> bit & 1,
                  f"command {command}, flag {bit}: {status}")
            if status == c.OK and command == c.CMD_CREATE:
                equal(post(c.CMD_UNLINK, 0), c.OK, "unlink")
        equal(post(command, flags | 1 << 31), c.EINVAL, f"command {command}")
    for command in ignoring:
        equal(post(command, 0xffffffff), post(command, 0),
              f"command {command}")


def test_by_registers():
    with Store() as store, \
            machine(options=store.options + ",create=on") as vm:
        dev = Mailboxes(vm)
        check(lambda command, flags: dev.command(
            command, "/a", second="/b", flags=flags, length=PAGE,
            place=flags % 2 * dev.span), USED, IGNORING)
        equal(dev.names()[0], [], "names")


def test_by_a_mailbox():
    with Store() as store, \
            machine(options=store.options + ",create=on") as vm:
        dev = Mailboxes(vm)
        check(lambda command, flags: dev.post(
            command, "/a", second="/b", flags=flags, length=PAGE,
            place=flags % 2 * dev.span), USED_IN_A_MAILBOX,
            IGNORING_IN_A_MAILBOX)
        equal(dev.list()[0], [], "names")


def test_create_with_a_flag_that_it_does_not_use_creates_nothing():
    with Store() as store, \
            machine(options=store.options + ",create=on") as vm:
        dev = Mailboxes(vm)
        for flags in c.RQ_READONLY, c.RQ_HOLD | c.RQ_HANDLE:
            equal(dev.command(c.CMD_CREATE, "/a", flags=flags, mode=0o600),
                  c.EINVAL, "by registers")
            equal(dev.post(c.CMD_CREATE, "/a", flags=flags, mode=0o600),
                  c.EINVAL, "by a mailbox")
        true(not dev.names()[0], "it is there")
