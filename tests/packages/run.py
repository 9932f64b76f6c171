#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the Debian packages in fresh trees of Debian 12 and 13.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The packages are those of `make deb`. Each test has its own new system: an
overlay over build/packages/SUITE/base, in namespaces that end with the test.
Needs root and mmdebstrap. build/packages/SUITE/log contains the output of a
test.
"""

import functools
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import tier                         # noqa: E402

SUITES = ("bookworm", "trixie")
WORK = os.path.join(TOP, "build", "packages")
# Seconds that a test may take. Downloading packages takes most of the time.
LIMIT = 1800

# Mounts the system at $1/root: the base with changes in memory, the packages at
# /deb, and a cache of apt's downloads. Runs the script on standard input in it.
ENTER = r"""
work=$1 deb=$2
mount -t tmpfs -o size=4g tmpfs "$work/root"
mkdir "$work/root/upper" "$work/root/work" "$work/root/tree"
tree=$work/root/tree
dirs=lowerdir=$work/base,upperdir=$work/root/upper,workdir=$work/root/work
mount -t overlay -o "$dirs" overlay "$tree"
mkdir -p "$tree/deb"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=1777 tmpfs "$tree/dev/shm"
mount --bind "$deb" "$tree/deb"
mount --bind "$work/archives" "$tree/var/cache/apt/archives"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
exec chroot "$tree" env -i LC_ALL=C.UTF-8 HOME=/root \
	PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
	bash -euo pipefail -s
"""

# Functions that the scripts below share. The last line of a failing script is
# the reason.
LIBRARY = r"""
die() { echo "$*"; exit 1; }
trap 'echo "line $LINENO: $BASH_COMMAND"' ERR
apt_get() { apt-get -y -q --no-install-recommends "$@" </dev/null; }
# The names of the project's packages
install() {
	local files=() name
	for name; do files+=(/deb/"$name"_[0-9]*.deb); done
	apt_get install "${files[@]}"
}
files() { find / -xdev \( -path /proc -o -path /dev -o -path /deb \
	-o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/apt \
	-o -path /var/log -o -path /run -o -path /tmp \) -prune -o \
	-name '*vmshm*' -print; }
# Checks that a purge leaves no file of the packages.
gone() {
	apt_get purge "$@"
	[ -z "$(files)" ] || die "purge left: $(files | xargs)"
}
loader() { echo /usr/lib/*/qemu/vmshm.so; }
# Starts a VM with the device.
vm() {
	printf 'info pci\nquit\n' | timeout 60 qemu-system-x86_64 -M q35 \
		-nodefaults -display none -monitor stdio -S \
		-plugin "$(loader)" -device vmshm 2>&1
}
vm_works() {
	vm | grep -q 'PCI device 1af4:6661' || die "no VM: $(vm | tail -n 1)"
}
# Simulates an update of the QEMU package, with another build ID.
update_qemu() {
	local file=/usr/bin/qemu-system-x86_64 id version
	mkdir -p /tmp/update
	cd /tmp/update
	[ -e ../archive ] || { mkdir ../archive
		(cd ../archive && apt-get -q download qemu-system-x86); }
	dpkg-deb -R ../archive/*.deb tree
	id=$(readelf -n tree$file | sed -n 's/^ *Build ID: //p')
	python3 - tree$file "$id" "$1" <<-'END'
	import sys
	path, old, last = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3]
	data = open(path, "rb").read()
	assert data.count(old) == 1
	open(path, "wb").write(data.replace(old, old[:-1] + last.encode()))
	END
	# The source is that of the archive's package.
	version=$(dpkg-query -W -f '${source:Version}' qemu-system-data)
	sed -i -e "s/^Source: .*/Source: qemu ($version)/" \
		-e "s/^Version: .*/&+test$1/" tree/DEBIAN/control
	dpkg-deb -b tree update.deb >/dev/null
	cd /
	apt_get --allow-downgrades install /tmp/update/update.deb
	rm -r /tmp/update
}
"""

TESTS = {
    "vmshm": r"""
install vmshm
vmshm --version
vmshm create /vmshm-test-1 4096
vmshm ls | grep -q /vmshm-test-1 || die "vmshm ls"
vmshm rm /vmshm-test-1
[ -e /usr/share/man/man1/vmshm.1.gz ] || die "no manual page"
[ -e /usr/share/bash-completion/completions/vmshm ] || die "no completion"
gone vmshm
""",
    "libvmshm": r"""
