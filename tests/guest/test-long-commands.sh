# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# Commands that extend a file by thousands of writes, more than the device has
# attachments: "make check-lifecycle" runs them.
#
# qemu: -device vmshm,create=on,allow=/@PREFIX@*
# needs: rounds

d=/tmp/m

mounted()
{
	mkdir -p $d
	mount -t vmshm vmshm0 $d
	trap 'umount $d' EXIT
}

test_seq()
{
	object=$(name seq)
	mounted
	seq 1 3000000 >"$d$object"
	[ "$(host size "$object")" = 22888896 ] ||
		fail "size $(host size "$object")"
	[ "$(tail -n 1 "$d$object")" = 3000000 ] ||
		fail "last line $(tail -n 1 "$d$object")"
	rm "$d$object"
}

test_dd()
{
	object=$(name dd)
	mounted
	dd if=/dev/zero of="$d$object" bs=64k count=16384 2>/dev/null
	[ "$(host size "$object")" = 1073741824 ] ||
		fail "size $(host size "$object")"
	[ "$(host blocks "$object")" -ge 2097152 ] ||
		fail "blocks $(host blocks "$object")"
	rm "$d$object"
}
