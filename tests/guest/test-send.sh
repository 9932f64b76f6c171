# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# vmshm send, recv and pipe between host and guest, and in the guest
#
# qemu: files
# needs: tool

m=/tmp/send
SIZES="0 1 4096 10485767"

# mounted DEVICE
mounted()
{
	mkdir -p $m
	mount -t vmshm "$1" $m
	trap 'umount $m' EXIT
}

# sum FILE
sum()
{
	md5sum <"$1" | cut -d ' ' -f 1
}

random()
{
	head -c "$1" /dev/urandom
}

# ended CODE SUM: checks the end of the host's program.
ended()
{
	end=$(host vmshm_end)
	[ "$end" = "$1 $2" ] || fail "on the host: $end, not $1 $2"
}

# gone OBJECT: succeeds if the name does not exist.
gone()
{
	[ ! -e "$m$1" ]
}

# fails WORDS COMMAND...: the command has to fail, with these words in its
# message.
fails()
{
	words=$1 code=0
	shift
	"$@" >/tmp/out 2>/tmp/err || code=$?
	[ $code = 1 ] || fail "$*: $code: $(cat /tmp/err)"
	says "$words"
}

# says WORDS
says()
{
	tr '\n' ' ' </tmp/err | sed 's/vmshm: //g' | grep -qF -- "$1" ||
		fail "$(cat /tmp/err)"
}

# until_so COMMAND...: repeats the command until it succeeds. t.sh has a
# deadline.
until_so()
{
	until "$@" 2>/dev/null; do :; done
}

# begun COMMAND OBJECT [SIZE [open]]: starts the command on the host, and waits
# for its object.
begun()
{
	sent=$(host vmshm "$@")
	until_so test -s "$m$2"
}

has_bytes()
{
	[ "$(wc -c <"$1")" = "$2" ]
}

test_to_host()
{
	mounted vmshm1
	object=$(name send1)
	for size in $SIZES; do
		random "$size" >/tmp/in
		host vmshm recv "$object" >/tmp/out
		vmshm send "$object" </tmp/in
		ended 0 "$(sum /tmp/in)"
		gone "$object"
	done
}

test_to_guest()
{
	mounted vmshm1
	object=$(name send2)
	for size in $SIZES; do
		sent=$(host vmshm send "$object" "$size")
		vmshm recv "$object" >/tmp/out
		[ "$(sum /tmp/out)" = "$sent" ] ||
			fail "$size bytes: $(wc -c </tmp/out) arrived"
		ended 0 "$(sum /dev/null)"
		gone "$object"
	done
}

# The guest may not create the object, and waits until the host creates it.
test_guest_first()
{
	mounted vmshm1
	object=$(name send3)
	vmshm recv "$object" >/tmp/out &
	sent=$(host vmshm send "$object" 100000)
	wait $!
	[ "$(sum /tmp/out)" = "$sent" ] || fail "$(wc -c </tmp/out)"
	gone "$object"
}

# The guest may create the object, and removes it.
test_guest_makes()
{
	mounted vmshm0
	object=$(name send4)
	vmshm recv -m 640 "$object" >/tmp/out &
	pid=$!
	until_so test -s "$m$object"
	[ "$(stat -c %a "$m$object")" = 640 ] || fail "$(ls -l $m)"
	sent=$(host vmshm send "$object" 100000)
	wait $pid
	[ "$(sum /tmp/out)" = "$sent" ] || fail "$(wc -c </tmp/out)"
	gone "$object"
}

# Without a mount, the object fits into the 1 MiB of the node.
test_node()
{
	object=$(name send5)
	random 3000000 >/tmp/in
	host vmshm recv "$object"
	vmshm -d vmshm1 send "$object" </tmp/in
	ended 0 "$(sum /tmp/in)"
	sent=$(host vmshm send "$object" 3000000)
	vmshm -d vmshm1 recv "$object" >/tmp/out
	[ "$(sum /tmp/out)" = "$sent" ] || fail "$(wc -c </tmp/out)"
}

test_archive()
{
	mounted vmshm1
	object=$(name send6)
	host vmshm recv "$object"
	tar c /bin/vmshm /tests | tee /tmp/archive | vmshm send "$object"
	ended 0 "$(sum /tmp/archive)"
}

test_pipe()
{
	mounted vmshm1
	object=$(name send7)
	random 2000000 >/tmp/in
	sent=$(host vmshm pipe "$object" 3000000)
	vmshm pipe "$object" </tmp/in >/tmp/out
	ended 0 "$(sum /tmp/in)"
	[ "$(sum /tmp/out)" = "$sent" ] || fail "$(wc -c </tmp/out)"
}

test_both_in_guest()
{
	mounted vmshm0
	object=$(name send8)
	random 1000000 >/tmp/in
	vmshm recv "$object" >/tmp/out &
	vmshm send "$object" </tmp/in
	wait $!
	cmp /tmp/in /tmp/out
	gone "$object"
}

# The input neither has data nor ends.
test_host_recv_killed()
{
	mounted vmshm1
	object=$(name send9)
	begun recv "$object"
	mkfifo /tmp/fifo
	vmshm send "$object" </tmp/fifo 2>/tmp/err &
	pid=$!
	exec 4>/tmp/fifo
	until_so gone "$object"
	host vmshm_kill
	code=0
	wait $pid || code=$?
	exec 4>&-
	rm /tmp/fifo
	[ $code = 1 ] || fail "exit code $code"
	says 'killed'
}

test_host_send_killed()
{
	mounted vmshm1
	object=$(name send10)
	begun send "$object" 100000 open
	vmshm recv "$object" >/tmp/out 2>/tmp/err &
	pid=$!
	until_so has_bytes /tmp/out 100000
	host vmshm_kill
	code=0
	wait $pid || code=$?
	[ $code = 1 ] || fail "exit code $code"
	says 'failed after 100000 bytes'
	[ "$(sum /tmp/out)" = "$sent" ] || fail "what came before"
}

# The host sees a death before the file system is free to be unmounted.
test_guest_send_killed()
{
	mounted vmshm1
	object=$(name send11)
	begun recv "$object"
	mkfifo /tmp/fifo
	vmshm send "$object" </tmp/fifo &
	pid=$!
	exec 4>/tmp/fifo
	until_so gone "$object"
	kill -9 $pid
	wait $pid || :
	exec 4>&-
	rm /tmp/fifo
	ended 1 "$(sum /dev/null)"
}

test_guest_recv_killed()
{
	mounted vmshm1
	object=$(name send12)
	begun send "$object" 100000 open
	vmshm recv "$object" >/tmp/out &
	pid=$!
	until_so has_bytes /tmp/out 100000
	kill -9 $pid
	wait $pid || :
	ended 1 "$(sum /dev/null)"
}

# The messages of failures
test_errors()
{
	object=$(name send13)
	fails '/dev/vmshm9: No such file' vmshm -d vmshm9 send "$object"
	mounted vmshm2
	host create "$object" 1048576
	fails "device is read-only" vmshm send "$object"
	umount $m
	mount -t vmshm vmshm0 $m
	host write "$object" 0 736f6d657468696e67
	fails 'other data' vmshm send "$object"
}
