# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2317
#
# The program vmshm in a guest in which a part is missing
#
# qemu: two
# needs: tool
# expect-log: vmshm: the device has no arena

# expect WORDS: the doctor has to fail, with these words in its output.
expect()
{
	if vmshm doctor >/tmp/out 2>&1; then fail "all is well?"; fi
	tr -s '\n ' ' ' </tmp/out | grep -qF -- "$1" || fail "$(cat /tmp/out)"
}

unloaded()
{
	rmmod vmshm
	trap 'insmod /vmshm.ko; rm -rf /lib/modules' EXIT
}

test_driver_not_built()
{
	unloaded
	expect "not built for this kernel, $(uname -r)"
	expect "type: modprobe vmshm"
	mkdir -p /lib/modules/5.0.0
	echo updates/vmshm.ko: >/lib/modules/5.0.0/modules.dep
	expect "but for 5.0.0"
}

test_driver_not_loaded()
{
	unloaded
	mkdir -p "/lib/modules/$(uname -r)"
	echo updates/vmshm.ko: >"/lib/modules/$(uname -r)/modules.dep"
	expect "FAIL The driver is not loaded. type: modprobe vmshm"
	vmshm run true 2>/tmp/err && fail "it runs"
	grep -q 'does not have the file system' /tmp/err || fail "$(cat /tmp/err)"
}

test_driver_unbound()
{
	pci=$(basename "$(readlink /sys/class/vmshm/vmshm0/device)")
	echo "$pci" >/sys/bus/pci/drivers/vmshm/unbind
	trap 'echo $pci >/sys/bus/pci/drivers/vmshm/bind' EXIT
	expect "is not bound to the device $pci"
	vmshm info >/tmp/out
	grep -q 'no driver is bound' /tmp/out || fail "$(cat /tmp/out)"
	# The advice solves the problem.
	vmshm doctor | sed -n \
		's/.*type: \(echo.*bind\)$/\1/p' >/tmp/advice
	trap - EXIT
	sh /tmp/advice
	vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
}

test_node_forbidden()
{
	mkdir -p /etc
	echo 'anna:x:1000:1000::/:/bin/sh' >/etc/passwd
	echo 'vmshm:x:77:' >/etc/group
	chmod 660 /dev/vmshm0
	chgrp 77 /dev/vmshm0
	if su anna -s /bin/sh -c 'vmshm doctor' >/tmp/out; then fail "it can"; fi
	grep -q 'sudo usermod -aG vmshm anna' /tmp/out || fail "$(cat /tmp/out)"
}

# The device of 2010
test_no_arena()
{
	vmshm doctor >/tmp/out || fail "$(cat /tmp/out)"
	grep -q 'vmshm1 has no arena' /tmp/out ||
		fail "$(cat /tmp/out)"
	vmshm info vmshm1 >/tmp/out
	grep -q '^arena        none' /tmp/out || fail "$(cat /tmp/out)"
	vmshm info vmshm1 --json >/tmp/out
	grep -q '"arena_size": 0, "arena_free": 0, "features": \[\], "mem' \
		/tmp/out || fail "$(cat /tmp/out)"
	vmshm run -d vmshm1 true 2>/tmp/err && fail "it runs"
	grep -q 'vmshm1 has no arena' /tmp/err || fail "$(cat /tmp/err)"
}
