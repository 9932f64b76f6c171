# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# One round of sgemm-demo in the guest, with the guest's BLAS and with the
# host's service. /addresses contains the addresses of the service; see
# remote-calls.py.

SIZES="4 16 64 128 256 512"

# round PEER SIZES
round()
{
	# shellcheck disable=SC2086
	sgemm-demo $2 >/tmp/demo
	sed 1d /tmp/demo | while read -r n us _; do
		host result name=sgemm "peer=$1" "n=$n" "us=$us"
	done
}

# remote PEER: PEER is the name of an address in /addresses
remote()
{
	RPCBLAS=$(sed -n "s/^$1 //p" /addresses)
	export RPCBLAS LD_PRELOAD=/lib/librpcblas.so
	round "$1" "$SIZES"
}

test_guest()
{
	round guest "$SIZES"
}

# The guest uses the library of the host's service.
test_guest_openblas()
{
	export LD_LIBRARY_PATH=/openblas
	round guest-openblas "$SIZES"
}

test_channel()
{
	mkdir -p /tmp/rpc
	mount -t vmshm vmshm0 /tmp/rpc
	trap 'umount /tmp/rpc' EXIT
	remote channel
}

test_user()
{
	ifconfig eth0 10.0.2.15 netmask 255.255.255.0
	remote user
}

test_tap()
{
	ifconfig eth1 10.0.3.15 netmask 255.255.255.0
	remote tap
}

test_host()
{
	host native
}
