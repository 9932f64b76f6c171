# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines with a Debian kernel, in which test programs run.

program     test programs and their requirements
build       compiles them
arch        the architectures of guests
kernel      the kernels of scripts/fetch-kernel
boot        boots a kernel with programs, and receives their results
host        the host's side of t_host(), see t.h
python      this machine's Python for a guest

In the guest: init, the first process; t.h and t.sh, the interface for test
programs. test-harness.c tests all of this.
"""
