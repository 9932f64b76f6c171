# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of semaphores under a policy, and the temporary files that sem_open(3)
creates, writes and links"""

import os

import contract as c
from arena import PAGE, Arena, attachments, refusals
from store import Store
from vmshm import equal, machine, true, until

TEMPORARIES_MAX = 64    # temporary files that a device keeps

# The names of temporary files of glibc and musl
TEMPORARIES = ("/sem.Ab3xYz", "/tmp-123456789")


def on_host(store):
    """The host's names without the prefix"""
    return sorted(n for n in os.listdir("/dev/shm") if store.prefix in n)


def test_the_prefix_follows_sem():
    with Store() as store, machine(options=store.options +
                                   ",create=on") as vm:
        dev = Arena(vm)
        dev.does(c.CMD_CREATE, "/sem.door", mode=0o600)
        dev.does(c.CMD_CREATE, "/door", mode=0o600)
        equal(on_host(store), sorted([f"sem.{store.prefix}door",
                                      f"{store.prefix}door"]), "names")
        equal(sorted(dev.names()[0]), [b"/door", b"/sem.door"], "list")
        dev.does(c.CMD_RENAME, "/sem.door", second="/sem.gate")
        dev.does(c.CMD_LINK, "/sem.gate", second="/sem.arch")
        for name in ("/sem.gate", "/sem.arch", "/door"):
            dev.does(c.CMD_UNLINK, name)
        equal(on_host(store), [], "names")


def test_names_that_are_no_semaphores():
    with Store() as store, machine(options=store.options +
                                   ",create=on") as vm:
        dev = Arena(vm)
        for name in ("/sem.", "/sem", "/semx", "/Sem.x", "/x.sem.y"):
            dev.does(c.CMD_CREATE, name, mode=0o600)
            true(os.path.exists(f"/dev/shm/{store.prefix}{name[1:]}"), name)
            equal(dev.names()[0], [name.encode()], name)
            dev.does(c.CMD_UNLINK, name)


def test_each_object_has_one_name():
    """Names of the host that another mapping of names would create"""
    with Store() as store:
        for entry in (f"{store.prefix}sem.x", f"sem.{store.prefix}",
                      f"sem.sem.{store.prefix}x", "sem." + store.prefix[1:]):
            with open(f"/dev/shm/{entry}", "xb"):
                pass
        try:
            with machine(options=store.options) as vm:
                dev = Arena(vm)
                equal(dev.names()[0], [], "names")
                for name in ("/sem.x", "/sem.", "/sem.sem.x", "/x"):
                    equal(dev.command(c.CMD_STAT, name), c.ENOENT, name)
        finally:
            for entry in (f"{store.prefix}sem.x", f"sem.{store.prefix}",
                          f"sem.sem.{store.prefix}x",
                          "sem." + store.prefix[1:]):
                os.unlink(f"/dev/shm/{entry}")


def test_a_prefix_that_begins_like_sem():
    """With prefix=s, /em.sx would be the semaphore /sem.x."""
    with Store() as store:
        stem = store.prefix
        path = f"/dev/shm/sem.s{stem}x"
        with open(path, "xb"):
            pass
        try:
            options = f",arena=2M,prefix=s,allow=/{stem}*:/em.s{stem}*"
            with machine(options=options) as vm:
                dev = Arena(vm)
                dev.does(c.CMD_STAT, f"/sem.{stem}x")
                equal(dev.command(c.CMD_STAT, f"/em.s{stem}x"), c.ENOENT,
                      "another name")
                equal(dev.names()[0], [f"/sem.{stem}x".encode()], "names")
        finally:
            os.unlink(path)


def test_patterns_match_what_follows_sem():
    cases = (
        ("allow=/cam-*", "/sem.cam-1", True),
        ("allow=/cam-*", "/sem.audio", False),
        ("allow=/sem.*", "/sem.audio", True),
        ("allow=/sem.*", "/audio", False),
        ("allow=/s*", "/sem.audio", False),
        ("allow=/s*", "/sem.sound", True),
        ("deny=/cam-*", "/sem.cam-1", False),
        ("deny=/cam-*", "/sem.audio", True),
        ("deny=/sem.*", "/sem.audio", False),
        ("deny=/sem*", "/sem.audio", False),
        ("allow=/*,deny=/sem.cam-?", "/sem.cam-1", False),
    )
    for policy, name, allowed in cases:
        with Store() as store:
            options = f"{store.options},create=on,{policy}"
            with machine(options=options) as vm:
                dev = Arena(vm)
                equal(dev.command(c.CMD_CREATE, name, mode=0o600),
                      c.OK if allowed else c.EACCES, f"{policy} {name}")
                equal(dev.names()[0], [name.encode()] if allowed else [],
                      f"{policy} {name}")


