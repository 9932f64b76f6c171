# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The shared memory transport of Fast DDS, without another transport. It works
# between processes of a guest. It cannot work across the border, because it
# detects a dead peer by flock(2); see docs/unmodified-programs.md.
#
# qemu: -device vmshm,create=on,dir=@FOLDER@/shm -m 1024
# driver: futex=1
# needs: programs

DOMAIN=42
# The first port that a participant of this domain has for itself
PORT=/dev/shm/fastrtps_port17910

prepare()
{
	command -v fastdds >/dev/null || skip "Debian: apt install libfastrtps-dev"
	mkdir -p /etc
	echo '127.0.0.1 localhost' >/etc/hosts
	ifconfig lo up
	mount -t vmshm vmshm0 /dev/shm
	trap 'rm -f /dev/shm/*; umount -l /dev/shm' EXIT
}

test_in_the_guest()
{
	prepare
	fastdds write $DOMAIN 100 >/tmp/writer 2>&1 &
	fastdds read $DOMAIN 100 50 >/tmp/reader 2>&1 ||
		fail "$(tail -n 1 /tmp/reader)"
	wait $! || fail "$(tail -n 1 /tmp/writer)"
}

test_not_across_the_border()
{
	prepare
	host dds write $DOMAIN 20
	while [ ! -e "$PORT"_el ]; do
		:
	done
	if fastdds read $DOMAIN 10 1 >/tmp/reader 2>&1; then
		fail "it works: correct docs/unmodified-programs.md"
	fi
	grep -q 'Port 17910 Zombie. Reset the port' /tmp/reader ||
		fail "$(tail -n 1 /tmp/reader)"
	[ "$(host dds_end)" = 1 ] || fail "the writer has found the reader"
}