install libvmshm0 libvmshm-dev python3-vmshm
apt_get install gcc libc6-dev pkg-config
cat >/tmp/x.c <<'END'
#include <vmshm/channel.h>
int main(void)
{
	struct vmshm_channel *ch;
	return vmshm_channel_open(&ch, NULL, "/vmshm-test-1", 0, 0600);
}
END
gcc -o /tmp/x /tmp/x.c $(pkg-config --cflags --libs vmshm)
/tmp/x || die "channel"
gcc -static -o /tmp/y /tmp/x.c -lvmshm
/tmp/y || die "channel, linked statically"
[ -e /dev/shm/vmshm-test-1 ] || die "no object"
rm /dev/shm/vmshm-test-1
python3 -c '
import vmshm
with vmshm.Channel("/vmshm-test-2") as ch:
    pass'
rm -f /dev/shm/vmshm-test-2
gone libvmshm0 libvmshm-dev python3-vmshm
""",
    "dkms": r"""
apt_get install linux-headers-cloud-amd64 gcc make
# A module of "make -C driver install" does not keep DKMS from its work.
release=$(ls /lib/modules | head -n 1)
mkdir -p /lib/modules/$release/updates
cp "$(find /lib/modules/$release /usr/bin/true | tail -n 1)" \
	/lib/modules/$release/updates/vmshm.ko
install vmshm-dkms
dkms status | tee /dev/stderr | grep -q 'vmshm.*: installed' ||
	die "dkms status: $(dkms status)"
ko=$(find /lib/modules/$release/updates/dkms -name 'vmshm.ko*')
[ -n "$ko" ] || die "no module"
[ "$(modinfo -k $release -F filename vmshm)" = "$ko" ] ||
	die "modprobe takes $(modinfo -k $release -F filename vmshm)"
getent group vmshm || die "no group"
[ -e /usr/lib/udev/rules.d/60-vmshm.rules ] || die "no udev rule"
# udev reads all rules for any device, and reports unknown rules.
apt_get install udev
mount -t sysfs sysfs /sys
udevadm test /sys/class/mem/null >/tmp/udev 2>&1 || true
grep -q 'rules.d/60-vmshm.rules' /tmp/udev || die "udev reads no rule"
! grep -E '60-vmshm.rules:[0-9]' /tmp/udev || die "the udev rule is wrong"
findmnt --verify --tab-file \
	/usr/share/doc/vmshm-dkms/examples/fstab.example \
	>/tmp/fstab 2>&1 || true
grep -q '^0 parse errors' /tmp/fstab || die "the example for /etc/fstab"
rm /lib/modules/$release/updates/vmshm.ko.old
gone vmshm-dkms
""",
    # No QEMU is installed, so that the build fails at once.
    "unit": r"""
apt_get install systemd
install qemu-system-vmshm | tee /tmp/said
grep -q 'it failed; see /var/log/vmshm-device.log' /tmp/said ||
	die "nothing was said without systemd"
grep -q 'no QEMU is installed' /var/log/vmshm-device.log ||
	die "the log has no reason"
unit=/lib/systemd/system/vmshm-device.service
systemd-analyze verify --man=no $unit >/tmp/verified 2>&1 ||
	die "systemd-analyze: $(cat /tmp/verified)"
! grep vmshm-device /tmp/verified || die "the unit is not well-formed"
# Simulates systemd: this systemctl runs the commands of the unit in turn.
mkdir -p /run/systemd/system /tmp/bin
cat >/tmp/bin/systemctl <<'END'
#!/bin/sh
[ "$1" = start ] || exit 0
sed -n 's/^ExecStart=//p' /lib/systemd/system/"$2" >/tmp/commands
while read -r command; do $command || exit 1; done </tmp/commands
END
chmod +x /tmp/bin/systemctl
for action in triggered configure; do
	PATH=/tmp/bin:$PATH /var/lib/dpkg/info/qemu-system-vmshm.postinst \
		$action >/tmp/said 2>/tmp/unit ||
		die "apt would fail: $(cat /tmp/said)"
	grep -q 'it failed; see: journalctl -u vmshm-device.service' \
		/tmp/said || die "nothing was said: $(cat /tmp/said)"
	grep -q 'no QEMU is installed' /tmp/unit ||
		die "the journal would have no reason"
done
rm -r /run/systemd/system
gone qemu-system-vmshm
""",
    "qemu": r"""