def sem_open(dev, temporary, name, link=c.OK):
    """The commands behind sem_open(NAME, O_CREAT)"""
    equal(dev.command(c.CMD_STAT, temporary), c.ENOENT, "the look")
    dev.does(c.CMD_CREATE, temporary, mode=0o640)
    dev.does(c.CMD_ALLOCATE, temporary, length=32)
    dev.attach(temporary, length=PAGE)
    dev.vm.store(dev.arena, b"semaphore")
    equal(dev.command(c.CMD_LINK, temporary, second=name), link, "link")
    dev.does(c.CMD_UNLINK, temporary)


def test_sem_open_under_a_policy():
    for temporary in TEMPORARIES:
        with Store() as store:
            options = f"{store.options},create=on,allow=/cam-*"
            name = "/sem.cam-1" if "sem" in temporary else "/cam-1"
            with machine(options=options) as vm:
                dev = Arena(vm)
                sem_open(dev, temporary, name)
                entry = f"{name[1:]}".replace("cam", store.prefix + "cam")
                equal(on_host(store), [entry], "names")
                with open(f"/dev/shm/{entry}", "rb") as file:
                    equal(file.read(9), b"semaphore", "content")
                    equal(os.fstat(file.fileno()).st_mode & 0o777, 0o640,
                          "mode")
                    equal(os.fstat(file.fileno()).st_nlink, 1, "links")
                equal(refusals(vm), {}, "refusals")


def test_a_temporary_has_no_name_on_the_host():
    """A temporary file has no name on the host and in listings. The end of the
    guest removes it."""
    for policy in ("", ",allow=/cam-*"):
        with Store() as store:
            options = f"{store.options},create=on{policy}"
            before = set(os.listdir("/dev/shm"))
            with machine(options=options) as vm:
                dev = Arena(vm)
                dev.does(c.CMD_CREATE, "/sem.Ab3xYz", mode=0o600)
                dev.does(c.CMD_STAT, "/sem.Ab3xYz")
                equal(dev.command(c.CMD_CREATE, "/sem.Ab3xYz", mode=0o600),
                      c.EEXIST, "again")
                equal(dev.names()[0], [], "list")
                equal([n for n in set(os.listdir("/dev/shm")) - before
                       if "Ab3xYz" in n or store.prefix in n], [], "host")
                vm.qmp("system_reset")
                dev.assign()
                equal(dev.command(c.CMD_STAT, "/sem.Ab3xYz"), c.ENOENT,
                      "after the reset")
            equal(on_host(store), [], "host")


def test_a_temporary_leads_only_to_allowed_names():
    for temporary in TEMPORARIES:
        with Store() as store:
            options = f"{store.options},create=on,allow=/cam-*"
            with machine(options=options) as vm:
                dev = Arena(vm)
                dev.does(c.CMD_CREATE, temporary, mode=0o600)
                for name in ("/audio", "/sem.audio", "/sem.Zz9999",
                             "/tmp-1", temporary):
                    equal(dev.command(c.CMD_LINK, temporary, second=name),
                          c.EACCES, f"link to {name}")
                for name in ("/audio", "/cam-1", "/sem.cam-1"):
                    equal(dev.command(c.CMD_RENAME, temporary, second=name),
                          c.EACCES, f"rename to {name}")
                equal(on_host(store), [], "names")
                dev.does(c.CMD_UNLINK, temporary)
                equal(dev.command(c.CMD_UNLINK, temporary), c.ENOENT, "again")


def test_only_names_of_the_form():
    names = ("/sem.Ab3xY", "/sem.Ab3xYzz", "/sem.Ab3x_z", "/Ab3xYz",
             "/tmp-", "/tmp-1234567890", "/tmp-12a", "/tmpx12", "/sem.tmp-1")
    with Store() as store:
        options = f"{store.options},create=on,allow=/cam-*"
        with machine(options=options) as vm:
            dev = Arena(vm)
            for name in names:
                equal(dev.command(c.CMD_CREATE, name, mode=0o600), c.EACCES,
                      name)
            equal(refusals(vm), {"policy": len(names)}, "refusals")


def test_without_create():
    with Store() as store:
        with machine(options=f"{store.options},allow=/cam-*") as vm:
            dev = Arena(vm)
            for temporary in TEMPORARIES:
                equal(dev.command(c.CMD_CREATE, temporary, mode=0o600),
                      c.EROFS, temporary)
                equal(dev.command(c.CMD_STAT, temporary), c.ENOENT, temporary)


