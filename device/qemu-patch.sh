#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes the device a part of QEMU, for users who build their own QEMU.
#
#   qemu-patch.sh             build/qemu-7.2.patch and build/qemu-11.1.patch
#   qemu-patch.sh DIR         a patch for the source tree DIR, on stdout
#   qemu-patch.sh check       build a patched QEMU, run the device's tests on it
#   qemu-patch.sh sanitized   build a patched QEMU with ASan and UBSan, and its
#                             fuzzer: build/qemu-sanitized/
#
#   CHECK=7.2                 the release that "check" builds (7.2, 10.0, 11.1)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
export LC_ALL=C

die() { echo "qemu-patch: $*" >&2; exit 1; }

# Files of QEMU that get hook lines.
hooks="meson.build hw/misc/Kconfig hw/misc/meson.build MAINTAINERS
docs/specs/index.rst tests/qtest/meson.build util/qemu-thread-posix.c"

# Unpacks the source of a release once. It is the newest version of the suite,
# or a fixed version: the archive may still list a source of -backports that it
# has removed, while its pool has another version.
source_of() {
	local suite pool='' version dir

	case $1 in
	7.2) suite=bookworm ;;
	10.0) suite=trixie ;;
	11.1) suite=trixie-backports pool=1:11.1.1+ds-1 ;;
	*) die "no suite is known for QEMU $1 (7.2, 10.0 and 11.1 are)" ;;
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

# Adds hook lines and sources to the tree $1, which has at least the hook files.
add_device() {
	local tree=$1 set=softmmu_ss file

	grep -q '^system_ss' "$tree/hw/misc/meson.build" && set=system_ss
	mkdir -p "$tree/hw/misc/vmshm" "$tree/include/vmshm" \
		"$tree/tests/qtest"
	cp "$here"/vmshm*.[ch] "$here/builtin.c" "$here/trace-events" \
		"$tree/hw/misc/vmshm/"
	echo '#include "trace/trace-hw_misc_vmshm.h"' \
		> "$tree/hw/misc/vmshm/trace.h"
	cp "$top/include/vmshm/regs.h" "$tree/include/vmshm/"
	cp "$here/qtest/vmshm-test.c" "$tree/tests/qtest/"
	sed -i "s|^    'hw/misc',\$|&\n    'hw/misc/vmshm',|" "$tree/meson.build"
	sed -i "s|^qtests_i386 = .*|&\n  (config_all_devices.has_key(\
'CONFIG_VMSHM') ? ['vmshm-test'] : []) + \\\\|" "$tree/tests/qtest/meson.build"
	# A fault that raises a blocked SIGBUS ends QEMU: see device/mask.c.
	sed -i 's/^    sigdelset(&set, SIGILL);/&\n    sigdelset(\&set, SIGBUS);/' \
		"$tree/util/qemu-thread-posix.c"
	if ! grep -q 'sigdelset(&set, SIGBUS)' "$tree/util/qemu-thread-posix.c" ||
	   ! grep -q "hw/misc/vmshm" "$tree/meson.build" ||
	   ! grep -q vmshm-test "$tree/tests/qtest/meson.build"; then
		die "this source of QEMU has no place for the device"
	fi
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
		print "F: tests/qtest/vmshm-test.c"
		print "F: docs/specs/vmshm.rst"
		print ""
	} { print }' "$tree/MAINTAINERS" > "$tree/MAINTAINERS.new"
	mv "$tree/MAINTAINERS.new" "$tree/MAINTAINERS"
	echo "   vmshm" >> "$tree/docs/specs/index.rst"
	cp "$here/vmshm.rst" "$tree/docs/specs/"
}

# Prints the patch for the tree $1.
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

