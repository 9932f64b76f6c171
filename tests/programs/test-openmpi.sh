# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# Open MPI in a guest. Its processes share memory in files of the mount.
#
# qemu: -device vmshm,create=on,prefix=@PREFIX@mpi- -m 1024
# driver: futex=1
# needs: programs

test_ring()
{
	command -v mpi-ring >/dev/null || skip "Debian: apt install libopenmpi-dev"
	mkdir -p /etc
	[ -e /etc/passwd ] || echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
	echo '127.0.0.1 localhost' >/etc/hosts
	hostname localhost
	ifconfig lo up
	mount -t vmshm vmshm0 /dev/shm
	trap 'umount -l /dev/shm' EXIT
	LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu \
	OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
		/usr/bin/orterun -np 2 --oversubscribe --mca plm isolated \
		--mca btl vader,self --mca btl_vader_backing_directory /dev/shm \
		--mca btl_vader_single_copy_mechanism none \
		/bin/mpi-ring 1000 >/tmp/mpi.log 2>&1 ||
		fail "$(grep -v '^ *$' /tmp/mpi.log | tail -n 1)"
	grep -q 'number 2000 of 2000' /tmp/mpi.log || fail "$(cat /tmp/mpi.log)"
	set -- /dev/shm/vader_segment.*
	[ ! -e "$1" ] || fail "$1 is left"
}
