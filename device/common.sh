# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # used by the files that include this
#
# Functions that build.sh and vmshm-device share. Both set $here, the directory
# of these files, before they include this file.

top=$(dirname "$here")
# In an installation, the file "installed" sets these (see Makefile).
loader=$top/build/vmshm.so
cache=$top/build
command="make -C $top device QEMU="
nearest_command="make -C $top device NEAREST=auto QEMU="
# shellcheck source=/dev/null
[ ! -e "$top/installed" ] || . "$top/installed"
loader=${LOADER:-$loader}
# The path in the form of /proc/PID/maps
devices=$(readlink -m "$(dirname "$loader")")/vmshm-devices
export LC_ALL=C VMSHM_CACHE=$cache

build_id() { readelf -n "$1" 2>/dev/null | sed -n 's/^ *Build ID: //p'; }

version_of() { "$1" --version | sed -n 's/^QEMU emulator version //p'; }

# Succeeds for a QEMU that exports its functions. Others cannot load a device.
is_loadable() {
	readelf -W --dyn-syms "$1" 2>/dev/null |
		grep -c ' register_module_init$' > /dev/null
}

# info FILE NAME: the value in the line NAME=; empty if there is no such line
info() { sed -n "s/^$2=//p" "$1" 2>/dev/null || true; }

# A checksum of all sources of a device
source_sum() {
	find "$here" "$top/include/vmshm/regs.h" \( -name '*.[ch]' \
		-o -name '*.patch' \) ! -name loader.c -type f -print0 | sort -z |
		xargs -0 cat | sha256sum | cut -c1-16
}
