# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The same unmodified program on the host and in the guest; see
# docs/unmodified-programs.md.
#
# driver: futex=1
# qemu: programs
# needs: linked

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

# each_kind PROGRAM: each primitive, with both roles in the guest
each_kind()
{
	in_mount
	command -v "$1" >/dev/null || skip "no compiler for $1"
	for kind in semaphore named mutex condition deadline barrier rwlock \
		robust; do
		for role in 0 1; do
			object=$(name "$1-$kind-$role")
			host create "$object" 4096
			"$1" "/dev/shm$object" init
			host spawn "$1" "$object" $kind $((1 - role)) 20
			"$1" "/dev/shm$object" $kind $role 20
			host reap
			rm -f /dev/shm/*"${object#/}"*
		done
	done
}

test_static()
{
	each_kind primitives
}

test_dynamic()
{
	each_kind primitives-dynamic
}

test_musl_static()
{
	each_kind primitives-musl
}

test_musl_dynamic()
{
	each_kind primitives-musl-dynamic
}

test_i386_static()
{
	each_kind primitives-i386
}
