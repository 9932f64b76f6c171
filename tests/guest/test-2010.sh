# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The program of 2010 and its corrected form, examples/guest.c.
#
# qemu: -device vmshm,id=vmshm0
# qemu 2010: -device vmshm,id=vmshm0,arena=0

test_runs_as_printed()
{
	host create /shared-with-qemu 1048576
	program-2010 &
	pid=$!
	wait $pid
	text=$(host text /shared-with-qemu)
	host unlink /shared-with-qemu
	[ "$text" = "I was here: $pid" ] || fail "the host reads: $text"
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
