#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the device for one QEMU, without building QEMU, and the loader that
# finds the device: vmshm.so, with vmshm-devices/BUILDID.so and BUILDID.info
# beside it. The device is also built for the other QEMU binaries of the same
# package.
#
#   QEMU=BINARY      the QEMU (default: qemu-system-x86_64)
#   QEMU_SRC=DIR     its sources (default: a download of the Debian source
#                    package)
#   NEAREST=auto     if the archive no longer has that package, build from the
#                    nearest point release of the same minor version
#   NEAREST=VERSION  build from that point release
#   QEMU_SUITE=NAME  with QEMU_SOURCE=VERSION: the suite and the version of the
#                    source package, for a QEMU that dpkg does not know
#   LOADER=FILE      the loader (default: build/vmshm.so)
#
# Of QEMU, only the generated headers are built, which takes seconds.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=device/common.sh
. "$here/common.sh"

qemu=${QEMU:-qemu-system-x86_64}
# Every .c file here except those of the loader, of the device as a part of
# QEMU, and of the checks for a device built from another point release
sources=$(cd "$here" && printf '%s\n' *.c |
	sed -e '/^builtin/d' -e '/^loader/d' -e '/^layout/d' -e 's/\.c$//')
nearest=''		# the point release, if it is another one

die() { echo "device: $*" >&2; exit 1; }

# Succeeds if QEMU $1 has a device that was built from the present sources, also
# with the headers of another point release.
has_device() {
	local device

	device=$devices/$(build_id "$1")
	[ -e "$device.so" ] && [ "$(info "$device.info" version)" = "$stamp" ] &&
		[ "$(info "$device.info" sources)" = "$sum" ]
}

is_built() {
	has_device "$1" &&
		[ -z "$(info "$devices/$(build_id "$1").info" nearest)" ]
}

# put FILE DESTINATION: replaces the destination by rename(2), because running
# VMs may have the old file mapped.
put() {
	local new=$devices/.new.$$

	cp "$1" "$new"
	chmod 644 "$new"
	sync "$new"
	mv "$new" "$2"
}

# Puts the device $1 into place for QEMU $2.
put_device() {
	local id

	id=$(build_id "$2")
	put "$1" "$devices/$id.so"
	cat > "$obj/info" <<-END
	qemu=$2
	version=$stamp
	source=$(cat "$src/VERSION")
	vmshm=$(cat "$top/VERSION")
	sources=$sum
	nearest=$nearest
	END
	put "$obj/info" "$devices/$id.info"
}

# Prints the QEMU and the other QEMUs of its package. They differ only in the
# guest's architecture, on which the device does not depend.
family() {
	local other

	echo "$qemu_path"
	for other in "$(dirname "$qemu_path")"/qemu-system-* \
		     "$(dirname "$qemu_path")"/../libexec/qemu-system-*; do
		other=$(readlink -f "$other")
		if [ "$other" != "$qemu_path" ] && is_loadable "$other" &&
		   [ "$(version_of "$other")" = "$stamp" ]; then
			echo "$other"
		fi
	done
}

