# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtual machines with a Debian kernel, in which test programs run.

program     test programs and what they ask for
build       compiles them
kernel      the kernels of scripts/fetch-kernel
boot        boots one, with programs in it, and takes their results
host        the host's side of t_host(), see t.h
python      this machine's Python for a guest

In the guest: init, the first process; t.h and t.sh, what programs are written
with. test-harness.c tests all of this.
"""
