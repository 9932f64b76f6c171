# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The program vmshm in a guest: objects, devices, and run.
#
# qemu: files
# needs: tool
# expect-log: vmshm: no device of that name
# expect-log: vmshm: Unknown parameter

m=/tmp/tool

# mounted [OPTIONS...]
mounted()
{
	mkdir -p $m
	mount -t vmshm "$@" $m
	trap 'umount $m' EXIT
}

# fails CODE WORDS COMMAND...: the command has to fail with that exit code, and
# with these words in its message.
fails()
{
	want=$1 words=$2 code=0
	shift 2
	"$@" >/tmp/out 2>/tmp/err || code=$?
	[ $code = "$want" ] || fail "$*: $code: $(cat /tmp/out /tmp/err)"
	tr '\n' ' ' </tmp/err | sed 's/vmshm: //g' | grep -qF -- "$words" ||
		fail "$*: $(cat /tmp/err)"
	if grep -qv '^vmshm: ' /tmp/err; then fail "$*: $(cat /tmp/err)"; fi
}

# user COMMAND: runs the command as a user without rights.
user()
{
	mkdir -p /etc
	echo 'root:x:0:0::/:/bin/sh' >/etc/passwd
	echo 'anna:x:1000:1000::/:/bin/sh' >>/etc/passwd
	su anna -s /bin/sh -c "$*"
}

has()
{
	grep -qF -- "$1" /tmp/out || fail "no '$1' in: $(cat /tmp/out)"
}

test_not_mounted()
{
	for c in ls 'info /x' 'create /x 1' 'rm /x' 'cat /x' 'write /x'; do
		# shellcheck disable=SC2086 # several words
		fails 1 'mount -t vmshm vmshm0 /dev/shm' vmshm $c </dev/null
	done
	fails 1 'vmshm7 is not mounted' vmshm -d vmshm7 ls
}

test_ls()
{
	object=$(name tool-ls)
	mounted vmshm0
	host create "$object" 65536 640
	vmshm ls >/tmp/out
	grep -q "64 KiB  rw-r-----  .*  $object\$" /tmp/out ||
		fail "$(cat /tmp/out)"
	vmshm ls --json >/tmp/out
	has "\"name\": \"$object\", \"size\": 65536, \"allocated\": 0"
	vmshm info "$object" >/tmp/out
	has "$m$object"
	has '64 KiB (65536 bytes)'
	vmshm -H ls >/tmp/out
	if grep -q "$object" /tmp/out; then fail "-H is not the guest's own"; fi
}

test_policy()
{
	yes=$(name yes-tool) no=$(name no-tool)
	mounted vmshm4
	host create "$yes" 1
	host create "$no" 1
	vmshm ls >/tmp/out
	has "$yes"
	if grep -q "$no" /tmp/out; then fail "$(cat /tmp/out)"; fi
	fails 1 'policy' vmshm info "$no"
	vmshm cat "$yes" >/tmp/out
}

test_cat_and_write()
{
	object=$(name tool-cat)
	mounted vmshm0
	host create "$object" 100000
	host fill "$object" 0 100000 7
	vmshm cat "$object" >/tmp/out
	cmp /tmp/out "$m$object" || fail "cat"
	printf 'from the guest' | vmshm write "$object" 64K
	[ "$(host text "$object" 65536 | cut -c 1-14)" = 'from the guest' ] ||
		fail "$(host text "$object" 65536)"
	printf 123456 >/tmp/in
	fails 1 'nothing was written' \
		vmshm write "$object" 99995 </tmp/in
	printf 123456 | fails 1 '5 bytes were written' \
		vmshm write "$object" 99995
	fails 1 'ends at 100000' vmshm write "$object" 100001 </dev/null
	[ "$(host size "$object")" = 100000 ] || fail "$(host size "$object")"
}

test_create_and_rm()
{
	object=$(name tool-made)
	mounted vmshm0
	vmshm create -m 640 "$object" 3M
	[ "$(host size "$object")" = 3145728 ] || fail "$(host size "$object")"
	vmshm info --json "$object" >/tmp/out
	has '"allocated": 3145728, "mode": "0640"'
	fails 1 'exists already' vmshm create "$object" 1
	vmshm rm "$object"
	fails 1 'no such object' vmshm rm "$object"
	vmshm create --sparse "$object" 1G
	vmshm info --json "$object" >/tmp/out
	has '"size": 1073741824, "allocated": 0'
	vmshm rm "$object"
}

