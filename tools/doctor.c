// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor: checks the requirements of VMShm on this machine.
 */
#include "commands.h"
#include "doctor.h"
#include "finding.h"
#include "guest.h"
#include "place.h"
#include "print.h"

/*
 * A machine can be host and guest. A machine that is neither is examined as a
 * host, unless it runs in QEMU and has no QEMU of its own.
 */
static void choose(const struct options *o, bool *host, bool *guest)
{
	*guest = this_side(o) == SIDE_GUEST;
	*host = !*guest;
	if (o->side != SIDE_AUTO)
		return;
	if (*guest)
		*host = has_qemu();
	else if (!has_qemu() && in_qemu())
		*guest = true, *host = false;
}

int cmd_doctor(const struct options *o, int argc, char **argv)
{
	bool host, guest;

	(void)argv;
	if (argc)
		return usage_error("doctor takes no arguments");
	choose(o, &host, &guest);
	findings_begin(o->json);
	if (host) {
		findings_side("host");
		examine_host();
	}
	if (guest) {
		findings_side("guest");
		examine_guest();
	}
	return findings_end() ? EXIT_FAILED : EXIT_OK;
}
