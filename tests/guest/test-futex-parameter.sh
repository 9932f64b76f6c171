# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The parameter futex=1 of the driver, on a kernel where futex(2) can be
# diverted, and on one where it cannot.
#
# driver: futex=1
# qemu: programs
# expect-log: vmshm: futex: this (kernel is built without|needs x86-64)
# expect-log: vmshm: futex: a live patch has futex\(2\), or kernel.ftrace_enabled

FTRACE=/proc/sys/kernel/ftrace_enabled

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

need_ftrace()
{
	[ -e $FTRACE ] || skip "this kernel has no ftrace"
}

# The mounts of earlier tests end a little later than the tests.
unload()
{
	while ! rmmod vmshm 2>/dev/null; do
		:
	done
}

# load VALUE: loads the module with futex=1; then the parameter has that value.
load()
{
	insmod /vmshm.ko futex=1
	grep -q "$1" /sys/module/vmshm/parameters/futex ||
		fail "the parameter is not $1"
}

test_ftrace_stays_enabled()
{
	need_ftrace
	if echo 0 >$FTRACE; then
		fail "ftrace was disabled"
	fi
	[ "$(cat $FTRACE)" = 1 ] || fail "ftrace is disabled"
}

test_refused_while_ftrace_is_disabled()
{
	need_ftrace
	unload
	trap 'echo 1 >$FTRACE; rmmod vmshm 2>/dev/null || :; load Y' EXIT
	echo 0 >$FTRACE || skip "this kernel does not disable ftrace"
	load N
	dmesg | grep -q 'vmshm: futex: .*ftrace_enabled is 0' ||
		fail "the log has no reason"
}
