# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The Open POSIX Test Suite, which is a part of LTP: each program has the same
# result on the file system as on tmpfs of the guest.
#
# qemu: -device vmshm,create=on,prefix=@PREFIX@ots- -m 1024
# driver: futex=1
# needs: posix-tests

SUITE=/usr/lib/posixtestsuite

# Runs a program up to three times: some assume that other processes have come to
# a point after a second, which a busy machine does not keep.
attempt()
{
	for _ in 1 2 3; do
		code=0
		(cd /run && timeout -s KILL 60 "$1" >/run/said 2>&1) || code=$?
		[ $code != 0 ] || return 0
		# A program that is killed leaves its children.
		killall -q -KILL "${1##*/}" || true
	done
}

# results PATTERN: runs the programs, and prints their names and exit codes.
results()
{
	# shellcheck disable=SC2086 # a pattern
	for program in $SUITE/$1; do
		# Its result depends on which waiter comes first.
		[ "${program##*/}" != sem_post-8-1 ] || continue
		attempt "$program"
		echo "${program##*/} $code"
	done
}

# compare PATTERN [NAME...]: the results are the same, except for those programs.
compare()
{
	mkdir -p /etc
	echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
	echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd
	results "$1" >/run/tmpfs
	mount -t vmshm vmshm0 /dev/shm
	mount -t vmshm vmshm0 /tmp
	results "$1" >/run/vmshm
	umount /tmp /dev/shm
	echo "note $1: of $(wc -l </run/tmpfs) programs," \
		"$(grep -c ' 0$' /run/tmpfs) passed on tmpfs," \
		"$(grep -c ' 0$' /run/vmshm) on vmshm" >&3
	shift
	others=$(sort /run/tmpfs /run/vmshm | uniq -u | cut -d ' ' -f 1 |
		sort -u | tr '\n' ' ')
	[ "$others" = "${*:+$* }" ] || fail "other results: $others"
}

test_shared_memory()
{
	compare 'shm_*'
}

test_mappings()
{
	compare 'm*map-*' mmap-13-1 mmap-14-1
}

test_locks()
{
	compare 'm*lock*' mlockall-3-6
}

test_others()
{
	compare '[fp]*'
}

test_semaphores()
{
	compare 'sem_*' sem_unlink-1-1 sem_unlink-2-1
}
