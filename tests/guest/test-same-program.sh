# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The same unmodified program on the host and in the guest; see
# docs/unmodified-programs.md.
#
# driver: futex=1
# qemu: programs

in_mount()
{
	grep -q Y /sys/module/vmshm/parameters/futex ||
		skip "this kernel has no ftrace"
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount /dev/shm' EXIT
}

# example SIDE: the side of the guest
example()
{
	in_mount
	object=$(name turns)
	host spawn_turns "$object" $((1 - $1)) 20
	turns "$object" "$1" 20 >/tmp/turns
	host reap
	[ "$(tail -n 1 /tmp/turns)" = "side $1 counts to $((39 + $1))" ] ||
		fail "$(tail -n 1 /tmp/turns)"
	set -- /dev/shm/*"${object#/}"*
	[ ! -e "$1" ] || fail "$1 is left"
}

test_example_first()
{
	example 0
}

test_example_second()
{
	example 1
}
