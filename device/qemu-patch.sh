#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The device as a part of QEMU, for those who build their own.
#
#   qemu-patch.sh             build/qemu-7.2.patch and build/qemu-11.1.patch
#   qemu-patch.sh DIR         a patch for the source tree DIR, on stdout
#   qemu-patch.sh check       build a patched QEMU, run the device's tests on it
#
#   CHECK=7.2                 which one "check" builds (7.2 or 11.1)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
export LC_ALL=C

die() { echo "qemu-patch: $*" >&2; exit 1; }

# Files of QEMU that get hook lines.
hooks="hw/misc/Kconfig hw/misc/meson.build MAINTAINERS docs/specs/index.rst"

# The source of a release, unpacked once: the newest that the suite offers, or
# a certain one, as the archive drops sources of -backports while it still
# lists them, and keeps another in its pool.
source_of() {
	local suite pool='' version dir

	case $1 in
	7.2) suite=bookworm ;;
	11.1) suite=trixie-backports pool=1:11.1.1+ds-1 ;;
	*) die "no suite is known for QEMU $1 (7.2 and 11.1 are)" ;;
	esac
	for version in $("$top/scripts/apt-suite" "$suite" showsrc qemu |
			 sed -n "s/^Version: \(1:$1\)/\1/p" |
			 sort -urV) $pool; do
		dir=$top/build/qemu/${version#*:}
		[ ! -e "$dir/.complete" ] || break
		echo "qemu-patch: fetching the source of qemu $version" >&2
		rm -rf "$dir" "$dir.tmp"
		mkdir -p "$dir.tmp"
		if (cd "$dir.tmp" && "$top/scripts/apt-suite" "$suite" \
			source "qemu=$version" > log 2>&1); then
			mv "$dir.tmp"/*/ "$dir"
			touch "$dir/.complete"
		else
			tail -n 1 "$dir.tmp/log" >&2
		fi
		rm -rf "$dir.tmp"
		[ ! -e "$dir/.complete" ] || break
	done
	[ -e "$dir/.complete" ] || die "found no source of QEMU $1 in $suite"
	echo "$dir"
}

# Hook lines and sources into the tree $1, which has at least the hook files.
add_device() {
	local tree=$1 set=softmmu_ss file

	grep -q '^system_ss' "$tree/hw/misc/meson.build" && set=system_ss
	mkdir -p "$tree/hw/misc/vmshm" "$tree/include/vmshm"
	cp "$here"/vmshm*.[ch] "$here/builtin.c" "$tree/hw/misc/vmshm/"
	cp "$top/include/vmshm/regs.h" "$tree/include/vmshm/"
	cat >> "$tree/hw/misc/Kconfig" <<-END

	config VMSHM
	    bool
	    default y if PCI_DEVICES
	    depends on PCI && LINUX
	END
	{
		printf "\n%s.add(when: 'CONFIG_VMSHM', if_true: files(\n" $set
		for file in "$here"/vmshm*.c "$here/builtin.c"; do
			printf "  'vmshm/%s',\n" "$(basename "$file")"
		done
		echo "))"
	} >> "$tree/hw/misc/meson.build"
	awk '/^Subsystems$/ {
		print "VMShm"
		print "S: Maintained"
		print "F: hw/misc/vmshm/"
		print "F: include/vmshm/regs.h"
		print "F: docs/specs/vmshm.rst"
		print ""
	} { print }' "$tree/MAINTAINERS" > "$tree/MAINTAINERS.new"
	mv "$tree/MAINTAINERS.new" "$tree/MAINTAINERS"
	echo "   vmshm" >> "$tree/docs/specs/index.rst"
	cp "$here/vmshm.rst" "$tree/docs/specs/"
}

# The patch for the tree $1, on stdout.
make_patch() {
	local src=$1 tmp file status=0

	tmp=$(mktemp -d)
	mkdir "$tmp/a"
	for file in $hooks; do
		[ -f "$src/$file" ] || die "$src is no QEMU source tree"
		mkdir -p "$tmp/a/$(dirname "$file")"
		cp "$src/$file" "$tmp/a/$file"
	done
	cp -r "$tmp/a" "$tmp/b"
	add_device "$tmp/b"
	(cd "$tmp" && diff -urN a b) || status=$?
	rm -rf "$tmp"
	[ $status -eq 1 ] || die "diff failed"
}

# Applies the patch as a user would, builds, and runs the tests.
check() {
	local release=${CHECK:-7.2} src tree patch

	src=$(source_of "$release")
	tree=$top/build/qemu-patched-$release
	patch=$top/build/qemu-$release.patch
	make_patch "$src" > "$patch"
	if [ -e "$tree/build/qemu-system-x86_64" ] &&
	   cmp -s "$patch" "$tree/vmshm.patch"; then
		echo "qemu-patch: QEMU $release is built already"
	else
		echo "qemu-patch: building QEMU $release with the device;" \
		     "this takes several minutes"
		rm -rf "$tree"
		mkdir -p "$tree"
		tar -C "$src" --exclude=./build-vmshm -cf - . | tar -C "$tree" -xf -
		(cd "$tree" && patch -s -p1 < "$patch")
		cp "$patch" "$tree/vmshm.patch.new"
		mkdir -p "$tree/build"
		(
			cd "$tree/build"
			PATH=/usr/bin:$PATH PIP_NO_INDEX=1 ../configure \
				--target-list=x86_64-softmmu \
				--disable-install-blobs \
				--without-default-features --enable-system \
				--enable-tcg --enable-kvm --enable-seccomp \
				--disable-werror --disable-docs > vmshm.log 2>&1 &&
			NINJA_STATUS='  [%f/%t %es] ' ninja qemu-system-x86_64 \
				2>&1 | tee -a vmshm.log |
				awk 'NR % 200 == 0 { print substr($0, 1, 78);
						     fflush() }'
		) || die "the build failed, see $tree/build/vmshm.log"
		mv "$tree/vmshm.patch.new" "$tree/vmshm.patch"
	fi
	# Debian's source has no firmware; the installed packages do.
	cat > "$tree/build/qemu" <<-END
	#!/bin/sh
	exec "$tree/build/qemu-system-x86_64" -L /usr/share/seabios \\
		-L /usr/share/qemu "\$@"
	END
	chmod +x "$tree/build/qemu"
	VMSHM_BUILTIN=1 QEMU=$tree/build/qemu "$top/tests/device/run.py"
}

case ${1:-} in
check)
	check
	;;
"")
	for release in 7.2 11.1; do
		src=$(source_of "$release")
		make_patch "$src" > "$top/build/qemu-$release.patch"
		echo "qemu-patch: build/qemu-$release.patch, apply it to QEMU" \
		     "$release with patch -p1"
	done
	;;
*)
	make_patch "$1"
	;;
esac
