#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the Debian packages in fresh trees of Debian 12 and 13.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The packages are those of `make deb`, and the sources those of `make dist`. Each
test has its own new system: an overlay over build/packages/SUITE/base, in
namespaces that end with the test. In some tests systemd runs there. Needs root,
mmdebstrap and systemd-nspawn. build/packages/SUITE/log-TEST has the output of a
test.
"""

import fcntl
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
# /deb, the sources, and a cache of apt's downloads.
MOUNT = r"""
work=$1 deb=$2 sources=$3
mount -t tmpfs -o size=4g tmpfs "$work/root"
mkdir "$work/root/upper" "$work/root/work" "$work/root/tree"
tree=$work/root/tree
dirs=lowerdir=$work/base,upperdir=$work/root/upper,workdir=$work/root/work
mount -t overlay -o "$dirs" overlay "$tree"
mkdir -p "$tree/deb"
mount --bind "$deb" "$tree/deb"
cp "$sources" "$tree/sources.tar.gz"
mount --bind "$work/archives" "$tree/var/cache/apt/archives"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
environment=(LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
	DEBIAN_FRONTEND=noninteractive)
# Of this namespace, for systemd-nspawn
mount -t proc proc /proc
mount -t proc proc "$tree/proc"
"""

# Runs the script on standard input in the system.
ENTER = MOUNT + r"""
mount --rbind /dev "$tree/dev"
mount -t tmpfs -o mode=1777 tmpfs "$tree/dev/shm"
exec chroot "$tree" env -i "${environment[@]}" bash -euo pipefail -s
"""

# Boots the system with systemd, which runs the script on standard input as a
# service. At its end, the service sets the exit code of systemd. New versions
# of systemd need cgroups of version 2.
BOOT = MOUNT + r"""
cat >"$tree/test.sh"
chroot "$tree" env -i "${environment[@]}" apt-get -y -q \
	--no-install-recommends install systemd systemd-sysv </dev/null
cat >"$tree/etc/systemd/system/under-test.service" <<END
[Service]
Type=oneshot
Environment=${environment[@]}
StandardOutput=file:/test.log
StandardError=inherit
ExecStart=/bin/bash -euo pipefail /test.sh
ExecStopPost=/bin/sh -c '[ \$SERVICE_RESULT = success ]; systemctl exit \$?'
END
umount "$tree/proc"
code=0
UNIFIED_CGROUP_HIERARCHY=1 systemd-nspawn --quiet --register=no --keep-unit \
	--directory="$tree" --bind="$deb:/deb" --resolv-conf=off \
	--bind="$work/archives:/var/cache/apt/archives" --console=pipe \
	--boot -- --unit=under-test.service </dev/null || code=$?
cat "$tree/test.log"
exit $code
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
    # The commands of README.md and of the guide, by a user with sudo, in the
    # sources of `make dist`, without git.
    "source": r"""
apt_get purge --auto-remove python3 binutils ca-certificates
apt_get install make sudo passwd
useradd -m -d /srv/user -s /bin/bash user
echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
tar -C /srv/user -xf /sources.tar.gz
chown -R user: /srv/user
cd /srv/user/vmshm-*
as_user() { su - user -c "set -e; cd '$PWD'; $1" </dev/null; }
installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
	grep -qx installed; }
as_user 'make help' | grep 'make demo'
as_user 'make deps'
for package in git busybox-static mandoc strace musl-tools ovmf lintian jq; do
	! installed $package || die "make deps has installed $package"
done
as_user 'make device'
loader() { echo build/vmshm.so; }
vm_works
as_user 'make tool lib; sudo make install; sudo ldconfig; vmshm --version
vmshm ls; vmshm create /vmshm-test-1 4096; vmshm rm /vmshm-test-1
python3 -c "import vmshm"'
as_user 'sudo make install-device'
loader() { echo /usr/local/lib/vmshm.so; }
vm_works
as_user 'sudo vmshm-device status; vmshm doctor' >/tmp/doctor ||
	! grep -q FAIL /tmp/doctor || die "the doctor: $(cat /tmp/doctor)"
# A guest. The kernel that runs is not one of this system.
apt_get install linux-headers-cloud-amd64 dkms udev
release=$(ls /lib/modules | head -n 1)
cp "$(command -v uname)" /tmp/uname
printf '#!/bin/sh\n[ "$*" = -r ] && echo %s || exec /tmp/uname "$@"\n' \
	"$release" >"$(command -v uname)"
module() { modinfo -k "$release" -F filename vmshm; }
as_user 'make -C driver; sudo make -C driver install'
[ "$(module)" = "/lib/modules/$release/updates/vmshm.ko" ] ||
	die "modprobe takes $(module)"
# Each of DKMS and `make install` keeps the other from interfering.
as_user 'sudo make -C driver install-dkms
sudo dkms install vmshm/$(cat VERSION)'
[[ "$(module)" = */updates/dkms/vmshm.ko* ]] || die "modprobe takes $(module)"
! as_user 'sudo make -C driver install' >/tmp/said 2>&1 ||
	die "installed beside the module of DKMS"
as_user "$(sed -n 's/.*; type: //p' /tmp/said)"
as_user 'sudo make -C driver install'
[ "$(module)" = "/lib/modules/$release/updates/vmshm.ko" ] ||
	die "modprobe takes $(module)"
as_user 'sudo make -C driver install-dkms
sudo dkms install vmshm/$(cat VERSION)'
as_user 'sudo make uninstall'
[ -z "$(files | grep -v ^/srv)" ] ||
	die "uninstall left: $(files | grep -v ^/srv | xargs)"
if grep -q bookworm /etc/os-release; then
	as_user 'make demo' | tee /tmp/demo
	grep -q 'I was here' /tmp/demo || die "make demo"
fi
""",
}