def test_objects_of_the_host_with_such_a_name():
    """The policy determines whether the guest sees such objects."""
    with Store() as store:
        path = f"/dev/shm/sem.{store.prefix}Ab3xYz"
        with open(path, "xb") as file:
            file.write(b"of the host")
        try:
            with machine(options=store.options + ",create=on") as vm:
                dev = Arena(vm)
                dev.does(c.CMD_STAT, "/sem.Ab3xYz")
                equal(dev.command(c.CMD_CREATE, "/sem.Ab3xYz", mode=0o600),
                      c.EEXIST, "create")
            options = store.options + ",create=on,allow=/cam-*"
            with machine(options=options) as vm:
                dev = Arena(vm)
                equal(dev.command(c.CMD_STAT, "/sem.Ab3xYz"), c.ENOENT, "stat")
                dev.does(c.CMD_CREATE, "/sem.Ab3xYz", mode=0o600)
                equal(dev.result().size, 0, "size")
                dev.does(c.CMD_UNLINK, "/sem.Ab3xYz")
            with open(path, "rb") as file:
                equal(file.read(), b"of the host", "the host's file")
        finally:
            os.unlink(path)


def test_the_oldest_temporary_goes():
    """Killed processes leave temporary files. The oldest one is removed."""
    with Store() as store, machine(options=store.options +
                                   ",create=on,allow=/cam-*") as vm:
        dev = Arena(vm)
        before = len(os.listdir(f"/proc/{vm.pid}/fd"))
        for i in range(200):
            dev.does(c.CMD_CREATE, f"/sem.{i:06}", mode=0o600)
        until(lambda: len(os.listdir(f"/proc/{vm.pid}/fd")) <= before + 64,
              "descriptors")
        equal(dev.command(c.CMD_STAT, "/sem.000135"), c.ENOENT, "the oldest")
        dev.does(c.CMD_STAT, "/sem.000136")
        dev.does(c.CMD_LINK, "/sem.000199", second="/sem.cam-1")
        equal(on_host(store), [f"sem.{store.prefix}cam-1"], "names")


def test_temporaries_count_as_bytes():
    with Store() as store:
        options = f"{store.options},create=on,max-bytes=2M,allow=/cam-*"
        with machine(options=options) as vm:
            dev = Arena(vm)
            for i in range(2):
                dev.does(c.CMD_CREATE, f"/sem.{i:06}", mode=0o600)
                dev.does(c.CMD_RESIZE, f"/sem.{i:06}", length=1 << 20)
            dev.does(c.CMD_CREATE, "/sem.000002", mode=0o600)
            equal(dev.command(c.CMD_RESIZE, "/sem.000002", length=PAGE),
                  c.EDQUOT, "the third")
            dev.does(c.CMD_UNLINK, "/sem.000000")
            dev.does(c.CMD_RESIZE, "/sem.000002", length=PAGE)


def test_a_linked_semaphore_is_the_hosts_to_remove():
    with Store() as store:
        options = f"{store.options},create=on,allow=/cam-*"
        with machine(options=options) as vm:
            dev = Arena(vm)
            dev.does(c.CMD_CREATE, "/sem.Ab3xYz", mode=0o600)
            dev.does(c.CMD_LINK, "/sem.Ab3xYz", second="/sem.cam-1")
            ident = dev.result().ident
            os.unlink(f"/dev/shm/sem.{store.prefix}cam-1")
            equal(dev.command(c.CMD_LINK, "/sem.Ab3xYz",
                              second="/sem.cam-2"), c.ENOENT, "link again")
            dev.does(c.CMD_CREATE, "/sem.cam-1", mode=0o600)
            true(dev.result().ident != ident, "another identity")
            equal(attachments(vm), [], "attachments")


def test_temporaries_count_as_open_files():
    """Temporary files and attachments together leave descriptors for QEMU."""
    files = 200
    with Store([b"/a"]) as store:
        options = f"{store.options},create=on,max-objects=1000"
        with machine(options=options, wrap=(
                "prlimit", f"--nofile={files}:{files}")) as vm:
            dev = Arena(vm)
            held = 0
            while dev.command(c.CMD_HOLD, "/a") == c.OK:
                held += 1
            true(held > files // 2, f"{held} objects")
            equal(dev.command(c.CMD_CREATE, "/sem.Ab3xYz", mode=0o600),
                  c.EMFILE, "one more")
            equal(refusals(vm), {"limit": 2}, "refusals")
            dev.does(c.CMD_RELEASE)
            # The oldest temporary file is removed.
            for i in range(TEMPORARIES_MAX + 10):
                dev.does(c.CMD_CREATE, f"/sem.Ab{i:04}", mode=0o600)
            again = 0
            while dev.command(c.CMD_HOLD, "/a") == c.OK:
                again += 1
            equal(again, held - TEMPORARIES_MAX, "objects beside them")
            dev.does(c.CMD_RELEASE)
            again = 0
            while dev.command(c.CMD_HOLD, "/a") == c.OK:
                again += 1
            equal(again, held, "objects after RELEASE")
