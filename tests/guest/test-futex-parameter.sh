# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The parameter futex=1 of the driver, on a kernel where futex(2) can be
# diverted, and on one where it cannot.
#
# driver: futex=1
# qemu: programs
# expect-log: vmshm: futex: this (kernel is built without|needs x86-64)

test_is_on_or_the_log_says_why()
{
	case $(uname -m) in
	x86_64) value=Y why='futex: this kernel is built without' ;;
	*) value=N why='futex: this needs x86-64' ;;
	esac
	if ! grep -q $value /sys/module/vmshm/parameters/futex ||
	   [ $value = N ]; then
		dmesg | grep -q "vmshm: $why" || fail "the log has no reason"
	fi
	# Everything else works.
	mkdir -p /tmp/m
	mount -t vmshm vmshm0 /tmp/m
	trap 'umount /tmp/m' EXIT
	object=$(name futex-parameter)
	host unlink "$object"
	host create "$object" 4096
	host write "$object" 0 68656c6c6f0a
	text=$(head -n 1 "/tmp/m$object")
	host unlink "$object"
	[ "$text" = hello ] || fail "the object has: $text"
}
