# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# multiprocessing of Python, one side on the host and one in the guest
#
# qemu: -device vmshm,create=on,allow=/@PREFIX@* -m 1024
# driver: futex=1
# needs: python tests/programs/multi.py

# between KIND: runs the program with each role in the guest once.
between()
{
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount /dev/shm' EXIT
	for role in 0 1; do
		object=$(name "m-$1-$role")
		host python_spawn tests/programs/multi.py "$object" "$1" \
			$((1 - role)) "$T_ROUNDS"
		python3 /multi.py "$object" "$1" $role "$T_ROUNDS"
		host reap
		rm -f /dev/shm/*"${object#/}"*
	done
}

test_lock()
{
	between lock
}

test_semaphore()
{
	between semaphore
}

test_condition()
{
	between condition
}

test_shared_memory()
{
	between memory
}

test_shareable_list()
{
	between list
}

# Before 3.13, Python removes attached blocks, unless they are unregistered.
test_the_remedy()
{
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount /dev/shm' EXIT
	object=$(name m-remedy)
	host create "$object" 4096
	python3 -c "
from multiprocessing.shared_memory import SharedMemory
from multiprocessing import resource_tracker
shm = SharedMemory('${object#/}')
resource_tracker.unregister(shm._name, 'shared_memory')"
	[ -e "/dev/shm$object" ] || fail "it was removed"
	host unlink "$object"
}