apt_get install qemu-system-x86
install qemu-system-vmshm
vmshm-device status || die "status: $(cat /var/log/vmshm-device.log)"
vm_works
du -sm /var/cache/vmshm/qemu
gone qemu-system-vmshm
[ ! -e /var/cache/vmshm ] || die "purge left /var/cache/vmshm"
""",
    "update": r"""
# QEMU after our package: the trigger alone builds the device.
install qemu-system-vmshm
apt_get install qemu-system-x86
vm_works
first=$(ls /usr/lib/*/qemu/vmshm-devices/*.so)
# A VM runs while QEMU is updated, and goes on.
mkfifo /tmp/in
qemu-system-x86_64 -M q35 -nodefaults -display none -monitor stdio -S \
	-plugin "$(loader)" -device vmshm </tmp/in >/tmp/out 2>&1 &
running=$!
exec 5>/tmp/in
update_qemu 1
vm_works
readelf -n /usr/bin/qemu-system-x86_64 | grep -c 'Build ID: .*31$' ||
	die "QEMU was not updated"
for file in $first; do
	[ -e "$file" ] || die "the device of the running VM is gone"
done
echo 'info pci' >&5
echo quit >&5
wait $running || die "the running VM died: $(tail -n 3 /tmp/out)"
grep -q 'PCI device 1af4:6661' /tmp/out ||
	die "the running VM: $(cat /tmp/out)"
# What nothing uses any more goes with the next update.
update_qemu 2
vm_works
vmshm-device list
[ "$(ls /usr/lib/*/qemu/vmshm-devices/ | grep -c '31.so$')" = 0 ] ||
	die "the device of the last update is still there"
# A build that fails is no failure of apt, and is seen.
cp /usr/share/vmshm/device/load.c /tmp/load.c
echo '#error test' >>/usr/share/vmshm/device/load.c
update_qemu 3 | tee /tmp/said
grep -q 'it failed; see /var/log/vmshm-device.log' /tmp/said ||
	die "nothing was said"
! vmshm-device status || die "status finds nothing"
said=$(vm || true)
# The monitor has a line of its own.
[ "$(grep -vc '^QEMU .* monitor' <<<"$said")" = 1 ] ||
	die "not one line: $said"
grep -q 'build it with: sudo vmshm-device build /usr/bin/qemu' <<<"$said" ||
	die "no command: $said"
mv /tmp/load.c /usr/share/vmshm/device/load.c
${said##*with: sudo }
vm_works
""",
}


def base_of(suite):
    """The work directory of a suite, which contains the base system"""
    work = os.path.join(WORK, suite)
    for name in ("root", "archives/partial"):
        os.makedirs(os.path.join(work, name), exist_ok=True)
    apt = os.path.join(TOP, "build", "apt", suite)
    subprocess.run([os.path.join(TOP, "scripts", "apt-suite"), suite, "show",
                    "dpkg"], check=True, stdout=subprocess.DEVNULL)
    if not os.path.exists(work + "/made"):
        print(f"-- a Debian {suite}", flush=True)
        subprocess.run(["rm", "-rf", "--one-file-system", work + "/base"],
                       check=True)
        with open(work + "/log", "w", encoding="utf-8") as log:
            subprocess.run(
                ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt",
                 "--skip=cleanup/apt/lists",
                 "--include=python3,binutils,ca-certificates", suite,
                 work + "/base",
                 apt + "/debian.sources"], check=True, stdout=log, stderr=log)
        with open(work + "/made", "w", encoding="ascii"):
            pass
    return work


def check(suite, name):
    work = base_of(suite)
    with open(f"{work}/log-{name}", "w+", encoding="utf-8",
              errors="replace") as log:
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash",
             "-euc", ENTER, "enter", work, os.path.join(TOP, "build", "deb")],
            input=(LIBRARY + TESTS[name]).encode(), stdout=log, stderr=log,
            timeout=LIMIT, check=False)
        if done.returncode:
            log.seek(0)
            lines = log.read().splitlines() or ["nothing"]
            raise AssertionError(f"exit code {done.returncode}, output: "
                                 f"{lines[-1]} (all of it: {log.name})")


def run(report):
    if os.geteuid():
        sys.exit("check-packages: this needs root")
    if not glob.glob(os.path.join(TOP, "build", "deb", "vmshm_*.deb")):
        sys.exit("check-packages: no packages; type: make deb")
    tier.each(report, [(f"packages/{suite}/{name}",
                        functools.partial(check, suite, name))
                       for suite in SUITES for name in TESTS])


if __name__ == "__main__":
    tier.main("packages", run)
