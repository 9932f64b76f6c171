#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the device as a shared object for one QEMU, without building QEMU.
#
#   QEMU=BINARY      which QEMU (default: qemu-system-x86_64)
#   QEMU_SRC=DIR     its sources (default: fetched as Debian source package)
#   QEMU_SUITE=NAME  with QEMU_SOURCE=VERSION: where to fetch them instead of
#                    asking dpkg, for a QEMU that is not installed as a package
#   OUT=FILE         result (default: build/vmshm.so)
#
# Only QEMU's generated headers are made, which takes seconds.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
qemu=${QEMU:-qemu-system-x86_64}
out=${OUT:-$top/build/vmshm.so}
# Every .c file here but the one that makes the device a part of QEMU
sources=$(cd "$here" && printf '%s
' *.c | sed -e '/^builtin/d' -e 's/\.c$//')

die() { echo "device: $*" >&2; exit 1; }

qemu_path=$(command -v "$qemu") ||
	die "no $qemu here; install QEMU (Debian: qemu-system-x86) first"
stamp=$("$qemu_path" --version | sed -n 's/^QEMU emulator version //p')
[ -n "$stamp" ] || die "cannot read the version of $qemu_path"

# Up to date? Everything that goes in is older and the QEMU is the same.
if [ -e "$out" ] && [ "$(cat "$out.stamp" 2>/dev/null)" = "$stamp" ] &&
   [ -z "$(find "$here" "$top/include/vmshm/regs.h" -newer "$out" -type f)" ]
then
	exit 0
fi

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
	src=$top/build/qemu/${version#*:}
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
}

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

obj=$(dirname "$out")/device-$(basename "$out" .so)
rm -rf "$obj"
mkdir -p "$obj"
read -ra glib < <(pkg-config --cflags glib-2.0)
for o in $sources; do
	gcc -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O2 -g -fPIC \
		-fvisibility=hidden -Wall -Wextra -Wno-unused-parameter \
		-Wno-sign-compare -Wno-missing-field-initializers -Werror \
		-DVMSHM_QEMU_STAMP="\"$stamp\"" \
		-I"$here" -I"$top/include" -I"$gen" -I"$gen/qapi" \
		-isystem "$src/include" -isystem "$src" \
		-isystem "$src/linux-headers" "${glib[@]}" \
		-c "$here/$o.c" -o "$obj/$o.o"
done

# What the C library does not define comes from QEMU; make it weak, so that
# the object also loads into processes that are not QEMU (see load.c).
gcc -shared -o "$obj/strong.so" "$obj"/*.o
nm -D --undefined-only "$obj/strong.so" |
	awk '$1 == "U" && $2 !~ /@/ { print $2 }' > "$obj/weak"
for o in $sources; do
	objcopy --weaken-symbols="$obj/weak" "$obj/$o.o"
done
gcc -shared -Wl,-z,lazy -o "$obj/vmshm.so" "$obj"/*.o
mv "$obj/vmshm.so" "$out"
echo "$stamp" > "$out.stamp"
echo "device: $(realpath --relative-to="$PWD" "$out") for QEMU $stamp"
