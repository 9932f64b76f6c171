# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The primitives of POSIX threads, by the same unmodified program on the host
# and in the guest. tests/guest/test-same-program.sh runs fewer rounds of it, in
# all ways of linking.
#
# qemu: -device vmshm,create=on,allow=/@PREFIX@* -m 1024
# driver: futex=1

# between KIND: runs the program with each role in the guest once.
between()
{
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount /dev/shm' EXIT
	for role in 0 1; do
		object=$(name "p-$1-$role")
		host create "$object" 4096
		primitives "/dev/shm$object" init
		host spawn primitives "$object" "$1" $((1 - role)) "$T_ROUNDS"
		primitives "/dev/shm$object" "$1" $role "$T_ROUNDS"
		host reap
		rm -f /dev/shm/*"${object#/}"*
	done
}

test_semaphore()
{
	between semaphore
}

test_named_semaphore()
{
	between named
}

test_mutex()
{
	between mutex
}

test_condition()
{
	between condition
}

test_condition_with_deadline()
{
	between deadline
}

test_barrier()
{
	between barrier
}

test_rwlock()
{
	between rwlock
}

test_robust_mutex()
{
	between robust
}