# On Linux 6.1, Ctrl-Z interrupts fallocate(2) on a tmpfs.
test_create_stopped()
{
	mkdir -p /tmp/own
	mount -t tmpfs tmpfs /tmp/own
	trap 'umount /tmp/own' EXIT
	vmshm -H --dir /tmp/own create /x 64M &
	while [ ! -e /tmp/own/x ]; do :; done
	# The process may have ended before.
	kill -STOP $! || :
	kill -CONT $! || :
	wait $! || fail "create: $?"
	[ "$(du -k /tmp/own/x | cut -f1)" = 65536 ] || fail "$(du -k /tmp/own/x)"
}

test_create_off()
{
	object=$(name tool-off)
	mounted vmshm1
	fails 1 'create=on' vmshm create "$object" 1
	host create "$object" 10
	fails 1 'create=on' vmshm rm "$object"
	printf more | vmshm write "$object"
}

test_read_only()
{
	object=$(name tool-ro)
	mounted vmshm2
	host create "$object" 10
	vmshm cat "$object" >/tmp/out
	fails 1 'Permission denied' vmshm write "$object" </dev/null
}

# With two mounted devices, the command needs the name of one.
test_two_mounted()
{
	mounted vmshm0
	mkdir -p $m-2
	mount -t vmshm vmshm5 $m-2
	trap 'umount $m $m-2' EXIT
	fails 1 'type: vmshm ls --device vmshm5' vmshm ls
	for d in vmshm5 /dev/vmshm5; do
		vmshm create -d $d tool-made 1
		[ "$(host size "$(name in-tool-made)")" = 1 ] || fail $d
		vmshm rm -d $d tool-made
	done
	mount -t vmshm vmshm1 /dev/shm
	trap 'umount $m $m-2 /dev/shm' EXIT
	vmshm info "$(name none)" 2>/tmp/err || :
	vmshm ls >/tmp/out
}

# A mount that is hidden by another mount is not used.
test_covered()
{
	mounted vmshm0
	mount -t tmpfs none $m
	trap 'umount $m; umount $m' EXIT
	fails 1 'not mounted' vmshm ls
}

test_strange_folder()
{
	mkdir -p "/tmp/a b\\c"
	mount -t vmshm /dev/vmshm0 "/tmp/a b\\c"
	trap 'umount "/tmp/a b\\c"' EXIT
	vmshm ls >/tmp/out
	vmshm info >/tmp/out
	has 'mounted      /tmp/a b\x5cc (rw'
}

test_info()
{
	mounted -o uid=12 vmshm0
	vmshm info vmshm0 >/tmp/out
	has 'arena        1 GiB, '
	has 'features     arena, create, futex'
	has "mounted      $m (rw,relatime,uid=12)"
	vmshm info --json /dev/vmshm2 >/tmp/out
	has '"features": ["arena", "readonly", "futex"]'
	vmshm info --json >/tmp/out
	has '"device": "vmshm7", '
	has '"arena_size": 4294967296'
	fails 1 'no device vmshm9' vmshm info /dev/vmshm9
}

# The memory type that the driver reports is that of the kernel.
test_memory_type()
{
	book=/sys/kernel/debug/x86/pat_memtype_list
	[ -e $book ] || skip "this kernel has no $book"
	for pci in /sys/bus/pci/devices/*; do
		[ -d "$pci/vmshm" ] || continue
		device=$(ls "$pci/vmshm")
		start=$(sed -n 's/^\(0x[0-9a-f]*\) .*/\1/; 5p' "$pci/resource")
		kind=$(sed -n "s/^PAT: \[mem $start-.*] //p" $book | head -n 1)
		[ -n "$kind" ] || fail "$device: $start is not in $book"
		[ "$kind" = write-back ] || kind=uncached
		vmshm info --json "$device" >/tmp/out
		has "\"memory_type\": \"$kind\""
	done
	has memory_type
}

test_run()
{
	object=$(name tool-run)
	host create "$object" 10
	host write "$object" 0 68656c6c6f
	[ "$(vmshm run head -c 5 "/dev/shm$object")" = hello ] ||
		fail "head: $(vmshm run head -c 5 "/dev/shm$object")"
	if [ -e "/dev/shm$object" ]; then fail "it is seen outside"; fi
	made=$(name tool-run-made)
	vmshm run sh -c "echo >/dev/shm$made; vmshm rm $made"
	vmshm run -d vmshm2 -o uid=1000,mode=640 ls -ln "/dev/shm$object" \
		>/tmp/out
	has '-rw-r-----    1 1000'
	vmshm run vmshm -d vmshm0 ls --json >/tmp/out
	has "$object"
	vmshm run vmshm run true
}

