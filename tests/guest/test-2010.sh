# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The program of 2010 and its corrected form, examples/guest.c.
#
# qemu: -device vmshm,id=vmshm0
# qemu 2010: -device vmshm,id=vmshm0,arena=0

# The name of the object is fixed in the program. The program opens the node of
# a device with prefix=, so that it does not use an object of another program.
runs_as_printed()
{
	object=$(name shared-with-qemu)
	host create "$object" 1048576
	host device_add "vmshm,id=old,bus=rp0,prefix=${T_PREFIX#/}$1"
	until [ -c /dev/vmshm1 ]; do :; done
	ln -sf vmshm1 /dev/vshm0
	program-2010 &
	pid=$!
	wait $pid
	host device_del old
	ln -sf vmshm0 /dev/vshm0
	text=$(host text "$object")
	host unlink "$object"
	[ "$text" = "I was here: $pid" ] || fail "the host reads: $text"
}

test_runs_as_printed()
{
	runs_as_printed ""
}

test_runs_with_three_bars()
{
	runs_as_printed ,arena=0
}

test_example()
{
	object=$(name example)
	host create "$object" 4096
	host write "$object" 0 68656c6c6f
	guest "$object" >/tmp/said &
	pid=$!
	wait $pid || fail "exit code $?"
	text=$(host text "$object")
	[ "$text" = "I was here: $pid" ] || fail "the host reads: $text"
	grep -q hello /tmp/said || fail "it did not show the host's text"
}

test_example_without_object()
{
	if guest "$(name missing)" >/tmp/said 2>&1; then
		fail "exit code 0"
	fi
	grep -q 'No such file' /tmp/said || fail "it said: $(cat /tmp/said)"
}
