/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy of a device, as the arguments of a QEMU give it.
 */
#ifndef VMSHM_TOOL_POLICY_H
#define VMSHM_TOOL_POLICY_H

#include <limits.h>
#include <stdbool.h>

struct policy {
	/* "" if there is none */
	char allow[1024];
	char deny[1024];
	char prefix[NAME_MAX + 1];
	char directory[PATH_MAX];
	bool readonly;
};

/* @argument: "vmshm,prefix=vm1-,readonly=on" */
void policy_parse(const char *argument, struct policy *policy);
/* Whether a guest with this policy may use the host's object /x */
bool policy_allows(const struct policy *policy, const char *name);

#endif /* VMSHM_TOOL_POLICY_H */