test_run_exit_codes()
{
	vmshm run true
	code=0
	vmshm run sh -c 'exit 7' || code=$?
	[ $code = 7 ] || fail $code
	fails 127 'No such file' vmshm run /nothing
	fails 126 'Permission denied' vmshm run /tmp
	fails 1 'no device vmshm9' vmshm run -d vmshm9 true
	fails 1 'wrong mount option' vmshm run -o what=1 true
	fails 2 'run takes a program' vmshm run
	vmshm run -- echo --json >/tmp/out
	has --json
}

# Only root can mount. Other users use an existing mount with their own rights.
test_run_as_user()
{
	object=$(name tool-user) theirs=$(name tool-root)
	host create "$object" 10 666
	host create "$theirs" 10 600
	user vmshm run true 2>/tmp/err && fail "not root"
	grep -q 'type: sudo vmshm run true$' /tmp/err || fail "$(cat /tmp/err)"
	user vmshm run -o uid=0 true 2>/tmp/err && fail "not root"
	grep -q 'only root' /tmp/err || fail "$(cat /tmp/err)"
	mounted -o gid=1000 vmshm0
	made=$(name tool-made-by-user)
	user "vmshm run sh -c 'id -u; echo mine >/dev/shm$made'" >/tmp/out
	[ "$(cat /tmp/out)" = 1000 ] || fail "id: $(cat /tmp/out)"
	seen=$(cat "$m$made")
	rm "$m$made"
	[ "$seen" = mine ] || fail "it has '$seen'"
	user vmshm run cat "/dev/shm$object" >/tmp/out
	if user vmshm run cat "/dev/shm$theirs" 2>/tmp/err; then
		fail "it could be read"
	fi
	if user vmshm run umount /dev/shm 2>/tmp/err; then :; fi
	vmshm ls >/tmp/out
	has "$object"
}

test_doctor()
{
	vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
	has 'note  vmshm0 is not mounted'
	has 'ok    The kernel has the file system'
	mounted vmshm0
	vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
	has "ok    vmshm0 is mounted on $m."
	if grep -q '^.\{81\}' /tmp/out; then fail "$(cat /tmp/out)"; fi
	vmshm doctor --json >/tmp/out
	has '"healthy": true'
}

# Processes of the guest that have an object open or mapped
test_top()
{
	object=$(name tool-top)
	mounted vmshm0
	host create "$object" 65536
	vmshm top >/tmp/out
	if grep -q "$object" /tmp/out; then fail "$(cat /tmp/out)"; fi
	exec 3<"$m$object"
	vmshm top --json >/tmp/out
	exec 3<&-
	has "{\"name\": \"$object\", \"removed\": false, "
	has "\"size\": 65536, \"users\": [{\"pid\": "
	has '"vm": null, "mapped": 0, "descriptors": 1, "writable": false}'
	made=$(name tool-top-recv)
	vmshm recv "$made" >/tmp/received &
	until vmshm top --json >/tmp/out && grep -q \
		"\"name\": \"$made\".*\"mapped\": [1-9].*\"writable\": true" \
		/tmp/out; do :; done
	kill $!
	wait $! || :
}

# At logout, systemd-logind would remove the host's objects in /dev/shm.
test_logind()
{
	mkdir -p /run/systemd/seats /etc/systemd
	trap 'umount /dev/shm; rm -r /run/systemd /etc/systemd' EXIT
	# The advice and the hint do not cause the problem.
	vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
	has RemoveIPC=yes
	has 'type: mount -t vmshm vmshm0 /mnt'
	fails 1 'type: mount -t vmshm vmshm0 /mnt' vmshm ls
	mount -t vmshm vmshm0 /dev/shm
	vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
	has 'At the last logout'
	has RemoveIPC=yes
	has "type: printf '[Login]\\nRemoveIPC=no\\n' | tee /etc/systemd/"
	# The advice solves the problem.
	sed -n 's/.*type: \(mkdir.*\|printf.*\)/\1/p' /tmp/out >/tmp/advice
	sh /tmp/advice
	vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
	if grep -q RemoveIPC /tmp/out; then fail "$(cat /tmp/out)"; fi
	rm -r /etc/systemd/logind.conf.d
	umount /dev/shm
	# Without create=on, or with a read-only mount, no object can be
	# removed.
	for mount in vmshm1 '-o ro vmshm0'; do
		# shellcheck disable=SC2086 # several words
		mount -t vmshm $mount /dev/shm
		vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
		if grep -q 'At the last logout' /tmp/out; then
			fail "$(cat /tmp/out)"
		fi
		umount /dev/shm
	done
	mount -t vmshm vmshm0 /dev/shm
}
