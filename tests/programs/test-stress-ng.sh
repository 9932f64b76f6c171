# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The stressors of stress-ng that use POSIX shared memory, in a guest
#
# qemu: -device vmshm,create=on,prefix=@PREFIX@sng- -m 1024
# driver: futex=1
# needs: programs

# stress STRESSOR OPTION...: runs a stressor, which verifies the data it reads.
stress()
{
	[ -x /usr/bin/stress-ng ] || skip "Debian: apt install stress-ng"
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount /dev/shm' EXIT
	stressor=$1
	shift
	(cd /tmp && /usr/bin/stress-ng --verify --oom-avoid --"$stressor" 2 \
		--"$stressor"-ops "$T_ROUNDS" "$@") >/tmp/stress-ng.log 2>&1 ||
		fail "$(grep -v 'successful\|dispatching' /tmp/stress-ng.log |
			tail -n 1)"
	set -- /dev/shm/*
	[ ! -e "$1" ] || fail "$1 is left"
}

test_shm()
{
	stress shm --shm-bytes 1M --shm-objs 8
}
