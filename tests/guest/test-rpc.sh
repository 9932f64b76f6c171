# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The remote calls of examples/rpc/: programs in the guest, the service on the
# host
#
# qemu: files
# needs: rpc

m=/tmp/rpc

# with NAME: starts the service at $object, mounts its file, and sets $RPCBLAS.
with()
{
	object=$(name "$1")
	mkdir -p $m
	mount -t vmshm vmshm1 $m
	trap 'umount $m' EXIT
	port=$(host blas "$object")
	[ "$port" -gt 0 ] || fail "port $port"
	export RPCBLAS="vmshm:$object" LD_LIBRARY_PATH=/lib
}

# Checks that the service ends without an error and removes its object.
ended()
{
	code=$(host blas_end)
	[ "$code" = 0 ] || fail "the service: exit code $code"
	[ ! -e "$m$object" ] || fail "$object is still there"
}

# started PROGRAM ARG...: starts a program in the background, waits for its
# first line, and sets $pid.
started()
{
	rm -f /tmp/rpc-fifo
	mkfifo /tmp/rpc-fifo
	"$@" >/tmp/rpc-fifo 2>/tmp/err &
	pid=$!
	exec 5</tmp/rpc-fifo
	read -r _ <&5 || fail "$1: $(cat /tmp/err)"
}

# A program without support for remote calls
test_demo()
{
	with rpc1
	sgemm-demo 4 100 >/tmp/local
	LD_PRELOAD=/lib/librpcblas.so sgemm-demo 4 100 300 >/tmp/remote
	[ "$(wc -l </tmp/remote)" = 4 ] || fail "$(cat /tmp/remote)"
	if RPCBLAS='' LD_PRELOAD=/lib/librpcblas.so sgemm-demo 4 2>/tmp/err
	then
		fail "the host does not compute the products"
	fi
	ended
}

test_products()
{
	with rpc2
	products 100 3 40
	products 2 1 700
	ended
}

# Checks that a new service uses the existing object, for products of that size.
served_in_the_same_object()
{
	host blas "$object" >/tmp/port
	products 20 1 "$1"
	host blas_end >/tmp/code
	host unlink "$object"
}

# Without a mount, the object has to fit into the 1 MiB of the node.
test_node()
{
	with rpc3
	ended
	umount $m
	trap - EXIT
	host create "$object" 270336
	served_in_the_same_object 100
}

test_client_killed()
{
	with rpc4
	for threads in 1 2 3; do
		started products 0 $threads 30
		kill -9 $pid
		wait $pid || true
	done
	products 20 1 30
	ended
}

test_service_killed()
{
	with rpc5
	started products 0 1 30
	host blas_kill
	code=0
	wait $pid || code=$?
	[ $code = 134 ] || fail "exit code $code: $(cat /tmp/err)"
	grep -q 'lost the service: Connection reset' /tmp/err ||
		fail "$(cat /tmp/err)"
	served_in_the_same_object 30
}

test_no_service()
{
	with rpc6
	ended
	if products 1 1 4 2>/tmp/err; then
		fail "there is one"
	fi
	grep -q 'cannot connect: No such file' /tmp/err || fail "$(cat /tmp/err)"
}
