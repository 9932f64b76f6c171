# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports of the doctor about running virtual machines

In these tests, QEMU is a process with the name and the arguments of QEMU, which
has a device file mapped. It runs with the doctor in a separate PID namespace.
"""

import os
import subprocess

from shm import fresh_name
from test_doctor import Host, expect, findings
from tool import Skip, alone, contains, equal, vmshm

# Maps argv[1], creates the file argv[2], and waits.
QEMU = r"""
import mmap, os, sys, time
with open("/proc/self/comm", "w") as f:
    f.write("qemu-system-x86")
with open(sys.argv[1], "rb") as f:
    memory = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
open(sys.argv[2], "w").close()
time.sleep(1000)
"""
USER = 4321


def root():
    if os.geteuid():
        raise Skip("not root")


def running(host, *args, script="", uid=USER, after=""):
    """The command that starts the doctor beside a QEMU of that user with these
    arguments"""
    qemu = os.path.join(host.folder.name, "qemu.py")
    with open(qemu, "w", encoding="ascii") as f:
        f.write(QEMU)
    device = os.path.join(host.devices, host.id + ".so")
    words = " ".join(f"'{a}'" for a in args)
    return alone(f"""
        cp /etc/passwd /etc/group {host.folder.name}
        echo 'tester:x:{USER}:{USER}::/:' >>{host.folder.name}/passwd
        mount --bind {host.folder.name}/passwd /etc/passwd
        mount -t tmpfs -o mode=1777 none /mnt
        {script}
        setpriv --reuid {uid} --regid {uid} --clear-groups python3 {qemu} \
            {device} /mnt/ready {words} &
        until [ -e /mnt/ready ]; do :; done
        {after}""")


def test_loaded():
    root()
    with Host() as host:
        found = findings("-H", env=host.env, before=running(
            host, "-name", "guest=vm1,x=y"))
        expect(found, "vm", "ok", "VM vm1 (process", "user tester",
               host.id + ".so")
        found = findings("-H", env=host.env, before=running(host))
        expect(found, "vm", "ok", "The VM (process")


def test_replaced():
    """The file of a device is replaced while a VM uses the device."""
    root()
    with Host() as host:
        device = os.path.join(host.devices, host.id + ".so")
        found = findings("-H", env=host.env, before=running(
            host, after=f"cp {device} {device}.n; mv {device}.n {device}"))
        expect(found, "vm", "note", "replaced", "next start", device)
        equal("(deleted)" in found["vm"][1], False)


def test_used_device():
    """A device is used by a QEMU whose file was removed."""
    root()
    with Host() as host:
        before = running(host, after="sleep 0")
        os.rename(os.path.join(host.devices, host.id + ".so"),
                  os.path.join(host.devices, "abcd.so"))
        host.add(host.id, "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)",
                 qemu=host.qemu)
        expect(findings("-H", env=host.env, before=before), "devices",
               "note", "abcd.so", "rm ")
        device = os.path.join(host.devices, host.id + ".so")
        before = [w.replace(device, os.path.join(host.devices, "abcd.so"))
                  for w in before]
        expect(findings("-H", env=host.env, before=before), "devices",
               "ok", "1 more device")


OBJECTS = ("touch /dev/shm/vm1-secret '/dev/shm/vm1-a b' /dev/shm/other\n"
           "chmod 600 /dev/shm/*\n"
           "touch /dev/shm/vm1-open; chmod 666 /dev/shm/vm1-open\n"
           "touch /dev/shm/vm1-read; chmod 644 /dev/shm/vm1-read\n")


def test_objects():
    """The doctor names objects that QEMU cannot open, with a command for each.
    """
    root()
    with Host() as host:
        found = findings("-H", env=host.env, before=running(
            host, "-device", "vmshm,prefix=vm1-", script=OBJECTS))
        expect(found, "objects", "note", "3 objects", "reading and writing")
        equal(found["objects"][3].splitlines(), [
            "setfacl -m u:tester:rw '/dev/shm/vm1-a b'",
            "setfacl -m u:tester:rw /dev/shm/vm1-read",
            "setfacl -m u:tester:rw /dev/shm/vm1-secret"])
        for argument, count in (
                ("vmshm,readonly=on,prefix=vm1-", 2),
                ("vmshm,prefix=vm1-,allow=/s*:/none", 1),
                ("vmshm,prefix=vm1-,deny=/s*", 2),
                ("vmshm,prefix=,deny=/vm1-*", 1),
                ("vmshm", 4)):
            found = findings("-H", env=host.env, before=running(
                host, "-device", argument, script=OBJECTS))
            equal(len(found["objects"][3].splitlines()), count, argument)
        equal("u:tester:r " in findings("-H", env=host.env, before=running(
            host, "-device", "vmshm,readonly=on", script=OBJECTS))
              ["objects"][3], True)


def test_semaphores():
    """The prefix follows "sem.", and patterns match what follows it."""
    root()
    script = ("touch /dev/shm/sem.vm1-door /dev/shm/sem.vm1- "
              "/dev/shm/vm1-sem.door /dev/shm/vm1-audio\n"
              "chmod 600 /dev/shm/*\n")
    with Host() as host:
        for argument, names in (
                ("prefix=vm1-", ["sem.vm1-door", "vm1-audio"]),
                ("prefix=vm1-,allow=/door", ["sem.vm1-door"]),
                ("prefix=vm1-,allow=/sem.*", ["sem.vm1-door"]),
                ("prefix=vm1-,deny=/d*", ["vm1-audio"]),
                ("prefix=vm1-,deny=/sem*", ["vm1-audio"])):
            found = findings("-H", env=host.env, before=running(
                host, "-device", "vmshm," + argument, script=script))
            equal(found["objects"][3].splitlines(),
                  [f"setfacl -m u:tester:rw /dev/shm/{n}" for n in names],
                  argument)


def test_objects_all_allowed():
    """There is no finding for root's QEMU, the owner's QEMU, and an object that
    the policy excludes."""
    root()
    with Host() as host:
        for uid, argument, script in (
                (0, "vmshm", ""), (USER, "vmshm,allow=/vm1-open", ""),
                (USER, "vmshm", f"chown {USER} /dev/shm/*"),
                (USER, "e1000", "")):
            found = findings("-H", env=host.env, before=running(
                host, "-device", argument, uid=uid, script=OBJECTS + script))
            equal("objects" in found, False, (uid, argument, found))


def test_objects_pasted():
    """After the suggested commands have run, there is no finding."""
    root()
    with Host() as host:
        if subprocess.run(["which", "setfacl"], check=False,
                          stdout=subprocess.DEVNULL).returncode:
            raise Skip("no setfacl; Debian: apt install acl")
        before = running(host, "-device", "vmshm,prefix=vm1-", script=OBJECTS)
        commands = findings("-H", env=host.env,
                            before=before)["objects"][3]
        found = findings("-H", env=host.env, before=running(
            host, "-device", "vmshm,prefix=vm1-", script=OBJECTS + commands))
        equal("objects" in found, False)


def test_many_objects():
    root()
    with Host() as host:
        script = "cd /dev/shm; touch $(seq 50); chmod 600 *; cd /\n"
        found = findings("-H", env=host.env, before=running(
            host, "-device", "vmshm", script=script))
        expect(found, "objects", "note", "50 objects", "first 16")
        equal(len(found["objects"][3].splitlines()), 16)


def test_hidden():
    """A user other than root does not see the VMs of other users."""
    root()
    with Host() as host:
        before = [*running(host, after="cp build/tool/vmshm /mnt/vmshm"),
                  "setpriv", "--reuid", "65534", "--clear-groups",
                  "sh", "-c", 'shift; exec /mnt/vmshm "$@"', "sh"]
        found = findings("-H", env=host.env, before=before)
        expect(found, "vm", "note", "1 QEMU process", "sudo vmshm doctor")


def test_logout():
    """systemd removes a login user's objects at logout, unless it is configured
    otherwise."""
    root()
    seats = ("mount -t tmpfs none /run\nmkdir -p /run/systemd/seats\n"
             "mount -t tmpfs none /etc/systemd\n"
             "mkdir /etc/systemd/logind.conf.d\n"
             "mount -t tmpfs none /var/lib/systemd\n"
             "mkdir /var/lib/systemd/linger\n")
    conf = "/etc/systemd/logind.conf"
    for script, told in (
            ("", True), (f"echo '#RemoveIPC=no' >{conf}", True),
            (f"echo RemoveIPC=no >{conf}", False),
            (f"echo RemoveIPC=off >{conf}", False),
            (f"echo RemoveIPC=no >{conf}\n"
             f"echo RemoveIPC=yes >{conf}.d/x.conf", True),
            ("touch /var/lib/systemd/linger/tester", False)):
        with Host() as host:
            if not os.path.isdir("/etc/systemd"):
                raise Skip("no /etc/systemd")
            found = findings("-H", env=host.env, before=running(
                host, script=seats + script))
            equal("logout" in found, told, script)
            if told:
                expect(found, "logout", "note", "RemoveIPC",
                       "loginctl enable-linger tester")
    with Host() as host:
        found = findings("-H", env=host.env, before=running(
            host, script=seats, uid=104))
        equal("logout" in found, False, "a system user")


def libvirt(host, files=(), enabled="Y"):
    """A host with libvirt and, if enabled, AppArmor"""
    lines = "".join(f"mkdir -p $(dirname {name}); echo '{text}' >>{name}\n"
                    for name, text in files)
    return alone(f"""
        mkdir {host.folder.name}/etc
        cp /etc/passwd /etc/group {host.folder.name}/etc
        mount -t tmpfs none /etc
        cp {host.folder.name}/etc/* /etc
        rm -r {host.folder.name}/etc
        echo 'libvirt-qemu:x:{USER}:{USER}::/:' >>/etc/passwd
        mkdir -p /etc/libvirt /etc/apparmor.d/abstractions
        touch /etc/libvirt/qemu.conf
        echo '/usr/lib/@{{multiarch}}/qemu/*.so mr,' \
            >/etc/apparmor.d/abstractions/libvirt-qemu
        mount -t tmpfs none /sys/module
        mkdir -p /sys/module/apparmor/parameters
        echo {enabled} >/sys/module/apparmor/parameters/enabled
        {lines}""")


def test_libvirt_user():
    """The user of libvirt's QEMU needs the permission to read the device."""
    root()
    with Host() as host:
        expect(findings("-H", env=host.env, before=libvirt(host)),
               "qemu-user", "ok", "libvirt-qemu")
        os.chmod(host.folder.name, 0o700)
        expect(findings("-H", env=host.env, before=libvirt(host), code=1),
               "qemu-user", "fail", "libvirt-qemu", host.folder.name,
               "install-device")
        equal("qemu-user" in findings("-H", env=host.env), False)


def test_apparmor():
    """The doctor names missing rules, with the commands that add them."""
    root()
    local = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
    with Host() as host:
        loader = host.env["VMSHM_SO"]
        found = findings("-H", env=host.env, before=libvirt(host))
        expect(found, "apparmor", "note", "load the device")
        commands = found["apparmor"][3].splitlines()
        equal(commands, [f"echo '{rule}' | tee -a {local}" for rule in
                         (f"{loader} mr,", f"{host.devices}/*.so mr,",
                          "/dev/shm/ r,")])
        rules = [(local, f"  {loader} mr,"),
                 (local, f"  {host.devices}/*.so mr,")]
        found = findings("-H", env=host.env, before=libvirt(host, rules))
        expect(found, "apparmor", "note", "list objects", "/dev/shm/ r,")
        rules.append(("/etc/apparmor.d/abstractions/libvirt-qemu.d/x",
                      "/dev/shm/ r,"))
        found = findings("-H", env=host.env, before=libvirt(host, rules))
        expect(found, "apparmor", "ok")
        equal("apparmor" in findings("-H", env=host.env, before=libvirt(
            host, enabled="N")), False)


def test_two_devices():
    """Each -device has its own policy."""
    root()
    name = fresh_name()
    with Host() as host:
        told = vmshm("doctor", "-H", "--json", env=host.env, before=running(
            host, "-device", "vmshm,allow=/vm1-secret", "-device", "e1000",
            "-device", "vmshm,allow=/other", script=OBJECTS)).json
        texts = [f for f in told["findings"] if f["check"] == "objects"]
        equal(len(texts), 2, name)
        for f, wanted in zip(texts, ("/dev/shm/vm1-secret", "/dev/shm/other")):
            contains(f["advice"][0], wanted)
