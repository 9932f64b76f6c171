#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the device for one QEMU, without building QEMU, and the loader that
# finds it: vmshm.so, with vmshm-devices/BUILDID.so and BUILDID.info beside it.
# The other QEMU binaries of the same package get theirs with it.
#
#   QEMU=BINARY      which QEMU (default: qemu-system-x86_64)
#   QEMU_SRC=DIR     its sources (default: fetched as Debian source package)
#   QEMU_SUITE=NAME  with QEMU_SOURCE=VERSION: where to fetch them instead of
#                    asking dpkg, for a QEMU that is not installed as a package
#   LOADER=FILE      default: build/vmshm.so
#
# Only QEMU's generated headers are made, which takes seconds.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=device/common.sh
. "$here/common.sh"

qemu=${QEMU:-qemu-system-x86_64}
# Every .c file here but the loader and what makes the device a part of QEMU
sources=$(cd "$here" && printf '%s\n' *.c |
	sed -e '/^builtin/d' -e '/^loader/d' -e 's/\.c$//')

die() { echo "device: $*" >&2; exit 1; }

# Whether QEMU $1 has a device of these sources
is_built() {
	local device

	device=$devices/$(build_id "$1")
	[ -e "$device.so" ] && [ "$(info "$device.info" version)" = "$stamp" ] &&
		[ "$(info "$device.info" sources)" = "$sum" ]
}

# put FILE DESTINATION: in one step, as running VMs may have the old file mapped
put() {
	local new=$devices/.new.$$

	cp "$1" "$new"
	chmod 644 "$new"
	sync "$new"
	mv "$new" "$2"
}

# The device $1 for QEMU $2
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
	END
	put "$obj/info" "$devices/$id.info"
}

# The QEMU and the others of its package, which differ in the guest's
# architecture alone: the device knows nothing of that.
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

# Sets $src: the Debian source package that this binary was built from.
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
		s=$(. /etc/os-release && echo "$VERSION_CODENAME")
		suite="$s $s-backports"
	fi
	src=$cache/qemu/${version#*:}
	[ -e "$src/.complete" ] && return
	echo "device: fetching the source of $name $version"
	rm -rf "$src" "$src.tmp"
	mkdir -p "$src.tmp"
	for s in $suite; do
		(cd "$src.tmp" &&
		 "$top/scripts/apt-suite" "$s" source "$name=$version") &&
			break
	done
	mv "$src.tmp"/*/ "$src" 2>/dev/null || true
	rm -rf "$src.tmp"
	[ -d "$src" ] ||
		die "found no source package $name $version in: $suite"
	touch "$src/.complete"
}

# Generated headers in $src/build-vmshm.
configure_source() {
	gen=$src/build-vmshm
	[ -e "$gen/.complete" ] && return
	echo "device: generating the headers of QEMU $(cat "$src/VERSION")"
	rm -rf "$gen"
	mkdir -p "$gen"
	(
		cd "$gen"
		# A python3 that is earlier in PATH may not have meson's
		# modules, and nothing is to come from PyPI. Debian's source
		# has no firmware that could be installed.
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

# Of QEMU's source, 800 MB, an installation keeps what a build needs.
keep_headers() {
	find "$src" -type f ! -name '*.h' ! -name '*.inc' ! -name VERSION \
		! -name .complete -delete
	find "$src" -type l -delete
	find "$src" -type d -empty -delete
}

compile() {
	local glib o

	read -ra glib < <(pkg-config --cflags glib-2.0)
	for o in $sources; do
		gcc -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O2 -g \
			-fPIC -fvisibility=hidden -Wall -Wextra \
			-Wno-unused-parameter -Wno-sign-compare \
			-Wno-missing-field-initializers -Werror \
			-DVMSHM_QEMU_STAMP="\"$stamp\"" \
			-DVMSHM_BUILD_COMMAND="\"$command\"" \
			-I"$here" -I"$top/include" -I"$gen" -I"$gen/qapi" \
			-isystem "$src/include" -isystem "$src" \
			-isystem "$src/linux-headers" "${glib[@]}" \
			-c "$here/$o.c" -o "$obj/$o.o"
	done
	gcc -shared -Wl,-z,relro,-z,now -o "$obj/device.so" "$obj"/*.o
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

# The loader comes with an installation.
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
# Types change between point releases, too: a device built from another one's
# headers loads and then reads and writes the wrong fields.
[ "$(cat "$src/VERSION")" = "${stamp%% *}" ] ||
	die "$src is QEMU $(cat "$src/VERSION"), but $qemu_path is ${stamp%% *}"
configure_source

obj=$(mktemp -d "$cache/device.XXXXXX")
trap 'rm -rf "$obj"' EXIT
compile
for one in $(family); do
	put_device "$obj/device.so" "$one"
	echo "device: $(basename "$loader") has a device for $one, $stamp"
done
