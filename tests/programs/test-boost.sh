# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# Boost.Interprocess, one side on the host and one in the guest
#
# qemu: -device vmshm,create=on,allow=/@PREFIX@* -m 1024
# driver: futex=1
# needs: programs

# between KIND: runs the program with each role in the guest once.
between()
{
	command -v boost-interprocess >/dev/null ||
		skip "not compiled; Debian: libboost-dev"
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount /dev/shm' EXIT
	for role in 0 1; do
		object=$(name "b-$1-$role")
		host spawn boost-interprocess "$object" "$1" $((1 - role)) \
			"$T_ROUNDS"
		boost-interprocess "$object" "$1" $role "$T_ROUNDS"
		host reap
		rm -f /dev/shm/*"${object#/}"*
	done
}

test_message_queue()
{
	between message_queue
}

test_named_mutex()
{
	between named_mutex
}

test_named_condition()
{
	between named_condition
}

test_managed_shared_memory()
{
	between managed_shared_memory
}
