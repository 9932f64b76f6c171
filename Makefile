# SPDX-License-Identifier: GPL-2.0-or-later
#
# VMShm: `make help` lists the verbs. All generated files go to build/.

QEMU ?= qemu-system-x86_64
# Guest kernels of the tests, and of `make driver` (see scripts/fetch-kernel)
KERNELS ?= 6.1 6.12
KVER ?= 6.1
# The accelerator of Linux guests, tcg or kvm. The default is kvm if the guests
# run under KVM on this machine.
ACCEL ?=

PREFIX ?= /usr/local

export QEMU KERNELS ACCEL NEAREST

help: ## list these commands
	@echo "VMShm $$(cat VERSION)"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { \
		printf "  make %-15s  %s\n", $$1, $$2 }' Makefile

deps: ## install the Debian packages of a host (root or sudo)
	@scripts/deps host

# The packages of the tests as well
deps-check:
	@scripts/deps

demo: ## a guest uses an object of the host; builds all parts
	@scripts/demo

device: ## build/vmshm.so, the device for the installed QEMU
	@device/build.sh

driver: ## the module, for a kernel of Debian (KVER=6.1)
	@scripts/fetch-kernel $(KVER)
	@$(MAKE) --no-print-directory -C driver KVER=$(KVER)

tool: ## build/vmshm, the program for host and guest
	@$(MAKE) --no-print-directory -s -C tools

lib: ## build/lib/libvmshm.so and .a, for host and guest
	@$(MAKE) --no-print-directory -s -C lib

install: ## tool, library (PREFIX), Python module (PYTHONDIR)
	@$(MAKE) --no-print-directory -C tools install
	@$(MAKE) --no-print-directory -C lib install
	@$(MAKE) --no-print-directory -C python install

install-device: ## for a host: the loader, a device for each QEMU
	@$(MAKE) --no-print-directory -C device install
	@test -n "$(DESTDIR)" || $(PREFIX)/sbin/vmshm-device build

install-driver: ## for a guest: the module for its kernel
	@$(MAKE) --no-print-directory -C driver install

uninstall: ## remove the files that the three commands above installed
	@$(MAKE) --no-print-directory -C tools uninstall
	@$(MAKE) --no-print-directory -C lib uninstall
	@$(MAKE) --no-print-directory -C python uninstall
	@$(MAKE) --no-print-directory -C device uninstall
	@$(MAKE) --no-print-directory -C driver uninstall-all

dist: ## build/vmshm-VERSION.tar.gz, the sources
	@scripts/dist

check: ## all tests (ACCEL=kvm or tcg)
	@tests/run

check-device: deps-check device ## the device's tests only, in the stock QEMU
	@tests/device/run.py

check-bare: deps-check device ## the bare-metal guest only, under TCG and KVM
	@tests/bare/run.py

check-guest: deps-check device ## the Linux guests only (KERNELS="6.1 6.12")
	@tests/guest/run.py

check-tool: deps-check ## the program on this host only
	@tests/tool/run.py

check-library: deps-check ## libvmshm on this host only
	@tests/library/run.py

check-debug: deps device ## guest tests and more in a kernel with KASAN, lockdep
	@scripts/deps debug
	@scripts/fetch-kernel $(KVER)-debug
	@KERNELS=$(KVER)-debug tests/guest/run.py

# The number of removals of the device, for each kind of removal
ROUNDS ?= 100

check-lifecycle: deps device ## the device goes away while in use (ROUNDS=100)
	@T_ROUNDS=$(ROUNDS) tests/guest/run.py lifecycle/ restart/ sleep/many \
		owner/many removal-races/ long-commands/

# The number of rounds of the programs of check-programs
PROGRAM_ROUNDS ?= 1000

check-programs: device ## third-party programs (PROGRAM_ROUNDS=1000)
	@scripts/deps host demo check programs
	@T_PROGRAMS=$(PROGRAM_ROUNDS) tests/programs/table.py

check-stress: deps-check device ## a million tokens, host and guests (WORKERS=6)
	@TOKENS=1000000 tests/stress/run.py

check-compat: deps-check device ## version 0.1's driver and device with these
	@KERNELS=$(KVER) tests/compat/run.py

check-truncate: deps-check device ## random truncations under load (ROUNDS=10000)
	@ROUNDS=$${ROUNDS:-10000} tests/device/run.py device/truncate

check-layout: deps-check device ## each layout of QEMU changed: refused at load
	@LAYOUTS=all tests/device/run.py device/layout

check-overcommit: deps-check device ## a host that commits no more memory
	@scripts/fetch-kernel 6.1
	@tests/overcommit/run.py

check-model: ## all interleavings of waiting, waking, opening, with spin
	@scripts/deps model
	@tests/model/run.py

bench: deps-check device ## performance beside that of peers (ACCEL=kvm or tcg)
	@scripts/deps bench
	@bench/run.py

bench-channel: deps-check ## messages of 64 bytes: this library and version 0.1
	@scripts/deps bench
	@bench/messages.py

bench-big-lock: device ## how long commands hold QEMU's big lock (root)
	@bench/big-lock.py

deb: ## Debian packages in build/deb, checked with lintian
	@scripts/deps host deb
	@scripts/deb

check-packages: deb ## packages and sources in fresh Debian 12 and 13 (root)
	@scripts/deps packages
	@tests/packages/run.py

check-libvirt: deps-check device ## the recipes for libvirt (root)
	@scripts/deps libvirt
	@scripts/fetch-kernel $(KVER)
	@tests/libvirt/run.py

check-cross: ## library and tool for arm64; the driver without an arena
	@scripts/deps host demo cross
	@tests/cross/run.py

check-arm64: deps-check ## guests with arm64, emulated
	@scripts/deps arm64
	@QEMU=qemu-system-aarch64 device/build.sh
	@tests/arm64/run.py

qemu-patch: ## build/qemu-VERSION.patch: the device as a part of QEMU
	@device/qemu-patch.sh

check-patch: ## build a patched QEMU and run the device's tests on it
	@scripts/deps host demo check patch
	@device/qemu-patch.sh check

SECONDS ?= 60
fuzz: ## random operations, ASan and UBSan (SECONDS=60 SEED=1)
	@scripts/deps host demo check patch fuzz
	@device/qemu-patch.sh sanitized
	@tests/fuzz/run.py $(SECONDS) $(SEED)

fuzz-generic: ## QEMU's own fuzz target for PCI (SECONDS=3600)
	@scripts/deps host demo check patch fuzz
	@device/qemu-patch.sh sanitized
	@tests/fuzz/generic.py $(SECONDS)

check-matrix: ## QEMU 7.2, 10.0, 11.1 with Linux 6.1, 6.12, 7.x (root)
	@scripts/deps matrix
	@tests/matrix/run.py

style: ## checkpatch, sparse, clang-format, shellcheck, codespell
	@scripts/style

clean: ## remove everything generated
	rm -rf build

.PHONY: help deps deps-check demo bench bench-big-lock bench-channel \
	device driver tool lib install \
	install-device install-driver uninstall dist check check-device \
	check-bare check-guest check-layout check-overcommit check-tool \
	check-library check-debug \
	check-lifecycle check-compat check-model check-programs check-stress \
	check-truncate \
	qemu-patch check-patch fuzz fuzz-generic check-matrix \
	check-packages check-libvirt deb check-arm64 check-cross style clean
