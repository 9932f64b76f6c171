# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The output of the usual commands about the file system
#
# qemu: files
# expect-log: vmshm: no device of that name
# expect-log: vmshm: mode is 0 to 0777
# expect-log: vmshm: Unknown parameter

d=/tmp/m

mounted()
{
	mkdir -p $d
	mount -t vmshm vmshm0 $d
	trap 'umount $d' EXIT
}

test_reads_and_writes()
{
	object=$(name fs)
	f=$d$object
	mounted
	host create "$object" 8192
	host write "$object" 0 68656c6c6f
	[ "$(head -c 5 "$f")" = hello ] || fail "cat: $(head -c 5 "$f")"
	[ "$(stat -c %s "$f")" = 8192 ] || fail "size $(stat -c %s "$f")"
	printf world | dd of="$f" bs=1 seek=5000 conv=notrunc 2>/dev/null
	[ "$(host read "$object" 5000 5)" = 776f726c64 ] ||
		fail "the host reads $(host read "$object" 5000 5)"
	# shellcheck disable=SC2010,SC2012 # the test is about ls
	ls -l $d | grep -q "${object#/}" || fail "ls: $(ls $d)"
}

# The command of README.md, with a program in the place of PROGRAM
test_mounted_for_one_program()
{
	object=$(name fs-one-program)
	host unlink "$object"
	host create "$object" 4096
	unshare -m sh -c 'mount -t vmshm vmshm0 /dev/shm && exec ls /dev/shm' \
		>/tmp/seen
	host unlink "$object"
	grep -qx "${object#/}" /tmp/seen || fail "ls: $(cat /tmp/seen)"
	if grep ' /dev/shm vmshm ' /proc/mounts; then fail "all see it"; fi
}

test_missing()
{
	mounted
	if cat "$d$(name none)" 2>/tmp/err; then fail "it is there"; fi
	grep -q 'No such file' /tmp/err || fail "$(cat /tmp/err)"
}

test_create_and_remove()
{
	object=$(name made)
	f=$d$object
	mounted
	printf text > "$f"
	[ "$(host text "$object")" = text ] ||
		fail "the host reads $(host text "$object")"
	truncate -s 10000 "$f"
	[ "$(host size "$object")" = 10000 ] || fail "$(host size "$object")"
	mv "$f" "$f-2"
	[ "$(head -c 4 "$f-2")" = text ] || fail "after mv"
	cp "$f-2" "$f"
	cmp "$f" "$f-2"
	ln "$f" "$f-3"
	cmp "$f" "$f-3"
	rm "$f" "$f-2" "$f-3"
	if [ -e "$f" ]; then fail "it is still there"; fi
}

test_wrong_mounts()
{
	mkdir -p $d
	if mount -t vmshm vmshm77 $d 2>/dev/null; then fail "vmshm77"; fi
	if mount -t vmshm -o mode=7777 vmshm0 $d 2>/dev/null; then
		fail "mode=7777"
	fi
	if mount -t vmshm -o what=1 vmshm0 $d 2>/dev/null; then
		fail "what=1"
	fi
}

test_options()
{
	object=$(name opt)
	mkdir -p $d
	mount -t vmshm -o uid=12,gid=34,mode=640 vmshm0 $d
	trap 'umount $d' EXIT
	host create "$object" 1
	s=$(stat -c '%u %g %a' "$d$object")
	[ "$s" = "12 34 640" ] || fail "$s"
}