# fetch NAME VERSION SUITE...: downloads the source package and sets $src.
fetch() {
	local name=$1 version=$2 s

	shift 2
	src=$cache/qemu/${version#*:}
	[ -e "$src/.complete" ] && return
	echo "device: fetching the source of $name $version"
	rm -rf "$src"
	for s; do
		# A try that failed may have unpacked a part of the source.
		rm -rf "$src.tmp"
		mkdir -p "$src.tmp"
		(cd "$src.tmp" &&
		 "$top/scripts/apt-suite" "$s" source "$name=$version") ||
			continue
		mv "$src.tmp"/*/ "$src" && touch "$src/.complete" && break
	done
	rm -rf "$src.tmp"
	[ -e "$src/.complete" ]
}

# The first two numbers of a version
minor() { sed -nE 's/^([0-9]+:)?([0-9]+\.[0-9]+).*/\2/p' <<< "$1"; }

# near_versions NAME VERSION SUITE...: prints the versions of this source
# package in the archive that have the same minor version: newer versions first.
near_versions() {
	local name=$1 version=$2 s all at

	shift 2
	all=$(for s; do
		"$top/scripts/apt-suite" "$s" madison "$name" || true
	done | sed -nE 's/^[^|]*\| *([^ |]+) *\|.* Sources$/\1/p')
	all=$(printf '%s\n' "$all" "$version" | sort -Vu | while read -r s; do
		[ "$(minor "$s")" != "$(minor "$version")" ] || echo "$s"
	done)
	at=$(grep -nxF -e "$version" <<< "$all" | cut -d: -f1)
	tail -n +$((at + 1)) <<< "$all"
	head -n $((at - 1)) <<< "$all" | tac
}

# fetch_nearest NAME VERSION SUITE...: sets $src and $nearest, and patches the
# known differences of the headers.
fetch_nearest() {
	local name=$1 version=$2 candidate fix candidates=$NEAREST

	shift 2
	if [ "$NEAREST" = auto ]; then
		candidates=$(near_versions "$name" "$version" "$@")
	fi
	for candidate in $candidates; do
		fetch "$name" "$candidate" "$@" || continue
		nearest=$candidate
		fix=$here/nearest/$(cat "$src/VERSION")-${stamp%% *}.patch
		[ -e "$fix" ] || return 0
		nearest="$candidate, patched"
		rm -rf "$src-patched"
		cp -al "$src" "$src-patched"
		rm -rf "$src-patched/build-vmshm"
		src=$src-patched
		patch -s -d "$src" -p1 < "$fix"
		return
	done
	return 1
}

# Sets $src to the Debian source package that this binary was built from, or,
# with NEAREST, to another version of it.
fetch_source() {
	local version=${QEMU_SOURCE:-} suite=${QEMU_SUITE:-} package name=qemu s

	if [ -z "$version" ]; then
		package=$(dpkg-query -S "$(readlink -f "$qemu_path")" \
			2>/dev/null | cut -d: -f1 || true)
		[ -n "$package" ] ||
			die "$qemu_path is in no Debian package:" \
			    "set QEMU_SRC to its source tree"
		# shellcheck disable=SC2016 # dpkg's own variables
		read -r name version < <(dpkg-query -W \
			-f '${source:Package} ${source:Version}\n' "$package")
	fi
	if [ -z "$suite" ]; then
		# shellcheck source=/dev/null
		s=$(. "${VMSHM_ETC:-/etc}/os-release" &&
			echo "$VERSION_CODENAME")
		suite="$s $s-backports"
	fi
	# shellcheck disable=SC2086 # $suite may be two names
	fetch "$name" "$version" $suite && return
	if has_device "$qemu_path" && [ "${NEAREST:-auto}" = auto ]; then
		echo "device: the source of $name $version is not available;" \
			"$qemu_path keeps the device of the nearest release"
		exit 0
	fi
	if [ -z "${NEAREST:-}" ]; then
		echo "device: found no source package $name $version in: $suite" >&2
		echo "device: the nearest point release may have the same" \
			"layouts; to build from it and check them, type:" >&2
		echo "$nearest_command$qemu_path" >&2
		exit 1
	fi
	# shellcheck disable=SC2086
	fetch_nearest "$name" "$version" $suite ||
		die "found no source of a QEMU $(minor "$version") in: $suite"
	echo "device: $qemu_path is built from the source of $nearest"
}

# Generates headers in $src/build-vmshm.
configure_source() {
	gen=$src/build-vmshm
	[ -e "$gen/.complete" ] && return
	echo "device: generating the headers of QEMU $(cat "$src/VERSION")"
	rm -rf "$gen"
	mkdir -p "$gen"
	(
		cd "$gen"
		# A python3 that is earlier in PATH may lack meson's modules,
		# which would then be downloaded from PyPI. Debian's source
		# contains no firmware that could be installed.
		PATH=/usr/bin:$PATH PIP_NO_INDEX=1 ../configure \
			--target-list=x86_64-softmmu --disable-install-blobs \
			--without-default-features --enable-system \
			--enable-tcg --enable-plugins --disable-werror \
			> vmshm.log 2>&1 &&
		ninja -t targets all |
			sed -nE 's/^((qapi\/[^:]*|config-poison)\.h):.*/\1/p' |
			xargs ninja >> vmshm.log 2>&1
	) || { tail -n 20 "$gen/vmshm.log" >&2
	       die "QEMU's configure failed, see $gen/vmshm.log"; }
	touch "$gen/.complete"
	[ ! -e "$top/installed" ] || keep_headers
}

# Of the 800 MB of QEMU's source, an installation keeps the files for a build.
keep_headers() {
	find "$src" -type f ! -name '*.h' ! -name '*.inc' ! -name VERSION \
		! -name .complete -delete
	find "$src" -type l -delete
	find "$src" -type d -empty -delete
}

compile() {
	local glib o near=()

	if [ -n "$nearest" ]; then
		near=(-DVMSHM_NEAREST="\"$(cat "$src/VERSION") ($nearest)\"")
		sources="$sources layout"
	fi
	read -ra glib < <(pkg-config --cflags glib-2.0)
	for o in $sources; do
		gcc -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O2 -g \
			-fPIC -fvisibility=hidden -Wall -Wextra \
			-Wno-unused-parameter -Wno-sign-compare \
			-Wno-missing-field-initializers -Werror \
			-DVMSHM_QEMU_STAMP="\"$stamp\"" \
			-DVMSHM_BUILD_COMMAND="\"$command\"" \
			"${near[@]}" \
			-I"$here" -I"$top/include" -I"$gen" -I"$gen/qapi" \
			-isystem "$src/include" -isystem "$src" \
			-isystem "$src/linux-headers" "${glib[@]}" \
			-c "$here/$o.c" -o "$obj/$o.o"
	done
	gcc -shared -Wl,-z,relro,-z,now -o "$obj/device.so" "$obj"/*.o
}

# Loads a device that contains checks; fails if a check fails.
try_device() {
	local said

	said=$(echo quit | timeout 300 "$qemu_path" -M none -nodefaults \
		-display none -monitor stdio -plugin "$obj/device.so" 2>&1) || {
		grep -v '^QEMU .* monitor' <<< "$said" >&2 || true
		die "$qemu_path does not take a device from the source of" \
		    "$nearest; see above"
	}
}

qemu_path=$(command -v "$qemu") ||
	die "no $qemu here; install QEMU (Debian: qemu-system-x86) first"
qemu_path=$(readlink -f "$qemu_path")
is_loadable "$qemu_path" ||
	die "$qemu_path is no program that can load plugins"
[ -n "$(build_id "$qemu_path")" ] ||
	die "$qemu_path has no build ID: link it with -Wl,--build-id"
stamp=$(version_of "$qemu_path")
[ -n "$stamp" ] || die "cannot read the version of $qemu_path"

# An installation already has the loader.
[ -e "$top/installed" ] || make -s -C "$here" OUT="$(dirname "$loader")"

mkdir -p "$devices" "$cache"
exec 9> "$devices/.lock"
flock 9
rm -f "$devices"/.new.*
sum=$(source_sum)
if is_built "$qemu_path"; then
	exit 0
fi

if [ -n "${QEMU_SRC:-}" ]; then
	src=$(cd "$QEMU_SRC" && pwd)
else
	fetch_source
fi
# Types also change between point releases. A device that was built with the
# headers of another point release could load, and then access the wrong fields.
# With NEAREST, the device contains a check of each of these fields.
if [ -z "$nearest" ] && [ "$(cat "$src/VERSION")" != "${stamp%% *}" ]; then
	[ -n "${NEAREST:-}" ] ||
		die "$src is QEMU $(cat "$src/VERSION"), but $qemu_path is ${stamp%% *}"
	nearest=$(cat "$src/VERSION")
fi
[ "$(minor "$(cat "$src/VERSION")")" = "$(minor "$stamp")" ] ||
	die "$src is QEMU $(cat "$src/VERSION"), but $qemu_path is ${stamp%% *}"
configure_source

obj=$(mktemp -d "$cache/device.XXXXXX")
trap 'rm -rf "$obj"' EXIT
compile
[ -z "$nearest" ] || try_device
for one in $(family); do
	put_device "$obj/device.so" "$one"
	echo "device: $(basename "$loader") has a device for $one, $stamp"
done