# Tests in a system with systemd
BOOTED = {
    "failed-unit": r"""
failed() {
	grep -q 'failed; see: journalctl -u vmshm-device.service' /tmp/said ||
		die "apt said nothing: $(cat /tmp/said)"
	systemctl --failed --plain --no-legend |
		grep -q '^vmshm-device.service ' ||
		die "systemctl --failed: $(systemctl --failed)"
	journalctl -u vmshm-device.service | grep -q 'No space left' ||
		die "the journal has no reason"
	! vmshm-device status || die "status finds nothing"
	! vmshm doctor >/tmp/doctor || die "the doctor finds nothing"
	tr -s ' \n' ' ' </tmp/doctor | grep -q \
		'FAIL The device for this QEMU is not built' ||
		die "the doctor: $(cat /tmp/doctor)"
}
install vmshm
# The directory for the source of QEMU is on a full file system. apt does not
# fail, neither with this package nor with the trigger of another QEMU.
mkdir -p /var/cache/vmshm
mount -t tmpfs -o size=64k tmpfs /var/cache/vmshm
apt_get install qemu-system-x86
install qemu-system-vmshm | tee /tmp/said
failed
systemctl reset-failed
apt_get --reinstall install qemu-system-x86 | tee /tmp/said
failed
# The command of the doctor is the remedy.
umount /var/cache/vmshm
command=$(sed -n 's/^ *type: \(vmshm-device .*\)/\1/p' /tmp/doctor)
$command
vm_works
vmshm doctor >/tmp/doctor || true
tr -s ' \n' ' ' </tmp/doctor | grep -q 'is built for this QEMU' ||
	die "the doctor: $(cat /tmp/doctor)"
# The unit also runs at each boot.
[ "$(systemctl is-enabled vmshm-device.service)" = enabled ] ||
	die "the unit does not run at boot"
systemctl start vmshm-device.service
[ -z "$(systemctl --failed --plain --no-legend)" ] ||
	die "still failed: $(systemctl --failed)"
gone qemu-system-vmshm vmshm
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


def sources():
    """The file of `make dist`, which `make deb` also writes"""
    with open(os.path.join(TOP, "VERSION"), encoding="ascii") as f:
        return os.path.join(TOP, "build", f"vmshm-{f.read().strip()}.tar.gz")


def check(suite, name):
    enter, script = ((BOOT, BOOTED[name]) if name in BOOTED
                     else (ENTER, TESTS[name]))
    work = base_of(suite)
    with open(f"{work}/lock", "w", encoding="ascii") as lock, \
         open(f"{work}/log-{name}", "w+", encoding="utf-8",
              errors="replace") as log:
        # Another run uses the same cache of downloads.
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash",
             "-euc", enter, "enter", work, os.path.join(TOP, "build", "deb"),
             sources()],
            input=(LIBRARY + script).encode(), stdout=log, stderr=log,
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
                       for suite in SUITES for name in (*TESTS, *BOOTED)])


if __name__ == "__main__":
    tier.main("packages", run)
