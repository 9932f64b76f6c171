# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The library in programs of other ABIs: linked with musl, and for i386 on a
# 64-bit kernel. The other party runs on the host. The calls sleep in the
# driver.
#
# qemu: channels
# needs: abi

EPIPE=32
ECONNRESET=104

channels_and_broadcasts()
{
	party=party-$1
	command -v "$party" >/dev/null ||
		skip "no compiler; Debian: apt install $2"
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount /dev/shm' EXIT
	object=$(name "abi-$1")
	# The guest receives, then sends.
	host spawn party "${object}1" messages 2000
	$party "/dev/shm${object}1" end recv $EPIPE
	host reap
	host spawn party "${object}2" end recv $EPIPE
	$party "/dev/shm${object}2" messages 2000
	host reap
	# The party on the host detects the death of the party in the guest.
	host spawn party "${object}3" end recv $ECONNRESET
	code=0
	$party "/dev/shm${object}3" die || code=$?
	[ $code = 137 ] || fail "exit code $code"
	host reap
	# The guest reads, then writes.
	host spawn party "${object}4" write 5000
	$party "/dev/shm${object}4" read 5000 $EPIPE
	host reap
	host spawn party "${object}5" read 5000 $EPIPE
	$party "/dev/shm${object}5" write 5000
	host reap
}

test_musl()
{
	channels_and_broadcasts musl musl-tools
}

test_i386()
{
	channels_and_broadcasts i386 'gcc-i686-linux-gnu libc6-dev-i386-cross'
}