# Sets $tree to a patched tree of the release $1, and keeps an existing build.
patch_tree() {
	local src patch

	src=$(source_of "$1")
	patch=$top/build/qemu-$1.patch
	make_patch "$src" > "$patch"
	if ! cmp -s "$patch" "$tree/vmshm.patch" &&
	   ! (cd "$tree" 2>/dev/null && [ -e vmshm.patch ] &&
	      patch -s -R -p1 < vmshm.patch && patch -s -p1 < "$patch"); then
		rm -rf "$tree"
		mkdir -p "$tree/build"
		tar -C "$src" --exclude=./build-vmshm --exclude=./.pc -cf - . |
			tar -C "$tree" -xf -
		(cd "$tree" && patch -s -p1 < "$patch")
	fi
	cp "$patch" "$tree/vmshm.patch"
}

# configure OPTIONS: configures $tree, once.
configure() {
	mkdir -p "$tree/build"
	[ -e "$tree/build/build.ninja" ] || (
		cd "$tree/build"
		PATH=/usr/bin:$PATH PIP_NO_INDEX=1 ../configure \
			--target-list=x86_64-softmmu --disable-install-blobs \
			--without-default-features --enable-system \
			--enable-tcg --disable-werror --disable-docs "$@" \
			> vmshm.log 2>&1
	) || die "configure failed, see $tree/build/vmshm.log"
}

# compile TARGETS: builds the targets in $tree.
compile() {
	echo "qemu-patch: building QEMU with the device in $tree;" \
	     "the first time takes several minutes"
	(
		cd "$tree/build"
		NINJA_STATUS='  [%f/%t %es] ' ninja "$@" 2>&1 |
			tee -a vmshm.log |
			awk 'NR % 200 == 0 { print substr($0, 1, 78); fflush() }'
	) || die "the build failed, see $tree/build/vmshm.log"
	# Debian's source has no firmware; the installed packages do.
	mkdir -p "$tree/build/qemu-bundle/usr/local/share/qemu"
	find /usr/share/seabios /usr/share/qemu -maxdepth 1 -name '*.bin' \
		-exec ln -sft "$tree/build/qemu-bundle/usr/local/share/qemu" {} +
	cat > "$tree/build/qemu" <<-END
	#!/bin/sh
	exec "$tree/build/qemu-system-x86_64" -L /usr/share/seabios \\
		-L /usr/share/qemu "\$@"
	END
	chmod +x "$tree/build/qemu"
}

# Applies the patch as a user would, builds, and runs the tests.
check() {
	local tree=$top/build/qemu-patched-${CHECK:-7.2}

	patch_tree "${CHECK:-7.2}"
	configure --enable-kvm --enable-seccomp
	compile qemu-system-x86_64 tests/qtest/vmshm-test
	(cd "$tree/build" && "$(meson_of)" test --no-rebuild --print-errorlogs \
		qtest-x86_64/vmshm-test) ||
		die "QEMU's own test of the device failed"
	VMSHM_BUILTIN=1 QEMU=$tree/build/qemu "$top/tests/device/run.py"
}

# The configuration of QEMU may have installed its own meson.
meson_of() {
	if [ -x "$tree/build/pyvenv/bin/meson" ]; then
		echo "$tree/build/pyvenv/bin/meson"
	else
		echo meson
	fi
}

# Builds QEMU with few devices, because the build takes long. LLVM's fuzzer
# needs clang.
sanitized() {
	local tree=$top/build/qemu-sanitized name

	patch_tree 7.2
	name=$tree/configs/devices/x86_64-softmmu/vmshm.mak
	printf 'CONFIG_%s=y\n' I440FX Q35 PCIE_PORT VIRTIO_PCI VIRTIO_BLK VMSHM \
		> "$name.new"
	cmp -s "$name.new" "$name" || mv "$name.new" "$name"
	rm -f "$name.new"
	configure --cc=clang --cxx=clang++ --enable-sanitizers \
		--enable-fuzzing --without-default-devices \
		--with-devices-x86_64=vmshm -Doptimization=1
	compile qemu-system-x86_64 qemu-fuzz-x86_64
}

case ${1:-} in
check)
	check
	;;
sanitized)
	sanitized
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
