# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# multiprocessing.shared_memory in the guest and on the host.
#
# qemu: files
# needs: python tests/guest/helpers/shared_memory.py

guest()
{
	python3 /shared_memory.py "$1" "${2#/}" "${3:-}" 2>/tmp/err ||
		fail "$(tail -n 1 /tmp/err)"
}

# in_mount DEVICE
in_mount()
{
	mount -t vmshm "$1" /dev/shm
	trap 'umount /dev/shm' EXIT
}

test_host_wrote()
{
	object=$(name py1)
	in_mount vmshm1
	host python create "$object" from the host
	[ "$(guest read "$object")" = "from the host" ] ||
		fail "the guest reads $(guest read "$object")"
	guest write "$object" "from the guest"
	[ "$(host python read "$object")" = "from the guest" ] ||
		fail "the host reads $(host python read "$object")"
}

test_guest_created()
{
	object=$(name py2)
	in_mount vmshm0
	guest newlist "$object" "a list of the guest"
	[ "$(host python list "$object")" = \
		"a list of the guest 2026 1013.0 None" ] ||
		fail "the host finds $(host python list "$object")"
	host python write "$object" x
	guest remove "$object"
	[ ! -e "/dev/shm$object" ] || fail "it is still there"
}

test_missing()
{
	in_mount vmshm1
	if python3 /shared_memory.py read no-such 2>/tmp/err; then
		fail "it is there"
	fi
	grep -q FileNotFoundError /tmp/err || fail "$(tail -n 1 /tmp/err)"
}
