# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# python/vmshm.py in the guest and on the host, and an array that both share
#
# qemu: files
# needs: python tests/guest/helpers/channel.py
# needs: python examples/array.py
# needs: library

# in_mount DEVICE
in_mount()
{
	mount -t vmshm "$1" /dev/shm
	trap 'umount /dev/shm' EXIT
}

guest()
{
	python3 "$@" 2>/tmp/err || fail "$(tail -n 1 /tmp/err)"
}

# both HOST-ROLE GUEST-ROLE OBJECT
both()
{
	host python_spawn tests/guest/helpers/channel.py "$1" "$3"
	guest /channel.py "$2" "$3"
	host reap
}

test_messages()
{
	in_mount vmshm0
	both ask echo "$(name ch1)"
	both echo ask "$(name ch2)"
}

test_killed()
{
	in_mount vmshm0
	both die mourn "$(name ch3)"
	both mourn die "$(name ch4)"
}

# The guest uses the node, without a mount.
test_node()
{
	object=$(name ch5)
	host create "$object" 1000000
	both ask echo "$object"
}

test_wait_and_wake()
{
	in_mount vmshm1
	object=$(name ch6)
	host create "$object" 4096
	both ping pong "$object"
	both pong ping "$object"
}

test_broadcast()
{
	in_mount vmshm0
	object=$(name ch7)
	both write read "$object"
	object=$(name ch8)
	both read write "$object"
}

test_interrupt()
{
	in_mount vmshm0
	guest /channel.py interrupt "$(name ch9)"
}

# The unchanged example
test_array()
{
	[ -e /array.py ] || skip "no numpy for the host's Python"
	in_mount vmshm1
	object=$(name array)
	host python_spawn examples/array.py host "$object"
	until [ -s "/dev/shm$object" ]; do :; done
	guest /array.py guest "$object"
	case $(host reap) in
	"sum of the roots: 666666166.45"*) ;;
	*) fail "that is not the sum" ;;
	esac
}
