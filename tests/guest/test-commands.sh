# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The usual commands on files that are the host's objects.
#
# qemu: files

d=/tmp/m

# with DEVICE NAME...: mounts the device. $f is the file of a new object.
with()
{
	mkdir -p $d
	mount -t vmshm "$1" $d
	trap 'umount $d; rm -f /tmp/copy' EXIT
	object=$(name "$2")
	f=$d$object
	host unlink "$object"
	host create "$object" 300000 640
	host fill "$object" 0 300000 7
	host write "$object" 0 68656c6c6f20776f726c640a
}

host_sum()
{
	host sum "$object" 0 300000
}

# same WHAT IT-SAYS EXPECTED
same()
{
	[ "$2" = "$3" ] || fail "$1: $2, not $3"
}

test_ls_and_stat()
{
	with vmshm1 ls
	# shellcheck disable=SC2010 # the test is about ls
	line=$(ls -l $d | grep "${object#/}\$")
	case $line in
	"-rw-r-----"*" 300000 "*) ;;
	*) fail "ls: $line" ;;
	esac
	same stat "$(stat -c '%s %a %F' "$f")" "300000 640 regular file"
	host truncate "$object" 300001
	same stat "$(stat -c %s "$f")" 300001
	same wc "$(wc -c <"$f")" 300001
	[ -f "$f" ] || fail "test -f"
	same find "$(find $d -name "${object#/}")" "$f"
	same du "$(($(du -k "$f" | cut -f 1) >= 292))" 1
}

test_cat_cp_cmp()
{
	with vmshm1 cat
	cat "$f" >/tmp/copy
	cmp "$f" /tmp/copy
	cp "$f" /tmp/copy
	cmp "$f" /tmp/copy
	same head "$(head -n 1 "$f")" "hello world"
	same md5sum "$(md5sum <"$f")" "$(md5sum </tmp/copy)"
	grep -q 'hello world' "$f" || fail "grep"
	printf x | dd of=/tmp/copy bs=1 seek=299999 conv=notrunc 2>/dev/null
	if cmp -s "$f" /tmp/copy; then fail "cmp sees no difference"; fi
	# A copy in the other direction
	cat /tmp/copy 1<>"$f"
	cmp "$f" /tmp/copy
	same "the host reads" "$(host read "$object" 299999 1)" 78
}

test_dd()
{
	with vmshm1 dd
	dd if="$f" of=/tmp/copy bs=4096 2>/dev/null
	cmp "$f" /tmp/copy
	dd if="$f" of=/tmp/copy bs=1000 skip=100 count=3 2>/dev/null
	same "dd skip" "$(md5sum </tmp/copy)" \
		"$(tail -c +100001 "$f" | head -c 3000 | md5sum)"
	printf 'from the guest' |
		dd of="$f" bs=1 seek=123456 conv=notrunc 2>/dev/null
	same "the host reads" "$(host read "$object" 123456 14)" \
		66726f6d20746865206775657374
	same size "$(host size "$object")" 300000
	# Without create=on, the object is not truncated.
	if dd if=/dev/zero of="$f" bs=1 count=1 2>/tmp/err; then
		fail "dd cuts"
	fi
	grep -q 'Read-only file system' /tmp/err || fail "$(cat /tmp/err)"
	same size "$(host size "$object")" 300000
}

test_hexdump_and_od()
{
	with vmshm1 hex
	same hexdump "$(hexdump -C -n 16 "$f" | cut -c 11-33 | head -n 1)" \
		"68 65 6c 6c 6f 20 77 6f"
	same od "$(od -An -tx1 -N 4 "$f")" " 68 65 6c 6c"
	same tail "$(tail -c 4 "$f" | hexdump -e '4/1 "%02x"')" \
		"$(host read "$object" 299996 4)"
}

test_changes()
{
	with vmshm0 change
	sum=$(host_sum)
	cp "$f" "$f-2"
	cmp "$f" "$f-2"
	mv "$f-2" "$f-3"
	if [ -e "$f-2" ]; then fail "mv leaves it"; fi
	ln "$f-3" "$f-4"
	cmp "$f" "$f-4"
	truncate -s 1000 "$f-4"
	same stat "$(stat -c %s "$f-3")" 1000
	echo more >>"$f-4"
	same tail "$(tail -c 5 "$f-3")" more
	same size "$(host size "$object-3")" 1005
	rm "$f-3" "$f-4"
	tar -C $d -cf /tmp/copy "${object#/}"
	rm "$f"
	tar -C $d -xf /tmp/copy 2>/tmp/err || true
	same "the object after tar" "$(host_sum)" "$sum"
	rm "$f"
	if ls "$f" 2>/dev/null; then fail "it is still there"; fi
}

test_df_and_mounts()
{
	with vmshm3 df
	line=$(df -m $d | tail -n 1)
	same df "$(echo "$line" | awk '{ print $1, $2 }')" "vmshm3 4"
	grep -q "^vmshm3 $d vmshm " /proc/mounts ||
		fail "$(grep $d /proc/mounts)"
	for fs in proc tmpfs; do
		mkdir -p $d-2
		mount -t $fs none $d-2
		umount $d-2
	done
	umount $d
	# mount accepts the name of the device, or the path of its node.
	mount -t vmshm /dev/vmshm3 $d
	cmp "$f" "$f"
}

test_not_for_users()
{
	with vmshm1 user
	host mode "$object" 600
	if setpriv --reuid 1000 --regid 1000 --clear-groups cat "$f" \
		>/dev/null 2>/tmp/err; then
		fail "a user reads it"
	fi
}
