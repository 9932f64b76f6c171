# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# Linux's own tests of futex(2), as its run.sh calls them: each has the same
# result with its files on the file system as on tmpfs of the guest.
#
# qemu: -device vmshm,create=on,prefix=@PREFIX@fst- -m 1024
# driver: futex=1
# needs: futex-selftests

SELFTESTS=/usr/lib/futex-selftests

# A program sleeps for 10 ms until its thread waits, which is not long enough on
# a busy machine. Such a program passes later.
attempt()
{
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		code=0
		timeout -s KILL 60 "$@" >/run/said 2>&1 || code=$?
		[ $code != 0 ] || return 0
	done
}

# results DIR: runs the programs in it, and prints the calls and exit codes.
results()
{
	cd "$1" || exit 1
	# shellcheck disable=SC2016 # a variable of that script
	sed -n 's/ \$COLOR//; s/^\.\///p' $SELFTESTS/run.sh |
	while read -r program options; do
		# shellcheck disable=SC2086 # options
		attempt $SELFTESTS/"$program" $options
		echo "$program $options: $code"
	done
}

# A process that has ended can use its directory for another moment.
unmount()
{
	umount /run/tmpfs
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		! umount /run/vmshm || return 0
		sleep 1
	done
	fail "the file system stays in use"
}

test_all()
{
	mkdir -p /run/tmpfs /run/vmshm
	mount -t tmpfs none /run/tmpfs
	mount -t vmshm vmshm0 /run/vmshm
	trap unmount EXIT
	(results /run/tmpfs) >/run/on-tmpfs
	(results /run/vmshm) >/run/on-vmshm
	echo "note of $(wc -l </run/on-tmpfs) calls," \
		"$(grep -c ' 0$' /run/on-tmpfs) passed on tmpfs," \
		"$(grep -c ' 0$' /run/on-vmshm) on vmshm" >&3
	others=$(cat /run/on-tmpfs /run/on-vmshm | sort | uniq -u)
	[ -z "$others" ] || fail "other results: $others"
	[ "$(grep -c ' 0$' /run/on-vmshm)" -gt 20 ] || fail "$(cat /run/on-vmshm)"
	set -- /run/vmshm/*
	[ ! -e "$1" ] || fail "$1 is left"
}
